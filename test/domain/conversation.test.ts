// Sending messages and the server's notifications: seq without holes, time that never runs back, who may send (R10, R16, R65).

import { describe, expect, it } from 'vitest'
import {
  type ConversationEvent,
  type ConversationFacts,
  conversation,
  type MessageContent,
  type Notify,
  type SendMessage,
} from '../../domain/conversation/conversation.ts'
import { counts } from '../../domain/conversation/message-types.ts'
import { type Group, group } from '../../domain/group/group.ts'
import {
  type ConversationId,
  type GroupId,
  groupConversationId,
  type Instant,
  p2pConversationId,
  systemUserId,
  type UserId,
} from '../../domain/ids.ts'
import { sampleOf, sentTypes } from '../support/message-samples.ts'
import { fold, specify } from '../support/specify.ts'

const { given } = specify(conversation)
const at = '2026-11-23T08:00:00.000Z' as Instant
const later = '2026-11-23T08:00:01.000Z' as Instant
const ann = 'ann' as UserId
const bob = 'bob' as UserId
const eve = 'eve' as UserId
const p2p = p2pConversationId(ann, bob)
const groupId = 'g1' as GroupId
const inGroup = groupConversationId(groupId)
const free: ConversationFacts = { kind: 'p2p', recipientIsLive: true, senderIsBlocked: false, senderIsStranger: false }

const send = (from: UserId, conversationId: ConversationId = p2p): SendMessage => ({
  type: 'SendMessage',
  conversationId,
  from,
  clientMessageId: 'c1',
  content: { type: 'text', body: { text: 'hello' } },
  at,
})
const sent = (from: UserId, seq: number, sentAt = at, conversationId = p2p): ConversationEvent => ({
  type: 'MessageSent',
  data: {
    conversationId,
    seq,
    from,
    clientMessageId: 'c1',
    type: 'text',
    body: { text: 'hello' },
    at: sentAt,
    countable: seq,
  },
})

const open = fold(group, [
  {
    type: 'GroupCreated',
    data: {
      groupId,
      name: 'G',
      ownerId: ann,
      memberIds: [bob],
      memberLimit: 200,
      inviteMode: 'managers',
      memberCount: 2,
      by: ann,
      at,
    },
  },
])
const inState = (state: Group): ConversationFacts => ({ kind: 'group', group: state, receiptMembersMax: 100 })

describe('a message', () => {
  it('gets the next seq and the next countable number', () => {
    const state = given()
      .when(send(ann), free)
      .then([sent(ann, 1)])
    expect(state).toStrictEqual({ lastSeq: 1, countable: 1, at })
    given(sent(ann, 1))
      .when(send(bob), free)
      .then([sent(bob, 2)])
  })

  it('continues from the newest message alone', () => {
    const head: ConversationEvent = { type: 'MessageSent', data: { ...sent(ann, 41).data, countable: 30 } as never }
    given(head)
      .when(send(bob), free)
      .then([{ type: 'MessageSent', data: { ...sent(bob, 42).data, countable: 31 } as never }])
  })

  it('carries its ext, and no such field when it has none', () => {
    const [event] = conversation.decide(
      { ...send(ann), content: { type: 'text', body: { text: 'hello' }, ext: '{}' } },
      conversation.initial,
      free,
    ) as readonly ConversationEvent[]
    expect(event?.data).toStrictEqual({ ...sent(ann, 1).data, ext: '{}' })
    expect(sent(ann, 1).data).not.toHaveProperty('ext')
  })

  it.each(sentTypes)('of type %s is what was sent, and counts or not by its type', type => {
    for (const subType of [undefined, 3]) {
      const content = { ...sampleOf(type, 'hello'), ...(subType && { subType }), ext: '{}' } as MessageContent
      const countable = type === 'tip' ? 1 : 2
      const { conversationId, from, clientMessageId } = sent(bob, 2).data
      const data = { conversationId, seq: 2, from, clientMessageId, ...content, at, countable }
      const state = given(sent(ann, 1))
        .when({ ...send(bob), content }, free)
        .then([{ type: 'MessageSent', data }])
      expect(state).toStrictEqual({ lastSeq: 2, countable, at })
      expect(counts(content)).toBe(type !== 'tip')
    }
  })

  it('has the body of its type: no other compiles', () => {
    const contents: readonly MessageContent[] = [
      // @ts-expect-error a text has no URL
      { type: 'text', body: { url: 'https://example.com' } },
      // @ts-expect-error an image has a size
      { type: 'image', body: { url: 'https://example.com', width: 1, height: 1 } },
      // @ts-expect-error a custom message has a subType
      { type: 'custom', body: {} },
      // @ts-expect-error nobody sends a notification
      { type: 'notification', body: { event: 'groupDissolved', by: ann } },
    ]
    expect(contents).toHaveLength(4)
  })

  it('is never older than the one before, whatever the clock says', () => {
    given(sent(ann, 1, later))
      .when(send(bob), free)
      .then([sent(bob, 2, later)])
    given(sent(ann, 1))
      .when({ ...send(bob), at: later }, free)
      .then([sent(bob, 2, later)])
  })

  it('keeps nothing of a command beyond what clients may see', () => {
    const command = { ...send(ann), deviceSecret: 'x' } as SendMessage
    given()
      .when(command, free)
      .then([sent(ann, 1)])
  })
})

