// Owns what a test's ledger says of an account after its sign-up: what it signs in by, a ban, its end. Holds no rules.

import type { IdentityKind } from '../../domain/account/events.ts'
import type { Instant, Position } from '../../domain/ids.ts'
import { streamOf } from '../../domain/ids.ts'
import { type Ledger, user } from './ledger.ts'

/** Claimed, and listed from then on. */
export const bind = (ledger: Ledger, name: string, kind: IdentityKind, value: string): Position => {
  const hmac = `hmac-${value}`
  ledger.record(streamOf.identity(hmac), 'IdentityClaimed', { kind, userId: user(name), at: ledger.at })
  const data = { userId: user(name), kind, hmac, [kind]: value, at: ledger.at }
  return ledger.record(streamOf.account(user(name)), 'IdentityBound', data)
}

export const ban = (ledger: Ledger, name: string, until: Instant | null = null): Position =>
  ledger.record(streamOf.account(user(name)), 'AccountBanned', {
    userId: user(name),
    until,
    credentialEpoch: 1,
    by: 'key',
    at: ledger.at,
  })

export const close = (ledger: Ledger, name: string): Position =>
  ledger.record(streamOf.account(user(name)), 'AccountClosed', {
    userId: user(name),
    identities: [],
    credentialEpoch: 1,
    at: ledger.at,
  })
