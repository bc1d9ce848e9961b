// Owns the people, commands and events that tests of the rules between two people are told with: ann asks, bob is asked.

import type { FriendshipCommand, FriendshipEvent, RequestFacts, RoomFacts } from '../../domain/friendship/friendship.ts'
import type { Instant, UserId } from '../../domain/ids.ts'
import { instantPlusSeconds } from '../../domain/instants.ts'

type Data<Type extends FriendshipEvent['type']> = Extract<FriendshipEvent, { type: Type }>['data']

export const [ann, bob] = ['ann', 'bob'] as [string, string] as unknown as [UserId, UserId]
export const at = '2026-11-23T08:00:00.000Z' as Instant
export const later = '2026-11-23T09:00:00.000Z' as Instant
/** So many days after ann asked. */
export const days = (count: number): Instant => instantPlusSeconds(at, count * 86_400)

export const room = (changes: Partial<RoomFacts> = {}): RoomFacts => ({
  friendsMax: 3_000,
  ownFriends: 0,
  peerFriends: 0,
  ...changes,
})
export const facts = (changes: Partial<RequestFacts> = {}): RequestFacts => ({
  ...room(),
  ownRequests: 0,
  peerIsLive: true,
  peerPolicy: 'approval',
  isBlocked: false,
  group: undefined,
  ...changes,
})

export const request = (
  changes: Partial<Extract<FriendshipCommand, { type: 'RequestFriend' }>> = {},
): FriendshipCommand => ({ type: 'RequestFriend', by: ann, userId: bob, requestId: 'r1', at, ...changes })

export const asked = (
  changes: Partial<Data<'FriendRequested'>> = {},
  type: 'FriendRequested' | 'FriendRequestRepeated' = 'FriendRequested',
): FriendshipEvent => {
  const when = changes.at ?? at
  const data = {
    requestId: 'r1',
    from: ann,
    to: bob,
    messages: [],
    expiresAt: instantPlusSeconds(when, 604_800),
    at: when,
  }
  return { type, data: { ...data, ...changes } }
}
export const made = (changes: Partial<Data<'FriendsMade'>> = {}): FriendshipEvent => ({
  type: 'FriendsMade',
  data: { from: ann, to: bob, how: 'accepted', requestId: 'r1', waited: true, at, ...changes },
})
export const ended = (
  type: 'FriendRequestRejected' | 'FriendRequestWithdrawn' | 'FriendRequestExpired',
  changes: Partial<Data<'FriendRequestRejected'>> = {},
): FriendshipEvent => ({ type, data: { requestId: 'r1', from: ann, to: bob, at: later, ...changes } })
export const deleted = (changes: Partial<Data<'FriendDeleted'>> = {}): FriendshipEvent => ({
  type: 'FriendDeleted',
  data: { by: ann, userId: bob, reason: 'deleted', at, ...changes },
})
export const noted = (changes: Partial<Data<'FriendNoted'>> = {}): FriendshipEvent => ({
  type: 'FriendNoted',
  data: { starred: false, by: ann, userId: bob, since: at, at: later, ...changes },
})
