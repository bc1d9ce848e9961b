// Owns what can have happened to a user's read marks. Every event carries all marks after it, so that the newest is the state.

import type { Instant, Position, UserId } from '../ids.ts'

/** What lies at or before a mark was seen; null: nothing was. Marks never go back. */
export type ReadMarks = {
  /** Of the system notifications. */
  readonly notifications: Position | null
  /** Of the friend requests, which have a badge of their own (R6). */
  readonly friendRequests: Position | null
}

type ReadMarksData = { readonly userId: UserId; readonly marks: ReadMarks; readonly at: Instant }

export type NotificationsRead = { readonly type: 'NotificationsRead'; readonly data: ReadMarksData }
export type FriendRequestsRead = { readonly type: 'FriendRequestsRead'; readonly data: ReadMarksData }

export type NotificationEvent = NotificationsRead | FriendRequestsRead
