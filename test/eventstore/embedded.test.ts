// Owns the proof of what only the embedded event store promises: positions, group commit, shared objects, what it keeps.
// The rules of the port are in test/contract; the folder, damage and full disks in embedded-folder.test.ts.

import { expect, onTestFinished, test, vi } from 'vitest'
import { commitStalledMs } from '../../eventstore/embedded.ts'
import { indexGatheredMax } from '../../eventstore/embedded-index.ts'
import { EmbeddedLog } from '../../eventstore/embedded-log.ts'
import type { EventStore, NewEvent, RecordedEvent } from '../../eventstore/port.ts'
import { positionBeforeAll, positionOf, readEventsMax, Unavailable, UnknownOutcome } from '../../eventstore/port.ts'
import { collect, failureOf, newEvent, newEvents, readStream, recorded, walkLog } from '../contract/fixture.ts'
import { newFolder, openStore } from './embedded-folders.ts'

test('positions count from 1; the head of an empty log is before all', async () => {
  const store = await openStore(await newFolder())
  expect(await store.head()).toBe(positionBeforeAll)
  expect(await walkLog(store, 'start')).toEqual([])
  expect(await store.readAll({ from: 'end', direction: 'backwards', limit: 1 })).toEqual([])
  expect(await store.append('account-a', newEvents(2), 'none')).toEqual({ revision: 1, position: '0000000000000002' })
  expect(await store.append('account-b', newEvents(1), 'none')).toEqual({ revision: 0, position: '0000000000000003' })
  expect((await walkLog(store, 'start')).map(event => event.position)).toEqual([1, 2, 3].map(positionOf))
})

test('each new log has an id of its own', async () => {
  const [one, other] = [await openStore(await newFolder()), await openStore(await newFolder())]
  expect(one.logId).toMatch(/^[0-9a-f]{32}$/)
  expect(one.logId).not.toBe(other.logId)
})

/** A subscription that has caught up with the head of an empty log and waits. */
const waitingSubscriber = async (store: EventStore) => {
  const controller = new AbortController()
  const iterator = store.subscribe({ from: 'start', signal: controller.signal })[Symbol.asyncIterator]()
  const next = iterator.next()
  // Two turns: one in which it reads to the end, one more so that it listens.
  for (let turn = 0; turn < 2; turn++) await new Promise(resolve => setImmediate(resolve))
  return { next, iterator, controller }
}

test("subscribers share one object, with the caller's own data and text, and hear before the append is answered", async () => {
  const store = await openStore(await newFolder())
  const [one, other] = [await waitingSubscriber(store), await waitingSubscriber(store)]
  const order: string[] = []
  const event = newEvent({ command: { key: 'k', fingerprint: 'f' } })
  const heard = [one, other].map(async ({ next }, number) => {
    const { value } = await next
    order.push(`subscriber ${number}`)
    return value?.[0]
  })
  await store.append('account-a', [event], 'none').then(() => order.push('append'))
  const [first, second] = await Promise.all(heard)
  expect(order).toEqual(['subscriber 0', 'subscriber 1', 'append'])
  expect(first).toBe(second)
  expect(first?.data).toBe(event.data)
  expect(first).toEqual(recorded(event, 'account-a', 0, positionOf(1)))
})

test('the appends of one turn are one commit, and those that come during a commit are the next one', async () => {
  const store = await openStore(await newFolder())
  const { next, iterator } = await waitingSubscriber(store)
  const first = [1, 2, 3].map(number => store.append(`account-${number}`, newEvents(2), 'none'))
  await new Promise(resolve => setImmediate(resolve))
  const second = [4, 5].map(number => store.append(`account-${number}`, newEvents(1), 'none'))
  const batches = [(await next).value, (await iterator.next()).value]
  expect(batches.map(batch => batch?.length)).toEqual([6, 2])
  await Promise.all([...first, ...second])
})

test('a conflict with an append of the same commit names the revision that commit made', async () => {
  const store = await openStore(await newFolder())
  const [won, lost] = await Promise.allSettled([
    store.append('account-a', newEvents(3), 'none'),
    store.append('account-a', newEvents(1), 'none'),
  ])
  expect(won.status).toBe('fulfilled')
  expect(lost).toMatchObject({ reason: { code: 'conflict', actual: 2, expected: 'none' } })
})

