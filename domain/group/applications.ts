// Owns how somebody comes in who was not asked: at once, by the right answers, or by an application that the owner or an admin
// decides; the first decision wins (R22, R43, R45). A group that lets nobody in is not there for strangers, nor is it for one
// whom its owner blocks. Stale facts can do this at worst: one who has just been blocked still comes in, or a friendship that has
// just ended still opens the door, and somebody who joins two groups at once overshoots the own cap by one.

import { isRejection, type Rejection, reject } from '../decider.ts'
import type { Instant, UserId } from '../ids.ts'
import { limits } from '../limits.ts'
import type { GroupEvent } from './events.ts'
import { invitationLimit, invited } from './invitations.ts'
import { may } from './permissions.ts'
import { isRightAnswer } from './questions.ts'
import {
  type Actor,
  applicationLimit,
  full,
  type GroupDecision,
  notFound,
  refusedDissolved,
  type Standing,
} from './refusals.ts'
import { askedFor, joined, managersOf, requestExpiry, withRequests } from './requests.ts'
import type { ExistingGroup, Group, PendingApplication } from './state.ts'

export interface JoinGroup extends Actor {
  readonly type: 'JoinGroup'
  /** Of the application, if it comes to one and there is none yet. */
  readonly requestId: string
  readonly message?: string | undefined
  /** One a question, in their order. */
  readonly answers?: readonly string[] | undefined
  /** Of the owner and the admins, those who block whoever asks. */
  readonly blockedBy: readonly UserId[]
  readonly isFriendOfOwner: boolean
}

export interface WithdrawApplication extends Actor {
  readonly type: 'WithdrawApplication'
}

export interface ApproveApplication extends Actor {
  readonly type: 'ApproveApplication'
  /** Exists, and has room for another group. */
  readonly userId: UserId
}

export interface RejectApplication extends Actor {
  readonly type: 'RejectApplication'
  readonly userId: UserId
  readonly reason?: string | undefined
}

/** Of those who are not in the group. */
export type ApplicationCommand = JoinGroup | WithdrawApplication

/** How the group lets somebody in; a question that was never set leaves the decision to the managers. */
const doorOf = (group: ExistingGroup): 'free' | 'approval' | 'question' | 'nobody' =>
  group.joinMode === 'question' && group.joinQuestions === null ? 'approval' : group.joinMode

/** The group as one may find it who is not in it; undefined when there is none for them. */
export const openToJoin = (state: Group, blockedBy: readonly UserId[]): ExistingGroup | undefined =>
  state.status === 'open' && may('join', 'stranger', state) && !blockedBy.includes(state.ownerId) ? state : undefined

/** Whether an application needs nobody's decision (R45). An invitation counts while its inviter is in the group. */
const isApprovedAlready = (group: ExistingGroup, { by, at, isFriendOfOwner }: JoinGroup): boolean => {
  switch (group.autoApprove) {
    case 'none':
      return false
    case 'all':
      return true
    case 'friendsOfOwner':
      return isFriendOfOwner
    case 'invitedByMember': {
      const invitation = group.invitations.get(by)
      return invitation !== undefined && invitation.expiresAt > at && group.members.has(invitation.by)
    }
  }
}

const applicationMade = (group: ExistingGroup, command: JoinGroup, told: readonly UserId[]): GroupEvent => {
  const { by: userId, at, message } = command
  const requestId = group.applications.get(userId)?.requestId ?? command.requestId
  const said = message === undefined ? undefined : { message }
  const data = { groupId: group.groupId, userId, requestId, ...said, told, expiresAt: requestExpiry(at), at }
  return { type: 'ApplicationMade', data }
}

const withdrawn = (
  { groupId }: ExistingGroup,
  application: PendingApplication,
  { by: userId, at }: Actor,
): GroupEvent => {
  const { requestId, told } = application
  const data = { groupId, userId, requestId, told, ...askedFor(application), at }
  return { type: 'ApplicationWithdrawn', data }
}

/** An application that a member made for somebody gives way to their own: the managers hear of it as of any (R19). */
const apply = (group: ExistingGroup, command: JoinGroup): GroupDecision => {
  const pending = group.applications.get(command.by)
  if (pending?.invitedBy !== undefined) {
    const gone = withdrawn(group, pending, command)
    const own = apply(withRequests(group, gone), command)
    return isRejection(own) ? own : [gone, ...own]
  }
  if (isApprovedAlready(group, command)) {
    const made = applicationMade(group, command, pending?.told ?? [])
    return [made, ...joined(withRequests(group, made), [command.by], command, 'application')]
  }
  if (pending === undefined && group.applications.size >= limits.groupApplicationsPendingMax) {
    return applicationLimit()
  }
  const told = pending?.told ?? managersOf(group).filter(userId => !command.blockedBy.includes(userId))
  return [applicationMade(group, command, told)]
}

