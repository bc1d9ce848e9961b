// Owns what the contract suite of the event store stands on: the fixture an adapter hands in, event makers, walkers.
// Never assumes an empty log: stream names are new for every test, and listings start at the head the test found.

import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import type { Position } from '../../domain/ids.ts'
import type { CommandMark, EventStore, NewEvent, RecordedEvent } from '../../eventstore/port.ts'
import { readEventsMax } from '../../eventstore/port.ts'

/** One open store for one test. */
export interface ContractFixture {
  readonly store: EventStore
  /** Closes the store (if it is still open) and opens the same log again, as after a restart. */
  readonly reopen?: () => Promise<EventStore>
  /** Closes whatever is open and removes what the test wrote, where that is possible. */
  readonly dispose: () => Promise<void>
}

export type ContractFactory = () => Promise<ContractFixture>

export interface ContractContext {
  readonly store: EventStore
  /** A stream name no other test uses. */
  readonly stream: (category?: string) => string
  readonly reopen: () => Promise<EventStore>
}

export type ContractTest = (rule: string, body: (context: ContractContext) => Promise<void>) => void

const contextOf = (fixture: ContractFixture): ContractContext => ({
  store: fixture.store,
  stream: (category = 'conversation') => `${category}-${randomUUID()}`,
  reopen: async () => {
    if (!fixture.reopen) throw new Error('the fixture cannot reopen')
    return fixture.reopen()
  },
})

/** Binds test declarations to a factory: each test gets its own fixture and always disposes of it. */
export const contractTests = (factory: ContractFactory) => {
  const check: ContractTest = (rule, body) =>
    test(rule, async () => {
      const fixture = await factory()
      try {
        await body(contextOf(fixture))
      } finally {
        await fixture.dispose()
      }
    })
  /** For rules about restarts; skipped where the adapter cannot reopen. */
  const checkRestart: ContractTest = (rule, body) =>
    test(rule, async testContext => {
      const fixture = await factory()
      try {
        testContext.skip(!fixture.reopen, 'the fixture cannot reopen')
        await body(contextOf(fixture))
      } finally {
        await fixture.dispose()
      }
    })
  return { check, checkRestart }
}

let eventNumber = 0

/** A valid event nobody else has; `text` is the JSON text of `data` unless given. */
export const newEvent = (
  change: { id?: string; type?: string; data?: object; text?: string; command?: CommandMark } = {},
): NewEvent => {
  const data = change.data ?? { number: ++eventNumber, note: 'hello' }
  return {
    id: change.id ?? randomUUID(),
    type: change.type ?? 'Noted',
    data,
    text: change.text ?? JSON.stringify(data),
    ...(change.command && { command: change.command }),
  }
}

export const newEvents = (count: number): NewEvent[] => Array.from({ length: count }, () => newEvent())

/** What the log must hold for an event that was appended. */
export const recorded = (event: NewEvent, stream: string, revision: number, position: unknown = anyPosition()) => ({
  ...event,
  stream,
  revision,
  position,
})

/** Matches 16 lower-case hex digits. */
export const anyPosition = () => expect.stringMatching(/^[0-9a-f]{16}$/)

/** The whole stream, oldest first, by full pages. */
export const readStream = (store: EventStore, stream: string) =>
  store.read(stream, { from: 'start', direction: 'forwards', limit: readEventsMax })

/** The error a promise (or a synchronous throw) ends with; fails when there is none. */
export const failureOf = async (act: () => unknown): Promise<unknown> => {
  let value: unknown
  try {
    value = await act()
  } catch (error) {
    return error
  }
  throw new Error(`expected a failure, got ${JSON.stringify(value)}`)
}

/** Every event from `from` (inclusive) to the end of the log, walked forwards by pages of `limit`. */
export const walkLog = async (store: EventStore, from: Position | 'start', limit = readEventsMax) => {
  const events: RecordedEvent[] = []
  let next: Position | 'start' = from
  for (;;) {
    const page: readonly RecordedEvent[] = await store.readAll({ from: next, direction: 'forwards', limit })
    const fresh = events.length === 0 ? page : page.slice(1)
    events.push(...fresh)
    const last = page.at(-1)
    if (!last || page.length < limit) return events
    next = last.position
  }
}

/** Collects a subscription until `count` events of the given streams have come; then aborts it. */
export const collect = async (
  store: EventStore,
  from: Position | 'start',
  count: number,
  streams: readonly string[],
): Promise<RecordedEvent[]> => {
  const controller = new AbortController()
  const events: RecordedEvent[] = []
  for await (const batch of store.subscribe({ from, signal: controller.signal })) {
    for (const event of batch) if (streams.includes(event.stream)) events.push(event)
    if (events.length >= count) controller.abort()
  }
  return events
}

export const positionsOf = (events: readonly RecordedEvent[]): Position[] => events.map(event => event.position)

/** Fails unless each position is greater than the one before. */
export const expectIncreasing = (positions: readonly Position[]): void => {
  for (let index = 1; index < positions.length; index++) {
    expect((positions[index - 1] as string) < (positions[index] as string)).toBe(true)
  }
}
