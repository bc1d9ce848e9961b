// Owns the operations on the members of a group (R15, R19, R25): list, add, remove, admins.

import { z } from 'zod'
import { isRejection } from '../domain/decider.ts'
import { type Group, group } from '../domain/group/group.ts'
import type { AddMembers } from '../domain/group/invitations.ts'
import { may } from '../domain/group/permissions.ts'
import { type Proposable, proposalsOf } from '../domain/group/proposals.ts'
import { roleIn } from '../domain/group/state.ts'
import { type GroupId, streamOf, systemUserId, type UserId } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { areFriends } from '../eventstore/relations.ts'
import { membersOf } from '../projections/member.ts'
import { madeId, runCommand } from './commands.ts'
import type { OperationDependencies } from './dependencies.ts'
import { example, groupId, name, pageCursor, pageLimit, positionReply, reply, text, userId } from './fields.ts'
import { groupRole, mutedUntil } from './group-fields.ts'
import { failedReply, targetsOf } from './group-targets.ts'
import { groupParams, noSuchGroup, runGroupCommand } from './groups.ts'
import { type Call, type Operation, operation, self } from './operation.ts'

type Dependencies = OperationDependencies

const targetsBody = z.strictObject({ userIds: z.array(userId).min(1).max(limits.groupTargetsPerCallMax) })
const addBody = targetsBody.extend({
  message: text(0, limits.requestMessageCharactersMax)
    .optional()
    .meta({ description: 'For those who are asked first, or for the managers where these decide first.' }),
})

export const addReply = z.object({
  added: z.array(reply.id),
  invited: z.array(reply.id),
  applied: z
    .array(reply.id)
    .meta({ description: 'About whom the owner and the admins decide first; none but where the server wants it so.' }),
  failed: failedReply,
  position: reply.position,
})

interface Adding {
  readonly groupId: string
  readonly userIds: readonly UserId[]
  readonly message?: string | undefined
}

/** What applications of these users need; nothing where the operator has not set INVITE_NEEDS_APPROVAL. */
const proposableOf = async (
  { node, settings }: Dependencies,
  call: Call,
  state: Group,
  userIds: readonly UserId[],
): Promise<readonly Proposable[] | undefined> => {
  if (!settings.inviteNeedsApproval || state.status !== 'open') return undefined
  const { groupId: id, ownerId, autoApprove } = state
  const isFriend = async (userId: UserId) =>
    autoApprove === 'friendsOfOwner' && (await areFriends(node.load, ownerId, userId))
  return Promise.all(
    userIds.map(async userId => ({
      userId,
      requestId: madeId(node, call, `proposal ${id} ${userId}`),
      isFriendOfOwner: await isFriend(userId),
    })),
  )
}

/** Of those whom a member asked in, about whom the managers decide. */
const waitingOf = (command: AddMembers, state: Group): readonly UserId[] => {
  const role = roleIn(state, command.by)
  if (state.status === 'none' || role === null) return []
  const userIds = proposalsOf(command, role, state).map(({ userId }) => userId)
  return userIds.filter(userId => state.applications.has(userId))
}

/** Those already in the group are neither added nor failed: what was asked for is so. @param by a user, or the app */
export const addTo = async (dependencies: Dependencies, call: Call, by: UserId, args: Adding) => {
  const { node } = dependencies
  const stream = streamOf.group(args.groupId as GroupId)
  const asked = [...new Set(args.userIds)]
  const before = (await node.load(group, stream)).state
  const isApp = by === systemUserId
  // Whoever is no member is refused below, without a look at anybody else.
  const isInside = before.status === 'open' && (isApp || before.members.has(by))
  const absent = isInside ? asked.filter(id => !before.members.has(id)) : []
  const isAsked = before.status === 'open' && before.inviteeConsent === 'required' && !isApp
  const invitations = before.status === 'open' && isAsked ? before.invitations : undefined
  const targets = await targetsOf(dependencies, by, absent, { withCaller: false, invitations })
  const command = {
    type: 'AddMembers',
    userIds: targets.fit,
    requestId: madeId(node, call, `invitations ${args.groupId} ${by}`),
    message: args.message,
    proposable: isApp ? undefined : await proposableOf(dependencies, call, before, targets.fit),
    by,
    at: node.clock.now(),
  } as const
  const handled = await runCommand(node, call, group, stream, command, undefined)
  if (isRejection(handled)) return handled
  const { state } = handled
  const failed = new Set(targets.failed.map(target => target.userId))
  const added = handled.repeated
    ? asked.filter(id => state.status !== 'none' && state.members.has(id))
    : handled.events.flatMap(event => (event.type === 'MembersAdded' ? event.data.userIds : []))
  const applied = waitingOf(command, state)
  const isAskedNow = (id: UserId) => state.status !== 'none' && state.invitations.has(id) && !applied.includes(id)
  const invited = asked.filter(id => isAskedNow(id) && !failed.has(id))
  return { added, invited, applied, failed: targets.failed, position: handled.position }
}

export const memberParams = z.strictObject({ groupId, userId })

