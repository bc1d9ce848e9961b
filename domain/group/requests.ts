// Owns what invitations and applications share: when a request ends by itself, which requests an event ends, and how somebody
// comes in. Whoever comes in, by whatever way, has no request left.

import { type Instant, systemUserId, type UserId } from '../ids.ts'
import { instantPlusSeconds } from '../instants.ts'
import { limits } from '../limits.ts'
import type { GroupEvent, JoinedVia } from './events.ts'
import { added } from './members.ts'
import type { Actor } from './refusals.ts'
import { type ExistingGroup, type PendingApplication, roleIn } from './state.ts'

const daySeconds = 86_400

/** When a request made now ends by itself (R16, R20, R22). */
export const requestExpiry = (at: Instant): Instant => instantPlusSeconds(at, limits.groupRequestDays * daySeconds)

/** The owner and the admins: the few who decide who comes in. */
export const managersOf = (group: ExistingGroup): readonly UserId[] =>
  [...group.members].flatMap(([userId, { role }]) => (role === 'member' ? [] : [userId]))

const isManager = (group: ExistingGroup, userId: UserId): boolean => {
  const role = roleIn(group, userId)
  return role === 'owner' || role === 'admin'
}

/** The field of an application's events by which they tell who made it for the applicant (R19). */
export const askedFor = ({ invitedBy }: PendingApplication): { readonly invitedBy?: UserId } =>
  invitedBy === undefined ? {} : { invitedBy }

/** What ends with somebody's coming in: an invitation as accepted, an application as decided by whoever let them in. */
const endedByJoining = (group: ExistingGroup, userId: UserId, { by, at }: Actor): readonly GroupEvent[] => {
  const { groupId } = group
  const events: GroupEvent[] = []
  const invitation = group.invitations.get(userId)
  if (invitation !== undefined) {
    const { requestId, by: invitedBy } = invitation
    events.push({ type: 'InvitationAccepted', data: { groupId, userId, requestId, invitedBy, at } })
  }
  const application = group.applications.get(userId)
  if (application !== undefined) {
    const { requestId, told } = application
    const asker = askedFor(application)
    const decided = isManager(group, by)
      ? ({ decidedBy: 'manager', by } as const)
      : ({ decidedBy: 'auto', by: systemUserId } as const)
    events.push({ type: 'ApplicationApproved', data: { groupId, userId, requestId, told, ...asker, ...decided, at } })
  }
  return events
}

/** Lets people in. @param userIds of whom none is in */
export const joined = (
  group: ExistingGroup,
  userIds: readonly UserId[],
  actor: Actor,
  via?: JoinedVia,
): readonly GroupEvent[] => [
  ...userIds.flatMap(userId => endedByJoining(group, userId, actor)),
  added(group, userIds, actor, via),
]

/** The end of those requests that are due; of all of them when the group ends. */
export const expired = (
  group: ExistingGroup,
  at: Instant,
  isDue: (userId: UserId, request: { readonly expiresAt: Instant }) => boolean = () => true,
): readonly GroupEvent[] => {
  const { groupId } = group
  const invitations = [...group.invitations].flatMap(([userId, invitation]) =>
    isDue(userId, invitation) ? [{ userId, requestId: invitation.requestId }] : [],
  )
  const applications = [...group.applications].flatMap(([userId, application]) =>
    isDue(userId, application)
      ? [{ userId, requestId: application.requestId, told: application.told, ...askedFor(application) }]
      : [],
  )
  const events: GroupEvent[] = []
  if (invitations.length > 0) events.push({ type: 'InvitationsExpired', data: { groupId, invitations, at } })
  if (applications.length > 0) events.push({ type: 'ApplicationsExpired', data: { groupId, applications, at } })
  return events
}

export interface ExpireRequests {
  readonly type: 'ExpireRequests'
  /** Whose account was closed: what is theirs ends whatever its time. Absent: whatever's time has come ends. */
  readonly userId?: UserId
  readonly at: Instant
}

/** Done again it finds nothing to do. A group that has ended has no requests. */
export const expireRequests = ({ userId: closed, at }: ExpireRequests, group: ExistingGroup): readonly GroupEvent[] =>
  expired(group, at, (userId, { expiresAt }) => (closed === undefined ? expiresAt <= at : userId === closed))

const without = <Value>(map: ReadonlyMap<UserId, Value>, userIds: readonly UserId[]): ReadonlyMap<UserId, Value> => {
  const left = new Map(map)
  for (const userId of userIds) left.delete(userId)
  return left
}

/** The group after an event of a request; as it was after any other. */
export const withRequests = (group: ExistingGroup, event: GroupEvent): ExistingGroup => {
  switch (event.type) {
    case 'MembersInvited': {
      const { invited, by, expiresAt } = event.data
      const invitations = new Map(group.invitations)
      for (const { userId, requestId } of invited) invitations.set(userId, { requestId, by, expiresAt })
      return { ...group, invitations }
    }
    case 'InvitationAccepted':
    case 'InvitationRejected':
    case 'InvitationRecalled':
      return { ...group, invitations: without(group.invitations, [event.data.userId]) }
    case 'InvitationsExpired': {
      const userIds = event.data.invitations.map(({ userId }) => userId)
      return { ...group, invitations: without(group.invitations, userIds) }
    }
    case 'ApplicationMade': {
      const { userId, requestId, told, expiresAt, invitedBy } = event.data
      const application = { requestId, told, expiresAt, ...(invitedBy === undefined ? undefined : { invitedBy }) }
      return { ...group, applications: new Map(group.applications).set(userId, application) }
    }
    case 'ApplicationApproved':
    case 'ApplicationRejected':
    case 'ApplicationWithdrawn':
      return { ...group, applications: without(group.applications, [event.data.userId]) }
    case 'ApplicationsExpired': {
      const userIds = event.data.applications.map(({ userId }) => userId)
      return { ...group, applications: without(group.applications, userIds) }
    }
    default:
      return group
  }
}
