// Owns the contract's rules about subscriptions: order, no gap, no double, back-pressure, the end.
// Declares tests only; waits for events, never for time.

import { expect } from 'vitest'
import type { EventStore, RecordedEvent } from '../../eventstore/port.ts'
import { subscriptionBatchEventsMax } from '../../eventstore/port.ts'
import type { ContractTest } from './fixture.ts'
import { collect, expectIncreasing, newEvents, positionsOf, readStream, recorded, walkLog } from './fixture.ts'

const appendedEvents = async (store: EventStore, name: string, count: number, perAppend: number) => {
  const events = newEvents(count)
  for (let at = 0; at < count; at += perAppend) {
    await store.append(name, events.slice(at, at + perAppend), at === 0 ? 'none' : at - 1)
  }
  return events.map((event, index) => recorded(event, name, index))
}

export const subscribeContract = (check: ContractTest): void => {
  startContract(check)
  liveContract(check)
  endContract(check)
}

const startContract = (check: ContractTest): void => {
  check('from the start: the whole log in log order, each event once', async ({ store, stream }) => {
    const names = [stream(), stream('group')]
    for (const name of names) await store.append(name, newEvents(3), 'none')
    const log = await walkLog(store, 'start')
    const seen: RecordedEvent[] = []
    const controller = new AbortController()
    for await (const batch of store.subscribe({ from: 'start', signal: controller.signal })) {
      seen.push(...batch)
      if (seen.length >= log.length) controller.abort()
    }
    expect(seen).toEqual(log)
  })

  check('from the middle of an append: exclusive', async ({ store, stream }) => {
    const name = stream()
    await store.append(name, newEvents(5), 'none')
    const events = await readStream(store, name)
    for (const [index, event] of events.slice(0, -1).entries()) {
      expect(await collect(store, event.position, 4 - index, [name])).toEqual(events.slice(index + 1))
    }
  })

  check('from the head: only what comes later', async ({ store, stream }) => {
    const name = stream()
    await store.append(name, newEvents(3), 'none')
    const later = newEvents(2)
    const head = await store.head()
    const collected = collect(store, head, 2, [name])
    const appended = await store.append(name, later, 2)
    const events = await collected
    expect(events).toEqual(later.map((event, index) => recorded(event, name, index + 3)))
    expect(events.at(-1)?.position).toBe(appended.position)
  })

  check('a batch is never empty and never longer than subscriptionBatchEventsMax', async ({ store, stream }) => {
    const name = stream()
    const head = await store.head()
    const expected = await appendedEvents(store, name, 2 * subscriptionBatchEventsMax + 200, 400)
    const controller = new AbortController()
    const seen: RecordedEvent[] = []
    for await (const batch of store.subscribe({ from: head, signal: controller.signal })) {
      expect(batch.length).toBeGreaterThan(0)
      expect(batch.length).toBeLessThanOrEqual(subscriptionBatchEventsMax)
      seen.push(...batch)
      if (seen.length >= expected.length) controller.abort()
    }
    expect(seen).toEqual(expected)
  })
}

