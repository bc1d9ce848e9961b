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

class SubscribedFeed implements Feed {
  readonly #abort = new AbortController()
  #events: RecordedEvent[] = []
  #isHurried = false
  #failure: { readonly error: unknown } | undefined
  #arrived = () => {}
  #taken = () => {}

  constructor(store: EventStore, from: Position) {
    void this.#fetch(store, from).then(
      () => this.#end(new Error('the subscription ended by itself')),
      error => this.#end(error),
    )
  }

  get length(): number {
    return this.#events.length
  }

  get oldestAt(): Instant | undefined {
    return (this.#events[0]?.data as { at?: Instant } | undefined)?.at
  }

  async take(eventsMax: number): Promise<readonly RecordedEvent[]> {
    while (this.#events.length === 0) {
      if (this.#abort.signal.aborted) return []
      if (this.#failure !== undefined) throw this.#failure.error
      await this.#arrival()
    }
    const untilMs = performance.now() + batchWaitMs
    while (!this.#isEnough()) {
      const leftMs = untilMs - performance.now()
      if (leftMs <= 0) break
      await this.#arrival(leftMs)
    }
    this.#isHurried = false
    const batch = this.#events.slice(0, eventsMax)
    this.#events = this.#events.slice(eventsMax)
    this.#taken()
    return batch
  }

  hurry(): void {
    this.#isHurried = true
    this.#arrived()
  }

  stop(): void {
    this.#abort.abort()
    this.#taken()
    this.#arrived()
  }

  async #fetch(store: EventStore, from: Position): Promise<void> {
    const { signal } = this.#abort
    for await (const batch of store.subscribe({ from: from === positionBeforeAll ? 'start' : from, signal })) {
      for (const event of batch) this.#events.push(event)
      this.#arrived()
      while (this.#events.length >= fetchedEventsMax && !signal.aborted) {
        await new Promise<void>(resolve => {
          this.#taken = resolve
        })
      }
    }
  }

  #end(error: unknown): void {
    if (!this.#abort.signal.aborted) this.#failure = { error }
    this.#arrived()
  }

  #isEnough(): boolean {
    const { length } = this.#events
    return length >= batchEventsEnough || this.#isHurried || this.#failure !== undefined || this.#abort.signal.aborted
  }

  /** Resolves when something came, or after a time. */
  #arrival(timeoutMs?: number): Promise<void> {
    return new Promise(resolve => {
      const timer = timeoutMs === undefined ? undefined : setTimeout(resolve, timeoutMs)
      this.#arrived = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

/** Starts fetching what comes after a position. */
export const startFeed = (store: EventStore, from: Position): Feed => new SubscribedFeed(store, from)
