// Owns the one table of what each role may do in a group (R15–R28, R40, R42, R43, R46, recall). Rules read it, none repeats it.
// What one person is barred from for a time, a personal mute, is no matter of roles and stands in mutes.ts.

import type { GroupRole } from '../rows.ts'
import type { GroupAttributes } from './attributes.ts'

/** `stranger`: whoever is no member. `app`: the app's own backend, by an API key. */
export type GroupParty = GroupRole | 'stranger' | 'app'

export const groupParties: readonly GroupParty[] = ['owner', 'admin', 'member', 'stranger', 'app']

/**
 * `onMembers`: where the one acted on is not the owner. `onPlainMembers`: where they are neither owner nor admin.
 * `own`: only what one made oneself. The others are given by how the group is set.
 */
export type Grant = 'yes' | 'no' | 'onMembers' | 'onPlainMembers' | 'own' | ModeGrant

type ModeGrant = keyof typeof modeGrants

const modeGrants = {
  whenEveryoneInvites: ({ inviteMode }: GroupAttributes) => inviteMode === 'everyone',
  whenEveryoneEdits: ({ editMode }: GroupAttributes) => editMode === 'everyone',
  whenEveryoneEditsExtension: ({ editExtensionMode }: GroupAttributes) => editExtensionMode === 'everyone',
  whenOpenToJoin: ({ joinMode }: GroupAttributes) => joinMode !== 'nobody',
  whenSearchable: ({ searchable }: GroupAttributes) => searchable,
  unlessMembersMuted: ({ muteAll }: GroupAttributes) => muteAll === 'none',
  unlessEveryoneMuted: ({ muteAll }: GroupAttributes) => muteAll !== 'everyone',
  unlessProfilesHidden: ({ hideMemberProfiles }: GroupAttributes) => !hideMemberProfiles,
  unlessFriendRequestsOff: ({ noFriendRequestsBetweenMembers }: GroupAttributes) => !noFriendRequestsBetweenMembers,
} as const satisfies { readonly [Name: string]: (group: GroupAttributes) => boolean }

type Row = { readonly [Party in GroupParty]: Grant }

/** The same for the owner and admins; nobody else but where said. */
const managers = (others: Partial<Row> = {}): Row => ({
  owner: 'yes',
  admin: 'yes',
  member: 'no',
  stranger: 'no',
  app: 'no',
  ...others,
})

const ownerOnly = (others: Partial<Row> = {}): Row => managers({ admin: 'no', ...others })

/** Action × who. */
export const permissions = {
  find: managers({ member: 'yes', stranger: 'whenSearchable' }),
  join: { owner: 'no', admin: 'no', member: 'no', stranger: 'whenOpenToJoin', app: 'no' },
  read: managers({ member: 'yes' }),
  readMemberProfiles: managers({ member: 'unlessProfilesHidden' }),
  send: managers({
    owner: 'unlessEveryoneMuted',
    admin: 'unlessEveryoneMuted',
    member: 'unlessMembersMuted',
    app: 'yes',
  }),
  recallMessages: managers({ admin: 'onPlainMembers' }),
  requestFriendship: managers({ member: 'unlessFriendRequestsOff' }),
  invite: managers({ member: 'whenEveryoneInvites', app: 'yes' }),
  recallInvitation: managers({ member: 'own' }),
  decideApplications: managers(),
  editQuestions: managers(),
  publishAnnouncements: managers({ member: 'whenEveryoneEdits', app: 'yes' }),
  deleteAnnouncements: managers({ member: 'own', app: 'yes' }),
  removeMembers: managers({ owner: 'onMembers', admin: 'onPlainMembers', app: 'onMembers' }),
  muteMembers: managers({ owner: 'onMembers', admin: 'onPlainMembers', app: 'onMembers' }),
  muteAllMembers: managers({ app: 'yes' }),
  muteEveryone: ownerOnly({ owner: 'no', app: 'yes' }),
  editProfile: managers({ member: 'whenEveryoneEdits', app: 'yes' }),
  editExtension: managers({ member: 'whenEveryoneEditsExtension', app: 'yes' }),
  editAppExtension: ownerOnly({ owner: 'no', app: 'yes' }),
  changeModes: ownerOnly({ app: 'yes' }),
  editOwnMemberProfile: managers({ member: 'yes' }),
  editMemberProfiles: managers({ owner: 'onMembers', admin: 'onPlainMembers' }),
  changeAdmins: ownerOnly({ app: 'yes' }),
  transfer: ownerOnly({ app: 'yes' }),
  leave: { owner: 'no', admin: 'yes', member: 'yes', stranger: 'no', app: 'no' },
  dissolve: ownerOnly({ app: 'yes' }),
} as const satisfies { readonly [Action: string]: Row }

export type GroupAction = keyof typeof permissions

const rowOf = (action: GroupAction): Row => permissions[action]

const isModeGrant = (grant: Grant): grant is ModeGrant => Object.hasOwn(modeGrants, grant)

/** Whether a party may do this in a group as it is set, on anybody or anything at all. */
export const may = (action: GroupAction, party: GroupParty, group: GroupAttributes): boolean => {
  const grant = rowOf(action)[party]
  return isModeGrant(grant) ? modeGrants[grant](group) : grant !== 'no'
}

/** The same for what somebody made: where only the own is reached, it must be that. */
export const mayWith = (action: GroupAction, party: GroupParty, group: GroupAttributes, isOwn: boolean): boolean =>
  may(action, party, group) && (rowOf(action)[party] !== 'own' || isOwn)

/** Whether a role may act on what belongs to somebody of another role; null: one who is no member any more. */
export const reaches = (action: GroupAction, party: GroupParty | null, target: GroupRole | null): boolean => {
  switch (party === null ? 'no' : rowOf(action)[party]) {
    case 'yes':
      return true
    case 'onMembers':
      return target !== 'owner'
    case 'onPlainMembers':
      return target === 'member' || target === null
    default:
      return false
  }
}
