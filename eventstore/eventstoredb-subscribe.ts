// Owns a subscription to the log by a call of its own, for as long as its consumer wants it: opens a feed, watches over it, and
// opens the next one from the last event that the consumer has handled. Must never skip an event, never hand one out twice, and never take
// silence for calm: the log's head is asked for beside the feed.

import { setTimeout as delay } from 'node:timers/promises'
import type { Position } from '../domain/ids.ts'
import type { Connection, Line, ReadCall } from './eventstoredb-line.ts'
import { isInvalidPosition, readFailure } from './eventstoredb-line.ts'
import type { Reader } from './eventstoredb-read.ts'
import type { RecordedEvent } from './port.ts'
import { CorruptLog, positionBeforeAll, subscriptionBatchEventsMax, Unavailable } from './port.ts'

/** Most events fetched ahead of the consumer, and most UTF-16 units in their texts. */
export const feedEventsMax = 2 * subscriptionBatchEventsMax
export const feedUnitsMax = 16 * 1_048_576
/** Waits before a new feed, by failures in a row; each is varied by half so that nodes do not come all at once. */
const reopenDelaysMs = [20, 100, 300, 1_000, 2_000] as const
/** A feed that lived so long did not fail in a row with the one before. */
const steadyMs = 5_000

export interface SubscriptionTiming {
  /** How often a waiting subscription asks for the log's head. */
  readonly checkMs: number
  /** Longest time that the head may be ahead of a feed that brings nothing, or cannot be asked for. */
  readonly stalledMs: number
  /** Longest time that the log's head may be before the place a subscription starts at. */
  readonly beyondHeadMs: number
}

export interface EventStoreDbLogger {
  info(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface SubscriptionSource {
  readonly connection: Connection
  readonly reader: Reader
  readonly timing: SubscriptionTiming
  readonly logger: EventStoreDbLogger
}

type Batch = readonly RecordedEvent[]
type Place = Position | 'start'

/** The feed's place is one where no event begins. */
class NoEventThere extends Error {}

/** Every event after `from`, until the signal aborts. @throws CorruptLog */
export async function* followAlone(
  source: SubscriptionSource,
  from: Place,
  signal: AbortSignal,
): AsyncGenerator<Batch> {
  const { logger } = source
  let handled = from
  let openAt = from
  let failures = 0
  let isLost = false
  const onConfirmed = () => {
    if (isLost) logger.info({ position: handled }, 'the subscription to the event log stands again')
    isLost = false
  }
  while (!signal.aborted) {
    const openedAtMs = performance.now()
    try {
      for await (const batch of feedFrom(source, { openAt, handled, onConfirmed }, signal)) {
        yield batch
        handled = (batch.at(-1) as RecordedEvent).position
        openAt = handled
        failures = 0
        if (signal.aborted) return
      }
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof CorruptLog) throw error
      if (!isLost) logger.error({ err: error, position: handled }, 'the subscription to the event log was lost')
      isLost = true
      if (error instanceof NoEventThere) openAt = await placeBefore(source.reader, openAt).catch(() => openAt)
      failures = performance.now() - openedAtMs < steadyMs ? failures + 1 : 1
      await pause(failures, signal)
    }
  }
}

const pause = async (failures: number, signal: AbortSignal): Promise<void> => {
  const longestMs = reopenDelaysMs[Math.min(failures, reopenDelaysMs.length) - 1] as number
  await delay(longestMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined)
}

/** A place to open a feed at, from which nothing after the given one is missed. @throws Unavailable */
const placeBefore = async (reader: Reader, place: Place): Promise<Place> => {
  if (place === 'start') return place
  const [event] = await reader.readAll({ from: place, direction: 'backwards', limit: 1 })
  return event?.position ?? 'start'
}

interface FeedOptions {
  readonly openAt: Place
  /** Nothing up to this place is brought again. */
  readonly handled: Place
  readonly onConfirmed: () => void
}

/** The batches of one feed; ends when the signal aborts. @throws when the feed is lost, CorruptLog */
async function* feedFrom(source: SubscriptionSource, options: FeedOptions, signal: AbortSignal): AsyncGenerator<Batch> {
  const line = await source.connection.line()
  // An abort during the wait has nobody listening for it yet.
  if (signal.aborted) return
  const feed = new Feed(source.connection, line, options)
  const stopWatching = watch(feed, options.handled, source)
  // An abort ends it all at once: a consumer in the middle of a batch may never ask again.
  const close = () => {
    stopWatching()
    feed.close()
  }
  signal.addEventListener('abort', close)
  try {
    for (let batch = await feed.next(); batch !== undefined; batch = await feed.next()) yield batch
  } finally {
    signal.removeEventListener('abort', close)
    close()
  }
}

/** One call that brings the log, and what it brought that nobody has taken yet. */
class Feed {
  /** Place of the newest record that came, of ours or not. */
  newest: Position | undefined
  private readonly call: ReadCall
  private readonly handled: Position | undefined
  private buffer: RecordedEvent[] = []
  private units = 0
  private paused = false
  private closed = false
  private waking = false
  private failure: Error | undefined
  private waiting: { resolve: (batch: Batch | undefined) => void; reject: (error: Error) => void } | undefined

