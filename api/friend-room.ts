// Owns that the caps on friends and on requests that wait hold although many are made at once (R6): of each user this server
// decides on one at a time, and counts only once the read models have seen the last one it decided. So alone it never overshoots;
// of several servers that decide for one user at the same moment each can overshoot by one: whoever does sees what the others
// decided before its own next decision. An append whose outcome nobody knows counts like one of another server. A request that is
// answered or whose time is over only makes room: that is waited for by nobody.

import type { Rejection } from '../domain/decider.ts'
import type { Friendship, FriendshipEvent } from '../domain/friendship/friendship.ts'
import type { Position, UserId } from '../domain/ids.ts'
import type { Handled } from '../eventstore/handle.ts'
import type { Database } from '../projections/database.ts'
import { friendCounts } from '../projections/friend-lists.ts'
import { isRefusal, type Refusal, refuse } from './errors.ts'

/** Decisions that may wait for one user, and users that may be decided on at once. */
const waitingPerUserMax = 100
const usersMax = 10_000
/** How long a decision waits until the read models have seen the one before. */
const seenMsMax = 2_000

interface Turn {
  /** Resolves once the last one in turn is done. */
  done: Promise<unknown>
  waiting: number
  /** Of the last decision of this server that changed what is counted of the user, until the read models have passed it. */
  position: Position | undefined
}

export interface FriendCounts {
  readonly ownFriends: number
  readonly peerFriends: number
  readonly ownRequests: number
}

type Outcome = Handled<Friendship, FriendshipEvent> | Rejection

export interface FriendRoom {
  /** Decides between two on a request or friendship, in turn with all other decisions on either of them here. */
  decide(
    by: UserId,
    userId: UserId,
    decide: (counts: FriendCounts) => Promise<Outcome>,
  ): Promise<Handled<Friendship, FriendshipEvent> | Refusal>
}

/** Of whom an event changes what is counted. */
const countedOf = ({ type, data }: FriendshipEvent): readonly UserId[] => {
  switch (type) {
    case 'FriendsMade':
      return [data.from, data.to]
    case 'FriendDeleted':
      return [data.by, data.userId]
    case 'FriendRequested':
    case 'FriendRequestWithdrawn':
      return [data.from]
    default:
      return []
  }
}

const crowded = refuse('overloaded', 'Too much is waiting for one of these users. Try again in a moment.')
const behind = refuse('projection.behind', 'The read models are behind. Try again in a moment.')

/** @param passed whether the read models passed the position within the time */
export const createFriendRoom = (
  database: Database,
  passed: (position: Position, timeoutMs: number) => Promise<boolean>,
): FriendRoom => {
  const turns = new Map<UserId, Turn>()

  const turnOf = (userId: UserId): Turn => {
    const known = turns.get(userId)
    if (known !== undefined) return known
    const turn = { done: Promise.resolve(), waiting: 0, position: undefined }
    turns.set(userId, turn)
    return turn
  }

  const forgetIdle = (userIds: ReadonlySet<UserId>) => {
    for (const userId of userIds) {
      const turn = turns.get(userId)
      if (turn?.waiting === 0 && turn.position === undefined) turns.delete(userId)
    }
  }

  const isSeen = async (turn: Turn): Promise<boolean> => {
    const { position } = turn
    if (position === undefined) return true
    if (!(await passed(position, seenMsMax))) return false
    if (turn.position === position) turn.position = undefined
    return true
  }

  const inTurn = async (
    [by, userId]: readonly [UserId, UserId],
    own: readonly Turn[],
    decide: (counts: FriendCounts) => Promise<Outcome>,
  ) => {
    for (const turn of own) if (!(await isSeen(turn))) return behind
    const counts = await friendCounts(database, [by, userId])
    const [ownCounts, peerCounts] = [counts.get(by), counts.get(userId)]
    const outcome = await decide({
      ownFriends: ownCounts?.friends ?? 0,
      peerFriends: peerCounts?.friends ?? 0,
      ownRequests: ownCounts?.requests ?? 0,
    })
    if (isRefusal(outcome)) return outcome
    for (const changed of outcome.events.flatMap(countedOf)) turnOf(changed).position = outcome.position
    return outcome
  }

  return {
    decide: async (by, userId, decide) => {
      const userIds = new Set([by, userId])
      if (turns.size >= usersMax) return crowded
      const own = [...userIds].map(turnOf)
      if (own.some(({ waiting }) => waiting >= waitingPerUserMax)) return crowded
      // Both turns are taken in one step, so that no two decisions wait for each other.
      const before = Promise.all(own.map(({ done }) => done))
      const work = before.then(() => inTurn([by, userId], own, decide))
      const done = work.catch(() => {})
      for (const turn of own) {
        turn.waiting++
        turn.done = done
      }
      try {
        return await work
      } finally {
        for (const turn of own) turn.waiting--
        // What the read models have seen need not be remembered; what they have not is asked for by whoever comes next.
        Promise.all(own.map(isSeen)).then(
          () => forgetIdle(userIds),
          () => {},
        )
      }
    },
  }
}
