// Owns the rule that a phone number, e-mail address or user name belongs to at most one account at a time (R1): the claim decides.
// Never sees the clear value, only the stream named by its keyed HMAC. The exact revision of the append decides between two at once.
// Facts tell of the holder's account, which lists what it claimed before: a claim that is not listed but older than the last change
// of the list was let go of, and is free at once; any other that is not listed only when it is much older than the follow lag.
// At worst, of two changes that one user makes in the same moment, one is listed although another has claimed it meanwhile: the
// claim is what one signs in by.

import type { IdentityKind } from '../account/events.ts'
import { type Decider, type Decision, noRuleFor, reject } from '../decider.ts'
import type { Instant, UserId } from '../ids.ts'
import { secondsBetween } from '../instants.ts'
import { limits } from '../limits.ts'
import type { IdentityClaimed, IdentityEvent } from './events.ts'

export type { IdentityEvent } from './events.ts'

export interface IdentityState {
  readonly claimedBy: UserId | null
  readonly claimedAt: Instant | null
}

/** For ClaimIdentity. */
export interface ClaimFacts {
  readonly holder: UserId
  /** Whether the holder's account signs in by it. */
  readonly isListed: boolean
  /** When that account last changed what it signs in by, or was closed; null while there is none. */
  readonly changedAt: Instant | null
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
  /** When the account let go of it; a claim made after that is another one. */
  readonly replacedAt: Instant
  readonly at: Instant
}

export type IdentityCommand = ClaimIdentity | ReleaseIdentity
export type IdentityRejection = 'identity.taken'

const evolve = (state: IdentityState, event: IdentityEvent): IdentityState => {
  switch (event.type) {
    case 'IdentityClaimed':
      return { claimedBy: event.data.userId, claimedAt: event.data.at }
    case 'IdentityReleased':
      return { claimedBy: null, claimedAt: null }
    default:
      return state
  }
}

/** An own claim that the account does not list is made anew: an older one may be about to be freed, or taken over. */
const claim = (
  command: ClaimIdentity,
  state: IdentityState,
  facts: ClaimFacts | undefined,
): Decision<IdentityEvent, IdentityRejection> => {
  const { kind, userId, at } = command
  const { claimedBy, claimedAt } = state
  const claimed: IdentityClaimed = { type: 'IdentityClaimed', data: { kind, userId, at } }
  if (claimedBy === null || claimedAt === null) return [claimed]
  const isListed = facts === undefined || facts.holder !== claimedBy || facts.isListed
  if (claimedBy === userId) return isListed ? [] : [claimed]
  const isLetGo = !isListed && facts.changedAt !== null && claimedAt < facts.changedAt
  if (!isLetGo && (isListed || secondsBetween(claimedAt, at) < limits.identityClaimSeconds)) {
    return reject('identity.taken', 'It belongs to another account. Sign in to that one, or use another.')
  }
  return [{ type: 'IdentityReleased', data: { kind, userId: claimedBy, at } }, claimed]
}

/**
 * Whether the user has it, or is about to: the account lists it, or claimed it a moment ago and has let go of nothing since.
 * Whoever claimed it has shown what it takes; a repeat needs no more.
 */
export const isHeldBy = (
  { claimedBy, claimedAt }: IdentityState,
  userId: UserId,
  { isListed, changedAt }: Pick<ClaimFacts, 'isListed' | 'changedAt'>,
  at: Instant,
): boolean => {
  if (claimedBy !== userId || claimedAt === null) return false
  const isOpen = changedAt === null || claimedAt > changedAt
  return isListed || (isOpen && secondsBetween(claimedAt, at) < limits.identityClaimSeconds)
}

/** Somebody else's claim is left alone, and so is a newer one: what this user let go of is already released. */
const release = (command: ReleaseIdentity, state: IdentityState): Decision<IdentityEvent, IdentityRejection> =>
  state.claimedBy === command.userId && state.claimedAt !== null && state.claimedAt <= command.replacedAt
    ? [{ type: 'IdentityReleased', data: { kind: command.kind, userId: command.userId, at: command.at } }]
    : []

/** The rules of `identity-<hmac>` (R1). */
export const identity: Decider<
  IdentityState,
  IdentityCommand,
  IdentityEvent,
  IdentityRejection,
  ClaimFacts | undefined
> = {
  category: 'identity',
  load: { by: 'fold' },
  initial: { claimedBy: null, claimedAt: null },
  evolve,
  decide: (command, state, facts) => {
    switch (command.type) {
      case 'ClaimIdentity':
        return claim(command, state, facts)
      case 'ReleaseIdentity':
        return release(command, state)
      default:
        return noRuleFor(command)
    }
  },
}
