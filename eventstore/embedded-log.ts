// Owns the LMDB side of the embedded log: opening, bounded reads, and one atomic, durable transaction for each batch.
// Never decides about revisions or order (embedded.ts does), and never changes or drops what it cannot read.

import { randomUUID } from 'node:crypto'
import { type Database, open, type RootDatabase } from 'lmdb'
import { keepsLastOnly } from '../domain/ids.ts'
import type { Batch } from './embedded-batch.ts'
import type { LogFolder } from './embedded-folder.ts'
import { logFormat } from './embedded-folder.ts'
import { type IndexEntry, StreamIndex } from './embedded-index.ts'
import {
  areNeighbours,
  corruption,
  eventIn,
  placeBeforeAll,
  placeIn,
  positionIn,
  positionKey,
  type RecordPlace,
  type RecordWriter,
  type RevisionKey,
  revisionKey,
  streamPlaceIn,
  verifiedRecord,
} from './embedded-record.ts'
import { CorruptLog, type ImportSource, positionOf, type RecordedEvent, Unavailable } from './port.ts'

/** Most bytes of records in one page of a subscription that catches up. */
const catchUpBytesMax = 4_194_304
/** Beyond every position a log can reach. */
const positionBeyondAll = Number.MAX_SAFE_INTEGER
const databaseNames = ['index', 'log', 'meta']

/** Thrown when the log was written by somebody else since it was opened: this process must stop writing. */
export class Fenced extends Error {}

export class EmbeddedLog {
  readonly logId: string
  private readonly root: RootDatabase<Buffer, Buffer>
  private readonly meta: Database<Buffer, string>
  private readonly log: Database<Buffer, number>
  private readonly indexDatabase: Database<Buffer, RevisionKey>
  private readonly index: StreamIndex
  private readonly writer: RecordWriter
  private readonly file: string
  private newest = 0
  /** Events ever appended to streams that keep only their last event. */
  private replaceable = 0

  private constructor(databases: Databases, folder: LogFolder, logId: string, writer: RecordWriter) {
    this.root = databases.root
    this.meta = databases.meta
    this.log = databases.log
    this.indexDatabase = databases.index
    this.writer = writer
    this.file = folder.dataFile
    this.logId = logId
    const indexed = this.requireEndOnDisk()
    this.index = new StreamIndex(databases.index, indexed)
    this.readIntoIndex(indexed)
  }

  /** @throws CorruptLog, Unavailable */
  static async open(folder: LogFolder, writer: RecordWriter): Promise<EmbeddedLog> {
    let root: RootDatabase<Buffer, Buffer> | undefined
    try {
      root = openRoot(folder)
      requireNothingElse(root, folder)
      const databases = databasesOf(root)
      const logId = await logIdOf(databases.meta, folder)
      return new EmbeddedLog(databases, folder, logId, writer)
    } catch (error) {
      await root?.close()
      if (error instanceof CorruptLog || error instanceof Unavailable) throw error
      const { code, message } = error as Error & { code?: unknown }
      // LMDB's own codes are negative, those of the system are not.
      if (typeof code === 'number' && code < 0) {
        throw new CorruptLog(corruption(folder.dataFile, `it cannot be read: ${message}`), { cause: error })
      }
      throw new Unavailable(`${folder.dataFile} cannot be opened: ${message}`, { cause: error })
    }
  }

  /** Position of the newest event. */
  get head(): number {
    return this.newest
  }

  /** What an import takes that was begun here and not completed. */
  get unfinishedImport(): ImportSource | undefined {
    const stored = this.meta.get('import')
    return stored && JSON.parse(Buffer.from(stored).toString())
  }

  /** On the disk when it resolves; never while a batch is being written. */
  async markImport(source: ImportSource | undefined): Promise<void> {
    const { meta } = this
    const mark = () => (source ? meta.put('import', Buffer.from(JSON.stringify(source)), 1) : meta.remove('import'))
    await committed(meta.batch(() => void mark()))
  }

  /** The end of a stream; undefined for a stream that does not exist. */
  tail(stream: string): IndexEntry | undefined {
    return this.index.tail(stream)
  }

  /** Position of one event of a stream; undefined when it is not there (any more). */
  positionAt(stream: string, revision: number): number | undefined {
    return this.index.positionAt(stream, revision)
  }

  eventAt(position: number): RecordedEvent {
    const record = this.log.getBinary(position)
    if (!record) throw new CorruptLog(this.damage(`the event at position ${positionOf(position)} is missing`))
    return eventIn(verifiedRecord(record, position, this.file))
  }

