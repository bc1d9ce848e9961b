// Owns the proof that the table of who may call what expects of the roles in a group what the domain's own table of permissions
// gives them: cell by cell, so that neither can change without the other.

import { expect, test } from 'vitest'
import { type GroupAttributes, groupPresets } from '../../domain/group/attributes.ts'
import { type GroupAction, type GroupParty, mayWith, reaches } from '../../domain/group/permissions.ts'
import type { GroupRole } from '../../domain/rows.ts'
import { adminGroups } from './authorisation-admin-groups.ts'
import { groups } from './authorisation-groups.ts'
import { joining } from './authorisation-joining.ts'
import type { Outcome } from './authorisation-words.ts'

interface Right {
  readonly action: GroupAction
  /** Role of the one acted on; left out where nobody is. */
  readonly on?: GroupRole
}

/** By operation, and what is asked of it. */
const rights: Readonly<Record<string, Right>> = {
  getGroup: { action: 'read' },
  dissolveGroup: { action: 'dissolve' },
  'updateGroup its profile': { action: 'editProfile' },
  'updateGroup its extension': { action: 'editExtension' },
  'updateGroup its modes': { action: 'changeModes' },
  setMuteAll: { action: 'muteAllMembers' },
  'setMuteAll everyone': { action: 'muteEveryone' },
  getMember: { action: 'readMemberProfiles' },
  'updateMember nickname of a plain member': { action: 'editMemberProfiles', on: 'member' },
  'updateMember nickname of an admin': { action: 'editMemberProfiles', on: 'admin' },
  'updateMember the own nickname': { action: 'editOwnMemberProfile' },
  'updateMember mutedUntil of a plain member': { action: 'muteMembers', on: 'member' },
  'updateMember mutedUntil of an admin': { action: 'muteMembers', on: 'admin' },
  'updateMember mutedUntil of the owner': { action: 'muteMembers', on: 'owner' },
  'transferGroup and leave': { action: 'transfer' },
  'transferGroup and stay': { action: 'transfer' },
  leaveGroup: { action: 'leave' },
  listMembers: { action: 'read' },
  addMembers: { action: 'invite' },
  'addMembers where everyone invites': { action: 'invite' },
  'removeMembers who are plain members': { action: 'removeMembers', on: 'member' },
  'removeMembers who are admins': { action: 'removeMembers', on: 'admin' },
  'removeMembers who own the group': { action: 'removeMembers', on: 'owner' },
  addAdmin: { action: 'changeAdmins' },
  removeAdmin: { action: 'changeAdmins' },
  publishAnnouncement: { action: 'publishAnnouncements' },
  listAnnouncements: { action: 'read' },
  deleteAnnouncement: { action: 'deleteAnnouncements' },
  seeAnnouncement: { action: 'read' },
  recallGroupInvitation: { action: 'recallInvitation' },
  listGroupApplications: { action: 'decideApplications' },
  approveGroupApplication: { action: 'decideApplications' },
  rejectGroupApplication: { action: 'decideApplications' },
  getJoinQuestion: { action: 'read' },
  setJoinQuestion: { action: 'editQuestions' },
}

/** Of what the app does; the same action of a user has a row above. */
const rightsOfApp: Readonly<Record<string, Right>> = {
  updateGroupAsApp: { action: 'changeModes' },
  setMuteAllAsApp: { action: 'muteEveryone' },
  dissolveGroupAsApp: { action: 'dissolve' },
  transferGroupAsApp: { action: 'transfer' },
  addMembersAsApp: { action: 'invite' },
  removeMembersAsApp: { action: 'removeMembers', on: 'admin' },
  'removeMembersAsApp with the owner': { action: 'removeMembers', on: 'owner' },
  updateMemberAsApp: { action: 'muteMembers', on: 'admin' },
  'updateMemberAsApp who owns the group': { action: 'muteMembers', on: 'owner' },
  addAdminAsApp: { action: 'changeAdmins' },
  removeAdminAsApp: { action: 'changeAdmins' },
  publishAnnouncementAsApp: { action: 'publishAnnouncements' },
  deleteAnnouncementAsApp: { action: 'deleteAnnouncements' },
}

const isDone = (outcome: Outcome): boolean => outcome === 'ok' || outcome === 'nothing'

const cases = Object.entries({ ...groups, ...joining, ...adminGroups }).flatMap(([id, found]) =>
  found.map(one => ({ name: one.what === undefined ? id : `${id} ${one.what}`, found: one })),
)

const isGiven = ({ action, on }: Right, party: GroupParty, attributes: GroupAttributes): boolean =>
  on === undefined ? mayWith(action, party, attributes, false) : reaches(action, party, on)

test.each(Object.entries(rights))('%s is expected of whom the permissions give it', (name, right) => {
  const found = cases.find(one => one.name === name)?.found
  const inviteMode = found?.everyoneInvites ? 'everyone' : 'managers'
  const attributes = { ...groupPresets.public, name: 'Any', inviteMode } as GroupAttributes
  const roles = ['owner', 'admin', 'member', 'stranger'] as const
  const expected = roles.map(role => [role, found && isDone(found.outcomes[role])])
  expect(expected).toEqual(roles.map(role => [role, isGiven(right, role, attributes)]))
})

test.each(Object.entries(rightsOfApp))('%s is expected of the app where the permissions give it', (name, right) => {
  const found = cases.find(one => one.name === name)?.found
  const given = isGiven(right, 'app', { ...groupPresets.public, name: 'Any' })
  expect(found && isDone(found.outcomes.backend)).toBe(given)
})