test('streams that keep their last event lose the others from the whole log, in the same commit', async () => {
  const dataDir = await newFolder()
  const store = await openStore(dataDir)
  await store.append('follower-a', newEvents(3), 'none')
  await store.append('account-a', newEvents(1), 'none')
  await Promise.all([store.append('follower-a', newEvents(1), 2), store.append('follower-a', newEvents(2), 3)])
  const left = async (log: EventStore) => (await walkLog(log, 'start')).map(event => [event.stream, event.revision])
  expect(await left(store)).toEqual([
    ['account-a', 0],
    ['follower-a', 5],
  ])
  await store.close()
  const reopened = await openStore(dataDir)
  expect(await left(reopened)).toEqual([
    ['account-a', 0],
    ['follower-a', 5],
  ])
  expect(await reopened.append('follower-a', newEvents(1), 5)).toEqual({ revision: 6, position: positionOf(8) })
  expect(await left(reopened)).toEqual([
    ['account-a', 0],
    ['follower-a', 6],
  ])
})

/** Fills the log so far that the index has to leave memory twice; returns what each stream must hold. */
const fillBeyondMemory = async (store: EventStore): Promise<Map<string, NewEvent[]>> => {
  const streams = new Map<string, NewEvent[]>()
  const names = Array.from({ length: 60 }, (_, number) => `${number % 10 === 0 ? 'follower' : 'group'}-${number}`)
  names.push('conversation-hot')
  for (let written = 0; written < indexGatheredMax * 2.5; ) {
    const appends = names.flatMap(name => {
      const events = newEvents(name === 'conversation-hot' ? 200 : 5)
      const known = streams.get(name) ?? []
      streams.set(name, known.concat(events))
      written += events.length
      return store.append(name, events, known.length === 0 ? 'none' : known.length - 1)
    })
    await Promise.all(appends)
  }
  return streams
}

const expectStreams = async (store: EventStore, streams: ReadonlyMap<string, readonly NewEvent[]>): Promise<void> => {
  for (const [name, events] of streams) {
    const kept = name.startsWith('follower-') ? events.length - 1 : 0
    const seen: RecordedEvent[] = []
    for (let from = kept; from < events.length; from += readEventsMax) {
      seen.push(...(await store.read(name, { from, direction: 'forwards', limit: readEventsMax })))
    }
    expect(seen.map(event => [event.id, event.revision])).toEqual(
      events.slice(kept).map((event, index) => [event.id, kept + index]),
    )
    const middle = Math.max(kept, Math.floor(events.length / 2))
    const before = await store.read(name, { from: middle, direction: 'backwards', limit: 300 })
    expect(before).toEqual(seen.slice(Math.max(0, middle - kept - 299), middle - kept + 1).reverse())
    const [newest] = await store.read(name, { from: 'end', direction: 'backwards', limit: 1 })
    expect(newest).toEqual(seen.at(-1))
  }
}

test('streams read the same from memory, from disk and across both, also after a restart', async () => {
  const dataDir = await newFolder()
  const store = await openStore(dataDir)
  const streams = await fillBeyondMemory(store)
  await expectStreams(store, streams)
  const hot = streams.get('conversation-hot') ?? []
  const original = await store.append('conversation-hot', hot.slice(0, 200), 'none')
  expect(original.revision).toBe(199)
  await store.close()
  const reopened = await openStore(dataDir)
  await expectStreams(reopened, streams)
  expect(await reopened.append('conversation-hot', hot.slice(0, 200), 'none')).toEqual(original)
  expect((await walkLog(reopened, 'start')).filter(event => event.stream.startsWith('follower-'))).toHaveLength(6)
}, 60_000)

test('a consumer that falls behind its buffer is served from disk, then live again, without gap or double', async () => {
  const store = await openStore(await newFolder(), { bufferEventsMax: 10 })
  const { next, iterator, controller } = await waitingSubscriber(store)
  const appendThirty = async (round: number) => {
    for (let number = 0; number < 30; number++) {
      await store.append(`account-${round}-${number}`, newEvents(3), 'none')
    }
  }
  await appendThirty(0)
  const positions: string[] = []
  for (let result = await next, rounds = 1; !result.done; result = await iterator.next()) {
    positions.push(...result.value.map(event => event.position))
    if (positions.length === 270) controller.abort()
    else if (positions.length === rounds * 90) await appendThirty(rounds++)
  }
  expect(positions).toEqual(Array.from({ length: 270 }, (_, index) => positionOf(index + 1)))
})

