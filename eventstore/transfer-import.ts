// Owns the writing side of an import: which events go together, how many appends are under way, new positions for cursors.
// Never changes an event, except the position in a follower's cursor, which would mean nothing in the new log.

import type { FollowerAdvanced } from '../domain/follower/events.ts'
import { keepsLastOnly, type Position } from '../domain/ids.ts'
import type { Appended, EventStore, NewEvent } from './port.ts'
import { Conflict, positionBeforeAll } from './port.ts'
import { bytesOfEvent } from './rules.ts'
import { BadExport, type ExportedEvent } from './transfer-lines.ts'

/** Neighbours of one stream that go into one append: at most this many events and bytes. */
const appendEventsMax = 200
const appendBytesMost = 921_600
/** Appends and bytes under way at a time. */
const appendsInFlightMax = 1_024
const bytesInFlightMax = 33_554_432
/** Events whose place is remembered so that a cursor behind them finds it again. */
const placesMax = 1_000_000

/** Tells how far it is, about once a second and at the end. */
export type Report = (line: string) => void

/** The one event that an import changes. */
export const cursorType: FollowerAdvanced['type'] = 'FollowerAdvanced'

/** What somebody is told whose import failed. */
export const incomplete =
  'The log is incomplete and nothing starts on it: import the whole file again, or take a new log'

interface Group {
  readonly stream: string
  readonly firstLine: number
  readonly firstRevision: number
  readonly events: NewEvent[]
  bytes: number
}

export class ImportWriter {
  /** Events taken so far. */
  events = 0
  private readonly store: EventStore
  private readonly report: Report
  private readonly places = new Places()
  /** Streams that keep only their last event have their own count in the new log. */
  private readonly keptRevisions = new Map<string, number>()
  private group: Group | undefined
  private inFlight: {
    readonly line: number
    readonly bytes: number
    readonly outcome: Promise<Appended | undefined>
  }[] = []
  private bytesInFlight = 0
  private newest: Position = positionBeforeAll

  constructor(store: EventStore, report: Report) {
    this.store = store
    this.report = report
  }

  /** Takes the next event of the export; waits while too much is under way. */
  async add(line: ExportedEvent): Promise<void> {
    const { stream, revision, position } = line
    const event = line.event.type === cursorType ? await this.moved(line.event) : line.event
    const kept = keepsLastOnly(stream) ? (this.keptRevisions.get(stream) ?? 0) : undefined
    if (kept !== undefined) this.keptRevisions.set(stream, kept + 1)
    const newRevision = kept ?? revision
    const bytes = bytesOfEvent(event)
    const { group } = this
    const isNext = group?.stream === stream && group.firstRevision + group.events.length === newRevision
    if (group && isNext && group.events.length < appendEventsMax && group.bytes + bytes <= appendBytesMost) {
      group.events.push(event)
      group.bytes += bytes
    } else {
      await this.send()
      this.group = { stream, firstLine: line.number, firstRevision: newRevision, events: [event], bytes }
    }
    this.events++
    this.places.add(position, stream, newRevision)
  }

  /** Waits until everything is in the log. */
  async finish(): Promise<void> {
    await this.send()
    await this.settle(0, 0)
  }

  private async send(): Promise<void> {
    const { group } = this
    if (!group) return
    this.group = undefined
    await this.settle(appendsInFlightMax - 1, bytesInFlightMax)
    const expected = group.firstRevision === 0 ? 'none' : group.firstRevision - 1
    const outcome = this.store.append(group.stream, group.events, expected).catch(error => {
      if (!wasThere(error, group)) throw error
      return undefined
    })
    // Looked at in order, later; until then a failure is nobody's unhandled rejection.
    outcome.catch(() => undefined)
    this.inFlight.push({ line: group.firstLine, bytes: group.bytes, outcome })
    this.bytesInFlight += group.bytes
  }

  private async settle(appends: number, bytes: number): Promise<void> {
    while (this.inFlight.length > appends || this.bytesInFlight > bytes) {
      const next = this.inFlight.shift()
      if (!next) return
      const appended = await next.outcome.catch(cause => {
        throw new BadExport(next.line, `${(cause as Error).message}. ${incomplete}`, { cause })
      })
      this.bytesInFlight -= next.bytes
      if (appended === undefined) continue
      const { position } = appended
      if (position <= this.newest) throw new BadExport(next.line, 'the store did not keep the order of the events')
      this.newest = position
    }
  }

  /** The cursor's event at its position in the new log. */
  private async moved(event: NewEvent): Promise<NewEvent> {
    const data = event.data as { readonly name?: unknown; readonly position?: unknown }
    if (typeof data.position !== 'string') return event
    await this.finish()
    const place = this.places.at(data.position as Position)
    if (place && place.position > data.position) {
      this.report(`follower ${data.name} was more than ${placesMax} events behind: it skips those before the last ones`)
    }
    const [found] = place
      ? await this.store.read(place.stream, { from: place.revision, direction: 'forwards', limit: 1 })
      : []
    const moved = { ...data, position: found?.position ?? positionBeforeAll }
    return { ...event, data: moved, text: JSON.stringify(moved) }
  }
}

/** An import that goes on may find that a stream that keeps only its last event has a later one: then this one was there too. */
const wasThere = (error: unknown, { stream, firstRevision, events }: Group): boolean =>
  error instanceof Conflict &&
  keepsLastOnly(stream) &&
  error.actual !== 'none' &&
  error.actual >= firstRevision + events.length - 1

interface Place {
  readonly position: Position
  readonly stream: string
  readonly revision: number
}

/** Where the last events of the export went. */
class Places {
  private older: Place[] = []
  private newer: Place[] = []

  add(position: Position, stream: string, revision: number): void {
    if (this.newer.length >= placesMax) {
      this.older = this.newer
      this.newer = []
    }
    // What a stream that keeps its last event once held may be gone, so nothing may point there.
    if (!keepsLastOnly(stream)) this.newer.push({ position, stream, revision })
  }

  /** The last event at or before a position; else the first one that is remembered. */
  at(position: Position): Place | undefined {
    const oldest = this.older[0] ?? this.newer[0]
    const isInNewer = this.newer[0] && this.newer[0].position <= position
    return lastUpTo(isInNewer ? this.newer : this.older, position) ?? this.skipped(oldest)
  }

  /** Nothing was forgotten yet: the cursor stands before the first event. */
  private skipped(oldest: Place | undefined): Place | undefined {
    return this.older.length > 0 ? oldest : undefined
  }
}

const lastUpTo = (places: readonly Place[], position: Position): Place | undefined => {
  let low = 0
  let high = places.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((places[middle] as Place).position <= position) low = middle + 1
    else high = middle
  }
  return places[low - 1]
}
