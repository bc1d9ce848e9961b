// The keys of the last minutes: what is remembered, what is forgotten, and when memory alone may say "never sent".

import { expect, test } from 'vitest'
import type { ConversationId, Instant, Position, UserId } from '../../domain/ids.ts'
import { limits } from '../../domain/limits.ts'
import { instantOf } from '../../eventstore/clock.ts'
import {
  type EventStore,
  positionBeforeAll,
  positionOf,
  type RecordedEvent,
  readEventsMax,
} from '../../eventstore/port.ts'
import { createRecentSends, sendKeyAgeMsMax } from '../../eventstore/sends.ts'
import { handClock, newEvent } from '../support/test-node.ts'

const ann = 'ann' as UserId
const clock = handClock()
const nowMs = clock.unixMs()
/** A clientMessageId may be this much ahead, and clocks of nodes this much apart. */
const marginMs = limits.clientClockAheadSecondsMax * 1_000 + 10_000

const recorded = (position: number, type: string, data: object): RecordedEvent => ({
  ...newEvent(type, data),
  stream: 'any',
  revision: 0,
  position: positionOf(position),
})
const message = (position: number, atMs: number, key = `key${position}`): RecordedEvent =>
  recorded(position, 'MessageSent', {
    conversationId: 'p2p:ann:bob' as ConversationId,
    seq: position,
    from: ann,
    clientMessageId: key,
    type: 'text',
    body: { text: key },
    at: instantOf(atMs) as Instant,
    countable: position,
  })
const pinned = (position: number, atMs: number) => recorded(position, 'ConversationPinned', { at: instantOf(atMs) })

/** A log that is only read backwards, and counts its pages. */
const logOf = (events: readonly RecordedEvent[]) => {
  const pages: number[] = []
  const readAll: EventStore['readAll'] = async ({ from, limit }) => {
    const page = events
      .filter(({ position }) => position <= from)
      .slice(-limit)
      .toReversed()
    pages.push(page.length)
    return page
  }
  return { store: { readAll } as EventStore, pages, head: events.at(-1)?.position ?? positionBeforeAll }
}
const loaded = async (events: readonly RecordedEvent[], keysMax?: number) => {
  const sends = createRecentSends(clock, keysMax)
  const { store, pages, head } = logOf(events)
  await sends.load(store, head)
  return { sends, pages }
}

test('a log without events has nothing to forget', async () => {
  const { sends, pages } = await loaded([])
  expect([sends.size, sends.forgotten, sends.decides(undefined), pages]).toEqual([0, positionBeforeAll, true, []])
})

test('a short log is remembered whole, however old', async () => {
  const { sends } = await loaded([message(1, 0), message(2, nowMs)])
  expect(sends.find(ann, 'key2')).toMatchObject({ seq: 2, position: positionOf(2) })
  expect([sends.forgotten, sends.decides(undefined)]).toEqual([positionBeforeAll, true])
})

test('a long log is read back to the age that is remembered, and no further', async () => {
  const old = Array.from({ length: 5_000 }, (_, index) => message(index + 1, nowMs - sendKeyAgeMsMax * 2))
  const recent = Array.from({ length: 1_500 }, (_, index) => message(5_001 + index, nowMs - 1_000))
  const { sends, pages } = await loaded([...old, ...recent])
  expect(pages.length).toBeLessThanOrEqual(4)
  for (const { position } of recent) expect(sends.find(ann, `key${Number.parseInt(position, 16)}`)).toBeDefined()
  expect(sends.forgotten < positionOf(5_001)).toBe(true)
  expect(sends.forgotten > positionOf(3_000)).toBe(true)
})

test('a log of few messages between many other events is not read whole', async () => {
  const others = Array.from({ length: 20_000 }, (_, index) => pinned(index + 2, nowMs - sendKeyAgeMsMax * 2))
  const { sends, pages } = await loaded([message(1, nowMs - sendKeyAgeMsMax * 3), ...others])
  expect(pages).toEqual([readEventsMax])
  expect(sends.forgotten).toBe(others.at(-readEventsMax)?.position)
  expect(sends.decides(nowMs)).toBe(true)
  expect(sends.decides(nowMs - sendKeyAgeMsMax * 2)).toBe(false)
})

test('events that tell no time do not end the reading', async () => {
  const silent = Array.from({ length: 3_000 }, (_, index) => recorded(index + 2, 'StateSnapshotted', {}))
  const { sends } = await loaded([message(1, nowMs), ...silent])
  expect(sends.find(ann, 'key1')).toBeDefined()
  expect(sends.forgotten).toBe(positionBeforeAll)
})

test('no more keys are loaded than may be remembered', async () => {
  const events = Array.from({ length: 10_000 }, (_, index) => message(index + 1, nowMs - 10_000 + index))
  const { sends, pages } = await loaded(events, 2_000)
  expect(pages.length).toBeLessThanOrEqual(4)
  expect(sends.decides(nowMs)).toBe(false)
  expect(sends.decides(nowMs + 20_000)).toBe(true)
})

test('memory decides only for keys that are newer than everything forgotten, by what clocks may differ', async () => {
  const events = Array.from({ length: 3_000 }, (_, index) => message(index + 1, nowMs - sendKeyAgeMsMax - 1))
  const { sends } = await loaded(events)
  const forgottenMs = nowMs - sendKeyAgeMsMax - 1
  expect(sends.decides(forgottenMs + marginMs)).toBe(false)
  expect(sends.decides(forgottenMs + marginMs + 1)).toBe(true)
  expect(sends.decides(undefined)).toBe(false)
})

test('what is forgotten while running is told by place and time', () => {
  const sends = createRecentSends(clock, 1_000)
  const events = Array.from({ length: 4_000 }, (_, index) => message(index + 1, nowMs - 4_000 + index))
  sends.observe(events)
  expect(sends.size).toBeLessThanOrEqual(2_000)
  for (const { position, data } of events) {
    const { clientMessageId, at } = data as { clientMessageId: string; at: string }
    if (sends.find(ann, clientMessageId) !== undefined) continue
    expect(position <= sends.forgotten).toBe(true)
    // Made as far ahead as was allowed when it was sent.
    expect(sends.decides(Date.parse(at) + limits.clientClockAheadSecondsMax * 1_000)).toBe(false)
  }
})

test('times that run backwards between conversations make it forget no less carefully', () => {
  const sends = createRecentSends(clock, 1_000)
  const skewed = Array.from({ length: 3_000 }, (_, index) => message(index + 1, nowMs + (index % 2 === 0 ? 0 : -8_000)))
  sends.observe(skewed)
  expect(sends.forgotten).not.toBe(positionBeforeAll)
  expect(sends.decides(nowMs + marginMs)).toBe(false)
})

test('the first to tell of a key is believed', () => {
  const sends = createRecentSends(clock)
  sends.observe([message(5, nowMs, 'k')])
  sends.add(ann, 'k', {
    conversationId: 'p2p:ann:bob' as ConversationId,
    seq: 9,
    at: '',
    position: '0000000000000009' as Position,
    contentHash: 0,
  })
  expect(sends.find(ann, 'k')).toMatchObject({ seq: 5 })
})
