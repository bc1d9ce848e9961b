// Owns how a member of a group looks to the other members. Of the account nothing: that is the account's row.

import type { UserRow } from '../account/row.ts'
import type { MutedUntil } from '../group/events.ts'
import type { GroupMember } from '../group/state.ts'
import type { GroupId, Instant, UserId } from '../ids.ts'
import type { GroupRole } from '../rows.ts'
import type { MemberProfile } from './events.ts'

export interface MemberRow {
  readonly groupId: GroupId
  readonly userId: UserId
  readonly role: GroupRole
  readonly nickname: string | null
  readonly extension: string
  /** May have passed. */
  readonly mutedUntil: MutedUntil | null
  readonly joinedAt: Instant
  /** Who brought the member in; absent for the one who created the group. */
  readonly invitedBy?: UserId
}

export const memberRow = (
  groupId: GroupId,
  userId: UserId,
  { role, joinedAt, invitedBy }: GroupMember,
  { nickname, extension }: Omit<MemberProfile, 'followedIds'>,
  mutedUntil: MutedUntil | null,
): MemberRow => ({
  groupId,
  userId,
  role,
  nickname,
  extension,
  mutedUntil,
  joinedAt,
  ...(invitedBy === undefined ? undefined : { invitedBy }),
})

/** What is left of an account where the group hides its members' profiles (R46): who it is, and the picture. */
export const hiddenUserRow = ({ userId, avatarUrl }: UserRow): Pick<UserRow, 'userId' | 'avatarUrl'> => ({
  userId,
  ...(avatarUrl === undefined ? undefined : { avatarUrl }),
})
