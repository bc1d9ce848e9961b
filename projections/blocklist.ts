// Owns the list of users whom a user blocks (R10, R11). Whether a message gets through is never asked here: that is
// decided on the log's own state.

import type { Position, UserId } from '../domain/ids.ts'
import type { BlocklistRow } from '../domain/rows.ts'
import { type ChangeRow, changesFrom, changesOf, type PlacedRow, placedFrom, placedPageOf } from './checkpoint.ts'
import { type Queryable, statement } from './database.ts'
import { type Changes, cursorKey, type PageOptions, type PlacedPage, type TooOld } from './page.ts'
import type { Projection } from './projection.ts'
import type { BlocklistTable } from './schema.ts'
import { startFold, tableOf } from './table.ts'

const table = tableOf('blocklist', ['user_id', 'blocked_id'], {
  user_id: 'text',
  blocked_id: 'text',
  blocked_at: 'timestamptz',
  removed_at: 'timestamptz',
  position: 'text',
})

const folds = ['UserBlocked', 'UserUnblocked'] as const

export const blocklistProjection: Projection = {
  name: 'blocklist',
  tables: ['blocklist'],
  reads: [],
  folds,
  apply: async (transaction, batch) => {
    const events = batch.ofAny(folds)
    if (events.length === 0) return
    const fold = await startFold(
      transaction,
      table,
      events.map(({ data }) => [data.userId, data.blockedId]),
    )
    for (const { type, data, position } of events) {
      const { userId, blockedId, at } = data
      if (type === 'UserBlocked') {
        fold.put({ user_id: userId, blocked_id: blockedId, blocked_at: at, removed_at: null, position })
        continue
      }
      const row = fold.get(userId, blockedId)
      if (row !== undefined && row.removed_at === null) fold.put({ ...row, removed_at: at, position })
    }
    await fold.write()
  },
}

export const blocklistRowFrom = (row: BlocklistTable): BlocklistRow => ({ userId: row.blocked_id, at: row.blocked_at })

const page = statement(
  'blocklist-page',
  placedFrom(
    `select * from blocklist where user_id = $1 and removed_at is null
       and ($2::timestamptz is null or (blocked_at, blocked_id) < ($2::timestamptz, $3::text))
     order by blocked_at desc, blocked_id desc limit $4::int`,
  ),
)

/** Whom the user blocks, the newest first. @throws InvalidCursor */
export const blocklistOf = async (
  database: Queryable,
  userId: UserId,
  { limit, cursor }: PageOptions,
): Promise<PlacedPage<BlocklistRow>> => {
  const [at = null, blockedId = null] = cursor === undefined ? [] : cursorKey(cursor, ['instant', 'string'])
  const rows = await database.query<BlocklistTable & PlacedRow>(page, [userId, at, blockedId, limit + 1])
  return placedPageOf(rows, limit, blocklistRowFrom, row => [row.blocked_at, row.blocked_id])
}

const changes = statement(
  'blocklist-changes',
  changesFrom(
    'select * from blocklist where user_id = $1 and position >= $2 order by blocked_at desc, blocked_id desc',
  ),
)

/** What changed in that list at or after a position. */
export const blocklistChangesOf = async (
  database: Queryable,
  userId: UserId,
  since: Position,
): Promise<Changes<BlocklistRow> | TooOld> =>
  changesOf(
    await database.query<BlocklistTable & ChangeRow>(changes, [userId, since]),
    row => row.removed_at !== null,
    blocklistRowFrom,
    row => row.blocked_id,
  )
