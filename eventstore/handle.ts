// Owns the one way to run a command: a queue per stream, decided in order on the held state, appended together at the exact
// revision, with event ids derived from the command's key. An outcome nobody knows is asked again with the same ids; a conflict
// is decided again on the newer state. Must never append without an exact revision and never forget a waiting command.

import { type Decider, type DomainEvent, isRejection, type Rejection, reject } from '../domain/decider.ts'
import { streamOf } from '../domain/ids.ts'
import type { RejectionCode } from '../domain/rejections.ts'
import {
  type Batch,
  decideBatch,
  type Handled,
  type HandleOptions,
  heldAfter,
  markOf,
  settleBatch,
  type Waiting,
} from './batch.ts'
import { randomEventId } from './clock.ts'
import {
  type Appended,
  Conflict,
  type EventStore,
  type RecordedEvent,
  readEventsMax,
  Unavailable,
  UnknownOutcome,
} from './port.ts'
import type { AnyDecider, Held, SnapshotData, States } from './states.ts'
import { createTurns } from './turns.ts'

export type { CommandKey, Handled, HandleOptions } from './batch.ts'

/** Too much is waiting; nothing was changed. */
export class Overloaded extends Error {
  readonly code = 'overloaded'
}

/** Commands waiting for one stream, and for all streams. */
export const waitingPerStreamMax = 2_000
export const waitingMax = 20_000
/** Times a batch is decided again after somebody else was faster: of two nodes at one stream, each loses half of the times. */
export const conflictTriesMax = 20
/** Waits between askings after an unknown outcome. */
const unknownOutcomeDelaysMs = [20, 100, 300, 1_000, 2_000, 3_000] as const

interface Queue {
  readonly stream: string
  readonly decider: AnyDecider
  waiting: Waiting[]
}

export interface HandleCounters {
  commands: number
  rejections: number
  appends: number
  conflicts: number
  unknownOutcomes: number
  waiting: number
}

export interface HandleDependencies {
  readonly store: EventStore
  readonly states: States
  /** Tells the whole node of events found while mending a conflict. */
  readonly observe: (events: readonly RecordedEvent[]) => void
  /** Throws when this node must not decide now. */
  readonly guard: () => void
  /** For tests: waits that pass at once. */
  readonly delay?: ((milliseconds: number) => Promise<void>) | undefined
  readonly onError: (error: unknown, what: string) => void
}

export type Handle = <State, Command, Event extends DomainEvent, Code extends RejectionCode, Facts>(
  decider: Decider<State, Command, Event, Code, Facts>,
  stream: string,
  command: Command,
  options: HandleOptions<Facts>,
) => Promise<Handled<State, Event> | Rejection>

export interface Handling {
  readonly handle: Handle
  /** For metrics. */
  readonly counters: HandleCounters
  /** Resolves once no command waits and no snapshot is being written. */
  whenIdle(): Promise<void>
}

const realDelay = (milliseconds: number) => new Promise<void>(resolve => setTimeout(resolve, milliseconds))

