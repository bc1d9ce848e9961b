// Owns what the app's own backend does to groups, past the roles of their members (R15, R17, R18, R21, R25, R40, R42). The rules
// are the same decider's: the app is a party of its own in the table of permissions.

import { z } from 'zod'
import { isRejection } from '../domain/decider.ts'
import { type GroupCommand, group } from '../domain/group/group.ts'
import { type GroupId, streamOf, systemUserId } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { ownsMostGroups } from '../projections/group.ts'
import { ownId } from './admin-accounts.ts'
import { announcementParams, exampleAnnouncementId, publishBody, publishReply } from './announcements.ts'
import { madeId, runCommand } from './commands.ts'
import type { OperationDependencies } from './dependencies.ts'
import { example, groupId, positionReply, someOf } from './fields.ts'
import { appExtension, attributeFields, muteAll } from './group-fields.ts'
import { groupParams } from './groups.ts'
import { muteEnd, muting } from './member-profiles.ts'
import { addReply, addTo } from './members.ts'
import { type Call, type Operation, operation } from './operation.ts'

type DistributiveOmit<Union, Key extends PropertyKey> = Union extends unknown ? Omit<Union, Key> : never

const runAsApp = async (
  { node }: OperationDependencies,
  call: Call<'admin'>,
  id: string,
  command: DistributiveOmit<GroupCommand, 'by' | 'at'>,
) => {
  const whole = { ...command, by: systemUserId, at: node.clock.now() } as GroupCommand
  const handled = await runCommand(node, call, group, streamOf.group(id as GroupId), whole, undefined)
  return isRejection(handled) ? handled : { position: handled.position }
}

const memberParams = z.strictObject({ groupId, userId: ownId })
const targetsBody = z.strictObject({ userIds: z.array(ownId).min(1).max(limits.groupTargetsPerCallMax) })

type Published = z.output<typeof publishBody> & z.output<typeof groupParams>

const publish = async (dependencies: OperationDependencies, call: Call<'admin'>, args: Published) => {
  const announcementId = madeId(dependencies.node, call, `announcement ${args.groupId} ${systemUserId}`)
  const handled = await runAsApp(dependencies, call, args.groupId, {
    type: 'PublishAnnouncement',
    announcementId,
    text: args.text,
    popup: args.popup ?? false,
  })
  return isRejection(handled) ? handled : { announcementId, ...handled }
}

const command = {
  tag: 'admin',
  callers: ['admin'],
  frame: false,
  limit: 'admin',
  status: 200,
  params: groupParams,
  reply: positionReply,
} as const
const ofMember = { ...command, params: memberParams } as const
const position = { position: example.position }
const positionExample = { params: { groupId: example.groupId }, reply: position }
const memberExample = { params: { groupId: example.groupId, userId: example.otherUserId }, reply: position }
const unreachable = ['group.not-found', 'group.dissolved'] as const

const settings: readonly Operation[] = [
  operation({
    ...command,
    id: 'updateGroupAsApp',
    method: 'PATCH',
    path: '/v1/admin/groups/:groupId',
    summary: 'Change what a group is set to, the app’s own extension too',
    body: someOf(z.strictObject({ ...attributeFields, appExtension }).partial()),
    rejections: [...unreachable, 'group.member-limit'],
    example: { ...positionExample, body: { appExtension: '{"plan":"gold"}' } },
    run: (dependencies, call, { groupId, ...changes }) =>
      runAsApp(dependencies, call, groupId, { type: 'UpdateGroup', changes }),
  }),
  operation({
    ...command,
    id: 'setMuteAllAsApp',
    method: 'PUT',
    path: '/v1/admin/groups/:groupId/mute-all',
    summary: 'Mute plain members or everyone, or let them speak again',
    body: z.strictObject({ mode: muteAll }),
    rejections: unreachable,
    example: { ...positionExample, body: { mode: 'everyone' } },
    run: (dependencies, call, { groupId, mode }) => runAsApp(dependencies, call, groupId, { type: 'SetMuteAll', mode }),
  }),
  operation({
    ...command,
    id: 'dissolveGroupAsApp',
    method: 'DELETE',
    path: '/v1/admin/groups/:groupId',
    summary: 'Dissolve a group',
    description: 'All its members are told, the owner too. They keep what they could read; nobody writes any more.',
    rejections: unreachable,
    example: positionExample,
    run: (dependencies, call, { groupId }) => runAsApp(dependencies, call, groupId, { type: 'DissolveGroup' }),
  }),
  operation({
    ...command,
    id: 'transferGroupAsApp',
    method: 'POST',
    path: '/v1/admin/groups/:groupId/transfer',
    summary: 'Make another member the owner',
    description: 'The owner before stays as a plain member, who can be removed then.',
    body: z.strictObject({ to: ownId }),
    rejections: [...unreachable, 'group.already-owner', 'group.target-not-member', 'group.owned-limit'],
    example: { ...positionExample, body: { to: example.otherUserId } },
    run: async (dependencies, call, { groupId, to }) => {
      const ownsMost = await ownsMostGroups(dependencies.database, to)
      return runAsApp(dependencies, call, groupId, { type: 'TransferGroup', to, leave: false, ownsMost })
    },
  }),
]

