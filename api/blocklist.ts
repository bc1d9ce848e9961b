// Owns the operations on the caller's own block list (R10–R13). Must never show whether others block the caller.

import { z } from 'zod'
import { blocklist } from '../domain/blocklist/blocklist.ts'
import { isRejection } from '../domain/decider.ts'
import { streamOf } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { blocklistChangesOf, blocklistOf } from '../projections/blocklist.ts'
import { runCommand } from './commands.ts'
import { changesSince, incrementalQuery, incrementalReply, pageWithCursor } from './cursors.ts'
import type { OperationDependencies } from './dependencies.ts'
import { refuse } from './errors.ts'
import { example, idList, positionReply, reply, userId } from './fields.ts'
import { type Call, type Operation, operation, self } from './operation.ts'

type Dependencies = OperationDependencies

const target = z.strictObject({ userId })

const block = async ({ node }: Dependencies, call: Call<'user'>, args: z.output<typeof target>) => {
  const owner = call.caller.userId
  const blockedId = self(call, args.userId)
  if (!(await node.isLive(blockedId))) return refuse('user.not-found', 'There is no such user.')
  const command = { type: 'BlockUser', userId: owner, blockedId, at: node.clock.now() } as const
  const handled = await runCommand(node, call, blocklist, streamOf.blocklist(owner), command, undefined)
  return isRejection(handled) ? handled : { position: handled.position }
}

const unblock = async ({ node }: Dependencies, call: Call<'user'>, args: z.output<typeof target>) => {
  const owner = call.caller.userId
  const command = {
    type: 'UnblockUser',
    userId: owner,
    blockedId: self(call, args.userId),
    at: node.clock.now(),
  } as const
  const handled = await runCommand(node, call, blocklist, streamOf.blocklist(owner), command, undefined)
  return isRejection(handled) ? handled : { position: handled.position }
}

const list = (dependencies: Dependencies, call: Call<'user'>, args: z.output<typeof incrementalQuery>) => {
  const { database } = dependencies
  const { userId: owner } = call.caller
  return args.since === undefined
    ? pageWithCursor(dependencies, blocklistOf(database, owner, args))
    : changesSince(dependencies, args.since, since => blocklistChangesOf(database, owner, since))
}

const checkQuery = z.strictObject({ ids: idList(limits.usersPerQueryMax) })

const check = async ({ node }: Dependencies, call: Call<'user'>, args: z.output<typeof checkQuery>) => {
  const { state } = await node.load(blocklist, streamOf.blocklist(call.caller.userId))
  const ids = [...new Set(args.ids.map(id => self(call, id)))]
  return { items: ids.map(id => ({ userId: id, blocked: state.blocked.has(id) })) }
}

/** The caller's own block list. */
export const blocklistOperations: readonly Operation[] = [
  operation({
    id: 'listBlocked',
    method: 'GET',
    path: '/v1/blocklist',
    tag: 'blocklist',
    summary: 'Whom I block',
    callers: ['user'],
    frame: true,
    limit: 'queries',
    status: 200,
    query: incrementalQuery,
    reply: incrementalReply(z.object({ userId: reply.id, at: reply.instant })),
    rejections: ['sync.too-old'],
    example: {
      query: { limit: 50 },
      reply: { items: [{ userId: example.otherUserId, at: example.at }], next: null, cursor: example.cursor },
    },
    run: list,
  }),
  operation({
    id: 'checkBlocked',
    method: 'GET',
    path: '/v1/blocklist/check',
    tag: 'blocklist',
    summary: 'Which of these users I block',
    description: 'Users that do not exist are not blocked.',
    callers: ['user'],
    frame: true,
    limit: 'queries',
    status: 200,
    query: checkQuery,
    reply: z.object({ items: z.array(z.object({ userId: reply.id, blocked: z.boolean() })) }),
    rejections: [],
    example: {
      query: { ids: [example.otherUserId] },
      reply: { items: [{ userId: example.otherUserId, blocked: true }] },
    },
    run: check,
  }),
  operation({
    id: 'blockUser',
    method: 'PUT',
    path: '/v1/blocklist/:userId',
    tag: 'blocklist',
    summary: 'Block a user',
    description: 'Messages of that user no longer reach the caller, who can still write to them.',
    callers: ['user'],
    frame: true,
    limit: 'commands',
    status: 200,
    params: target,
    reply: positionReply,
    rejections: ['user.not-found', 'block.self', 'block.limit'],
    example: { params: { userId: example.otherUserId }, reply: { position: example.position } },
    run: block,
  }),
  operation({
    id: 'unblockUser',
    method: 'DELETE',
    path: '/v1/blocklist/:userId',
    tag: 'blocklist',
    summary: 'Unblock a user',
    description: 'What was refused meanwhile does not come back.',
    callers: ['user'],
    frame: true,
    limit: 'commands',
    status: 200,
    params: target,
    reply: positionReply,
    rejections: [],
    example: { params: { userId: example.otherUserId }, reply: { position: example.position } },
    run: unblock,
  }),
]
