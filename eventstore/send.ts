// Owns the way of a message from a sender to the log: the hot path. Facts and duplicates come from memory, the rest is one
// queue and one append. Must never append the same (sender, clientMessageId) twice, through whatever node, after whatever crash.

import type { MessageContent } from '../domain/conversation/bodies.ts'
import { type ConversationCommand, type ConversationFacts, conversation } from '../domain/conversation/conversation.ts'
import type { NotificationBody } from '../domain/conversation/events.ts'
import { isRejection, type Rejection, reject } from '../domain/decider.ts'
import { group } from '../domain/group/group.ts'
import {
  type ConversationId,
  conversationParts,
  type Instant,
  type Position,
  streamOf,
  systemUserId,
  type UserId,
  unixMsOfUuidV7,
} from '../domain/ids.ts'
import { both, isPromise } from './at-hand.ts'
import type { Clock } from './clock.ts'
import { type Handle, Overloaded } from './handle.ts'
import { standingOf } from './relations.ts'
import { clockAhead, contentHashOf, type RecentSends, type SentMessage } from './sends.ts'
import type { States } from './states.ts'

/** Events the read models may lag before sends are held back; for how long a send waits for them, and how many may. */
export const holdBackLagEvents = 10_000
export const holdBackMsMax = 2_000
export const heldBackSendsMax = 20_000
const holdBackPollMs = 20

export interface SendCommand {
  readonly conversationId: ConversationId
  readonly from: UserId
  readonly clientMessageId: string
  readonly content: MessageContent
  /** Whether the sender wants to be told who reads it (R34). */
  readonly receipt?: boolean
}

/** A message that the server writes because of an event; the event's id is its key, the event's time its age (R65). */
export interface NotifyCommand {
  readonly conversationId: ConversationId
  readonly sourceId: string
  readonly sourceAt: Instant
  readonly body: NotificationBody
}

export interface SendReply {
  readonly seq: number
  readonly at: string
  readonly position: Position
  readonly repeated: boolean
}

interface UnderWay {
  /** Tells another request under the same key from the same one. */
  readonly request: string
  readonly reply: Promise<SendReply | Rejection>
}

const delay = (milliseconds: number) => new Promise<void>(resolve => setTimeout(resolve, milliseconds))

export interface SendDependencies {
  readonly clock: Clock
  readonly handle: Handle
  readonly load: States['load']
  readonly isLive: (userId: UserId) => boolean | Promise<boolean>
  readonly recentSends: RecentSends
  /** Finds an old send in the read models once they have passed `after`; undefined: never sent. */
  readonly lookUpSend: (from: UserId, clientMessageId: string, after: Position) => Promise<SentMessage | undefined>
  /** How many events the read models lag, if this process knows. */
  readonly readModelLagEvents: () => number
  /** Whether people who are no friends may write to each other (R8). */
  readonly strangersMayChat: boolean
  /** Groups that may have more members than this have no receipts (X1). */
  readonly receiptGroupMembersMax: number
}

const notFound = () =>
  reject(
    'conversation.not-found',
    'There is no such conversation for you. Check the id, or whether you are still a member.',
  )

/** Two of the same user name no conversation, but say what was meant: the rules have their own answer to that. */
const noConversation = ({ conversationId, from }: SendCommand) =>
  conversationId === `p2p:${from}:${from}`
    ? ({ kind: 'p2p', recipientIsLive: true, senderIsBlocked: false, senderIsStranger: false } as const)
    : notFound()

