// Owns an event log made of given events, held in memory: what tests of readers of the log read from. It can be away, and
// events can be added while somebody reads.

import type { Position } from '../../domain/ids.ts'
import { type EventStore, positionBeforeAll, type RecordedEvent, Unavailable } from '../../eventstore/port.ts'

export interface GivenLog extends EventStore {
  add(events: readonly RecordedEvent[]): void
  /** While away every call throws, and subscriptions end with an error. */
  setAway(isAway: boolean): void
}

/** A log that holds these events. Nothing can be appended by its port. */
export const givenLog = (logId: string, given: readonly RecordedEvent[] = []): GivenLog => {
  const events: RecordedEvent[] = [...given]
  let isAway = false
  let wake = new Set<() => void>()
  const changed = () => {
    const waiting = wake
    wake = new Set()
    for (const resume of waiting) resume()
  }
  const present = () => {
    if (isAway) throw new Unavailable('the log is away')
  }
  /** Index of the first event after a position. */
  const indexAfter = (position: Position): number => {
    const index = events.findIndex(event => event.position > position)
    return index < 0 ? events.length : index
  }
  const refuse = () => Promise.reject(new Error('a given log only reads'))
  async function* subscribe({ from, signal }: Parameters<EventStore['subscribe']>[0]) {
    let next = from === 'start' ? 0 : indexAfter(from)
    while (!signal.aborted) {
      present()
      const batch = events.slice(next, next + 1_000)
      next += batch.length
      if (batch.length > 0) yield batch
      else {
        await new Promise<void>(resolve => {
          wake.add(resolve)
          signal.addEventListener('abort', () => resolve(), { once: true })
        })
      }
    }
  }
  return {
    logId,
    appendsAtOnce: Number.POSITIVE_INFINITY,
    append: refuse,
    read: refuse,
    readAll: async ({ from, direction, limit }) => {
      present()
      if (direction === 'backwards' || from === 'end') return refuse()
      const start = from === 'start' ? 0 : events.findIndex(event => event.position >= from)
      return start < 0 ? [] : events.slice(start, start + limit)
    },
    subscribe,
    head: async () => {
      present()
      return events.at(-1)?.position ?? positionBeforeAll
    },
    close: async () => {},
    add: added => {
      for (const event of added) events.push(event)
      changed()
    },
    setAway: away => {
      isAway = away
      changed()
    },
  }
}
