// Who hears of a message, of its recall and of who has read it: pure, event by event.

import { describe, expect, test } from 'vitest'
import { account } from '../../domain/account/account.ts'
import type { MessageSent } from '../../domain/conversation/events.ts'
import type { UserId } from '../../domain/ids.ts'
import { groupTopic, userTopic } from '../../realtime/protocol.ts'
import { needsOf, route } from '../../realtime/router.ts'
import {
  ann,
  at,
  bob,
  cid,
  cursorAt,
  factsOf,
  framesOf,
  groupId,
  inGroup,
  listeners,
  message,
  p2p,
  positionAt,
  recalled,
  receipt,
  recorded,
} from '../support/routing.ts'

describe('a message', () => {
  test('goes once to the topic of its group, as it was recorded, with its place', () => {
    const event = message(5, 2, ann)
    const actions = route(event, factsOf())
    expect(actions).toMatchObject([{ do: 'message', topics: [groupTopic(groupId)], conversationId: inGroup, seq: 2 }])
    expect(framesOf(actions)[0]?.frame).toEqual({
      op: 'put',
      collection: 'messages',
      cursor: cursorAt(5),
      value: { ...event.data, position: positionAt(5) },
    })
  })

  test('of two people goes to both', () => {
    const [sent] = framesOf(route(message(5, 2, ann, p2p), factsOf()))
    expect(sent?.topics).toEqual([userTopic(ann), userTopic(bob)])
  })

  test('needs nothing to be known, save the first one of two people', () => {
    expect(needsOf(message(5, 2, ann, p2p))).toEqual([])
    expect(needsOf(message(5, 1, ann, inGroup))).toEqual([])
    expect(needsOf(message(5, 1, ann, p2p))).toEqual([
      { what: 'account', userId: ann },
      { what: 'account', userId: bob },
    ])
  })

  test('the first one of two people brings each the other and the conversation, before the message', () => {
    const accountOf = (userId: UserId) =>
      account.evolve(account.initial, {
        type: 'AccountCreated',
        data: { userId, name: `Name of ${userId}`, identity: { kind: 'phone', hmac: 'h' }, phone: '+49', at },
      })
    const { perform, heardBy } = listeners(ann, bob)
    perform(route(message(5, 1, ann, p2p), factsOf({ account: accountOf })))
    const peerOf = (userId: UserId) => ({ userId, name: `Name of ${userId}` })
    const conversation = { conversationId: p2p, kind: 'p2p', lastSeq: 0, unread: 0, readSeq: 0, lastMessage: null }
    expect(heardBy(ann)).toMatchObject([
      { collection: 'users', value: peerOf(bob) },
      { collection: 'conversations', value: conversation },
      { collection: 'messages' },
    ])
    expect(heardBy(bob)[0].value).toEqual(peerOf(ann))
  })
})

describe('a recall', () => {
  test('tells both what to forget and never what it was, once for the message and the list', () => {
    const fields = { body: {}, from: ann, countable: 3, counts: true, recalled: { at, by: ann } }
    const patch = { op: 'patch', collection: 'messages', cursor: cursorAt(30), id: `${p2p}#3` }
    for (const hadExt of [true, false]) {
      const set = hadExt ? { ...fields, ext: null } : fields
      expect(framesOf(route(recalled(3, hadExt), factsOf()))).toEqual([
        { topics: [userTopic(ann)], frame: { ...patch, set } },
        { topics: [userTopic(bob)], frame: { ...patch, set } },
      ])
    }
    expect(needsOf(recalled(3))).toEqual([])
  })
})

describe('a read receipt (R34)', () => {
  test('is told to the sender alone, as numbers that hold by themselves', () => {
    expect(framesOf(route(receipt, factsOf()))).toEqual([
      {
        topics: [userTopic(ann)],
        frame: {
          op: 'patch',
          collection: 'messages',
          cursor: cursorAt(31),
          id: `${inGroup}#3`,
          set: { receipt: { read: 1, unread: 2 } },
        },
      },
    ])
    expect(needsOf(receipt)).toEqual([])
  })

  test('is asked for without a word of who is asked', () => {
    const { data } = message(5, 2, ann)
    const asking = recorded(5, 'MessageSent', { ...(data as MessageSent['data']), receiptsFrom: [bob, cid] })
    expect(framesOf(route(asking, factsOf()))).toMatchObject([{ topics: [groupTopic(groupId)] }])
    expect(framesOf(route(asking, factsOf()))[0]?.frame.value).toEqual({
      ...data,
      receipt: { read: 0, unread: 2 },
      position: positionAt(5),
    })
  })

  test('goes with the message when it is recalled', () => {
    const event = recalled(3)
    const asked = { ...event, data: { ...event.data, hadReceipt: true as const } }
    expect(framesOf(route(asked, factsOf()))[0]?.frame.set).toMatchObject({ body: {}, receipt: null })
  })
})
