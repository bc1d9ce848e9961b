// Owns what a group can be set to (R14, R18, R19, R20, R22, R26, R42, R46), and the presets: named sets of modes.
// Texts that are not set are empty, so that every attribute always has a value.

import { limits } from '../limits.ts'

/** How one comes in without being invited (R22, R43). */
export type JoinMode = 'free' | 'approval' | 'question' | 'nobody'
/** Who may add members (R19). */
export type InviteMode = 'managers' | 'everyone'
/** Whether those who are invited are asked first (R20). */
export type InviteeConsent = 'required' | 'none'
/** Who may change the group's profile, or its extension (R26). `managers`: the owner and admins. */
export type EditMode = 'managers' | 'everyone'
/** Who is silent: plain members, or the owner and admins as well (R42). */
export type MuteAll = 'none' | 'members' | 'everyone'
/** Which applications are accepted without anybody deciding (R45). */
export type AutoApprove = 'none' | 'all' | 'friendsOfOwner' | 'invitedByMember'

export interface GroupAttributes {
  readonly name: string
  readonly avatarUrl: string
  readonly introduction: string
  /** What stands over the group for all to read; announcements with a pop-up are apart (R40). */
  readonly announcement: string
  /** Of the group's own people; the server never reads it. */
  readonly extension: string
  /** Of the app's backend, which alone writes it. */
  readonly appExtension: string
  readonly memberLimit: number
  readonly joinMode: JoinMode
  readonly inviteMode: InviteMode
  readonly inviteeConsent: InviteeConsent
  readonly editMode: EditMode
  readonly editExtensionMode: EditMode
  readonly muteAll: MuteAll
  /** Those who join may read what was said before (R31). */
  readonly historyBeforeJoin: boolean
  /** Plain members see of each other what belongs to the group, not the accounts' profiles (R46). */
  readonly hideMemberProfiles: boolean
  /** Plain members cannot ask each other for friendship by way of the group (R46). */
  readonly noFriendRequestsBetweenMembers: boolean
  readonly autoApprove: AutoApprove
  /** Found by people who are not in it. */
  readonly searchable: boolean
}

export type GroupAttribute = keyof GroupAttributes
/** What a creation may choose. Muting all and the app's extension are set later, each by its own command. */
export type ChosenAttributes = Partial<Omit<GroupAttributes, 'muteAll' | 'appExtension'>> & { readonly name: string }

/** What the groups of a kind begin with. */
type Preset = Omit<GroupAttributes, 'name'>

const publicPreset: Preset = {
  avatarUrl: '',
  introduction: '',
  announcement: '',
  extension: '',
  appExtension: '',
  memberLimit: limits.groupMembersDefault,
  joinMode: 'approval',
  inviteMode: 'managers',
  inviteeConsent: 'required',
  editMode: 'managers',
  editExtensionMode: 'managers',
  muteAll: 'none',
  historyBeforeJoin: false,
  hideMemberProfiles: false,
  noFriendRequestsBetweenMembers: false,
  autoApprove: 'none',
  searchable: false,
}

const meetingPreset: Preset = {
  ...publicPreset,
  joinMode: 'free',
  inviteMode: 'everyone',
  inviteeConsent: 'none',
  historyBeforeJoin: true,
}

/** `public` is the usual one. */
export const groupPresets = {
  work: {
    ...publicPreset,
    joinMode: 'nobody',
    inviteMode: 'everyone',
    inviteeConsent: 'none',
    editMode: 'everyone',
  },
  public: publicPreset,
  meeting: meetingPreset,
  community: { ...meetingPreset, searchable: true, memberLimit: limits.groupMembersMax },
} as const satisfies { readonly [Name: string]: Preset }

export type GroupPreset = keyof typeof groupPresets

export const groupAttributes = ['name', ...Object.keys(publicPreset)] as readonly GroupAttribute[]

/** Only what is an attribute, of an object that holds more; what is undefined is left out. */
export const attributesIn = (from: Partial<GroupAttributes>): Partial<GroupAttributes> =>
  Object.fromEntries(
    groupAttributes.flatMap(attribute => (from[attribute] === undefined ? [] : [[attribute, from[attribute]]])),
  )

/** What a group that was recorded before an attribute existed has had all along. */
export const earlierAttributes: Preset = { ...publicPreset, joinMode: 'nobody', inviteeConsent: 'none' }
