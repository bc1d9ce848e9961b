// Owns what the rules of a group share: who acts, what they can say no with, and the refusals that several of them give.

import { type Decision, type Rejection, reject } from '../decider.ts'
import { type Instant, systemUserId, type UserId } from '../ids.ts'
import type { GroupEvent } from './events.ts'
import { type GroupAction, type GroupParty, reaches } from './permissions.ts'
import { type ExistingGroup, type Group, roleIn } from './state.ts'

export interface Actor {
  /** `systemUserId` for the app's own backend. */
  readonly by: UserId
  readonly at: Instant
}

export type GroupRejection =
  | 'group.not-found'
  | 'group.dissolved'
  | 'group.not-owner'
  | 'group.not-allowed'
  | 'group.full'
  | 'group.member-limit'
  | 'group.created-limit'
  | 'group.owned-limit'
  | 'group.target-not-member'
  | 'group.target-is-owner'
  | 'group.target-is-admin'
  | 'group.target-self'
  | 'group.already-owner'
  | 'group.owner-cannot-leave'
  | 'group.admin-limit'
  | 'group.mute-limit'
  | 'group.already-member'
  | 'group.join-closed'
  | 'group.answers-missing'
  | 'group.wrong-answer'
  | 'group.unreachable-score'
  | 'invitation.not-found'
  | 'invitation.limit'
  | 'application.not-pending'
  | 'application.limit'
  | 'announcement.not-found'

export type GroupDecision = Decision<GroupEvent, GroupRejection>

/** Who acts, as what, on which open group. */
export interface Standing {
  readonly group: ExistingGroup
  readonly party: GroupParty
}

/** Strangers and former members learn nothing, not even that the group is there. */
export const standingOf = (by: UserId, state: Group): Standing | Rejection<'group.not-found' | 'group.dissolved'> => {
  const party = by === systemUserId ? 'app' : roleIn(state, by)
  if (state.status === 'none' || party === null) return notFound()
  return refusedDissolved(state) ?? { group: state, party }
}

export const refusedDissolved = (state: ExistingGroup): Rejection<'group.dissolved'> | undefined =>
  state.status === 'dissolved' ? reject('group.dissolved', 'The group was dissolved. It can only be read.') : undefined

export const notFound = (): Rejection<'group.not-found'> => reject('group.not-found', 'There is no such group for you.')

export const notOwner = (): Rejection<'group.not-owner'> =>
  reject('group.not-owner', 'Only the owner of the group can do this.')

export const notAllowed = (): Rejection<'group.not-allowed'> =>
  reject('group.not-allowed', 'Your role in this group does not allow this.')

/** Why an action does not reach this member; undefined when it does. */
export const targetRefused = (
  action: GroupAction,
  target: UserId,
  { by }: Actor,
  { group, party }: Standing,
): Rejection<GroupRejection> | undefined => {
  const data = { userId: target }
  // Whoever reaches not even a plain member has no such right at all.
  if (!reaches(action, party, 'member')) return notAllowed()
  if (target === by) return reject('group.target-self', 'You cannot do this to yourself.', data)
  const role = roleIn(group, target)
  if (role === null) return reject('group.target-not-member', 'One of these users is not in the group.', data)
  if (reaches(action, party, role)) return undefined
  return role === 'owner'
    ? reject('group.target-is-owner', 'Nobody can do this to the owner.', data)
    : reject('group.target-is-admin', 'Only the owner can do this to an admin.', data)
}

const whatToDo = {
  lettingIn: 'Let fewer in, or have the limit raised.',
  comingIn: 'Come back when there is room.',
} as const

/** @param who the one who is told lets others in, or wants to come in */
export const full = (memberLimit: number, who: keyof typeof whatToDo): Rejection<'group.full'> =>
  reject('group.full', `The group has room for ${memberLimit} members. ${whatToDo[who]}`, { memberLimit })

export const applicationLimit = (): Rejection<'application.limit'> =>
  reject('application.limit', 'Too many wait for an answer of this group. Try again in a few days.')
