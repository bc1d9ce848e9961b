// Owns invitations: who may ask people in, and what the invited may answer (R19, R20). Where no consent is required they are
// members at once; so are those whom the app adds, which answers for them. About whom the managers decide first is for
// proposals.ts. An invitation outlives its inviter's membership; whether there is room is decided when it is accepted.
// Stale facts can do this at worst: two invitations at once overshoot a user's cap of pending ones by one.

import { isRejection, type Rejection, reject } from '../decider.ts'
import type { Instant, UserId } from '../ids.ts'
import { limits } from '../limits.ts'
import type { GroupEvent } from './events.ts'
import { may, mayWith } from './permissions.ts'
import { type Proposable, proposalsOf, propose } from './proposals.ts'
import { type Actor, full, type GroupDecision, type GroupRejection, type Standing } from './refusals.ts'
import type { MembersInvited } from './request-events.ts'
import { joined, requestExpiry } from './requests.ts'
import type { ExistingGroup, Group, PendingInvitation } from './state.ts'

export interface AddMembers extends Actor {
  readonly type: 'AddMembers'
  /** Users that exist and have room for another group. */
  readonly userIds: readonly UserId[]
  /** Of the invitations that are new. */
  readonly requestId: string
  readonly message?: string | undefined
  /** Of these users, where the managers decide whom members ask in; absent where they do not. */
  readonly proposable?: readonly Proposable[] | undefined
}

export interface AcceptInvitation extends Actor {
  readonly type: 'AcceptInvitation'
}

export interface RejectInvitation extends Actor {
  readonly type: 'RejectInvitation'
}

export interface RecallInvitation extends Actor {
  readonly type: 'RecallInvitation'
  readonly userId: UserId
}

export type InvitationCommand = AcceptInvitation | RejectInvitation

/** The invitations of one call; those who are invited already are invited anew under the id they have. */
export const invited = (
  group: Pick<ExistingGroup, 'groupId' | 'name' | 'invitations'>,
  userIds: readonly UserId[],
  { requestId, message, by, at }: Pick<AddMembers, 'requestId' | 'message' | 'by' | 'at'>,
): MembersInvited => ({
  type: 'MembersInvited',
  data: {
    groupId: group.groupId,
    groupName: group.name,
    invited: userIds.map(userId => ({ userId, requestId: group.invitations.get(userId)?.requestId ?? requestId })),
    ...(message === undefined ? undefined : { message }),
    expiresAt: requestExpiry(at),
    by,
    at,
  },
})

export const invitationLimit = (): Rejection<'invitation.limit'> =>
  reject(
    'invitation.limit',
    `A group has ${limits.groupInvitationsPendingMax} open invitations at most. Recall some, or wait for answers.`,
  )

export const addMembers = (command: AddMembers, { group, party }: Standing): GroupDecision => {
  if (!may('invite', party, group)) {
    return reject('group.not-allowed', 'Only the owner and admins add members to this group.')
  }
  const userIds = [...new Set(command.userIds)].filter(userId => !group.members.has(userId))
  const proposals = proposalsOf(command, party, group)
  if (proposals.length === 0) return askIn(command, userIds, { group, party })
  const made = propose(command, proposals, group)
  if (isRejection(made)) return made
  const proposed = new Set(proposals.map(({ userId }) => userId))
  const others = askIn(
    command,
    userIds.filter(userId => !proposed.has(userId)),
    { group, party },
  )
  return isRejection(others) ? others : [...made, ...others]
}

/** Those whom nobody has to decide about. @param userIds of whom none is in */
const askIn = (command: AddMembers, userIds: readonly UserId[], { group, party }: Standing): GroupDecision => {
  if (userIds.length === 0) return []
  if (group.inviteeConsent === 'none' || party === 'app') {
    return group.members.size + userIds.length > group.memberLimit
      ? full(group.memberLimit, 'lettingIn')
      : joined(group, userIds, command)
  }
  if (group.members.size >= group.memberLimit) return full(group.memberLimit, 'lettingIn')
  const fresh = userIds.filter(userId => !group.invitations.has(userId))
  if (group.invitations.size + fresh.length > limits.groupInvitationsPendingMax) return invitationLimit()
  return [invited(group, userIds, command)]
}

const noInvitation = (): Rejection<'invitation.not-found'> =>
  reject('invitation.not-found', 'There is no open invitation. It was answered, recalled, or has expired.')

interface Invited {
  readonly group: ExistingGroup
  readonly invitation: PendingInvitation
}

/** One who is not invited cannot tell a group from one that is not there. */
const invitedTo = (state: Group, userId: UserId, at: Instant): Invited | Rejection<'invitation.not-found'> => {
  const invitation = state.status === 'open' ? state.invitations.get(userId) : undefined
  if (state.status === 'none' || invitation === undefined || invitation.expiresAt <= at) return noInvitation()
  return { group: state, invitation }
}

/** One who is in has what the acceptance asks for. */
const acceptInvitation = ({ by, at }: AcceptInvitation, state: Group): GroupDecision => {
  if (state.status === 'open' && state.members.has(by)) return []
  const found = invitedTo(state, by, at)
  if (isRejection(found)) return found
  const { group, invitation } = found
  if (group.members.size >= group.memberLimit) return full(group.memberLimit, 'comingIn')
  return joined(group, [by], { by: invitation.by, at }, 'invitation')
}

const rejectInvitation = ({ by: userId, at }: RejectInvitation, state: Group): GroupDecision => {
  const found = invitedTo(state, userId, at)
  if (isRejection(found)) return found
  const { requestId, by: invitedBy } = found.invitation
  const { groupId } = found.group
  return [{ type: 'InvitationRejected', data: { groupId, userId, requestId, invitedBy, at } }]
}

/** What the invited answers. */
export const answerInvitation = (command: InvitationCommand, state: Group): GroupDecision =>
  command.type === 'AcceptInvitation' ? acceptInvitation(command, state) : rejectInvitation(command, state)

/** The inviter takes back the own invitation; the owner and admins any. */
export const recallInvitation = (
  { userId, by, at }: RecallInvitation,
  { group, party }: Standing,
): readonly GroupEvent[] | Rejection<GroupRejection> => {
  const invitation = group.invitations.get(userId)
  if (!mayWith('recallInvitation', party, group, invitation?.by === by)) {
    return reject('group.not-allowed', 'Only the inviter, the owner and admins take an invitation back.')
  }
  if (invitation === undefined) return noInvitation()
  return [
    { type: 'InvitationRecalled', data: { groupId: group.groupId, userId, requestId: invitation.requestId, by, at } },
  ]
}
