// Owns the rules of how an account stands: banned until a time or for ever, let in again, closed for good.
// A ban and a closing end every session at once, by the epoch. The groups that one owns are a fact from the read models: at
// worst one closes the account in the moment of making a group, and the group is handed on by what follows from the closing.

import { type Decision, reject } from '../decider.ts'
import type { GroupId, Instant } from '../ids.ts'
import type { AccountBanned, AccountClosed, AccountUnbanned, IdentityKind } from './events.ts'
import { type Account, isBanned } from './state.ts'

export interface BanAccount {
  readonly type: 'BanAccount'
  /** Null: for ever. */
  readonly until: Instant | null
  readonly reason?: string
  /** The admin key. */
  readonly by: string
  readonly at: Instant
}

export interface UnbanAccount {
  readonly type: 'UnbanAccount'
  readonly by: string
  readonly at: Instant
}

export interface CloseAccount {
  readonly type: 'CloseAccount'
  /** The epoch of the account whose password was checked; leave out where a code was. */
  readonly checkedEpoch?: number
  readonly at: Instant
}

/** For CloseAccount. */
export interface ClosingFacts {
  readonly ownedGroupIds: readonly GroupId[]
}

type StandingRejection = 'account.not-found' | 'account.wrong-password' | 'account.owns-groups'

const noAccount = reject('account.not-found', 'There is no such account.')

/** The same ban once more is no news; any other replaces it. */
export const banAccount = (command: BanAccount, state: Account): Decision<AccountBanned, StandingRejection> => {
  if (state.status !== 'created') return noAccount
  const { until, reason, by, at } = command
  if (isBanned(state, at) && state.ban?.until === until && state.ban.reason === reason) return []
  const data: AccountBanned['data'] = {
    userId: state.userId,
    until,
    ...(reason === undefined ? {} : { reason }),
    credentialEpoch: state.credentialEpoch + 1,
    by,
    at,
  }
  return [{ type: 'AccountBanned', data }]
}

/** A ban that is over needs no lifting. */
export const unbanAccount = (command: UnbanAccount, state: Account): Decision<AccountUnbanned, StandingRejection> => {
  if (state.status !== 'created') return noAccount
  if (!isBanned(state, command.at)) return []
  return [{ type: 'AccountUnbanned', data: { userId: state.userId, by: command.by, at: command.at } }]
}

export const closeAccount = (
  command: CloseAccount,
  state: Account,
  facts: ClosingFacts | undefined,
): Decision<AccountClosed, StandingRejection> => {
  if (facts === undefined) throw new Error('CloseAccount needs the groups that the account owns')
  if (state.status !== 'created') return noAccount
  if (command.checkedEpoch !== undefined && command.checkedEpoch !== state.credentialEpoch) {
    return reject('account.wrong-password', 'The password has just been changed. Sign in with the new one.')
  }
  if (facts.ownedGroupIds.length > 0) {
    const detail = 'You own groups. Transfer or dissolve them first.'
    return reject('account.owns-groups', detail, { groupIds: facts.ownedGroupIds })
  }
  const identities = (Object.entries(state.identities) as [IdentityKind, string][]).map(([kind, hmac]) => ({
    kind,
    hmac,
  }))
  const data = { userId: state.userId, identities, credentialEpoch: state.credentialEpoch + 1, at: command.at }
  return [{ type: 'AccountClosed', data }]
}
