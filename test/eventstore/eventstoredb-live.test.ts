// Owns that subscriptions of one store share what they fetch: one call for all who have caught up, and nothing lost for who has
// not. Each test has its own stand-in server.

import { expect, test } from 'vitest'
import { liveEventsMax } from '../../eventstore/eventstoredb-live.ts'
import type { EventStore, RecordedEvent } from '../../eventstore/port.ts'
import { newEvents, positionsOf, walkLog } from '../contract/fixture.ts'
import { withStandIn } from '../support/stand-in-store.ts'

/** Follows the log from its start; `until` resolves when so many events have come. */
const startFollowing = (store: EventStore) => {
  const seen: RecordedEvent[] = []
  const controller = new AbortController()
  let arrived = () => {}
  const following = (async () => {
    for await (const batch of store.subscribe({ from: 'start', signal: controller.signal })) {
      seen.push(...batch)
      arrived()
    }
  })()
  const until = async (count: number) => {
    while (seen.length < count) {
      const more = new Promise<void>(resolve => {
        arrived = resolve
      })
      await Promise.race([more, following])
    }
  }
  const stop = async () => {
    controller.abort()
    await following
  }
  return { seen, until, stop }
}

const reads = { name: 'count-reads' } as const

test(
  'whoever has caught up shares one call with the others, and the last to leave ends it',
  withStandIn(async ({ server, open }) => {
    const store = await open()
    const followers = Array.from({ length: 5 }, () => startFollowing(store))
    // Each has a call of its own at first, opened before the shared one: it brings every event a moment earlier.
    while ((await server.order(reads)) !== 1 + followers.length) await store.head()
    let { revision } = await store.append('account-a', newEvents(3), 'none')
    for (const { until } of followers) await until(revision + 1)
    while ((await server.order(reads)) !== 1) await store.head()
    ;({ revision } = await store.append('account-a', newEvents(200), revision))
    for (const { until } of followers) await until(revision + 1)
    const log = await walkLog(store, 'start')
    for (const { seen } of followers) expect(seen).toEqual(log)
    const [first, ...others] = followers
    for (const { stop } of others) await stop()
    ;({ revision } = await store.append('account-a', newEvents(1), revision))
    await first?.until(revision + 1)
    expect(first?.seen).toHaveLength(revision + 1)
    await first?.stop()
    while ((await server.order(reads)) !== 0) await store.head()
  }),
)

test(
  'who works while more comes than is kept for all gets the rest by a call of its own',
  withStandIn(async ({ server, open }) => {
    const store = await open()
    const swift = startFollowing(store)
    const seen: RecordedEvent[] = []
    const controller = new AbortController()
    const iterator = store.subscribe({ from: 'start', signal: controller.signal })[Symbol.asyncIterator]()
    const take = async () => seen.push(...((await iterator.next()).value ?? expect.fail('it has ended')))
    let revision: number | 'none' = 'none'
    do {
      ;({ revision } = await store.append('account-a', newEvents(1), revision))
      await swift.until(revision + 1)
      while (seen.length <= revision) await take()
    } while ((await server.order(reads)) !== 1)
    const perAppend = 500
    for (let more = 0; more < liveEventsMax + perAppend; more += perAppend) {
      ;({ revision } = await store.append('account-a', newEvents(perAppend), revision))
    }
    await swift.until(revision + 1)
    while (seen.length <= revision) await take()
    controller.abort()
    await swift.stop()
    const log = await walkLog(store, 'start')
    expect(positionsOf(seen)).toEqual(positionsOf(log))
    expect(positionsOf(swift.seen)).toEqual(positionsOf(log))
  }),
)
