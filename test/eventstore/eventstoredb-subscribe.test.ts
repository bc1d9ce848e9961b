// Owns what the contract cannot say of subscriptions on EventStoreDB: that whatever happens to the server, the consumer gets
// every event once and in order. Each test has its own stand-in server; times are short, so that silence is soon noticed.

import { expect, test } from 'vitest'
import type { Position } from '../../domain/ids.ts'
import type { EventStore, RecordedEvent } from '../../eventstore/port.ts'
import { CorruptLog, positionOf } from '../../eventstore/port.ts'
import { failureOf, newEvent, newEvents, positionsOf, readStream, walkLog } from '../contract/fixture.ts'
import { StandInLog } from '../support/stand-in-log.ts'
import type { StandIn } from '../support/stand-in-process.ts'
import { appendUntilKnown, onceAvailable, withStandIn } from '../support/stand-in-store.ts'

/** Follows the log; `until` resolves when so many events have come. */
const startFollowing = (store: EventStore, from: Position | 'start') => {
  const seen: RecordedEvent[] = []
  const controller = new AbortController()
  let arrived = () => {}
  const following = (async () => {
    for await (const batch of store.subscribe({ from, signal: controller.signal })) {
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

const restart = (server: StandIn) => server.restart()

const faults: readonly (readonly [name: string, fault: (server: StandIn, store: EventStore) => Promise<unknown>])[] = [
  ['killed and restarted', restart],
  ['killed twice', async server => [await restart(server), await restart(server)]],
  ['ended in good order', server => server.order({ name: 'end-calls' })],
  ['reset', server => server.order({ name: 'reset' })],
  ['cut off without a word', server => server.order({ name: 'strand' })],
  ['stalled without a word', server => server.order({ name: 'stall-subscriptions' })],
  [
    'frozen and thawed',
    async (server, store) => {
      server.freeze()
      await failureOf(() => store.head())
      await failureOf(() => store.head())
      server.thaw()
    },
  ],
  [
    'deaf for a while',
    async (server, store) => {
      await server.order({ name: 'deaf', on: true })
      await failureOf(() => store.head())
      await failureOf(() => store.head())
      await server.order({ name: 'deaf', on: false })
    },
  ],
  [
    'frozen and then killed',
    async (server, store) => {
      server.freeze()
      await failureOf(() => store.head())
      await restart(server)
    },
  ],
]

for (const [name, fault] of faults) {
  test(
    `a subscription to a server that is ${name} goes on without loss or double`,
    withStandIn(async ({ server, open }) => {
      const store = await open()
      const streams = ['account-a', 'group-b', 'inbox-c', 'conversation-d']
      for (const stream of streams) await store.append(stream, newEvents(20), 'none')
      const follower = startFollowing(store, 'start')
      await follower.until(20)
      const append = async (count: number, from: number) => {
        for (let revision = from; revision < from + count; revision++) {
          await Promise.all(streams.map(stream => appendUntilKnown(store, stream, [newEvent()], revision)))
        }
      }
      await Promise.all([append(10, 19), fault(server, store)])
      await append(10, 29)
      await follower.until(160)
      await follower.stop()
      expect(follower.seen).toEqual(await walkLog(store, 'start'))
      expect(follower.seen).toHaveLength(160)
    }),
  )
}

test(
  'a subscription that is idle when its server dies brings the first event after the restart',
  withStandIn(async ({ server, open }) => {
    const store = await open()
    const { position } = await store.append('account-a', newEvents(1), 'none')
    const follower = startFollowing(store, position)
    await server.restart()
    const event = newEvent()
    await appendUntilKnown(store, 'account-a', [event], 0)
    await follower.until(1)
    expect(follower.seen.map(({ id }) => id)).toEqual([event.id])
    await follower.stop()
  }),
)

test(
  'a consumer that works while the server dies gets what follows the batch it has handled',
  withStandIn(async ({ server, open }) => {
    const store = await open()
    for (let revision = -1; revision < 2_999; revision += 500) {
      await store.append('account-a', newEvents(500), revision < 0 ? 'none' : revision)
    }
    const seen: number[] = []
    const controller = new AbortController()
    for await (const batch of store.subscribe({ from: 'start', signal: controller.signal })) {
      if (seen.length === 0) await server.restart()
      seen.push(...batch.map(({ revision }) => revision))
      if (seen.length >= 3_000) controller.abort()
    }
    expect(seen).toEqual(Array.from({ length: 3_000 }, (_, index) => index))
  }),
)

test(
  'a subscription may start between events',
  withStandIn(async ({ open }) => {
    const store = await open()
    await store.append('account-a', newEvents(5), 'none')
    const events = await readStream(store, 'account-a')
    for (const index of [0, 1, 2, 3]) {
      const before = (events[index] as RecordedEvent).position
      const follower = startFollowing(store, positionOf(BigInt(`0x${before}`) + 1n))
      await follower.until(4 - index)
      expect(positionsOf(follower.seen)).toEqual(positionsOf(events.slice(index + 1)))
      await follower.stop()
    }
  }),
)

test(
  'a subscription behind the end of the log is an error: it is not the log that the position was read in',
  withStandIn(async ({ open }) => {
    const store = await open()
    const { position } = await store.append('account-a', newEvents(1), 'none')
    const beyond = positionOf(BigInt(`0x${position}`) + 1_000_000n)
    const iterator = store.subscribe({ from: beyond, signal: new AbortController().signal })[Symbol.asyncIterator]()
    expect(await failureOf(() => iterator.next())).toBeInstanceOf(CorruptLog)
  }),
)

test(
  'a server that comes back with an older copy of its log is noticed',
  withStandIn(async ({ server, open }) => {
    const store = await open()
    await store.append('account-a', newEvents(2), 'none')
    const controller = new AbortController()
    const iterator = store.subscribe({ from: 'start', signal: controller.signal })[Symbol.asyncIterator]()
    await iterator.next()
    const next = failureOf(() => iterator.next())
    await server.kill()
    await server.removeLog()
    new StandInLog(server.dataDir).close()
    await server.restart()
    expect(await next).toBeInstanceOf(CorruptLog)
  }),
)

test(
  'leaving subscriptions leaves no call open',
  withStandIn(async ({ server, open }) => {
    const store = await open()
    await store.append('account-a', newEvents(3), 'none')
    for (let round = 0; round < 60; round++) {
      for await (const _ of store.subscribe({ from: 'start', signal: new AbortController().signal })) break
    }
    while ((await server.order({ name: 'count-reads' })) !== 0) await onceAvailable(() => store.head())
    expect(await readStream(store, 'account-a')).toHaveLength(3)
  }),
)
