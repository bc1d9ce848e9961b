// Owns where each stream's events are in the log. The newest entries stay in memory and go to the database in sorted slices:
// written one by one they would dirty a page for each event, which costs several times what the event itself costs.
// Never the only copy: what is in memory only is read again from the log at start.

import type { Database } from 'lmdb'
import { keepsLastOnly } from '../domain/ids.ts'
import { positionIn, type RevisionKey, revisionBeyondAll } from './embedded-record.ts'

/** Entries gathered in memory before they start to leave; at most as many again are leaving. */
export const indexGatheredMax = 16_384
/** Entries that leave with each commit: enough that they are gone before the next ones are gathered. */
const sliceEntriesPerEvent = 4
const sliceEntriesMin = 64

/** One event's place. */
export interface IndexEntry {
  readonly revision: number
  readonly position: number
}

/** What one transaction changes in the database. */
export interface IndexSlice {
  readonly keys: RevisionKey[]
  /** The value of each key. */
  readonly positions: number[]
  readonly removedKeys: RevisionKey[]
}

/** Positions of consecutive revisions of one stream. */
interface Run {
  first: number
  positions: number[]
}

type Runs = Map<string, Run>

export class StreamIndex {
  private readonly database: Database<Buffer, RevisionKey>
  private gathered: Runs = new Map()
  private gatheredEntries = 0
  private gatheredLast: number
  private leaving: Runs = new Map()
  private leavingStreams: string[] = []
  private leavingLast = 0
  private nextStream = 0
  private nextOffset = 0

  /** @param indexed every event up to this position is in the database */
  constructor(database: Database<Buffer, RevisionKey>, indexed: number) {
    this.database = database
    this.gatheredLast = indexed
    this.indexed = indexed
  }

  /** Every event up to this position is in the database, once the current transaction is. */
  indexed: number

  /** Takes in a committed event; in log order. */
  add(stream: string, revision: number, position: number): void {
    const run = this.gathered.get(stream)
    this.gatheredLast = position
    if (run && !keepsLastOnly(stream)) run.positions.push(position)
    else if (run) {
      run.first = revision
      run.positions[0] = position
      return
    } else this.gathered.set(stream, { first: revision, positions: [position] })
    this.gatheredEntries++
  }

  /** The end of a stream; undefined for a stream that does not exist. */
  tail(stream: string): IndexEntry | undefined {
    const run = this.gathered.get(stream) ?? this.leaving.get(stream)
    if (run) return lastOf(run)
    return this.inDatabase(stream, revisionBeyondAll, 0, true, 1)[0]
  }

  /** Position of one event of a stream; undefined when it is not there (any more). */
  positionAt(stream: string, revision: number): number | undefined {
    const memory = this.inMemory(stream)
    if (memory && revision >= memory.first) return memory.at(revision)
    if (memory && keepsLastOnly(stream)) return undefined
    const value = this.database.getBinary([stream, revision])
    return value && positionIn(value)
  }

  /** A page of a stream's entries; `from` is inclusive. */
  page(stream: string, from: number, backwards: boolean, limit: number): IndexEntry[] {
    const memory = this.inMemory(stream)
    if (!memory) return this.inDatabase(stream, from, backwards ? 0 : revisionBeyondAll, backwards, limit)
    const below = keepsLastOnly(stream) ? -1 : memory.first - 1
    const page: IndexEntry[] = []
    if (backwards) {
      for (let revision = Math.min(from, memory.last); revision >= memory.first && page.length < limit; revision--) {
        page.push({ revision, position: memory.at(revision) as number })
      }
      if (page.length === limit || below < 0) return page
      return page.concat(this.inDatabase(stream, Math.min(from, below), 0, true, limit - page.length))
    }
    if (from <= below) page.push(...this.inDatabase(stream, from, below, false, limit))
    for (let revision = Math.max(from, memory.first); revision <= memory.last && page.length < limit; revision++) {
      page.push({ revision, position: memory.at(revision) as number })
    }
    return page
  }

  /** What memory knows of a stream: everything from its first revision here on. */
  private inMemory(stream: string) {
    const newer = this.gathered.get(stream)
    const older = this.leaving.get(stream)
    const newest = newer ?? older
    if (!newest) return undefined
    const oldest = older && !keepsLastOnly(stream) ? older : newest
    return {
      first: oldest.first,
      last: newest.first + newest.positions.length - 1,
      at: (revision: number): number | undefined => {
        const run = revision >= newest.first ? newest : oldest
        return run.positions[revision - run.first]
      },
    }
  }

  /** Takes what is to leave memory with the next transaction; `indexed` then says how far the database has got. */
  nextSlice(eventsInBatch: number): IndexSlice {
    const slice: IndexSlice = { keys: [], positions: [], removedKeys: [] }
    if (this.leavingStreams.length === 0) {
      if (this.gatheredEntries < indexGatheredMax) return slice
      this.startLeaving()
    }
    let room = eventsInBatch * sliceEntriesPerEvent + sliceEntriesMin
    while (room > 0 && this.nextStream < this.leavingStreams.length) {
      const stream = this.leavingStreams[this.nextStream] as string
      const run = this.leaving.get(stream) as Run
      if (this.nextOffset === 0 && keepsLastOnly(stream)) this.takeOlder(stream, run.first, slice)
      for (; room > 0 && this.nextOffset < run.positions.length; room--, this.nextOffset++) {
        slice.keys.push([stream, run.first + this.nextOffset])
        slice.positions.push(run.positions[this.nextOffset] as number)
      }
      if (this.nextOffset === run.positions.length) {
        this.nextStream++
        this.nextOffset = 0
      }
    }
    if (this.nextStream === this.leavingStreams.length) this.indexed = this.leavingLast
    return slice
  }

  /** The current transaction is on the disk: what left completely need not be kept. */
  sliceWritten(): void {
    if (this.nextStream < this.leavingStreams.length) return
    this.leaving = new Map()
    this.leavingStreams = []
    this.nextStream = 0
  }

  private startLeaving(): void {
    this.leaving = this.gathered
    this.leavingLast = this.gatheredLast
    this.leavingStreams = [...this.leaving.keys()].sort()
    this.gathered = new Map()
    this.gatheredEntries = 0
  }

  private takeOlder(stream: string, first: number, slice: IndexSlice): void {
    if (first === 0) return
    for (const { revision } of this.inDatabase(stream, 0, first - 1, false, sliceEntriesMin)) {
      slice.removedKeys.push([stream, revision])
    }
  }

  private inDatabase(stream: string, from: number, to: number, backwards: boolean, limit: number): IndexEntry[] {
    const range = { start: [stream, from], end: [stream, to], inclusiveEnd: true, reverse: backwards, limit }
    const entries: IndexEntry[] = []
    for (const { key, value } of this.database.getRange(range as object)) {
      entries.push({ revision: key[1], position: positionIn(value) })
    }
    return entries
  }
}

const lastOf = (run: Run): IndexEntry => ({
  revision: run.first + run.positions.length - 1,
  position: run.positions[run.positions.length - 1] as number,
})