/** Builds the function that runs commands. */
export const createHandle = (dependencies: HandleDependencies): Handling => {
  const { store, states, delay = realDelay } = dependencies
  const queues = new Map<string, Queue>()
  const turns = createTurns(store.appendsAtOnce)
  let snapshotsUnderWay = 0
  let idleListeners: (() => void)[] = []
  const counters: HandleCounters = {
    commands: 0,
    rejections: 0,
    appends: 0,
    conflicts: 0,
    unknownOutcomes: 0,
    waiting: 0,
  }

  const isIdle = () => queues.size === 0 && snapshotsUnderWay === 0
  const tellIdle = () => {
    if (idleListeners.length === 0 || !isIdle()) return
    const listeners = idleListeners
    idleListeners = []
    for (const listener of listeners) listener()
  }

  /** One asking. Undefined: somebody else was faster. */
  const ask = async (stream: string, batch: Batch): Promise<Appended | undefined> => {
    try {
      counters.appends++
      return await store.append(stream, batch.events, batch.from.revision < 0 ? 'none' : batch.from.revision)
    } catch (error) {
      if (!(error instanceof Conflict)) throw error
      counters.conflicts++
      return await landed(stream, batch)
    }
  }

  /** Asks until the outcome is known. Undefined: somebody else was faster, decide again. */
  const appendBatch = async (stream: string, batch: Batch): Promise<Appended | undefined> => {
    let unknown: UnknownOutcome | undefined
    for (let tries = 0; ; tries++) {
      try {
        return await ask(stream, batch)
      } catch (error) {
        if (error instanceof UnknownOutcome) unknown = error
        // Once an outcome is unknown only the log can tell it: that the log is away now says nothing about before.
        else if (unknown === undefined || !(error instanceof Unavailable)) throw error
        const wait = unknownOutcomeDelaysMs[tries]
        if (wait === undefined) throw unknown
        counters.unknownOutcomes++
        turns.end()
        await delay(wait * (0.5 + Math.random()))
        await turns.take()
      }
    }
  }

  /** After a conflict: our ids in the tail mean that the append had happened; else the tail is news to fold in. */
  const landed = async (stream: string, batch: Batch): Promise<Appended | undefined> => {
    const from = batch.from.revision + 1
    const tail = await store.read(stream, { from, direction: 'forwards', limit: readEventsMax })
    const last = tail[batch.events.length - 1]
    if (last !== undefined && batch.events.every((event, index) => tail[index]?.id === event.id)) {
      return { revision: last.revision, position: last.position }
    }
    dependencies.observe(tail)
    if (tail.length === 0 || tail.length === readEventsMax) states.evict(stream)
    return undefined
  }

  const snapshotWhenDue = (queue: Queue, batch: Batch, held: Held<unknown>) => {
    const load = queue.decider.load
    if (load.by !== 'snapshot') return
    const before = Math.max(batch.from.revision, 0)
    if (Math.floor(held.revision / load.everyEvents) <= Math.floor(before / load.everyEvents)) return
    snapshotsUnderWay++
    writeSnapshot(store, queue, held)
      .catch(error => dependencies.onError(error, `snapshot of ${queue.stream}`))
      .finally(() => {
        snapshotsUnderWay--
        tellIdle()
      })
  }

  const settle = (queue: Queue, batch: Batch, appended: Appended | undefined) => {
    queue.waiting.splice(0, batch.taken.length)
    for (const outcome of batch.outcomes) if (isRejection(outcome)) counters.rejections++
    settleBatch(batch, appended)
  }

  /** Decides and appends what waits. Gives the batch when somebody else was faster. */
  const runTurn = async (queue: Queue): Promise<Batch | undefined> => {
    const { decider, stream, waiting } = queue
    let from: Held<unknown> = await states.load(decider, stream)
    if (from.commandsFrom > 0 && waiting.some(({ mark }) => mark !== undefined)) {
      from = await states.loadCommands(decider, stream)
    }
    states.pin(stream)
    const batch = decideBatch(decider, waiting, from)
    if (batch.events.length === 0) {
      settle(queue, batch, undefined)
      return undefined
    }
    const appended = await appendBatch(stream, batch)
    if (appended === undefined) return batch
    const held = heldAfter(batch, appended)
    states.advance(stream, batch.from, held)
    settle(queue, batch, appended)
    snapshotWhenDue(queue, batch, held)
    return undefined
  }

  /** The same when its turn has come. */
  const runBatch = async (queue: Queue): Promise<Batch | undefined> => {
    // What must be read is read before: no turn passes with a read.
    await states.load(queue.decider, queue.stream)
    await turns.take()
    try {
      return await runTurn(queue)
    } finally {
      turns.end()
    }
  }

  const fail = (queue: Queue, error: unknown) => {
    states.evict(queue.stream)
    for (const waiting of queue.waiting.splice(0)) waiting.reject(error)
  }

  const run = async (queue: Queue) => {
    let conflicts = 0
    while (queue.waiting.length > 0) {
      try {
        const beaten = await runBatch(queue)
        if (beaten === undefined) conflicts = 0
        else if (++conflicts >= conflictTriesMax) {
          conflicts = 0
          const busy = reject('command.conflict', 'Others changed the same thing at the same time. Try again.')
          for (const waiting of queue.waiting.splice(0, beaten.taken.length)) waiting.resolve(busy)
        }
      } catch (error) {
        fail(queue, error)
      } finally {
        states.unpin(queue.stream)
      }
    }
    queues.delete(queue.stream)
    tellIdle()
  }

  const handle = (decider: AnyDecider, stream: string, command: unknown, options: HandleOptions<unknown>) =>
    new Promise<Handled<unknown, unknown> | Rejection>((resolve, rejectPromise) => {
      dependencies.guard()
      const held = queues.get(stream)
      if (counters.waiting >= waitingMax || (held !== undefined && held.waiting.length >= waitingPerStreamMax)) {
        throw new Overloaded('Too many commands are waiting. Try again in a moment.')
      }
      counters.commands++
      counters.waiting++
      const mark = options.key && markOf(stream, options.key)
      const seed = options.seed ?? mark?.key
      const done = <Value>(settleWith: (value: Value) => void) => {
        return (value: Value) => {
          counters.waiting--
          settleWith(value)
        }
      }
      const waiting: Waiting = { command, options, mark, seed, resolve: done(resolve), reject: done(rejectPromise) }
      if (held !== undefined) {
        held.waiting.push(waiting)
        return
      }
      const queue: Queue = { stream, decider, waiting: [waiting] }
      queues.set(stream, queue)
      run(queue).catch(error => dependencies.onError(error, `queue of ${stream}`))
    })

  const whenIdle = () =>
    new Promise<void>(resolve => {
      idleListeners.push(resolve)
      tellIdle()
    })

  return { handle: handle as Handle, counters, whenIdle }
}

const writeSnapshot = async (store: EventStore, queue: Queue, held: Held<unknown>): Promise<void> => {
  const load = queue.decider.load
  if (load.by !== 'snapshot') return
  const stream = streamOf.snapshot(queue.stream)
  const [newest] = await store.read(stream, { from: 'end', direction: 'backwards', limit: 1 })
  const known = newest?.data as SnapshotData | undefined
  if (known !== undefined && known.version === load.version && known.revision >= held.revision) return
  const data: SnapshotData = {
    version: load.version,
    revision: held.revision,
    position: held.position,
    commands: held.commands,
    state: load.encode(held.state),
  }
  const event = { id: randomEventId(), type: 'StateSnapshotted', data, text: JSON.stringify(data) }
  try {
    await store.append(stream, [event], newest?.revision ?? 'none')
  } catch (error) {
    // Another node wrote a snapshot at the same time: either one will do.
    if (!(error instanceof Conflict)) throw error
  }
}
