// Owns the operations on friend requests (R6, R7): ask, answer, take back, list. Must never tell who asks whether they are
// blocked: a block is answered like a policy that takes nobody.

import { z } from 'zod'
import { account } from '../domain/account/account.ts'
import { isRejection } from '../domain/decider.ts'
import { type FriendSource, friendship, type RequestFacts } from '../domain/friendship/friendship.ts'
import { friendRequestStates } from '../domain/friendship/row.ts'
import { group } from '../domain/group/group.ts'
import { type GroupId, streamOf, type UserId } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { notification } from '../domain/notification/notification.ts'
import { blocks } from '../eventstore/relations.ts'
import { friendRequestChangesOf, friendRequestsOf } from '../projections/friend-lists.ts'
import { madeId, runCommand } from './commands.ts'
import { changesSince, incrementalQuery, incrementalReply, pageWithCursor, withoutSince } from './cursors.ts'
import type { OperationDependencies } from './dependencies.ts'
import { isRefusal } from './errors.ts'
import { example, groupId, positionReply, reply, text, userId } from './fields.ts'
import type { FriendCounts } from './friend-room.ts'
import { type Call, type Operation, operation, self } from './operation.ts'

type Dependencies = OperationDependencies

const sourceField = z
  .strictObject({ kind: z.enum(['search', 'group', 'card']), groupId: groupId.optional() })
  .refine(({ kind, groupId: id }) => (kind === 'group') === (id !== undefined), {
    message: 'goes with kind group, and only with it',
    path: ['groupId'],
  })

const requestBody = z.strictObject({
  userId,
  message: text(1, limits.friendRequestMessageCharactersMax).optional(),
  source: sourceField.optional(),
})

const sourceOf = ({ kind, groupId: id }: z.output<typeof sourceField>): FriendSource =>
  kind === 'group' ? { kind, groupId: id as GroupId } : { kind }

/** What must be known of the one who is asked, besides how many friends there are. */
const factsOf = async ({ node }: Dependencies, by: UserId, to: UserId, source: FriendSource | undefined) => {
  const [peerIsLive, peer, isBlocked, via] = await Promise.all([
    node.isLive(to),
    node.load(account, streamOf.account(to)),
    blocks(node.load, to, by),
    source?.kind === 'group' ? node.load(group, streamOf.group(source.groupId)) : undefined,
  ])
  const peerPolicy = peer.state.status === 'created' ? peer.state.friendPolicy : 'nobody'
  return { peerIsLive, peerPolicy, isBlocked, group: via?.state }
}

const request = async (dependencies: Dependencies, call: Call<'user'>, args: z.output<typeof requestBody>) => {
  const { node, friendRoom, settings, rateLimits } = dependencies
  const by = call.caller.userId
  const to = self(call, args.userId)
  const tooFast = rateLimits.take('requests', 'target', `${by} ${to}`)
  if (tooFast !== undefined) return tooFast
  const source = args.source === undefined ? undefined : sourceOf(args.source)
  const known = await factsOf(dependencies, by, to, source)
  const command = {
    type: 'RequestFriend',
    by,
    userId: to,
    requestId: madeId(node, call, `friendRequest:${by}:${to}`),
    ...(args.message === undefined ? undefined : { message: args.message }),
    ...(source === undefined ? undefined : { source }),
    at: node.clock.now(),
  } as const
  const handled = await friendRoom.decide(by, to, counts => {
    const facts: RequestFacts = { ...known, ...counts, friendsMax: settings.friendsMax }
    return runCommand(node, call, friendship, streamOf.friendship(by, to), command, facts)
  })
  if (isRefusal(handled)) return handled
  return { state: handled.state.since === null ? 'requested' : 'friends', position: handled.position }
}

const targetParams = z.strictObject({ userId })

const accept = async (dependencies: Dependencies, call: Call<'user'>, args: z.output<typeof targetParams>) => {
  const { node, friendRoom, settings } = dependencies
  const by = call.caller.userId
  const from = self(call, args.userId)
  const command = { type: 'AcceptFriendRequest', by, userId: from, at: node.clock.now() } as const
  const decide = ({ ownFriends, peerFriends }: FriendCounts) => {
    const facts = { ownFriends, peerFriends, friendsMax: settings.friendsMax }
    return runCommand(node, call, friendship, streamOf.friendship(by, from), command, facts)
  }
  const handled = await friendRoom.decide(by, from, decide)
  return isRefusal(handled) ? handled : { position: handled.position }
}

const rejectBody = z.strictObject({ reason: text(1, limits.friendRejectionReasonCharactersMax).optional() })

const reject = async (
  { node }: Dependencies,
  call: Call<'user'>,
  args: z.output<typeof targetParams> & z.output<typeof rejectBody>,
) => {
  const by = call.caller.userId
  const from = self(call, args.userId)
  const reason = args.reason === undefined ? undefined : { reason: args.reason }
  const command = { type: 'RejectFriendRequest', by, userId: from, ...reason, at: node.clock.now() } as const
  const handled = await runCommand(node, call, friendship, streamOf.friendship(by, from), command, undefined)
  return isRejection(handled) ? handled : { position: handled.position }
}

/** In turn with the requests that are made, so that there is room for another at once. */
const withdraw = async (
  { node, friendRoom }: Dependencies,
  call: Call<'user'>,
  args: z.output<typeof targetParams>,
) => {
  const by = call.caller.userId
  const to = self(call, args.userId)
  const command = { type: 'WithdrawFriendRequest', by, userId: to, at: node.clock.now() } as const
  const decide = () => runCommand(node, call, friendship, streamOf.friendship(by, to), command, undefined)
  const handled = await friendRoom.decide(by, to, decide)
  return isRefusal(handled) ? handled : { position: handled.position }
}

