// Owns pages: bounded reads of a stream and of the log, each with its own deadline, no more at once than a connection bears.
// Knows that a place of the log may be one where no event begins. Must never leave a call open behind it. Of streams that keep
// only their last event, the log (not the stream) shows the earlier ones too, until the database is scavenged.

import type { Position } from '../domain/ids.ts'
import type { CallError, Connection, Line, LogItem, ReadRequest } from './eventstoredb-line.ts'
import { isInvalidPosition, readFailure } from './eventstoredb-line.ts'
import type { ReadAllOptions, ReadOptions, RecordedEvent } from './port.ts'
import { positionBeforeAll, positionOf, readEventsMax, Unavailable } from './port.ts'

/** Most pages read at once: a server allows some 100 calls on a connection, and the one too many hangs without a word. */
export const readsAtOnceMax = 64
/** Most reads that wait for their turn. */
export const readsWaitingMax = 20_000
/** Most heads asked for at once; they do not wait for pages, since a node's readiness hangs on them. */
export const headsAtOnceMax = 4
/** The server's own size of a chunk of its log: the start of a chunk is always a place to read from. */
const chunkBytes = 268_435_456n
/** Highest position that the server can count to. */
const positionMax = (1n << 63n) - 1n

export interface Reader {
  read(stream: string, options: ReadOptions): Promise<readonly RecordedEvent[]>
  readAll(options: ReadAllOptions): Promise<readonly RecordedEvent[]>
  head(): Promise<Position>
}

export interface ReaderOptions {
  readonly connection: Connection
  /** Longest time one page may take, its wait for a turn not counted. */
  readonly deadlineMs: number
  readonly headDeadlineMs: number
}

type Direction = ReadRequest['direction']
type Page = (request: ReadRequest) => Promise<LogItem[]>

/** The server refused the place to read from. */
class InvalidPosition extends Error {}

/** All pages of one store. */
export const createReader = ({ connection, deadlineMs, headDeadlineMs }: ReaderOptions): Reader => {
  const inTurn = createTurns(readsAtOnceMax)
  const headInTurn = createTurns(headsAtOnceMax)
  const page: Page = request => inTurn(async () => readPage(await connection.line(), request, deadlineMs, connection))
  const headPage: Page = request =>
    headInTurn(async () => readPage(await connection.line(), request, headDeadlineMs, connection))
  let newest: { readonly tail: Position; readonly head: Position } | undefined

  const head = async (): Promise<Position> => {
    const [tail] = await headPage({ from: 'end', direction: 'backwards', limit: 1 })
    if (tail === undefined) return positionBeforeAll
    // The database's own records at the end are walked through once, not at every call.
    if (tail.event === undefined && newest?.tail === tail.position) return newest.head
    const [event] = tail.event ? [tail.event] : await collect(headPage, tail.position, 'backwards', 1)
    newest = { tail: tail.position, head: event?.position ?? positionBeforeAll }
    return newest.head
  }

  return {
    head,
    read: async (stream, options) => {
      const items = await page({ stream, ...streamPage(options) })
      return items.flatMap(item => item.event ?? [])
    },
    readAll: async ({ from, direction, limit }) => {
      if (from === 'end') return await collect(page, 'end', 'backwards', direction === 'forwards' ? 1 : limit)
      if (from === 'start') return await collect(page, 'start', 'forwards', direction === 'forwards' ? limit : 1)
      return direction === 'forwards' ? forwardsFrom(page, from, limit) : backwardsFrom(page, from, limit)
    },
  }
}

/** The port's words in the server's: backwards from the start and forwards from the end are one event. */
const streamPage = ({ from, direction, limit }: ReadOptions): Omit<ReadRequest, 'stream'> => {
  if (from === 'start' && direction === 'backwards') return { from: 0, direction, limit: 1 }
  if (from === 'end') return { from, direction: 'backwards', limit: direction === 'forwards' ? 1 : limit }
  return { from, direction, limit }
}

/** Events from a position on, inclusive; the position may be any. */
const forwardsFrom = async (page: Page, from: Position, limit: number): Promise<RecordedEvent[]> => {
  if (BigInt(`0x${from}`) > positionMax) return []
  try {
    return await collect(page, from, 'forwards', limit)
  } catch (error) {
    if (!(error instanceof InvalidPosition)) throw error
    const next = await nextItem(page, from)
    return next === undefined ? [] : await collect(page, next, 'forwards', limit)
  }
}