  constructor(connection: Connection, line: Line, { openAt, handled, onConfirmed }: FeedOptions) {
    this.handled = handled === 'start' ? undefined : handled
    this.newest = this.handled
    this.call = line.read(
      { from: openAt, direction: 'forwards', limit: 'for ever' },
      {
        confirmed: onConfirmed,
        item: ({ position, event }) => this.receive(position, event),
        ended: () => this.fail(new Unavailable('EventStoreDB ended the subscription')),
        failed: error => {
          connection.failed(line, error)
          this.fail(isInvalidPosition(error) ? new NoEventThere(error.details) : readFailure(error))
        },
      },
    )
  }

  get isWaiting(): boolean {
    return this.waiting !== undefined && this.buffer.length === 0
  }

  /** The events that are there, or the first to come; undefined once the feed is closed. @throws what it was lost for */
  next(): Promise<Batch | undefined> {
    if (this.closed) return Promise.resolve(undefined)
    if (this.buffer.length > 0) return Promise.resolve(this.take())
    if (this.failure !== undefined) return Promise.reject(this.failure)
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject }
    })
  }

  fail(error: Error): void {
    if (this.closed || this.failure !== undefined) return
    this.failure = error
    this.call.cancel()
    this.wake()
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.buffer = []
    this.call.cancel()
    this.wake()
  }

  private receive(position: Position, event: RecordedEvent | undefined): void {
    if (this.closed) return
    if (this.newest === undefined || position > this.newest) this.newest = position
    if (event === undefined || (this.handled !== undefined && position <= this.handled)) return
    this.buffer.push(event)
    this.units += event.text.length
    if (!this.paused && (this.buffer.length >= feedEventsMax || this.units >= feedUnitsMax)) {
      this.paused = true
      this.call.pause()
    }
    if (this.waiting !== undefined && !this.waking) {
      // What comes in the same turn of the event loop goes out in one batch.
      this.waking = true
      setImmediate(() => this.wake())
    }
  }

  private take(): Batch {
    const batch = this.buffer.splice(0, subscriptionBatchEventsMax)
    for (const event of batch) this.units -= event.text.length
    if (this.paused && this.buffer.length <= feedEventsMax / 2 && this.units <= feedUnitsMax / 2) {
      this.paused = false
      this.call.resume()
    }
    return batch
  }

  private wake(): void {
    this.waking = false
    const { waiting } = this
    if (waiting === undefined) return
    this.waiting = undefined
    if (this.closed) waiting.resolve(undefined)
    else if (this.buffer.length > 0) waiting.resolve(this.take())
    else if (this.failure !== undefined) waiting.reject(this.failure)
    else this.waiting = waiting
  }
}

/** Asks for the log's head beside a feed whose consumer waits, and fails the feed when it brings less. */
const watch = (feed: Feed, start: Place, { reader, timing }: SubscriptionSource): (() => void) => {
  let asking = false
  // Since when what is wrong has been wrong, by the kind of it.
  const since = new Map<'behind' | 'beyond' | 'silent', number>()
  const lasts = (what: 'behind' | 'beyond' | 'silent', wrong: boolean, longestMs: number): boolean => {
    const now = performance.now()
    if (!wrong) since.delete(what)
    else if (!since.has(what)) since.set(what, now)
    return wrong && now - (since.get(what) ?? now) >= longestMs
  }

  const check = async () => {
    const before = feed.newest
    const head = await reader.head().catch((error: Error) => error)
    if (lasts('silent', head instanceof Error, timing.stalledMs)) feed.fail(head as Error)
    if (head instanceof Error) return
    const behind = feed.isWaiting && feed.newest === before && head > (feed.newest ?? positionBeforeAll)
    if (lasts('behind', behind, timing.stalledMs)) {
      feed.fail(new Unavailable(`the subscription brings nothing, though the log goes on to ${head}`))
    }
    if (lasts('beyond', start !== 'start' && head < start, timing.beyondHeadMs)) {
      feed.fail(new CorruptLog(`the log ends at ${head}, before ${start}: it is not the log this place was read in`))
    }
  }

  const timer = setInterval(() => {
    if (asking) return
    if (!feed.isWaiting) {
      since.clear()
      return
    }
    asking = true
    const asked = () => {
      asking = false
    }
    check().then(asked, asked)
  }, timing.checkMs)
  return () => clearInterval(timer)
}
