// Owns the rules of one user's block list (R10, R11): who is on it. What a block prevents stands with the thing prevented.
// Never tells the blocked one. Reads no facts; that the blocked account exists is the caller's question.

import { type Decider, type Decision, type Load, noRuleFor, reject } from '../decider.ts'
import type { Instant, UserId } from '../ids.ts'
import { limits } from '../limits.ts'
import type { BlocklistEvent } from './events.ts'

export type { BlocklistEvent } from './events.ts'

export interface BlocklistState {
  readonly blocked: ReadonlySet<UserId>
}

export interface BlockUser {
  readonly type: 'BlockUser'
  /** Whose list it is. */
  readonly userId: UserId
  readonly blockedId: UserId
  readonly at: Instant
}

export interface UnblockUser {
  readonly type: 'UnblockUser'
  readonly userId: UserId
  readonly blockedId: UserId
  readonly at: Instant
}

export type BlocklistCommand = BlockUser | UnblockUser
export type BlocklistRejection = 'block.self' | 'block.limit'

const evolve = (state: BlocklistState, event: BlocklistEvent): BlocklistState => {
  switch (event.type) {
    case 'UserBlocked':
      return { blocked: new Set(state.blocked).add(event.data.blockedId) }
    case 'UserUnblocked': {
      const blocked = new Set(state.blocked)
      blocked.delete(event.data.blockedId)
      return { blocked }
    }
    default:
      return state
  }
}

const block = (command: BlockUser, state: BlocklistState): Decision<BlocklistEvent, BlocklistRejection> => {
  if (command.blockedId === command.userId) return reject('block.self', 'Nobody can block themselves.')
  if (state.blocked.has(command.blockedId)) return []
  if (state.blocked.size >= limits.blockedUsersMax) {
    return reject('block.limit', `A block list holds ${limits.blockedUsersMax} users at most. Unblock somebody first.`)
  }
  const data = { userId: command.userId, blockedId: command.blockedId, at: command.at }
  return [{ type: 'UserBlocked', data }]
}

const unblock = (command: UnblockUser, state: BlocklistState): Decision<BlocklistEvent, BlocklistRejection> => {
  if (!state.blocked.has(command.blockedId)) return []
  const data = { userId: command.userId, blockedId: command.blockedId, at: command.at }
  return [{ type: 'UserUnblocked', data }]
}

/** Each event copies the set, and a user may block and unblock without end: snapshots bound what a cold load costs. */
const load: Load<BlocklistState> = {
  by: 'snapshot',
  version: 1,
  everyEvents: 200,
  encode: state => ({ blocked: [...state.blocked] }),
  decode: json => ({ blocked: new Set((json as { blocked: readonly UserId[] }).blocked) }),
}

/** The rules of `blocklist-<userId>` (R10, R11). */
export const blocklist: Decider<BlocklistState, BlocklistCommand, BlocklistEvent, BlocklistRejection> = {
  category: 'blocklist',
  load,
  initial: { blocked: new Set() },
  weight: state => 1 + state.blocked.size / 64,
  evolve,
  decide: (command, state) => {
    switch (command.type) {
      case 'BlockUser':
        return block(command, state)
      case 'UnblockUser':
        return unblock(command, state)
      default:
        return noRuleFor(command)
    }
  },
}
