// Owns the operations on messages (R31, R57, R59–R67, recall): send, page through history, recall.
// Sending is the hot path: it hands over and adds nothing.

import { z } from 'zod'
import { messageTypes } from '../domain/conversation/message-types.ts'
import { isRejection } from '../domain/decider.ts'
import { type ConversationId, streamOf } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { message } from '../domain/message/message.ts'
import { type HistoryPlace, historyPage, type VisibleMessage } from '../projections/message.ts'
import { runCommand } from './commands.ts'
import type { OperationDependencies } from './dependencies.ts'
import { isRefusal } from './errors.ts'
import {
  conversationId,
  example,
  givenInstant,
  listOfText,
  pageLimit,
  position,
  positionReply,
  reply,
  seq,
  text,
  wholeNumber,
} from './fields.ts'
import { noSuchConversation } from './inbox-access.ts'
import { factsIn, seenMessages } from './message-access.ts'
import { contentOf, sendBody, sendExamples } from './message-bodies.ts'
import { type Call, type Operation, operation, rawJson } from './operation.ts'

type Dependencies = OperationDependencies

const sendParams = z.strictObject({ conversationId })

const send = async (
  { node }: Dependencies,
  call: Call<'user'>,
  args: z.output<typeof sendParams> & z.output<typeof sendBody>,
) => {
  const sent = await node.send({
    conversationId: args.conversationId as ConversationId,
    from: call.caller.userId,
    clientMessageId: args.clientMessageId,
    content: contentOf(args),
    receipt: args.receipt === true,
  })
  return isRejection(sent) ? sent : { seq: sent.seq, at: sent.at, position: sent.position }
}

/** A position has 16 digits; no seq has. So `after` can mean both, and does. */
const afterSeqOrPosition = z
  .union([position, wholeNumber(0)])
  .meta({ description: 'A seq: the first messages after it. Or a position, as for any query.' })

/** In a URL separated by commas or one by one, in a frame a list. */
const typeList = listOfText(z.array(z.enum(messageTypes)).min(1).max(messageTypes.length)).meta({
  description: `Only messages of these types, recalled ones by what they were; in a URL separated by commas: ${messageTypes.join(', ')}.`,
})

const historyQuery = z
  .strictObject({
    before: seq.optional(),
    after: afterSeqOrPosition.optional(),
    at: givenInstant.optional().meta({ description: 'The first messages from that time on.' }),
    types: typeList.optional(),
    limit: pageLimit(),
  })
  .superRefine(({ before, after, at }, context) => {
    const places = [before, typeof after === 'number' ? after : undefined, at].filter(place => place !== undefined)
    if (places.length > 1)
      context.addIssue({ code: 'custom', message: 'give one of before, after, at', path: ['before'] })
  })

const placeOf = ({ before, after, at }: z.output<typeof historyQuery>): HistoryPlace => {
  if (before !== undefined) return { before }
  if (typeof after === 'number') return { after }
  return at === undefined ? { newest: true } : { at }
}

const history = async (
  { database }: Dependencies,
  call: Call<'user'>,
  args: z.output<typeof sendParams> & z.output<typeof historyQuery>,
) => {
  const where = { ...placeOf(args), limit: args.limit, types: args.types }
  const page = await historyPage(database, call.caller.userId, args.conversationId as ConversationId, where)
  return page === undefined ? noSuchConversation : rawJson(page)
}

const recallParams = z.strictObject({ conversationId, seq })
const recallBody = z.strictObject({ reason: text(1, limits.recallReasonCharactersMax).optional() })

