// Owns the rules of a group: who is in it, in which role, who may change that (R14–R25). Exactly one owner while it is open.
// Never counts a user's groups or looks at accounts: the caller leaves out those who cannot be added.
// Stale facts can do this at worst: two groups created at once overshoot the creator's cap by one, and somebody added in
// two groups at once overshoots the own cap by one. Membership itself is decided on this stream alone.

import { type Decider, type Decision, isRejection, noRuleFor, type Rejection, reject } from '../decider.ts'
import type { GroupId, Instant, UserId } from '../ids.ts'
import { limits } from '../limits.ts'
import type { GroupRole } from '../rows.ts'
import type { GroupCreated, GroupEvent, InviteMode, MembersRemoved } from './events.ts'
import { permissions, reaches } from './permissions.ts'
import { decodeGroup, encodeGroup } from './snapshot.ts'

export type { GroupRole } from '../rows.ts'
export type { GroupEvent, InviteMode } from './events.ts'

export interface GroupMember {
  readonly role: GroupRole
  readonly joinedAt: Instant
  /** Absent for the one who created the group. */
  readonly invitedBy?: UserId
}

export interface ExistingGroup {
  readonly status: 'open' | 'dissolved'
  readonly groupId: GroupId
  readonly name: string
  readonly ownerId: UserId
  readonly createdBy: UserId
  /** In the order of joining. They stay after dissolution, because they may still read. */
  readonly members: ReadonlyMap<UserId, GroupMember>
  readonly memberLimit: number
  readonly inviteMode: InviteMode
  readonly createdAt: Instant
  readonly dissolvedAt: Instant | null
}

export type Group = { readonly status: 'none' } | ExistingGroup

interface Actor {
  readonly by: UserId
  readonly at: Instant
}

export interface CreateGroup extends Actor {
  readonly type: 'CreateGroup'
  /** Derived from caller and key, so that a repeat finds the same group. */
  readonly groupId: GroupId
  readonly name: string
  /** Users that exist and have room for another group; the creator and doubles are dropped. */
  readonly memberIds: readonly UserId[]
  readonly memberLimit: number
  readonly inviteMode: InviteMode
}

export interface AddMembers extends Actor {
  readonly type: 'AddMembers'
  /** Users that exist and have room for another group. */
  readonly userIds: readonly UserId[]
}

export interface RemoveMembers extends Actor {
  readonly type: 'RemoveMembers'
  readonly userIds: readonly UserId[]
}

export interface LeaveGroup extends Actor {
  readonly type: 'LeaveGroup'
}

export interface TransferGroup extends Actor {
  readonly type: 'TransferGroup'
  readonly to: UserId
  /** The old owner leaves in the same decision instead of staying as a plain member. */
  readonly leave: boolean
}

export interface AddAdmin extends Actor {
  readonly type: 'AddAdmin'
  readonly userId: UserId
}

export interface RemoveAdmin extends Actor {
  readonly type: 'RemoveAdmin'
  readonly userId: UserId
}

export interface DissolveGroup extends Actor {
  readonly type: 'DissolveGroup'
}

export type GroupCommand =
  | CreateGroup
  | AddMembers
  | RemoveMembers
  | LeaveGroup
  | TransferGroup
  | AddAdmin
  | RemoveAdmin
  | DissolveGroup

/** CreateGroup needs these. */
export interface CreateGroupFacts {
  /** Open groups that the creator has created (dissolved ones do not count). */
  readonly groupsCreated: number
}

/** AddMembers and every other command decide on the group alone. */
export type GroupFacts = CreateGroupFacts | undefined

export type GroupRejection =
  | 'group.not-found'
  | 'group.dissolved'
  | 'group.not-owner'
  | 'group.not-allowed'
  | 'group.full'
  | 'group.member-limit'
  | 'group.created-limit'
  | 'group.target-not-member'
  | 'group.target-is-owner'
  | 'group.target-is-admin'
  | 'group.target-self'
  | 'group.already-owner'
  | 'group.owner-cannot-leave'
  | 'group.admin-limit'

type GroupDecision = Decision<GroupEvent, GroupRejection>

/** The role of a user in a group, dissolved or not; null for strangers. */
export const roleIn = (state: Group, userId: UserId): GroupRole | null =>
  state.status === 'none' ? null : (state.members.get(userId)?.role ?? null)

