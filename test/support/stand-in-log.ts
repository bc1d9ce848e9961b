// Owns the log of the stand-in for EventStoreDB: its rules for revisions, repeated ids, sizes, positions and $maxCount, kept in
// one file of JSON lines. Survives the kill of its process (one append is one line), not the loss of power.
// Must never be easier on a client than the real server is.

import { closeSync, existsSync, mkdirSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs'
import { join } from 'node:path'

export interface StandInEvent {
  readonly id: string
  readonly type: string
  readonly isJson: boolean
  /** Base 64. */
  readonly data: string
  readonly metadata: string
}

export interface StandInRecord extends StandInEvent {
  readonly stream: string
  readonly revision: number
  /** Where it begins in the log, as the real server counts: bytes, so with gaps. */
  readonly position: number
  /** Where the next one begins. */
  readonly end: number
}

export type AppendOutcome =
  | { readonly kind: 'written'; readonly revision: number; readonly position: number }
  | { readonly kind: 'wrong-version'; readonly actual: number | undefined }
  | { readonly kind: 'too-large' }

/** No record begins at the place that was asked for. */
export class InvalidPosition extends Error {}

/** The server's default limit; it counts the data only. */
const appendBytesMax = 1_048_576
/** What a record takes beside its data. */
const recordOverheadBytes = 93

export class StandInLog {
  readonly records: StandInRecord[] = []
  private readonly streams = new Map<string, StandInRecord[]>()
  private readonly positions = new Map<number, number>()
  private readonly file: number
  private end = 0

  constructor(dataDir: string) {
    mkdirSync(dataDir, { recursive: true })
    const path = join(dataDir, 'log.jsonl')
    if (existsSync(path)) this.load(path)
    this.file = openSync(path, 'a')
    // A real log begins with the database's own records too.
    if (this.records.length === 0) this.write('$settings', [eventOf('$settings', {})], 0)
  }

  /** @param expected undefined when the stream must not exist */
  append(stream: string, events: readonly StandInEvent[], expected: number | undefined): AppendOutcome {
    const held = this.streams.get(stream) ?? []
    const next = expected === undefined ? 0 : expected + 1
    const bytes = events.reduce((sum, event) => sum + Buffer.from(event.data, 'base64').length, 0)
    if (bytes > appendBytesMax) return { kind: 'too-large' }
    if (next === held.length) return this.write(stream, events, next)
    const known = held.slice(next, next + events.length)
    const repeated = next < held.length && events.every((event, index) => known[index]?.id === event.id)
    const last = known.at(-1)
    if (repeated && last) return { kind: 'written', revision: last.revision, position: last.position }
    return { kind: 'wrong-version', actual: held.at(-1)?.revision }
  }

  /** A page of a stream; undefined when there is no such stream. */
  readStream(
    stream: string,
    from: number | 'start' | 'end',
    direction: 'forwards' | 'backwards',
    count: number,
  ): readonly StandInRecord[] | undefined {
    const held = this.streams.get(stream)
    if (held === undefined) return undefined
    const kept = held.slice(-this.keptCount(stream))
    if (direction === 'forwards') {
      const start = from === 'start' ? 0 : from === 'end' ? held.length : from
      return kept.filter(record => record.revision >= start).slice(0, count)
    }
    const start = from === 'end' ? held.length : from === 'start' ? 0 : from
    return kept
      .filter(record => record.revision <= start)
      .reverse()
      .slice(0, count)
  }

  /** A page of the log: forwards from the record at a position, backwards from the record before it. @throws InvalidPosition */
  readAll(
    from: number | 'start' | 'end',
    direction: 'forwards' | 'backwards',
    count: number,
  ): readonly StandInRecord[] {
    const index = this.indexOf(from)
    if (direction === 'forwards') return this.records.slice(index, index + count)
    return this.records.slice(Math.max(0, index - count), index).reverse()
  }

  /** Index of the first record after a position, for a subscription. @throws InvalidPosition */
  indexAfter(from: number | 'start' | 'end'): number {
    const index = this.indexOf(from)
    return typeof from === 'number' && this.records[index]?.position === from ? index + 1 : index
  }

  close(): void {
    closeSync(this.file)
  }

  private indexOf(from: number | 'start' | 'end'): number {
    if (from === 'start') return 0
    if (from === 'end' || from >= this.end) return this.records.length
    const index = this.positions.get(from)
    if (index === undefined) throw new InvalidPosition(`no record begins at ${from}`)
    return index
  }

  private keptCount(stream: string): number {
    const metadata = this.streams.get(`$$${stream}`)?.at(-1)
    if (metadata === undefined) return Number.POSITIVE_INFINITY
    const { $maxCount } = JSON.parse(Buffer.from(metadata.data, 'base64').toString()) as { $maxCount?: number }
    return $maxCount ?? Number.POSITIVE_INFINITY
  }

  private write(stream: string, events: readonly StandInEvent[], first: number): AppendOutcome {
    let position = this.end
    const records = events.map((event, index) => {
      const end = position + recordOverheadBytes + stream.length * 2 + event.data.length + event.metadata.length
      const record = { ...event, stream, revision: first + index, position, end }
      position = end
      return record
    })
    writeSync(this.file, `${JSON.stringify(records)}\n`)
    this.take(records)
    const last = records.at(-1)
    return { kind: 'written', revision: last?.revision ?? -1, position: last?.position ?? 0 }
  }

  private take(records: readonly StandInRecord[]): void {
    for (const record of records) {
      const held = this.streams.get(record.stream)
      if (held === undefined) this.streams.set(record.stream, [record])
      else held.push(record)
      this.positions.set(record.position, this.records.length)
      this.records.push(record)
      this.end = record.end
    }
  }

  private load(path: string): void {
    const text = readFileSync(path, 'utf8')
    // An append that a kill cut short was never answered: it is dropped whole.
    const whole = text.lastIndexOf('\n') + 1
    if (whole < text.length) truncateSync(path, Buffer.byteLength(text.slice(0, whole)))
    for (const line of text.slice(0, whole).split('\n')) if (line !== '') this.take(JSON.parse(line))
  }
}

const eventOf = (type: string, data: object): StandInEvent => ({
  id: '00000000-0000-4000-8000-000000000001',
  type,
  isJson: true,
  data: Buffer.from(JSON.stringify(data)).toString('base64'),
  metadata: '',
})
