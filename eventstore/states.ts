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
  /** Commands of earlier revisions are not among them: a stream loaded by its last event knows them only when asked. */
  readonly commandsFrom: number
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
/** Total weight of held states; a small state weighs 1, a group one more per 16 members, any one more per 16 commands. */
export const heldWeightMax = 200_000
const commandsPerWeight = 16
/** States looked at for eviction after one load: no load holds up everybody else. */
const makeRoomStepsMax = 2_000
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
  /** The state with the commands that a load by the last event left out. @throws Unavailable, CorruptLog */
  loadCommands(decider: AnyDecider, stream: string): Promise<Held<unknown>>
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
  const { revision, position } = event
  const state = decider.evolve(held.state, event)
  return { state, revision, position, commands: withCommand(held.commands, event), commandsFrom: held.commandsFrom }
}

/** A command of several events is known by the position of its last one: whoever waits for it has seen them all. */
const withCommand = (
  commands: readonly KnownCommand[],
  { command: mark, position }: RecordedEvent,
): readonly KnownCommand[] => {
  if (mark === undefined) return commands
  const known = { key: mark.key, fingerprint: mark.fingerprint, position }
  return commands.at(-1)?.key === mark.key ? [...commands.slice(0, -1), known] : remember(commands, known)
}

const empty = (decider: AnyDecider): Held<unknown> => ({
  state: decider.initial,
  revision: -1,
  position: positionBeforeAll,
  commands: [],
  commandsFrom: 0,
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
  return event === undefined
    ? empty(decider)
    : { ...folded(decider, empty(decider), event), commandsFrom: event.revision }
}

/** The commands of the events before `held`, oldest first, as many as a stream remembers. */
const readCommands = async (
  store: EventStore,
  stream: string,
  held: Held<unknown>,
): Promise<readonly KnownCommand[]> => {
  const from = held.commandsFrom - 1
  const page = await store.read(stream, { from, direction: 'backwards', limit: commandsRemembered })
  let commands: readonly KnownCommand[] = []
  for (const event of page.toReversed()) commands = withCommand(commands, event)
  return commands
}

const readSnapshot = async (store: EventStore, decider: AnyDecider, stream: string): Promise<Held<unknown>> => {
  const load = decider.load
  if (load.by !== 'snapshot') throw new Error(`${decider.category} has no snapshots`)
  const [newest] = await store.read(streamOf.snapshot(stream), { from: 'end', direction: 'backwards', limit: 1 })
  const data = newest?.data as SnapshotData | undefined
  const usable = data !== undefined && data.version === load.version
  if (!usable) return readFold(store, decider, stream, empty(decider))
  const { revision, position, commands } = data
  const start = { state: load.decode(data.state), revision, position, commands, commandsFrom: 0 }
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

export interface StatesOptions {
  /** Most weight held at once; eviction is second chance, so a state in use stays. */
  readonly weightMax?: number
  /**
   * A read may show events that this process has not been told of yet. A state is shown only after it was told of them, so
   * that everything known here is of one moment. Undefined: that is so already.
   */
  readonly whenTold?: (position: Position) => Promise<void> | undefined
}

/** The states of one process. */
export const createStates = (store: EventStore, options: StatesOptions = {}): States => {
  const { weightMax = heldWeightMax, whenTold } = options
  const entries = new Map<string, Entry<unknown>>()
  let weight = 0

  const remove = (entry: Entry<unknown>) => {
    if (entries.get(entry.stream) === entry) {
      entries.delete(entry.stream)
      weight -= entry.weight
    }
  }

  const weigh = (entry: Entry<unknown>) => {
    if (entries.get(entry.stream) !== entry) return
    const { state, commands } = entry.held
    const now = (entry.decider.weight?.(state) ?? 1) + commands.length / commandsPerWeight
    weight += now - entry.weight
    entry.weight = now
  }

  const hold = (entry: Entry<unknown>, held: Held<unknown>) => {
    const grows = entry.decider.weight !== undefined || held.commands !== entry.held.commands
    entry.held = held
    if (grows) weigh(entry)
  }

  const makeRoom = () => {
    // Each step clears `used` or removes, so two rounds over the map always suffice; what is left waits for the next load.
    let chances = Math.min(entries.size * 2, makeRoomStepsMax)
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
    const { held, decider } = entry
    if (event.revision <= held.revision) return
    // A gap means that something was missed: read again.
    if (event.revision > held.revision + 1) return remove(entry)
    try {
      hold(entry, folded(decider, held, event))
    } catch {
      // An event that cannot be folded must not stop the others: whoever loads this state next gets the error.
      remove(entry)
    }
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
    const readIn = async () => {
      try {
        entry.held = await read(store, decider, stream)
        await whenTold?.(entry.held.position)
      } catch (error) {
        remove(entry)
        throw error
      } finally {
        entry.loading = undefined
      }
      for (const event of buffer) applyTo(entry, event)
      weigh(entry)
      makeRoom()
    }
    entries.set(stream, entry)
    weight += 1
    entry.loading = { done: readIn(), buffer }
    return entry
  }

  const loadCommands = async (decider: AnyDecider, stream: string): Promise<Held<unknown>> => {
    const held = await load(decider, stream)
    if (held.commandsFrom === 0) return held
    const earlier = await readCommands(store, stream, held)
    const entry = entries.get(stream)
    const isHeld = entry !== undefined && entry.loading === undefined && entry.held.commandsFrom === held.commandsFrom
    const now = isHeld ? entry.held : held
    const unknown = earlier.filter(({ key }) => now.commands.every(known => known.key !== key))
    const whole = { ...now, commands: [...unknown, ...now.commands].slice(-commandsRemembered), commandsFrom: 0 }
    if (isHeld) hold(entry, whole)
    return whole
  }

  const load = (decider: AnyDecider, stream: string): Held<unknown> | Promise<Held<unknown>> => {
    const entry = entries.get(stream) ?? start(decider, stream)
    entry.used = true
    return entry.loading === undefined ? entry.held : entry.loading.done.then(() => entry.held)
  }

  return {
    load: load as States['load'],
    loadCommands,
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
      if (entry !== undefined && entry.loading === undefined && entry.held === from) hold(entry, to)
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
