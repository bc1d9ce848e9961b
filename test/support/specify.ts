// Owns how the rules of a decider are told in tests: given what happened, when a command comes, then these events, or a "no".
// Compares strictly, with order. Every fold also proves that evolve changes nothing it was given (copy on write).

import { expect } from 'vitest'
import { type Decider, type Decision, type DomainEvent, isRejection } from '../../domain/decider.ts'
import type { RejectionCode } from '../../domain/rejections.ts'

type FactsArguments<Facts> = undefined extends Facts ? [facts?: Facts] : [facts: Facts]

export interface Outcome<State, Event, Code> {
  /** The decision is exactly these events, in this order; gives the state after them. */
  readonly then: (events: readonly Event[]) => State
  /** The decision is this "no", with a detail for the reader, and with exactly this data if any is named. */
  readonly rejects: (code: Code, data?: Readonly<Record<string, unknown>>) => void
}

export interface Given<State, Command, Event, Code, Facts> {
  readonly when: (command: Command, ...facts: FactsArguments<Facts>) => Outcome<State, Event, Code>
  /** The state that the events given fold to. */
  readonly state: () => State
}

/** Folds events onto a state, holding evolve to leaving its arguments as they were. */
export const fold = <State, Command, Event extends DomainEvent, Code extends RejectionCode, Facts>(
  decider: Decider<State, Command, Event, Code, Facts>,
  events: readonly Event[],
  start: State = decider.initial,
): State => {
  let state = start
  for (const event of events) {
    const before = structuredClone(state)
    const eventBefore = structuredClone(event)
    const after = decider.evolve(state, event)
    expect(state).toStrictEqual(before)
    expect(event).toStrictEqual(eventBefore)
    state = after
  }
  return state
}

const outcomeOf = <State, Command, Event extends DomainEvent, Code extends RejectionCode, Facts>(
  decider: Decider<State, Command, Event, Code, Facts>,
  state: State,
  decision: Decision<Event, Code>,
): Outcome<State, Event, Code> => ({
  // biome-ignore lint/suspicious/noThenProperty: the grammar is given, when, then; nothing awaits this object
  then: events => {
    expect(decision).toStrictEqual(events)
    return fold(decider, events, state)
  },
  rejects: (code, data) => {
    if (!isRejection(decision)) return expect.fail(`decided ${JSON.stringify(decision)} where ${code} was due`)
    expect(decision.rejected).toBe(code)
    expect(decision.detail).toMatch(/^\S.*[.]$/)
    if (data !== undefined) expect(decision.data).toStrictEqual(data)
  },
})

/** `specify(decider).given(...events).when(command, facts).then(events)` or `.rejects(code)`. */
export const specify = <State, Command, Event extends DomainEvent, Code extends RejectionCode, Facts>(
  decider: Decider<State, Command, Event, Code, Facts>,
) => ({
  given: (...events: readonly Event[]): Given<State, Command, Event, Code, Facts> => {
    const state = fold(decider, events)
    return {
      state: () => state,
      when: (command, ...facts) => {
        const before = structuredClone(state)
        const decision = decider.decide(command, state, facts[0] as Facts)
        expect(state).toStrictEqual(before)
        return outcomeOf(decider, state, decision)
      },
    }
  },
})
