// Owns how a group begins and ends (R14, R16). Its people are members.ts' matter.

import { type Rejection, reject } from '../decider.ts'
import type { GroupId, UserId } from '../ids.ts'
import { limits } from '../limits.ts'
import { attributesIn, type ChosenAttributes, type GroupPreset, groupPresets } from './attributes.ts'
import type { GroupEvent } from './events.ts'
import { invited } from './invitations.ts'
import { may } from './permissions.ts'
import { type Actor, full, type GroupDecision, notFound, notOwner, type Standing } from './refusals.ts'
import { expired } from './requests.ts'
import type { Group } from './state.ts'

/** What is chosen goes before what the preset says. */
export interface CreateGroup extends Actor, ChosenAttributes {
  readonly type: 'CreateGroup'
  /** Derived from caller and key, so that a repeat finds the same group. */
  readonly groupId: GroupId
  /** `public` when absent. */
  readonly preset?: GroupPreset | undefined
  /** Users that exist and have room for another group; the creator and doubles are dropped. */
  readonly memberIds: readonly UserId[]
  /** Of the invitations, where those named are asked first. */
  readonly requestId: string
}

export interface DissolveGroup extends Actor {
  readonly type: 'DissolveGroup'
}

/** CreateGroup needs these. */
export interface CreateGroupFacts {
  /** Open groups that the creator has created (dissolved ones do not count). */
  readonly groupsCreated: number
}

/** Written so that NaN is refused as well. */
export const refusedMemberLimit = (memberLimit: number): Rejection<'group.member-limit'> | undefined =>
  memberLimit >= limits.groupMembersMin && memberLimit <= limits.groupMembersMax
    ? undefined
    : reject(
        'group.member-limit',
        `The member limit of a group can be ${limits.groupMembersMin} to ${limits.groupMembersMax}.`,
      )

export const createGroup = (command: CreateGroup, state: Group, facts: CreateGroupFacts | undefined): GroupDecision => {
  if (state.status !== 'none') return state.createdBy === command.by ? [] : notFound()
  if (facts === undefined) throw new Error('CreateGroup needs facts of the creator')
  const { groupId, name, by, at } = command
  const attributes = { ...groupPresets[command.preset ?? 'public'], ...attributesIn(command), name }
  const refused = refusedMemberLimit(attributes.memberLimit)
  if (refused !== undefined) return refused
  if (facts.groupsCreated >= limits.groupsCreatedMax) {
    return reject('group.created-limit', `You own ${limits.groupsCreatedMax} groups you created. Dissolve one first.`)
  }
  const others = new Set(command.memberIds)
  others.delete(by)
  const memberCount = others.size + 1
  if (memberCount > attributes.memberLimit) return full(attributes.memberLimit, 'lettingIn')
  const userIds = [...others]
  const group = { groupId, ...attributes, ownerId: by, by, at }
  if (attributes.inviteeConsent === 'none') {
    return [{ type: 'GroupCreated', data: { ...group, memberIds: userIds, memberCount } }]
  }
  const created: GroupEvent = { type: 'GroupCreated', data: { ...group, memberIds: [], memberCount: 1 } }
  const nobody = { groupId, name, invitations: new Map() }
  return userIds.length === 0 ? [created] : [created, invited(nobody, userIds, command)]
}

export const dissolveGroup = ({ by, at }: DissolveGroup, { group, party }: Standing): GroupDecision =>
  may('dissolve', party, group)
    ? [...expired(group, at), { type: 'GroupDissolved', data: { groupId: group.groupId, by, at } }]
    : notOwner()
