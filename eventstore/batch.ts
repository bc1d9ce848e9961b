// Owns how the commands that wait for one stream become one append: decided in order, each on the state the one before leaves.
// Pure. What it says holds only once the append is in the log, so nobody may be answered before.

import { type DomainEvent, isRejection, type Rejection, reject } from '../domain/decider.ts'
import type { Position } from '../domain/ids.ts'
import { eventIdOf, randomEventId } from './clock.ts'
import { type Appended, type CommandMark, type NewEvent, readEventsMax } from './port.ts'
import { bytesOfEvent, unitsOf } from './rules.ts'
import { type AnyDecider, type Held, type KnownCommand, remember } from './states.ts'

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
  /**
   * Of the command's append; of its own last event for a repeat, which is never later. Of the newest event decided on when
   * there was nothing to do.
   */
  readonly position: Position
  readonly revision: number
  readonly state: State
  readonly events: readonly Event[]
  readonly repeated: boolean
}

/** A decision that threw: a bug, told to its caller alone. */
interface Failed {
  readonly failed: unknown
}

type Settled = Handled<unknown, unknown> | Rejection | Failed

/** A command in a queue. */
export interface Waiting {
  readonly command: unknown
  readonly options: HandleOptions<unknown>
  readonly mark: CommandMark | undefined
  readonly seed: string | undefined
  readonly resolve: (outcome: Handled<unknown, unknown> | Rejection) => void
  readonly reject: (error: unknown) => void
}

export interface Batch {
  readonly from: Held<unknown>
  readonly to: Held<unknown>
  readonly taken: readonly Waiting[]
  readonly outcomes: readonly Settled[]
  readonly events: readonly NewEvent[]
}

/** Bytes of events in one append; the rest up to the store's own limit is room for what it adds. */
export const batchBytesMax = 900 * 1024
/** Commands decided together. */
export const batchCommandsMax = 500
/** Events of one append: after a conflict one page of the tail must show whether it landed. */
const batchEventsMax = readEventsMax
/** Stands for the position that the batch's own append will have. */
const ofThisAppend = '' as Position

/** The stream is part of it: one request may run commands on several streams, and no two events may share an id. */
export const markOf = (stream: string, key: CommandKey): CommandMark => ({
  key: eventIdOf(`${key.caller}\n${key.key}\n${stream}`, 0),
  fingerprint: key.fingerprint,
})

const mismatch = (): Rejection =>
  reject('idempotency.mismatch', 'This key was used for another request. Use a new key for a new request.')

/**
 * The id is of the command and of all that the event says: two nodes that run one command at once decide at different times,
 * and a log that knows the id of one must not take it for the other.
 */
const newEventOf = (waiting: Waiting, event: DomainEvent, index: number): NewEvent => {
  const text = JSON.stringify(event.data)
  return {
    id: waiting.seed === undefined ? randomEventId() : eventIdOf(`${waiting.seed}\n${text}`, index),
    type: event.type,
    data: event.data,
    text,
    ...(waiting.mark === undefined ? undefined : { command: waiting.mark }),
  }
}

const knownAs = (commands: readonly KnownCommand[], mark: CommandMark | undefined): KnownCommand | undefined =>
  mark && commands.find(command => command.key === mark.key)

/** Decides waiting commands one after the other, each on the state the one before leaves. */
export const decideBatch = (decider: AnyDecider, queue: readonly Waiting[], from: Held<unknown>): Batch => {
  const events: NewEvent[] = []
  const outcomes: Settled[] = []
  let { state, revision, commands } = from
  let units = 0
  let bytes = 0
  let counted = 0

  const nothingToDo = (repeated: boolean): Settled => {
    const position = events.length > 0 ? ofThisAppend : from.position
    return { position, revision, state, events: [], repeated }
  }

  /** A unit of text is three bytes at most; the bytes are counted only where that could be too many. */
  const hasRoomFor = (made: readonly NewEvent[]): boolean => {
    if (events.length + made.length > batchEventsMax) return false
    for (const event of made) units += unitsOf(event)
    if (units * 3 <= batchBytesMax) return true
    for (; counted < events.length; counted++) bytes += bytesOfEvent(events[counted] as NewEvent)
    return made.reduce((sum, event) => sum + bytesOfEvent(event), bytes) <= batchBytesMax
  }

  /** Undefined: no room in this batch. */
  const decideOne = (waiting: Waiting): Settled | undefined => {
    const known = knownAs(commands, waiting.mark)
    if (known !== undefined) {
      const same = known.fingerprint === waiting.mark?.fingerprint
      return same ? { position: known.position, revision, state, events: [], repeated: true } : mismatch()
    }
    if (waiting.options.alreadyDone?.() === true) return nothingToDo(true)
    const decision = decider.decide(waiting.command, state, waiting.options.facts)
    if (isRejection(decision)) return decision
    const decided = decision as readonly DomainEvent[]
    if (decided.length === 0) return nothingToDo(false)
    const made = decided.map((event, index) => newEventOf(waiting, event, index))
    if (!hasRoomFor(made) && events.length > 0) return undefined
    let next = state
    for (const event of decided) next = decider.evolve(next, event)
    state = next
    revision += made.length
    events.push(...made)
    if (waiting.mark !== undefined) commands = remember(commands, { ...waiting.mark, position: ofThisAppend })
    return { position: ofThisAppend, revision, state, events: decided, repeated: false }
  }

  for (const waiting of queue) {
    if (outcomes.length >= batchCommandsMax) break
    try {
      const outcome = decideOne(waiting)
      if (outcome === undefined) break
      outcomes.push(outcome)
    } catch (error) {
      // One caller's bug must not fail the others that wait for the same stream.
      outcomes.push({ failed: error })
    }
  }
  const to = { ...from, state, revision, commands }
  return { from, to, taken: queue.slice(0, outcomes.length), outcomes, events }
}

/** The state after the batch, once its append is in the log. */
export const heldAfter = (batch: Batch, appended: Appended): Held<unknown> => ({
  ...batch.to,
  revision: appended.revision,
  position: appended.position,
  commands:
    batch.to.commands === batch.from.commands
      ? batch.from.commands
      : batch.to.commands.map(known =>
          known.position === ofThisAppend ? { ...known, position: appended.position } : known,
        ),
})

/** Answers everybody whose command the batch took. @param appended where its events are; undefined when it had none */
export const settleBatch = (batch: Batch, appended: Appended | undefined): void => {
  for (const [index, waiting] of batch.taken.entries()) {
    const outcome = batch.outcomes[index] as Settled
    if ('failed' in outcome) waiting.reject(outcome.failed)
    else if (appended === undefined || isRejection(outcome) || outcome.position !== ofThisAppend) {
      waiting.resolve(outcome)
    } else waiting.resolve({ ...outcome, position: appended.position })
  }
}
