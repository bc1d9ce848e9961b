// Owns the rules of one user's read marks over system notifications and friend requests (R6). What a notification tells of is
// an event of something else; here is only how far the user has seen. Reads one fact, the end of the log: a mark never lies
// beyond it, so that what is still to come is not read already. A stale fact leaves something unread at worst.

import { type Decider, noRuleFor } from '../decider.ts'
import type { Instant, Position, UserId } from '../ids.ts'
import type { NotificationEvent, ReadMarks } from './events.ts'

export type { NotificationEvent, ReadMarks } from './events.ts'

interface ReadCommand {
  readonly userId: UserId
  readonly upTo: Position
  readonly at: Instant
}

export interface ReadNotifications extends ReadCommand {
  readonly type: 'ReadNotifications'
}

export interface ReadFriendRequests extends ReadCommand {
  readonly type: 'ReadFriendRequests'
}

export type NotificationCommand = ReadNotifications | ReadFriendRequests

export interface NotificationFacts {
  /** The newest position of the log. */
  readonly head: Position
}

const evolve = (state: ReadMarks, event: NotificationEvent): ReadMarks => {
  switch (event.type) {
    case 'NotificationsRead':
    case 'FriendRequestsRead':
      return event.data.marks
    default:
      return state
  }
}

/** The event that moves one mark forward; nothing when it is there already. */
const moved = (
  type: NotificationEvent['type'],
  mark: keyof ReadMarks,
  { userId, upTo, at }: ReadCommand,
  state: ReadMarks,
  { head }: NotificationFacts,
): readonly NotificationEvent[] => {
  const before = state[mark]
  const to = upTo < head ? upTo : head
  return before !== null && before >= to ? [] : [{ type, data: { userId, marks: { ...state, [mark]: to }, at } }]
}

/** The rules of `notification-<userId>` (R6). */
export const notification: Decider<ReadMarks, NotificationCommand, NotificationEvent, never, NotificationFacts> = {
  category: 'notification',
  load: { by: 'last' },
  initial: { notifications: null, friendRequests: null },
  evolve,
  decide: (command, state, facts) => {
    switch (command.type) {
      case 'ReadNotifications':
        return moved('NotificationsRead', 'notifications', command, state, facts)
      case 'ReadFriendRequests':
        return moved('FriendRequestsRead', 'friendRequests', command, state, facts)
      default:
        return noRuleFor(command)
    }
  },
}
