// Owns the rule that a phone number, e-mail address or user name belongs to at most one account at a time (R1).
// The claim is the commit point of a new account. Never sees the clear value, only the stream named by its keyed HMAC.
// Reads no facts: the exact revision of the append decides between two who claim at once.

import type { IdentityKind } from '../account/events.ts'
import { type Decider, type Decision, noRuleFor, reject } from '../decider.ts'
import type { Instant, UserId } from '../ids.ts'
import type { IdentityEvent } from './events.ts'

export type { IdentityEvent } from './events.ts'

export interface IdentityState {
  readonly claimedBy: UserId | null
}

export interface ClaimIdentity {
  readonly type: 'ClaimIdentity'
  readonly kind: IdentityKind
  readonly userId: UserId
  readonly at: Instant
}

export interface ReleaseIdentity {
  readonly type: 'ReleaseIdentity'
  readonly kind: IdentityKind
  readonly userId: UserId
  readonly at: Instant
}

export type IdentityCommand = ClaimIdentity | ReleaseIdentity
export type IdentityRejection = 'identity.taken'

const evolve = (state: IdentityState, event: IdentityEvent): IdentityState => {
  switch (event.type) {
    case 'IdentityClaimed':
      return { claimedBy: event.data.userId }
    case 'IdentityReleased':
      return { claimedBy: null }
    default:
      return state
  }
}

const claim = (command: ClaimIdentity, state: IdentityState): Decision<IdentityEvent, IdentityRejection> => {
  if (state.claimedBy === command.userId) return []
  if (state.claimedBy !== null) {
    return reject('identity.taken', 'It belongs to another account. Sign in to that one, or use another.')
  }
  return [{ type: 'IdentityClaimed', data: { kind: command.kind, userId: command.userId, at: command.at } }]
}

/** Somebody else's claim is left alone: what this user no longer holds is already released. */
const release = (command: ReleaseIdentity, state: IdentityState): Decision<IdentityEvent, IdentityRejection> =>
  state.claimedBy === command.userId
    ? [{ type: 'IdentityReleased', data: { kind: command.kind, userId: command.userId, at: command.at } }]
    : []

/** The rules of `identity-<hmac>` (R1). */
export const identity: Decider<IdentityState, IdentityCommand, IdentityEvent, IdentityRejection> = {
  category: 'identity',
  load: { by: 'fold' },
  initial: { claimedBy: null },
  evolve,
  decide: (command, state) => {
    switch (command.type) {
      case 'ClaimIdentity':
        return claim(command, state)
      case 'ReleaseIdentity':
        return release(command, state)
      default:
        return noRuleFor(command)
    }
  },
}
