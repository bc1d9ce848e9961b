// Two people: asking (R6), answering (R7), ending (R8), and what each writes down about the other (R9).

import { describe, expect, it } from 'vitest'
import {
  type FriendshipCommand,
  type FriendshipEvent,
  friendship,
  type RequestFacts,
} from '../../domain/friendship/friendship.ts'
import { group } from '../../domain/group/group.ts'
import type { UserId } from '../../domain/ids.ts'
import { instantPlusSeconds } from '../../domain/instants.ts'
import { limits } from '../../domain/limits.ts'
import {
  ann,
  asked,
  at,
  bob,
  days,
  deleted,
  ended,
  facts,
  later,
  made,
  noted,
  request,
  room,
} from '../support/friendship.ts'
import { created, owner } from '../support/group.ts'
import { specify } from '../support/specify.ts'

const { given } = specify(friendship)
const accept = (by: UserId, userId: UserId, when = later): FriendshipCommand => ({
  type: 'AcceptFriendRequest',
  by,
  userId,
  at: when,
})
const rejectIt = (by: UserId, userId: UserId, reason?: string, when = later): FriendshipCommand => ({
  type: 'RejectFriendRequest',
  by,
  userId,
  ...(reason === undefined ? {} : { reason }),
  at: when,
})
const withdraw = (by: UserId, userId: UserId, when = later): FriendshipCommand => ({
  type: 'WithdrawFriendRequest',
  by,
  userId,
  at: when,
})
const remove = (by: UserId, userId: UserId): FriendshipCommand => ({ type: 'DeleteFriend', by, userId, at: later })
const close = (by: UserId, userId: UserId): FriendshipCommand => ({ type: 'EndFriendship', by, userId, at: later })
const note = (changes: Partial<Extract<FriendshipCommand, { type: 'NoteFriend' }>>): FriendshipCommand => ({
  type: 'NoteFriend',
  by: ann,
  userId: bob,
  at: later,
  ...changes,
})

