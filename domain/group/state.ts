// Owns what is known of a group while commands are decided: its attributes, its people, its end. Small and flat; whatever grows
// without bound, or is one member's own, stands in a stream of its own.

import type { GroupId, Instant, UserId } from '../ids.ts'
import type { GroupRole } from '../rows.ts'
import type { Announcements } from './announcements.ts'
import type { GroupAttributes } from './attributes.ts'
import type { MutedUntil } from './events.ts'
import type { JoinQuestions } from './questions.ts'

export interface GroupMember {
  readonly role: GroupRole
  readonly joinedAt: Instant
  /** Absent for the one who created the group. */
  readonly invitedBy?: UserId
}

export interface PendingInvitation {
  readonly requestId: string
  readonly by: UserId
  readonly expiresAt: Instant
}

export interface PendingApplication {
  readonly requestId: string
  /** Who hears of its end. */
  readonly told: readonly UserId[]
  readonly expiresAt: Instant
  /** The member who made it for somebody; absent: it is the applicant's own (R19). */
  readonly invitedBy?: UserId
}

export interface ExistingGroup extends GroupAttributes, Announcements {
  readonly status: 'open' | 'dissolved'
  readonly groupId: GroupId
  readonly ownerId: UserId
  readonly createdBy: UserId
  /** In the order of joining. They stay after dissolution, because they may still read. */
  readonly members: ReadonlyMap<UserId, GroupMember>
  /** Also of former members, who come back with theirs. One that has passed may still be here. */
  readonly mutes: ReadonlyMap<UserId, MutedUntil>
  /** By who is asked, or asks: each has one at most of either kind (R20, R22). */
  readonly invitations: ReadonlyMap<UserId, PendingInvitation>
  readonly applications: ReadonlyMap<UserId, PendingApplication>
  /** What those who join are asked; null: nothing (R43). */
  readonly joinQuestions: JoinQuestions | null
  readonly createdAt: Instant
  readonly dissolvedAt: Instant | null
}

export type Group = { readonly status: 'none' } | ExistingGroup

/** The role of a user in a group, dissolved or not; null for strangers. */
export const roleIn = (state: Group, userId: UserId): GroupRole | null =>
  state.status === 'none' ? null : (state.members.get(userId)?.role ?? null)
