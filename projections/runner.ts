// Owns the one that keeps the read models current: batches from the log, each in one transaction with the position it ends
// at, so each event counts once, whatever crashes when. One works at a time, others stand by. It waits out a database or a
// log that is away, and starts over by itself when the rows cannot be those of this log.

import type { Logger } from 'pino'
import type { Instant, Position } from '../domain/ids.ts'
import type { EventStore, RecordedEvent } from '../eventstore/port.ts'
import {
  advanceCheckpoint,
  doubtAbout,
  loadCheckpoint,
  readModelsPosition,
  startOver,
  takeCheckpoint,
} from './checkpoint.ts'
import { type Database, type Session, statement } from './database.ts'
import { batchEventsMax, type Feed, startFeed } from './feed.ts'
import { createPositionWatch } from './position-watch.ts'
import { isAway } from './postgres.ts'
import { applyEvents } from './projections.ts'
import { schedulePurge } from './purge.ts'

/** How often one who stands by asks whether it may work. */
const standbyMs = 500
/** Pauses between attempts while something is away. */
const pauseMsMin = 100
const pauseMsMax = 5_000
/** After a batch that failed by itself, this many events are folded one by one, so that the log names the one. */
const suspectEventsMax = batchEventsMax
/** How long an orderly stop waits for what is in the log already. */
const flushMsMax = 5_000

export interface RunnerOptions {
  readonly store: EventStore
  readonly database: Database
  readonly logger: Logger
  /** False where another process folds: then only `position` and `passed` are of use. Default true. */
  readonly works?: boolean
  readonly nowMs?: () => number
}

export interface RunnerLag {
  /** Events that came from the log and are not in the read models. */
  readonly events: number
  /** Age of the oldest of them. */
  readonly seconds: number
}

export interface RunnerCounters {
  events: number
  batches: number
  failures: number
  /** Time spent in transactions. */
  applySeconds: number
}

export interface Runner {
  /** Everything up to here is in the read models. */
  position(): Position
  lag(): RunnerLag
  /** True once the read models have passed the position, false when they have not within the time. */
  passed(position: Position, timeoutMs: number): Promise<boolean>
  /** True while this one folds, false while it stands by, looks on or has lost the database. */
  readonly isWorking: boolean
  readonly counters: Readonly<RunnerCounters>
  /** Folds what is in the log already, within bounds, and ends. */
  stop(): Promise<void>
}

/** The checkpoint is not where this one left it: somebody else has written. */
class Overtaken extends Error {}

const tryLead = statement(
  'runner-lead',
  "select pg_try_advisory_lock(hashtextextended('read-models-runner', 0)) as leads",
)

/** A pause that ends early when the signal aborts. */
const pause = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    if (signal.aborted) return resolve()
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, milliseconds)
    signal.addEventListener('abort', end)
  })

