// Owns what one commit of the embedded log consists of: the decision on each append at the state that the appends before it leave.
// Never writes and never answers anybody: outcomes hold only once the batch is on the disk.

import { keepsLastOnly } from '../domain/ids.ts'
import type { EmbeddedLog } from './embedded-log.ts'
import type { Appended, ExpectedRevision, NewEvent, RecordedEvent } from './port.ts'
import { Conflict, CorruptLog, positionOf } from './port.ts'

/** Streams whose end is remembered: two generations of this many. A batch holds far fewer, so it never loses its own. */
const tailsMax = 100_000
const noRevision = -1

/** Where a stream ends, the batch being decided included. */
interface Tail {
  revision: number
  position: number
  readonly keepsLastOnly: boolean
}

/** The ends of the streams used last. Kept current by the batches; cleared when a batch was not written. */
export class Tails {
  private young = new Map<string, Tail>()
  private old = new Map<string, Tail>()

  has(stream: string): boolean {
    return this.young.has(stream) || this.old.has(stream)
  }

  of(stream: string, log: EmbeddedLog): Tail {
    const known = this.young.get(stream)
    if (known) return known
    const tail = this.old.get(stream) ?? tailOnDisk(stream, log)
    if (this.young.size >= tailsMax) {
      this.old = this.young
      this.young = new Map()
    }
    this.young.set(stream, tail)
    return tail
  }

  clear(): void {
    this.young.clear()
    this.old.clear()
  }
}

const tailOnDisk = (stream: string, log: EmbeddedLog): Tail => {
  const tail = log.tail(stream)
  return { revision: tail?.revision ?? noRevision, position: tail?.position ?? 0, keepsLastOnly: keepsLastOnly(stream) }
}

/** The appends of one transaction. */
export class Batch {
  readonly firstPosition: number
  readonly events: RecordedEvent[] = []
  /** Events that go out of the log again: streams that keep only their last event replaced them. */
  readonly replacedPositions: number[] = []
  private readonly tails: Tails
  private readonly log: EmbeddedLog
  private readonly eventsOfStream = new Map<string, RecordedEvent[]>()
  private eventsSorted = 0

  constructor(tails: Tails, log: EmbeddedLog) {
    this.tails = tails
    this.log = log
    this.firstPosition = log.head + 1
  }

  /** Position of the last event so far. */
  get lastPosition(): number {
    return this.firstPosition + this.events.length - 1
  }

  /** What the append answers with when the batch gets written: written, repeated, or a conflict. @throws CorruptLog */
  decide(stream: string, events: readonly NewEvent[], expected: ExpectedRevision): Appended | Conflict {
    const tail = this.tails.of(stream, this.log)
    const revision = expected === 'none' ? noRevision : expected
    if (revision === tail.revision) return this.add(stream, events, tail)
    const repeated = revision < tail.revision ? this.repeated(stream, events, revision + 1, tail) : undefined
    return repeated ?? new Conflict(stream, expected, tail.revision === noRevision ? 'none' : tail.revision)
  }

  private add(stream: string, events: readonly NewEvent[], tail: Tail): Appended {
    let position = ''
    for (const event of events) {
      if (tail.keepsLastOnly && tail.revision !== noRevision) this.replacedPositions.push(tail.position)
      tail.revision++
      tail.position = this.lastPosition + 1
      const recorded = recordedEvent(event, stream, tail.revision, tail.position)
      this.events.push(recorded)
      position = recorded.position
    }
    return { revision: tail.revision, position: position as Appended['position'] }
  }

  /** The original answer, if exactly these ids were appended from this revision on. */
  private repeated(stream: string, events: readonly NewEvent[], first: number, tail: Tail): Appended | undefined {
    let revision = first
    let original: RecordedEvent | undefined
    for (const event of events) {
      original = revision <= tail.revision ? this.eventAt(stream, revision, tail) : undefined
      if (original?.id !== event.id) return undefined
      revision++
    }
    return original && { revision: original.revision, position: original.position }
  }

  private eventAt(stream: string, revision: number, tail: Tail): RecordedEvent | undefined {
    const inBatch = this.inBatch(stream)
    const first = inBatch?.[0]
    if (inBatch && first && revision >= first.revision) return inBatch[revision - first.revision]
    const position = this.log.positionAt(stream, revision)
    if (position !== undefined) return this.log.eventAt(position)
    if (tail.keepsLastOnly) return undefined
    throw new CorruptLog(this.log.damage(`the event ${revision} of ${stream} is not in the index`))
  }

  /** Sorted by stream only when a repeated append asks: that is rare. */
  private inBatch(stream: string): RecordedEvent[] | undefined {
    for (; this.eventsSorted < this.events.length; this.eventsSorted++) {
      const event = this.events[this.eventsSorted] as RecordedEvent
      const others = this.eventsOfStream.get(event.stream)
      if (others) others.push(event)
      else this.eventsOfStream.set(event.stream, [event])
    }
    return this.eventsOfStream.get(stream)
  }
}

/** The one object that the log, all subscribers and all states share; `data` and `text` are the caller's own. */
const recordedEvent = (event: NewEvent, stream: string, revision: number, position: number): RecordedEvent => {
  const { id, type, data, text, command } = event
  return command
    ? { id, type, data, text, command, stream, revision, position: positionOf(position) }
    : { id, type, data, text, stream, revision, position: positionOf(position) }
}
