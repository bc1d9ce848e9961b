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
    readonly by: UserId
    readonly reason?: string
    readonly at: Instant
  }
}

export type MessageEvent = MessageRecalled
