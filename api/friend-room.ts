// Owns that the friend cap holds although friends are made by many at once (R6): of each user this server decides on one new
// friend at a time, and counts only once the read models have seen the last one it decided. So alone it never overshoots; of
// several servers that decide for one user at the same moment each can overshoot by one: whoever does sees the others' friends
// before its own next decision. An append whose outcome nobody knows counts like one of another server.

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
  /** Of the last friend that this server made or ended for the user, until the read models have passed it. */
  position: Position | undefined
}

export interface FriendCounts {
  readonly ownFriends: number
  readonly peerFriends: number
}

type Outcome = Handled<Friendship, FriendshipEvent> | Rejection

export interface FriendRoom {
  /** Decides on two becoming friends or parting, in turn with all other decisions on either of them here. */
  decide(
    by: UserId,
    userId: UserId,
    decide: (counts: FriendCounts) => Promise<Outcome>,
  ): Promise<Handled<Friendship, FriendshipEvent> | Refusal>
}

/** Whether an event changes how many friends there are. */
const isCounted = ({ type }: FriendshipEvent): boolean => type === 'FriendsMade' || type === 'FriendDeleted'

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
    const outcome = await decide({ ownFriends: counts.get(by) ?? 0, peerFriends: counts.get(userId) ?? 0 })
    if (!isRefusal(outcome) && outcome.events.some(isCounted)) for (const turn of own) turn.position = outcome.position
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