const created = (data: GroupCreated['data']): ExistingGroup => {
  const members = new Map<UserId, GroupMember>([[data.ownerId, { role: 'owner', joinedAt: data.at }]])
  for (const userId of data.memberIds) members.set(userId, { role: 'member', joinedAt: data.at, invitedBy: data.by })
  return {
    status: 'open',
    groupId: data.groupId,
    name: data.name,
    ownerId: data.ownerId,
    createdBy: data.by,
    members,
    memberLimit: data.memberLimit,
    inviteMode: data.inviteMode,
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
const evolve = (state: Group, event: GroupEvent): Group => {
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

const full = (memberLimit: number): Rejection<'group.full'> =>
  reject('group.full', `The group has room for ${memberLimit} members. Add fewer.`, { memberLimit })

const notFound = (): Rejection<'group.not-found'> => reject('group.not-found', 'There is no such group for you.')

const createGroup = (command: CreateGroup, state: Group, facts: GroupFacts): GroupDecision => {
  if (state.status !== 'none') return state.createdBy === command.by ? [] : notFound()
  if (facts === undefined) throw new Error('CreateGroup needs facts of the creator')
  const { groupId, name, memberLimit, inviteMode, by, at } = command
  // Written so that NaN is refused as well.
  if (!(memberLimit >= limits.groupMembersMin && memberLimit <= limits.groupMembersMax)) {
    const range = `${limits.groupMembersMin} to ${limits.groupMembersMax}`
    return reject('group.member-limit', `The member limit of a group can be ${range}.`)
  }
  if (facts.groupsCreated >= limits.groupsCreatedMax) {
    return reject('group.created-limit', `You own ${limits.groupsCreatedMax} groups you created. Dissolve one first.`)
  }
  const others = new Set(command.memberIds)
  others.delete(by)
  const memberCount = others.size + 1
  if (memberCount > memberLimit) return full(memberLimit)
  const memberIds = [...others]
  const data = { groupId, name, ownerId: by, memberIds, memberLimit, inviteMode, memberCount, by, at }
  return [{ type: 'GroupCreated', data }]
}

const addMembers = (command: AddMembers, state: ExistingGroup, role: GroupRole): GroupDecision => {
  const grant = permissions.addMembers[role]
  if (grant !== 'yes' && !(grant === 'whenEveryoneInvites' && state.inviteMode === 'everyone')) {
    return reject('group.not-allowed', 'Only the owner and admins add members to this group.')
  }
  const userIds = [...new Set(command.userIds)].filter(userId => !state.members.has(userId))
  if (userIds.length === 0) return []
  const memberCount = state.members.size + userIds.length
  if (memberCount > state.memberLimit) return full(state.memberLimit)
  const { by, at } = command
  return [{ type: 'MembersAdded', data: { groupId: state.groupId, userIds, memberCount, by, at } }]
}

const removed = (
  state: ExistingGroup,
  userIds: readonly UserId[],
  reason: MembersRemoved['data']['reason'],
  { by, at }: Actor,
): MembersRemoved => {
  const memberCount = state.members.size - userIds.length
  return { type: 'MembersRemoved', data: { groupId: state.groupId, userIds, reason, memberCount, by, at } }
}

/** Why one target cannot be removed; undefined when it can. */
const removalRefused = (
  target: UserId,
  by: UserId,
  state: ExistingGroup,
  role: GroupRole,
): Rejection<GroupRejection> | undefined => {
  const data = { userId: target }
  if (target === by) return reject('group.target-self', 'You cannot remove yourself. Leave the group instead.', data)
  const targetRole = roleIn(state, target)
  if (targetRole === null) return reject('group.target-not-member', 'One of these users is not in the group.', data)
  if (reaches('removeMembers', role, targetRole)) return undefined
  return targetRole === 'owner'
    ? reject('group.target-is-owner', 'Nobody can remove the owner.', data)
    : reject('group.target-is-admin', 'Only the owner can remove an admin.', data)
}

/** All or none: one illegal target refuses the whole call (R15). */
const removeMembers = (command: RemoveMembers, state: ExistingGroup, role: GroupRole): GroupDecision => {
  if (permissions.removeMembers[role] === 'no') {
    return reject('group.not-allowed', 'Only the owner and admins remove members.')
  }
  const userIds = [...new Set(command.userIds)]
  if (userIds.length === 0) return []
  for (const userId of userIds) {
    const refused = removalRefused(userId, command.by, state, role)
    if (refused !== undefined) return refused
  }
  return [removed(state, userIds, 'kicked', command)]
}

const leaveGroup = (command: LeaveGroup, state: ExistingGroup, role: GroupRole): GroupDecision =>
  permissions.leave[role] === 'no'
    ? reject(
        'group.owner-cannot-leave',
        'The owner cannot leave. Transfer the group to a member first, or dissolve it.',
      )
    : [removed(state, [command.by], 'left', command)]

const notOwner = (): Rejection<'group.not-owner'> =>
  reject('group.not-owner', 'Only the owner of the group can do this.')

/** One decision, one append: there is never a moment with no owner, with two, or with a transfer whose leaving failed (R17). */
const transferGroup = (command: TransferGroup, state: ExistingGroup, role: GroupRole): GroupDecision => {
  if (permissions.transfer[role] === 'no') return notOwner()
  const { to, by, at } = command
  if (to === by) return reject('group.already-owner', 'You are the owner already.')
  if (!state.members.has(to)) {
    return reject('group.target-not-member', 'Only a member can become the owner. Add the user first.', { userId: to })
  }
  const transferred: GroupEvent = { type: 'OwnerTransferred', data: { groupId: state.groupId, from: by, to, by, at } }
  return command.leave ? [transferred, removed(state, [by], 'left', command)] : [transferred]
}

const countAdmins = (state: ExistingGroup): number => {
  let count = 0
  for (const member of state.members.values()) if (member.role === 'admin') count++
  return count
}

const targetIsOwner = (userId: UserId): Rejection<'group.target-is-owner'> =>
  reject('group.target-is-owner', 'The owner cannot be an admin as well.', { userId })

const addAdmin = (command: AddAdmin, state: ExistingGroup, role: GroupRole): GroupDecision => {
  if (permissions.changeAdmins[role] === 'no') return notOwner()
  const { userId, by, at } = command
  const targetRole = roleIn(state, userId)
  if (targetRole === null) {
    return reject('group.target-not-member', 'Only a member can become an admin. Add the user first.', { userId })
  }
  if (targetRole === 'owner') return targetIsOwner(userId)
  if (targetRole === 'admin') return []
  if (countAdmins(state) >= limits.groupAdminsMax) {
    return reject('group.admin-limit', `A group has ${limits.groupAdminsMax} admins at most. Remove one first.`)
  }
  return [{ type: 'AdminAdded', data: { groupId: state.groupId, userId, by, at } }]
}

/** One who is no admin, or no longer a member, is what the caller wants already. */
const removeAdmin = (command: RemoveAdmin, state: ExistingGroup, role: GroupRole): GroupDecision => {
  if (permissions.changeAdmins[role] === 'no') return notOwner()
  const { userId, by, at } = command
  const targetRole = roleIn(state, userId)
  if (targetRole === 'owner') return targetIsOwner(userId)
  if (targetRole !== 'admin') return []
  return [{ type: 'AdminRemoved', data: { groupId: state.groupId, userId, by, at } }]
}

const dissolveGroup = (command: DissolveGroup, state: ExistingGroup, role: GroupRole): GroupDecision =>
  permissions.dissolve[role] === 'no'
    ? notOwner()
    : [{ type: 'GroupDissolved', data: { groupId: state.groupId, by: command.by, at: command.at } }]

interface Standing {
  readonly open: ExistingGroup
  readonly role: GroupRole
}

/** Strangers and former members learn nothing, not even that the group is there. */
const standingOf = (by: UserId, state: Group): Standing | Rejection<'group.not-found' | 'group.dissolved'> => {
  const role = roleIn(state, by)
  if (state.status === 'none' || role === null) return notFound()
  if (state.status === 'dissolved') return reject('group.dissolved', 'The group was dissolved. It can only be read.')
  return { open: state, role }
}

const decide = (command: GroupCommand, state: Group, facts: GroupFacts): GroupDecision => {
  if (command.type === 'CreateGroup') return createGroup(command, state, facts)
  const standing = standingOf(command.by, state)
  if (isRejection(standing)) return standing
  const { open, role } = standing
  switch (command.type) {
    case 'AddMembers':
      return addMembers(command, open, role)
    case 'RemoveMembers':
      return removeMembers(command, open, role)
    case 'LeaveGroup':
      return leaveGroup(command, open, role)
    case 'TransferGroup':
      return transferGroup(command, open, role)
    case 'AddAdmin':
      return addAdmin(command, open, role)
    case 'RemoveAdmin':
      return removeAdmin(command, open, role)
    case 'DissolveGroup':
      return dissolveGroup(command, open, role)
    default:
      return noRuleFor(command)
  }
}

/** The rules of `group-<groupId>` (R14–R25). Facts are needed for CreateGroup only. */
export const group: Decider<Group, GroupCommand, GroupEvent, GroupRejection, GroupFacts> = {
  category: 'group',
  load: { by: 'snapshot', version: 1, everyEvents: 200, encode: encodeGroup, decode: decodeGroup },
  initial: { status: 'none' },
  weight: state => (state.status === 'none' ? 1 : 1 + state.members.size / 16),
  evolve,
  decide,
}
