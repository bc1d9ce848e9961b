// Owns what can happen to one message after it was sent. The stream exists only for a message that something happened to.
// Never carries the content that a recall takes away.

import type { ConversationId, Instant, UserId } from '../ids.ts'

export type MessageRecalled = {
  readonly type: 'MessageRecalled'
  readonly data: {
    readonly conversationId: ConversationId
    readonly seq: number
    /** Of the recalled message, so that a device that does not hold it can still correct its unread count. */
    readonly from: UserId
    readonly countable: number
    readonly counts: boolean
    /** Whether the message had an `ext`, which the recall takes away with the body. */
    readonly hadExt: boolean
    /** Whether it asked for receipts, which go with it. */
    readonly hadReceipt?: true
    readonly by: UserId
    readonly reason?: string
    readonly at: Instant
  }
}

/** One of those whom the message asked has read it (R34). */
export type ReceiptGiven = {
  readonly type: 'ReceiptGiven'
  readonly data: {
    readonly conversationId: ConversationId
    readonly seq: number
    /** Of the message: who hears of it. */
    readonly from: UserId
    readonly by: UserId
    /** How many have read it with this one, and how many of the asked have not. */
    readonly read: number
    readonly unread: number
    readonly at: Instant
  }
}

export type MessageEvent = MessageRecalled | ReceiptGiven
