// Read receipts in groups (R34, X1): whom a message asks, who counts, and what a recall leaves of them.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type ConversationEvent,
  type ConversationFacts,
  conversation,
  type SendMessage,
} from '../../domain/conversation/conversation.ts'
import { isRejection } from '../../domain/decider.ts'
import { type GroupEvent, group } from '../../domain/group/group.ts'
import { groupConversationId, p2pConversationId, type UserId } from '../../domain/ids.ts'
import {
  type GiveReceipt,
  type MessageCommand,
  type MessageEvent,
  type MessageFacts,
  message,
} from '../../domain/message/message.ts'
import type { GroupRole } from '../../domain/rows.ts'
import { messageText } from '../../domain/rows.ts'
import {
  added,
  at,
  created,
  dissolved,
  groupId,
  later,
  member,
  owner,
  removed,
  second,
  stranger,
} from '../support/group.ts'
import { fold, specify } from '../support/specify.ts'

const inGroup = groupConversationId(groupId)

describe('a message that asks for receipts (R34)', () => {
  const { given } = specify(conversation)
  const small: GroupEvent = created({ memberIds: [member, second], memberLimit: 100 })
  const factsOf = (events: readonly GroupEvent[], receiptMembersMax = 100): ConversationFacts => ({
    kind: 'group',
    group: fold(group, events),
    receiptMembersMax,
  })
  const send: SendMessage = {
    type: 'SendMessage',
    conversationId: inGroup,
    from: member,
    clientMessageId: 'c1',
    content: { type: 'text', body: { text: 'hello' } },
    receipt: true,
    at,
  }
  const plain = {
    conversationId: inGroup,
    seq: 1,
    from: member,
    clientMessageId: 'c1',
    type: 'text' as const,
    body: { text: 'hello' },
    at,
    countable: 1,
  }
  const sent = (receiptsFrom: readonly UserId[]): ConversationEvent => ({
    type: 'MessageSent',
    data: { ...plain, receiptsFrom },
  })

  it('asks the members of that moment, and not its sender', () => {
    given()
      .when(send, factsOf([small]))
      .then([sent([owner, second])])
    given()
      .when(send, factsOf([small, added([stranger], 4, owner), removed([second], 3, owner)]))
      .then([sent([owner, stranger])])
    given()
      .when({ ...send, from: owner }, factsOf([created({ memberIds: [], memberLimit: 100 })]))
      .then([{ type: 'MessageSent', data: { ...plain, from: owner, receiptsFrom: [] } }])
  })

  it('carries no such field when it does not ask', () => {
    const { receipt: _, ...without } = send
    for (const command of [without, { ...send, receipt: false }]) {
      given()
        .when(command, factsOf([created({ memberLimit: 200 })]))
        .then([{ type: 'MessageSent', data: plain }])
    }
  })

  it('is refused where the group may have more members than the limit, however many it has (X1)', () => {
    const large = created({ memberIds: [member], memberLimit: 101 })
    given()
      .when(send, factsOf([large]))
      .rejects('message.receipts-unavailable')
    given()
      .when(send, factsOf([large], 101))
      .then([sent([owner])])
    given()
      .when(send, factsOf([small], 99))
      .rejects('message.receipts-unavailable')
    given()
      .when(send, factsOf([small], 0))
      .rejects('message.receipts-unavailable')
  })

  it('is refused between two people', () => {
    const p2p = { kind: 'p2p', recipientIsLive: true, senderIsBlocked: false, senderIsStranger: false } as const
    given()
      .when({ ...send, conversationId: p2pConversationId(member, owner) }, p2p)
      .rejects('message.receipts-unavailable')
  })

  it('is refused for what any message is refused for, before anything is said of receipts', () => {
    const large = created({ memberIds: [member], memberLimit: 5_000 })
    given()
      .when({ ...send, from: stranger }, factsOf([large]))
      .rejects('conversation.not-found')
    given()
      .when(send, factsOf([large, dissolved]))
      .rejects('group.dissolved')
  })

  it('shows everybody how many are asked, and nobody who', () => {
    const data = { ...plain, receiptsFrom: [owner, second] }
    const event = { data, text: JSON.stringify(data), position: '00000000000004d2' as never }
    expect(JSON.parse(messageText(event))).toStrictEqual({
      ...plain,
      receipt: { read: 0, unread: 2 },
      position: event.position,
    })
    expect(JSON.parse(messageText({ ...event, data: plain, text: JSON.stringify(plain) }))).toStrictEqual({
      ...plain,
      position: event.position,
    })
  })
})

