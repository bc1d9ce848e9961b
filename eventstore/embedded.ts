// Owns the embedded event store: which appends go into which transaction, at which revisions and positions, and who hears when.
// Never answers an append, and never tells a subscriber, before the transaction is on the disk. One process, one folder.

import { statfsSync } from 'node:fs'
import type { Position } from '../domain/ids.ts'
import { Batch, Tails } from './embedded-batch.ts'
import { type LogFolder, ownerFileOf, takeFolder } from './embedded-folder.ts'
import { inspectFile } from './embedded-inspect.ts'
import { EmbeddedLog, Fenced } from './embedded-log.ts'
import { RecordWriter } from './embedded-record.ts'
import { SubscriptionHub, subscriptionBufferEventsMax } from './embedded-subscriptions.ts'
import type {
  Appended,
  ExpectedRevision,
  ImportableStore,
  ImportSource,
  NewEvent,
  ReadAllOptions,
  ReadOptions,
  RecordedEvent,
} from './port.ts'
import { CorruptLog, positionOf, Unavailable, UnknownOutcome } from './port.ts'
import { whenLeft } from './process-owner.ts'
import {
  requireEvents,
  requireExpected,
  requirePosition,
  requireRead,
  requireReadAll,
  requireStream,
  unitsOf,
} from './rules.ts'

/** Most events in one transaction, and most UTF-16 units of text: a backlog is written in several commits. */
const batchEventsMax = 4_096
const batchUnitsMax = 8_388_608
/** Most appends that may wait, and most UTF-16 units in them; beyond that appends are refused as unavailable. */
const waitingAppendsMax = 100_000
const waitingUnitsMax = 268_435_456

/**
 * With less room on the disk no commit is begun: LMDB's binding may end the process when the disk is full in the middle of one.
 * As much as others may write while a commit is under way.
 */
const freeBytesMinUsual = 33_554_432

/** A commit that takes longer leaves its appends' outcome unknown, and refuses others until it ends. */
export const commitStalledMs = 30_000

