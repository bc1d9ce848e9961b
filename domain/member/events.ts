// Owns what one member of a group is called there and keeps there (R28, R48). Every event carries the whole small state after it,
// so that the newest event alone is the state; it is of one membership, told by when that began: who comes back begins anew.

import type { GroupId, Instant, UserId } from '../ids.ts'

/** What belongs to a member of a group and not to the account. */
export type MemberProfile = {
  readonly nickname: string | null
  /** Of the member's own apps; the server never reads it. */
  readonly extension: string
  /** Members to whom this one pays heed; nobody else sees them. */
  readonly followedIds: readonly UserId[]
}

type MemberData = {
  readonly groupId: GroupId
  readonly userId: UserId
  /** When the membership began that this is of. */
  readonly joinedAt: Instant
  readonly profile: MemberProfile
  readonly by: UserId
  readonly at: Instant
}

export type MemberEdited = { readonly type: 'MemberEdited'; readonly data: MemberData }
export type MemberFollowed = { readonly type: 'MemberFollowed'; readonly data: MemberData }
export type MemberUnfollowed = { readonly type: 'MemberUnfollowed'; readonly data: MemberData }

export type MemberEvent = MemberEdited | MemberFollowed | MemberUnfollowed