describe('asking (R6)', () => {
  it('waits for an answer for seven days', () => {
    given().when(request(), facts()).then([asked()])
    expect(asked().data).toMatchObject({ expiresAt: instantPlusSeconds(at, 7 * 86_400) })
  })

  it('carries what was said and how they met', () => {
    const source = { kind: 'card' } as const
    given()
      .when(request({ message: 'It is me', source }), facts())
      .then([asked({ messages: [{ text: 'It is me', at }], source })])
  })

  it('makes friends at once where the other one takes anyone', () => {
    given()
      .when(request({ message: 'hi' }), facts({ peerPolicy: 'anyone' }))
      .then([made({ how: 'direct', waited: false, message: 'hi' })])
    // The request that waited ends with it.
    given(asked())
      .when(request({ requestId: 'r2', at: later }), facts({ peerPolicy: 'anyone' }))
      .then([made({ how: 'direct', at: later })])
  })

  it('is refused alike where the other one takes nobody and where they block the one who asks (R10)', () => {
    const refusals = [{ peerPolicy: 'nobody' }, { isBlocked: true }, { isBlocked: true, peerPolicy: 'anyone' }] as const
    const details = refusals.map(more => friendship.decide(request(), friendship.initial, facts(more)))
    for (const more of refusals) given().when(request(), facts(more)).rejects('friend.refused')
    expect(new Set(details.map(found => JSON.stringify(found))).size).toBe(1)
  })

  it('is refused for oneself, and for one who is not there', () => {
    given()
      .when(request({ userId: ann }), facts())
      .rejects('friend.self')
    given()
      .when(request(), facts({ peerIsLive: false }))
      .rejects('user.not-found')
  })

  it('of friends is refused, whatever policy and block say', () => {
    for (const more of [{}, { isBlocked: true }, { peerPolicy: 'anyone' }, { ownRequests: 100 }] as const) {
      given(made()).when(request(), facts(more)).rejects('friend.already-friends')
    }
    given(made(), deleted())
      .when(request({ at: later }), facts())
      .then([asked({ at: later })])
  })

  it('waits for so many others at most; one that waits can be repeated, and who takes anyone is no matter', () => {
    const full = facts({ ownRequests: limits.friendRequestsPendingPerUserMax })
    given().when(request(), full).rejects('friend.request-limit')
    given()
      .when(request(), facts({ ownRequests: limits.friendRequestsPendingPerUserMax - 1 }))
      .then([asked()])
    given(asked())
      .when(request({ at: later }), full)
      .then([asked({ at: later }, 'FriendRequestRepeated')])
    given()
      .when(request(), { ...full, peerPolicy: 'anyone' })
      .then([made({ how: 'direct', waited: false })])
    given(asked())
      .when(request({ by: bob, userId: ann, at: later }), full)
      .then([made({ how: 'crossed', at: later })])
    // One whose time is over waits no longer: another is another.
    given(asked())
      .when(request({ requestId: 'r2', at: days(7) }), full)
      .rejects('friend.request-limit')
  })

  it('of one who has asked as well makes friends at once, whatever policy, block and group say', () => {
    const crossing = request({ by: bob, userId: ann, requestId: 'r2', at: later, message: 'me too' })
    for (const more of [{}, { peerPolicy: 'nobody' }, { isBlocked: true }, { group: group.initial }] as const) {
      given(asked())
        .when(crossing, facts(more))
        .then([made({ how: 'crossed', at: later })])
    }
  })

  it('again adds the message to the request that waits, and begins its time anew', () => {
    given(asked({ messages: [{ text: 'one', at }] }))
      .when(request({ message: 'two', requestId: 'r2', at: later }), facts())
      .then([
        asked(
          {
            messages: [
              { text: 'one', at },
              { text: 'two', at: later },
            ],
            at: later,
          },
          'FriendRequestRepeated',
        ),
      ])
    given(asked())
      .when(request({ at: later }), facts())
      .then([asked({ at: later }, 'FriendRequestRepeated')])
  })

  it('again keeps how they met, unless it says another way', () => {
    const [source, other] = [{ kind: 'search' }, { kind: 'card' }] as const
    for (const [said, kept] of [
      [{}, source],
      [{ source: other }, other],
    ] as const) {
      given(asked({ source }))
        .when(request({ at: later, ...said }), facts())
        .then([asked({ at: later, source: kept }, 'FriendRequestRepeated')])
    }
    given(asked({ source }))
      .when(request({ at: later }), facts({ peerPolicy: 'anyone' }))
      .then([made({ how: 'direct', at: later, source })])
  })

  it('again and again keeps the last messages', () => {
    const messages = Array.from({ length: limits.friendRequestMessagesMax }, (_, index) => ({ text: `${index}`, at }))
    given(asked({ messages }))
      .when(request({ message: 'last', at: later }), facts())
      .then([
        asked({ messages: [...messages.slice(1), { text: 'last', at: later }], at: later }, 'FriendRequestRepeated'),
      ])
  })

  it('after the time of the last request is over says so, and asks anew', () => {
    const when = days(7)
    given(asked())
      .when(request({ requestId: 'r2', at: when }), facts())
      .then([ended('FriendRequestExpired', { at: when }), asked({ requestId: 'r2', at: when })])
  })

  it('is refused where either has as many friends as anybody may have', () => {
    given()
      .when(request(), facts({ ownFriends: 3, friendsMax: 3 }))
      .rejects('friend.limit')
    given()
      .when(request(), facts({ peerFriends: 3, friendsMax: 3 }))
      .rejects('friend.peer-limit')
    given()
      .when(request(), facts({ ownFriends: 2, peerFriends: 2, friendsMax: 3 }))
      .then([asked()])
  })
})

