// Owns how a follower walks the log: from its own cursor, in order, at least once. The cursor is an event in the log itself, so
// that a rebuilt read database never repeats a side effect. What a follower does must bear being done again.

import { isRejection } from '../domain/decider.ts'
import { follower } from '../domain/follower/follower.ts'
import { type Position, streamOf } from '../domain/ids.ts'
import type { Node } from '../eventstore/node.ts'
import { positionBeforeAll, type RecordedEvent } from '../eventstore/port.ts'

/** A follower stores its cursor after it did something, and at least after so many events passed it by. */
const quietEventsMax = 10_000
/** Waits after a failure, doubled each time. */
const retryDelayMsMin = 100
const retryDelayMsMax = 10_000

export interface Follower {
  /** Names its cursor's stream; for ever. */
  readonly name: string
  /** Does what follows from the events that concern it, in order; false when none did. Rejects when it must be tried again. */
  readonly react: (events: readonly RecordedEvent[]) => Promise<boolean>
}

export interface FollowerCounters {
  /** Position of the last event done with. */
  position: Position
  failures: number
  /** Events done with since the start. */
  handled: number
  /** Of those, the ones that this node's own subscription saw as well. */
  handledLive: number
  /** Milliseconds since 1970 of the oldest event that came and is not done with; 0 when there is none. */
  undoneAtMs: number
}

export interface RunningFollower {
  readonly name: string
  readonly counters: FollowerCounters
  stop(): Promise<void>
}

const delay = (milliseconds: number, signal: AbortSignal) =>
  new Promise<void>(resolve => {
    const finish = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', finish)
      resolve()
    }
    const timer = setTimeout(finish, milliseconds)
    signal.addEventListener('abort', finish)
  })

/** Of the oldest that tells one; 0 when none does. */
const timeOf = (events: readonly RecordedEvent[]): number => {
  for (const { data } of events) {
    const unixMs = Date.parse((data as { at?: string }).at ?? '')
    if (unixMs > 0) return unixMs
  }
  return 0
}

/** Starts a follower from its stored cursor; a new one starts at the beginning of the log. */
export const startFollower = (
  node: Node,
  { name, react }: Follower,
  onError: (error: unknown, what: string) => void,
): RunningFollower => {
  const stopping = new AbortController()
  const { signal } = stopping
  const stream = streamOf.follower(name)
  const live = node.position
  const counters: FollowerCounters = {
    position: positionBeforeAll,
    failures: 0,
    handled: 0,
    handledLive: 0,
    undoneAtMs: 0,
  }
  let quietEvents = 0

  const advance = async () => {
    quietEvents = 0
    const command = { type: 'AdvanceFollower', name, position: counters.position, at: node.clock.now() } as const
    const outcome = await node.handle(follower, stream, command, { facts: undefined })
    if (isRejection(outcome)) throw new Error(`the cursor was refused: ${outcome.rejected}`)
  }

  const follow = async () => {
    const { state } = await node.load(follower, stream)
    if (state.position !== null && state.position > counters.position) counters.position = state.position
    const from = counters.position === positionBeforeAll ? 'start' : counters.position
    for await (const events of node.store.subscribe({ from, signal })) {
      counters.undoneAtMs = timeOf(events)
      const did = await react(events)
      counters.handled += events.length
      counters.handledLive += events.filter(event => event.position > live).length
      quietEvents += events.length
      const last = events.at(-1)
      if (last !== undefined) counters.position = last.position
      counters.undoneAtMs = 0
      // Its own cursor is an event too: storing it for nothing but itself would go on for ever.
      if (did || quietEvents >= quietEventsMax) await advance()
    }
    if (!signal.aborted) throw new Error('the subscription ended')
  }

  const run = async () => {
    let waitMs = retryDelayMsMin
    while (!signal.aborted) {
      const before = counters.position
      try {
        await follow()
      } catch (error) {
        if (signal.aborted) return
        counters.failures++
        onError(error, `follower ${name}`)
        waitMs = counters.position === before ? Math.min(waitMs * 2, retryDelayMsMax) : retryDelayMsMin
        await delay(waitMs * (0.5 + Math.random() / 2), signal)
      }
    }
  }
  const running = run()

  return {
    name,
    counters,
    stop: async () => {
      stopping.abort()
      await running
    },
  }
}
