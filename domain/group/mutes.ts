// Owns who is silent in a group: one for a time, plain members, or everyone (R21, R42). A personal mute outlives leaving and coming
// back until it ends, and ends when its bearer becomes admin or owner. Reading, leaving and recalling are never barred.

import { type Rejection, reject } from '../decider.ts'
import type { Instant, UserId } from '../ids.ts'
import { limits } from '../limits.ts'
import type { GroupRole } from '../rows.ts'
import type { MuteAll } from './attributes.ts'
import type { MutedUntil } from './events.ts'
import { may, reaches } from './permissions.ts'
import { type Actor, type GroupDecision, notAllowed, type Standing, targetRefused } from './refusals.ts'
import { type ExistingGroup, roleIn } from './state.ts'

export interface MuteMember extends Actor {
  readonly type: 'MuteMember'
  readonly userId: UserId
  /** One that has passed unmutes. */
  readonly until: MutedUntil
}

export interface UnmuteMember extends Actor {
  readonly type: 'UnmuteMember'
  readonly userId: UserId
}

export interface SetMuteAll extends Actor {
  readonly type: 'SetMuteAll'
  readonly mode: MuteAll
}

/** Until when a user is silent at a time; null: not at all. The word `forever` is greater than every instant. */
export const mutedUntil = (group: ExistingGroup, userId: UserId, at: Instant): MutedUntil | null => {
  const until = group.mutes.get(userId)
  return until !== undefined && until > at ? until : null
}

/** Why a member cannot write now; the own mute goes before that of all, for it says more. */
export const sendRefused = (
  group: ExistingGroup,
  userId: UserId,
  role: GroupRole,
  at: Instant,
): Rejection<'group.muted' | 'group.all-muted'> | undefined => {
  const until = group.mutes.size === 0 ? null : mutedUntil(group, userId, at)
  if (until !== null) return reject('group.muted', 'You are muted in this group. You can still read.', { until })
  if (group.muteAll === 'none' || may('send', role, group)) return undefined
  return reject('group.all-muted', 'The group is muted. You can still read.', { muteAll: group.muteAll })
}

export const muteMember = (command: MuteMember, { group, party }: Standing): GroupDecision => {
  const { userId, until, by, at } = command
  const refused = targetRefused('muteMembers', userId, command, { group, party })
  if (refused !== undefined) return refused
  if (until <= at) return unmute(userId, command, group)
  const now = group.mutes.get(userId)
  if (now === until) return []
  if (now === undefined && group.mutes.size >= limits.groupMutesMax) {
    return reject('group.mute-limit', `A group has ${limits.groupMutesMax} muted members at most. Mute all instead.`)
  }
  return [{ type: 'MemberMuted', data: { groupId: group.groupId, userId, until, by, at } }]
}

const unmute = (userId: UserId, { by, at }: Actor, group: ExistingGroup): GroupDecision =>
  group.mutes.has(userId) ? [{ type: 'MemberUnmuted', data: { groupId: group.groupId, userId, by, at } }] : []

/** One who left muted can be unmuted before they come back. */
export const unmuteMember = (command: UnmuteMember, { group, party }: Standing): GroupDecision => {
  const { userId } = command
  const isGone = roleIn(group, userId) === null && group.mutes.has(userId)
  const refused = isGone
    ? notAllowedTo('muteMembers', party)
    : targetRefused('muteMembers', userId, command, { group, party })
  return refused ?? unmute(userId, command, group)
}

const notAllowedTo = (action: 'muteMembers', party: Standing['party']) =>
  reaches(action, party, null) ? undefined : notAllowed()

/** Whoever could not have silenced everyone cannot give them their voices back either. */
export const setMuteAll = ({ mode, by, at }: SetMuteAll, { group, party }: Standing): GroupDecision => {
  const action = mode === 'everyone' || group.muteAll === 'everyone' ? 'muteEveryone' : 'muteAllMembers'
  if (!may(action, party, group)) return notAllowed()
  if (mode === group.muteAll) return []
  return [{ type: 'MuteAllChanged', data: { groupId: group.groupId, mode, by, at } }]
}
