// Owns the shape of a rule set: how a stream's events fold into a state and how a command is decided on it.
// Pure. A rejection is a value; a thrown error means a bug.

import type { Category } from './ids.ts'
import type { RejectionCode } from './rejections.ts'

/** An expected "no". `detail` says what to do; `data` travels to the client as extra fields. */
export interface Rejection<Code extends RejectionCode = RejectionCode> {
  readonly rejected: Code
  readonly detail: string
  readonly data?: Readonly<Record<string, unknown>>
}

/** Events to append, in order; an empty list is success with nothing to do. */
export type Decision<Event, Code extends RejectionCode> = readonly Event[] | Rejection<Code>

export const reject = <Code extends RejectionCode>(
  rejected: Code,
  detail: string,
  data?: Readonly<Record<string, unknown>>,
): Rejection<Code> => (data === undefined ? { rejected, detail } : { rejected, detail, data })

export const isRejection = (value: unknown): value is Rejection =>
  typeof value === 'object' && value !== null && 'rejected' in value

/**
 * The end of every `decide`: a command without a rule does not compile. At run time it is a bug, told by the command's
 * name alone, for its fields may be secret.
 */
export const noRuleFor = (command: never): never => {
  throw new Error(`no rule for the command ${(command as { type?: string }).type}`)
}

/** A past-tense fact. `type` is a stable string for ever. */
export interface DomainEvent {
  readonly type: string
  readonly data: object
}

/**
 * How a stream is loaded when its state is not held: `fold` reads it whole (short streams), `last` reads its newest event only
 * (each event carries the whole small state), `snapshot` reads the newest snapshot and the events after it.
 */
export type Load<State> =
  | { readonly by: 'fold' }
  | { readonly by: 'last' }
  | {
      readonly by: 'snapshot'
      /** Raising it makes every older snapshot void. */
      readonly version: number
      readonly everyEvents: number
      readonly encode: (state: State) => object
      readonly decode: (json: object) => State
    }

/**
 * The rules of one kind of stream. `decide` gets the command, the state, and facts read from other streams;
 * a fact may be as old as the follow lag, and each decider's header says what such a race can do at worst.
 */
export interface Decider<State, Command, Event extends DomainEvent, Code extends RejectionCode, Facts = undefined> {
  readonly category: Category
  readonly load: Load<State>
  readonly initial: State
  /** How much of the memory for held states this one takes; 1 when absent. */
  readonly weight?: (state: State) => number
  /** Total and pure: an event it does not know leaves the state as it is. */
  readonly evolve: (state: State, event: Event) => State
  readonly decide: (command: Command, state: State, facts: Facts) => Decision<Event, Code>
}
