// Owns the folded states that this process holds, and keeps them current from the log. Bounded; anything may be evicted and
// read again. Own appends and the subscription may tell of an event in any order: only revision + 1 is ever applied.
// Must never show a state that is not in the log.

import type { Decider, DomainEvent } from '../domain/decider.ts'
import { type Position, streamOf } from '../domain/ids.ts'
import type { RejectionCode } from '../domain/rejections.ts'
import { type EventStore, positionBeforeAll, type RecordedEvent, readEventsMax } from './port.ts'

/** Any rule set; the map of held states mixes them all. */
// biome-ignore lint/suspicious/noExplicitAny: the one place where deciders of all kinds meet
export type AnyDecider = Decider<any, any, any, any, any>

/** A command that a short stream remembers. */
export interface KnownCommand {
  readonly key: string
  readonly fingerprint: string
  readonly position: Position
}

export interface Held<State> {
  readonly state: State
  /** -1: the stream does not exist. */
  readonly revision: number
  /** Of the newest event folded in. */
  readonly position: Position
  readonly commands: readonly KnownCommand[]
}

interface Entry<State> {
  readonly stream: string
  readonly decider: AnyDecider
  held: Held<State>
  /** Set while the first read is under way: events that arrived meanwhile. */
  loading: { readonly done: Promise<void>; buffer: RecordedEvent[] } | undefined
  used: boolean
  pins: number
  weight: number
}

/** Commands of its own that a stream remembers. */
export const commandsRemembered = 64
/** Total weight of held states; a small state weighs 1, a group one more per 16 members. */
export const heldWeightMax = 200_000
/** Events that may arrive while one state is being read. */
const loadBufferEventsMax = 10_000

export interface SnapshotData {
  readonly version: number
  readonly revision: number
  readonly position: Position
  readonly commands: readonly KnownCommand[]
  readonly state: object
}

export interface States {
  /** The state of a stream: at once when held, else after a read. @throws Unavailable, CorruptLog */
  load<State, Command, Event extends DomainEvent, Code extends RejectionCode, Facts>(
    decider: Decider<State, Command, Event, Code, Facts>,
    stream: string,
  ): Held<State> | Promise<Held<State>>
  /** The state if it is held and whole, without a read. */
  peek<State>(stream: string): Held<State> | undefined
  /** Keeps an entry from eviction while a queue works on it. */
  pin(stream: string): void
  unpin(stream: string): void
  /** Moves a held state on after an own append, unless the log was faster. */
  advance<State>(stream: string, from: Held<State>, to: Held<State>): void
  /** Tells of events of the log, in order of each stream. */
  apply(events: readonly RecordedEvent[]): void
  /** Drops a state that can no longer be trusted. */
  evict(stream: string): void
  readonly size: number
}

/** Adds a command to those remembered, dropping the oldest beyond the limit. */
export const remember = (commands: readonly KnownCommand[], command: KnownCommand): readonly KnownCommand[] =>
  commands.length < commandsRemembered
    ? [...commands, command]
    : [...commands.slice(commands.length - commandsRemembered + 1), command]

/** Folds one recorded event in; the caller has checked that it is the next one. */
export const folded = <State>(decider: AnyDecider, held: Held<State>, event: RecordedEvent): Held<State> => {
  const mark = event.command
  const last = held.commands.at(-1)
  const commands =
    mark === undefined || last?.key === mark.key
      ? held.commands
      : remember(held.commands, { key: mark.key, fingerprint: mark.fingerprint, position: event.position })
  return { state: decider.evolve(held.state, event), revision: event.revision, position: event.position, commands }
}

const empty = (decider: AnyDecider): Held<unknown> => ({
  state: decider.initial,
  revision: -1,
  position: positionBeforeAll,
  commands: [],
})

const readFold = async (
  store: EventStore,
  decider: AnyDecider,
  stream: string,
  start: Held<unknown>,
): Promise<Held<unknown>> => {
  let held = start
  for (;;) {
    const page = await store.read(stream, { from: held.revision + 1, direction: 'forwards', limit: readEventsMax })
    for (const event of page) held = folded(decider, held, event)
    if (page.length < readEventsMax) return held
  }
}

const readLast = async (store: EventStore, decider: AnyDecider, stream: string): Promise<Held<unknown>> => {
  const [event] = await store.read(stream, { from: 'end', direction: 'backwards', limit: 1 })
  return event === undefined ? empty(decider) : folded(decider, empty(decider), event)
}

