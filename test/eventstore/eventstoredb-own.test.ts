// Events that come back by the subscription: the object that was sent, if and only if the log has it word for word.

import { expect, test } from 'vitest'
import { OwnEvents, ownEventsMax, ownUnitsMax } from '../../eventstore/eventstoredb-own.ts'
import type { NewEvent, RecordedEvent } from '../../eventstore/port.ts'
import { positionOf } from '../../eventstore/port.ts'
import { newEvent, newEvents } from '../contract/fixture.ts'
import { withStandIn } from '../support/stand-in-store.ts'

const stream = 'account-a'
/** As the log has it. */
const recordOf = ({ id, type, text }: NewEvent) => ({ id, type, text, stream, revision: 7, position: positionOf(9) })

test('an event comes back as the object that was sent, once', () => {
  const own = new OwnEvents()
  const event = newEvent()
  own.add(stream, [event])
  const back = own.take(recordOf(event))
  expect(back).toEqual({ ...event, stream, revision: 7, position: positionOf(9) })
  expect(back?.data).toBe(event.data)
  expect(own.take(recordOf(event))).toBeUndefined()
})

test('an event that the log has in other words is not the one that was sent', () => {
  for (const change of [{ text: '{"other":1}' }, { type: 'Other' }, { stream: 'account-b' }]) {
    const own = new OwnEvents()
    const event = newEvent()
    own.add(stream, [event])
    expect(own.take({ ...recordOf(event), ...change })).toBeUndefined()
  }
})

test('an event that was not sent here, or that a command is known by, is none of them', () => {
  const own = new OwnEvents()
  const event = newEvent({ command: { key: newEvent().id, fingerprint: 'print' } })
  own.add(stream, [event])
  expect(own.take(recordOf(event))).toBeUndefined()
  expect(own.take(recordOf(newEvent()))).toBeUndefined()
})

test('of too many the oldest are forgotten', () => {
  const own = new OwnEvents()
  const events = newEvents(ownEventsMax + 1)
  own.add(stream, events)
  const taken = events.map(event => own.take(recordOf(event)))
  expect(taken.filter(event => event === undefined)).toHaveLength(1)
  expect(taken[0]).toBeUndefined()
})

test('of too much text the oldest is forgotten, and a repeat counts once', () => {
  const own = new OwnEvents()
  const text = JSON.stringify({ text: 'x'.repeat(ownUnitsMax / 4) })
  const events = Array.from({ length: 4 }, () => newEvent({ text }))
  for (const event of [...events, ...events.slice(1)]) own.add(stream, [event])
  expect(events.map(event => own.take(recordOf(event)) === undefined)).toEqual([true, false, false, false])
})

test(
  'a subscription hands out the very object, a page reads it anew',
  withStandIn(async ({ open }) => {
    const store = await open()
    const end = new AbortController()
    const coming = store.subscribe({ from: 'start', signal: end.signal })[Symbol.asyncIterator]()
    let event: NewEvent
    let back: RecordedEvent | undefined
    let revision = -1
    // At first it may be followed twice, until the subscription has joined what all share.
    do {
      event = newEvent()
      await store.append(stream, [event], revision < 0 ? 'none' : revision)
      revision++
      while (back?.id !== event.id) [back] = ((await coming.next()).value as readonly RecordedEvent[]).slice(-1)
    } while (back.data !== event.data)
    end.abort()
    expect(back).toMatchObject({ stream, revision })
    const [read] = await store.read(stream, { from: 'end', direction: 'backwards', limit: 1 })
    expect(read).toEqual(back)
    expect(read?.data).not.toBe(event.data)
  }),
)