/**
 * Events from a position back, inclusive; the position may be any. The server reads backwards from the end of a record, so
 * the event that begins at the position is read forwards, and the rest backwards from the place where the next one begins.
 */
const backwardsFrom = async (page: Page, from: Position, limit: number): Promise<RecordedEvent[]> => {
  const [first] = await forwardsFrom(page, from, 1)
  if (first === undefined) {
    const events = await collect(page, 'end', 'backwards', limit)
    return events.filter(event => event.position <= from)
  }
  if (first.position > from) return await collect(page, first.position, 'backwards', limit)
  return limit === 1 ? [first] : [first, ...(await collect(page, first.position, 'backwards', limit - 1))]
}

/**
 * The place of the first record after a position at which none begins. No client gets such a position from this adapter, so
 * only an invented one comes here: the search reads at most one chunk of the log, from its start.
 */
const nextItem = async (page: Page, position: Position): Promise<Position | undefined> => {
  const value = BigInt(`0x${position}`)
  let from: Position | 'start' = value < chunkBytes ? 'start' : positionOf(value - (value % chunkBytes))
  for (;;) {
    let items: LogItem[]
    try {
      items = await page({ from, direction: 'forwards', limit: readEventsMax })
    } catch (error) {
      if (!(error instanceof InvalidPosition) || from === 'start') throw error
      // A server with chunks of another size: the whole log has to be searched.
      from = 'start'
      continue
    }
    const next = items.find(item => item.position > position)
    if (next !== undefined) return next.position
    const last = items.at(-1)
    if (last === undefined || last.position === from) return undefined
    from = last.position
  }
}

/** Up to `limit` events of ours from a place on, skipping what the database keeps for itself. */
const collect = async (
  page: Page,
  start: Position | 'start' | 'end',
  direction: Direction,
  limit: number,
): Promise<RecordedEvent[]> => {
  const events: RecordedEvent[] = []
  let from = start
  let last: Position | undefined
  let wanted = limit
  for (;;) {
    const items = await page({ from, direction, limit: wanted })
    const before = events.length
    for (const item of items) {
      if (item.event !== undefined && item.position !== last && events.length < limit) events.push(item.event)
    }
    const end = items.at(-1)
    if (events.length >= limit || items.length < wanted || end === undefined || end.position === last) return events
    last = end.position
    from = end.position
    // A page of nothing but the database's own records may be the first of many: take larger steps.
    const step = events.length === before ? wanted * 8 : 0
    wanted = Math.min(readEventsMax, Math.max(limit - events.length + 1, step))
  }
}

/** One page, drained to its end or given up at the deadline. */
const readPage = (line: Line, request: ReadRequest, deadlineMs: number, connection: Connection): Promise<LogItem[]> =>
  new Promise((resolve, reject) => {
    const items: LogItem[] = []
    let settled = false
    const giveUp = () => {
      if (settled) return
      call.cancel()
      reject(new Unavailable(`EventStoreDB did not answer a read within ${deadlineMs} ms`))
      connection.unanswered(line)
    }
    // After a pause of this process the answer is there, but the timer comes first: let it be heard out.
    const timer = setTimeout(() => setImmediate(giveUp), deadlineMs)
    const settle = () => {
      settled = true
      clearTimeout(timer)
    }
    const call = line.read(request, {
      item: item => items.push(item),
      ended: () => {
        settle()
        resolve(items)
      },
      failed: (error: CallError) => {
        settle()
        connection.failed(line, error)
        if (isInvalidPosition(error)) reject(new InvalidPosition(error.details, { cause: error }))
        else reject(readFailure(error))
      },
    })
  })

/** Runs work in the order of asking, so much of it at once. */
const createTurns = (atOnceMax: number) => {
  const waiting: (() => void)[] = []
  let running = 0
  const leave = () => {
    const next = waiting.shift()
    if (next === undefined) running--
    else next()
  }
  return async <Value>(work: () => Promise<Value>): Promise<Value> => {
    if (running < atOnceMax) running++
    else if (waiting.length >= readsWaitingMax) throw new Unavailable('too many reads are waiting')
    else await new Promise<void>(resolve => waiting.push(resolve))
    try {
      return await work()
    } finally {
      leave()
    }
  }
}