describe('asking by way of a group (R46)', () => {
  const of = (memberIds: UserId[], noFriendRequestsBetweenMembers: boolean, ownerId: UserId = owner) =>
    group.evolve(group.initial, created({ memberIds, ownerId, noFriendRequestsBetweenMembers }))
  const via = request({ source: { kind: 'group', groupId: 'g1' as never } })
  const when = (group: RequestFacts['group']) => given().when(via, facts({ group }))

  it('is for its members only', () => {
    when(of([bob], false)).rejects('group.not-found')
    when(of([ann], false)).rejects('group.target-not-member')
    when(of([ann, bob], false)).then([asked({ source: { kind: 'group', groupId: 'g1' as never } })])
  })

  it('is refused between plain members where the group says so, not for the owner', () => {
    when(of([ann, bob], true)).rejects('friend.group-forbids')
    when(of([bob], true, ann)).then([asked({ source: { kind: 'group', groupId: 'g1' as never } })])
  })
})

describe('accepting (R7)', () => {
  it('makes friends, by the one who was asked alone', () => {
    given(asked())
      .when(accept(bob, ann), room())
      .then([made({ at: later })])
    given(asked()).when(accept(ann, bob), room()).rejects('friend.request-not-found')
  })

  it('of a request that never was is impossible', () => {
    given().when(accept(bob, ann), room()).rejects('friend.request-not-found')
    given(asked(), ended('FriendRequestWithdrawn')).when(accept(bob, ann), room()).rejects('friend.request-not-found')
    given(made({ how: 'direct', waited: false }))
      .when(accept(ann, bob), room())
      .rejects('friend.request-not-found')
    given(asked(), made(), deleted()).when(accept(bob, ann), room()).rejects('friend.request-not-found')
  })

  it('again changes nothing; after another answer it is refused', () => {
    given(asked(), made()).when(accept(bob, ann), room()).then([])
    given(asked(), ended('FriendRequestRejected')).when(accept(bob, ann), room()).rejects('friend.request-ended')
  })

  it('is refused once the time is over, whether or not it was said', () => {
    given(asked())
      .when(accept(bob, ann, days(7)), room())
      .rejects('friend.request-ended')
    given(asked(), ended('FriendRequestExpired')).when(accept(bob, ann), room()).rejects('friend.request-ended')
    const justInTime = instantPlusSeconds(days(7), -0.001)
    given(asked())
      .when(accept(bob, ann, justInTime), room())
      .then([made({ at: justInTime })])
  })

  it('looks at the cap of both again', () => {
    given(asked())
      .when(accept(bob, ann), room({ ownFriends: 9, friendsMax: 9 }))
      .rejects('friend.limit')
    given(asked())
      .when(accept(bob, ann), room({ peerFriends: 9, friendsMax: 9 }))
      .rejects('friend.peer-limit')
  })
})

describe('rejecting and taking back (R7)', () => {
  it('ends the request, with a reason or without', () => {
    given(asked())
      .when(rejectIt(bob, ann))
      .then([ended('FriendRequestRejected')])
    given(asked())
      .when(rejectIt(bob, ann, 'no'))
      .then([ended('FriendRequestRejected', { reason: 'no' })])
    given(asked())
      .when(withdraw(ann, bob))
      .then([ended('FriendRequestWithdrawn')])
  })

  it('is for the one who was asked, and for the one who asked', () => {
    given(asked()).when(rejectIt(ann, bob)).rejects('friend.request-not-found')
    given(asked()).when(withdraw(bob, ann)).rejects('friend.request-not-found')
    given().when(rejectIt(bob, ann)).rejects('friend.request-not-found')
    given().when(withdraw(ann, bob)).rejects('friend.request-not-found')
  })

  it('again changes nothing; after another end it is refused', () => {
    given(asked(), ended('FriendRequestRejected')).when(rejectIt(bob, ann)).then([])
    given(asked(), ended('FriendRequestWithdrawn')).when(withdraw(ann, bob)).then([])
    given(asked(), made()).when(rejectIt(bob, ann)).rejects('friend.request-ended')
    given(asked(), made()).when(withdraw(ann, bob)).rejects('friend.request-ended')
    given(asked())
      .when(rejectIt(bob, ann, undefined, days(8)))
      .rejects('friend.request-ended')
    given(asked())
      .when(withdraw(ann, bob, days(8)))
      .rejects('friend.request-ended')
  })
})

