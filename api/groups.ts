// Owns the operations on groups as a whole (R14–R17, R23): create, look, transfer, leave, dissolve.
// Whoever is no member gets the same answer as for a group that is not there.

import { z } from 'zod'
import { isRejection } from '../domain/decider.ts'
import { groupPresets } from '../domain/group/attributes.ts'
import type { CreateGroup } from '../domain/group/creation.ts'
import { type GroupCommand, group } from '../domain/group/group.ts'
import { type GroupId, groupConversationId, streamOf, type UserId } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { groupChangesOf, groupOf, groupsCreatedCount, groupsOf, ownsMostGroups } from '../projections/group.ts'
import { madeId, runCommand } from './commands.ts'
import { changesSince, incrementalQuery, incrementalReply, pageWithCursor } from './cursors.ts'
import type { OperationDependencies } from './dependencies.ts'
import { refuse } from './errors.ts'
import { example, groupId, positionReply, reply, userId } from './fields.ts'
import { attributeFields, exampleGroupRow, groupPreset, groupRow } from './group-fields.ts'
import { failedReply, targetsOf } from './group-targets.ts'
import { type Call, type Operation, operation, self } from './operation.ts'

type Dependencies = OperationDependencies

export const groupParams = z.strictObject({ groupId })

const createBody = z.strictObject({
  ...z.strictObject(attributeFields).partial().shape,
  name: attributeFields.name,
  preset: groupPreset.optional(),
  memberIds: z.array(userId).max(limits.groupTargetsPerCallMax).optional(),
})

const create = async (dependencies: Dependencies, call: Call<'user'>, args: z.output<typeof createBody>) => {
  const { node, database } = dependencies
  const by = call.caller.userId
  const newGroupId = madeId(node, call, `group ${by}`) as GroupId
  const { memberIds = [], ...chosen } = args
  const asked = [...new Set(memberIds.map(id => self(call, id)))].filter(id => id !== by)
  const isConsentRequired = (args.inviteeConsent ?? groupPresets[args.preset ?? 'public'].inviteeConsent) === 'required'
  const [targets, groupsCreated] = await Promise.all([
    targetsOf(dependencies, by, asked, { withCaller: true, invitations: isConsentRequired ? new Map() : undefined }),
    groupsCreatedCount(database, by),
  ])
  const stream = streamOf.group(newGroupId)
  const isThere = async () => (await node.load(group, stream)).state.status !== 'none'
  // One that is there is what a repeat asks for: it may be the very last that there was room for.
  if (targets.callerIsFull && !(await isThere())) {
    return refuse('group.joined-limit', `You are in ${limits.groupsJoinedMax} groups. Leave one first.`)
  }
  const command = {
    type: 'CreateGroup',
    groupId: newGroupId,
    ...chosen,
    memberIds: targets.fit,
    requestId: madeId(node, call, `invitations ${newGroupId} ${by}`),
    by,
    at: node.clock.now(),
  } as CreateGroup
  const handled = await runCommand(node, call, group, stream, command, { groupsCreated })
  if (isRejection(handled)) return handled
  const { state } = handled
  return {
    groupId: newGroupId,
    conversationId: groupConversationId(newGroupId),
    added: asked.filter(id => state.status !== 'none' && state.members.has(id)),
    invited: asked.filter(id => state.status !== 'none' && state.invitations.has(id)),
    failed: targets.failed,
    position: handled.position,
  }
}

const list = (dependencies: Dependencies, call: Call<'user'>, args: z.output<typeof incrementalQuery>) => {
  const { database } = dependencies
  const { userId } = call.caller
  return args.since === undefined
    ? pageWithCursor(dependencies, groupsOf(database, userId, args))
    : changesSince(dependencies, args.since, since => groupChangesOf(database, userId, since))
}

/** Runs a command of the group whose reply is only where it stands in the log. */
export const runGroupCommand = async (
  { node }: Dependencies,
  call: Call<'user'>,
  id: string,
  command: DistributiveOmit<GroupCommand, 'by' | 'at'>,
) => {
  const whole = { ...command, by: call.caller.userId, at: node.clock.now() } as GroupCommand
  const handled = await runCommand(node, call, group, streamOf.group(id as GroupId), whole, undefined)
  return isRejection(handled) ? handled : { position: handled.position }
}

