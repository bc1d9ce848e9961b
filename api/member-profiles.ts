// Owns the operations on one member of a group (R21, R27, R28, R46, R48): look as the group lets them be seen, name, mute, follow.

import { z } from 'zod'
import { isRejection } from '../domain/decider.ts'
import { group } from '../domain/group/group.ts'
import { may } from '../domain/group/permissions.ts'
import { roleIn } from '../domain/group/state.ts'
import { type GroupId, streamOf, type UserId } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { type MemberCommand, member } from '../domain/member/member.ts'
import { hiddenUserRow } from '../domain/member/row.ts'
import { usersByIds } from '../projections/account.ts'
import { memberOf } from '../projections/member.ts'
import { runCommand } from './commands.ts'
import type { OperationDependencies } from './dependencies.ts'
import { refuse } from './errors.ts'
import { example, givenInstant, groupId, name, positionReply, reply, someOf, text, userId } from './fields.ts'
import { noSuchGroup, runGroupCommand } from './groups.ts'
import { exampleMemberRow, memberParams, memberRow } from './members.ts'
import { type Call, type Operation, operation, self } from './operation.ts'

type Dependencies = OperationDependencies
type DistributiveOmit<Union, Key extends PropertyKey> = Union extends unknown ? Omit<Union, Key> : never

const noSuchMember = refuse('group.not-member', 'There is no such member in this group.')

/** Of the account what the group lets be seen: the owner and admins see all that everybody may, plain members as it is set. */
const get = async ({ node, database }: Dependencies, call: Call<'user'>, args: z.output<typeof memberParams>) => {
  const viewer = call.caller.userId
  const id = args.groupId as GroupId
  const { state } = await node.load(group, streamOf.group(id))
  const role = roleIn(state, viewer)
  if (state.status === 'none' || role === null) return noSuchGroup
  const asked = self(call, args.userId)
  const [row, [user]] = await Promise.all([memberOf(database, viewer, id, asked), usersByIds(database, [asked])])
  if (row === undefined || user === undefined) return noSuchMember
  const isShown = asked === viewer || may('readMemberProfiles', role, state)
  return { ...row, user: isShown ? user : hiddenUserRow(user) }
}

/** Runs a command on what a member keeps in a group; the group as it is now says who may. */
const runMemberCommand = async (
  { node }: Dependencies,
  call: Call<'user'>,
  of: { readonly groupId: string; readonly userId: string },
  command: DistributiveOmit<MemberCommand, 'groupId' | 'userId' | 'by' | 'at'>,
) => {
  const id = of.groupId as GroupId
  const whose = self(call, of.userId)
  const { state } = await node.load(group, streamOf.group(id))
  const whole = {
    ...command,
    groupId: id,
    userId: whose,
    by: call.caller.userId,
    at: node.clock.now(),
  } as MemberCommand
  const handled = await runCommand(node, call, member, streamOf.member(id, whose), whole, { group: state })
  return isRejection(handled) ? handled : { position: handled.position }
}

/** Until when somebody is to be muted. */
export const muteEnd = z
  .union([givenInstant, z.literal('forever')])
  .nullable()
  .meta({ description: 'Null, or a time that has passed, lets the member speak again.' })

/** The command that mutes somebody so. */
export const muting = (userId: UserId, until: z.output<typeof muteEnd>) => {
  if (until === null) return { type: 'UnmuteMember', userId } as const
  return { type: 'MuteMember', userId, until } as const
}

const updateBody = someOf(
  z.strictObject({
    nickname: name(limits.groupNicknameCharactersMax).nullable().optional(),
    extension: text(0, limits.memberExtensionCharactersMax).optional(),
    mutedUntil: muteEnd.optional().meta({ description: `${muteEnd.description} Goes alone.` }),
  }),
).superRefine((fields, context) => {
  if (fields.mutedUntil === undefined || (fields.nickname === undefined && fields.extension === undefined)) return
  context.addIssue({ code: 'custom', message: 'goes alone: it is a change of its own', path: ['mutedUntil'] })
})

const update = (
  dependencies: Dependencies,
  call: Call<'user'>,
  { mutedUntil, nickname, extension, ...of }: z.output<typeof memberParams> & z.output<typeof updateBody>,
) => {
  if (mutedUntil === undefined)
    return runMemberCommand(dependencies, call, of, { type: 'EditMember', nickname, extension })
  return runGroupCommand(dependencies, call, of.groupId, muting(self(call, of.userId), mutedUntil))
}

const usual = { tag: 'groups', callers: ['user'], frame: true, status: 200 } as const
const command = { ...usual, limit: 'commands', reply: positionReply } as const
const position = { position: example.position }
const memberExample = { params: { groupId: example.groupId, userId: example.otherUserId } }

const follow = {
  ...command,
  path: '/v1/groups/:groupId/followed-members/:userId',
  params: z.strictObject({ groupId, userId }),
  example: { ...memberExample, reply: position },
} as const

/** One member of a group. */
export const memberProfileOperations: readonly Operation[] = [
  operation({
    ...usual,
    id: 'getMember',
    method: 'GET',
    path: '/v1/groups/:groupId/members/:userId',
    summary: 'One member of a group, as the group lets them be seen',
    limit: 'queries',
    params: memberParams,
    reply: memberRow.extend({
      user: z
        .looseObject({ userId: reply.id, name: reply.text.optional(), avatarUrl: reply.text.optional() })
        .meta({ description: 'The account; only id and avatar where the group hides profiles from the caller.' }),
    }),
    rejections: ['group.not-found', 'group.not-member'],
    example: {
      ...memberExample,
      reply: { ...exampleMemberRow, user: { userId: example.otherUserId, name: 'Charles' } },
    },
    run: get,
  }),
  operation({
    ...command,
    id: 'updateMember',
    method: 'PATCH',
    path: '/v1/groups/:groupId/members/:userId',
    summary: 'Name a member, or mute one',
    description: [
      'Nickname and extension: anybody their own, the owner everybody’s, an admin those of plain members. To mute: the owner',
      'whom they like, an admin plain members. A mute outlives leaving and coming back.',
    ].join(' '),
    params: memberParams,
    body: updateBody,
    rejections: [
      'group.not-found',
      'group.dissolved',
      'group.not-allowed',
      'group.target-not-member',
      'group.target-is-owner',
      'group.target-is-admin',
      'group.target-self',
      'group.mute-limit',
    ],
    example: { ...memberExample, body: { nickname: 'The engineer' }, reply: position },
    run: update,
  }),
  operation({
    ...follow,
    id: 'followMember',
    method: 'PUT',
    summary: 'Pay heed to a member; nobody else sees it',
    rejections: [
      'group.not-found',
      'group.dissolved',
      'group.target-not-member',
      'group.target-self',
      'group.followed-limit',
    ],
    run: (dependencies, call, args) =>
      runMemberCommand(
        dependencies,
        call,
        { groupId: args.groupId, userId: 'me' },
        { type: 'FollowMember', followedId: self(call, args.userId) },
      ),
  }),
  operation({
    ...follow,
    id: 'unfollowMember',
    method: 'DELETE',
    summary: 'Stop paying heed to a member',
    rejections: ['group.not-found', 'group.dissolved'],
    run: (dependencies, call, args) =>
      runMemberCommand(
        dependencies,
        call,
        { groupId: args.groupId, userId: 'me' },
        { type: 'UnfollowMember', followedId: self(call, args.userId) },
      ),
  }),
]