test('close finishes every append that was accepted, ends subscriptions and refuses the rest', async () => {
  const dataDir = await newFolder()
  const store = await openStore(dataDir)
  const { next, iterator } = await waitingSubscriber(store)
  const first = store.append('account-a', newEvents(1), 'none')
  await new Promise(resolve => setImmediate(resolve))
  const second = store.append('account-b', newEvents(1), 'none')
  const closed = store.close()
  expect(await failureOf(() => store.append('account-c', newEvents(1), 'none'))).toBeInstanceOf(Unavailable)
  expect((await Promise.all([first, second])).map(appended => appended.revision)).toEqual([0, 0])
  await closed
  expect((await next).value).toHaveLength(1)
  expect(await iterator.next()).toEqual({ done: true, value: undefined })
  const reopened = await openStore(dataDir)
  expect((await walkLog(reopened, 'start')).map(event => event.stream)).toEqual(['account-a', 'account-b'])
})

test('more appends than may wait are refused as unavailable; those that were accepted are written', async () => {
  const store = await openStore(await newFolder())
  const event = newEvent()
  const outcomes = await Promise.allSettled(
    Array.from({ length: 100_010 }, (_, number) => store.append(`account-${number}`, [event], 'none')),
  )
  const refused = outcomes.filter(outcome => outcome.status === 'rejected')
  expect(refused).toHaveLength(10)
  expect(refused[0]?.reason).toBeInstanceOf(Unavailable)
  expect(await store.head()).toBe(positionOf(100_000))
}, 60_000)

test('large events share commits with small ones and come back whole', async () => {
  const store = await openStore(await newFolder())
  const large = Array.from({ length: 40 }, (_, number) => newEvent({ data: { letters: 'é'.repeat(200_000 + number) } }))
  const small = newEvents(40)
  await Promise.all(
    large.map((event, number) => store.append(`account-${number}`, [small[number] ?? event, event], 'none')),
  )
  for (const [number, event] of large.entries()) {
    const events = await readStream(store, `account-${number}`)
    expect(events.map(({ id, text }) => [id, text.length])).toEqual([
      [small[number]?.id, small[number]?.text.length],
      [event.id, event.text.length],
    ])
  }
  const streams = large.map((_, number) => `account-${number}`)
  expect(await collect(store, 'start', 80, streams)).toHaveLength(80)
})

test('a disk that does not answer leaves the outcome unknown and refuses more; when it answers, all goes on', async () => {
  const store = await openStore(await newFolder())
  const { next } = await waitingSubscriber(store)
  const write = EmbeddedLog.prototype.write
  let answer: () => void = () => undefined
  const answered = new Promise<void>(resolve => {
    answer = resolve
  })
  const stalled = vi.spyOn(EmbeddedLog.prototype, 'write').mockImplementationOnce(async function (
    this: EmbeddedLog,
    batch,
  ) {
    await answered
    await write.call(this, batch)
  })
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => {
    vi.useRealTimers()
    stalled.mockRestore()
  })
  const events = newEvents(1)
  const first = failureOf(() => store.append('account-a', events, 'none'))
  await new Promise(resolve => setImmediate(resolve))
  const second = failureOf(() => store.append('account-b', newEvents(1), 'none'))
  vi.advanceTimersByTime(commitStalledMs)
  vi.useRealTimers()
  expect(await first).toBeInstanceOf(UnknownOutcome)
  expect(await second).toBeInstanceOf(Unavailable)
  expect(await failureOf(() => store.append('account-c', newEvents(1), 'none'))).toBeInstanceOf(Unavailable)
  answer()
  expect((await next).value).toMatchObject([{ stream: 'account-a', position: positionOf(1) }])
  expect(await store.append('account-a', events, 'none')).toEqual({ revision: 0, position: positionOf(1) })
  expect(await store.append('account-b', newEvents(1), 'none')).toEqual({ revision: 0, position: positionOf(2) })
})
