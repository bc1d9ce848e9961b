// Owns how a follower walks the log: from its own cursor, in order, at least once. The cursor is an event in the log itself, so
// that a rebuilt read database never repeats a side effect. What a follower does must bear being done again.

import { isRejection } from '../domain/decider.ts'
import { follower } from '../domain/follower/follower.ts'
import { type Position, streamOf } from '../domain/ids.ts'
import type { Clock } from '../eventstore/clock.ts'
import type { Node } from '../eventstore/node.ts'
import { positionBeforeAll, type RecordedEvent } from '../eventstore/port.ts'

/** A follower stores its cursor after it did something, and at least after so many events passed it by. */
const quietEventsMax = 10_000
/** Waits after a failure, doubled each time. */
const retryDelayMsMin = 100
const retryDelayMsMax = 10_000
/** Whoever fails so long at the same events needs somebody's help. */
export const stuckMsMin = 30_000
/** What fails again and again at the same place is told of once in so long. */
export const tellAgainMs = 60_000
/** Events of its backlog counted in one page. */
const countedEventsMax = 1_000

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
  /** Milliseconds since 1970 of the oldest event that came and is not done with; 0 when there is none. */
  undoneAtMs: number
}

/** What a follower cannot get past. */
export interface StuckFollower {
  /** Of the last event that it is done with. */
  readonly position: Position
  readonly error: unknown
}

export interface RunningFollower {
  readonly name: string
  readonly counters: FollowerCounters
  /** Events in the log that it is not done with; while its backlog is being counted at its start, those found so far. */
  readonly lagEvents: number
  /** Undefined while it goes on. */
  readonly stuck: StuckFollower | undefined
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

/** Watches whether it gets past the events, and bounds how often it tells that it does not. */
const startWatch = (clock: Clock) => {
  let failure: { readonly position: Position; readonly sinceMs: number; lastMs: number; error: unknown } | undefined
  let told: { readonly position: Position; readonly atMs: number } | undefined
  return {
    /** Does what follows from the events after a position. */
    reaction: async (position: Position, react: () => Promise<boolean>): Promise<boolean> => {
      try {
        const did = await react()
        failure = undefined
        return did
      } catch (error) {
        const lastMs = clock.unixMs()
        failure = { position, sinceMs: failure?.position === position ? failure.sinceMs : lastMs, lastMs, error }
        throw error
      }
    },
    /** Whether a failure at a position is to be told of. */
    isNews: (position: Position): boolean => {
      const atMs = clock.unixMs()
      if (told?.position === position && atMs - told.atMs < tellAgainMs) return false
      told = { position, atMs }
      return true
    },
    stuck: (): StuckFollower | undefined =>
      failure !== undefined && failure.lastMs - failure.sinceMs >= stuckMsMin ? failure : undefined,
  }
}

/**
 * Counts what is in the log and not done with. What comes is counted by the node; what was there before is counted page by page
 * beside the work, because no position says how many events lie before it.
 */
const startLag = (node: Node, signal: AbortSignal) => {
  const live = node.position
  const seenBefore = node.eventsSeen
  const done = { live: 0, backlog: 0 }
  let backlog: number | undefined

  const count = async (from: Position) => {
    let at = from
    while (at < live && !signal.aborted) {
      const page = await node.store.readAll({
        from: at === positionBeforeAll ? 'start' : at,
        direction: 'forwards',
        limit: countedEventsMax,
      })
      const last = page.at(-1)
      backlog = (backlog ?? 0) + page.filter(({ position }) => position > at && position <= live).length
      if (last === undefined || last.position === at) return
      at = last.position
    }
  }

  return {
    countFrom: (position: Position) => {
      if (backlog !== undefined) return
      backlog = 0
      // The log is away: the follower tells of that itself, and the number stays too low until the next start.
      void count(position).catch(() => undefined)
    },
    done: (events: readonly RecordedEvent[]) => {
      const fresh = events.filter(({ position }) => position > live).length
      done.live += fresh
      done.backlog += events.length - fresh
    },
    events: () => Math.max(0, (backlog ?? 0) - done.backlog) + Math.max(0, node.eventsSeen - seenBefore - done.live),
  }
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
  const lag = startLag(node, signal)
  const watch = startWatch(node.clock)
  const counters: FollowerCounters = {
    position: positionBeforeAll,
    failures: 0,
    handled: 0,
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
    lag.countFrom(counters.position)
    for await (const events of node.store.subscribe({ from, signal })) {
      counters.undoneAtMs = timeOf(events)
      const did = await watch.reaction(counters.position, () => react(events))
      counters.handled += events.length
      lag.done(events)
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
        if (watch.isNews(counters.position)) onError(error, `follower ${name} at ${counters.position}`)
        waitMs = counters.position === before ? Math.min(waitMs * 2, retryDelayMsMax) : retryDelayMsMin
        await delay(waitMs * (0.5 + Math.random() / 2), signal)
      }
    }
  }
  const running = run()

  return {
    name,
    counters,
    get lagEvents() {
      return lag.events()
    },
    get stuck() {
      return watch.stuck()
    },
    stop: async () => {
      stopping.abort()
      await running
    },
  }
}
