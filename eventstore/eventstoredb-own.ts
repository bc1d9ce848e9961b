// Owns the events that went out over a line and have not come back by its subscription: each comes back as the object that was
// sent, without another parse, and with the very texts that everybody here looks it up by. Bounded. Must never give another
// event than the one that the log has.

import type { NewEvent, RecordedEvent } from './port.ts'
import { unitsOf } from './rules.ts'

/** Most events that may be on their way, and most UTF-16 units in them; the oldest beyond are forgotten, and parsed when they come. */
export const ownEventsMax = 16_384
export const ownUnitsMax = 8 * 1_048_576

interface Sent {
  readonly stream: string
  readonly event: NewEvent
}

export class OwnEvents {
  private readonly sent = new Map<string, Sent>()
  private units = 0

  add(stream: string, events: readonly NewEvent[]): void {
    for (const event of events) {
      // How a command is known stands in the metadata, which would have to be compared as well.
      if (event.command !== undefined) continue
      this.forget(event.id)
      this.sent.set(event.id, { stream, event })
      this.units += unitsOf(event)
    }
    for (const id of this.sent.keys()) {
      if (this.sent.size <= ownEventsMax && this.units <= ownUnitsMax) return
      this.forget(id)
    }
  }

  /** The recorded event if it is, word for word, one that was sent; it comes back once. */
  take(record: Omit<RecordedEvent, 'data' | 'command'>): RecordedEvent | undefined {
    const sent = this.forget(record.id)
    if (sent === undefined) return undefined
    const { stream, event } = sent
    if (stream !== record.stream || event.type !== record.type || event.text !== record.text) return undefined
    const { id, type, data, text } = event
    return { id, type, data, text, stream, revision: record.revision, position: record.position }
  }

  private forget(id: string): Sent | undefined {
    const sent = this.sent.get(id)
    if (sent === undefined) return undefined
    this.sent.delete(id)
    this.units -= unitsOf(sent.event)
    return sent
  }
}
