// Owns what a closed account leaves behind in groups: it is a member of none and owns none, asks for nothing and is asked for
// nothing (R16, R17, R20, R22). A group may have taken somebody in by facts that were older than the closing; so whoever an event
// brings to a group is looked at once more after it. Every step bears being done again: what is done already changes nothing.

import { account } from '../domain/account/account.ts'
import { isRejection } from '../domain/decider.ts'
import type { GroupEvent } from '../domain/group/events.ts'
import { type ExistingGroup, type GroupCommand, group } from '../domain/group/group.ts'
import { type GroupId, type Instant, streamOf, type UserId } from '../domain/ids.ts'
import type { Node } from '../eventstore/node.ts'
import type { RecordedEvent } from '../eventstore/port.ts'

type Brought = {
  readonly [Type in GroupEvent['type']]?: (data: Extract<GroupEvent, { type: Type }>['data']) => readonly UserId[]
}

/** Whom an event brings to a group, be it as members or as those who might become some. */
const brought: Brought = {
  GroupCreated: ({ ownerId, memberIds }) => [ownerId, ...memberIds],
  MembersAdded: ({ userIds }) => userIds,
  MembersInvited: ({ invited }) => invited.map(({ userId }) => userId),
  ApplicationMade: ({ userId }) => [userId],
}

/** Whom an owner who closed the account hands a group to: the admin, else the member, who has been there longest. */
const heirOf = ({ members }: ExistingGroup, ownerId: UserId): UserId | undefined => {
  const others = [...members].filter(([userId]) => userId !== ownerId)
  const byAge = others.toSorted(([, one], [, other]) => (one.joinedAt < other.joinedAt ? -1 : 1))
  const [heir] = byAge.find(([, { role }]) => role === 'admin') ?? byAge[0] ?? []
  return heir
}

/**
 * Nobody owns a group when they close the account, save one that became theirs in the same moment: that one is handed on, however
 * many the heir has already.
 */
const leaving = (state: ExistingGroup, by: UserId, at: Instant): GroupCommand => {
  if (state.ownerId !== by) return { type: 'LeaveGroup', by, at }
  const to = heirOf(state, by)
  return to === undefined
    ? { type: 'DissolveGroup', by, at }
    : { type: 'TransferGroup', to, leave: true, ownsMost: false, by, at }
}

/** Takes a closed account out of a group. @returns whether there was anything to do */
export const leaveForGood = async (node: Node, groupId: GroupId, userId: UserId): Promise<boolean> => {
  const stream = streamOf.group(groupId)
  const { state } = await node.load(group, stream)
  if (state.status !== 'open') return false
  const at = node.clock.now()
  const commands: GroupCommand[] = []
  if (state.invitations.has(userId) || state.applications.has(userId)) {
    commands.push({ type: 'ExpireRequests', userId, at })
  }
  if (state.members.has(userId)) commands.push(leaving(state, userId, at))
  for (const command of commands) {
    const outcome = await node.handle(group, stream, command, { facts: undefined })
    // Somebody changed the group meanwhile: it is looked at again with the next try.
    if (isRejection(outcome)) throw new Error(`leaving a group was refused: ${outcome.rejected}`)
  }
  return commands.length > 0
}

const isClosed = async (node: Node, userId: UserId): Promise<boolean> =>
  (await node.load(account, streamOf.account(userId))).state.status === 'closed'

/** Whether events of this type bring anybody to a group. */
export const bringsPeople = (type: string): type is keyof Brought => Object.hasOwn(brought, type)

/** Takes out again whom an event brought to a group after they closed the account. @returns whether there was anybody */
export const takeOutClosed = async (node: Node, { type, data }: RecordedEvent): Promise<boolean> => {
  const userIds = bringsPeople(type) ? (brought[type]?.(data as never) ?? []) : []
  let did = false
  for (const userId of userIds) {
    if (!(await isClosed(node, userId))) continue
    did = (await leaveForGood(node, (data as GroupEvent['data']).groupId, userId)) || did
  }
  return did
}
