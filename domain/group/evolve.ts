// Owns how each event of a group changes what is known of it.

import type { UserId } from '../ids.ts'
import type { GroupRole } from '../rows.ts'
import { withAnnouncement } from './announcements.ts'
import { attributesIn, earlierAttributes } from './attributes.ts'
import { type GroupCreated, type GroupEvent, inviterOf, type MemberMuted, type MembersAdded } from './events.ts'
import { withRequests } from './requests.ts'
import type { ExistingGroup, Group, GroupMember } from './state.ts'

const created = (data: GroupCreated['data']): ExistingGroup => {
  const members = new Map<UserId, GroupMember>([[data.ownerId, { role: 'owner', joinedAt: data.at }]])
  for (const userId of data.memberIds) members.set(userId, { role: 'member', joinedAt: data.at, invitedBy: data.by })
  return {
    ...earlierAttributes,
    ...attributesIn(data),
    name: data.name,
    status: 'open',
    groupId: data.groupId,
    ownerId: data.ownerId,
    createdBy: data.by,
    members,
    mutes: new Map(),
    invitations: new Map(),
    applications: new Map(),
    joinQuestions: null,
    announced: 0,
    announcements: [],
    createdAt: data.at,
    dissolvedAt: null,
  }
}

const setRole = (members: Map<UserId, GroupMember>, userId: UserId, role: GroupRole): Map<UserId, GroupMember> => {
  const member = members.get(userId)
  return member === undefined ? members : members.set(userId, { ...member, role })
}

const withRole = (state: ExistingGroup, userId: UserId, role: GroupRole): ExistingGroup => ({
  ...state,
  members: setRole(new Map(state.members), userId, role),
})

/** Copied only when it was there. */
const without = (mutes: ExistingGroup['mutes'], userIds: readonly UserId[]): ExistingGroup['mutes'] => {
  if (mutes.size === 0 || !userIds.some(userId => mutes.has(userId))) return mutes
  const left = new Map(mutes)
  for (const userId of userIds) left.delete(userId)
  return left
}

/** Mutes of former members that have passed are dropped by the way, so that they cannot pile up. */
const muted = (state: ExistingGroup, { userId, until, at }: MemberMuted['data']): ExistingGroup => {
  const past = [...state.mutes].filter(([id, end]) => end <= at && !state.members.has(id)).map(([id]) => id)
  return { ...state, mutes: new Map(without(state.mutes, past)).set(userId, until) }
}

/** Whoever comes in has the mute that the event says, and no other. */
const membersAdded = (state: ExistingGroup, data: MembersAdded['data']): ExistingGroup => {
  const members = new Map(state.members)
  const invitedBy = inviterOf(data)
  const member = {
    role: 'member',
    joinedAt: data.at,
    ...(invitedBy === undefined ? undefined : { invitedBy }),
  } as const
  for (const userId of data.userIds) members.set(userId, member)
  const kept = new Set(data.mutes?.map(({ userId }) => userId))
  const lost = data.userIds.filter(userId => !kept.has(userId))
  return { ...state, members, mutes: without(state.mutes, lost) }
}

/** A group may have thousands of members: whatever an event changes, the map is copied once. */
export const evolveGroup = (state: Group, event: GroupEvent): Group => {
  if (event.type === 'GroupCreated') return created(event.data)
  if (state.status === 'none') return state
  switch (event.type) {
    case 'MembersAdded':
      return membersAdded(state, event.data)
    case 'MembersRemoved': {
      const members = new Map(state.members)
      for (const userId of event.data.userIds) members.delete(userId)
      return { ...state, members }
    }
    case 'OwnerTransferred': {
      const { from, to } = event.data
      const members = setRole(setRole(new Map(state.members), from, 'member'), to, 'owner')
      return { ...state, ownerId: to, members, mutes: without(state.mutes, [to]) }
    }
    case 'AdminAdded': {
      const { userId } = event.data
      return { ...withRole(state, userId, 'admin'), mutes: without(state.mutes, [userId]) }
    }
    case 'AdminRemoved':
      return withRole(state, event.data.userId, 'member')
    case 'GroupUpdated':
      return { ...state, ...attributesIn(event.data.changed) }
    case 'MemberMuted':
      return muted(state, event.data)
    case 'MemberUnmuted':
      return { ...state, mutes: without(state.mutes, [event.data.userId]) }
    case 'MuteAllChanged':
      return { ...state, muteAll: event.data.mode }
    case 'GroupDissolved':
      return { ...state, status: 'dissolved', dissolvedAt: event.data.at }
    case 'JoinQuestionsSet': {
      const { questions, minimumScore } = event.data
      return { ...state, joinQuestions: questions.length === 0 ? null : { questions, minimumScore } }
    }
    case 'AnnouncementPublished':
    case 'AnnouncementDeleted':
      return { ...state, ...withAnnouncement(state, event) }
    default:
      return withRequests(state, event)
  }
}
