// Owns the operations on the caller's own side of conversations (R72–R83): list, look, pin, delete, clear, read, count.
// Nothing here changes what others see.

import { z } from 'zod'
import type { ConversationId, Position } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { conversationChangesOf, conversationOf, conversationsOf, unreadOf } from '../projections/inbox.ts'
import { changesSince, incrementalQuery, incrementalReply, textPageWithCursor, withoutSince } from './cursors.ts'
import type { OperationDependencies } from './dependencies.ts'
import { type ErrorCode, invalid, isRefusal } from './errors.ts'
import { conversationId, example, positionReply, reply, seqInBody, someOf, yesOrNo } from './fields.ts'
import { noSuchConversation, runInboxCommand } from './inbox-access.ts'
import { exampleMessage, messageRow } from './messages.ts'
import { type Call, type Operation, operation, rawJson } from './operation.ts'

type Dependencies = OperationDependencies

const params = z.strictObject({ conversationId })

const listQuery = incrementalQuery
  .safeExtend({
    unread: yesOrNo().optional().meta({ description: 'Only those with, or without, something unread.' }),
    pinned: yesOrNo().optional(),
    kind: z.enum(['p2p', 'group']).optional(),
  })
  .superRefine(withoutSince('unread', 'pinned', 'kind'))

/** Rows come as JSON text, with the last message spliced in unparsed. */
const list = async (dependencies: Dependencies, call: Call<'user'>, args: z.output<typeof listQuery>) => {
  const { database } = dependencies
  const { userId } = call.caller
  if (args.since === undefined) {
    const page = await conversationsOf(database, userId, args)
    return textPageWithCursor(dependencies, { ...page, items: page.items.join(',') })
  }
  const changed = await changesSince(dependencies, args.since, since => conversationChangesOf(database, userId, since))
  if (isRefusal(changed)) return changed
  const { items, removed, cursor } = changed
  return rawJson(
    `{"items":[${items.join(',')}],"removed":${JSON.stringify(removed)},"cursor":${JSON.stringify(cursor)}}`,
  )
}

const get = async ({ database }: Dependencies, call: Call<'user'>, args: z.output<typeof params>) => {
  const found = await conversationOf(database, call.caller.userId, args.conversationId as ConversationId)
  return found === undefined ? noSuchConversation : rawJson(found.text)
}

/** Conversations marked by one readAllConversations; the rest is for the next call. */
const readAllMax = 500

const positionOf = (outcomes: readonly object[], none: Position): Position =>
  outcomes.reduce<Position>(
    (latest, outcome) =>
      'position' in outcome && (outcome.position as Position) > latest ? (outcome.position as Position) : latest,
    none,
  )

const readAll = async (dependencies: Dependencies, call: Call<'user'>) => {
  const { database, node } = dependencies
  const outcomes: object[] = []
  let cursor: string | undefined
  do {
    const page = await conversationsOf(database, call.caller.userId, { unread: true, limit: limits.pageMax, cursor })
    const rows = page.items.map(text => JSON.parse(text) as { conversationId: string; lastSeq: number })
    outcomes.push(
      ...(await Promise.all(
        rows.map(row =>
          runInboxCommand(dependencies, call, row.conversationId, { type: 'MarkRead', seq: row.lastSeq }),
        ),
      )),
    )
    cursor = page.next ?? undefined
  } while (cursor !== undefined && outcomes.length < readAllMax)
  const read = outcomes.filter(outcome => !isRefusal(outcome)).length
  const position = outcomes.length === 0 ? node.position : positionOf(outcomes, '' as Position)
  return { read, more: cursor !== undefined, position }
}

const clearBody = z.strictObject({
  conversationIds: z.array(conversationId).min(1).max(limits.clearConversationsMax),
  what: z.literal('all').meta({ description: 'Everything up to now, for the caller only.' }),
})

const clear = async (dependencies: Dependencies, call: Call<'user'>, args: z.output<typeof clearBody>) => {
  const ids = [...new Set(args.conversationIds)]
  const outcomes = await Promise.all(
    ids.map(id => runInboxCommand(dependencies, call, id, { type: 'ClearConversation' })),
  )
  const failed: { conversationId: string; code: ErrorCode }[] = []
  for (const [index, outcome] of outcomes.entries()) {
    if (isRefusal(outcome)) failed.push({ conversationId: ids[index] as string, code: outcome.rejected })
  }
  return { failed, position: positionOf(outcomes, dependencies.node.position) }
}

const reminder = z
  .enum(['all', 'admins', 'none'])
  .meta({ description: 'Of a group: tell me of all messages, only of those of owner and admins, or of none.' })

const updateBody = someOf(
  z.strictObject({
    pinned: z.boolean().optional(),
    reminder: reminder.optional(),
    doNotDisturb: z.boolean().optional(),
  }),
)

const conversationRow = z.object({
  conversationId: reply.id,
  kind: z.enum(['p2p', 'group']),
  lastSeq: reply.count,
  unread: reply.count,
  readSeq: reply.count,
  clearedSeq: reply.count,
  pinnedAt: reply.instant.nullable(),
  reminder,
  doNotDisturb: z.boolean(),
  announcementAlert: z.boolean().meta({
    description:
      'Of a group: its newest pop-up was not seen. A device derives it: `announcementPopup` > `announcementSeen`.',
  }),
  announcementPopup: reply.count.meta({ description: 'Number of the newest pop-up announcement; 0: none.' }),
  announcementSeen: reply.count.meta({ description: 'Announcements up to this number alert me no more.' }),
  active: z.boolean().meta({ description: 'False once the caller is no longer a member.' }),
  lastMessage: messageRow.nullable(),
})

