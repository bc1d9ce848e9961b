// Owns the rules of sending a message (R10, R16, R59–R67, R78): the hot path, decided on the head alone, allocating one event.
// Never folds the stream and never looks at earlier messages: repeats are recognised before a command comes here.
// Stale facts can do this at worst: a message of one who was removed, blocked, or whose group was dissolved within the
// follow lag still lands, and is delivered as any other.

import { type Decider, type Decision, noRuleFor, type Rejection, reject } from '../decider.ts'
import { sendRefused } from '../group/mutes.ts'
import { type Group, roleIn } from '../group/state.ts'
import { type ConversationId, type Instant, systemUserId, type UserId } from '../ids.ts'
import type { MessageContent } from './bodies.ts'
import type { ConversationEvent, MessageSent, NotificationBody } from './events.ts'
import { counts } from './message-types.ts'
import { askingReceipts } from './receipts.ts'

export type { MessageContent } from './bodies.ts'
export type { ConversationEvent, MessageSent, NotificationBody } from './events.ts'

/** What the newest message says about all before it. */
export interface ConversationState {
  readonly lastSeq: number
  readonly countable: number
  /** Empty before the first message: less than every instant. */
  readonly at: Instant | ''
}

export interface SendMessage {
  readonly type: 'SendMessage'
  readonly conversationId: ConversationId
  readonly from: UserId
  readonly clientMessageId: string
  readonly content: MessageContent
  /** Whether the sender wants to be told who reads it (R34). */
  readonly receipt?: boolean
  readonly at: Instant
}

/** The server tells the members of a group what happened to it (R65). */
export interface Notify {
  readonly type: 'Notify'
  readonly conversationId: ConversationId
  /** Id of the event it tells of. */
  readonly clientMessageId: string
  readonly body: NotificationBody
  readonly at: Instant
}

export type ConversationCommand = SendMessage | Notify

/** SendMessage goes with `p2p` or `group`, by the kind of conversation; Notify with `server`. */
export type ConversationFacts =
  | {
      readonly kind: 'p2p'
      /** The other one exists and the account is complete. */
      readonly recipientIsLive: boolean
      /** The sender is on the recipient's block list (R10). */
      readonly senderIsBlocked: boolean
      /** Only friends may write to each other here, and the two are none (R8). */
      readonly senderIsStranger: boolean
    }
  | {
      readonly kind: 'group'
      readonly group: Group
      /** Groups that may have more members than this have no receipts (X1). */
      readonly receiptMembersMax: number
    }
  | { readonly kind: 'server' }

export type ConversationRejection =
  | 'message.to-self'
  | 'message.blocked'
  | 'message.not-friends'
  | 'user.not-found'
  | 'conversation.not-found'
  | 'group.dissolved'
  | 'group.muted'
  | 'group.all-muted'
  | 'message.receipts-unavailable'

const evolve = (state: ConversationState, event: ConversationEvent): ConversationState =>
  event.type === 'MessageSent' ? { lastSeq: event.data.seq, countable: event.data.countable, at: event.data.at } : state

const colon = 58
const p2pPrefixLength = 4

/** Compares in place: taking the id apart would cost strings for every message. User ids hold no colon. */
const isFirstOf = (id: ConversationId, user: UserId): boolean =>
  id.startsWith(user, p2pPrefixLength) && id.charCodeAt(p2pPrefixLength + user.length) === colon

const isSecondOf = (id: ConversationId, user: UserId): boolean =>
  id.endsWith(user) && id.charCodeAt(id.length - user.length - 1) === colon

const refusedP2p = (
  command: SendMessage,
  facts: ConversationFacts & { kind: 'p2p' },
): Rejection<ConversationRejection> | undefined => {
  const first = isFirstOf(command.conversationId, command.from)
  const second = isSecondOf(command.conversationId, command.from)
  if (first && second) return reject('message.to-self', 'A message needs another user to go to.')
  // Defence in depth: whoever is not one of the two has no such conversation.
  if (!first && !second) return reject('conversation.not-found', 'There is no such conversation for you.')
  if (!facts.recipientIsLive) return reject('user.not-found', 'There is no such user.')
  if (facts.senderIsBlocked) return reject('message.blocked', 'This user does not receive messages from you.')
  if (facts.senderIsStranger) return reject('message.not-friends', 'Only friends can write to each other here.')
  return undefined
}

const refusedGroup = ({ from, at }: SendMessage, state: Group): Rejection<ConversationRejection> | undefined => {
  const role = roleIn(state, from)
  if (state.status === 'none' || role === null) {
    return reject('conversation.not-found', 'There is no such conversation for you.')
  }
  if (state.status === 'dissolved') return reject('group.dissolved', 'The group was dissolved. It can only be read.')
  return sendRefused(state, from, role, at)
}

const refused = (command: SendMessage, facts: ConversationFacts): Rejection<ConversationRejection> | undefined => {
  switch (facts.kind) {
    case 'p2p':
      return refusedP2p(command, facts)
    case 'group':
      return refusedGroup(command, facts.group)
    case 'server':
      throw new Error('SendMessage needs facts of its conversation')
  }
}

/** Time in a conversation never runs backwards, whichever node's clock stamped the command. */
const instantAfter = (state: ConversationState, at: Instant): Instant =>
  state.at !== '' && at < state.at ? state.at : at

/**
 * The order of the fields is the order on the wire. A text, of which there are most, is written out twice so that it pays for
 * no spread; the others are spread because only that keeps each type with its own body.
 */
const messageOf = (command: SendMessage, state: ConversationState): MessageSent => {
  const { conversationId, from, clientMessageId, content } = command
  const seq = state.lastSeq + 1
  const at = instantAfter(state, command.at)
  const countable = counts(content) ? state.countable + 1 : state.countable
  if (content.type !== 'text' || content.subType !== undefined) {
    return { type: 'MessageSent', data: { conversationId, seq, from, clientMessageId, ...content, at, countable } }
  }
  const { type, body, ext } = content
  return ext === undefined
    ? { type: 'MessageSent', data: { conversationId, seq, from, clientMessageId, type, body, at, countable } }
    : { type: 'MessageSent', data: { conversationId, seq, from, clientMessageId, type, body, ext, at, countable } }
}

const sendMessage = (
  command: SendMessage,
  state: ConversationState,
  facts: ConversationFacts,
): Decision<ConversationEvent, ConversationRejection> => {
  const refusal = refused(command, facts)
  if (refusal !== undefined) return refusal
  const sent = messageOf(command, state)
  return command.receipt === true ? askingReceipts(sent, facts) : [sent]
}

/** Always lands, also in a dissolved group: the dissolution itself is told this way (R16). */
const notify = (command: Notify, state: ConversationState): readonly ConversationEvent[] => {
  const { conversationId, clientMessageId, body } = command
  const data: MessageSent['data'] = {
    conversationId,
    seq: state.lastSeq + 1,
    from: systemUserId,
    clientMessageId,
    type: 'notification',
    body,
    at: instantAfter(state, command.at),
    countable: state.countable,
  }
  return [{ type: 'MessageSent', data }]
}

/** The rules of `conversation-<id>`. */
export const conversation: Decider<
  ConversationState,
  ConversationCommand,
  ConversationEvent,
  ConversationRejection,
  ConversationFacts
> = {
  category: 'conversation',
  load: { by: 'last' },
  initial: { lastSeq: 0, countable: 0, at: '' },
  evolve,
  decide: (command, state, facts) => {
    switch (command.type) {
      case 'SendMessage':
        return sendMessage(command, state, facts)
      case 'Notify':
        return notify(command, state)
      default:
        return noRuleFor(command)
    }
  },
}
