// Owns the people, commands and events that tests of the group's rules are told with: an owner, two admins, two plain members.

import { groupPresets } from '../../domain/group/attributes.ts'
import type { GroupCommand, GroupEvent } from '../../domain/group/group.ts'
import type { GroupId, Instant, UserId } from '../../domain/ids.ts'

export const at = '2026-11-23T08:00:00.000Z' as Instant
export const later = '2026-11-23T09:00:00.000Z' as Instant
export const groupId = 'g1' as GroupId
export const [owner, admin, other, member, second, stranger] = [
  'owner',
  'admin',
  'other',
  'member',
  'second',
  'stranger',
].map(name => name as UserId) as [UserId, UserId, UserId, UserId, UserId, UserId]
export const users = (count: number): UserId[] => Array.from({ length: count }, (_, index) => `u${index}` as UserId)
export const facts = { groupsCreated: 0 }

/** What the group of these tests begins with: those who are named are members at once. */
export const usual = { ...groupPresets.public, inviteeConsent: 'none' } as const

export const create = (changes: Partial<Extract<GroupCommand, { type: 'CreateGroup' }>> = {}): GroupCommand => ({
  type: 'CreateGroup',
  groupId,
  name: 'Friends',
  memberIds: [admin, other, member, second],
  requestId: 'of creation',
  inviteeConsent: 'none',
  by: owner,
  at,
  ...changes,
})
export const created = (changes: Partial<Extract<GroupEvent, { type: 'GroupCreated' }>['data']> = {}): GroupEvent => {
  const memberIds = changes.memberIds ?? [admin, other, member, second]
  return {
    type: 'GroupCreated',
    data: {
      ...usual,
      groupId,
      name: 'Friends',
      ownerId: owner,
      memberIds,
      memberCount: memberIds.length + 1,
      by: owner,
      at,
      ...changes,
    },
  }
}
export const adminAdded = (userId: UserId): GroupEvent => ({
  type: 'AdminAdded',
  data: { groupId, userId, by: owner, at },
})
/** An owner, two admins and two plain members. */
export const peopled = [created(), adminAdded(admin), adminAdded(other)]
export const dissolved: GroupEvent = { type: 'GroupDissolved', data: { groupId, by: owner, at } }
export const added = (userIds: UserId[], memberCount: number, by: UserId): GroupEvent => ({
  type: 'MembersAdded',
  data: { groupId, userIds, memberCount, by, at },
})
export const removed = (
  userIds: UserId[],
  memberCount: number,
  by: UserId,
  reason: 'kicked' | 'left' = 'kicked',
): GroupEvent => ({
  type: 'MembersRemoved',
  data: { groupId, userIds, reason, memberCount, by, at },
})

export const add = (userIds: UserId[], by: UserId): GroupCommand => ({
  type: 'AddMembers',
  userIds,
  requestId: 'of adding',
  by,
  at,
})
export const remove = (userIds: UserId[], by: UserId): GroupCommand => ({ type: 'RemoveMembers', userIds, by, at })
export const leave = (by: UserId): GroupCommand => ({ type: 'LeaveGroup', by, at })
export const transfer = (to: UserId, leave: boolean, by: UserId, ownsMost = false): GroupCommand => ({
  type: 'TransferGroup',
  to,
  leave,
  ownsMost,
  by,
  at,
})
export const addAdmin = (userId: UserId, by: UserId): GroupCommand => ({ type: 'AddAdmin', userId, by, at })
export const removeAdmin = (userId: UserId, by: UserId): GroupCommand => ({ type: 'RemoveAdmin', userId, by, at })
export const dissolve = (by: UserId): GroupCommand => ({ type: 'DissolveGroup', by, at })
export const everyCommandBy = (by: UserId): GroupCommand[] => [
  add([stranger], by),
  remove([member], by),
  leave(by),
  transfer(member, false, by),
  addAdmin(member, by),
  removeAdmin(admin, by),
  dissolve(by),
  { type: 'RecallInvitation', userId: stranger, by, at },
  { type: 'ApproveApplication', userId: stranger, by, at },
  { type: 'RejectApplication', userId: stranger, by, at },
  { type: 'SetJoinQuestions', questions: [], by, at },
  { type: 'PublishAnnouncement', announcementId: 'a', text: 'x', popup: true, by, at },
  { type: 'DeleteAnnouncement', announcementId: 'a', by, at },
]
