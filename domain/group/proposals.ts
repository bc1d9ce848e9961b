// Owns what becomes of those whom a plain member asks into a group that is joined by approval, where the operator wants the
// managers to decide about them (R19, R22): an application for each, with who asked. Nothing reaches the user before it is approved.
// The owner, the admins and the app are asked by nobody; nor is anybody whom the group approves by itself (R45).

import type { UserId } from '../ids.ts'
import { limits } from '../limits.ts'
import type { GroupEvent } from './events.ts'
import type { GroupParty } from './permissions.ts'
import { type Actor, applicationLimit, full, type GroupDecision } from './refusals.ts'
import { managersOf, requestExpiry } from './requests.ts'
import type { ExistingGroup } from './state.ts'

/** One whom a member asks in, as far as an application needs it. */
export interface Proposable {
  readonly userId: UserId
  /** Of the application, if it comes to one and there is none yet. */
  readonly requestId: string
  readonly isFriendOfOwner: boolean
}

interface Proposing extends Actor {
  readonly message?: string | undefined
  readonly proposable?: readonly Proposable[] | undefined
}

/** A member stands behind each of them, so `invitedByMember` holds for all. */
const isApprovedAlready = ({ autoApprove }: ExistingGroup, { isFriendOfOwner }: Proposable): boolean =>
  autoApprove === 'friendsOfOwner' ? isFriendOfOwner : autoApprove !== 'none'

/** Those about whom the managers decide, each once. */
export const proposalsOf = (
  { proposable = [] }: Proposing,
  party: GroupParty,
  group: ExistingGroup,
): readonly Proposable[] => {
  if (party !== 'member' || group.joinMode !== 'approval') return []
  const absent = proposable.filter(({ userId }) => !group.members.has(userId))
  const once = [...new Map(absent.map(one => [one.userId, one])).values()]
  return once.filter(one => !isApprovedAlready(group, one))
}

/** One who has applied themself is waiting already; one for whom another member has asked is asked for anew under the same id. */
export const propose = (
  { message, by, at }: Proposing,
  proposals: readonly Proposable[],
  group: ExistingGroup,
): GroupDecision => {
  if (group.members.size >= group.memberLimit) return full(group.memberLimit, 'lettingIn')
  const { groupId, applications } = group
  const fresh = proposals.filter(({ userId }) => !applications.has(userId))
  if (applications.size + fresh.length > limits.groupApplicationsPendingMax) return applicationLimit()
  const said = message === undefined ? undefined : { message }
  return proposals.flatMap(({ userId, requestId }): readonly GroupEvent[] => {
    const pending = applications.get(userId)
    if (pending !== undefined && pending.invitedBy === undefined) return []
    const { requestId: id, told } = pending ?? { requestId, told: managersOf(group) }
    const data = { groupId, userId, requestId: id, ...said, told, invitedBy: by, expiresAt: requestExpiry(at), at }
    return [{ type: 'ApplicationMade', data }]
  })
}
