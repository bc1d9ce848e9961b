// Owns what the contract cannot say of appends and reads on EventStoreDB: how they bear a server that dies, freezes, falls
// silent or is not there yet. Each test has its own stand-in server; times are short, so that deadlines are seen to hold.

import { execFile } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { openEventStoreDb } from '../../eventstore/eventstoredb.ts'
import { eventStoreDbTiming } from '../../eventstore/eventstoredb-store.ts'
import type { EventStore, NewEvent } from '../../eventstore/port.ts'
import { CorruptLog, Unavailable, UnknownOutcome } from '../../eventstore/port.ts'
import { anyPosition, failureOf, newEvent, newEvents, readStream, recorded } from '../contract/fixture.ts'
import { StandInLog } from '../support/stand-in-log.ts'
import { StandIn } from '../support/stand-in-process.ts'
import { appendUntilKnown, onceAvailable, shortTiming, withStandIn } from '../support/stand-in-store.ts'

/** Scheduling and a try that was begun just before, on a busy machine. */
const slackMs = 2_000

/** How long the work took, and how it failed. */
const timedFailureOf = async (work: () => Promise<unknown>) => {
  const startMs = performance.now()
  const failure = await failureOf(work)
  return { failure, tookMs: performance.now() - startMs }
}

const expectOnce = async (store: EventStore, name: string, events: readonly NewEvent[]) => {
  const stored = await onceAvailable(() => readStream(store, name))
  expect(stored).toEqual(events.map((event, index) => recorded(event, name, index)))
}

test(
  'killed after it wrote and before it answered: unknown; the repeat finds the original, after later events too',
  withStandIn(async ({ server, open }) => {
    const store = await open()
    const events = newEvents(2)
    await server.order({ name: 'mute', on: true })
    const appending = failureOf(() => store.append('account-a', events, 'none'))
    // The log file is the proof that the append has arrived.
    await server.hasWritten('account-a')
    await server.kill()
    expect(await appending).toBeInstanceOf(UnknownOutcome)
    await server.restart()
    expect(await appendUntilKnown(store, 'account-a', events, 'none')).toEqual({ revision: 1, position: anyPosition() })
    const later = newEvents(1)
    await store.append('account-a', later, 1)
    expect(await store.append('account-a', events, 'none')).toMatchObject({ revision: 1 })
    await expectOnce(store, 'account-a', [...events, ...later])
  }),
)

test(
  'killed before the append reached it: unknown; the repeat writes it once',
  withStandIn(async ({ server, open }) => {
    const store = await open()
    const events = newEvents(3)
    await server.order({ name: 'deaf', on: true })
    const appending = failureOf(() => store.append('account-a', events, 'none'))
    await server.kill()
    expect(await appending).toBeInstanceOf(UnknownOutcome)
    await server.restart()
    expect(await appendUntilKnown(store, 'account-a', events, 'none')).toMatchObject({ revision: 2 })
    await expectOnce(store, 'account-a', events)
  }),
)

test(
  'many appends at once through kills and restarts: each is written exactly once',
  withStandIn(async ({ server, open }) => {
    const store = await open()
    const streams = Array.from({ length: 20 }, (_, index) => ({ name: `account-${index}`, events: newEvents(20) }))
    const appending = Promise.all(
      streams.map(async ({ name, events }) => {
        for (const [index, event] of events.entries()) {
          await appendUntilKnown(store, name, [event], index === 0 ? 'none' : index - 1)
        }
      }),
    )
    for (let round = 0; round < 3; round++) {
      await server.hasWritten(`account-${round}`)
      await server.restart()
    }
    await appending
    for (const { name, events } of streams) await expectOnce(store, name, events)
  }),
)

test(
  'while the server is down an append is known not to be written, and says so at once',
  withStandIn(async ({ server, open }) => {
    const store = await open()
    await server.kill()
    await failureOf(() => store.head())
    const { failure, tookMs } = await timedFailureOf(() => store.append('account-a', newEvents(1), 'none'))
    expect(failure).toBeInstanceOf(Unavailable)
    expect(tookMs).toBeLessThan(shortTiming.appendMs)
    expect(await failureOf(() => readStream(store, 'account-a'))).toBeInstanceOf(Unavailable)
    await server.restart()
    const event = newEvent()
    await onceAvailable(() => store.append('account-a', [event], 'none'))
    await expectOnce(store, 'account-a', [event])
  }),
)

