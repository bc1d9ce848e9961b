// Owns what can have happened between two people (R6–R9). `from` asks, `to` is asked; all events of one request carry its
// `requestId`. Each event says enough to make both people's rows from it alone.

import type { GroupId, Instant, UserId } from '../ids.ts'

/** How the one who asks came across the other. */
export type FriendSource =
  | { readonly kind: 'search' }
  | { readonly kind: 'card' }
  | { readonly kind: 'group'; readonly groupId: GroupId }

export type RequestMessage = { readonly text: string; readonly at: Instant }

type RequestData = {
  readonly requestId: string
  readonly from: UserId
  readonly to: UserId
  /** Personal: what was said with it, the oldest first; only the last ones are kept (R6). */
  readonly messages: readonly RequestMessage[]
  readonly source?: FriendSource
  readonly expiresAt: Instant
  readonly at: Instant
}

export type FriendRequested = { readonly type: 'FriendRequested'; readonly data: RequestData }

/** Asked once more while the request waits: the message is added, the time to answer begins anew. */
export type FriendRequestRepeated = { readonly type: 'FriendRequestRepeated'; readonly data: RequestData }

/** What each of the two wrote down about the other, nobody else sees it (R9). Kept when the friendship ends. */
export type FriendNote = {
  /** Personal. */
  readonly remark?: string
  /** Personal. */
  readonly extension?: string
  readonly starred: boolean
}

/** The two are friends. `from` asked, now or with the request that ends with this. */
export type FriendsMade = {
  readonly type: 'FriendsMade'
  readonly data: {
    readonly from: UserId
    readonly to: UserId
    /** `accepted`: by the one asked. `crossed`: who was asked asked as well. `direct`: who was asked takes anyone. */
    readonly how: 'accepted' | 'crossed' | 'direct'
    /** Of the request that ends with this; `direct` without one that waited: made for this. */
    readonly requestId: string
    /** Whether the request waited for an answer. */
    readonly waited: boolean
    /** Personal: what was said last. */
    readonly message?: string
    readonly source?: FriendSource
    /** Personal: what the two wrote down when they were friends before. */
    readonly fromNote?: FriendNote
    readonly toNote?: FriendNote
    readonly at: Instant
  }
}

type EndData = { readonly requestId: string; readonly from: UserId; readonly to: UserId; readonly at: Instant }

export type FriendRequestRejected = {
  readonly type: 'FriendRequestRejected'
  readonly data: EndData & {
    /** Personal. */
    readonly reason?: string
  }
}
export type FriendRequestWithdrawn = { readonly type: 'FriendRequestWithdrawn'; readonly data: EndData }
export type FriendRequestExpired = { readonly type: 'FriendRequestExpired'; readonly data: EndData }

/** They are friends no longer, neither of them; what they said to each other stays (R8). */
export type FriendDeleted = {
  readonly type: 'FriendDeleted'
  readonly data: {
    readonly by: UserId
    readonly userId: UserId
    readonly reason: 'deleted' | 'accountClosed'
    readonly at: Instant
  }
}

/** All that one wrote down about the other, after the change. */
export type FriendNoted = {
  readonly type: 'FriendNoted'
  readonly data: FriendNote & {
    readonly by: UserId
    readonly userId: UserId
    /** When the two became friends. */
    readonly since: Instant
    readonly at: Instant
  }
}

export type FriendshipEvent =
  | FriendRequested
  | FriendRequestRepeated
  | FriendsMade
  | FriendRequestRejected
  | FriendRequestWithdrawn
  | FriendRequestExpired
  | FriendDeleted
  | FriendNoted
