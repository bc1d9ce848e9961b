// Owns the commands and events that tests of how people come into a group are told with. A group here asks first whom it takes.

import type { GroupAttributes } from '../../domain/group/attributes.ts'
import type { JoinedVia } from '../../domain/group/events.ts'
import type { GroupCommand, GroupEvent } from '../../domain/group/group.ts'
import type { Instant, UserId } from '../../domain/ids.ts'
import { admin, adminAdded, at, created, groupId, member, owner } from './group.ts'

export const expiresAt = '2026-11-30T08:00:00.000Z' as Instant
export const guest = 'guest' as UserId

/** An owner, an admin and a plain member, as the attributes say. */
export const open = (attributes: Partial<GroupAttributes> = {}): GroupEvent[] => [
  created({ memberIds: [admin, member], memberCount: 3, inviteeConsent: 'required', ...attributes }),
  adminAdded(admin),
]
export const invitedEvent = (userIds: readonly UserId[], by: UserId = owner, requestId = 'of adding'): GroupEvent => ({
  type: 'MembersInvited',
  data: {
    groupId,
    groupName: 'Friends',
    invited: userIds.map(userId => ({ userId, requestId })),
    expiresAt,
    by,
    at,
  },
})
export const joinedEvent = (userId: UserId, by: UserId, via: JoinedVia): GroupEvent => ({
  type: 'MembersAdded',
  data: { groupId, userIds: [userId], memberCount: 4, via, by, at },
})
export const accepted = (userId: UserId, invitedBy: UserId = owner, requestId = 'of adding'): GroupEvent => ({
  type: 'InvitationAccepted',
  data: { groupId, userId, requestId, invitedBy, at },
})
export const accept = (by: UserId, when: Instant = at): GroupCommand => ({ type: 'AcceptInvitation', by, at: when })
export const rejectIt = (by: UserId): GroupCommand => ({ type: 'RejectInvitation', by, at })
export const recall = (userId: UserId, by: UserId): GroupCommand => ({ type: 'RecallInvitation', userId, by, at })
export const join = (by: UserId, more: Partial<Extract<GroupCommand, { type: 'JoinGroup' }>> = {}): GroupCommand => ({
  type: 'JoinGroup',
  requestId: 'of joining',
  blockedBy: [],
  isFriendOfOwner: false,
  by,
  at,
  ...more,
})
export const applied = (userId: UserId, told: readonly UserId[] = [owner, admin], message?: string): GroupEvent => ({
  type: 'ApplicationMade',
  data: {
    groupId,
    userId,
    requestId: 'of joining',
    ...(message === undefined ? {} : { message }),
    told,
    expiresAt,
    at,
  },
})
export const approve = (userId: UserId, by: UserId, when: Instant = at): GroupCommand => ({
  type: 'ApproveApplication',
  userId,
  by,
  at: when,
})
export const turnAway = (userId: UserId, by: UserId, reason?: string): GroupCommand => ({
  type: 'RejectApplication',
  userId,
  reason,
  by,
  at,
})
export const approved = (
  userId: UserId,
  by: UserId,
  decidedBy: 'manager' | 'auto',
  told = [owner, admin],
): GroupEvent => ({
  type: 'ApplicationApproved',
  data: { groupId, userId, requestId: 'of joining', told, decidedBy, by, at },
})
export const system = 'system' as UserId
