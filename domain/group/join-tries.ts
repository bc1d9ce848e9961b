// Owns how often one user may answer a group's questions (R43): so many tries an hour, whatever server is asked.
// Reads no facts. A try is counted before the answers are looked at, so parallel guesses cannot pass the bound.

import { type Decider, reject } from '../decider.ts'
import type { GroupId, Instant, UserId } from '../ids.ts'
import { secondsBetween } from '../instants.ts'
import { limits } from '../limits.ts'

/** One event carries all tries that still count. */
export type JoinTried = {
  readonly type: 'JoinTried'
  readonly data: {
    readonly groupId: GroupId
    readonly userId: UserId
    readonly triedAt: readonly Instant[]
    readonly at: Instant
  }
}

export interface CountJoinTry {
  readonly type: 'CountJoinTry'
  readonly groupId: GroupId
  readonly userId: UserId
  readonly at: Instant
}

export interface JoinTries {
  /** Of the last hour, the oldest first. */
  readonly triedAt: readonly Instant[]
}

const hourSeconds = 3_600

/** How many tries are left after these. */
export const triesLeftOf = ({ triedAt }: JoinTries): number => limits.joinTriesPerHourMax - triedAt.length

/** The rules of `joinTries-<groupId>~<userId>` (R43). */
export const joinTries: Decider<JoinTries, CountJoinTry, JoinTried, 'group.join-tries'> = {
  category: 'joinTries',
  load: { by: 'last' },
  initial: { triedAt: [] },
  evolve: (state, event) => (event.type === 'JoinTried' ? { triedAt: event.data.triedAt } : state),
  decide: ({ groupId, userId, at }, state) => {
    const counting = state.triedAt.filter(tried => secondsBetween(tried, at) < hourSeconds)
    const [oldest] = counting
    if (oldest !== undefined && counting.length >= limits.joinTriesPerHourMax) {
      const retryAfterSeconds = Math.min(hourSeconds, Math.ceil(hourSeconds - secondsBetween(oldest, at)))
      return reject('group.join-tries', 'Too many tries. Ask again later.', { retryAfterSeconds })
    }
    return [{ type: 'JoinTried', data: { groupId, userId, triedAt: [...counting, at], at } }]
  },
}
