// Owns what the server has promised to the driver: the one place that the checks at the end compare with.
// A promise counts from the moment its reply is read, never earlier.

import type { Row } from '../support/replica.ts'

/** Of each thing the value that was acknowledged at the highest position. */
export type Promised = Map<string, { readonly position: string; readonly value: unknown }>

/** Two that were appended together have one position: which of them came last nobody was told. */
const unknown = Symbol('unknown')

export const promise = (
  { promised }: Pick<Ledger, 'promised'>,
  key: string,
  { position }: Row,
  value: unknown,
): void => {
  const at = String(position)
  const known = promised.get(key)
  if (known !== undefined && known.position > at) return
  const isSure = known === undefined || known.position < at || known.value === value
  promised.set(key, { position: at, value: isSure ? value : unknown })
}

/** The things of which it is known what must hold. */
export const promisesOf = ({ promised }: Pick<Ledger, 'promised'>): readonly [string, unknown][] =>
  [...promised].flatMap(([key, { value }]) => (value === unknown ? [] : [[key, value] as [string, unknown]]))

export interface Sent {
  readonly conversationId: string
  readonly from: string
  readonly clientMessageId: string
  readonly text: string
  /** The device that sent it, and its number among those the device sent into this conversation. */
  readonly line: string
  readonly number: number
  /** The server said no to it before it took it, so others of the line may have overtaken it. */
  wasRefused: boolean
  outcome: 'open' | 'refused' | 'acknowledged'
  seq: number
}

export interface Ledger {
  readonly sent: Sent[]
  /** conversation and user → highest seq whose mark was acknowledged */
  readonly read: Map<string, number>
  /** `conversation#seq` of acknowledged recalls */
  readonly recalled: Set<string>
  /** Of accounts, profiles, friends and groups. */
  readonly promised: Promised
  /** Anything that went wrong on the way, in words. */
  readonly failures: string[]
  /** Answers by code, for the summary. */
  readonly refusals: Map<string, number>
  commands: number
  reconnects: number
  resets: number
}

export const createLedger = (): Ledger => ({
  sent: [],
  read: new Map(),
  recalled: new Set(),
  promised: new Map(),
  failures: [],
  refusals: new Map(),
  commands: 0,
  reconnects: 0,
  resets: 0,
})

export const readKey = (userId: string, conversationId: string): string => `${userId} ${conversationId}`