/** Starts folding, or standing by, or looking on. Resolves at once: what is away is waited for in the background. */
export const startRunner = async (options: RunnerOptions): Promise<Runner> => {
  const { store, database, logger, works = true, nowMs = Date.now } = options
  const abort = new AbortController()
  const { signal } = abort
  const counters: RunnerCounters = { events: 0, batches: 0, failures: 0, applySeconds: 0 }
  let feed: Feed | undefined
  let inHand: readonly RecordedEvent[] = []
  let isWorking = false
  let suspectEvents = 0
  const watch = createPositionWatch(() => feed?.hurry())

  /** One batch, in one transaction with the position. The checkpoint is taken first: see checkpoint.ts. */
  const apply = async (session: Session, events: readonly RecordedEvent[], from: Position): Promise<Position> => {
    const last = events.at(-1) as RecordedEvent
    const startedMs = performance.now()
    await session.transaction(async transaction => {
      const checkpoint = await takeCheckpoint(transaction)
      if (checkpoint?.position !== from || checkpoint.log_id !== store.logId)
        throw new Overtaken('the checkpoint has moved')
      await applyEvents(transaction, events)
      await advanceCheckpoint(transaction, last.position)
    })
    counters.events += events.length
    counters.batches++
    counters.applySeconds += (performance.now() - startedMs) / 1_000
    return last.position
  }

  /** Where to go on; starts over when the rows are not of this log. */
  const prepare = async (session: Session): Promise<Position> => {
    const log = { logId: store.logId, head: await store.head() }
    const doubt = doubtAbout(await loadCheckpoint(session), log)
    if (doubt !== undefined) {
      logger.info({ reason: doubt, logId: store.logId }, 'read models start over: folding the whole log')
      await session.transaction(transaction => startOver(transaction, store.logId))
    }
    return readModelsPosition(session)
  }

  /** Works until something fails or the signal aborts. */
  const lead = async (session: Session): Promise<void> => {
    let position = await prepare(session)
    feed?.stop()
    feed = startFeed(store, position)
    watch.advance(position)
    isWorking = true
    logger.info({ position }, 'read models are being kept current')
    while (!signal.aborted) {
      if (watch.waiting > 0) feed.hurry()
      inHand = await feed.take(suspectEvents > 0 ? 1 : batchEventsMax)
      if (inHand.length === 0) return
      position = await apply(session, inHand, position)
      suspectEvents = Math.max(0, suspectEvents - 1)
      inHand = []
      watch.advance(position)
    }
  }

  const standBy = async (session: Session): Promise<void> => {
    let isToldOf = false
    while (!signal.aborted) {
      const [answer] = await session.query<{ leads: boolean }>(tryLead)
      if (answer?.leads === true) return
      if (!isToldOf) logger.info('read models: another process keeps them current, standing by')
      isToldOf = true
      watch.advance(await readModelsPosition(session))
      await pause(watch.waiting > 0 ? standbyMs / 10 : standbyMs, signal)
    }
  }

  const explain = (error: unknown): void => {
    counters.failures++
    const [first] = inHand
    if (isAway(error) || error instanceof Overtaken || first === undefined) {
      logger.warn({ err: error }, 'read models: interrupted, trying again')
      return
    }
    const { position, type } = first
    if (inHand.length === 1) logger.error({ err: error, position, type }, 'read models: an event cannot be folded')
    else
      logger.error({ err: error, position, events: inHand.length }, 'read models: a batch failed, going event by event')
    suspectEvents = suspectEventsMax
  }

  const run = async (): Promise<void> => {
    let pauseMs = pauseMsMin
    while (!signal.aborted) {
      const applied = counters.batches
      let session: Session | undefined
      let purge: { stop: () => void } | undefined
      try {
        session = await database.session()
        await standBy(session)
        purge = schedulePurge(database, logger)
        await lead(session)
      } catch (error) {
        if (!signal.aborted) explain(error)
      } finally {
        isWorking = false
        purge?.stop()
        await session?.release().catch(() => {})
      }
      pauseMs = counters.batches > applied ? pauseMsMin : Math.min(pauseMs * 2, pauseMsMax)
      await pause(pauseMs, signal)
    }
  }

  const running = works ? run() : Promise.resolve()
  if (!works) watch.poll(() => readModelsPosition(database))

  const lag = (): RunnerLag => {
    const oldestAt = (inHand[0]?.data as { at?: Instant } | undefined)?.at ?? feed?.oldestAt
    return {
      events: inHand.length + (feed?.length ?? 0),
      seconds: oldestAt === undefined ? 0 : Math.max(0, (nowMs() - Date.parse(oldestAt)) / 1_000),
    }
  }

  const stop = async (): Promise<void> => {
    if (works && isWorking) await watch.passed(await store.head().catch(() => watch.position), flushMsMax)
    abort.abort()
    feed?.stop()
    await running
    watch.stop()
  }

  return {
    position: () => watch.position,
    lag,
    passed: (position, timeoutMs) => watch.passed(position, timeoutMs),
    get isWorking() {
      return isWorking
    },
    counters,
    stop,
  }
}