const joinGroup = (command: JoinGroup, state: Group): GroupDecision => {
  if (state.status !== 'none' && state.members.has(command.by)) {
    return refusedDissolved(state) ?? reject('group.already-member', 'You are in this group.')
  }
  const group = openToJoin(state, command.blockedBy)
  if (group === undefined) return notFound()
  if (group.members.size >= group.memberLimit) return full(group.memberLimit, 'comingIn')
  switch (doorOf(group)) {
    case 'free':
      return joined(group, [command.by], command, 'free')
    case 'question':
      if (command.answers === undefined) {
        return reject('group.answers-missing', 'This group asks questions of those who join. Send the answers.')
      }
      return isRightAnswer(group, command.answers)
        ? joined(group, [command.by], command, 'question')
        : reject('group.wrong-answer', 'The answers are not right.')
    default:
      return apply(group, command)
  }
}

const notPending = (): Rejection<'application.not-pending'> =>
  reject('application.not-pending', 'There is no open application. It was decided, withdrawn, or has expired.')

const pendingOf = (
  group: ExistingGroup,
  userId: UserId,
  at: Instant,
): PendingApplication | Rejection<'application.not-pending'> => {
  const application = group.applications.get(userId)
  return application === undefined || application.expiresAt <= at ? notPending() : application
}

/** Only what is the applicant's own: of what a member asks for them they know nothing. */
const withdraw = (command: WithdrawApplication, state: Group): GroupDecision => {
  if (state.status === 'none') return notPending()
  const application = pendingOf(state, command.by, command.at)
  if (isRejection(application)) return application
  return application.invitedBy === undefined ? [withdrawn(state, application, command)] : notPending()
}

/** What one does who is not in the group. */
export const applyToGroup = (command: ApplicationCommand, state: Group): GroupDecision =>
  command.type === 'JoinGroup' ? joinGroup(command, state) : withdraw(command, state)

/** What the member asked for happens now, as theirs: they add the user, or ask them where the group asks first (R19, R20). */
const approvedProposal = (
  group: ExistingGroup,
  { userId, by, at }: ApproveApplication,
  application: PendingApplication,
  inviter: UserId,
): GroupDecision => {
  const { requestId, told } = application
  const data = { groupId: group.groupId, userId, requestId, told, ...askedFor(application), by, at }
  const approved: GroupEvent = { type: 'ApplicationApproved', data: { ...data, decidedBy: 'manager' } }
  const after = withRequests(group, approved)
  if (group.inviteeConsent === 'none') return [approved, ...joined(after, [userId], { by: inviter, at })]
  return after.invitations.size >= limits.groupInvitationsPendingMax && !after.invitations.has(userId)
    ? invitationLimit()
    : [approved, invited(after, [userId], { requestId, by: inviter, at })]
}

/** The first decision wins, and there must be room now. A group that has closed since lets nobody in. */
export const decideApplication = (
  command: ApproveApplication | RejectApplication,
  { group, party }: Standing,
): GroupDecision => {
  if (!may('decideApplications', party, group)) {
    return reject('group.not-allowed', 'Only the owner and admins decide who comes in.')
  }
  const { userId, by, at } = command
  const application = pendingOf(group, userId, at)
  if (isRejection(application)) return application
  if (command.type === 'RejectApplication') {
    const { groupId } = group
    const reason = command.reason === undefined ? undefined : { reason: command.reason }
    const { requestId, told } = application
    const asker = askedFor(application)
    return [{ type: 'ApplicationRejected', data: { groupId, userId, requestId, told, ...asker, ...reason, by, at } }]
  }
  if (!may('join', 'stranger', group)) {
    return reject('group.join-closed', 'The group lets nobody in now. Change how it is joined, or invite the user.')
  }
  if (group.members.size >= group.memberLimit) return full(group.memberLimit, 'lettingIn')
  return application.invitedBy === undefined
    ? joined(group, [userId], command, 'application')
    : approvedProposal(group, command, application, application.invitedBy)
}
