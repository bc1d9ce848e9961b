// Owns how each event of a group changes what is known of it.

import type { UserId } from '../ids.ts'
import type { GroupRole } from '../rows.ts'
import { attributesIn, earlierAttributes } from './attributes.ts'
import type { GroupCreated, GroupEvent } from './events.ts'
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

/** A group may have thousands of members: whatever an event changes, the map is copied once. */
export const evolveGroup = (state: Group, event: GroupEvent): Group => {
  if (event.type === 'GroupCreated') return created(event.data)
  if (state.status === 'none') return state
  switch (event.type) {
    case 'MembersAdded': {
      const members = new Map(state.members)
      const { at: joinedAt, by: invitedBy } = event.data
      for (const userId of event.data.userIds) members.set(userId, { role: 'member', joinedAt, invitedBy })
      return { ...state, members }
    }
    case 'MembersRemoved': {
      const members = new Map(state.members)
      for (const userId of event.data.userIds) members.delete(userId)
      return { ...state, members }
    }
    case 'OwnerTransferred': {
      const members = setRole(setRole(new Map(state.members), event.data.from, 'member'), event.data.to, 'owner')
      return { ...state, ownerId: event.data.to, members }
    }
    case 'AdminAdded':
      return withRole(state, event.data.userId, 'admin')
    case 'AdminRemoved':
      return withRole(state, event.data.userId, 'member')
    case 'GroupDissolved':
      return { ...state, status: 'dissolved', dissolvedAt: event.data.at }
    default:
      return state
  }
}
