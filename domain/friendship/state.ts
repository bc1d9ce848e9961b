// Owns what is known of two people while commands between them are decided: whether they are friends, the request that waits,
// how the last one ended, and what each wrote down about the other.

import type { Instant, UserId } from '../ids.ts'
import type { FriendNote, FriendSource, FriendshipEvent, RequestMessage } from './events.ts'

export interface PendingRequest {
  readonly requestId: string
  readonly from: UserId
  readonly to: UserId
  readonly messages: readonly RequestMessage[]
  readonly source?: FriendSource
  readonly expiresAt: Instant
}

/** The last request that ended: whoever decides the same again is answered as the first time. */
export interface EndedRequest {
  readonly from: UserId
  readonly state: 'accepted' | 'rejected' | 'withdrawn' | 'expired'
}

export interface Friendship {
  /** When the two became friends; null while they are not. */
  readonly since: Instant | null
  readonly pending: PendingRequest | null
  readonly ended: EndedRequest | null
  /** By who wrote it. */
  readonly notes: Readonly<Record<UserId, FriendNote>>
}

export const strangers: Friendship = { since: null, pending: null, ended: null, notes: {} }

export const noNote: FriendNote = { starred: false }

/** What one of them wrote down. An id may be a word that every object answers to, such as `constructor`. */
export const noteBy = ({ notes }: Friendship, userId: UserId): FriendNote | undefined =>
  Object.hasOwn(notes, userId) ? notes[userId] : undefined

/** Of an event or a note, without what else stands beside it. */
export const noteOf = ({ remark, extension, starred }: FriendNote): FriendNote => ({
  ...(remark === undefined ? undefined : { remark }),
  ...(extension === undefined ? undefined : { extension }),
  starred,
})

const asked = (
  state: Friendship,
  event: Extract<FriendshipEvent, { type: 'FriendRequested' | 'FriendRequestRepeated' }>,
) => {
  const { at: _, ...pending } = event.data
  return { ...state, pending }
}

const ended = (state: Friendship, from: UserId, how: EndedRequest['state']): Friendship => ({
  ...state,
  pending: null,
  ended: { from, state: how },
})

export const evolve = (state: Friendship, event: FriendshipEvent): Friendship => {
  switch (event.type) {
    case 'FriendRequested':
    case 'FriendRequestRepeated':
      return asked(state, event)
    case 'FriendsMade':
      return { ...ended(state, event.data.from, 'accepted'), since: event.data.at }
    case 'FriendRequestRejected':
      return ended(state, event.data.from, 'rejected')
    case 'FriendRequestWithdrawn':
      return ended(state, event.data.from, 'withdrawn')
    case 'FriendRequestExpired':
      return ended(state, event.data.from, 'expired')
    case 'FriendDeleted':
      return { ...state, since: null, ended: null }
    case 'FriendNoted':
      return { ...state, notes: { ...state.notes, [event.data.by]: noteOf(event.data) } }
    default:
      return state
  }
}
