// Who may recall a message, and until when (Recall).

import { describe, expect, it } from 'vitest'
import { type ConversationId, type Instant, systemUserId, type UserId } from '../../domain/ids.ts'
import { instantPlusSeconds } from '../../domain/instants.ts'
import { type MessageEvent, type MessageFacts, message, type RecallMessage } from '../../domain/message/message.ts'
import type { GroupRole } from '../../domain/rows.ts'
import { specify } from '../support/specify.ts'

const { given } = specify(message)
const sentAt = '2026-11-23T08:00:00.000Z' as Instant
const inTime = instantPlusSeconds(sentAt, 120)
const tooLate = instantPlusSeconds(sentAt, 120.001)
const ann = 'ann' as UserId
const bob = 'bob' as UserId
const conversationId = 'group:g1' as ConversationId

const recall = (by: UserId, at: Instant): RecallMessage => ({ type: 'RecallMessage', conversationId, seq: 7, by, at })
const recalled = (by: UserId, at: Instant): Extract<MessageEvent, { type: 'MessageRecalled' }> => ({
  type: 'MessageRecalled',
  data: { conversationId, seq: 7, from: ann, countable: 5, counts: true, hadExt: false, by, at },
})
/** Ann's message, with the role of the one who recalls and of Ann. */
const facts = (byRole: GroupRole | null, fromRole: GroupRole | null): MessageFacts => ({
  message: { from: ann, countable: 5, counts: true, at: sentAt, hadExt: false, type: 'text', receiptsFrom: null },
  byRole,
  fromRole,
})

describe('recalling one’s own message', () => {
  it('works for two minutes', () => {
    expect(
      given()
        .when(recall(ann, inTime), facts(null, null))
        .then([recalled(ann, inTime)]),
    ).toStrictEqual({ recalled: true, readers: new Set() })
    given()
      .when(recall(ann, inTime), facts('member', 'member'))
      .then([recalled(ann, inTime)])
    given().when(recall(ann, tooLate), facts(null, null)).rejects('message.recall-too-late')
    given().when(recall(ann, tooLate), facts('member', 'member')).rejects('message.recall-too-late')
  })

  it('works at any time for the owner and for admins', () => {
    given()
      .when(recall(ann, tooLate), facts('owner', 'owner'))
      .then([recalled(ann, tooLate)])
    given()
      .when(recall(ann, tooLate), facts('admin', 'admin'))
      .then([recalled(ann, tooLate)])
  })

  it('carries the reason, and what a device needs to correct its count, but never the content', () => {
    given()
      .when(
        { ...recall(ann, inTime), reason: 'typo' },
        { ...facts(null, null), message: { ...facts(null, null).message, hadExt: true } },
      )
      .then([{ type: 'MessageRecalled', data: { ...recalled(ann, inTime).data, hadExt: true, reason: 'typo' } }])
  })
})

describe('recalling somebody else’s message', () => {
  it('is the owner’s right, at any time and for anybody’s', () => {
    for (const fromRole of ['admin', 'member', null] as const) {
      given()
        .when(recall(bob, tooLate), facts('owner', fromRole))
        .then([recalled(bob, tooLate)])
    }
  })

  it('is an admin’s right for plain and former members', () => {
    for (const fromRole of ['member', null] as const) {
      given()
        .when(recall(bob, tooLate), facts('admin', fromRole))
        .then([recalled(bob, tooLate)])
    }
    for (const fromRole of ['owner', 'admin'] as const) {
      given().when(recall(bob, inTime), facts('admin', fromRole)).rejects('message.not-sender')
    }
  })

  it('is nobody else’s right', () => {
    for (const fromRole of ['owner', 'admin', 'member', null] as const) {
      given().when(recall(bob, inTime), facts('member', fromRole)).rejects('message.not-sender')
      given().when(recall(bob, inTime), facts(null, fromRole)).rejects('message.not-sender')
    }
  })
})

describe('recalling', () => {
  it('does nothing when it was recalled already, also after the window', () => {
    given(recalled(ann, inTime)).when(recall(ann, tooLate), facts(null, null)).then([])
    given(recalled(bob, inTime)).when(recall(ann, tooLate), facts('member', 'member')).then([])
  })

  it('never works for a notification of the server, not even by the owner', () => {
    const notification = {
      ...facts('owner', null).message,
      from: systemUserId,
      type: 'notification' as const,
      counts: false,
    }
    given()
      .when(recall(ann, inTime), { ...facts('owner', null), message: notification })
      .rejects('message.not-recallable')
    given()
      .when(recall(ann, inTime), { ...facts(null, null), message: notification })
      .rejects('message.not-recallable')
  })
})
