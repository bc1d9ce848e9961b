// Owns what has come from the log and is not folded yet: fetches ahead while a batch is written, within a bound, and cuts
// batches. Few events wait a moment for more, because a transaction costs the same for one as for hundreds.

import type { Instant, Position } from '../domain/ids.ts'
import { type EventStore, positionBeforeAll, type RecordedEvent } from '../eventstore/port.ts'

/** A batch with fewer events waits this long for more; one with as many as the most is cut. */
export const batchWaitMs = 10
export const batchEventsEnough = 200
export const batchEventsMax = 1_000
/** Events fetched ahead. More than sends may lag (eventstore/send.ts), so that the lag can be told. */
export const fetchedEventsMax = 12_000

export interface Feed {
  /** The next events in log order; empty when the feed was stopped. @throws what the subscription threw */
  take(eventsMax: number): Promise<readonly RecordedEvent[]>
  /** Cuts the batch that is waiting for more now. */
  hurry(): void
  /** Events fetched and not taken. */
  readonly length: number
  /** Time of the oldest of them. */
  readonly oldestAt: Instant | undefined
  stop(): void
}

export const startFeed = (store: EventStore, from: Position): Feed => {
  const abort = new AbortController()
  let events: RecordedEvent[] = []
  let isHurried = false
  let failure: { readonly error: unknown } | undefined
  let arrived = () => {}
  let taken = () => {}

  const fetch = async () => {
    const source = store.subscribe({ from: from === positionBeforeAll ? 'start' : from, signal: abort.signal })
    for await (const batch of source) {
      for (const event of batch) events.push(event)
      arrived()
      while (events.length >= fetchedEventsMax && !abort.signal.aborted) {
        await new Promise<void>(resolve => {
          taken = resolve
        })
      }
    }
  }
  void fetch().then(
    () => {
      if (!abort.signal.aborted) failure = { error: new Error('the subscription ended by itself') }
      arrived()
    },
    error => {
      failure = { error }
      arrived()
    },
  )

  /** Resolves when something came, or after a time. */
  const arrival = (timeoutMs?: number) =>
    new Promise<void>(resolve => {
      const timer = timeoutMs === undefined ? undefined : setTimeout(resolve, timeoutMs)
      arrived = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  const enough = () => events.length >= batchEventsEnough || isHurried || failure !== undefined || abort.signal.aborted

  const take = async (eventsMax: number): Promise<readonly RecordedEvent[]> => {
    while (events.length === 0) {
      if (abort.signal.aborted) return []
      if (failure !== undefined) throw failure.error
      await arrival()
    }
    const untilMs = performance.now() + batchWaitMs
    while (!enough()) {
      const leftMs = untilMs - performance.now()
      if (leftMs <= 0) break
      await arrival(leftMs)
    }
    isHurried = false
    const batch = events.slice(0, eventsMax)
    events = events.slice(eventsMax)
    taken()
    return batch
  }

  return {
    take,
    hurry: () => {
      isHurried = true
      arrived()
    },
    get length() {
      return events.length
    },
    get oldestAt() {
      return (events[0]?.data as { at?: Instant } | undefined)?.at
    },
    stop: () => {
      abort.abort()
      taken()
      arrived()
    },
  }
}
