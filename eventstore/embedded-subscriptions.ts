// Owns the subscriptions to the embedded log: catching up by bounded reads, then live from each commit, without gap or double.
// Never hands out an event before it is durable, and never holds more than a bounded buffer for a slow consumer.

import type { Position } from '../domain/ids.ts'
import type { RecordedEvent } from './port.ts'
import { positionBeforeAll, subscriptionBatchEventsMax } from './port.ts'

/** Most events kept for one consumer that is behind; beyond them it goes back to reading from disk. */
export const subscriptionBufferEventsMax = 8_192

/** Reads events after a position; undefined while the log is being reopened. */
export type ReadAfter = (position: Position, limit: number) => readonly RecordedEvent[] | undefined

type Batch = readonly RecordedEvent[]
type Result = IteratorResult<Batch, undefined>

const done: Result = { done: true, value: undefined }

/** All subscriptions of one store. */
export class SubscriptionHub {
  private readonly live = new Set<Subscription>()
  private readonly parked = new Set<Subscription>()
  private readonly open = new Set<Subscription>()
  private readonly readAfter: ReadAfter
  private readonly bufferEventsMax: number

  constructor(readAfter: ReadAfter, bufferEventsMax: number) {
    this.readAfter = readAfter
    this.bufferEventsMax = bufferEventsMax
  }

  subscribe(from: Position | 'start', signal: AbortSignal): AsyncIterator<Batch, undefined> {
    const position = from === 'start' ? positionBeforeAll : from
    const subscription = new Subscription(position, signal, this.readAfter, this.bufferEventsMax, this)
    if (!signal.aborted) this.open.add(subscription)
    return subscription
  }

  /** Gives a committed batch to every live subscriber. */
  publish(events: Batch): void {
    for (const subscription of this.live) subscription.receive(events)
  }

  /** The log can be read again: whoever waited for it goes on. */
  resume(): void {
    const waiting = [...this.parked]
    this.parked.clear()
    for (const subscription of waiting) subscription.catchUp()
  }

  /** Ends every subscription, as an abort would. */
  end(): void {
    for (const subscription of [...this.open]) subscription.end()
  }

  goLive(subscription: Subscription): void {
    this.live.add(subscription)
  }

  park(subscription: Subscription): void {
    this.parked.add(subscription)
  }

  /** No more live events for it; it catches up again when it asks. */
  leave(subscription: Subscription): void {
    this.live.delete(subscription)
  }

  forget(subscription: Subscription): void {
    this.live.delete(subscription)
    this.parked.delete(subscription)
    this.open.delete(subscription)
  }
}

/** One consumer's place in the log. Written by hand: an async generator would cost a live consumer more turns. */
class Subscription implements AsyncIterator<Batch, undefined> {
  private delivered: Position
  private received: Position
  private buffer: Batch[] = []
  private buffered = 0
  private isLive = false
  private ended = false
  private waiting: ((result: Result | Promise<never>) => void) | undefined
  private readonly signal: AbortSignal
  private readonly readAfter: ReadAfter
  private readonly bufferEventsMax: number
  private readonly hub: SubscriptionHub
  private readonly onAbort = () => this.end()

  constructor(
    from: Position,
    signal: AbortSignal,
    readAfter: ReadAfter,
    bufferEventsMax: number,
    hub: SubscriptionHub,
  ) {
    this.delivered = from
    this.received = from
    this.signal = signal
    this.readAfter = readAfter
    this.bufferEventsMax = bufferEventsMax
    this.hub = hub
    this.ended = signal.aborted
    signal.addEventListener('abort', this.onAbort, { once: true })
  }

  next(): Promise<Result> {
    if (this.ended) return Promise.resolve(done)
    if (this.waiting) return Promise.reject(new TypeError('a subscription gives one batch at a time'))
    if (this.buffered > 0) return Promise.resolve(this.fromBuffer())
    return new Promise(resolve => {
      this.waiting = resolve
      // Reading yields to the event loop: a long way to catch up must not hold up everybody else.
      if (!this.isLive) setImmediate(() => this.catchUp())
    })
  }

  return(): Promise<Result> {
    this.end()
    return Promise.resolve(done)
  }

  end(): void {
    if (this.ended && !this.waiting) return
    this.ended = true
    this.buffer = []
    this.buffered = 0
    this.hub.forget(this)
    this.signal.removeEventListener('abort', this.onAbort)
    this.answer(done)
  }

  /** Answers the waiting consumer from disk, or goes live when there is nothing more on disk. */
  catchUp(): void {
    if (this.ended || this.isLive || !this.waiting) return
    let page: Batch | undefined
    try {
      page = this.readAfter(this.delivered, subscriptionBatchEventsMax)
    } catch (error) {
      this.answer(Promise.reject(error))
      return
    }
    if (!page) this.hub.park(this)
    else if (page.length > 0) {
      this.received = (page[page.length - 1] as RecordedEvent).position
      this.deliver(page)
    } else {
      // What is committed from now on is published after this turn, so nothing falls between reading and listening.
      this.isLive = true
      this.hub.goLive(this)
    }
  }

  receive(events: Batch): void {
    const first = events[0] as RecordedEvent
    const fresh = first.position > this.received ? events : events.filter(event => event.position > this.received)
    if (fresh.length === 0) return
    if (this.buffered + fresh.length > this.bufferEventsMax && !this.waiting) {
      this.fallBehind()
      return
    }
    this.received = (fresh[fresh.length - 1] as RecordedEvent).position
    this.buffer.push(fresh)
    this.buffered += fresh.length
    if (this.waiting) this.answer(this.fromBuffer())
  }

  private fallBehind(): void {
    this.hub.leave(this)
    this.isLive = false
    this.buffer = []
    this.buffered = 0
    this.received = this.delivered
  }

  /** The next batch: one commit as it is when it fits, else as many events as a batch may have. */
  private fromBuffer(): Result {
    let batch = this.buffer.length === 1 ? (this.buffer[0] as Batch) : this.buffer.flat()
    this.buffer = []
    if (batch.length > subscriptionBatchEventsMax) {
      this.buffer.push(batch.slice(subscriptionBatchEventsMax))
      batch = batch.slice(0, subscriptionBatchEventsMax)
    }
    this.buffered -= batch.length
    this.delivered = (batch[batch.length - 1] as RecordedEvent).position
    return { done: false, value: batch }
  }

  private deliver(batch: Batch): void {
    this.delivered = (batch[batch.length - 1] as RecordedEvent).position
    this.answer({ done: false, value: batch })
  }

  private answer(result: Result | Promise<never>): void {
    const { waiting } = this
    this.waiting = undefined
    waiting?.(result)
  }
}