const liveContract = (check: ContractTest): void => {
  twoSubscribersContract(check)
  check('catching up while others append: no gap, no double, in log order', async ({ store, stream }) => {
    const names = [stream(), stream(), stream()]
    const head = await store.head()
    const first = names[0] ?? expect.fail()
    await appendedEvents(store, first, 1_500, 300)
    const collected = collect(store, head, 1_500 + 3 * 300, names)
    await Promise.all(
      names.map(async (name, index) => {
        let revision: number | 'none' = index === 0 ? 1_499 : 'none'
        for (let round = 0; round < 100; round++) ({ revision } = await store.append(name, newEvents(3), revision))
      }),
    )
    const events = await collected
    const log = (await walkLog(store, head)).filter(event => names.includes(event.stream))
    expect(positionsOf(events)).toEqual(positionsOf(log))
    expect(events).toEqual(log)
    expectIncreasing(positionsOf(events))
  })

  check('a live subscriber gets what was appended, whatever the stream', async ({ store, stream }) => {
    const names = [stream(), stream('inbox'), stream('account')]
    const head = await store.head()
    const collected = collect(store, head, 3, names)
    const events = newEvents(3)
    const positions: string[] = []
    for (const [index, name] of names.entries()) {
      positions.push((await store.append(name, events.slice(index, index + 1), 'none')).position)
    }
    expect(await collected).toEqual(
      events.map((event, index) => recorded(event, names[index] ?? expect.fail(), 0, positions[index])),
    )
  })

  check('a slow consumer misses nothing and gets nothing twice', async ({ store, stream }) => {
    const name = stream()
    const head = await store.head()
    const controller = new AbortController()
    const iterator = store.subscribe({ from: head, signal: controller.signal })[Symbol.asyncIterator]()
    const firstBatch = iterator.next()
    const expected = await appendedEvents(store, name, 6_000, 200)
    const seen: RecordedEvent[] = []
    for (let result = await firstBatch; !result.done; result = await iterator.next()) {
      seen.push(...result.value.filter(event => event.stream === name))
      if (seen.length >= expected.length) controller.abort()
    }
    expect(seen).toEqual(expected)
  })
}

const twoSubscribersContract = (check: ContractTest): void => {
  check('two subscribers see the same; a stalled one does not hold the other back', async ({ store, stream }) => {
    const name = stream()
    const head = await store.head()
    const controller = new AbortController()
    const stalled = store.subscribe({ from: head, signal: controller.signal })[Symbol.asyncIterator]()
    const stalledFirst = stalled.next()
    const swift = collect(store, head, 1_200, [name])
    const expected = await appendedEvents(store, name, 1_200, 100)
    expect(await swift).toEqual(expected)
    const seen: RecordedEvent[] = []
    for (let result = await stalledFirst; !result.done; result = await stalled.next()) {
      seen.push(...result.value.filter(event => event.stream === name))
      if (seen.length >= expected.length) controller.abort()
    }
    expect(seen).toEqual(expected)
  })
}

const endContract = (check: ContractTest): void => {
  check('abort ends a waiting subscription without an error, and it stays ended', async ({ store }) => {
    const controller = new AbortController()
    const subscription = store.subscribe({ from: await store.head(), signal: controller.signal })
    const iterator = subscription[Symbol.asyncIterator]()
    const waiting = iterator.next()
    controller.abort()
    expect(await waiting).toEqual({ done: true, value: undefined })
    expect(await iterator.next()).toEqual({ done: true, value: undefined })
  })

  check('a signal that is already aborted gives an empty subscription', async ({ store, stream }) => {
    await store.append(stream(), newEvents(1), 'none')
    const batches: unknown[] = []
    for await (const batch of store.subscribe({ from: 'start', signal: AbortSignal.abort() })) batches.push(batch)
    expect(batches).toEqual([])
  })

  check('nothing comes after the abort, though more is there', async ({ store, stream }) => {
    const name = stream()
    const head = await store.head()
    await appendedEvents(store, name, 2_000, 500)
    const controller = new AbortController()
    let batches = 0
    for await (const _ of store.subscribe({ from: head, signal: controller.signal })) {
      batches++
      controller.abort()
      await store.append(stream(), newEvents(1), 'none')
    }
    expect(batches).toBe(1)
  })

  check('a consumer may leave the loop early, and subscribe again', async ({ store, stream }) => {
    const name = stream()
    const head = await store.head()
    await store.append(name, newEvents(3), 'none')
    const { signal } = new AbortController()
    let first: RecordedEvent | undefined
    for await (const batch of store.subscribe({ from: head, signal })) {
      first = batch[0]
      break
    }
    const from = (first ?? expect.fail('nothing came')).position
    expect((await collect(store, from, 2, [name])).map(event => event.revision)).toEqual([1, 2])
  })
}
