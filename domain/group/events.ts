// Owns what can have happened to a group (R14–R25). `by` is who did it; `memberCount` is the count after the event.

import { type GroupId, type Instant, systemUserId, type UserId } from '../ids.ts'
import type { AnnouncementEvent } from './announcements.ts'
import type { GroupAttributes, MuteAll } from './attributes.ts'
import type { JoinQuestionsSet } from './questions.ts'
import type { GroupRequestEvent } from './request-events.ts'

export type GroupCreated = {
  readonly type: 'GroupCreated'
  readonly data: {
    readonly groupId: GroupId
    readonly ownerId: UserId
    /** Without the owner. */
    readonly memberIds: readonly UserId[]
    readonly memberCount: number
    readonly by: UserId
    readonly at: Instant
  } & RecordedAttributes
}

/** Those recorded before an attribute existed lack it. */
type RecordedAttributes = Pick<GroupAttributes, 'name' | 'memberLimit' | 'inviteMode'> & Partial<GroupAttributes>

/** `forever`, or the end of a mute. */
export type MutedUntil = Instant | 'forever'

/** How somebody came in; absent: they were added by a member or the app, without being asked (R19). */
export type JoinedVia = 'invitation' | 'application' | 'question' | 'free'

/** `by`: who added or invited them, or let them in; they themselves where nobody had to. */
export type MembersAdded = {
  readonly type: 'MembersAdded'
  readonly data: {
    readonly groupId: GroupId
    readonly userIds: readonly UserId[]
    /** Those of them who were here before and come back muted (R21). */
    readonly mutes?: readonly { readonly userId: UserId; readonly until: MutedUntil }[]
    /** They may read what was said before (R31). */
    readonly history?: true
    readonly memberCount: number
    readonly via?: JoinedVia
    /** How many announcements there were: none of them is theirs to be alerted to (R40). */
    readonly announced?: number
    readonly by: UserId
    readonly at: Instant
  }
}

/** `kicked`: by the owner or an admin (R15). `left`: by themselves (R23), or the old owner with a transfer (R17). */
export type MembersRemoved = {
  readonly type: 'MembersRemoved'
  readonly data: {
    readonly groupId: GroupId
    readonly userIds: readonly UserId[]
    readonly reason: 'kicked' | 'left'
    readonly memberCount: number
    readonly by: UserId
    readonly at: Instant
  }
}

/** The old owner is a member afterwards; one who leaves with the transfer has a MembersRemoved in the same append. */
export type OwnerTransferred = {
  readonly type: 'OwnerTransferred'
  readonly data: {
    readonly groupId: GroupId
    readonly from: UserId
    readonly to: UserId
    readonly by: UserId
    readonly at: Instant
  }
}

export type AdminAdded = {
  readonly type: 'AdminAdded'
  readonly data: { readonly groupId: GroupId; readonly userId: UserId; readonly by: UserId; readonly at: Instant }
}

export type AdminRemoved = {
  readonly type: 'AdminRemoved'
  readonly data: { readonly groupId: GroupId; readonly userId: UserId; readonly by: UserId; readonly at: Instant }
}

/** Only what is another than before (R37). */
export type GroupUpdated = {
  readonly type: 'GroupUpdated'
  readonly data: {
    readonly groupId: GroupId
    readonly changed: Partial<Omit<GroupAttributes, 'muteAll'>>
    readonly by: UserId
    readonly at: Instant
  }
}

export type MemberMuted = {
  readonly type: 'MemberMuted'
  readonly data: {
    readonly groupId: GroupId
    readonly userId: UserId
    readonly until: MutedUntil
    readonly by: UserId
    readonly at: Instant
  }
}

export type MemberUnmuted = {
  readonly type: 'MemberUnmuted'
  readonly data: { readonly groupId: GroupId; readonly userId: UserId; readonly by: UserId; readonly at: Instant }
}

export type MuteAllChanged = {
  readonly type: 'MuteAllChanged'
  readonly data: { readonly groupId: GroupId; readonly mode: MuteAll; readonly by: UserId; readonly at: Instant }
}

export type GroupDissolved = {
  readonly type: 'GroupDissolved'
  readonly data: { readonly groupId: GroupId; readonly by: UserId; readonly at: Instant }
}

/** Who brought the new members in; undefined for those who asked by themselves, and those whom the app added. */
export const inviterOf = ({ via, by }: MembersAdded['data']): UserId | undefined =>
  by !== systemUserId && (via === undefined || via === 'invitation') ? by : undefined

export type GroupEvent =
  | GroupCreated
  | MembersAdded
  | MembersRemoved
  | OwnerTransferred
  | AdminAdded
  | AdminRemoved
  | GroupUpdated
  | MemberMuted
  | MemberUnmuted
  | MuteAllChanged
  | GroupDissolved
  | GroupRequestEvent
  | JoinQuestionsSet
  | AnnouncementEvent