type DistributiveOmit<Union, Key extends PropertyKey> = Union extends unknown ? Omit<Union, Key> : never

const transferBody = z.strictObject({
  to: userId,
  leave: z.boolean().meta({ description: 'Leave in the same step, instead of staying as a plain member.' }),
})

export const noSuchGroup = refuse('group.not-found', 'There is no such group for you.')

const usual = {
  tag: 'groups',
  callers: ['user'],
  frame: true,
  status: 200,
} as const

const command = { ...usual, limit: 'commands', params: groupParams, reply: positionReply } as const
const positionExample = { params: { groupId: example.groupId }, reply: { position: example.position } }

/** Groups as a whole. */
export const groupOperations: readonly Operation[] = [
  operation({
    ...usual,
    id: 'createGroup',
    method: 'POST',
    path: '/v1/groups',
    summary: 'Create a group',
    description:
      'The caller owns it. Users that could not be added are told of in `failed`; the group is made without them.',
    limit: 'requests',
    status: 201,
    body: createBody,
    reply: z.object({
      groupId: reply.id,
      conversationId: reply.id,
      added: z.array(reply.id),
      invited: z.array(reply.id),
      failed: failedReply,
      position: reply.position,
    }),
    rejections: ['group.created-limit', 'group.joined-limit', 'group.full', 'group.member-limit', 'group.not-found'],
    example: {
      body: { name: 'Analytical engines', memberIds: [example.otherUserId] },
      reply: {
        groupId: example.groupId,
        conversationId: example.groupConversationId,
        added: [],
        invited: [example.otherUserId],
        failed: [],
        position: example.position,
      },
    },
    run: create,
  }),
  operation({
    ...usual,
    id: 'listGroups',
    method: 'GET',
    path: '/v1/groups',
    summary: 'The groups I am in',
    limit: 'queries',
    query: incrementalQuery,
    reply: incrementalReply(groupRow),
    rejections: ['sync.too-old'],
    example: { query: { limit: 50 }, reply: { items: [exampleGroupRow], next: null, cursor: example.cursor } },
    run: list,
  }),
  operation({
    ...usual,
    id: 'getGroup',
    method: 'GET',
    path: '/v1/groups/:groupId',
    summary: 'One group',
    limit: 'queries',
    params: groupParams,
    reply: groupRow,
    rejections: ['group.not-found'],
    example: { params: { groupId: example.groupId }, reply: exampleGroupRow },
    run: async ({ database }, call, args) =>
      (await groupOf(database, call.caller.userId, args.groupId as GroupId)) ?? noSuchGroup,
  }),
  operation({
    ...command,
    id: 'dissolveGroup',
    method: 'DELETE',
    path: '/v1/groups/:groupId',
    summary: 'Dissolve a group',
    description: 'Its members keep what they could read; nobody writes any more.',
    rejections: ['group.not-found', 'group.dissolved', 'group.not-owner'],
    example: positionExample,
    run: (dependencies, call, args) => runGroupCommand(dependencies, call, args.groupId, { type: 'DissolveGroup' }),
  }),
  operation({
    ...command,
    id: 'transferGroup',
    method: 'POST',
    path: '/v1/groups/:groupId/transfer',
    summary: 'Make another member the owner',
    body: transferBody,
    rejections: [
      'group.not-found',
      'group.dissolved',
      'group.not-owner',
      'group.already-owner',
      'group.target-not-member',
      'group.owned-limit',
    ],
    example: { ...positionExample, body: { to: example.otherUserId, leave: false } },
    run: async (dependencies, call, { groupId, to: asked, leave }) => {
      const to = self(call, asked) as UserId
      const ownsMost = await ownsMostGroups(dependencies.database, to)
      return runGroupCommand(dependencies, call, groupId, { type: 'TransferGroup', to, leave, ownsMost })
    },
  }),
  operation({
    ...command,
    id: 'leaveGroup',
    method: 'POST',
    path: '/v1/groups/:groupId/leave',
    summary: 'Leave a group',
    rejections: ['group.not-found', 'group.dissolved', 'group.owner-cannot-leave'],
    example: positionExample,
    run: (dependencies, call, args) => runGroupCommand(dependencies, call, args.groupId, { type: 'LeaveGroup' }),
  }),
]