const recall = async (
  dependencies: Dependencies,
  call: Call<'user'>,
  args: z.output<typeof recallParams> & z.output<typeof recallBody>,
) => {
  const { node } = dependencies
  const by = call.caller.userId
  const id = args.conversationId as ConversationId
  const seen = await seenMessages(dependencies, by, id, [args.seq])
  if (isRefusal(seen)) return seen
  const found = seen.get(args.seq) as VisibleMessage
  const factsOf = await factsIn(node, id, by)
  const command = {
    type: 'RecallMessage',
    conversationId: id,
    seq: args.seq,
    by,
    ...(args.reason === undefined ? undefined : { reason: args.reason }),
    at: node.clock.now(),
  } as const
  const handled = await runCommand(node, call, message, streamOf.message(id, args.seq), command, factsOf(found))
  return isRejection(handled) ? handled : { position: handled.position }
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null

const messageRow = z.object({
  conversationId: reply.id,
  seq: reply.count,
  from: reply.id,
  clientMessageId: reply.text,
  type: z.enum(messageTypes).meta({ description: '`notification` and `tip` do not count as unread.' }),
  subType: z.int().optional(),
  // Not a schema of objects: those leave out a key `__proto__`, which a custom body may have.
  body: z.unknown().refine(isObject, { message: 'must be an object' }).meta({
    type: 'object',
    description: 'As it was sent, by its type; of a notification `{event, by, targets, changed}`; `{}` once recalled.',
  }),
  ext: reply.text.nullable().optional(),
  at: reply.instant,
  countable: reply.count.meta({ description: 'Running number of the messages that count as unread.' }),
  counts: z.boolean().optional().meta({ description: 'Of a recalled message: whether it counted.' }),
  recalled: z.object({ at: reply.instant, by: reply.id, reason: reply.text.optional() }).optional(),
  receipt: z.object({ read: reply.count, unread: reply.count }).nullable().optional().meta({
    description:
      'The message asks for receipts. To its sender: how many of the asked have read it. To everybody else: as it was sent. null once recalled.',
  }),
  position: reply.position,
})

export const exampleMessage = {
  conversationId: example.conversationId,
  seq: 1,
  from: example.userId,
  clientMessageId: example.clientMessageId,
  type: 'text',
  body: { text: 'Good morning' },
  at: example.at,
  countable: 1,
  position: example.position,
}

export { messageRow }

const usual = { tag: 'messages', callers: ['user'], frame: true } as const

/** Messages. */
export const messageOperations: readonly Operation[] = [
  operation({
    ...usual,
    id: 'sendMessage',
    method: 'POST',
    path: '/v1/conversations/:conversationId/messages',
    summary: 'Send a message',
    description:
      'Its `type` says what its `body` holds. The same `clientMessageId` again is answered with the first reply: nothing is sent twice.',
    limit: 'messages',
    status: 201,
    params: sendParams,
    body: sendBody,
    reply: z.object({ seq: reply.count, at: reply.instant, position: reply.position }),
    rejections: [
      'conversation.not-found',
      'user.not-found',
      'message.blocked',
      'message.not-friends',
      'message.to-self',
      'message.clock-ahead',
      'group.dissolved',
      'group.muted',
      'group.all-muted',
      'message.receipts-unavailable',
    ],
    example: {
      params: { conversationId: example.conversationId },
      body: sendExamples.text,
      moreBodies: Object.values(sendExamples).slice(1),
      reply: { seq: 1, at: example.at, position: example.position },
    },
    run: send,
  }),
  operation({
    ...usual,
    id: 'listMessages',
    method: 'GET',
    path: '/v1/conversations/:conversationId/messages',
    summary: 'A page of the history',
    description:
      'The newest messages, or those before or after a seq, or from a time on, of all types or of some; always ascending by seq.',
    limit: 'queries',
    status: 200,
    params: sendParams,
    query: historyQuery,
    reply: z.object({ items: z.array(messageRow), hasMoreBefore: z.boolean(), hasMoreAfter: z.boolean() }),
    rejections: ['conversation.not-found'],
    example: {
      params: { conversationId: example.conversationId },
      query: { before: 51, limit: 50 },
      reply: { items: [exampleMessage], hasMoreBefore: false, hasMoreAfter: true },
    },
    run: history,
  }),
  operation({
    ...usual,
    id: 'recallMessage',
    method: 'POST',
    path: '/v1/conversations/:conversationId/messages/:seq/recall',
    summary: 'Recall a message',
    description: `Its sender within ${limits.recallWindowSeconds} seconds; the owner and admins of a group at any time.`,
    limit: 'commands',
    status: 200,
    params: recallParams,
    body: recallBody,
    reply: positionReply,
    rejections: ['message.not-found', 'message.not-sender', 'message.recall-too-late', 'message.not-recallable'],
    example: {
      params: { conversationId: example.conversationId, seq: 1 },
      body: { reason: 'Wrong chat' },
      reply: { position: example.position },
    },
    run: recall,
  }),
]
