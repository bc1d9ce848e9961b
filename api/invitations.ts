// Owns the operations on invitations to groups (R20): those who are asked see, accept and reject them, those who asked take them
// back. One who is not invited gets the same answer as for a group that is not there.

import { z } from 'zod'
import { isRejection } from '../domain/decider.ts'
import { group, roleIn } from '../domain/group/group.ts'
import { type GroupId, streamOf, type UserId } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { usersInManyGroups } from '../projections/group.ts'
import { invitationChangesOf, invitationsOf } from '../projections/group-request.ts'
import { runCommand } from './commands.ts'
import { changesSince, incrementalQuery, incrementalReply, pageWithCursor } from './cursors.ts'
import type { OperationDependencies } from './dependencies.ts'
import { refuse } from './errors.ts'
import { example, groupId, positionReply, reply, userId } from './fields.ts'
import { groupParams, runGroupCommand } from './groups.ts'
import { type Call, type Operation, operation, self } from './operation.ts'

type Dependencies = OperationDependencies

/** The answer to one who is in as many groups as anybody may be. */
export const ownGroupsFull = refuse(
  'group.joined-limit',
  `You are in ${limits.groupsJoinedMax} groups. Leave one first.`,
)

/** Whether a user is in as many groups as anybody may be. */
export const isInAllGroups = async ({ database }: Dependencies, by: UserId): Promise<boolean> =>
  (await usersInManyGroups(database, [by], limits.groupsJoinedMax)).has(by)

const list = (dependencies: Dependencies, call: Call<'user'>, args: z.output<typeof incrementalQuery>) => {
  const { database } = dependencies
  const { userId: by } = call.caller
  return args.since === undefined
    ? pageWithCursor(dependencies, invitationsOf(database, by, args))
    : changesSince(dependencies, args.since, since => invitationChangesOf(database, by, since))
}

const accept = async (dependencies: Dependencies, call: Call<'user'>, args: { readonly groupId: string }) => {
  const { node } = dependencies
  const by = call.caller.userId
  const stream = streamOf.group(args.groupId as GroupId)
  const isIn = roleIn((await node.load(group, stream)).state, by) !== null
  if (!isIn && (await isInAllGroups(dependencies, by))) return ownGroupsFull
  const command = { type: 'AcceptInvitation', by, at: node.clock.now() } as const
  const handled = await runCommand(node, call, group, stream, command, undefined)
  return isRejection(handled) ? handled : { position: handled.position }
}

const invitationRow = z.object({
  groupId: reply.id,
  groupName: reply.text.meta({ description: 'The group as it was called when the invitation was made.' }),
  requestId: reply.id,
  by: reply.id,
  message: reply.text.optional(),
  at: reply.instant,
  expiresAt: reply.instant,
})

const usual = { tag: 'groups', callers: ['user'], frame: true, status: 200 } as const
const command = { ...usual, limit: 'commands', reply: positionReply } as const
const positionExample = { params: { groupId: example.groupId }, reply: { position: example.position } }

/** Invitations to groups. */
export const invitationOperations: readonly Operation[] = [
  operation({
    ...usual,
    id: 'listGroupInvitations',
    method: 'GET',
    path: '/v1/group-invitations',
    summary: 'My open invitations to groups',
    limit: 'queries',
    query: incrementalQuery,
    reply: incrementalReply(invitationRow),
    rejections: ['sync.too-old'],
    example: {
      query: { limit: 50 },
      reply: {
        items: [
          {
            groupId: example.groupId,
            groupName: 'Analytical engines',
            requestId: example.requestId,
            by: example.otherUserId,
            message: 'We meet on Fridays.',
            at: example.at,
            expiresAt: '2026-11-30T08:15:30.123Z',
          },
        ],
        next: null,
        cursor: example.cursor,
      },
    },
    run: list,
  }),
  operation({
    ...command,
    id: 'acceptGroupInvitation',
    method: 'POST',
    path: '/v1/group-invitations/:groupId/accept',
    summary: 'Accept an invitation',
    description: 'Whoever is in the group already has what this asks for.',
    params: groupParams,
    rejections: ['invitation.not-found', 'group.full', 'group.joined-limit'],
    example: positionExample,
    run: accept,
  }),
  operation({
    ...command,
    id: 'rejectGroupInvitation',
    method: 'POST',
    path: '/v1/group-invitations/:groupId/reject',
    summary: 'Reject an invitation',
    params: groupParams,
    rejections: ['invitation.not-found'],
    example: positionExample,
    run: (dependencies, call, args) => runGroupCommand(dependencies, call, args.groupId, { type: 'RejectInvitation' }),
  }),
  operation({
    ...command,
    id: 'recallGroupInvitation',
    method: 'DELETE',
    path: '/v1/groups/:groupId/invitations/:userId',
    summary: 'Take an invitation back',
    description: 'The inviter the own one, the owner and admins any.',
    params: z.strictObject({ groupId, userId }),
    rejections: ['group.not-found', 'group.dissolved', 'group.not-allowed', 'invitation.not-found'],
    example: {
      params: { groupId: example.groupId, userId: example.otherUserId },
      reply: { position: example.position },
    },
    run: (dependencies, call, args) =>
      runGroupCommand(dependencies, call, args.groupId, { type: 'RecallInvitation', userId: self(call, args.userId) }),
  }),
]