describe('a P2P message', () => {
  it('is refused to oneself', () => {
    for (const id of ['p2p:ann:ann', p2pConversationId(ann, ann)]) {
      given()
        .when(send(ann, id as ConversationId), free)
        .rejects('message.to-self')
    }
  })

  it('is refused from one who is not one of the two', () => {
    given().when(send(eve), free).rejects('conversation.not-found')
    for (const close of ['an', 'nn', 'ob', 'bo', 'ann.', '.bob', 'p2p', 'a', 'b']) {
      given()
        .when(send(close as UserId), free)
        .rejects('conversation.not-found')
    }
  })

  it('knows both sides where one id begins or ends with the other', () => {
    for (const [one, other] of [
      ['a', 'aa'],
      ['a', 'ba'],
      ['ab', 'b'],
    ] as unknown as [UserId, UserId][]) {
      const id = p2pConversationId(one, other)
      given()
        .when(send(one, id), free)
        .then([sent(one, 1, at, id)])
      given()
        .when(send(other, id), free)
        .then([sent(other, 1, at, id)])
    }
  })

  it('is refused to one who does not exist', () => {
    given()
      .when(send(ann), { kind: 'p2p', recipientIsLive: false, senderIsBlocked: false, senderIsStranger: false })
      .rejects('user.not-found')
  })

  it('is refused to one who blocks the sender (R10)', () => {
    given()
      .when(send(ann), { kind: 'p2p', recipientIsLive: true, senderIsBlocked: true, senderIsStranger: false })
      .rejects('message.blocked')
  })
})

describe('a group message', () => {
  it('of a stranger is refused where only friends may write, and of one blocked as a block (R8, R10)', () => {
    const stranger = { kind: 'p2p', recipientIsLive: true, senderIsStranger: true } as const
    given()
      .when(send(ann), { ...stranger, senderIsBlocked: false })
      .rejects('message.not-friends')
    given()
      .when(send(ann), { ...stranger, senderIsBlocked: true })
      .rejects('message.blocked')
  })

  it('comes from any member', () => {
    given()
      .when(send(ann, inGroup), inState(open))
      .then([sent(ann, 1, at, inGroup)])
    given()
      .when(send(bob, inGroup), inState(open))
      .then([sent(bob, 1, at, inGroup)])
  })

  it('is refused from strangers and former members as if there were no group', () => {
    given().when(send(eve, inGroup), inState(open)).rejects('conversation.not-found')
    given()
      .when(send(ann, inGroup), inState({ status: 'none' }))
      .rejects('conversation.not-found')
    const left = fold(
      group,
      [{ type: 'MembersRemoved', data: { groupId, userIds: [bob], reason: 'left', memberCount: 1, by: bob, at } }],
      open,
    )
    given().when(send(bob, inGroup), inState(left)).rejects('conversation.not-found')
  })

  it('is refused once the group was dissolved (R16)', () => {
    const dissolved = fold(group, [{ type: 'GroupDissolved', data: { groupId, by: ann, at } }], open)
    given().when(send(bob, inGroup), inState(dissolved)).rejects('group.dissolved')
    given().when(send(eve, inGroup), inState(dissolved)).rejects('conversation.not-found')
  })

  it('cannot be sent on the facts of the server', () => {
    expect(() => conversation.decide(send(ann, inGroup), conversation.initial, { kind: 'server' })).toThrow(
      /needs facts/,
    )
  })
})

describe('a notification (R65)', () => {
  const notify: Notify = {
    type: 'Notify',
    conversationId: inGroup,
    clientMessageId: 'event-1',
    body: { event: 'memberInvited', by: ann, targets: [bob] },
    at,
  }

  it('comes from the system, takes a seq, and does not count as unread', () => {
    const event: ConversationEvent = {
      type: 'MessageSent',
      data: {
        conversationId: inGroup,
        seq: 2,
        from: systemUserId,
        clientMessageId: 'event-1',
        type: 'notification',
        body: { event: 'memberInvited', by: ann, targets: [bob] },
        at: later,
        countable: 1,
      },
    }
    const state = given(sent(ann, 1, later, inGroup))
      .when(notify, { kind: 'server' })
      .then([event])
    expect(state).toStrictEqual({ lastSeq: 2, countable: 1, at: later })
    expect(counts(event.data)).toBe(false)
    expect(counts(sent(ann, 1).data)).toBe(true)
  })
})
