// Owns the one row that says which log the read models are folded from, and how far. It is written in the transaction
// that writes the rows, so each event counts once; whoever writes rows takes this row first, so writers never interleave.

import type { Position } from '../domain/ids.ts'
import { positionBeforeAll } from '../eventstore/port.ts'
import { type Queryable, statement, type Transaction } from './database.ts'
import { type Changes, type CursorKey, type PlacedPage, pageOf, type TooOld } from './page.ts'
import { type CheckpointTable, readModelsVersion, tableNames } from './schema.ts'

const load = statement('checkpoint-load', 'select * from checkpoint where id = 1')
const take = statement('checkpoint-take', 'select * from checkpoint where id = 1 for update')
const advance = statement('checkpoint-advance', 'update checkpoint set position = $1 where id = 1')
const begin = statement(
  'checkpoint-begin',
  `insert into checkpoint (id, log_id, version, position) values (1, $1, $2, $3)
   on conflict (id) do update set log_id = excluded.log_id, version = excluded.version, position = excluded.position,
     purged_before = null, purged_position = null, history_before = null`,
)

/** The checkpoint; undefined before the first runner started. */
export const loadCheckpoint = async (database: Queryable): Promise<CheckpointTable | undefined> =>
  (await database.query<CheckpointTable>(load))[0]

/** Takes the checkpoint until the transaction ends: nobody else writes rows meanwhile. */
export const takeCheckpoint = async (transaction: Transaction): Promise<CheckpointTable | undefined> =>
  (await transaction.query<CheckpointTable>(take))[0]

export const advanceCheckpoint = async (transaction: Transaction, position: Position): Promise<void> => {
  await transaction.query(advance, [position])
}

/** How far the read models are in the log. */
export const readModelsPosition = async (database: Queryable): Promise<Position> =>
  (await loadCheckpoint(database))?.position ?? positionBeforeAll

/** Empties every read model and starts over at the beginning of this log. */
export const startOver = async (transaction: Transaction, logId: string): Promise<void> => {
  await transaction.execute(`truncate ${tableNames.map(table => `"${table}"`).join(', ')}`)
  await transaction.query(begin, [logId, readModelsVersion, positionBeforeAll])
}

/** Why the rows cannot be those of this log; undefined when they can. */
export const doubtAbout = (
  checkpoint: CheckpointTable | undefined,
  log: { readonly logId: string; readonly head: Position },
): string | undefined => {
  if (checkpoint === undefined) return 'they are new'
  if (checkpoint.log_id !== log.logId) return 'they were folded from another log'
  if (checkpoint.version !== readModelsVersion) {
    return `they are of version ${checkpoint.version}, and this is version ${readModelsVersion}`
  }
  if (checkpoint.position > log.head) return `they are at ${checkpoint.position}, and the log ends at ${log.head}`
  return undefined
}

/** Whether all that is doubtful is that the log ends earlier, given that `doubtAbout` has a doubt. */
export const isBeyondHead = (checkpoint: CheckpointTable | undefined, logId: string): boolean =>
  checkpoint?.log_id === logId && checkpoint.version === readModelsVersion

/** What a statement over `placedFrom` gives beside the table's own columns. */
export interface PlacedRow {
  readonly models_position: Position
  /** The row's own; null where the table has no row. */
  readonly position: Position | null
}

/** What a statement over `changesFrom` gives beside the table's own columns. */
export interface ChangeRow extends PlacedRow {
  readonly too_old: boolean
}

/**
 * Opening of a statement that says at which place in the log its rows are: always gives a row, so that the place comes from the
 * snapshot of the rows.
 * @param rows must have a column `position`
 * @param more columns beside the rows' own
 */
export const placedFrom = (rows: string, more: readonly string[] = []): string =>
  `select ${['c.position as models_position', ...more, 't.*'].join(', ')}
   from checkpoint c left join lateral (${rows}) t on true where c.id = 1`

const isRow = ({ position }: PlacedRow): boolean => position !== null

/** Cuts the rows of such a statement, one more than asked for, into a page. */
export const placedPageOf = <Row extends PlacedRow, Item>(
  rows: readonly Row[],
  limit: number,
  item: (row: Row) => Item,
  key: (row: Row) => CursorKey,
): PlacedPage<Item> => ({
  ...pageOf(rows.filter(isRow), limit, item, key),
  position: rows[0]?.models_position ?? positionBeforeAll,
})

/** The same for changes: $2 is the position since which they are asked for. */
export const changesFrom = (rows: string): string =>
  placedFrom(rows, ['coalesce(c.purged_position >= $2, false) as too_old'])

/** Sorts the rows of such a statement into items and tombstones. */
export const changesOf = <Row extends ChangeRow, Item>(
  rows: readonly Row[],
  isRemoved: (row: Row) => boolean,
  item: (row: Row) => Item,
  id: (row: Row) => string,
): Changes<Item> | TooOld => {
  const [first] = rows
  if (first === undefined) return { items: [], removed: [], position: positionBeforeAll }
  if (first.too_old) return 'too-old'
  const present = rows.filter(isRow)
  return {
    items: present.filter(row => !isRemoved(row)).map(item),
    removed: present.filter(isRemoved).map(id),
    position: first.models_position,
  }
}
