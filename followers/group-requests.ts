// Owns what becomes of a group's requests by themselves: invitations and applications that nobody answered in time expire (R20,
// R22). One command a group, like any other: whoever was faster has decided, and nothing happens twice.

import { isRejection } from '../domain/decider.ts'
import { group } from '../domain/group/group.ts'
import { type GroupId, type Position, streamOf } from '../domain/ids.ts'
import type { Node } from '../eventstore/node.ts'
import type { Database } from '../projections/database.ts'
import { groupsWithDueRequests } from '../projections/group-request.ts'
import { type Job, type Sweep, sweep } from './schedule.ts'

const expire = async (node: Node, groupId: GroupId): Promise<Position> => {
  const command = { type: 'ExpireRequests', at: node.clock.now() } as const
  const outcome = await node.handle(group, streamOf.group(groupId), command, { facts: undefined })
  if (isRejection(outcome)) throw new Error(`the end of a group's requests was refused: ${outcome.rejected}`)
  return outcome.position
}

/** The job that says of invitations and applications that their time is over. */
export const groupRequestExpiry = (node: Node, database: Database, passed: Sweep<GroupId>['passed']): Job => ({
  name: 'requests of groups expire',
  when: '* * * * *',
  run: () =>
    sweep({
      due: limit => groupsWithDueRequests(database, node.clock.now(), limit),
      end: groupId => expire(node, groupId),
      passed,
    }),
})
