// Owns the rule that a follower's cursor only goes forwards, so that a rebuilt read database never repeats a side effect.
// Reads no facts. Two instances of one follower can at worst do the events between their cursors twice: at least once.

import type { Decider } from '../decider.ts'
import type { Instant, Position } from '../ids.ts'
import type { FollowerEvent } from './events.ts'

export type { FollowerEvent } from './events.ts'

export interface FollowerState {
  /** The last event the follower is done with; null before the first. */
  readonly position: Position | null
}

export interface AdvanceFollower {
  readonly type: 'AdvanceFollower'
  readonly name: string
  readonly position: Position
  readonly at: Instant
}

export type FollowerCommand = AdvanceFollower

const evolve = (state: FollowerState, event: FollowerEvent): FollowerState =>
  event.type === 'FollowerAdvanced' ? { position: event.data.position } : state

const advance = (command: AdvanceFollower, state: FollowerState): readonly FollowerEvent[] => {
  if (state.position !== null && command.position <= state.position) return []
  return [{ type: 'FollowerAdvanced', data: { name: command.name, position: command.position, at: command.at } }]
}

/** The rules of `follower-<name>`. Nothing is ever refused. */
export const follower: Decider<FollowerState, FollowerCommand, FollowerEvent, never> = {
  category: 'follower',
  load: { by: 'last' },
  initial: { position: null },
  evolve,
  // One command: a second one does not compile until this is a switch like its siblings'.
  decide: advance,
}
