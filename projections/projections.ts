// Owns the list of all projections and the order they are applied in: the inbox looks at the messages as they are after the
// batch and at the conversations as they were before it, the notifications at the members as they are after it.

import type { RecordedEvent } from '../eventstore/port.ts'
import { accountProjection } from './account.ts'
import { announcementProjection } from './announcement.ts'
import { batchOf } from './batch.ts'
import { blocklistProjection } from './blocklist.ts'
import { conversationProjection } from './conversation.ts'
import type { Transaction } from './database.ts'
import { friendshipProjection } from './friendship.ts'
import { groupProjection } from './group.ts'
import { groupRequestProjection } from './group-request.ts'
import { inboxProjection } from './inbox.ts'
import { memberProjection } from './member.ts'
import { messageProjection } from './message.ts'
import { notificationProjection } from './notification.ts'
import { isAway } from './postgres.ts'
import type { Projection, ProjectionName } from './projection.ts'
import { sessionProjection } from './session.ts'

/** In the order they are applied. */
export const projections: readonly Projection[] = [
  accountProjection,
  sessionProjection,
  blocklistProjection,
  friendshipProjection,
  groupProjection,
  memberProjection,
  groupRequestProjection,
  announcementProjection,
  notificationProjection,
  messageProjection,
  inboxProjection,
  conversationProjection,
]

/** A projection cannot fold an event, or a batch with it: the cause says why. */
export class CannotFold extends Error {
  readonly projection: ProjectionName
  constructor(projection: ProjectionName, cause: unknown) {
    super(`${projection} cannot fold: ${cause instanceof Error ? cause.message : cause}`, { cause })
    this.projection = projection
  }
}

/** Folds a stretch of the log into the rows of these projections; events that none of them folds change nothing. @throws CannotFold, or what says that the database is away */
export const applyEvents = async (
  transaction: Transaction,
  events: readonly RecordedEvent[],
  of: readonly Projection[] = projections,
): Promise<void> => {
  const batch = batchOf(events)
  for (const { name, apply } of of) {
    await apply(transaction, batch).catch(error => {
      throw isAway(error) ? error : new CannotFold(name, error)
    })
  }
}
