// Owns how long tombstones and ended notifications stay: a device that was away for longer syncs in full. Deletes in slices, each in a transaction
// with the note of what is gone, so that nobody is told of changes that can no longer be told whole.

import { schedule } from 'node-cron'
import type { Logger } from 'pino'
import type { Instant, Position } from '../domain/ids.ts'
import { takeCheckpoint } from './checkpoint.ts'
import { type Database, type Statement, statement, type Transaction } from './database.ts'
import type { TableName } from './schema.ts'

export const tombstoneDays = 30
/** Rows in one transaction, so that queries and folding get their turn between. */
const sliceRowsMax = 1_000
/** Once a day, at a quiet time in most places. */
const purgeSchedule = '17 3 * * *'

interface Purged {
  readonly key: readonly string[]
  /** From when on the row is only kept for so long; null: it stays. */
  readonly since: 'removed_at' | 'ended_at'
}

/** Tombstones, and what nobody has to answer any more: a device drops that by itself then. */
const purgedTables: Readonly<Partial<Record<TableName, Purged>>> = {
  session: { key: ['session_id'], since: 'removed_at' },
  blocklist: { key: ['user_id', 'blocked_id'], since: 'removed_at' },
  friend: { key: ['user_id', 'friend_id'], since: 'removed_at' },
  friend_request: { key: ['user_id', 'peer_id'], since: 'ended_at' },
  member: { key: ['group_id', 'user_id'], since: 'removed_at' },
  announcement: { key: ['group_id', 'announcement_id'], since: 'removed_at' },
  group_request: { key: ['group_id', 'user_id', 'kind'], since: 'removed_at' },
  notification: { key: ['user_id', 'notification_id'], since: 'ended_at' },
}

const deleteSlice = ([table, { key, since }]: [string, Purged]): Statement => {
  const columns = key.join(', ')
  return statement(
    `${table}-purge`,
    `with gone as (delete from ${table} where (${columns}) in (
       select ${columns} from ${table} where ${since} < $1::timestamptz order by ${since} limit ${sliceRowsMax})
       returning position)
     select count(*)::int as count, max(position) as position from gone`,
  )
}

const slices = Object.entries(purgedTables).map(deleteSlice)

const note = statement(
  'checkpoint-note-purge',
  `update checkpoint set purged_before = greatest(purged_before, $1::timestamptz),
     purged_position = greatest(purged_position, $2::char(16)) where id = 1`,
)

const purgeSlice = async (transaction: Transaction, slice: Statement, before: Instant): Promise<number> => {
  await takeCheckpoint(transaction)
  const [gone] = await transaction.query<{ count: number; position: Position | null }>(slice, [before])
  if (gone === undefined || gone.count === 0) return 0
  await transaction.query(note, [before, gone.position])
  return gone.count
}

/** Deletes what was removed or ended before a time. @returns how many rows */
export const purgeTombstones = async (database: Database, before: Instant): Promise<number> => {
  let total = 0
  for (const slice of slices) {
    let count = sliceRowsMax
    while (count === sliceRowsMax) {
      count = await database.transaction(transaction => purgeSlice(transaction, slice, before))
      total += count
    }
  }
  return total
}

/** Does so once a day until stopped. */
export const schedulePurge = (database: Database, logger: Logger): { readonly stop: () => void } => {
  const task = schedule(
    purgeSchedule,
    async () => {
      const before = new Date(Date.now() - tombstoneDays * 86_400_000).toISOString() as Instant
      try {
        const count = await purgeTombstones(database, before)
        if (count > 0) logger.info({ count, before }, 'old tombstones deleted')
      } catch (error) {
        logger.warn({ err: error }, 'old tombstones could not be deleted; trying again tomorrow')
      }
    },
    { noOverlap: true },
  )
  return { stop: () => void task.destroy() }
}

/** Deletes what a purge has deleted already: rows that were folded from the log again. */
export const deletePurged = async (
  transaction: Transaction,
  tables: readonly TableName[],
  before: Instant | null,
): Promise<void> => {
  if (before === null) return
  for (const table of tables) {
    const since = purgedTables[table]?.since
    if (since !== undefined) await transaction.execute(`delete from "${table}" where ${since} < '${before}'`)
  }
}
