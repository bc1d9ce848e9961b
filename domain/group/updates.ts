// Owns the changes of what a group is set to (R18, R26, R37): who may change which attribute, and what is left of a change that
// changes nothing.

import { type Rejection, reject } from '../decider.ts'
import { type GroupAttribute, type GroupAttributes, groupAttributes } from './attributes.ts'
import { refusedMemberLimit } from './creation.ts'
import { type GroupAction, may } from './permissions.ts'
import { type Actor, type GroupDecision, type GroupRejection, notAllowed, notOwner, type Standing } from './refusals.ts'
import type { ExistingGroup } from './state.ts'

/** All but what has a command of its own. What is undefined stays as it is. */
type Changes = { readonly [Attribute in Exclude<GroupAttribute, 'muteAll'>]?: GroupAttributes[Attribute] | undefined }

export interface UpdateGroup extends Actor {
  readonly type: 'UpdateGroup'
  readonly changes: Changes
}

/** What it takes to change an attribute; whatever is not named takes the right to change modes. */
const actionFor: Partial<{ readonly [Attribute in GroupAttribute]: GroupAction }> = {
  name: 'editProfile',
  avatarUrl: 'editProfile',
  introduction: 'editProfile',
  announcement: 'editProfile',
  extension: 'editExtension',
  appExtension: 'editAppExtension',
}

const refused = (
  changed: readonly GroupAttribute[],
  { memberLimit }: Changes,
  { group, party }: Standing,
): Rejection<GroupRejection> | undefined => {
  for (const attribute of changed) {
    const action = actionFor[attribute] ?? 'changeModes'
    if (!may(action, party, group)) return action === 'changeModes' ? notOwner() : notAllowed()
  }
  return memberLimit === undefined ? undefined : (refusedMemberLimit(memberLimit) ?? belowCount(memberLimit, group))
}

const belowCount = (memberLimit: number, { members }: ExistingGroup): Rejection<'group.member-limit'> | undefined =>
  memberLimit >= members.size
    ? undefined
    : reject('group.member-limit', `The group has ${members.size} members already.`, { memberCount: members.size })

/** All or none. What is so already is no change, and asks for no right. */
export const updateGroup = ({ changes, by, at }: UpdateGroup, standing: Standing): GroupDecision => {
  const { group } = standing
  const given: Changes & { readonly muteAll?: never } = changes
  const changed = groupAttributes.filter(
    attribute => attribute !== 'muteAll' && given[attribute] !== undefined && given[attribute] !== group[attribute],
  )
  if (changed.length === 0) return []
  const refusal = refused(changed, changes, standing)
  if (refusal !== undefined) return refusal
  const set = Object.fromEntries(changed.map(attribute => [attribute, given[attribute]])) as Partial<GroupAttributes>
  return [{ type: 'GroupUpdated', data: { groupId: group.groupId, changed: set, by, at } }]
}
