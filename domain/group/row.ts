// Owns how a group looks to its members, and to those who search for groups.

import { type ConversationId, type GroupId, groupConversationId, type Instant, type UserId } from '../ids.ts'
import type { MemberProfile } from '../member/events.ts'
import type { GroupRole } from '../rows.ts'
import type { GroupAttributes } from './attributes.ts'
import type { MutedUntil } from './events.ts'
import type { Group } from './state.ts'

export interface GroupRow extends GroupAttributes {
  readonly groupId: GroupId
  readonly conversationId: ConversationId
  readonly ownerId: UserId
  readonly memberCount: number
  readonly createdAt: Instant
  readonly dissolvedAt: Instant | null
  readonly myRole: GroupRole
  readonly myNickname: string | null
  readonly myExtension: string
  /** May have passed. */
  readonly myMutedUntil: MutedUntil | null
  readonly myFollowedIds: readonly UserId[]
}

export interface GroupRowParts extends GroupAttributes {
  readonly groupId: GroupId
  readonly ownerId: UserId
  readonly memberCount: number
  readonly createdAt: Instant
  readonly dissolvedAt: Instant | null
}

/** What differs from one member to the other. */
export interface OwnParts {
  readonly role: GroupRole
  readonly mutedUntil: MutedUntil | null
  readonly profile: MemberProfile
}

/** Field by field: lists of groups are made of these, and an object spread from a loop costs ten times as much. */
const attributesOf = (group: GroupAttributes): GroupAttributes => ({
  name: group.name,
  avatarUrl: group.avatarUrl,
  introduction: group.introduction,
  announcement: group.announcement,
  extension: group.extension,
  appExtension: group.appExtension,
  memberLimit: group.memberLimit,
  joinMode: group.joinMode,
  inviteMode: group.inviteMode,
  inviteeConsent: group.inviteeConsent,
  editMode: group.editMode,
  editExtensionMode: group.editExtensionMode,
  muteAll: group.muteAll,
  historyBeforeJoin: group.historyBeforeJoin,
  hideMemberProfiles: group.hideMemberProfiles,
  noFriendRequestsBetweenMembers: group.noFriendRequestsBetweenMembers,
  autoApprove: group.autoApprove,
  searchable: group.searchable,
})

/** A group as one of its members sees it. */
export const groupRow = (group: GroupRowParts, { role, mutedUntil, profile }: OwnParts): GroupRow => ({
  groupId: group.groupId,
  conversationId: groupConversationId(group.groupId),
  ...attributesOf(group),
  ownerId: group.ownerId,
  memberCount: group.memberCount,
  createdAt: group.createdAt,
  dissolvedAt: group.dissolvedAt,
  myRole: role,
  myNickname: profile.nickname,
  myExtension: profile.extension,
  myMutedUntil: mutedUntil,
  myFollowedIds: profile.followedIds,
})

/** The same of a held state; undefined for whoever is no member. */
export const groupRowOf = (group: Group, userId: UserId, profile: MemberProfile): GroupRow | undefined => {
  const member = group.status === 'none' ? undefined : group.members.get(userId)
  if (group.status === 'none' || member === undefined) return undefined
  const mutedUntil = group.mutes.get(userId) ?? null
  return groupRow({ ...group, memberCount: group.members.size }, { role: member.role, mutedUntil, profile })
}

/** A group as it is shown to people who are not in it. */
export interface FoundGroupRow {
  readonly groupId: GroupId
  readonly name: string
  readonly avatarUrl: string
  readonly introduction: string
  readonly memberCount: number
  readonly memberLimit: number
  readonly joinMode: GroupAttributes['joinMode']
}

export const foundGroupRow = (group: GroupRowParts): FoundGroupRow => ({
  groupId: group.groupId,
  name: group.name,
  avatarUrl: group.avatarUrl,
  introduction: group.introduction,
  memberCount: group.memberCount,
  memberLimit: group.memberLimit,
  joinMode: group.joinMode,
})
