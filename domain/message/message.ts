// Owns the rules of what can happen to one message after it was sent: who may recall it, and until when (Recall); whose
// receipts count (R34). Never sees the content that a recall takes away. That the caller may see the message at all is asked before.
// Stale facts can do this at worst: one who lost a role within the follow lag recalls one more message by it; one who left
// within it still gives a receipt.

import type { MessageType } from '../conversation/message-types.ts'
import { type Decider, type Decision, noRuleFor, type Rejection, reject } from '../decider.ts'
import { reaches } from '../group/permissions.ts'
import type { ConversationId, Instant, UserId } from '../ids.ts'
import { secondsBetween } from '../instants.ts'
import { limits } from '../limits.ts'
import type { GroupRole } from '../rows.ts'
import type { MessageEvent, MessageRecalled } from './events.ts'

export type { MessageEvent } from './events.ts'

export interface MessageState {
  readonly recalled: boolean
  /** Those who have given their receipt. */
  readonly readers: ReadonlySet<UserId>
}

export interface RecallMessage {
  readonly type: 'RecallMessage'
  readonly conversationId: ConversationId
  readonly seq: number
  readonly by: UserId
  readonly reason?: string
  readonly at: Instant
}

/** Says that somebody has read the message. */
export interface GiveReceipt {
  readonly type: 'GiveReceipt'
  readonly conversationId: ConversationId
  readonly seq: number
  readonly by: UserId
  readonly at: Instant
}

export type MessageCommand = RecallMessage | GiveReceipt

export interface MessageFacts {
  /** Of the message as it was sent; none of it ever changes. */
  readonly message: {
    readonly from: UserId
    readonly countable: number
    readonly counts: boolean
    readonly at: Instant
    readonly hadExt: boolean
    readonly type: MessageType
    /** Whom it asked for a receipt; null: nobody. */
    readonly receiptsFrom: readonly UserId[] | null
  }
  /** The caller's role in the group; null in a P2P conversation, and for former members. */
  readonly byRole: GroupRole | null
  /** The sender's role in the group; null in a P2P conversation, and for former members. */
  readonly fromRole: GroupRole | null
}

export type MessageRejection = 'message.not-sender' | 'message.recall-too-late' | 'message.not-recallable'

const nobody: ReadonlySet<UserId> = new Set()

const evolve = (state: MessageState, event: MessageEvent): MessageState => {
  switch (event.type) {
    case 'MessageRecalled':
      return { recalled: true, readers: nobody }
    case 'ReceiptGiven':
      return { recalled: state.recalled, readers: new Set(state.readers).add(event.data.by) }
    default:
      return state
  }
}

/** A role of the group recalls at any time; the sender, within the window. */
const refused = (command: RecallMessage, facts: MessageFacts): Rejection<MessageRejection> | undefined => {
  const { message, byRole, fromRole } = facts
  if (message.type === 'notification') {
    return reject('message.not-recallable', 'Notifications of the server cannot be recalled.')
  }
  const own = command.by === message.from
  // An admin's own message is, to them, as a plain member's.
  if (reaches('recallMessages', byRole, own && byRole === 'admin' ? 'member' : fromRole)) return undefined
  if (!own)
    return reject('message.not-sender', 'Only its sender, or one who stands above them in the group, can recall it.')
  if (secondsBetween(message.at, command.at) > limits.recallWindowSeconds) {
    return reject('message.recall-too-late', `A message can be recalled for ${limits.recallWindowSeconds} seconds.`)
  }
  return undefined
}

const recallMessage = (
  command: RecallMessage,
  state: MessageState,
  facts: MessageFacts,
): Decision<MessageEvent, MessageRejection> => {
  // First of all: a repeat after the window, or by somebody else, finds what it asked for.
  if (state.recalled) return []
  const refusal = refused(command, facts)
  if (refusal !== undefined) return refusal
  const { from, countable, counts, hadExt, receiptsFrom } = facts.message
  const data: MessageRecalled['data'] = {
    conversationId: command.conversationId,
    seq: command.seq,
    from,
    countable,
    counts,
    hadExt,
    ...(receiptsFrom === null ? {} : { hadReceipt: true }),
    by: command.by,
    ...(command.reason === undefined ? {} : { reason: command.reason }),
    at: command.at,
  }
  return [{ type: 'MessageRecalled', data }]
}

/** A receipt of one who was not asked, or is no member any more, or of what is recalled, says nothing: that is no error. */
const giveReceipt = (
  { conversationId, seq, by, at }: GiveReceipt,
  { recalled, readers }: MessageState,
  { message: { from, receiptsFrom }, byRole }: MessageFacts,
): readonly MessageEvent[] => {
  if (receiptsFrom === null || !receiptsFrom.includes(by) || byRole === null) return []
  if (recalled || readers.has(by)) return []
  const read = readers.size + 1
  const unread = receiptsFrom.length - read
  return [{ type: 'ReceiptGiven', data: { conversationId, seq, from, by, read, unread, at } }]
}

const readersPerWeight = 16

/** The rules of `message-<conversationId>.<seq>`. */
export const message: Decider<MessageState, MessageCommand, MessageEvent, MessageRejection, MessageFacts> = {
  category: 'message',
  load: { by: 'fold' },
  initial: { recalled: false, readers: nobody },
  weight: ({ readers }) => 1 + readers.size / readersPerWeight,
  evolve,
  decide: (command, state, facts) => {
    switch (command.type) {
      case 'RecallMessage':
        return recallMessage(command, state, facts)
      case 'GiveReceipt':
        return giveReceipt(command, state, facts)
      default:
        return noRuleFor(command)
    }
  },
}
