// Owns which users can be put into a group, and why the others cannot (R10, R14, R19): asked before the group decides.

import { z } from 'zod'
import type { UserId } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { blocks } from '../eventstore/relations.ts'
import { usersInManyGroups } from '../projections/group.ts'
import { pendingRequestCounts } from '../projections/group-request.ts'
import type { OperationDependencies } from './dependencies.ts'
import type { ErrorCode } from './errors.ts'
import { reply } from './fields.ts'

export interface FailedTarget {
  readonly userId: UserId
  readonly code: ErrorCode
}

export interface Targets {
  /** Those who can be added. */
  readonly fit: readonly UserId[]
  readonly failed: readonly FailedTarget[]
  /** The caller is in as many groups as anybody may be; only looked at `withCaller`. */
  readonly callerIsFull: boolean
}

const failedCodes = ['user.not-found', 'group.joined-limit', 'message.blocked', 'invitation.peer-limit'] as const

export const failedReply = z
  .array(z.object({ userId: reply.id, code: z.enum(failedCodes) }))
  .meta({ description: 'Who was not added, and why.' })

interface TargetOptions {
  /** Whether the caller wants to be in it too. */
  readonly withCaller: boolean
  /** Those who are invited already, where users are asked first; undefined where they are not. */
  readonly invitations?: ReadonlyMap<UserId, unknown> | undefined
}

/** Sorts the users a caller wants in a group: one who blocks the caller is not put into it either (R10). At most groupTargetsPerCallMax of them. */
export const targetsOf = async (
  dependencies: OperationDependencies,
  by: UserId,
  userIds: readonly UserId[],
  { withCaller, invitations }: TargetOptions,
): Promise<Targets> => {
  const { node, database } = dependencies
  const counted = withCaller ? [by, ...userIds] : userIds
  const anew = invitations === undefined ? [] : userIds.filter(userId => !invitations.has(userId))
  const [live, blocked, full, pending] = await Promise.all([
    Promise.all(userIds.map(userId => node.isLive(userId))),
    Promise.all(userIds.map(userId => blocks(node.load, userId, by))),
    counted.length === 0 ? new Set<UserId>() : usersInManyGroups(database, counted, limits.groupsJoinedMax),
    anew.length === 0 ? new Map<UserId, number>() : pendingRequestCounts(database, anew, 'invitation'),
  ])
  const fit: UserId[] = []
  const failed: FailedTarget[] = []
  for (const [index, userId] of userIds.entries()) {
    if (live[index] !== true) failed.push({ userId, code: 'user.not-found' })
    else if (blocked[index] === true) failed.push({ userId, code: 'message.blocked' })
    else if (full.has(userId)) failed.push({ userId, code: 'group.joined-limit' })
    else if ((pending.get(userId) ?? 0) >= limits.invitationsPendingPerUserMax)
      failed.push({ userId, code: 'invitation.peer-limit' })
    else fit.push(userId)
  }
  return { fit, failed, callerIsFull: withCaller && full.has(by) }
}
