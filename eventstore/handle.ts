// Owns the one way to run a command: a queue per stream, decided in order on the held state, appended together at the exact
// revision, with event ids derived from the command's key. An outcome nobody knows is asked again with the same ids; a conflict
// is decided again on the newer state. Must never append without an exact revision and never forget a waiting command.

import { type Decider, type DomainEvent, isRejection, type Rejection, reject } from '../domain/decider.ts'
import { type Position, streamOf } from '../domain/ids.ts'
import type { RejectionCode } from '../domain/rejections.ts'
import { eventIdOf, randomEventId } from './clock.ts'
import {
  type Appended,
  type CommandMark,
  Conflict,
  type EventStore,
  type NewEvent,
  type RecordedEvent,
  readEventsMax,
  UnknownOutcome,
} from './port.ts'
import { type AnyDecider, type Held, type KnownCommand, remember, type SnapshotData, type States } from './states.ts'

/** What makes a command unique: who asks, the key they chose, and a fingerprint of what they ask for. */
export interface CommandKey {
  readonly caller: string
  readonly key: string
  readonly fingerprint: string
}

export interface HandleOptions<Facts> {
  readonly facts: Facts
  readonly key?: CommandKey | undefined
  /** For a command that carries its own key (a message): the text its event ids derive from. */
  readonly seed?: string
  /** Asked just before the decision: true when the log already has what this command would do. */
  readonly alreadyDone?: () => boolean
}

export interface Handled<State, Event> {
  /** Of the command's own append, the first one for a repeat; of the stream's newest event when there was nothing to do. */
  readonly position: Position
  readonly revision: number
  readonly state: State
  readonly events: readonly Event[]
  readonly repeated: boolean
}

/** Too much is waiting; nothing was changed. */
export class Overloaded extends Error {
  readonly code = 'overloaded'
}

/** Bytes of events in one append; below the store's own limit with room for metadata. */
export const batchBytesMax = 900 * 1024
/** Commands decided together. */
const batchCommandsMax = 500
/** Commands waiting for one stream, and for all streams. */
export const waitingPerStreamMax = 2_000
export const waitingMax = 20_000
/** Times a command is decided again after somebody else was faster. */
const conflictTriesMax = 8
/** Waits between askings after an unknown outcome. */
const unknownOutcomeDelaysMs = [20, 100, 300, 1_000, 2_000, 3_000] as const

interface Waiting {
  readonly command: unknown
  readonly options: HandleOptions<unknown>
  readonly mark: CommandMark | undefined
  readonly seed: string | undefined
  readonly resolve: (outcome: Handled<unknown, unknown> | Rejection) => void
  readonly reject: (error: unknown) => void
}

interface Queue {
  readonly stream: string
  readonly decider: AnyDecider
  waiting: Waiting[]
}

interface Batch {
  readonly from: Held<unknown>
  readonly to: Held<unknown>
  readonly taken: readonly Waiting[]
  readonly outcomes: readonly (Handled<unknown, unknown> | Rejection)[]
  readonly events: readonly NewEvent[]
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
  readonly onError: (error: unknown, what: string) => void
}

export type Handle = <State, Command, Event extends DomainEvent, Code extends RejectionCode, Facts>(
  decider: Decider<State, Command, Event, Code, Facts>,
  stream: string,
  command: Command,
  options: HandleOptions<Facts>,
) => Promise<Handled<State, Event> | Rejection>

const delay = (milliseconds: number) => new Promise<void>(resolve => setTimeout(resolve, milliseconds))

const markOf = (key: CommandKey): CommandMark => ({
  key: eventIdOf(`${key.caller}\n${key.key}`, 0),
  fingerprint: key.fingerprint,
})

const mismatch = (): Rejection =>
  reject('idempotency.mismatch', 'This key was used for another request. Use a new key for a new request.')

const newEventOf = (waiting: Waiting, event: DomainEvent, index: number): NewEvent => ({
  id: waiting.seed === undefined ? randomEventId() : eventIdOf(waiting.seed, index),
  type: event.type,
  data: event.data,
  text: JSON.stringify(event.data),
  ...(waiting.mark === undefined ? undefined : { command: waiting.mark }),
})

/** Decides waiting commands one after the other, each on the state the one before leaves. */
const decideBatch = (queue: Queue, from: Held<unknown>): Batch => {
  const { decider } = queue
  const events: NewEvent[] = []
  const outcomes: (Handled<unknown, unknown> | Rejection)[] = []
  let { state, revision, commands } = from
  let bytes = 0
  let taken = 0
  for (const waiting of queue.waiting) {
    if (taken >= batchCommandsMax || bytes >= batchBytesMax) break
    const known = waiting.mark && commands.find(command => command.key === waiting.mark?.key)
    if (known !== undefined) {
      const same = known.fingerprint === waiting.mark?.fingerprint
      outcomes.push(same ? { position: known.position, revision, state, events: [], repeated: true } : mismatch())
    } else if (waiting.options.alreadyDone?.() === true) {
      outcomes.push({ position: from.position, revision, state, events: [], repeated: true })
    } else {
      const decision = decider.decide(waiting.command, state, waiting.options.facts)
      if (isRejection(decision)) {
        outcomes.push(decision)
      } else {
        const decided = decision as readonly DomainEvent[]
        const made = decided.map((event, index) => newEventOf(waiting, event, index))
        const size = made.reduce((sum, event) => sum + event.text.length, 0)
        if (events.length > 0 && bytes + size > batchBytesMax) break
        for (const event of decided) state = decider.evolve(state, event)
        bytes += size
        revision += made.length
        events.push(...made)
        if (waiting.mark !== undefined && made.length > 0) {
          commands = remember(commands, { ...waiting.mark, position: from.position })
        }
        outcomes.push({ position: from.position, revision, state, events: decided, repeated: false })
      }
    }
    taken++
  }
  const to = { state, revision, position: from.position, commands }
  return { from, to, taken: queue.waiting.slice(0, taken), outcomes, events }
}