/** Builds the functions that send: facts and duplicates from memory, one queue, one append. */
export const createSend = (dependencies: SendDependencies) => {
  const { handle, load, isLive, recentSends, clock, strangersMayChat } = dependencies
  const { receiptGroupMembersMax: receiptMembersMax } = dependencies
  /** Sends on their way: the same key once more waits for the first one's outcome. */
  const underWay = new Map<string, UnderWay>()
  let heldBackSends = 0
  let nextLook: Promise<void> | undefined

  const factsOf = (command: SendCommand) => {
    const parts = conversationParts(command.conversationId)
    if (parts === undefined) return noConversation(command)
    if (parts.kind === 'group') {
      const held = load(group, streamOf.group(parts.groupId))
      return isPromise(held)
        ? held.then(({ state }) => ({ kind: 'group', group: state, receiptMembersMax }) as const)
        : ({ kind: 'group', group: held.state, receiptMembersMax } as const)
    }
    const [one, other] = parts.users
    if (command.from !== one && command.from !== other) return notFound()
    const recipient = command.from === one ? other : one
    const standing = standingOf(load, strangersMayChat, command.from, recipient)
    return both(isLive(recipient), standing, (recipientIsLive, { senderIsBlocked, senderIsStranger }) => ({
      kind: 'p2p' as const,
      recipientIsLive,
      senderIsBlocked,
      senderIsStranger,
    }))
  }

  const repeatOf = (conversationId: ConversationId, contentHash: number, sent: SentMessage): SendReply | Rejection =>
    sent.conversationId === conversationId && sent.contentHash === contentHash
      ? { seq: sent.seq, at: sent.at, position: sent.position, repeated: true }
      : reject(
          'idempotency.mismatch',
          'This clientMessageId was used for another message. Make a new one for a new message.',
        )

  /** Waits while the read models lag too far. All who wait look at the same times: one timer, however many they are. */
  const heldBack = async () => {
    const tooFar = () => new Overloaded('The read models are far behind. Try again in a moment.')
    if (heldBackSends >= heldBackSendsMax) throw tooFar()
    const untilMs = clock.unixMs() + holdBackMsMax
    heldBackSends++
    try {
      while (dependencies.readModelLagEvents() > holdBackLagEvents) {
        if (clock.unixMs() > untilMs) throw tooFar()
        nextLook ??= delay(holdBackPollMs).then(() => {
          nextLook = undefined
        })
        await nextLook
      }
    } finally {
      heldBackSends--
    }
  }

  /** The send of this key that the log already has, if any; the read models are asked only when memory cannot tell. */
  const earlier = async (from: UserId, key: string, madeMs: number | undefined): Promise<SentMessage | undefined> =>
    recentSends.decides(madeMs) ? undefined : dependencies.lookUpSend(from, key, recentSends.forgotten)

  const append = async (
    command: ConversationCommand,
    from: UserId,
    facts: ConversationFacts,
    contentHash: number,
    again: (sent: SentMessage) => SendReply | Rejection,
  ): Promise<SendReply | Rejection> => {
    const { conversationId, clientMessageId } = command
    const handled = await handle(conversation, streamOf.conversation(conversationId), command, {
      facts,
      // With the content: another one under the same key must never pass for the one in the log.
      seed: `${from}\n${clientMessageId}\n${contentHash}`,
      alreadyDone: () => recentSends.find(from, clientMessageId) !== undefined,
    })
    if (isRejection(handled)) return handled
    const data = handled.events[0]?.data
    if (data === undefined) {
      const sent = recentSends.find(from, clientMessageId)
      if (sent === undefined) throw new Error('a repeated send is not remembered')
      return again(sent)
    }
    const { seq, at } = data
    const position = handled.position
    recentSends.add(from, clientMessageId, { conversationId, seq, at, position, contentHash })
    return { seq, at, position, repeated: false }
  }

  const sendNow = async (
    command: SendCommand,
    contentHash: number,
    again: (sent: SentMessage) => SendReply | Rejection,
  ): Promise<SendReply | Rejection> => {
    const { from, clientMessageId } = command
    if (dependencies.readModelLagEvents() > holdBackLagEvents) await heldBack()
    const madeMs = unixMsOfUuidV7(clientMessageId)
    if (!recentSends.decides(madeMs)) {
      const sent = await earlier(from, clientMessageId, madeMs)
      if (sent !== undefined) return again(sent)
    }
    const found = factsOf(command)
    const facts = isPromise(found) ? await found : found
    if (isRejection(facts)) return facts
    return append({ type: 'SendMessage', ...command, at: clock.now() }, from, facts, contentHash, again)
  }

  /** Runs one send of a key at a time: the same one once more waits for the first one's outcome. */
  const once = (
    from: UserId,
    key: string,
    request: string,
    send: () => Promise<SendReply | Rejection>,
    again: (sent: SentMessage) => SendReply | Rejection,
  ): Promise<SendReply | Rejection> => {
    const known = recentSends.find(from, key)
    if (known !== undefined) return Promise.resolve(again(known))
    const id = `${from}\n${key}`
    const first = underWay.get(id)
    if (first !== undefined) {
      return first.reply.then(outcome => {
        const sent = recentSends.find(from, key)
        if (sent !== undefined) return again(sent)
        // What was refused was not sent: another request under the same key gets its own answer.
        return first.request === request ? outcome : once(from, key, request, send, again)
      })
    }
    const reply = send().finally(() => underWay.delete(id))
    underWay.set(id, { request, reply })
    return reply
  }

  const send = (command: SendCommand): Promise<SendReply | Rejection> => {
    const { conversationId, from, clientMessageId } = command
    const ahead = clockAhead(clock, clientMessageId)
    if (ahead !== undefined) return Promise.resolve(ahead)
    const contentHash = contentHashOf(command.content, command.receipt)
    const again = (sent: SentMessage) => repeatOf(conversationId, contentHash, sent)
    const request = `${conversationId} ${contentHash}`
    return once(from, clientMessageId, request, () => sendNow(command, contentHash, again), again)
  }

  const notify = ({ conversationId, sourceId, sourceAt, body }: NotifyCommand): Promise<SendReply | Rejection> => {
    // The event's id is the whole key: what was said of the event stands, also when it would be said otherwise today.
    const again = ({ seq, at, position }: SentMessage) => ({ seq, at, position, repeated: true })
    const notifyNow = async () => {
      const sent = await earlier(systemUserId, sourceId, Date.parse(sourceAt))
      if (sent !== undefined) return again(sent)
      const command = { type: 'Notify', conversationId, clientMessageId: sourceId, body, at: clock.now() } as const
      return append(command, systemUserId, { kind: 'server' }, contentHashOf({ type: 'notification', body }), again)
    }
    return once(systemUserId, sourceId, conversationId, notifyNow, again)
  }

  return { send, notify }
}
