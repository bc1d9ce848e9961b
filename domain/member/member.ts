// Owns the rules of a member's own side of a group: the nickname and extension there, and who is followed (R27, R28, R48).
// A stream of its own for each member, so that the group's state does not grow with what its members write about themselves.
// Stale facts can do this at worst: one who left or lost a role within the follow lag changes one more nickname; one of an
// earlier membership is dropped by whoever reads it.

import { type Decider, type Decision, isRejection, noRuleFor, reject } from '../decider.ts'
import { may } from '../group/permissions.ts'
import { type Actor, notAllowed, type Standing, standingOf, targetRefused } from '../group/refusals.ts'
import type { Group } from '../group/state.ts'
import type { GroupId, Instant, UserId } from '../ids.ts'
import { limits } from '../limits.ts'
import type { MemberEvent, MemberProfile } from './events.ts'

export type { MemberEvent, MemberProfile } from './events.ts'

export interface MemberState {
  /** Empty before the first event: no membership began then. */
  readonly joinedAt: Instant | ''
  readonly profile: MemberProfile
}

interface MemberCommandBase extends Actor {
  readonly groupId: GroupId
  /** Whose profile. */
  readonly userId: UserId
}

export interface EditMember extends MemberCommandBase {
  readonly type: 'EditMember'
  /** Null takes it away. */
  readonly nickname?: string | null | undefined
  readonly extension?: string | undefined
}

export interface FollowMember extends MemberCommandBase {
  readonly type: 'FollowMember'
  readonly followedId: UserId
}

export interface UnfollowMember extends MemberCommandBase {
  readonly type: 'UnfollowMember'
  readonly followedId: UserId
}

export type MemberCommand = EditMember | FollowMember | UnfollowMember

export interface MemberFacts {
  readonly group: Group
}

export type MemberRejection =
  | 'group.not-found'
  | 'group.dissolved'
  | 'group.not-allowed'
  | 'group.target-not-member'
  | 'group.target-is-owner'
  | 'group.target-is-admin'
  | 'group.target-self'
  | 'group.followed-limit'

type MemberDecision = Decision<MemberEvent, MemberRejection>

/** Of one who has set nothing. */
export const noProfile: MemberProfile = { nickname: null, extension: '', followedIds: [] }

/** What a member has set since a membership began. */
export const profileSince = (state: MemberState, joinedAt: Instant): MemberProfile =>
  state.joinedAt === joinedAt ? state.profile : noProfile

const evolve = (state: MemberState, event: MemberEvent): MemberState => {
  switch (event.type) {
    case 'MemberEdited':
    case 'MemberFollowed':
    case 'MemberUnfollowed':
      return { joinedAt: event.data.joinedAt, profile: event.data.profile }
    default:
      return state
  }
}

/** A member's profile as it is, with the means to say that it changes. */
interface Editing {
  readonly profile: MemberProfile
  readonly changed: (type: MemberEvent['type'], profile: MemberProfile) => readonly MemberEvent[]
}

const editing = ({ groupId, userId, by, at }: MemberCommandBase, state: MemberState, joinedAt: Instant): Editing => ({
  profile: profileSince(state, joinedAt),
  changed: (type, profile) => [{ type, data: { groupId, userId, joinedAt, profile, by, at } }],
})

const editMember = (command: EditMember, { profile, changed }: Editing): MemberDecision => {
  const nickname = command.nickname === undefined ? profile.nickname : command.nickname
  const extension = command.extension ?? profile.extension
  if (nickname === profile.nickname && extension === profile.extension) return []
  return changed('MemberEdited', { ...profile, nickname, extension })
}

const followMember = (
  { userId, followedId }: FollowMember,
  { profile, changed }: Editing,
  { group }: Standing,
): MemberDecision => {
  if (followedId === userId) return reject('group.target-self', 'You cannot follow yourself.', { userId: followedId })
  if (profile.followedIds.includes(followedId)) return []
  if (!group.members.has(followedId)) {
    return reject('group.target-not-member', 'Only members of the group can be followed.', { userId: followedId })
  }
  if (profile.followedIds.length >= limits.followedMembersMax) {
    return reject('group.followed-limit', `You can follow ${limits.followedMembersMax} members. Unfollow one first.`)
  }
  return changed('MemberFollowed', { ...profile, followedIds: [...profile.followedIds, followedId] })
}

/** One who is no longer a member can be unfollowed like any other. */
const unfollowMember = ({ followedId }: UnfollowMember, { profile, changed }: Editing): MemberDecision =>
  profile.followedIds.includes(followedId)
    ? changed('MemberUnfollowed', { ...profile, followedIds: profile.followedIds.filter(id => id !== followedId) })
    : []

const decide = (command: MemberCommand, state: MemberState, facts: MemberFacts): MemberDecision => {
  const standing = standingOf(command.by, facts.group)
  if (isRejection(standing)) return standing
  const { group, party } = standing
  const refused =
    command.by === command.userId
      ? may('editOwnMemberProfile', party, group)
        ? undefined
        : notAllowed()
      : targetRefused('editMemberProfiles', command.userId, command, standing)
  if (refused !== undefined) return refused as MemberDecision
  const joinedAt = group.members.get(command.userId)?.joinedAt
  if (joinedAt === undefined) throw new Error('a member whose profile is edited is none')
  const edit = editing(command, state, joinedAt)
  switch (command.type) {
    case 'EditMember':
      return editMember(command, edit)
    case 'FollowMember':
      return followMember(command, edit, standing)
    case 'UnfollowMember':
      return unfollowMember(command, edit)
    default:
      return noRuleFor(command)
  }
}

/** The rules of `member-<groupId>~<userId>` (R27, R28, R48). */
export const member: Decider<MemberState, MemberCommand, MemberEvent, MemberRejection, MemberFacts> = {
  category: 'member',
  load: { by: 'last' },
  initial: { joinedAt: '', profile: noProfile },
  evolve,
  decide,
}
