// Owns the one decider of a group: which rule a command goes to (R14–R25). Exactly one owner while it is open.
// Never counts a user's groups or looks at accounts: the caller leaves out those who cannot be added.
// Stale facts can do this at worst: two groups created at once overshoot the creator's cap by one, two handed on at once that of
// their new owner, and somebody added in two groups at once overshoots the own cap by one. Membership itself is decided on this stream alone.

import { type Decider, isRejection, noRuleFor } from '../decider.ts'
import {
  type DeleteAnnouncement,
  deleteAnnouncement,
  type PublishAnnouncement,
  publishAnnouncement,
} from './announcements.ts'
import {
  type ApproveApplication,
  applyToGroup,
  decideApplication,
  type JoinGroup,
  type RejectApplication,
  type WithdrawApplication,
} from './applications.ts'
import { type CreateGroup, type CreateGroupFacts, createGroup, type DissolveGroup, dissolveGroup } from './creation.ts'
import type { GroupEvent } from './events.ts'
import { evolveGroup } from './evolve.ts'
import {
  type AcceptInvitation,
  type AddMembers,
  addMembers,
  answerInvitation,
  type RecallInvitation,
  type RejectInvitation,
  recallInvitation,
} from './invitations.ts'
import {
  type AddAdmin,
  addAdmin,
  type LeaveGroup,
  leaveGroup,
  type RemoveAdmin,
  type RemoveMembers,
  removeAdmin,
  removeMembers,
  type TransferGroup,
  transferGroup,
} from './members.ts'
import { type MuteMember, muteMember, type SetMuteAll, setMuteAll, type UnmuteMember, unmuteMember } from './mutes.ts'
import { type SetJoinQuestions, setJoinQuestions } from './questions.ts'
import { type GroupDecision, type GroupRejection, standingOf } from './refusals.ts'
import { type ExpireRequests, expireRequests } from './requests.ts'
import { decodeGroup, encodeGroup } from './snapshot.ts'
import type { Group } from './state.ts'
import { type UpdateGroup, updateGroup } from './updates.ts'

export type { GroupRole } from '../rows.ts'
export type { GroupEvent } from './events.ts'
export type { GroupRejection } from './refusals.ts'
export { type ExistingGroup, type Group, type GroupMember, roleIn } from './state.ts'

export type GroupCommand =
  | CreateGroup
  | AddMembers
  | RemoveMembers
  | LeaveGroup
  | TransferGroup
  | AddAdmin
  | RemoveAdmin
  | UpdateGroup
  | MuteMember
  | UnmuteMember
  | SetMuteAll
  | DissolveGroup
  | AcceptInvitation
  | RejectInvitation
  | RecallInvitation
  | JoinGroup
  | WithdrawApplication
  | ApproveApplication
  | RejectApplication
  | SetJoinQuestions
  | PublishAnnouncement
  | DeleteAnnouncement
  | ExpireRequests

/** Every other command than CreateGroup decides on the group alone. */
export type GroupFacts = CreateGroupFacts | undefined

/** What needs no membership, or is decided before it. */
type OutsideCommand =
  | CreateGroup
  | AcceptInvitation
  | RejectInvitation
  | JoinGroup
  | WithdrawApplication
  | ExpireRequests

const decideAsMember = (command: Exclude<GroupCommand, OutsideCommand>, state: Group): GroupDecision => {
  const standing = standingOf(command.by, state)
  if (isRejection(standing)) return standing
  switch (command.type) {
    case 'AddMembers':
      return addMembers(command, standing)
    case 'RemoveMembers':
      return removeMembers(command, standing)
    case 'LeaveGroup':
      return leaveGroup(command, standing)
    case 'TransferGroup':
      return transferGroup(command, standing)
    case 'AddAdmin':
      return addAdmin(command, standing)
    case 'RemoveAdmin':
      return removeAdmin(command, standing)
    case 'UpdateGroup':
      return updateGroup(command, standing)
    case 'MuteMember':
      return muteMember(command, standing)
    case 'UnmuteMember':
      return unmuteMember(command, standing)
    case 'SetMuteAll':
      return setMuteAll(command, standing)
    case 'DissolveGroup':
      return dissolveGroup(command, standing)
    case 'RecallInvitation':
      return recallInvitation(command, standing)
    case 'ApproveApplication':
    case 'RejectApplication':
      return decideApplication(command, standing)
    case 'SetJoinQuestions':
      return setJoinQuestions(command, standing)
    case 'PublishAnnouncement':
      return publishAnnouncement(command, standing)
    case 'DeleteAnnouncement':
      return deleteAnnouncement(command, standing)
    default:
      return noRuleFor(command)
  }
}

const decide = (command: GroupCommand, state: Group, facts: GroupFacts): GroupDecision => {
  switch (command.type) {
    case 'CreateGroup':
      return createGroup(command, state, facts)
    case 'AcceptInvitation':
    case 'RejectInvitation':
      return answerInvitation(command, state)
    case 'JoinGroup':
    case 'WithdrawApplication':
      return applyToGroup(command, state)
    case 'ExpireRequests':
      return state.status === 'none' ? [] : expireRequests(command, state)
    default:
      return decideAsMember(command, state)
  }
}

/** The rules of `group-<groupId>` (R14–R25). Facts are needed for CreateGroup only. */
export const group: Decider<Group, GroupCommand, GroupEvent, GroupRejection, GroupFacts> = {
  category: 'group',
  load: { by: 'snapshot', version: 7, everyEvents: 200, encode: encodeGroup, decode: decodeGroup },
  initial: { status: 'none' },
  weight: state => (state.status === 'none' ? 1 : 1 + state.members.size / 16),
  evolve: evolveGroup,
  decide,
}