const members: readonly Operation[] = [
  operation({
    ...command,
    id: 'addMembersAsApp',
    method: 'POST',
    path: '/v1/admin/groups/:groupId/members',
    summary: 'Add members',
    description:
      'At once and without asking them, however the group is joined and whoever may invite; there must be room. Users that cannot be added are told of in `failed`.',
    body: targetsBody,
    reply: addReply,
    rejections: [...unreachable, 'group.full'],
    example: {
      params: { groupId: example.groupId },
      body: { userIds: [example.otherUserId] },
      reply: { added: [example.otherUserId], invited: [], applied: [], failed: [], ...position },
    },
    run: (dependencies, call, args) => addTo(dependencies, call, systemUserId, args),
  }),
  operation({
    ...command,
    id: 'removeMembersAsApp',
    method: 'POST',
    path: '/v1/admin/groups/:groupId/members/remove',
    summary: 'Remove members',
    description: 'All or none. The owner cannot be removed: transfer the group first.',
    body: targetsBody,
    rejections: [...unreachable, 'group.target-not-member', 'group.target-is-owner'],
    example: { ...positionExample, body: { userIds: [example.otherUserId] } },
    run: (dependencies, call, { groupId, userIds }) =>
      runAsApp(dependencies, call, groupId, { type: 'RemoveMembers', userIds }),
  }),
  operation({
    ...ofMember,
    id: 'updateMemberAsApp',
    method: 'PATCH',
    path: '/v1/admin/groups/:groupId/members/:userId',
    summary: 'Mute a member, or let one speak again',
    description: 'Anybody but the owner. A mute outlives leaving and coming back.',
    body: z.strictObject({ mutedUntil: muteEnd }),
    rejections: [...unreachable, 'group.target-not-member', 'group.target-is-owner', 'group.mute-limit'],
    example: { ...memberExample, body: { mutedUntil: 'forever' } },
    run: (dependencies, call, { groupId, userId, mutedUntil }) =>
      runAsApp(dependencies, call, groupId, muting(userId, mutedUntil)),
  }),
  operation({
    ...ofMember,
    id: 'addAdminAsApp',
    method: 'PUT',
    path: '/v1/admin/groups/:groupId/admins/:userId',
    summary: 'Make a member an admin',
    rejections: [...unreachable, 'group.target-not-member', 'group.target-is-owner', 'group.admin-limit'],
    example: memberExample,
    run: (dependencies, call, { groupId, userId }) =>
      runAsApp(dependencies, call, groupId, { type: 'AddAdmin', userId }),
  }),
  operation({
    ...ofMember,
    id: 'removeAdminAsApp',
    method: 'DELETE',
    path: '/v1/admin/groups/:groupId/admins/:userId',
    summary: 'Make an admin a plain member again',
    rejections: [...unreachable, 'group.target-is-owner'],
    example: memberExample,
    run: (dependencies, call, { groupId, userId }) =>
      runAsApp(dependencies, call, groupId, { type: 'RemoveAdmin', userId }),
  }),
]

const announcements: readonly Operation[] = [
  operation({
    ...command,
    id: 'publishAnnouncementAsApp',
    method: 'POST',
    path: '/v1/admin/groups/:groupId/announcements',
    summary: 'Publish an announcement in a group',
    status: 201,
    body: publishBody,
    reply: publishReply,
    rejections: unreachable,
    example: {
      params: { groupId: example.groupId },
      body: { text: 'The server is down from nine to ten.', popup: true },
      reply: { announcementId: exampleAnnouncementId, ...position },
    },
    run: publish,
  }),
  operation({
    ...command,
    id: 'deleteAnnouncementAsApp',
    method: 'DELETE',
    path: '/v1/admin/groups/:groupId/announcements/:announcementId',
    summary: 'Delete an announcement of a group',
    params: announcementParams,
    rejections: [...unreachable, 'announcement.not-found'],
    example: { params: { groupId: example.groupId, announcementId: exampleAnnouncementId }, reply: position },
    run: (dependencies, call, { groupId, announcementId }) =>
      runAsApp(dependencies, call, groupId, { type: 'DeleteAnnouncement', announcementId }),
  }),
]

/** What the app does to groups. */
export const adminGroupOperations: readonly Operation[] = [...settings, ...members, ...announcements]
