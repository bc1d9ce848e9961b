// Owns what becomes of friendships by themselves: requests that nobody answered in time expire (R7), and a closed account has no
// friends and no requests. Both are commands like any other: whoever was faster has decided, and nothing happens twice.

import { isRejection } from '../domain/decider.ts'
import { type FriendshipCommand, friendship } from '../domain/friendship/friendship.ts'
import { type Position, streamOf, type UserId } from '../domain/ids.ts'
import type { Node } from '../eventstore/node.ts'
import type { Database } from '../projections/database.ts'
import { type OverdueRequest, overdueRequests, relatedTo } from '../projections/friend-lists.ts'
import { type Job, type Sweep, sweep } from './schedule.ts'

/** Commands at once for one closed account. */
const endingsAtOnceMax = 50

const run = async (node: Node, pair: readonly [UserId, UserId], command: FriendshipCommand): Promise<Position> => {
  const outcome = await node.handle(friendship, streamOf.friendship(...pair), command, { facts: undefined })
  if (isRejection(outcome)) throw new Error(`the end of a friendship was refused: ${outcome.rejected}`)
  return outcome.position
}

/** The job that says of requests that their time is over. */
export const friendRequestExpiry = (node: Node, database: Database, passed: Sweep<OverdueRequest>['passed']): Job => ({
  name: 'friend requests expire',
  when: '* * * * *',
  run: () =>
    sweep({
      due: limit => overdueRequests(database, node.clock.now(), limit),
      end: ({ requestId, from, to }) =>
        run(node, [from, to], { type: 'ExpireFriendRequest', requestId, at: node.clock.now() }),
      passed,
    }),
})

/**
 * Ends all friendships and requests of an account that was closed. Only once the read models have passed its end: whoever is
 * closed makes no friends any more. May be done again.
 */
export const endFriendshipsOf = async (node: Node, database: Database, userId: UserId): Promise<void> => {
  const others = await relatedTo(database, userId)
  for (let from = 0; from < others.length; from += endingsAtOnceMax) {
    const end = (other: UserId) =>
      run(node, [userId, other], { type: 'EndFriendship', by: userId, userId: other, at: node.clock.now() })
    await Promise.all(others.slice(from, from + endingsAtOnceMax).map(end))
  }
}