const readSnapshot = async (store: EventStore, decider: AnyDecider, stream: string): Promise<Held<unknown>> => {
  const load = decider.load
  if (load.by !== 'snapshot') throw new Error(`${decider.category} has no snapshots`)
  const [newest] = await store.read(streamOf.snapshot(stream), { from: 'end', direction: 'backwards', limit: 1 })
  const data = newest?.data as SnapshotData | undefined
  const usable = data !== undefined && data.version === load.version
  const start: Held<unknown> = usable
    ? { state: load.decode(data.state), revision: data.revision, position: data.position, commands: data.commands }
    : empty(decider)
  return readFold(store, decider, stream, start)
}

const read = (store: EventStore, decider: AnyDecider, stream: string): Promise<Held<unknown>> => {
  switch (decider.load.by) {
    case 'fold':
      return readFold(store, decider, stream, empty(decider))
    case 'last':
      return readLast(store, decider, stream)
    case 'snapshot':
      return readSnapshot(store, decider, stream)
  }
}

/** @param weightMax most weight held at once; eviction is second chance, so a state in use stays */
export const createStates = (store: EventStore, weightMax: number = heldWeightMax): States => {
  const entries = new Map<string, Entry<unknown>>()
  let weight = 0

  const remove = (entry: Entry<unknown>) => {
    if (entries.get(entry.stream) === entry) {
      entries.delete(entry.stream)
      weight -= entry.weight
    }
  }

  const weigh = (entry: Entry<unknown>) => {
    const now = entry.decider.weight?.(entry.held.state) ?? 1
    weight += now - entry.weight
    entry.weight = now
  }

  const makeRoom = () => {
    // Each pass clears `used` or removes, so two rounds over the map always suffice.
    let chances = entries.size * 2
    for (const entry of entries.values()) {
      if (weight <= weightMax || chances-- <= 0) return
      if (entry.used || entry.pins > 0 || entry.loading !== undefined) {
        entry.used = false
        entries.delete(entry.stream)
        entries.set(entry.stream, entry)
      } else {
        remove(entry)
      }
    }
  }

  const applyTo = (entry: Entry<unknown>, event: RecordedEvent) => {
    const next = entry.held.revision + 1
    if (event.revision < next) return
    // A stream loaded by its last event may start anywhere; any other gap means something was missed: read again.
    if (event.revision > next && entry.decider.load.by !== 'last') return remove(entry)
    entry.held = folded(entry.decider, entry.held, event)
    if (entry.decider.weight !== undefined) weigh(entry)
  }

  const start = (decider: AnyDecider, stream: string): Entry<unknown> => {
    const buffer: RecordedEvent[] = []
    const entry: Entry<unknown> = {
      stream,
      decider,
      held: empty(decider),
      loading: undefined,
      used: true,
      pins: 0,
      weight: 1,
    }
    const done = read(store, decider, stream).then(
      held => {
        entry.held = held
        entry.loading = undefined
        for (const event of buffer) applyTo(entry, event)
        weigh(entry)
        makeRoom()
      },
      (error: unknown) => {
        entry.loading = undefined
        remove(entry)
        throw error
      },
    )
    entry.loading = { done, buffer }
    entries.set(stream, entry)
    weight += 1
    return entry
  }

  return {
    load: (decider, stream) => {
      const entry = entries.get(stream) ?? start(decider, stream)
      entry.used = true
      if (entry.loading === undefined) return entry.held as never
      return entry.loading.done.then(() => entry.held) as never
    },
    peek: stream => {
      const entry = entries.get(stream)
      if (entry === undefined || entry.loading !== undefined) return undefined
      entry.used = true
      return entry.held as never
    },
    pin: stream => {
      const entry = entries.get(stream)
      if (entry !== undefined) entry.pins++
    },
    unpin: stream => {
      const entry = entries.get(stream)
      if (entry !== undefined && entry.pins > 0) entry.pins--
    },
    advance: (stream, from, to) => {
      const entry = entries.get(stream)
      if (entry === undefined || entry.loading !== undefined || entry.held !== from) return
      entry.held = to
      if (entry.decider.weight !== undefined) weigh(entry)
    },
    apply: events => {
      for (const event of events) {
        const entry = entries.get(event.stream)
        if (entry === undefined) continue
        if (entry.loading === undefined) applyTo(entry, event)
        else if (entry.loading.buffer.length < loadBufferEventsMax) entry.loading.buffer.push(event)
        else remove(entry)
      }
    },
    evict: stream => {
      const entry = entries.get(stream)
      if (entry !== undefined) remove(entry)
    },
    get size() {
      return entries.size
    },
  }
}
