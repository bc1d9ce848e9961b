// Owns how an account is found by what it signs in by, and whether it may come in. Costs the same for one that is not there.
// What counts is what the account itself lists: a claim alone is not the account's yet, or no longer.

import { type Account, account, type CreatedAccount, isBanned } from '../domain/account/account.ts'
import type { IdentityKind } from '../domain/account/events.ts'
import { type Rejection, reject } from '../domain/decider.ts'
import { type ClaimFacts, identity } from '../domain/identity/identity.ts'
import { type Instant, streamOf, type UserId } from '../domain/ids.ts'
import type { Node } from '../eventstore/node.ts'
import { refuse } from './errors.ts'
import { sessionEnded } from './tokens.ts'

/** The account that the identity stands for; undefined when there is none. */
export const accountBehind = async (
  node: Node,
  kind: IdentityKind,
  hmac: string,
): Promise<CreatedAccount | undefined> => {
  const { claimedBy } = (await node.load(identity, streamOf.identity(hmac))).state
  const { state } = await node.load(account, streamOf.account(claimedBy ?? (`nobody.${hmac.slice(0, 26)}` as UserId)))
  return state.status === 'created' && state.identities[kind] === hmac ? state : undefined
}

const changeOf = (state: Account): Instant | null => {
  if (state.status === 'none') return null
  return state.status === 'closed' ? state.closedAt : state.identitiesChangedAt
}

/** Who holds the identity, and how their account stands to it; undefined when it is free. */
export const claimFacts = async (node: Node, kind: IdentityKind, hmac: string): Promise<ClaimFacts | undefined> => {
  const { claimedBy } = (await node.load(identity, streamOf.identity(hmac))).state
  if (claimedBy === null) return undefined
  const { state } = await node.load(account, streamOf.account(claimedBy))
  const isListed = state.status === 'created' && state.identities[kind] === hmac
  return { holder: claimedBy, isListed, changedAt: changeOf(state) }
}

/** What one who has proven to own the account is told while it is banned. */
export const bannedRefusal = (found: CreatedAccount, now: Instant): Rejection | undefined => {
  if (!isBanned(found, now) || found.ban === null) return undefined
  const { until, reason } = found.ban
  const detail = until === null ? 'The account is banned.' : `The account is banned until ${until}.`
  return reject('account.banned', detail, { until, ...(reason === undefined ? undefined : { reason }) })
}

/** What a device is told whose session is over: that the account is banned, as long as it is, else that it is signed out. */
export const whyEnded = async (node: Node, userId: UserId): Promise<Rejection> => {
  const { state } = await node.load(account, streamOf.account(userId))
  return (state.status === 'created' ? bannedRefusal(state, node.clock.now()) : undefined) ?? sessionEnded
}

export const noSuchAccount = refuse('account.not-found', 'There is no such account.')
export const wrongPassword = refuse('account.wrong-password', 'The current password is not right.')
