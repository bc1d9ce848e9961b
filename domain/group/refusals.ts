// Owns what the rules of a group share: who acts, what they can say no with, and the refusals that several of them give.

import { type Decision, type Rejection, reject } from '../decider.ts'
import type { Instant, UserId } from '../ids.ts'
import type { GroupRole } from '../rows.ts'
import type { GroupEvent } from './events.ts'
import { type ExistingGroup, type Group, roleIn } from './state.ts'

export interface Actor {
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
  | 'group.target-not-member'
  | 'group.target-is-owner'
  | 'group.target-is-admin'
  | 'group.target-self'
  | 'group.already-owner'
  | 'group.owner-cannot-leave'
  | 'group.admin-limit'

export type GroupDecision = Decision<GroupEvent, GroupRejection>

/** Who acts, in which role, on which open group. */
export interface Standing {
  readonly group: ExistingGroup
  readonly role: GroupRole
}

/** Strangers and former members learn nothing, not even that the group is there. */
export const standingOf = (by: UserId, state: Group): Standing | Rejection<'group.not-found' | 'group.dissolved'> => {
  const role = roleIn(state, by)
  if (state.status === 'none' || role === null) return notFound()
  return refusedDissolved(state) ?? { group: state, role }
}

export const refusedDissolved = (state: ExistingGroup): Rejection<'group.dissolved'> | undefined =>
  state.status === 'dissolved' ? reject('group.dissolved', 'The group was dissolved. It can only be read.') : undefined

export const notFound = (): Rejection<'group.not-found'> => reject('group.not-found', 'There is no such group for you.')

export const notOwner = (): Rejection<'group.not-owner'> =>
  reject('group.not-owner', 'Only the owner of the group can do this.')

export const full = (memberLimit: number): Rejection<'group.full'> =>
  reject('group.full', `The group has room for ${memberLimit} members. Add fewer.`, { memberLimit })
