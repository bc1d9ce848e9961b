// Owns who stays in a group and in which role: remove, leave, transfer, admins (R15, R17, R23, R25).
// How people come in is for invitations.ts and applications.ts.

import { type Rejection, reject } from '../decider.ts'
import type { UserId } from '../ids.ts'
import { limits } from '../limits.ts'
import type { GroupEvent, MembersAdded, MembersRemoved } from './events.ts'
import { mutedUntil } from './mutes.ts'
import { may } from './permissions.ts'
import { type Actor, type GroupDecision, notOwner, type Standing, targetRefused } from './refusals.ts'
import { type ExistingGroup, roleIn } from './state.ts'

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
  /** The new owner has as many groups as anybody may own. */
  readonly ownsMost: boolean
}

export interface AddAdmin extends Actor {
  readonly type: 'AddAdmin'
  readonly userId: UserId
}

export interface RemoveAdmin extends Actor {
  readonly type: 'RemoveAdmin'
  readonly userId: UserId
}

/** The event of those who come in, by whatever way: what follows them in is told with it. */
export const added = (
  group: ExistingGroup,
  userIds: readonly UserId[],
  { by, at }: Actor,
  via?: MembersAdded['data']['via'],
): MembersAdded => {
  const mutes = userIds.flatMap(userId => {
    const until = mutedUntil(group, userId, at)
    return until === null ? [] : [{ userId, until }]
  })
  return {
    type: 'MembersAdded',
    data: {
      groupId: group.groupId,
      userIds,
      ...(via === undefined ? undefined : { via }),
      ...(group.announced === 0 ? undefined : { announced: group.announced }),
      ...(mutes.length === 0 ? undefined : { mutes }),
      ...(group.historyBeforeJoin ? { history: true as const } : undefined),
      memberCount: group.members.size + userIds.length,
      by,
      at,
    },
  }
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

/** All or none: one illegal target refuses the whole call (R15). */
export const removeMembers = (command: RemoveMembers, { group, party }: Standing): GroupDecision => {
  if (!may('removeMembers', party, group)) {
    return reject('group.not-allowed', 'Only the owner and admins remove members.')
  }
  const userIds = [...new Set(command.userIds)]
  if (userIds.length === 0) return []
  for (const userId of userIds) {
    const refused = targetRefused('removeMembers', userId, command, { group, party })
    if (refused !== undefined) return refused
  }
  return [removed(group, userIds, 'kicked', command)]
}

export const leaveGroup = (command: LeaveGroup, { group, party }: Standing): GroupDecision => {
  if (may('leave', party, group)) return [removed(group, [command.by], 'left', command)]
  const whatToDo =
    group.members.size > 1 ? 'Transfer the group to a member first, or dissolve it.' : 'Dissolve it instead.'
  return reject('group.owner-cannot-leave', `The owner cannot leave. ${whatToDo}`)
}

/** One decision, one append: there is never a moment with no owner, with two, or with a transfer whose leaving failed (R17). */
export const transferGroup = (command: TransferGroup, { group: state, party }: Standing): GroupDecision => {
  if (!may('transfer', party, state)) return notOwner()
  const { to, by, at } = command
  const { ownerId: from } = state
  if (to === from) return reject('group.already-owner', 'This user is the owner already.')
  if (!state.members.has(to)) {
    return reject('group.target-not-member', 'Only a member can become the owner. Add the user first.', { userId: to })
  }
  if (command.ownsMost) {
    const most = limits.groupsOwnedMax
    return reject('group.owned-limit', `This user owns ${most} groups, and nobody can own more.`, { userId: to })
  }
  const transferred: GroupEvent = { type: 'OwnerTransferred', data: { groupId: state.groupId, from, to, by, at } }
  return command.leave ? [transferred, removed(state, [from], 'left', command)] : [transferred]
}

const countAdmins = (state: ExistingGroup): number => {
  let count = 0
  for (const member of state.members.values()) if (member.role === 'admin') count++
  return count
}

const targetIsOwner = (userId: UserId): Rejection<'group.target-is-owner'> =>
  reject('group.target-is-owner', 'The owner cannot be an admin as well.', { userId })

export const addAdmin = (command: AddAdmin, { group: state, party }: Standing): GroupDecision => {
  if (!may('changeAdmins', party, state)) return notOwner()
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
export const removeAdmin = (command: RemoveAdmin, { group: state, party }: Standing): GroupDecision => {
  if (!may('changeAdmins', party, state)) return notOwner()
  const { userId, by, at } = command
  const targetRole = roleIn(state, userId)
  if (targetRole === 'owner') return targetIsOwner(userId)
  if (targetRole !== 'admin') return []
  return [{ type: 'AdminRemoved', data: { groupId: state.groupId, userId, by, at } }]
}
