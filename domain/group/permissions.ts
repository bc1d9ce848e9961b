// Owns the one table of what each role may do in a group (R15–R17, R19, R23, R25, recall). Rules read it, none repeats it.

import type { GroupRole } from '../rows.ts'

export type GroupAction =
  | 'addMembers'
  | 'removeMembers'
  | 'leave'
  | 'transfer'
  | 'changeAdmins'
  | 'dissolve'
  | 'recallMessages'

/** `onPlainMembers`: only where the one acted on is neither owner nor admin. */
export type Grant = 'yes' | 'no' | 'onPlainMembers' | 'whenEveryoneInvites'

/** Role × action. */
export const permissions: { readonly [Action in GroupAction]: { readonly [Role in GroupRole]: Grant } } = {
  addMembers: { owner: 'yes', admin: 'yes', member: 'whenEveryoneInvites' },
  removeMembers: { owner: 'yes', admin: 'onPlainMembers', member: 'no' },
  leave: { owner: 'no', admin: 'yes', member: 'yes' },
  transfer: { owner: 'yes', admin: 'no', member: 'no' },
  changeAdmins: { owner: 'yes', admin: 'no', member: 'no' },
  dissolve: { owner: 'yes', admin: 'no', member: 'no' },
  recallMessages: { owner: 'yes', admin: 'onPlainMembers', member: 'no' },
}

/** Whether a role may act on what belongs to somebody of another role; null: one who is no member any more. */
export const reaches = (action: GroupAction, role: GroupRole | null, target: GroupRole | null): boolean => {
  const grant = role === null ? 'no' : permissions[action][role]
  return grant === 'yes' || (grant === 'onPlainMembers' && (target === 'member' || target === null))
}
