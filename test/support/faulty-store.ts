// Owns a real event log for tests that can be told to fail: which append loses its answer, which is beaten by somebody else,
// when the subscription stands still. Everything else is the embedded log itself, in a folder of its own.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEmbeddedStore } from '../../eventstore/embedded.ts'
import {
  type Appended,
  type EventStore,
  type ExpectedRevision,
  type NewEvent,
  type RecordedEvent,
  Unavailable,
  UnknownOutcome,
} from '../../eventstore/port.ts'

export interface AppendCall {
  readonly stream: string
  readonly events: readonly NewEvent[]
  readonly expected: ExpectedRevision
}

/** What happens to one append instead of it; `append` does it after all. */
export type AppendFault = (call: AppendCall, append: () => Promise<Appended>) => Promise<Appended>

/** The append happens, its answer is lost. */
export const answerLost: AppendFault = async (_call, append) => {
  await append()
  throw new UnknownOutcome('the answer was lost')
}

/** Nothing happens, and nobody can know. */
export const requestLost: AppendFault = async () => {
  throw new UnknownOutcome('the request was lost')
}

export const unavailable: AppendFault = async () => {
  throw new Unavailable('the log is away')
}

/** Somebody else is faster, with these events. */
export const beatenBy =
  (store: EventStore, ...events: readonly NewEvent[]): AppendFault =>
  async ({ stream, expected }, append) => {
    await store.append(stream, events, expected)
    return append()
  }

export interface Gate {
  /** From now on whoever comes waits. */
  shut(): void
  open(): void
}

const gateOf = (): Gate & { readonly passed: () => Promise<void> } => {
  let waiting: (() => void)[] = []
  let isShut = false
  return {
    shut: () => {
      isShut = true
    },
    open: () => {
      isShut = false
      const released = waiting
      waiting = []
      for (const release of released) release()
    },
    passed: async () => {
      while (isShut) await new Promise<void>(resolve => waiting.push(resolve))
    },
  }
}

export interface FaultyStore extends EventStore {
  /** Taken one by one, by the next appends to streams that fit. */
  readonly faults: { readonly fault: AppendFault; readonly stream?: string }[]
  readonly appends: AppendCall[]
  /** Stream and number of events of each read. */
  readonly reads: { readonly stream: string; readonly events: number }[]
  /** Holds appends on their way, before they reach the log. */
  readonly appendGate: Gate
  /** Holds what the subscriptions of this store bring. */
  readonly subscriptionGate: Gate
  readonly readGate: Gate
  /** What `head` answers instead of the log. */
  headFault: (() => Promise<never>) | undefined
}

/**
 * One process's own view of a log: several may stand over the same one. Closing it leaves the log open.
 * @param appendsAtOnce as a log says it that takes its appends one by one
 */
export const faultyStoreOver = (store: EventStore, appendsAtOnce = store.appendsAtOnce): FaultyStore => {
  const appendGate = gateOf()
  const subscriptionGate = gateOf()
  const readGate = gateOf()
  const faulty: FaultyStore = {
    logId: store.logId,
    appendsAtOnce,
    faults: [],
    appends: [],
    reads: [],
    appendGate,
    subscriptionGate,
    readGate,
    headFault: undefined,
    append: async (stream, events, expected) => {
      faulty.appends.push({ stream, events, expected })
      await appendGate.passed()
      const index = faulty.faults.findIndex(fault => fault.stream === undefined || fault.stream === stream)
      const append = () => store.append(stream, events, expected)
      if (index < 0) return append()
      const [{ fault }] = faulty.faults.splice(index, 1) as [{ fault: AppendFault }]
      return fault({ stream, events, expected }, append)
    },
    read: async (stream, options) => {
      const events = await store.read(stream, options)
      faulty.reads.push({ stream, events: events.length })
      await readGate.passed()
      return events
    },
    readAll: options => store.readAll(options),
    subscribe: options => ({
      async *[Symbol.asyncIterator]() {
        for await (const batch of store.subscribe(options)) {
          await subscriptionGate.passed()
          if (options.signal.aborted) return
          yield batch
        }
      },
    }),
    head: () => (faulty.headFault === undefined ? store.head() : faulty.headFault()),
    close: async () => {},
  }
  return faulty
}

export interface TestLog {
  store: EventStore
  /** As after a restart of the process. */
  reopen(): Promise<EventStore>
  dispose(): Promise<void>
}

/** An embedded log in a new folder. */
export const openTestLog = async (): Promise<TestLog> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'ledgerline-'))
  const log: TestLog = {
    store: await openEmbeddedStore({ dataDir }),
    reopen: async () => {
      await log.store.close()
      log.store = await openEmbeddedStore({ dataDir })
      return log.store
    },
    dispose: async () => {
      await log.store.close()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
  return log
}

/** Every event of a stream. */
export const wholeStream = async (store: EventStore, stream: string): Promise<readonly RecordedEvent[]> => {
  const events: RecordedEvent[] = []
  for (;;) {
    const page = await store.read(stream, { from: events.length, direction: 'forwards', limit: 1_000 })
    events.push(...page)
    if (page.length < 1_000) return events
  }
}
