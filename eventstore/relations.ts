// Owns how what two people are to each other is asked, the same for messages, hints, requests and invitations: whether one
// blocks the other (R10), and whether they are friends (R8). Answers from the states that this process holds.

import { blocklist } from '../domain/blocklist/blocklist.ts'
import { friendship } from '../domain/friendship/friendship.ts'
import { streamOf, type UserId } from '../domain/ids.ts'
import { both, isPromise } from './at-hand.ts'
import type { States } from './states.ts'

type Load = States['load']

/** Whether `owner` blocks `other`: nothing that `other` does reaches `owner` then, and `other` is never told. */
export const blocks = (load: Load, owner: UserId, other: UserId): boolean | Promise<boolean> => {
  const held = load(blocklist, streamOf.blocklist(owner))
  return isPromise(held) ? held.then(({ state }) => state.blocked.has(other)) : held.state.blocked.has(other)
}

export const areFriends = (load: Load, one: UserId, other: UserId): boolean | Promise<boolean> => {
  const held = load(friendship, streamOf.friendship(one, other))
  return isPromise(held) ? held.then(({ state }) => state.since !== null) : held.state.since !== null
}

/** What stands between two people who write to each other. */
export interface Standing {
  readonly senderIsBlocked: boolean
  /** Strangers may not write here, and they are no friends. */
  readonly senderIsStranger: boolean
}

/** How `from` stands to `to`; where strangers may write nobody looks whether they are friends. */
export const standingOf = (
  load: Load,
  strangersMayChat: boolean,
  from: UserId,
  to: UserId,
): Standing | Promise<Standing> =>
  both(
    blocks(load, to, from),
    strangersMayChat || areFriends(load, from, to),
    (senderIsBlocked, mayChat): Standing => ({ senderIsBlocked, senderIsStranger: !mayChat }),
  )
