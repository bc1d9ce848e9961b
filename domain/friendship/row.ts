// Owns how a friend and a friend request look to each of the two people (R6, R9): the same over HTTP, in the sync and in live
// frames. Pure. What one wrote down about the other is shown to nobody else.

import type { Instant, Position, UserId } from '../ids.ts'
import type {
  FriendNote,
  FriendNoted,
  FriendRequested,
  FriendRequestRepeated,
  FriendSource,
  FriendsMade,
  RequestMessage,
} from './events.ts'
import { noNote, noteOf } from './state.ts'

export interface FriendRow extends FriendNote {
  /** The friend. */
  readonly userId: UserId
  readonly since: Instant
}

export type RequestDirection = 'incoming' | 'outgoing'
export type FriendRequestState = 'pending' | 'accepted' | 'rejected' | 'expired' | 'withdrawn'
export const friendRequestStates = ['pending', 'accepted', 'rejected', 'expired', 'withdrawn'] as const

/** The latest request between the user and another; an earlier one makes room for it. */
export interface FriendRequestRow {
  /** The other one. */
  readonly userId: UserId
  readonly direction: RequestDirection
  readonly requestId: string
  readonly messages: readonly RequestMessage[]
  readonly source?: FriendSource
  readonly state: FriendRequestState
  /** When it was last asked, and the place of that in the log: unread while the user's mark is before it. */
  readonly at: Instant
  readonly position: Position
  readonly expiresAt: Instant
  readonly reason?: string
  readonly endedAt?: Instant
}

/** What changes in a request's row when it ends. */
export interface EndedFields {
  readonly state: Exclude<FriendRequestState, 'pending'>
  readonly reason?: string
  readonly endedAt: Instant
}

/** The other one of two, as one of them sees it. */
export const peerOf = ({ from, to }: { readonly from: UserId; readonly to: UserId }, viewer: UserId): UserId =>
  viewer === from ? to : from

/** A new friend, as one of the two sees it. */
export const friendRowOf = (data: FriendsMade['data'], viewer: UserId): FriendRow => ({
  userId: peerOf(data, viewer),
  since: data.at,
  ...noteOf((viewer === data.from ? data.fromNote : data.toNote) ?? noNote),
})

/** A friend after the user wrote something down. */
export const notedRowOf = (data: FriendNoted['data']): FriendRow => ({
  userId: data.userId,
  since: data.since,
  ...noteOf(data),
})

/** A request that waits, as one of the two sees it. */
export const friendRequestRowOf = (
  data: (FriendRequested | FriendRequestRepeated)['data'],
  viewer: UserId,
  position: Position,
): FriendRequestRow => ({
  userId: peerOf(data, viewer),
  direction: viewer === data.to ? 'incoming' : 'outgoing',
  requestId: data.requestId,
  messages: data.messages,
  ...(data.source === undefined ? undefined : { source: data.source }),
  state: 'pending',
  at: data.at,
  position,
  expiresAt: data.expiresAt,
})