const sameIds = (tail: readonly RecordedEvent[], events: readonly NewEvent[]): boolean =>
  tail.length >= events.length && events.every((event, index) => tail[index]?.id === event.id)

/** Builds the function that runs commands; `counters` are for metrics. */
export const createHandle = (dependencies: HandleDependencies): { handle: Handle; counters: HandleCounters } => {
  const { store, states } = dependencies
  const queues = new Map<string, Queue>()
  const counters: HandleCounters = {
    commands: 0,
    rejections: 0,
    appends: 0,
    conflicts: 0,
    unknownOutcomes: 0,
    waiting: 0,
  }

  const settle = (batch: Batch, position: Position | undefined) => {
    for (const [index, waiting] of batch.taken.entries()) {
      const outcome = batch.outcomes[index] as Handled<unknown, unknown> | Rejection
      if (isRejection(outcome)) counters.rejections++
      if (isRejection(outcome) || position === undefined || !isOfBatch(outcome, batch)) waiting.resolve(outcome)
      else waiting.resolve({ ...outcome, position })
    }
  }

  /** Appends until the outcome is known. Undefined: somebody else was faster, decide again. */
  const appendBatch = async (stream: string, batch: Batch): Promise<Appended | undefined> => {
    const expected = batch.from.revision < 0 ? 'none' : batch.from.revision
    let tries = 0
    for (;;) {
      try {
        counters.appends++
        return await store.append(stream, batch.events, expected)
      } catch (error) {
        if (error instanceof Conflict) {
          counters.conflicts++
          return await landed(stream, batch)
        }
        const wait = unknownOutcomeDelaysMs[tries++]
        if (!(error instanceof UnknownOutcome) || wait === undefined) throw error
        counters.unknownOutcomes++
        await delay(wait * (0.5 + Math.random()))
      }
    }
  }

  /** After a conflict: our ids in the tail mean that the append had happened; else the tail is news to fold in. */
  const landed = async (stream: string, batch: Batch): Promise<Appended | undefined> => {
    const from = batch.from.revision + 1
    const tail = await store.read(stream, { from, direction: 'forwards', limit: readEventsMax })
    const last = tail[batch.events.length - 1]
    if (last !== undefined && sameIds(tail, batch.events)) return { revision: last.revision, position: last.position }
    dependencies.observe(tail)
    if (tail.length === 0 || tail.length === readEventsMax) states.evict(stream)
    return undefined
  }

  const snapshotWhenDue = (queue: Queue, batch: Batch, held: Held<unknown>) => {
    const load = queue.decider.load
    if (load.by !== 'snapshot') return
    const due =
      Math.floor(held.revision / load.everyEvents) > Math.floor(Math.max(batch.from.revision, 0) / load.everyEvents)
    if (due)
      writeSnapshot(store, queue, held).catch(error => dependencies.onError(error, `snapshot of ${queue.stream}`))
  }

  const runBatch = async (queue: Queue): Promise<boolean> => {
    const from = await states.load(queue.decider, queue.stream)
    const batch = decideBatch(queue, from as Held<unknown>)
    if (batch.events.length === 0) {
      queue.waiting.splice(0, batch.taken.length)
      settle(batch, undefined)
      return true
    }
    const appended = await appendBatch(queue.stream, batch)
    if (appended === undefined) return false
    const marked = batch.to.commands.map(known => placed(known, batch, appended.position))
    const held = { state: batch.to.state, revision: appended.revision, position: appended.position, commands: marked }
    states.advance(queue.stream, batch.from, held)
    queue.waiting.splice(0, batch.taken.length)
    settle(batch, appended.position)
    snapshotWhenDue(queue, batch, held)
    return true
  }

  const fail = (queue: Queue, error: unknown) => {
    states.evict(queue.stream)
    for (const waiting of queue.waiting.splice(0)) waiting.reject(error)
  }

  const run = async (queue: Queue) => {
    let conflicts = 0
    while (queue.waiting.length > 0) {
      try {
        states.pin(queue.stream)
        if (await runBatch(queue)) conflicts = 0
        else if (++conflicts >= conflictTriesMax) {
          const busy = reject('command.conflict', 'Others changed the same thing at the same time. Try again.')
          for (const waiting of queue.waiting.splice(0)) waiting.resolve(busy)
        }
      } catch (error) {
        fail(queue, error)
      } finally {
        states.unpin(queue.stream)
      }
    }
    queues.delete(queue.stream)
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
      const mark = options.key && markOf(options.key)
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

  return { handle: handle as Handle, counters }
}

/** Whether the outcome came about with this batch's append: its own events, or a repeat of a command of the same batch. */
const isOfBatch = (outcome: Handled<unknown, unknown>, batch: Batch): boolean =>
  outcome.events.length > 0 || (outcome.repeated && outcome.position === batch.from.position)

/** A command of this very batch gets the position of its append. */
const placed = (known: KnownCommand, batch: Batch, position: Position): KnownCommand =>
  batch.from.commands.includes(known) ? known : { ...known, position }

const writeSnapshot = async (store: EventStore, queue: Queue, held: Held<unknown>): Promise<void> => {
  const load = queue.decider.load
  if (load.by !== 'snapshot') return
  const stream = streamOf.snapshot(queue.stream)
  const [newest] = await store.read(stream, { from: 'end', direction: 'backwards', limit: 1 })
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
