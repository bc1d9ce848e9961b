// Owns the random commands about how people come into groups, and what random people do for each (see random-commands.ts and
// random-people.ts).

import fc from 'fast-check'
import type { Arguments } from './operation-request.ts'

const person = fc.nat(3)
const group = fc.constantFrom(0, 0, 1)
const mostly = fc.constantFrom(true, true, true, false)

export const joiningKinds = {
  answerInvitation: [5, fc.record({ group, accepts: mostly })],
  recallInvitation: [2, fc.record({ group, whom: person, asOwner: mostly })],
  join: [5, fc.record({ group })],
  withdraw: [1, fc.record({ group })],
  decide: [5, fc.record({ group, whom: person, asOwner: mostly, approves: mostly })],
} as const satisfies Record<string, readonly [number, fc.Arbitrary<object>]>

interface By {
  readonly who: number
  readonly device: number
}

/** What the deeds need of the people. */
interface Hands {
  /** Asks on a device of somebody. */
  readonly ask: (by: By, op: string, args: Arguments) => Promise<unknown>
  readonly group: (number: number) => { readonly groupId: string; readonly owner: number } | undefined
  readonly userId: (number: number) => string
}

type Of = By & { readonly group: number }
type On = Of & { readonly whom: number; readonly asOwner: boolean }

export const joiningDeeds = ({ ask, group: groupOf, userId }: Hands) => {
  const of = async ({ group: number, who, device }: Of, op: string, more: Arguments = {}) => {
    const found = groupOf(number)
    if (found !== undefined) await ask({ who, device }, op, { groupId: found.groupId, ...more })
  }
  const on = async ({ asOwner, whom, ...by }: On, op: string) => {
    const who = asOwner ? (groupOf(by.group)?.owner ?? by.who) : by.who
    await of({ ...by, who }, op, { userId: userId(whom) })
  }
  return {
    answerInvitation: (command: Of & { readonly accepts: boolean }) =>
      of(command, command.accepts ? 'acceptGroupInvitation' : 'rejectGroupInvitation'),
    recallInvitation: (command: On) => on(command, 'recallGroupInvitation'),
    join: (command: Of) => of(command, 'joinGroup', { message: `of ${command.who}` }),
    withdraw: (command: Of) => of(command, 'withdrawGroupApplication'),
    decide: (command: On & { readonly approves: boolean }) =>
      on(command, command.approves ? 'approveGroupApplication' : 'rejectGroupApplication'),
  }
}
