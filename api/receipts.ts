// Owns the operations on read receipts in groups (R34): members say what they have read, a sender looks who has. How many have
// read a message stands in the sender's row of it.

import { z } from 'zod'
import { isRejection } from '../domain/decider.ts'
import { type ConversationId, type Position, streamOf } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { message } from '../domain/message/message.ts'
import type { VisibleMessage } from '../projections/message.ts'
import { receiptsOf } from '../projections/receipt.ts'
import { runCommand } from './commands.ts'
import type { OperationDependencies } from './dependencies.ts'
import { isRefusal, refuse } from './errors.ts'
import { conversationId, example, pageCursor, pageLimit, positionReply, reply, seq, seqInBody } from './fields.ts'
import { factsIn, noSuchMessage, seenMessages } from './message-access.ts'
import { type Call, type Operation, operation } from './operation.ts'

const giveParams = z.strictObject({ conversationId })
const giveBody = z.strictObject({ seqs: z.array(seqInBody).min(1).max(limits.receiptsPerCallMax) })

/** One command a message: each has a stream of its own, and a repeat finishes what a crash has left. */
const give = async (
  dependencies: OperationDependencies,
  call: Call<'user'>,
  args: z.output<typeof giveParams> & z.output<typeof giveBody>,
) => {
  const { node } = dependencies
  const by = call.caller.userId
  const id = args.conversationId as ConversationId
  const seqs = [...new Set(args.seqs)]
  const seen = await seenMessages(dependencies, by, id, seqs)
  if (isRefusal(seen)) return seen
  const factsOf = await factsIn(node, id, by)
  const giveOne = (of: number, found: VisibleMessage) => {
    const command = { type: 'GiveReceipt', conversationId: id, seq: of, by, at: node.clock.now() } as const
    return runCommand(node, call, message, streamOf.message(id, of), command, factsOf(found))
  }
  // Of a message that asks nobody nothing is kept, so nothing is looked for.
  const asking = [...seen].filter(([, { receiptsFrom }]) => receiptsFrom !== null)
  const outcomes = await Promise.all(asking.map(([of, found]) => giveOne(of, found)))
  let position: Position | undefined
  for (const outcome of outcomes) {
    if (isRejection(outcome)) return outcome
    if (position === undefined || outcome.position > position) position = outcome.position
  }
  return { position: position ?? node.position }
}

const listParams = z.strictObject({ conversationId, seq })
const listQuery = z.strictObject({
  state: z.enum(['read', 'unread']).optional().meta({
    description: 'Those who have read it, in the order in which they did, or those who have not; `read` unless said.',
  }),
  limit: pageLimit(),
  cursor: pageCursor.optional(),
})

const notSender = refuse('message.not-sender', 'Only its sender can see who has read a message.')
const noReceipts = refuse('receipt.not-found', 'This message asks for no receipts, or was recalled.')

const list = async (
  { database }: OperationDependencies,
  call: Call<'user'>,
  args: z.output<typeof listParams> & z.output<typeof listQuery>,
) => {
  const { userId } = call.caller
  const id = args.conversationId as ConversationId
  const found = await receiptsOf(database, userId, id, args.seq, { ...args, state: args.state ?? 'read' })
  if (found === undefined) return noSuchMessage
  if (found.from !== userId) return notSender
  if (!found.asks) return noReceipts
  const { read, unread, items, next } = found
  return { read, unread, items, next }
}

const usual = { tag: 'messages', callers: ['user'], frame: true, status: 200 } as const

/** Read receipts. */
export const receiptOperations: readonly Operation[] = [
  operation({
    ...usual,
    id: 'giveReceipts',
    method: 'POST',
    path: '/v1/conversations/:conversationId/receipts',
    summary: 'Say which messages I have read',
    description: [
      'Of the messages that ask me for a receipt; others may be named too, and change nothing. A message asks those who were in the',
      'group when it was sent, while they are in it. Once given, a receipt stays. If one of the messages is not for me, nothing happens.',
    ].join(' '),
    limit: 'commands',
    params: giveParams,
    body: giveBody,
    reply: positionReply,
    rejections: ['message.not-found'],
    example: {
      params: { conversationId: example.groupConversationId },
      body: { seqs: [1, 2] },
      reply: { position: example.position },
    },
    run: give,
  }),
  operation({
    ...usual,
    id: 'listReceipts',
    method: 'GET',
    path: '/v1/conversations/:conversationId/messages/:seq/receipts',
    summary: 'Who has read a message of mine, and who has not',
    limit: 'queries',
    params: listParams,
    query: listQuery,
    reply: z.object({
      read: reply.count.meta({ description: 'How many of those whom the message asked have read it.' }),
      unread: reply.count,
      items: z.array(z.object({ userId: reply.id, at: reply.instant.optional() })),
      next: reply.next,
    }),
    rejections: ['message.not-found', 'message.not-sender', 'receipt.not-found'],
    example: {
      params: { conversationId: example.groupConversationId, seq: 1 },
      query: { state: 'read', limit: 50 },
      reply: { read: 1, unread: 2, items: [{ userId: example.otherUserId, at: example.at }], next: null },
    },
    run: list,
  }),
]
