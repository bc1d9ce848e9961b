// Owns the set-up of a test on the stand-in for EventStoreDB: a server, stores on it with short times, and the end of them all.

import { setTimeout as delay } from 'node:timers/promises'
import { openEventStoreDb } from '../../eventstore/eventstoredb.ts'
import { type EventStoreDbTiming, eventStoreDbTiming } from '../../eventstore/eventstoredb-store.ts'
import type { EventStore, NewEvent } from '../../eventstore/port.ts'
import { Unavailable, UnknownOutcome } from '../../eventstore/port.ts'
import { StandIn } from './stand-in-process.ts'

/** What a client waits before it asks again; without it the server would hardly get to start on a busy machine. */
const retryPauseMs = 10

/** Short enough for a test, long enough for a busy machine. */
export const shortTiming: EventStoreDbTiming = {
  ...eventStoreDbTiming,
  appendMs: 1_000,
  readMs: 1_000,
  headMs: 500,
  silentMs: 800,
  checkMs: 100,
  stalledMs: 300,
  beyondHeadMs: 500,
  closeMs: 300,
  startRetryMs: 50,
}

export interface StandInContext {
  readonly server: StandIn
  readonly open: (timing?: Partial<EventStoreDbTiming>) => Promise<EventStore>
}

/** Runs a test body with a server of its own; whatever it opened is closed after it. */
export const withStandIn = (body: (context: StandInContext) => Promise<void>) => async () => {
  const server = await StandIn.start()
  const opened: EventStore[] = []
  const open = async (timing: Partial<EventStoreDbTiming> = {}) => {
    const store = await openEventStoreDb({ url: server.url, timing: { ...shortTiming, ...timing } })
    opened.push(store)
    return store
  }
  try {
    await body({ server, open })
  } finally {
    server.thaw()
    await Promise.all(opened.map(store => store.close()))
    await server.dispose()
  }
}

/** Does what a client does while the server is away: asks again until it is there. */
export const onceAvailable = async <Value>(work: () => Promise<Value>): Promise<Value> => {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error
      await delay(retryPauseMs)
    }
  }
}

/** Asks with the same ids until the outcome is known, as handle.ts does. */
export const appendUntilKnown = async (
  store: EventStore,
  name: string,
  events: readonly NewEvent[],
  expected: number | 'none',
) => {
  for (;;) {
    try {
      return await onceAvailable(() => store.append(name, events, expected))
    } catch (error) {
      if (!(error instanceof UnknownOutcome)) throw error
    }
  }
}