/** What the store tells about itself; pino's signature. */
export interface EmbeddedLogger {
  info(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface EmbeddedOptions {
  /** The service's folder; the log lives in `log` below it. */
  readonly dataDir: string
  readonly logger?: EmbeddedLogger
  /** For tests: a smaller buffer for consumers that are behind. */
  readonly bufferEventsMax?: number
  /** For tests: less room on the disk with which writing goes on. */
  readonly freeBytesMin?: number
}

/**
 * Opens the event log in `<dataDir>/log`, and makes it when there is none.
 * @throws Unavailable when the folder is in use, cannot be written or is of a newer format; CorruptLog when it is damaged
 */
export const openEmbeddedStore = async (options: EmbeddedOptions): Promise<ImportableStore> => {
  await whenLeft(ownerFileOf(options.dataDir))
  const folder = takeFolder(options.dataDir)
  try {
    const writer = new RecordWriter()
    const log = await EmbeddedLog.open(folder, writer)
    options.logger?.info({ folder: folder.path, logId: log.logId, head: positionOf(log.head) }, 'event log open')
    return new EmbeddedStore(folder, writer, log, options)
  } catch (error) {
    folder.release()
    throw error
  }
}

interface WaitingAppend {
  readonly stream: string
  readonly events: readonly NewEvent[]
  readonly expected: ExpectedRevision
  readonly units: number
  readonly resolve: (appended: Appended) => void
  readonly reject: (error: unknown) => void
  outcome: Appended | Error | undefined
}

class EmbeddedStore implements ImportableStore {
  readonly logId: string
  readonly appendsAtOnce = Number.POSITIVE_INFINITY
  readonly unfinishedImport: ImportSource | undefined
  private readonly folder: LogFolder
  private readonly writer: RecordWriter
  private readonly options: EmbeddedOptions
  private readonly hub: SubscriptionHub
  private readonly tails = new Tails()
  /** Undefined while, or because, the log could not be opened again after a failed commit. */
  private log: EmbeddedLog | undefined
  private waiting: WaitingAppend[] = []
  private waitingUnits = 0
  private isCommitting = false
  private isScheduled = false
  /** The commit under way takes so long that nobody should wait for it any more. */
  private isStalled = false
  /** Another process wrote the log although this one owns the folder: it must not go on. */
  private isLost = false
  private isFull = false
  private reopening: Promise<EmbeddedLog | undefined> | undefined
  private closing: Promise<void> | undefined
  private drained: (() => void) | undefined

  constructor(folder: LogFolder, writer: RecordWriter, log: EmbeddedLog, options: EmbeddedOptions) {
    this.folder = folder
    this.writer = writer
    this.log = log
    this.logId = log.logId
    this.unfinishedImport = log.unfinishedImport
    this.options = options
    this.hub = new SubscriptionHub(
      (position, limit) => this.log && this.reading(log => log.readAfter(numberOf(position), limit)),
      options.bufferEventsMax ?? subscriptionBufferEventsMax,
    )
  }

  append(stream: string, events: readonly NewEvent[], expected: ExpectedRevision): Promise<Appended> {
    let units = 0
    try {
      if (this.closing || this.isStalled) throw new Unavailable(this.whyNot())
      if (!this.tails.has(stream)) requireStream(stream)
      requireExpected(expected)
      requireEvents(events)
      for (const event of events) units += unitsOf(event)
      if (this.waiting.length >= waitingAppendsMax || this.waitingUnits + units > waitingUnitsMax) {
        throw new Unavailable(`${this.waiting.length} appends are waiting already`)
      }
    } catch (error) {
      return Promise.reject(error)
    }
    return new Promise((resolve, reject) => {
      this.waiting.push({ stream, events, expected, units, resolve, reject, outcome: undefined })
      this.waitingUnits += units
      this.schedule()
    })
  }

  async read(stream: string, options: ReadOptions): Promise<readonly RecordedEvent[]> {
    requireRead(stream, options)
    const { from, direction, limit } = options
    return this.reading(log => {
      if (from === 'end') {
        const tail = log.tail(stream)
        if (!tail) return []
        return log.readStream(stream, tail.revision, direction === 'backwards', limit)
      }
      return log.readStream(stream, from === 'start' ? 0 : from, direction === 'backwards', limit)
    })
  }

  async readAll(options: ReadAllOptions): Promise<readonly RecordedEvent[]> {
    requireReadAll(options)
    const { from, direction, limit } = options
    return this.reading(log => {
      const first = from === 'end' ? log.head : from === 'start' ? 0 : Math.min(numberOf(from), log.head + 1)
      return log.readAll(first, direction === 'backwards', limit)
    })
  }

  subscribe(options: { from: Position | 'start'; signal: AbortSignal }): AsyncIterable<readonly RecordedEvent[]> {
    requirePosition(options.from)
    return { [Symbol.asyncIterator]: () => this.hub.subscribe(options.from, options.signal) }
  }

  async head(): Promise<Position> {
    // Asked all the time by whoever watches the log, so this is also what opens it again after a failure that lasted.
    if (!this.log && !this.isCommitting && !this.closing) await this.reopened()
    return this.reading(log => positionOf(log.head))
  }

  async markImport(source: ImportSource | undefined): Promise<void> {
    if (!this.log) throw new Unavailable(this.whyNot())
    await this.log.markImport(source)
  }

  close(): Promise<void> {
    this.closing ??= this.finish()
    return this.closing
  }

  private async finish(): Promise<void> {
    if (this.isCommitting || this.isScheduled) {
      await new Promise<void>(resolve => {
        this.drained = resolve
      })
    }
    this.hub.end()
    await this.reopening
    const { log } = this
    this.log = undefined
    try {
      await log?.close()
    } finally {
      this.folder.release()
    }
    this.options.logger?.info({ folder: this.folder.path }, 'event log closed')
  }

  private reading<Result>(read: (log: EmbeddedLog) => Result): Result {
    if (!this.log) throw new Unavailable(this.whyNot())
    try {
      return read(this.log)
    } catch (error) {
      if (error instanceof CorruptLog) throw error
      throw new CorruptLog(this.log.damage(`it cannot be read: ${(error as Error).message}`), { cause: error })
    }
  }

  private whyNot(): string {
    if (this.closing) return 'the event log is closed'
    if (this.isStalled) return `the disk under ${this.folder.path} does not answer`
    if (this.isLost) return `another process wrote to ${this.folder.path}: restart this one when the other has stopped`
    return `the event log in ${this.folder.path} cannot be opened again after a failed write`
  }

  private schedule(): void {
    if (this.isCommitting || this.isScheduled) return
    this.isScheduled = true
    setImmediate(this.run)
  }

  /** One commit at a time: what comes meanwhile goes together in the next one. */
  private readonly run = async (): Promise<void> => {
    this.isScheduled = false
    this.isCommitting = true
    await this.commit(this.takeWaiting())
    this.isCommitting = false
    if (this.waiting.length > 0) this.schedule()
    else this.drained?.()
  }

  private takeWaiting(): readonly WaitingAppend[] {
    let count = 0
    let events = 0
    let units = 0
    for (const append of this.waiting) {
      events += append.events.length
      units += append.units
      if (count > 0 && (events > batchEventsMax || units > batchUnitsMax)) break
      this.waitingUnits -= append.units
      count++
    }
    if (count < this.waiting.length) return this.waiting.splice(0, count)
    const all = this.waiting
    this.waiting = []
    return all
  }

  private async commit(appends: readonly WaitingAppend[]): Promise<void> {
    this.log ??= await this.reopened()
    if (!this.log) {
      settle(appends, () => new Unavailable(this.whyNot()))
      return
    }
    if (this.lacksRoom()) {
      settle(appends, () => new Unavailable(`the disk under ${this.folder.path} is full: make room on it`))
      return
    }
    const batch = new Batch(this.tails, this.log)
    for (const append of appends) append.outcome = decided(batch, append)
    try {
      if (batch.events.length > 0) await this.written(this.log, batch, appends)
    } catch (cause) {
      const failure = await this.recover(batch, cause)
      if (failure) {
        settle(appends, () => failure)
        return
      }
    }
    if (batch.events.length > 0) this.hub.publish(batch.events)
    settle(appends, append => append.outcome)
  }

  /** Asked before every commit; told once when it changes. */
  private lacksRoom(): boolean {
    const { path } = this.folder
    const isFull = (freeBytes(path) ?? Number.POSITIVE_INFINITY) < (this.options.freeBytesMin ?? freeBytesMinUsual)
    if (isFull !== this.isFull) {
      if (isFull) this.options.logger?.error({ folder: path }, 'event log does not write: the disk is full, make room')
      else this.options.logger?.info({ folder: path }, 'event log writes again: there is room')
      this.isFull = isFull
    }
    return isFull
  }

  private async written(log: EmbeddedLog, batch: Batch, appends: readonly WaitingAppend[]): Promise<void> {
    const timer = setTimeout(() => this.stall(appends), commitStalledMs)
    try {
      await log.write(batch)
    } finally {
      clearTimeout(timer)
      this.isStalled = false
    }
  }

  /** Whoever waits is answered now. If the commit ends after all, its events are published as ever. */
  private stall(appends: readonly WaitingAppend[]): void {
    this.isStalled = true
    this.options.logger?.error({ folder: this.folder.path, appends: appends.length }, 'event log write does not end')
    settle(appends, () => new UnknownOutcome(this.whyNot()))
    settle(this.waiting, () => new Unavailable(this.whyNot()))
    this.waiting = []
    this.waitingUnits = 0
  }

  /**
   * After a commit that failed: opens the log again, because LMDB does not write on after every failure, and looks.
   * Returns what the appends are to be told, or nothing when the batch is there after all.
   */
  private async recover(batch: Batch, cause: unknown): Promise<Unavailable | UnknownOutcome | undefined> {
    // A full disk shows as one of several errors, so the room that is left is always told.
    const free = freeBytes(this.folder.path)
    const freeText = free === undefined ? 'unknown' : Math.floor(free / 1_048_576)
    const reason = `${(cause as Error).message}, ${freeText} MiB free in ${this.folder.path}`
    this.options.logger?.error({ folder: this.folder.path, reason }, 'event log could not write')
    this.isLost ||= cause instanceof Fenced
    const broken = this.log
    this.log = undefined
    this.tails.clear()
    await broken
      ?.close()
      .catch((error: unknown) => this.options.logger?.error({ err: error }, 'event log did not close'))
    this.log = await this.reopened()
    if (this.isLost) return new Unavailable(this.whyNot(), { cause })
    if (!this.log) return new UnknownOutcome(`the event log could not write (${reason}) and not be opened again`)
    if (this.log.head === batch.lastPosition) return undefined
    return new Unavailable(`the event log could not write: ${reason}`, { cause })
  }

  private reopened(): Promise<EmbeddedLog | undefined> {
    this.reopening ??= this.openAgain().finally(() => {
      this.reopening = undefined
    })
    return this.reopening
  }

  private async openAgain(): Promise<EmbeddedLog | undefined> {
    if (this.isLost) return undefined
    try {
      inspectFile(this.folder.dataFile, true)
      this.log = await EmbeddedLog.open({ ...this.folder, logId: this.logId }, this.writer)
      this.hub.resume()
      return this.log
    } catch (error) {
      this.options.logger?.error({ folder: this.folder.path, err: error }, 'event log cannot be opened again')
      return undefined
    }
  }
}

const numberOf = (position: Position): number => Number.parseInt(position, 16)

const decided = (batch: Batch, append: WaitingAppend): Appended | Error => {
  try {
    return batch.decide(append.stream, append.events, append.expected)
  } catch (error) {
    return error instanceof Error ? error : new Unavailable('the append could not be decided', { cause: error })
  }
}

const settle = (
  appends: readonly WaitingAppend[],
  outcomeOf: (append: WaitingAppend) => Appended | Error | undefined,
): void => {
  for (const append of appends) {
    const outcome = outcomeOf(append)
    if (outcome && !(outcome instanceof Error)) append.resolve(outcome)
    else append.reject(outcome)
  }
}

/** Undefined where the file system does not tell. */
const freeBytes = (path: string): number | undefined => {
  try {
    const { bavail, bsize } = statfsSync(path)
    return bavail * bsize
  } catch {
    return undefined
  }
}