  /** A page of a stream; `from` is inclusive. */
  readStream(stream: string, from: number, backwards: boolean, limit: number): RecordedEvent[] {
    return this.index.page(stream, from, backwards, limit).map(({ revision, position }) => {
      const event = this.eventAt(position)
      if (event.stream !== stream || event.revision !== revision) {
        throw new CorruptLog(this.damage(`the index of ${stream} points to another event at ${revision}`))
      }
      return event
    })
  }

  /** A page of the whole log; `from` is inclusive. Tells of every event that should be there and is not. */
  readAll(from: number, backwards: boolean, limit: number, bytesMax = Number.POSITIVE_INFINITY): RecordedEvent[] {
    const range = backwards ? { start: from, end: 0, reverse: true } : { start: from, end: positionBeyondAll }
    let neighbour = backwards ? undefined : this.placeBefore(from)
    const events: RecordedEvent[] = []
    let bytes = 0
    for (const { key, value } of this.log.getRange({ ...range, inclusiveEnd: true, limit })) {
      const record = verifiedRecord(value, key, this.file)
      const place = placeIn(record)
      if (neighbour) this.requireNeighbours(backwards ? place : neighbour, backwards ? neighbour : place)
      neighbour = place
      events.push(eventIn(record))
      bytes += value.length
      if (bytes >= bytesMax) return events
    }
    if (events.length < limit) this.requireEnd(backwards, neighbour)
    return events
  }

  /** A page for a subscription: exclusive, bounded in bytes too. */
  readAfter(position: number, limit: number): RecordedEvent[] {
    return this.readAll(position + 1, false, limit, catchUpBytesMax)
  }

  /**
   * Writes a batch in one transaction and resolves when it is on the disk.
   * One at a time: the memory of the records is used again for the next batch.
   * @throws whatever LMDB says (nothing, or in rare cases everything, was written: open again to see), Fenced
   */
  async write(batch: Batch): Promise<void> {
    const last = batch.lastPosition
    const { writer, log, meta } = this
    // All bytes are made before the transaction begins: what throws inside it would leave it half written.
    writer.reset()
    let position = batch.firstPosition
    let { replaceable } = this
    const records = batch.events.map(event => {
      const isReplaceable = keepsLastOnly(event.stream)
      const record = writer.record(event, { position: position++, replaceableBefore: replaceable, isReplaceable })
      if (isReplaceable) replaceable++
      return record
    })
    const slice = this.index.nextSlice(records.length)
    const indexPositions = slice.positions.map(value => writer.position(value))
    const end = writer.position(this.index.indexed)
    // Under the condition that the head is still ours: a second owner, however it came to be, cannot interleave.
    const written = meta.ifVersion('head', this.newest, () => {
      position = batch.firstPosition
      for (const record of records) void log.put(position++, record)
      for (const replaced of batch.replacedPositions) void log.remove(replaced)
      for (const key of slice.removedKeys) void this.indexDatabase.remove(key)
      for (let at = 0; at < slice.keys.length; at++) {
        void this.indexDatabase.put(slice.keys[at] as RevisionKey, indexPositions[at] as Buffer)
      }
      void meta.put('head', end, last)
    })
    // A second write makes LMDB begin at once instead of after the turn; there is nothing to remove.
    meta.remove('nothing').catch(() => undefined)
    if (!(await committed(written))) throw new Fenced(`${this.file} was written by another process`)
    this.newest = last
    this.replaceable = replaceable
    this.index.sliceWritten()
    position = batch.firstPosition
    for (const event of batch.events) this.index.add(event.stream, event.revision, position++)
  }

  /** The message for damage found in this log. */
  damage(what: string): string {
    return corruption(this.file, what)
  }

  async close(): Promise<void> {
    await this.root.close()
  }

  /** How far the database of the index has got; the log must end where the last commit says. */
  private requireEndOnDisk(): number {
    const entry = this.meta.getEntry('head')
    const last = this.placeBefore(positionBeyondAll)
    if (entry?.version === undefined || entry.version !== last.position) {
      throw new CorruptLog(this.damage(`the log should end at ${entry?.version} and ends at ${last.position}`))
    }
    this.newest = last.position
    this.replaceable = last.replaceableBefore + Number(last.isReplaceable)
    return positionIn(entry.value)
  }

  /** The entries that were only in memory when the log was last open. */
  private readIntoIndex(indexed: number): void {
    for (const { key, value } of this.log.getRange({ start: indexed + 1, end: positionBeyondAll })) {
      const { stream, revision } = streamPlaceIn(verifiedRecord(value, key, this.file))
      this.index.add(stream, revision, key)
    }
  }

