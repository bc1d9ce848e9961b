// Owns the random commands about read receipts, and what random people do for each (see random-commands.ts and random-people.ts).

import fc from 'fast-check'
import { newMessageId } from './device.ts'
import type { Arguments } from './operation-request.ts'

const group = fc.constantFrom(0, 0, 0, 1)

export const receiptKinds = {
  sayAsking: [8, fc.record({ group })],
  /** From a message so far back on, and so many of them. */
  giveReceipts: [10, fc.record({ group, back: fc.nat(6), count: fc.integer({ min: 1, max: 4 }) })],
} as const satisfies Record<string, readonly [number, fc.Arbitrary<object>]>

interface By {
  readonly who: number
  readonly device: number
}

interface Hands {
  readonly ask: (by: By, op: string, args: Arguments) => Promise<Arguments>
  readonly group: (number: number) => { readonly groupId: string } | undefined
  /** The newest message that somebody's device knows of. */
  readonly lastSeq: (by: By, conversationId: string) => number
}

type Of = By & { readonly group: number }

export const receiptDeeds = ({ ask, group: groupOf, lastSeq }: Hands) => ({
  sayAsking: async ({ group: number, ...by }: Of) => {
    const found = groupOf(number)
    if (found === undefined) return undefined
    const message = { clientMessageId: newMessageId(), type: 'text', body: { text: 'Who reads this?' }, receipt: true }
    return ask(by, 'sendMessage', { conversationId: `group:${found.groupId}`, ...message })
  },
  giveReceipts: async ({
    group: number,
    back,
    count,
    ...by
  }: Of & { readonly back: number; readonly count: number }) => {
    const found = groupOf(number)
    if (found === undefined) return undefined
    const conversationId = `group:${found.groupId}`
    const first = Math.max(1, lastSeq(by, conversationId) - back)
    const seqs = Array.from({ length: count }, (_, index) => first + index)
    return ask(by, 'giveReceipts', { conversationId, seqs })
  },
})