describe('the time to answer (R7)', () => {
  const expire = (requestId: string, when = days(7)) => ({ type: 'ExpireFriendRequest', requestId, at: when }) as const

  it('is over after seven days, once, and of the request that is meant', () => {
    given(asked())
      .when(expire('r1'))
      .then([ended('FriendRequestExpired', { at: days(7) })])
    given(asked())
      .when(expire('r1', days(6)))
      .then([])
    given(asked()).when(expire('r2')).then([])
    given(asked(), made()).when(expire('r1')).then([])
  })

  it('begins anew when it is asked again', () => {
    given(asked(), asked({ at: days(6) }, 'FriendRequestRepeated'))
      .when(expire('r1'))
      .then([])
  })
})

describe('ending a friendship (R8)', () => {
  it('ends it for both, by either, once', () => {
    given(made())
      .when(remove(bob, ann))
      .then([deleted({ by: bob, userId: ann, at: later })])
    given(made(), deleted()).when(remove(bob, ann)).then([])
    given(asked()).when(remove(bob, ann)).then([])
  })

  it('lets them ask again', () => {
    given(made(), deleted())
      .when(request({ requestId: 'r2' }), facts())
      .then([asked({ requestId: 'r2' })])
  })

  it('is what closing an account does to friends, and it ends what waits', () => {
    given(made())
      .when(close(ann, bob))
      .then([deleted({ reason: 'accountClosed', at: later })])
    given(asked())
      .when(close(ann, bob))
      .then([ended('FriendRequestWithdrawn')])
    given(asked())
      .when(close(bob, ann))
      .then([ended('FriendRequestExpired')])
    given().when(close(bob, ann)).then([])
  })
})

describe('what one writes down about a friend (R9)', () => {
  it('is whole in every event, changed field by field, and each has their own', () => {
    given(made(), noted({ remark: 'Bobby', starred: true }))
      .when(note({ extension: '{}' }))
      .then([noted({ remark: 'Bobby', extension: '{}', starred: true })])
    given(made(), noted({ remark: 'Bobby', starred: true }))
      .when(note({ by: bob, userId: ann, starred: true }))
      .then([noted({ by: bob, userId: ann, starred: true })])
  })

  it('is taken away by null', () => {
    given(made(), noted({ remark: 'Bobby', extension: 'x' }))
      .when(note({ remark: null }))
      .then([noted({ extension: 'x' })])
  })

  it('that says nothing new changes nothing', () => {
    given(made())
      .when(note({ remark: null, starred: false }))
      .then([])
    given(made(), noted({ remark: 'B' }))
      .when(note({ remark: 'B' }))
      .then([])
  })

  it('is for friends only', () => {
    given()
      .when(note({ starred: true }))
      .rejects('friend.not-found')
    given(made(), deleted())
      .when(note({ starred: true }))
      .rejects('friend.not-found')
  })

  it('stays when they part, and stands again when they are friends again (R8)', () => {
    const before: FriendshipEvent[] = [made(), noted({ remark: 'Bobby' }), deleted()]
    given(...before)
      .when(request({ by: bob, userId: ann, requestId: 'r2' }), facts({ peerPolicy: 'anyone' }))
      .then([
        made({
          from: bob,
          to: ann,
          requestId: 'r2',
          how: 'direct',
          waited: false,
          toNote: { remark: 'Bobby', starred: false },
        }),
      ])
  })
})
