// Owns the one that keeps the read models current: batches from the log, each in one transaction with the position it ends
// at, so each event counts once, whatever crashes when. One works at a time, others stand by. It waits out a database or a
// log that is away, and starts over by itself when the rows cannot be those of this log.

import type { Logger } from 'pino'
import type { Instant, Position } from '../domain/ids.ts'
import { type EventStore, positionBeforeAll, type RecordedEvent } from '../eventstore/port.ts'
import {
  advanceCheckpoint,
  doubtAbout,
  isBeyondHead,
  loadCheckpoint,
  readModelsPosition,
  startOver,
  takeCheckpoint,
} from './checkpoint.ts'
import { type Database, type Session, statement } from './database.ts'
import { batchEventsMax, type Feed, startFeed } from './feed.ts'
import { remake } from './migrations.ts'
import { createPositionWatch } from './position-watch.ts'
import { isAway, isDamage, isNoTable } from './postgres.ts'
import type { ProjectionName } from './projection.ts'
import { applyEvents, CannotFold } from './projections.ts'
import { schedulePurge } from './purge.ts'
import { type Retention, scheduleRetention } from './retention.ts'

/** How often one who stands by asks whether it may work. */
const standbyMs = 500
/** And how often it looks at the checkpoint while somebody waits for a position. */
const standbyWaitingMs = 50
/** How long a log may end before the read models do until they are taken for those of another past. */
const beyondHeadMs = 10_000
/** Pauses between attempts while something is away. */
const pauseMsMin = 100
const pauseMsMax = 5_000
/** After a batch that failed by itself, this many events are folded one by one, so that the log names the one. */
const suspectEventsMax = batchEventsMax
/** An event that is tried again and again is told of once in so long. */
export const tellAgainMs = 60_000
/** A database that is damaged again so soon after its tables were made anew needs somebody to look at it. */
const mendAgainMs = 600_000
/** How long an orderly stop waits for what is in the log already. */
const flushMsMax = 5_000

export interface RunnerOptions {
  readonly store: EventStore
  readonly database: Database
  readonly logger: Logger
  /** False where another process folds: then only `position` and `passed` are of use. Default true. */
  readonly works?: boolean
  /** After how many days messages are deleted from the read models. Default: never. */
  readonly historyDays?: number
  readonly nowMs?: () => number
  /** How long a log may end before the read models do until they start over. Default: 0 on PGlite, else 10 s. */
  readonly beyondHeadMsMax?: number
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

/** An event that a projection cannot fold: the read models stand before it until a version comes that can. */
export interface StuckProjection {
  readonly projection: ProjectionName
  readonly position: Position
  readonly type: string
  readonly error: unknown
}

export interface Runner {
  /** Everything up to here is in the read models. */
  position(): Position
  lag(): RunnerLag
  /** True once the read models have passed the position, false when they have not within the time. */
  passed(position: Position, timeoutMs: number): Promise<boolean>
  /** True while this one folds, false while it stands by, looks on or has lost the database. */
  readonly isWorking: boolean
  /** Undefined while it goes on. */
  readonly stuck: StuckProjection | undefined
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

class FoldingRunner implements Runner {
  readonly counters: RunnerCounters = { events: 0, batches: 0, failures: 0, applySeconds: 0 }
  isWorking = false
  stuck: StuckProjection | undefined
  readonly #options: RunnerOptions
  readonly #abort = new AbortController()
  readonly #watch = createPositionWatch(() => {
    this.#feed?.hurry()
    this.#lookNow()
  })
  readonly #running: Promise<void>
  #feed: Feed | undefined
  #inHand: readonly RecordedEvent[] = []
  #suspectEvents = 0
  #toldOfStuckMs = 0
  #mendedMs = Number.NEGATIVE_INFINITY
  /** Ends the pause of one who stands by while nobody waits. */
  #lookNow = () => {}

  constructor(options: RunnerOptions) {
    this.#options = options
    const { works = true, database } = options
    this.#running = works ? this.#run() : Promise.resolve()
    if (!works) this.#watch.poll(() => readModelsPosition(database))
  }

  position(): Position {
    return this.#watch.position
  }

