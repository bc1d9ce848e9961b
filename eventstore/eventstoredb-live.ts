// Owns the newest part of the log, fetched once for all subscriptions of a store: whoever has caught up follows it from here,
// whoever is further back by a feed of its own (eventstoredb-subscribe.ts). Must never hold more than a bounded number of
// events, never wait for a slow consumer, and never skip an event of one.

import { setTimeout as delay } from 'node:timers/promises'
import type { Position } from '../domain/ids.ts'
import { followAlone, type SubscriptionSource } from './eventstoredb-subscribe.ts'
import { positionBeforeAll, type RecordedEvent, subscriptionBatchEventsMax } from './port.ts'

/** Most events kept for consumers that are at work, and most UTF-16 units in their texts. */
export const liveEventsMax = 8_192
export const liveUnitsMax = 16 * 1_048_576
/** Between two tries to find the place to begin at. */
const beginAgainMs = 100

type Batch = readonly RecordedEvent[]
type Place = Position | 'start'

/** The shared part of the log, there while anybody subscribes. */
export class LiveLog {
  private readonly source: SubscriptionSource
  private readonly waiting = new Set<() => void>()
  private readonly consumers = new Set<() => void>()
  private following = new AbortController()
  private events: RecordedEvent[] = []
  private units = 0
  /** How many events were dropped before the first one kept, and the place where that one follows. */
  private dropped = 0
  private oldest: Position | undefined

  constructor(source: SubscriptionSource) {
    this.source = source
  }

  /** Every event after `from`, until the signal aborts. @throws CorruptLog */
  async *follow(from: Place, signal: AbortSignal): AsyncGenerator<Batch> {
    if (signal.aborted) return
    const leave = this.enter()
    // An abort counts at once: a consumer in the middle of a batch may never ask again.
    signal.addEventListener('abort', leave)
    let handled = from
    try {
      while (!signal.aborted) {
        for await (const batch of this.keptAfter(handled, signal)) {
          yield batch
          handled = (batch.at(-1) as RecordedEvent).position
        }
        if (signal.aborted) return
        for await (const batch of followAlone(this.source, handled, signal)) {
          yield batch
          handled = (batch.at(-1) as RecordedEvent).position
          if (signal.aborted) return
          if (this.oldest !== undefined && handled >= this.oldest) break
        }
        await this.reached(handled, signal)
      }
    } finally {
      signal.removeEventListener('abort', leave)
      leave()
    }
  }

  /** What follows a place, as long as it is kept here. */
  private async *keptAfter(place: Place, signal: AbortSignal): AsyncGenerator<Batch> {
    let number = this.numberAfter(place)
    const { following } = this
    while (number !== undefined && !signal.aborted && !following.signal.aborted) {
      const at = number - this.dropped
      if (at < 0) return
      const batch = this.events.slice(at, at + subscriptionBatchEventsMax)
      number += batch.length
      if (batch.length > 0) yield batch
      else await this.change()
    }
  }

  /**
   * Resolves when the shared part has come to a place of the log, or is no more. A call of one's own may bring each event a
   * moment before the shared one does: who went on by it until the two are level would never share.
   */
  private async reached(place: Place, signal: AbortSignal): Promise<void> {
    const { following } = this
    const isBefore = () => this.newest !== undefined && this.newest < place
    while (isBefore() && !signal.aborted && !following.signal.aborted) await this.change()
  }

  /** Place of the newest event kept, or where the first one will follow. */
  private get newest(): Position | undefined {
    return this.events.at(-1)?.position ?? this.oldest
  }

  private change(): Promise<void> {
    return new Promise(resolve => this.waiting.add(resolve))
  }

  /** Number of the first event after a place; undefined when events between may be missing here. */
  private numberAfter(place: Place): number | undefined {
    const { events, oldest, newest, dropped } = this
    const handled = place === 'start' ? positionBeforeAll : place
    if (oldest === undefined || newest === undefined || handled < oldest || handled > newest) return undefined
    let at = events.length
    while (at > 0 && (events[at - 1] as RecordedEvent).position > handled) at--
    return dropped + at
  }

  /** Returns what is to be called when the consumer is gone. */
  private enter(): () => void {
    if (this.consumers.size === 0) {
      this.following = new AbortController()
      void this.run(this.following.signal)
    }
    const leave = () => {
      if (this.consumers.delete(leave) && this.consumers.size === 0) this.end()
      else this.wake()
    }
    this.consumers.add(leave)
    return leave
  }

  private async run(signal: AbortSignal): Promise<void> {
    try {
      const begin = await this.begin(signal)
      if (begin === undefined) return
      this.oldest = begin
      for await (const batch of followAlone(this.source, begin, signal)) {
        if (signal.aborted) return
        this.keep(batch)
      }
    } catch {
      // Each consumer hears of it from its own feed: whether it concerns them depends on where they are.
      if (!signal.aborted) this.end()
    }
  }

  /** The head, once it can be asked for. */
  private async begin(signal: AbortSignal): Promise<Position | undefined> {
    while (!signal.aborted) {
      const head = await this.source.reader.head().catch(() => undefined)
      if (signal.aborted || head !== undefined) return signal.aborted ? undefined : head
      await delay(beginAgainMs, undefined, { signal }).catch(() => undefined)
    }
    return undefined
  }

  private keep(batch: Batch): void {
    for (const event of batch) {
      this.events.push(event)
      this.units += event.text.length
    }
    while (this.events.length > liveEventsMax || this.units > liveUnitsMax) this.dropHalf()
    this.wake()
  }

  private dropHalf(): void {
    const old = this.events.splice(0, Math.ceil(this.events.length / 2))
    for (const event of old) this.units -= event.text.length
    this.dropped += old.length
    this.oldest = (old.at(-1) as RecordedEvent).position
  }

  private end(): void {
    this.following.abort()
    this.events = []
    this.units = 0
    this.oldest = undefined
    this.wake()
  }

  private wake(): void {
    for (const go of this.waiting) go()
    this.waiting.clear()
  }
}
