// Owns the commands that random people can give, as fast-check makes them up. Values only: what they do stands in
// random-people.ts. People, devices and conversations are numbers, taken modulo of what there is.

import fc from 'fast-check'
import { sentTypes } from './message-samples.ts'
import { announcementKinds } from './random-announcements.ts'
import { appKinds } from './random-app.ts'
import { joiningKinds } from './random-joining.ts'
import { receiptKinds } from './random-receipts.ts'

const person = fc.nat(3)
const device = fc.nat(1)
/** Three others and up to two groups; mostly few of them, so that much happens in each. */
const conversation = fc.constantFrom(0, 0, 1, 2, 3, 3, 3, 4)
const group = fc.constantFrom(0, 0, 1)
/** Counted from the newest message back; below 0 beyond it. */
const back = fc.integer({ min: -2, max: 8 })
const messageType = fc.constantFrom('text', 'text', 'text', 'text', ...sentTypes)
const mostly = fc.constantFrom(true, true, true, false)
/** For what ends much: without it the rest would be idle. */
const seldom = fc.constantFrom(true, false, false)

const kinds = {
  say: [20, fc.record({ to: conversation, again: fc.constantFrom(true, false, false, false), type: messageType })],
  markRead: [6, fc.record({ to: conversation, back })],
  recall: [5, fc.record({ to: conversation, back: fc.nat(6), asOwner: fc.boolean() })],
  pin: [3, fc.record({ to: conversation, pinned: fc.boolean() })],
  remind: [
    2,
    fc.record({ to: conversation, doNotDisturb: fc.boolean(), reminder: fc.constantFrom('all', 'admins', 'none') }),
  ],
  clear: [2, fc.record({ to: conversation })],
  delete: [3, fc.record({ to: conversation, messages: fc.boolean() })],
  readAll: [1, fc.record({})],
  block: [2, fc.record({ whom: person, blocked: seldom })],
  befriend: [6, fc.record({ whom: person, text: fc.boolean() })],
  answerFriend: [6, fc.record({ whom: person, how: fc.constantFrom('accept', 'accept', 'reject', 'withdraw') })],
  unfriend: [2, fc.record({ whom: person })],
  noteFriend: [2, fc.record({ whom: person, starred: fc.boolean() })],
  readFriendRequests: [1, fc.record({})],
  createGroup: [2, fc.record({ members: fc.uniqueArray(person, { maxLength: 3 }) })],
  addMember: [6, fc.record({ group, whom: person, asOwner: mostly })],
  kick: [4, fc.record({ group, whom: person, asOwner: mostly })],
  leave: [2, fc.record({ group })],
  transfer: [2, fc.record({ group, whom: person, leave: fc.boolean() })],
  admin: [3, fc.record({ group, whom: person, isAdmin: fc.boolean() })],
  setGroup: [3, fc.record({ group, asOwner: mostly, number: fc.nat(5) })],
  mute: [
    4,
    fc.record({ group, whom: person, asOwner: mostly, until: fc.constantFrom('forever', 'later', 'past', null) }),
  ],
  muteAll: [2, fc.record({ group, asOwner: mostly, muted: seldom })],
  nickname: [4, fc.record({ group, whom: person, asOwner: mostly, number: fc.nat(3) })],
  follow: [2, fc.record({ group, whom: person, followed: mostly })],
  dissolve: [1, fc.record({ group, really: seldom })],
  ...joiningKinds,
  ...announcementKinds,
  ...receiptKinds,
  ...appKinds,
  openMembers: [2, fc.record({ group })],
  changeProfile: [3, fc.record({ number: fc.nat(5), clears: fc.boolean(), privately: seldom })],
  changePassword: [1, fc.record({ really: seldom })],
  kickDevice: [1, fc.record({ which: device })],
  signIn: [3, fc.record({})],
  disconnect: [4, fc.record({ cut: fc.boolean() })],
  connect: [5, fc.record({ from: fc.constantFrom('cursor', 'cursor', 'earlier', 'nothing') })],
  remember: [2, fc.record({})],
  readLists: [3, fc.record({ anew: seldom })],
  readNotifications: [1, fc.record({ back: fc.nat(3) })],
  letTimePass: [1, fc.record({})],
} as const satisfies Record<string, readonly [number, fc.Arbitrary<object>]>

type Kinds = typeof kinds
export type CommandKind = keyof Kinds

type FieldsOf<Kind extends CommandKind> = Kinds[Kind][1] extends fc.Arbitrary<infer Fields> ? Required<Fields> : never

/** What one person does on one device; `together`: at the same time as the one before. */
export type RandomCommand<Kind extends CommandKind = CommandKind> = Kind extends CommandKind
  ? { readonly kind: Kind; readonly who: number; readonly device: number; readonly together: boolean } & FieldsOf<Kind>
  : never

/** What each command does. */
export type Deeds<Kinds extends CommandKind> = {
  readonly [Kind in Kinds]: (command: RandomCommand<Kind>) => Promise<unknown>
}

const command: fc.Arbitrary<RandomCommand> = fc.oneof(
  ...Object.entries(kinds).map(([kind, [weight, fields]]) => ({
    weight,
    arbitrary: fc
      .tuple(fc.record({ kind: fc.constant(kind), who: person, device, together: fc.boolean() }), fields)
      .map(([head, rest]) => ({ ...head, ...rest }) as RandomCommand),
  })),
)

/** @param most commands of one sequence */
export const commandSequence = (most: number): fc.Arbitrary<RandomCommand[]> =>
  fc.array(command, { minLength: Math.floor(most / 2), maxLength: most, size: 'max' })

/** Cut into what happens at the same time, at most three commands each; time passes while nothing else happens. */
export const together = (commands: readonly RandomCommand[]): RandomCommand[][] => {
  const atOnceMax = 3
  const steps: RandomCommand[][] = []
  for (const one of commands) {
    const last = steps.at(-1)
    const isAlone = [one, last?.[0]].some(command => command?.kind === 'letTimePass')
    if (one.together && !isAlone && last !== undefined && last.length < atOnceMax) last.push(one)
    else steps.push([one])
  }
  return steps
}
