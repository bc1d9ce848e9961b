// Owns the event store of the port over a connection to EventStoreDB: checks what is asked, sets up streams that keep only
// their last event, makes the log's id, waits for a server that is not there yet. Knows nothing of the wire.

import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { keepsLastOnly, type Position } from '../domain/ids.ts'
import { Appender } from './eventstoredb-append.ts'
import { createImportMarks } from './eventstoredb-import.ts'
import { type Connection, logStream } from './eventstoredb-line.ts'
import { LiveLog } from './eventstoredb-live.ts'
import { createReader, type Reader } from './eventstoredb-read.ts'
import type { EventStoreDbLogger } from './eventstoredb-subscribe.ts'
import type { ImportableStore, NewEvent } from './port.ts'
import { Conflict, Unavailable, UnknownOutcome } from './port.ts'
import { requireEvents, requireExpected, requirePosition, requireRead, requireReadAll, requireStream } from './rules.ts'

/** Times of the adapter. */
export interface EventStoreDbTiming {
  /** From sending an append to its outcome; after that the outcome is unknown. */
  readonly appendMs: number
  /** One page, and one look at the head: the latter is shorter, since a node's readiness hangs on it. */
  readonly readMs: number
  readonly headMs: number
  /** How long a connection may be silent while it is asked; at most appendMs, so that a timed-out append finds it out. */
  readonly silentMs: number
  /** How a subscription is watched: SubscriptionTiming. */
  readonly checkMs: number
  readonly stalledMs: number
  readonly beyondHeadMs: number
  /** How long close() waits for appends that are under way. */
  readonly closeMs: number
  /** Between two tries to reach the server at the start. */
  readonly startRetryMs: number
}

export const eventStoreDbTiming: EventStoreDbTiming = {
  appendMs: 5_000,
  readMs: 5_000,
  headMs: 2_000,
  silentMs: 4_000,
  checkMs: 1_000,
  stalledMs: 2_000,
  beyondHeadMs: 10_000,
  closeMs: 2_000,
  startRetryMs: 500,
}

export interface StoreOptions {
  readonly logger: EventStoreDbLogger
  readonly timing: EventStoreDbTiming
  /** Ends the wait for a server that cannot be reached. */
  readonly signal?: AbortSignal | undefined
}

/** The server answers as many appends a second with these under way as with any more, and what waits here joins its stream's. */
export const appendsAtOnce = 128
/** Most subscriptions open at once; with the pages they stay below the calls that a server allows on a connection. */
export const subscriptionsMax = 24

/** The store over a connection, once the server can be reached. @throws Unavailable when the signal ends the wait */
export const openStore = async (
  connection: Connection,
  { logger, timing, signal }: StoreOptions,
): Promise<ImportableStore> => {
  const appender = new Appender(connection, timing.appendMs)
  const reader = createReader({ connection, deadlineMs: timing.readMs, headDeadlineMs: timing.headMs })
  const closing = new AbortController()
  const live = new LiveLog({ connection, reader, timing, logger })
  let subscriptions = 0

  async function* subscription(from: Position | 'start', until: AbortSignal) {
    if (subscriptions >= subscriptionsMax) throw new Unavailable('too many subscriptions are open')
    subscriptions++
    try {
      yield* live.follow(from, AbortSignal.any([until, closing.signal]))
    } finally {
      subscriptions--
    }
  }

  const close = async () => {
    closing.abort()
    await appender.settled(timing.closeMs)
    await connection.close()
  }

  const imports = createImportMarks(reader, appender)
  const look = async () => ({
    logId: await readOrMakeLogId(reader, appender),
    unfinishedImport: await imports.unfinished(),
  })
  const found = await whenReachable(look, { logger, timing, signal }).catch(async error => {
    await close()
    throw error
  })
  return {
    ...found,
    appendsAtOnce,
    markImport: imports.mark,
    append: async (stream, events, expected) => {
      requireOwnStream(stream)
      requireExpected(expected)
      requireEvents(events)
      requireStorable(events)
      if (closing.signal.aborted) throw new Unavailable('the event store is closed')
      if (expected === 'none' && keepsLastOnly(stream)) await keepLast(appender, stream)
      return appender.append(stream, events, expected)
    },
    read: async (stream, options) => {
      requireRead(stream, options)
      return reader.read(stream, options)
    },
    readAll: async options => {
      requireReadAll(options)
      return reader.readAll(options)
    },
    subscribe: ({ from, signal: until }) => {
      requirePosition(from)
      return subscription(from, until)
    },
    head: () => reader.head(),
    close,
  }
}

const requireOwnStream = (stream: string): void => {
  requireStream(stream)
  if (stream.startsWith('$') || stream === logStream) throw new TypeError(`the stream ${stream} is not for events`)
}

/** In Node since 20; not in the language version that the types are of. */
interface WithWellFormed {
  isWellFormed(): boolean
}

/** What the server would take for its own, and what every reader would stumble over for ever. */
const requireStorable = (events: readonly NewEvent[]): void => {
  for (const { id, type, text } of events) {
    if (type.startsWith('$')) throw new TypeError(`the type ${type} of event ${id} is the database's own`)
    // Half a surrogate pair has no bytes, so it would not come back as it was given.
    if (!(text as unknown as WithWellFormed).isWellFormed()) throw new TypeError(`the text of event ${id} has no UTF-8`)
    try {
      JSON.parse(text)
    } catch (error) {
      throw new TypeError(`the text of event ${id} is not JSON`, { cause: error })
    }
  }
}

const eventOf = (type: string, data: object): NewEvent => ({ id: randomUUID(), type, data, text: JSON.stringify(data) })

/** Comes before a stream's first event, so that no crash in between leaves it without; being there already is as good. */
const keepLast = async (appender: Appender, stream: string): Promise<void> => {
  try {
    await appender.append(`$$${stream}`, [eventOf('$metadata', { $maxCount: 1 })], 'none')
  } catch (error) {
    if (error instanceof Conflict) return
    // The stream's own event has not been sent: of that append, "not written" is known.
    throw error instanceof UnknownOutcome ? new Unavailable(error.message, { cause: error }) : error
  }
}

const whenReachable = async <Value>(
  work: () => Promise<Value>,
  { logger, timing, signal }: StoreOptions,
): Promise<Value> => {
  for (let tries = 1; ; tries++) {
    try {
      const value = await work()
      if (tries > 1) logger.info({ tries }, 'EventStoreDB has been reached')
      return value
    } catch (error) {
      if (!(error instanceof Unavailable || error instanceof UnknownOutcome) || signal?.aborted) throw error
      if (tries === 1) logger.error({ error: error.message }, 'EventStoreDB cannot be reached yet; waiting for it')
      await delay(timing.startRetryMs, undefined, signal && { signal }).catch(() => undefined)
    }
  }
}

/** Of all who open a new log at once, one makes its id, and the others read it. */
const readOrMakeLogId = async (reader: Reader, appender: Appender): Promise<string> => {
  const readLogId = async () => {
    const [event] = await reader.read(logStream, { from: 'start', direction: 'forwards', limit: 1 })
    return (event?.data as { logId: string } | undefined)?.logId
  }
  const known = await readLogId()
  if (known !== undefined) return known
  const logId = randomUUID()
  try {
    await appender.append(logStream, [eventOf('LogCreated', { logId })], 'none')
    return logId
  } catch (error) {
    const theirs = error instanceof Conflict ? await readLogId() : undefined
    if (theirs === undefined) throw error
    return theirs
  }
}
