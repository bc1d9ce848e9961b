// Owns the list of a user's devices that are signed in. Folds sessions, and what ends all of them or all but one.
// Whether a session may act is never asked here: that is decided on the log's own state.

import type { Position, SessionId, UserId } from '../domain/ids.ts'
import type { SessionRow } from '../domain/rows.ts'
import { type ChangeRow, changesFrom, changesOf, type PlacedRow, placedFrom, placedPageOf } from './checkpoint.ts'
import { type Queryable, statement, type Transaction } from './database.ts'
import type { Changes, PlacedPage, TooOld } from './page.ts'
import type { Projection } from './projection.ts'
import type { SessionTable } from './schema.ts'
import { startFold, tableOf } from './table.ts'

const table = tableOf('session', ['session_id'], {
  session_id: 'text',
  user_id: 'text',
  device_id: 'text',
  platform: 'text',
  name: 'text',
  opened_at: 'timestamptz',
  removed_at: 'timestamptz',
  position: 'text',
})

/** These end every session, but for the one that a password change may keep. */
const endings = ['PasswordChanged', 'AccountBanned', 'AccountClosed'] as const
const folds = ['SessionOpened', 'SessionClosed', ...endings] as const

const openOfUsers = statement(
  'session-open-of-users',
  'select * from session where user_id = any($1::text[]) and removed_at is null',
)

const loadOpen = (transaction: Transaction, userIds: readonly UserId[]): Promise<readonly SessionTable[]> =>
  userIds.length === 0 ? Promise.resolve([]) : transaction.query<SessionTable>(openOfUsers, [[...new Set(userIds)]])

export const sessionProjection: Projection = {
  name: 'session',
  tables: ['session'],
  reads: [],
  folds,
  apply: async (transaction, batch) => {
    const events = batch.ofAny(folds)
    if (events.length === 0) return
    const open = await loadOpen(
      transaction,
      batch.ofAny(endings).map(event => event.data.userId),
    )
    const keys = batch.ofAny(['SessionOpened', 'SessionClosed']).map(event => [event.data.sessionId])
    const fold = await startFold(transaction, table, keys, open)
    const close = (row: SessionTable, at: SessionTable['opened_at'], position: Position) => {
      if (row.removed_at === null) fold.put({ ...row, removed_at: at, position })
    }
    for (const { type, data, position } of events) {
      if (type === 'SessionOpened') {
        const { sessionId, userId, deviceId, platform, name, at } = data
        fold.put({
          session_id: sessionId,
          user_id: userId,
          device_id: deviceId,
          platform,
          name,
          opened_at: at,
          removed_at: null,
          position,
        })
      } else if (type === 'SessionClosed') {
        const row = fold.get(data.sessionId)
        if (row !== undefined) close(row, data.at, position)
      } else {
        const kept = 'keptSessionId' in data ? data.keptSessionId : null
        for (const row of [...fold.rows()]) {
          if (row.user_id === data.userId && row.session_id !== kept) close(row, data.at, position)
        }
      }
    }
    await fold.write()
  },
}

export const sessionRowFrom = (row: SessionTable): SessionRow => ({
  sessionId: row.session_id,
  deviceId: row.device_id,
  platform: row.platform,
  name: row.name,
  openedAt: row.opened_at,
})

const ofUser = statement(
  'session-of-user',
  placedFrom('select * from session where user_id = $1 and removed_at is null order by opened_at, session_id'),
)

/** The user's devices that are signed in, the oldest first. At most a few: a user's devices are limited. */
export const sessionsOf = async (database: Queryable, userId: UserId): Promise<PlacedPage<SessionRow>> => {
  const rows = await database.query<SessionTable & PlacedRow>(ofUser, [userId])
  return placedPageOf(rows, rows.length, sessionRowFrom, row => [row.session_id])
}

const changes = statement(
  'session-changes',
  changesFrom('select * from session where user_id = $1 and position >= $2 order by opened_at, session_id'),
)

/** What changed in that list at or after a position. */
export const sessionChangesOf = async (
  database: Queryable,
  userId: UserId,
  since: Position,
): Promise<Changes<SessionRow> | TooOld> =>
  changesOf(
    await database.query<SessionTable & ChangeRow>(changes, [userId, since]),
    row => row.removed_at !== null,
    sessionRowFrom,
    (row): SessionId => row.session_id,
  )