for (const [fault, begin, end] of [
  ['frozen', async (server: StandIn) => server.freeze(), async (server: StandIn) => server.thaw()],
  [
    'mute',
    (server: StandIn) => server.order({ name: 'mute', on: true }),
    (server: StandIn) => server.order({ name: 'mute', on: false }),
  ],
  [
    'deaf',
    (server: StandIn) => server.order({ name: 'deaf', on: true }),
    (server: StandIn) => server.order({ name: 'deaf', on: false }),
  ],
] as const) {
  test(
    `a ${fault} server: every call settles within its deadline, and a repeat is written once`,
    withStandIn(async ({ server, open }) => {
      const store = await open()
      const before = newEvents(1)
      await store.append('account-a', before, 'none')
      const events = newEvents(4)
      await begin(server)
      const calls = await Promise.all([
        timedFailureOf(() => store.append('account-a', events, 0)),
        timedFailureOf(() => store.append('account-b', newEvents(1), 'none')),
        timedFailureOf(() => readStream(store, 'account-a')),
        timedFailureOf(() => store.readAll({ from: 'start', direction: 'forwards', limit: 10 })),
        timedFailureOf(() => store.head()),
      ])
      const kinds = calls.map(({ failure }) => (failure as Error).constructor)
      expect(kinds).toEqual([UnknownOutcome, UnknownOutcome, Unavailable, Unavailable, Unavailable])
      for (const { tookMs } of calls) expect(tookMs).toBeLessThan(shortTiming.appendMs + slackMs)
      await end(server)
      expect(await appendUntilKnown(store, 'account-a', events, 0)).toMatchObject({ revision: 4 })
      await expectOnce(store, 'account-a', [...before, ...events])
    }),
  )
}

test(
  'a connection that went dead without a word is given up for another, and a repeat on that is written once',
  withStandIn(async ({ server, open }) => {
    const store = await open()
    const events = newEvents(2)
    await server.order({ name: 'strand' })
    const { failure, tookMs } = await timedFailureOf(() => store.append('account-a', events, 'none'))
    expect(failure).toBeInstanceOf(UnknownOutcome)
    expect(tookMs).toBeLessThan(shortTiming.appendMs + slackMs)
    expect(await appendUntilKnown(store, 'account-a', events, 'none')).toMatchObject({ revision: 1 })
    await expectOnce(store, 'account-a', events)
  }),
)

for (const fault of ['end-calls', 'reset'] as const) {
  test(
    `${fault}: an append that waits for its answer is unknown at once, long before its deadline`,
    withStandIn(async ({ server, open }) => {
      const store = await open()
      const events = newEvents(2)
      await server.order({ name: 'mute', on: true })
      const startMs = performance.now()
      const appending = failureOf(() => store.append('account-a', events, 'none'))
      await server.hasWritten('account-a')
      await server.order({ name: fault })
      expect(await appending).toBeInstanceOf(UnknownOutcome)
      expect(performance.now() - startMs).toBeLessThan(shortTiming.appendMs)
      await server.order({ name: 'mute', on: false })
      expect(await appendUntilKnown(store, 'account-a', events, 'none')).toMatchObject({ revision: 1 })
      await expectOnce(store, 'account-a', events)
    }),
  )
}

test(
  'a server that is starting has written nothing',
  withStandIn(async ({ server, open }) => {
    const store = await open()
    await server.order({ name: 'not-ready', on: true })
    expect(await failureOf(() => store.append('account-a', newEvents(1), 'none'))).toBeInstanceOf(Unavailable)
    expect(await failureOf(() => store.head())).toBeInstanceOf(Unavailable)
    await server.order({ name: 'not-ready', on: false })
    expect(await onceAvailable(() => readStream(store, 'account-a'))).toEqual([])
  }),
)

test(
  'hundreds of reads at once are all answered, and no call is left open',
  withStandIn(async ({ server, open }) => {
    const store = await open(eventStoreDbTiming)
    const events = newEvents(20)
    await store.append('account-a', events, 'none')
    const pages = await Promise.all(Array.from({ length: 500 }, () => readStream(store, 'account-a')))
    for (const page of pages) expect(page).toHaveLength(20)
    expect(await server.order({ name: 'count-reads' })).toBe(0)
  }),
)

test(
  'closing one store leaves the appends of another alone',
  withStandIn(async ({ open }) => {
    const [one, other] = [await open(), await open()]
    expect(one.logId).toBe(other.logId)
    const events = newEvents(200)
    const appending = Promise.all(
      events.map((event, index) => one.append('account-a', [event], index === 0 ? 'none' : index - 1)),
    )
    await other.append('account-b', newEvents(1), 'none')
    await other.close()
    expect((await appending).map(({ revision }) => revision)).toEqual(events.map((_, index) => index))
  }),
)

test(
  'close ends in time although the server is frozen; what was under way is unknown',
  withStandIn(async ({ server, open }) => {
    const store = await open()
    await store.append('account-a', newEvents(1), 'none')
    server.freeze()
    const appending = failureOf(() => store.append('account-a', newEvents(1), 0))
    const startMs = performance.now()
    await store.close()
    expect(performance.now() - startMs).toBeLessThan(shortTiming.closeMs + slackMs)
    expect(await appending).toBeInstanceOf(UnknownOutcome)
    expect(await failureOf(() => store.append('account-a', newEvents(1), 0))).toBeInstanceOf(Unavailable)
  }),
)