const listQuery = incrementalQuery
  .safeExtend({
    direction: z.enum(['incoming', 'outgoing']).optional(),
    state: z.enum(friendRequestStates).optional(),
  })
  .superRefine(withoutSince('direction', 'state'))

const list = (dependencies: Dependencies, call: Call<'user'>, args: z.output<typeof listQuery>) => {
  const { database } = dependencies
  const { userId: own } = call.caller
  return args.since === undefined
    ? pageWithCursor(dependencies, friendRequestsOf(database, own, args))
    : changesSince(dependencies, args.since, since => friendRequestChangesOf(database, own, since))
}

/** Everything that has come so far. */
const readAll = async ({ node }: Dependencies, call: Call<'user'>) => {
  const { userId: own } = call.caller
  const head = node.position
  const command = { type: 'ReadFriendRequests', userId: own, upTo: head, at: node.clock.now() } as const
  const handled = await runCommand(node, call, notification, streamOf.notification(own), command, { head })
  return isRejection(handled) ? handled : { position: handled.position }
}

const requestRow = z.object({
  userId: reply.id.meta({ description: 'The other one.' }),
  direction: z.enum(['incoming', 'outgoing']),
  requestId: reply.id,
  messages: z.array(z.object({ text: reply.text, at: reply.instant })).meta({ description: 'The oldest first.' }),
  source: z.object({ kind: z.enum(['search', 'group', 'card']), groupId: reply.id.optional() }).optional(),
  state: z.enum(friendRequestStates),
  at: reply.instant,
  position: reply.position,
  expiresAt: reply.instant,
  reason: reply.text.optional(),
  endedAt: reply.instant.optional(),
})

const usual = { tag: 'friends', callers: ['user'], frame: true, status: 200 } as const
const command = { ...usual, limit: 'commands' } as const
const ofUser = { params: { userId: example.otherUserId }, reply: { position: example.position } }
const answerRejections = ['friend.request-not-found', 'friend.request-ended'] as const

/** Friend requests. */
export const friendRequestOperations: readonly Operation[] = [
  operation({
    ...usual,
    id: 'listFriendRequests',
    method: 'GET',
    path: '/v1/friend-requests',
    summary: 'Friend requests to me and of mine, the newest first',
    description:
      'The latest one between me and each other user; one that has ended is kept for 30 days. An incoming one that waits is unread when its `position` is after `readMarks.friendRequests`.',
    limit: 'queries',
    query: listQuery,
    reply: incrementalReply(requestRow).extend({
      unread: z.int().optional().meta({ description: 'Without `since`: how many that wait for me are unread in all.' }),
    }),
    rejections: ['sync.too-old'],
    example: {
      query: { direction: 'incoming', limit: 50 },
      reply: {
        items: [
          {
            userId: example.otherUserId,
            direction: 'incoming',
            requestId: example.userId,
            messages: [{ text: 'It is me, Charles.', at: example.at }],
            source: { kind: 'search' },
            state: 'pending',
            at: example.at,
            position: example.position,
            expiresAt: '2026-11-30T08:15:30.123Z',
          },
        ],
        next: null,
        cursor: example.cursor,
        unread: 1,
      },
    },
    run: list,
  }),
  operation({
    ...command,
    limit: 'requests',
    status: 201,
    id: 'requestFriend',
    method: 'POST',
    path: '/v1/friend-requests',
    summary: 'Ask somebody to be friends',
    description:
      'At once, where the other one takes anyone or has asked as well (`friends`); else it waits for an answer (`requested`), for seven days. Asking again adds the message to the one that waits. Of those that wait each user has at most `friendRequestsPendingPerUserMax` (`GET /v1/server`).',
    body: requestBody,
    reply: z.object({ state: z.enum(['requested', 'friends']), position: reply.position }),
    rejections: [
      'user.not-found',
      'friend.self',
      'friend.already-friends',
      'friend.request-limit',
      'friend.refused',
      'friend.group-forbids',
      'friend.limit',
      'friend.peer-limit',
      'group.not-found',
      'group.target-not-member',
    ],
    example: {
      body: { userId: example.otherUserId, message: 'It is me, Ada.', source: { kind: 'search' } },
      reply: { state: 'requested', position: example.position },
    },
    run: request,
  }),
  operation({
    ...command,
    id: 'acceptFriendRequest',
    method: 'POST',
    path: '/v1/friend-requests/:userId/accept',
    summary: "Accept somebody's friend request",
    params: targetParams,
    reply: positionReply,
    rejections: [...answerRejections, 'friend.limit', 'friend.peer-limit'],
    example: ofUser,
    run: accept,
  }),
  operation({
    ...command,
    id: 'rejectFriendRequest',
    method: 'POST',
    path: '/v1/friend-requests/:userId/reject',
    summary: "Reject somebody's friend request",
    description: 'Who asked is told, with the reason if there is one.',
    params: targetParams,
    body: rejectBody,
    reply: positionReply,
    rejections: answerRejections,
    example: { ...ofUser, body: { reason: 'Who are you?' } },
    run: reject,
  }),
  operation({
    ...command,
    id: 'withdrawFriendRequest',
    method: 'DELETE',
    path: '/v1/friend-requests/:userId',
    summary: 'Take my friend request back',
    params: targetParams,
    reply: positionReply,
    rejections: answerRejections,
    example: ofUser,
    run: withdraw,
  }),
  operation({
    ...command,
    id: 'readFriendRequests',
    method: 'POST',
    path: '/v1/friend-requests/read',
    summary: 'Mark all friend requests as read',
    reply: positionReply,
    rejections: [],
    example: { reply: { position: example.position } },
    run: readAll,
  }),
]
