// Who hears of what happens between two people: both, each their own side; and of notifications, the one they are for.

import { describe, expect, test } from 'vitest'
import { account } from '../../domain/account/account.ts'
import type { UserId } from '../../domain/ids.ts'
import type { RouteFacts } from '../../realtime/actions.ts'
import { profileTopic, userTopic } from '../../realtime/protocol.ts'
import { route } from '../../realtime/router.ts'
import { ann, at, bob, cid, cursorAt, factsOf, listeners, recorded } from '../support/routing.ts'

const live = (userId: UserId) =>
  account.evolve(account.initial, {
    type: 'AccountCreated',
    data: { userId, name: `${userId}!`, identity: { kind: 'email', hmac: 'h' }, at },
  })
const facts = factsOf({ account: live })
const request = { requestId: 'r', from: ann, to: bob, messages: [{ text: 'hi', at }], expiresAt: at, at }
const asked = recorded(5, 'FriendRequested', request)
const made = (changes = {}) =>
  recorded(6, 'FriendsMade', { from: ann, to: bob, how: 'accepted', requestId: 'r', waited: true, at, ...changes })
const end = { requestId: 'r', from: ann, to: bob, at }

/** What both hear; a third one hears nothing. */
const heard = (event: Parameters<typeof route>[0], known: RouteFacts = facts) => {
  const { perform, heardBy } = listeners(ann, bob, cid)
  perform(route(event, known))
  expect(heardBy(cid)).toEqual([])
  return { ann: heardBy(ann), bob: heardBy(bob) }
}
const short = (frames: readonly { op: string; collection: string }[]) => frames.map(f => `${f.op} ${f.collection}`)

describe('friend requests', () => {
  test('are a row for both, and a notification for the one who is asked', () => {
    const both = heard(asked)
    const { messages } = request
    const row = { requestId: 'r', messages, state: 'pending', at, position: asked.position, expiresAt: at }
    const frame = { op: 'put', collection: 'friendRequests', cursor: cursorAt(5) }
    expect(both.ann).toEqual([{ ...frame, value: { userId: bob, direction: 'outgoing', ...row } }])
    expect(both.bob).toEqual([
      { ...frame, value: { userId: ann, direction: 'incoming', ...row } },
      {
        op: 'put',
        collection: 'notifications',
        cursor: cursorAt(5),
        value: {
          notificationId: 'r',
          kind: 'friendRequest',
          at,
          position: asked.position,
          by: ann,
          message: 'hi',
          state: 'pending',
        },
      },
    ])
  })

  test.each([
    ['FriendRequestRejected', 'rejected', true],
    ['FriendRequestExpired', 'expired', true],
    ['FriendRequestWithdrawn', 'withdrawn', false],
  ] as const)('that end with %s end for both, and who asked is told of what others did', (type, state, isTold) => {
    const both = heard(recorded(6, type, end))
    const set = { state, endedAt: at }
    const patch = { op: 'patch', cursor: cursorAt(6), set }
    expect(both.bob).toEqual([
      { ...patch, collection: 'friendRequests', id: ann },
      { ...patch, collection: 'notifications', id: 'r' },
    ])
    expect(both.ann[0]).toEqual({ ...patch, collection: 'friendRequests', id: bob })
    expect(both.ann.slice(1).map(frame => frame.value)).toMatchObject(
      isTold ? [{ kind: 'friendRequestResult', notificationId: 'r', by: bob, ...set }] : [],
    )
  })

  test('carry the reason to both', () => {
    const both = heard(recorded(6, 'FriendRequestRejected', { ...end, reason: 'no' }))
    for (const frames of [both.ann, both.bob]) expect(frames[0].set).toMatchObject({ reason: 'no' })
    expect(both.ann[1].value).toMatchObject({ message: 'no' })
  })
})

describe('two who became friends', () => {
  test('get each the other: profile, friend, the end of what waited, and who asked the answer', () => {
    const both = heard(made())
    const frame = { op: 'put', cursor: cursorAt(6) }
    expect(both.bob).toEqual([
      { ...frame, collection: 'users', value: expect.objectContaining({ userId: ann, name: 'ann!' }) },
      { ...frame, collection: 'friends', value: { userId: ann, since: at, starred: false } },
      expect.objectContaining({ op: 'patch', collection: 'friendRequests', id: ann }),
      expect.objectContaining({ op: 'patch', collection: 'notifications', id: 'r' }),
    ])
    expect(short(both.ann)).toEqual(['put users', 'put friends', 'patch friendRequests', 'put notifications'])
    expect(both.ann[3].value).toMatchObject({ kind: 'friendRequestResult', state: 'accepted', by: bob })
  })

  test('without a request that waited are told in one notification to the one who was not asked', () => {
    const both = heard(made({ how: 'direct', waited: false, message: 'hi' }))
    expect(short(both.ann)).toEqual(['put users', 'put friends'])
    expect(short(both.bob)).toEqual(['put users', 'put friends', 'put notifications'])
    expect(both.bob[2].value).toMatchObject({ kind: 'friendAdded', by: ann, message: 'hi', state: 'none' })
  })

  test('see only what they wrote down themselves', () => {
    const notes = { fromNote: { remark: 'Bobby', starred: true }, toNote: { extension: 'x', starred: false } }
    const both = heard(made(notes))
    expect(both.ann[1].value).toEqual({ userId: bob, since: at, remark: 'Bobby', starred: true })
    expect(both.bob[1].value).toEqual({ userId: ann, since: at, extension: 'x', starred: false })
    const noted = recorded(7, 'FriendNoted', { remark: 'B', starred: true, by: ann, userId: bob, since: at, at })
    const value = { userId: bob, since: at, remark: 'B', starred: true }
    expect(heard(noted)).toEqual({
      ann: [{ op: 'put', collection: 'friends', cursor: cursorAt(7), value }],
      bob: [],
    })
  })

  test('and part keep the profile of each other only where they have written', () => {
    const event = recorded(8, 'FriendDeleted', { by: ann, userId: bob, reason: 'deleted', at })
    const wrote = heard(event, factsOf({ head: () => ({ seq: 1 }) }))
    expect(wrote.ann).toEqual([{ op: 'remove', collection: 'friends', cursor: cursorAt(8), id: bob }])
    expect(wrote.bob).toEqual([{ op: 'remove', collection: 'friends', cursor: cursorAt(8), id: ann }])
    const never = heard(event)
    expect(short(never.ann)).toEqual(['remove friends', 'remove users'])
    expect(short(never.bob)).toEqual(['remove friends', 'remove users'])
  })

  test('tell it on their own topics', () => {
    const topics = route(made(), facts).flatMap(action => (action.do === 'publish' ? [action.topic] : []))
    expect(new Set(topics)).toEqual(new Set([userTopic(ann), userTopic(bob)]))
  })

  test('hear of what changes in the profile of each other, as long as they hold it', () => {
    const moves = (...[event, known]: Parameters<typeof route>) =>
      route(event, known).flatMap(action => (action.do === 'join' || action.do === 'leave' ? [action] : []))
    const both = (what: 'join' | 'leave') => [
      { do: what, userId: ann, topic: profileTopic(bob) },
      { do: what, userId: bob, topic: profileTopic(ann) },
    ]
    expect(moves(made(), facts)).toEqual(both('join'))
    const parted = recorded(8, 'FriendDeleted', { by: ann, userId: bob, reason: 'deleted', at })
    expect(moves(parted, facts)).toEqual(both('leave'))
    expect(moves(parted, factsOf({ head: () => ({ seq: 1 }) }))).toEqual([])
  })
})