/** What a process does that opens the log, follows it, writes to it, closes it, and then has nothing more to do. */
const shortLife = (url: string) => `
  import { openEventStoreDb } from './eventstore/eventstoredb.ts'
  const store = await openEventStoreDb({ url: '${url}' })
  const following = store.subscribe({ from: 'start', signal: new AbortController().signal })
  const first = following[Symbol.asyncIterator]().next()
  await store.append('account-a', [${JSON.stringify(newEvent())}], 'none')
  await first
  await store.close()
`

test(
  'a process ends by itself once its store is closed',
  withStandIn(async ({ server }) => {
    const program = ['--import', 'tsx', '--input-type=module', '-e', shortLife(server.url)]
    // Rejects for any exit code but 0, as after an unhandled rejection.
    await promisify(execFile)(process.execPath, program, { cwd: join(import.meta.dirname, '../..') })
  }),
)

test(
  'of many that open a new log at once all get the same id',
  withStandIn(async ({ open }) => {
    const stores = await Promise.all(Array.from({ length: 6 }, () => open()))
    const ids = new Set(stores.map(store => store.logId))
    expect(ids.size).toBe(1)
    expect([...ids][0]).toMatch(/^[0-9a-f-]{36}$/)
    const [store] = stores
    expect(await store?.readAll({ from: 'start', direction: 'forwards', limit: 10 })).toEqual([])
    expect(await store?.head()).toBe('0000000000000000')
  }),
)

test(
  'names, types and texts that the database would take for its own, or nobody could read, are refused',
  withStandIn(async ({ open }) => {
    const store = await open()
    for (const [name, event] of [
      ['$account-a', newEvent()],
      ['$$account-a', newEvent()],
      ['ledgerline-log', newEvent()],
      ['account-a', newEvent({ type: '$metadata' })],
      ['account-a', newEvent({ text: '{"open":' })],
      ['account-a', newEvent({ text: '{"half":"\ud83d"}' })],
    ] as const) {
      expect(await failureOf(() => store.append(name, [event], 'none'))).toBeInstanceOf(TypeError)
    }
    expect(await readStream(store, 'account-a')).toEqual([])
  }),
)

test(
  'what another program wrote and is not JSON is a corrupt log, and is not passed over',
  withStandIn(async ({ server, open }) => {
    const store = await open()
    await server.kill()
    const log = new StandInLog(server.dataDir)
    const { id, type } = newEvent()
    const data = Buffer.from('not JSON').toString('base64')
    log.append('foreign', [{ id, type, isJson: false, data, metadata: '' }], undefined)
    log.close()
    await server.restart()
    expect(await failureOf(() => onceAvailable(() => readStream(store, 'foreign')))).toBeInstanceOf(CorruptLog)
    const following = store.subscribe({ from: 'start', signal: new AbortController().signal })
    expect(await failureOf(() => following[Symbol.asyncIterator]().next())).toBeInstanceOf(CorruptLog)
  }),
)

test('opening waits for a server that is not there, says so once, and goes on when it comes', async () => {
  const server = await StandIn.start()
  try {
    await server.kill()
    const lines: string[] = []
    const said = new EventEmitter()
    const say = (_: object, line: string) => {
      lines.push(line)
      said.emit('line')
    }
    const waiting = once(said, 'line')
    const opening = openEventStoreDb({ url: server.url, logger: { error: say, info: say }, timing: shortTiming })
    await waiting
    await server.restart()
    const store = await opening
    expect(lines).toEqual(['EventStoreDB cannot be reached yet; waiting for it', 'EventStoreDB has been reached'])
    await store.append('account-a', newEvents(1), 'none')
    await store.close()
  } finally {
    await server.dispose()
  }
})

test('the wait for a server ends with the signal; a bad url is an error at once', async () => {
  const server = await StandIn.start()
  await server.dispose()
  for (const url of [server.url, server.url.replace('esdb:', 'esdb+discover:')]) {
    const controller = new AbortController()
    const { signal } = controller
    const logger = { error: () => controller.abort(), info: () => undefined }
    const failure = await failureOf(() => openEventStoreDb({ url, logger, signal, timing: shortTiming }))
    expect(failure).toBeInstanceOf(Unavailable)
  }
  const failure = await failureOf(() => openEventStoreDb({ url: 'esdb://127.0.0.1?tls=maybe' }))
  expect(failure).toMatchObject({ code: 'unavailable', message: expect.stringContaining('EVENTSTORE_URL') })
})