const exampleRow = {
  conversationId: example.conversationId,
  kind: 'p2p',
  lastSeq: 1,
  unread: 1,
  readSeq: 0,
  clearedSeq: 0,
  pinnedAt: null,
  reminder: 'all',
  doNotDisturb: false,
  announcementAlert: false,
  announcementPopup: 0,
  announcementSeen: 0,
  active: true,
  lastMessage: exampleMessage,
}

const usual = { tag: 'conversations', callers: ['user'], frame: true, status: 200 } as const
const query = { ...usual, method: 'GET', limit: 'queries' } as const
const command = { ...usual, limit: 'commands', params, reply: positionReply } as const
const position = { position: example.position }
const commandExample = { params: { conversationId: example.conversationId }, reply: position }

const queries: readonly Operation[] = [
  operation({
    ...query,
    id: 'listConversations',
    path: '/v1/conversations',
    summary: 'My conversations, pinned ones first, then by the last message',
    query: listQuery,
    reply: incrementalReply(conversationRow),
    rejections: ['sync.too-old'],
    example: {
      query: { unread: true, limit: 50 },
      reply: { items: [exampleRow], next: null, cursor: example.cursor },
    },
    run: list,
  }),
  operation({
    ...query,
    id: 'getConversation',
    path: '/v1/conversations/:conversationId',
    summary: 'One conversation',
    params,
    reply: conversationRow,
    rejections: ['conversation.not-found'],
    example: { params: { conversationId: example.conversationId }, reply: exampleRow },
    run: get,
  }),
  operation({
    ...query,
    id: 'getUnread',
    path: '/v1/unread',
    summary: 'What is unread over all my conversations',
    description: 'Without those that I muted: `doNotDisturb`, or the reminder `none`.',
    reply: z.object({
      total: reply.count,
      byKind: z.object({ p2p: reply.count, group: reply.count }),
      conversations: reply.count.meta({ description: 'How many conversations have something unread.' }),
    }),
    rejections: [],
    example: { reply: { total: 3, byKind: { p2p: 1, group: 2 }, conversations: 2 } },
    run: ({ database }, call) => unreadOf(database, call.caller.userId),
  }),
]

const changeOne: readonly Operation[] = [
  operation({
    ...command,
    id: 'updateConversation',
    method: 'PATCH',
    path: '/v1/conversations/:conversationId',
    summary: 'Pin a conversation, or set of what I want to be told',
    description: [
      'All or none. Whatever is set, messages are delivered and counted; of a conversation with `doNotDisturb` or the reminder',
      '`none` the unread ones are left out of the total of `GET /v1/unread`.',
    ].join(' '),
    body: updateBody,
    rejections: ['conversation.not-found', 'conversation.pin-limit'],
    example: { ...commandExample, body: { pinned: true } },
    run: (dependencies, call, args) =>
      args.reminder !== undefined && args.conversationId.startsWith('p2p:')
        ? invalid([{ path: 'reminder', message: 'is for groups: a conversation of two has doNotDisturb' }])
        : runInboxCommand(dependencies, call, args.conversationId, {
            type: 'SetConversation',
            pinned: args.pinned,
            reminder: args.reminder,
            doNotDisturb: args.doNotDisturb,
          }),
  }),
  operation({
    ...command,
    id: 'deleteConversation',
    method: 'DELETE',
    path: '/v1/conversations/:conversationId',
    summary: 'Take a conversation off my list',
    description: 'It comes back with its next message. For the caller only.',
    query: z.strictObject({
      messages: yesOrNo().optional().meta({ description: 'Also clear what is in it.' }),
    }),
    rejections: ['conversation.not-found'],
    example: { ...commandExample, query: { messages: true } },
    run: (dependencies, call, args) =>
      runInboxCommand(dependencies, call, args.conversationId, {
        type: 'DeleteConversation',
        messages: args.messages ?? false,
      }),
  }),
  operation({
    ...command,
    id: 'markRead',
    method: 'POST',
    path: '/v1/conversations/:conversationId/read',
    summary: 'Mark a conversation read up to a message',
    description: 'The mark never goes back.',
    body: z.strictObject({ seq: seqInBody }),
    rejections: ['conversation.not-found'],
    example: { ...commandExample, body: { seq: 1 } },
    run: (dependencies, call, args) =>
      runInboxCommand(dependencies, call, args.conversationId, { type: 'MarkRead', seq: args.seq }),
  }),
]

const changeMany: readonly Operation[] = [
  operation({
    ...usual,
    id: 'readAllConversations',
    method: 'POST',
    path: '/v1/conversations/read-all',
    summary: 'Mark all conversations read',
    description: `At most ${readAllMax} in one call; \`more\` says that there are others.`,
    limit: 'commands',
    reply: z.object({ read: reply.count, more: z.boolean(), position: reply.position }),
    rejections: [],
    example: { reply: { read: 2, more: false, position: example.position } },
    run: readAll,
  }),
  operation({
    ...usual,
    id: 'clearConversations',
    method: 'POST',
    path: '/v1/conversations/clear',
    summary: 'Clear conversations up to now, for me only',
    limit: 'commands',
    body: clearBody,
    reply: z.object({
      failed: z.array(z.object({ conversationId: reply.id, code: z.enum(['conversation.not-found']) })),
      position: reply.position,
    }),
    rejections: [],
    example: {
      body: { conversationIds: [example.conversationId], what: 'all' },
      reply: { failed: [], position: example.position },
    },
    run: clear,
  }),
]

/** The caller's own side of conversations. */
export const conversationOperations: readonly Operation[] = [...queries, ...changeOne, ...changeMany]
