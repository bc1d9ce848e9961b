// Owns what a projection is. It folds events into the rows of its own tables, and reads no table but these and those of
// the projections it names: that is what lets it be rebuilt beside the one that serves.

import type { EventType } from '../domain/events.ts'
import type { Batch } from './batch.ts'
import type { Transaction } from './database.ts'
import type { TableName } from './schema.ts'

export type ProjectionName =
  | 'account'
  | 'session'
  | 'blocklist'
  | 'friendship'
  | 'group'
  | 'member'
  | 'group-request'
  | 'announcement'
  | 'notification'
  | 'message'
  | 'inbox'
  | 'conversation'

export interface Projection {
  readonly name: ProjectionName
  readonly tables: readonly TableName[]
  /** Projections whose tables `apply` reads; a rebuild takes them along. */
  readonly reads: readonly ProjectionName[]
  readonly folds: readonly EventType[]
  /** Folds a batch, in log order, in memory, and writes set-based: never a statement an event. */
  readonly apply: (transaction: Transaction, batch: Batch) => Promise<void>
}