const { given } = specify(message)
const asked = [owner, second, stranger]
const facts = (byRole: GroupRole | null = 'member', receiptsFrom: readonly UserId[] | null = asked): MessageFacts => ({
  message: { from: member, countable: 1, counts: true, at, hadExt: false, type: 'text', receiptsFrom },
  byRole,
  fromRole: 'member',
})
const give = (by: UserId): GiveReceipt => ({ type: 'GiveReceipt', conversationId: inGroup, seq: 1, by, at: later })
const receipt = (by: UserId, read: number, unread: number): MessageEvent => ({
  type: 'ReceiptGiven',
  data: { conversationId: inGroup, seq: 1, from: member, by, read, unread, at: later },
})
const recall = { type: 'RecallMessage', conversationId: inGroup, seq: 1, by: member, at } as const
const recalled: MessageEvent = {
  type: 'MessageRecalled',
  data: {
    conversationId: inGroup,
    seq: 1,
    from: member,
    countable: 1,
    counts: true,
    hadExt: false,
    hadReceipt: true,
    by: member,
    at,
  },
}

describe('a receipt (R34)', () => {
  it('says how many have read and how many have not', () => {
    given()
      .when(give(owner), facts('owner'))
      .then([receipt(owner, 1, 2)])
    given(receipt(owner, 1, 2))
      .when(give(second), facts())
      .then([receipt(second, 2, 1)])
  })

  it('counts once', () => {
    given(receipt(owner, 1, 2))
      .when(give(owner), facts('owner'))
      .then([])
  })

  it('is nothing from one who was not asked: the sender, or who came later', () => {
    given().when(give(member), facts()).then([])
    given()
      .when(give(stranger), facts('member', [owner, second]))
      .then([])
  })

  it('is nothing from one who is no member any more, and counts when they are back', () => {
    given().when(give(second), facts(null)).then([])
    given()
      .when(give(second), facts('member'))
      .then([receipt(second, 1, 2)])
  })

  it('is nothing for a message that asks nobody', () => {
    given().when(give(second), facts('member', null)).then([])
    given().when(give(second), facts('member', [])).then([])
  })

  it('is nothing once the message is recalled', () => {
    given(recalled).when(give(second), facts()).then([])
  })

  it('does not keep the message from being recalled, and goes with it', () => {
    given(receipt(owner, 1, 2))
      .when(recall, facts())
      .then([recalled])
    given(receipt(owner, 1, 2), recalled)
      .when(give(second), facts())
      .then([])
    given(receipt(owner, 1, 2), recalled)
      .when(recall, facts())
      .then([])
  })

  it('whoever gives them in whatever order: each of the asked counts once, and none is lost', () => {
    const people = Array.from({ length: 12 }, (_, index) => `u${index}` as UserId)
    const command = fc.oneof(
      { weight: 20, arbitrary: fc.constantFrom(...people).map((by): MessageCommand => give(by)) },
      { weight: 1, arbitrary: fc.constant<MessageCommand>(recall) },
    )
    fc.assert(
      fc.property(fc.subarray(people), fc.subarray(people), fc.array(command), (snapshot, members, commands) => {
        const events: MessageEvent[] = []
        let state = message.initial
        const readers = new Set<UserId>()
        for (const one of commands) {
          const isMember = members.includes(one.by)
          const decided = message.decide(one, state, facts(isMember ? 'member' : null, snapshot))
          if (isRejection(decided)) throw new Error(decided.rejected)
          const isOver = state.recalled
          const isNews = one.type === 'GiveReceipt' && isMember && snapshot.includes(one.by) && !readers.has(one.by)
          expect(decided.length).toBe(!isOver && (isNews || one.type === 'RecallMessage') ? 1 : 0)
          for (const event of decided) {
            events.push(event)
            state = message.evolve(state, event)
            if (event.type !== 'ReceiptGiven') continue
            readers.add(event.data.by)
            const { read, unread } = event.data
            expect({ read, all: read + unread }).toEqual({ read: readers.size, all: snapshot.length })
            expect(unread).toBeGreaterThanOrEqual(0)
          }
        }
        expect(fold(message, events)).toStrictEqual(state)
      }),
    )
  })
})
