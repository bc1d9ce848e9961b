// Owns the rows of who may call what about friends (R6–R9). Between any two people of the stage nothing has happened yet.

import { type AccessCase, inGroup, needsSession, signedIn } from './authorisation-words.ts'

let number = 0
/** Different at each call. */
const unique = (text: string) => `${text} ${++number}`

export const friends: Readonly<Record<string, readonly AccessCase[]>> = {
  listFriends: [{ outcomes: signedIn('ok') }],
  getFriend: [
    {
      what: 'of somebody who is none',
      args: ({ guest }) => ({ userId: guest.userId }),
      missing: () => ({ userId: 'nobody' }),
      outcomes: signedIn('friend.not-found'),
    },
  ],
  updateFriend: [
    {
      what: 'who is none',
      args: ({ guest }) => ({ userId: guest.userId, starred: true }),
      missing: () => ({ userId: 'nobody', starred: true }),
      outcomes: signedIn('friend.not-found'),
    },
  ],
  deleteFriend: [
    { what: 'who is none', args: ({ guest }) => ({ userId: guest.userId }), outcomes: signedIn('nothing') },
  ],
  listFriendRequests: [{ outcomes: signedIn('ok') }],
  readFriendRequests: [{ outcomes: signedIn('ok') }],
  requestFriend: [
    {
      what: 'of the member',
      args: ({ people }) => ({ userId: people.member.userId, message: unique('hello') }),
      outcomes: needsSession({
        owner: 'ok',
        admin: 'ok',
        member: 'friend.self',
        exMember: 'ok',
        stranger: 'ok',
        blocked: 'friend.refused',
      }),
    },
    { what: 'of nobody', args: () => ({ userId: 'nobody' }), outcomes: signedIn('user.not-found') },
    {
      what: 'of a member by way of the group',
      args: ({ other, groupId }) => ({ userId: other.userId, source: { kind: 'group', groupId } }),
      missing: ({ other }) => ({ userId: other.userId, source: { kind: 'group', groupId: 'nogroup' } }),
      outcomes: inGroup('ok', 'ok', 'ok'),
    },
  ],
  acceptFriendRequest: [
    {
      what: 'that was never made',
      args: ({ guest }) => ({ userId: guest.userId }),
      missing: () => ({ userId: 'nobody' }),
      outcomes: signedIn('friend.request-not-found'),
    },
  ],
  rejectFriendRequest: [
    {
      what: 'that was never made',
      args: ({ guest }) => ({ userId: guest.userId }),
      missing: () => ({ userId: 'nobody' }),
      outcomes: signedIn('friend.request-not-found'),
    },
  ],
  withdrawFriendRequest: [
    {
      what: 'that was never made',
      args: ({ guest }) => ({ userId: guest.userId }),
      missing: () => ({ userId: 'nobody' }),
      outcomes: signedIn('friend.request-not-found'),
    },
  ],
}
