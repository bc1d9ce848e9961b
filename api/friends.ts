// Owns the operations on the caller's friends (R8, R9): list, one, what the caller wrote down about one, and the end of it.
// Must never show what somebody else wrote down.

import { z } from 'zod'
import { isRejection } from '../domain/decider.ts'
import { friendship } from '../domain/friendship/friendship.ts'
import { streamOf } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { friendChangesOf, friendOf, friendsOf } from '../projections/friend-lists.ts'
import { runCommand } from './commands.ts'
import { changesSince, incrementalQuery, incrementalReply, textPageWithCursor, withoutSince } from './cursors.ts'
import type { OperationDependencies } from './dependencies.ts'
import { isRefusal, refuse } from './errors.ts'
import { example, name, positionReply, reply, text, userId } from './fields.ts'
import { type Call, type Operation, operation, self } from './operation.ts'

type Dependencies = OperationDependencies

const listQuery = incrementalQuery
  .safeExtend({
    q: name(limits.friendRemarkCharactersMax)
      .optional()
      .meta({ description: 'A part of what I call somebody, or a whole user id.' }),
  })
  .superRefine(withoutSince('q'))

const list = async (dependencies: Dependencies, call: Call<'user'>, args: z.output<typeof listQuery>) => {
  const { database } = dependencies
  const { userId: own } = call.caller
  return args.since === undefined
    ? textPageWithCursor(dependencies, await friendsOf(database, own, args))
    : changesSince(dependencies, args.since, since => friendChangesOf(database, own, since))
}

const friendParams = z.strictObject({ userId })
const noSuchFriend = refuse('friend.not-found', 'This user is no friend of yours.')

const noteBody = z
  .strictObject({
    remark: name(limits.friendRemarkCharactersMax).nullable().optional(),
    extension: text(1, limits.friendExtensionCharactersMax).nullable().optional(),
    starred: z.boolean().optional(),
  })
  .meta({ description: 'Null takes away; what is left out stays.' })

const note = async (
  { node }: Dependencies,
  call: Call<'user'>,
  args: z.output<typeof friendParams> & z.output<typeof noteBody>,
) => {
  const by = call.caller.userId
  const friendId = self(call, args.userId)
  const { remark, extension, starred } = args
  const changes = {
    ...(remark === undefined ? undefined : { remark }),
    ...(extension === undefined ? undefined : { extension }),
    ...(starred === undefined ? undefined : { starred }),
  }
  const command = { type: 'NoteFriend', by, userId: friendId, ...changes, at: node.clock.now() } as const
  const handled = await runCommand(node, call, friendship, streamOf.friendship(by, friendId), command, undefined)
  return isRejection(handled) ? handled : { position: handled.position }
}

/** In turn with friends being made, so that there is room for another at once. */
const remove = async ({ node, friendRoom }: Dependencies, call: Call<'user'>, args: z.output<typeof friendParams>) => {
  const by = call.caller.userId
  const friendId = self(call, args.userId)
  const command = { type: 'DeleteFriend', by, userId: friendId, at: node.clock.now() } as const
  const decide = () => runCommand(node, call, friendship, streamOf.friendship(by, friendId), command, undefined)
  const handled = await friendRoom.decide(by, friendId, decide)
  return isRefusal(handled) ? handled : { position: handled.position }
}

const friendRow = z.object({
  userId: reply.id,
  since: reply.instant,
  remark: reply.text.optional(),
  extension: reply.text.optional(),
  starred: z.boolean(),
})
const exampleRow = { userId: example.otherUserId, since: example.at, remark: 'Uncle Charles', starred: true }

const usual = { tag: 'friends', callers: ['user'], frame: true, status: 200 } as const
const ofFriend = { params: { userId: example.otherUserId } }
const position = { position: example.position }

/** The caller's friends. */
export const friendOperations: readonly Operation[] = [
  operation({
    ...usual,
    id: 'listFriends',
    method: 'GET',
    path: '/v1/friends',
    summary: 'My friends, by their ids',
    limit: 'queries',
    query: listQuery,
    reply: incrementalReply(friendRow),
    rejections: ['sync.too-old'],
    example: { query: { limit: 50 }, reply: { items: [exampleRow], next: null, cursor: example.cursor } },
    run: list,
  }),
  operation({
    ...usual,
    id: 'getFriend',
    method: 'GET',
    path: '/v1/friends/:userId',
    summary: 'One of my friends',
    limit: 'queries',
    params: friendParams,
    reply: friendRow,
    rejections: ['friend.not-found'],
    example: { ...ofFriend, reply: exampleRow },
    run: async ({ database }, call, args) =>
      (await friendOf(database, call.caller.userId, self(call, args.userId))) ?? noSuchFriend,
  }),
  operation({
    ...usual,
    id: 'updateFriend',
    method: 'PATCH',
    path: '/v1/friends/:userId',
    summary: 'Write down something about a friend',
    description: 'Only I see it. It stays when we are friends no longer, and stands again when we are friends again.',
    limit: 'commands',
    params: friendParams,
    body: noteBody,
    reply: positionReply,
    rejections: ['friend.not-found'],
    example: { ...ofFriend, body: { remark: 'Uncle Charles', starred: true }, reply: position },
    run: note,
  }),
  operation({
    ...usual,
    id: 'deleteFriend',
    method: 'DELETE',
    path: '/v1/friends/:userId',
    summary: 'End a friendship',
    description: 'For both. What was written stays, and both can still write to each other.',
    limit: 'commands',
    params: friendParams,
    reply: positionReply,
    rejections: [],
    example: { ...ofFriend, reply: position },
    run: remove,
  }),
]
