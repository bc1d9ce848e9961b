// Owns how a stretch of the log is handed to the projections: in log order, and by type for those that fold few types.
// A batch is cut anywhere; nothing may depend on where.

import type { EventOf, EventType } from '../domain/events.ts'
import type { RecordedEvent } from '../eventstore/port.ts'

/** An event of a known type, as it stands in the log. */
export type Recorded<Type extends EventType = EventType> = Type extends EventType
  ? Omit<RecordedEvent, 'type' | 'data'> & EventOf<Type>
  : never

export interface Batch {
  readonly events: readonly Recorded[]
  readonly of: <Type extends EventType>(type: Type) => readonly Recorded<Type>[]
  /** Events of several types in log order. */
  readonly ofAny: <Type extends EventType>(types: readonly Type[]) => readonly Recorded<Type>[]
}

const none: readonly never[] = []

export const batchOf = (events: readonly RecordedEvent[]): Batch => {
  const byType = new Map<string, RecordedEvent[]>()
  for (const event of events) {
    const same = byType.get(event.type)
    if (same === undefined) byType.set(event.type, [event])
    else same.push(event)
  }
  const of = <Type extends EventType>(type: Type) => (byType.get(type) ?? none) as unknown as readonly Recorded<Type>[]
  return {
    events: events as unknown as readonly Recorded[],
    of,
    ofAny: types => {
      const present = types.filter(type => byType.has(type))
      if (present.length === 0) return none
      if (present.length === 1) return of(present[0] as (typeof types)[number])
      const wanted = new Set<string>(present)
      return events.filter(event => wanted.has(event.type)) as unknown as readonly Recorded<(typeof types)[number]>[]
    },
  }
}