export const memberRow = z.object({
  groupId: reply.id,
  userId: reply.id,
  role: groupRole,
  nickname: reply.text.nullable(),
  extension: reply.text,
  mutedUntil,
  joinedAt: reply.instant,
  invitedBy: reply.id.optional(),
})

export const exampleMemberRow = {
  groupId: example.groupId,
  userId: example.userId,
  role: 'owner',
  nickname: null,
  extension: '',
  mutedUntil: null,
  joinedAt: example.at,
}

/** The accounts' names are searched only for those who may see them (R46). */
const list = async (
  { node, database }: Dependencies,
  call: Call<'user'>,
  args: z.output<typeof groupParams> & z.output<typeof listQuery>,
) => {
  const viewer = call.caller.userId
  const id = args.groupId as GroupId
  const { state } = await node.load(group, streamOf.group(id))
  const role = roleIn(state, viewer)
  const byName = state.status !== 'none' && role !== null && may('readMemberProfiles', role, state)
  return (await membersOf(database, viewer, id, { ...args, byName })) ?? noSuchGroup
}

const listQuery = z.strictObject({
  role: groupRole.optional(),
  q: name(limits.nameCharactersMax)
    .optional()
    .meta({ description: "A part of a member's nickname or name, or a whole user id." }),
  limit: pageLimit(),
  cursor: pageCursor.optional(),
})

const usual = { tag: 'groups', callers: ['user'], frame: true, status: 200 } as const
const command = { ...usual, limit: 'commands', reply: positionReply } as const
const position = { position: example.position }
const memberExample = { params: { groupId: example.groupId, userId: example.otherUserId }, reply: position }

/** The members of a group. */
export const memberOperations: readonly Operation[] = [
  operation({
    ...usual,
    id: 'listMembers',
    method: 'GET',
    path: '/v1/groups/:groupId/members',
    summary: 'Who is in a group',
    limit: 'queries',
    params: groupParams,
    query: listQuery,
    reply: z.object({ items: z.array(memberRow), next: reply.next }),
    rejections: ['group.not-found'],
    example: {
      params: { groupId: example.groupId },
      query: { limit: 50 },
      reply: {
        items: [exampleMemberRow],
        next: null,
      },
    },
    run: list,
  }),
  operation({
    ...usual,
    id: 'addMembers',
    method: 'POST',
    path: '/v1/groups/:groupId/members',
    summary: 'Add members, or invite them',
    description:
      "By the group's `inviteeConsent` they are members at once, or asked first. Users that cannot be are told of in `failed`; those about whom the managers decide first in `applied`.",
    limit: 'requests',
    params: groupParams,
    body: addBody,
    reply: addReply,
    rejections: [
      'group.not-found',
      'group.dissolved',
      'group.not-allowed',
      'group.full',
      'invitation.limit',
      'application.limit',
    ],
    example: {
      params: { groupId: example.groupId },
      body: { userIds: [example.otherUserId] },
      reply: { added: [], invited: [example.otherUserId], applied: [], failed: [], position: example.position },
    },
    run: (dependencies, call, { groupId, userIds, message }) => {
      const asked = userIds.map(id => self(call, id))
      return addTo(dependencies, call, call.caller.userId, { groupId, userIds: asked, message })
    },
  }),
  operation({
    ...command,
    id: 'removeMembers',
    method: 'POST',
    path: '/v1/groups/:groupId/members/remove',
    summary: 'Remove members',
    description: 'All or none: one who cannot be removed refuses the whole call.',
    params: groupParams,
    body: targetsBody,
    rejections: [
      'group.not-found',
      'group.dissolved',
      'group.not-allowed',
      'group.target-not-member',
      'group.target-is-owner',
      'group.target-is-admin',
      'group.target-self',
    ],
    example: {
      params: { groupId: example.groupId },
      body: { userIds: [example.otherUserId] },
      reply: position,
    },
    run: (dependencies, call, args) =>
      runGroupCommand(dependencies, call, args.groupId, {
        type: 'RemoveMembers',
        userIds: args.userIds.map(id => self(call, id)),
      }),
  }),
  operation({
    ...command,
    id: 'addAdmin',
    method: 'PUT',
    path: '/v1/groups/:groupId/admins/:userId',
    summary: 'Make a member an admin',
    params: memberParams,
    rejections: [
      'group.not-found',
      'group.dissolved',
      'group.not-owner',
      'group.target-not-member',
      'group.target-is-owner',
      'group.admin-limit',
    ],
    example: memberExample,
    run: (dependencies, call, args) =>
      runGroupCommand(dependencies, call, args.groupId, { type: 'AddAdmin', userId: self(call, args.userId) }),
  }),
  operation({
    ...command,
    id: 'removeAdmin',
    method: 'DELETE',
    path: '/v1/groups/:groupId/admins/:userId',
    summary: 'Make an admin a plain member again',
    params: memberParams,
    rejections: ['group.not-found', 'group.dissolved', 'group.not-owner', 'group.target-is-owner'],
    example: memberExample,
    run: (dependencies, call, args) =>
      runGroupCommand(dependencies, call, args.groupId, { type: 'RemoveAdmin', userId: self(call, args.userId) }),
  }),
]