  passed(position: Position, timeoutMs: number): Promise<boolean> {
    return this.#watch.passed(position, timeoutMs)
  }

  lag(): RunnerLag {
    const { nowMs = Date.now } = this.#options
    const oldestAt = (this.#inHand[0]?.data as { at?: Instant } | undefined)?.at ?? this.#feed?.oldestAt
    return {
      events: this.#inHand.length + (this.#feed?.length ?? 0),
      seconds: oldestAt === undefined ? 0 : Math.max(0, (nowMs() - Date.parse(oldestAt)) / 1_000),
    }
  }

  async stop(): Promise<void> {
    if (this.isWorking) {
      const head = await this.#options.store.head().catch(() => this.#watch.position)
      await this.#watch.passed(head, flushMsMax)
    }
    this.#abort.abort()
    this.#feed?.stop()
    await this.#running
    this.#watch.stop()
  }

  async #run(): Promise<void> {
    const { database, logger, historyDays: days, nowMs = Date.now } = this.#options
    const { signal } = this.#abort
    let pauseMs = pauseMsMin
    while (!signal.aborted) {
      const applied = this.counters.batches
      let session: Session | undefined
      let purge: { stop: () => void } | undefined
      let retention: Retention | undefined
      try {
        session = await database.session()
        await this.#standBy(session)
        purge = schedulePurge(database, logger)
        retention = days === undefined ? undefined : scheduleRetention(database, { days, nowMs, logger })
        await this.#lead(session, retention)
      } catch (error) {
        if (!signal.aborted && !(await this.#mend(error))) this.#explain(error)
      } finally {
        this.isWorking = false
        purge?.stop()
        await retention?.stop()
        await session?.release().catch(() => {})
      }
      pauseMs = this.counters.batches > applied ? pauseMsMin : Math.min(pauseMs * 2, pauseMsMax)
      await pause(pauseMs, signal)
    }
  }

  async #standBy(session: Session): Promise<void> {
    const { signal } = this.#abort
    let isToldOf = false
    while (!signal.aborted) {
      const [answer] = await session.query<{ leads: boolean }>(tryLead)
      if (answer?.leads === true) return
      if (!isToldOf) this.#options.logger.info('read models: another process keeps them current, standing by')
      isToldOf = true
      this.#watch.advance(await readModelsPosition(session))
      await this.#pauseStandingBy(signal)
    }
  }

  /** The first who begins to wait is looked for at once, and from then on at every short pause. */
  async #pauseStandingBy(signal: AbortSignal): Promise<void> {
    if (this.#watch.waiting > 0) return pause(standbyWaitingMs, signal)
    const asked = new AbortController()
    this.#lookNow = () => asked.abort()
    await pause(standbyMs, AbortSignal.any([signal, asked.signal]))
    this.#lookNow = () => {}
  }

  /** Works until something fails or the signal aborts. */
  async #lead(session: Session, retention: Retention | undefined): Promise<void> {
    const { store, logger } = this.#options
    let position = await this.#prepare(session)
    const head = await store.head()
    let isBehind = position < head
    // Not before the log is folded that was there: made anew, the read models hold all of it for that long.
    if (!isBehind) void retention?.run()
    this.#feed?.stop()
    const feed = startFeed(store, position)
    this.#feed = feed
    void session.lost.then(() => {
      if (this.#feed !== feed) return
      // What was committed last may be lost as well: nobody may rely on it until it was looked at again.
      this.#watch.advance(positionBeforeAll)
      feed.stop()
    })
    this.#watch.advance(position)
    this.isWorking = true
    if (this.stuck === undefined) logger.info({ position }, 'read models are being kept current')
    while (!this.#abort.signal.aborted) {
      if (this.#watch.waiting > 0) feed.hurry()
      this.#inHand = await feed.take(this.#suspectEvents > 0 ? 1 : batchEventsMax)
      if (this.#inHand.length === 0) return
      position = await this.#apply(session, this.#inHand, position)
      this.#suspectEvents = Math.max(0, this.#suspectEvents - 1)
      this.stuck = undefined
      this.#inHand = []
      this.#watch.advance(position)
      if (!isBehind || position < head) continue
      isBehind = false
      void retention?.run()
    }
  }

  /** Where to go on; starts over when the rows are not of this log. */
  async #prepare(session: Session): Promise<Position> {
    const { store, database, logger, beyondHeadMsMax = database.kind === 'pglite' ? 0 : beyondHeadMs } = this.#options
    const untilMs = performance.now() + beyondHeadMsMax
    while (!this.#abort.signal.aborted) {
      // The checkpoint before the head: the other way round the log may have grown between.
      const checkpoint = await loadCheckpoint(session)
      const doubt = doubtAbout(checkpoint, { logId: store.logId, head: await store.head() })
      if (doubt === undefined) break
      // A node of a cluster that is behind the others says so for a moment; all else is certain.
      if (isBeyondHead(checkpoint, store.logId) && performance.now() < untilMs) {
        logger.warn({ reason: doubt }, 'read models seem to be ahead of the log: looking again')
        await pause(pauseMsMin, this.#abort.signal)
        continue
      }
      logger.info({ reason: doubt, logId: store.logId }, 'read models start over: folding the whole log')
      await session.transaction(transaction => startOver(transaction, store.logId))
    }
    return readModelsPosition(session)
  }

  /** One batch, in one transaction with the position. The checkpoint is taken first: see checkpoint.ts. */
  async #apply(session: Session, events: readonly RecordedEvent[], from: Position): Promise<Position> {
    const { logId } = this.#options.store
    const last = events.at(-1) as RecordedEvent
    const startedMs = performance.now()
    await session.transaction(async transaction => {
      const checkpoint = await takeCheckpoint(transaction)
      if (checkpoint?.position !== from || checkpoint.log_id !== logId) throw new Overtaken('the checkpoint has moved')
      await applyEvents(transaction, events)
      await advanceCheckpoint(transaction, last.position)
    })
    this.counters.events += events.length
    this.counters.batches++
    this.counters.applySeconds += (performance.now() - startedMs) / 1_000
    return last.position
  }

  /** Makes tables anew that are lost or damaged. Tables of PGlite are its files, and those go with it (pglite.ts). */
  async #mend(error: unknown): Promise<boolean> {
    const { database, logger } = this.#options
    const cause = error instanceof CannotFold ? error.cause : error
    if (database.kind === 'pglite' || !(isDamage(cause) || isNoTable(cause))) return false
    const isAgain = performance.now() - this.#mendedMs < mendAgainMs
    const damage = isDamage(cause) && !isAgain ? `they are damaged: ${cause.message}` : undefined
    const reason = await remake(database, damage).catch(() => undefined)
    if (reason === undefined) return false
    this.#mendedMs = performance.now()
    this.counters.failures++
    logger.warn({ reason }, 'read models made anew: rebuilding them from the log')
    return true
  }

  #explain(error: unknown): void {
    const { logger } = this.#options
    this.counters.failures++
    const [first] = this.#inHand
    if (isAway(error) || error instanceof Overtaken || first === undefined) {
      logger.warn({ err: error }, 'read models: interrupted, trying again')
      return
    }
    const { position, type } = first
    const events = this.#inHand.length
    this.#suspectEvents = suspectEventsMax
    if (events === 1 && error instanceof CannotFold)
      this.#standBefore({ projection: error.projection, position, type, error })
    else logger.error({ err: error, position, events }, 'read models: a batch failed, going event by event')
  }

  #standBefore(stuck: StuckProjection): void {
    const { logger, nowMs = Date.now } = this.#options
    const isNews = this.stuck?.position !== stuck.position || nowMs() - this.#toldOfStuckMs >= tellAgainMs
    this.stuck = stuck
    if (!isNews) return
    this.#toldOfStuckMs = nowMs()
    const { error, ...where } = stuck
    logger.error(
      { err: error, ...where },
      'read models: an event cannot be folded and is tried again, what comes after it waits',
    )
  }
}

/** Starts folding, or standing by, or looking on. Resolves at once: what is away is waited for in the background. */
export const startRunner = async (options: RunnerOptions): Promise<Runner> => new FoldingRunner(options)