  private placeBefore(position: number): RecordPlace {
    if (position <= 1) return placeBeforeAll
    const range = { start: position - 1, end: 0, reverse: true, inclusiveEnd: true, limit: 1 }
    for (const { key, value } of this.log.getRange(range)) return placeIn(verifiedRecord(value, key, this.file))
    return placeBeforeAll
  }

  private requireNeighbours(older: RecordPlace, newer: RecordPlace): void {
    if (areNeighbours(older, newer)) return
    const [after, before] = [positionOf(older.position), positionOf(newer.position)]
    throw new CorruptLog(this.damage(`events are missing between the positions ${after} and ${before}`))
  }

  /** A page that is not full has come to the end of the log (or its beginning): is it the end that should be there? */
  private requireEnd(backwards: boolean, last: RecordPlace | undefined): void {
    if (backwards && last) this.requireNeighbours(placeBeforeAll, last)
    if (!backwards && last && last.position < this.newest) {
      throw new CorruptLog(this.damage(`events are missing after the position ${positionOf(last.position)}`))
    }
  }
}

const openRoot = (folder: LogFolder): RootDatabase<Buffer, Buffer> =>
  open<Buffer, Buffer>({
    path: folder.path,
    maxDbs: databaseNames.length,
    keyEncoding: 'binary',
    encoding: 'binary',
    // A commit is on the disk before it can be read, so what readers see is durable.
    overlappingSync: false,
    // A batch is one transaction by itself; nothing is to wait for the end of the turn.
    eventTurnBatching: false,
    txnStartThreshold: 1,
    noMemInit: true,
  } as Parameters<typeof open>[0] & { path: string }) as RootDatabase<Buffer, Buffer>

interface Databases {
  readonly root: RootDatabase<Buffer, Buffer>
  readonly meta: Database<Buffer, string>
  readonly log: Database<Buffer, number>
  readonly index: Database<Buffer, RevisionKey>
}

const databasesOf = (root: RootDatabase<Buffer, Buffer>): Databases => ({
  root,
  meta: root.openDB<Buffer, string>('meta', { encoding: 'binary', useVersions: true }),
  log: root.openDB<Buffer, number>('log', { encoding: 'binary', keyEncoder: positionKey } as object),
  index: root.openDB('index', {
    encoding: 'binary',
    keyEncoder: revisionKey,
  } as object) as unknown as Database<Buffer, RevisionKey>,
})

const requireNothingElse = (root: RootDatabase<Buffer, Buffer>, folder: LogFolder): void => {
  for (const key of root.getKeys({ start: Buffer.from([0]) })) {
    const name = Buffer.from(key).toString().replace(/\0$/, '')
    if (!databaseNames.includes(name)) {
      throw new CorruptLog(corruption(folder.dataFile, `the file belongs to something else: it has a table ${name}`))
    }
  }
}

/** The id stored inside; a new file gets one. It must be the one that the folder's marker names. */
const logIdOf = async (meta: Database<Buffer, string>, folder: LogFolder): Promise<string> => {
  const stored = meta.get('log')
  if (!stored) {
    if (folder.logId !== undefined) {
      throw new CorruptLog(corruption(folder.dataFile, `the file is not that of log ${folder.logId}: it has no log`))
    }
    return newLog(meta, folder)
  }
  const { logId, format } = JSON.parse(Buffer.from(stored).toString()) as { logId: string; format: number }
  if (format > logFormat) {
    throw new Unavailable(
      `${folder.path} is of format ${format}; this version knows ${logFormat}. Start a newer version.`,
    )
  }
  if (folder.logId === undefined) folder.mark(logId)
  else if (folder.logId !== logId) {
    throw new CorruptLog(corruption(folder.dataFile, `the file is that of log ${logId}, not of log ${folder.logId}`))
  }
  return logId
}

const newLog = async (meta: Database<Buffer, string>, folder: LogFolder): Promise<string> => {
  const logId = randomUUID().replaceAll('-', '')
  const written = meta.batch(() => {
    void meta.put('log', Buffer.from(JSON.stringify({ logId, format: logFormat })), 1)
    void meta.put('head', Buffer.alloc(8), 0)
  })
  await committed(written)
  folder.mark(logId)
  return logId
}

/** LMDB's binding gives the reason of a failure in a second promise, already settled if it ever will be. */
const committed = async (written: Promise<boolean>): Promise<boolean> => {
  try {
    return await written
  } catch (cause) {
    const { commitError, message } = cause as Error & { commitError?: Promise<unknown> }
    const reason = commitError?.catch((error: unknown) => (error as Error).message)
    const none = new Promise(resolve => setImmediate(() => resolve(message)))
    throw new Error(String(await Promise.race([reason ?? none, none])), { cause })
  }
}
