// Owns the rules of an account: it is created once, its password, its profile and what it signs in by can be changed (R1, R3,
// R4). How it ends, for a while or for good, stands in standing.ts.
// Never sees a clear password or decides who may sign in: hashes are checked at the edge.
// Reads no facts but for closing, so there is no race on stale ones. Two changes that were both checked against the same old
// password: the second is refused when it says which epoch it was checked against.

import { type Decider, type Decision, noRuleFor, reject } from '../decider.ts'
import type { Instant, SessionId, UserId } from '../ids.ts'
import type {
  AccountCreated,
  AccountEvent,
  AccountIdentity,
  IdentityBound,
  IdentityKind,
  PasswordChanged,
  ProfileChanged,
} from './events.ts'
import { type ProfileChanges, realChanges } from './profile.ts'
import {
  type BanAccount,
  banAccount,
  type CloseAccount,
  type ClosingFacts,
  closeAccount,
  type UnbanAccount,
  unbanAccount,
} from './standing.ts'
import { type Account, evolve } from './state.ts'

export type { AccountEvent, AccountIdentity } from './events.ts'
export { type Account, type CreatedAccount, isBanned } from './state.ts'

export interface CreateAccount {
  readonly type: 'CreateAccount'
  readonly userId: UserId
  readonly name: string
  /** Of a sign-up: claimed next, and the account exists only then. */
  readonly identity?: AccountIdentity
  /** Of an account that the app's own backend makes: claimed already, so that it exists at once. */
  readonly claimed?: readonly AccountIdentity[]
  /** The clear values of the identities. */
  readonly userName?: string
  readonly phone?: string
  readonly email?: string
  readonly passwordHash?: string
  /** The admin key of that backend. */
  readonly by?: string
  readonly at: Instant
}

export interface ChangePassword {
  readonly type: 'ChangePassword'
  readonly passwordHash: string
  readonly keptSessionId: SessionId | null
  readonly reason: 'changed' | 'reset'
  /** The epoch of the account whose old password was checked; leave out where none was (a reset by code). */
  readonly checkedEpoch?: number
  readonly at: Instant
}

export interface ChangeProfile {
  readonly type: 'ChangeProfile'
  readonly changes: ProfileChanges
  readonly at: Instant
}

/** The identity was claimed for the account before; from here on it counts, and the one before it no longer. */
export interface BindIdentity {
  readonly type: 'BindIdentity'
  readonly identity: AccountIdentity
  readonly value: string
  readonly at: Instant
}

export type AccountCommand =
  | CreateAccount
  | ChangePassword
  | ChangeProfile
  | BindIdentity
  | BanAccount
  | UnbanAccount
  | CloseAccount
export type AccountRejection = 'account.exists' | 'account.not-found' | 'account.wrong-password' | 'account.owns-groups'

const noAccount = reject('account.not-found', 'There is no such account.')

/** The id of a sign-up derives from caller and key: the same identity under it can only be the same command again. */
const isRepeated = ({ identity }: CreateAccount, state: Account): boolean =>
  identity !== undefined && state.status === 'created' && state.identities[identity.kind] === identity.hmac

const createAccount = (command: CreateAccount, state: Account): Decision<AccountCreated, AccountRejection> => {
  if (state.status !== 'none') {
    return isRepeated(command, state)
      ? []
      : reject('account.exists', 'This account id is taken. Choose another, or send a new Idempotency-Key.')
  }
  const { identity, claimed } = command
  const data: AccountCreated['data'] = {
    userId: command.userId,
    name: command.name,
    ...(identity === undefined ? {} : { identity: { kind: identity.kind, hmac: identity.hmac } }),
    ...(claimed === undefined ? {} : { claimed: claimed.map(({ kind, hmac }) => ({ kind, hmac })) }),
    ...(command.userName === undefined ? {} : { userName: command.userName }),
    ...(command.phone === undefined ? {} : { phone: command.phone }),
    ...(command.email === undefined ? {} : { email: command.email }),
    ...(command.passwordHash === undefined ? {} : { passwordHash: command.passwordHash }),
    ...(command.by === undefined ? {} : { by: command.by }),
    at: command.at,
  }
  return [{ type: 'AccountCreated', data }]
}

const changePassword = (command: ChangePassword, state: Account): Decision<PasswordChanged, AccountRejection> => {
  if (state.status !== 'created') return noAccount
  if (command.checkedEpoch !== undefined && command.checkedEpoch !== state.credentialEpoch) {
    return reject('account.wrong-password', 'The password has just been changed. Sign in with the new one.')
  }
  const data: PasswordChanged['data'] = {
    userId: state.userId,
    passwordHash: command.passwordHash,
    credentialEpoch: state.credentialEpoch + 1,
    keptSessionId: command.keptSessionId,
    reason: command.reason,
    at: command.at,
  }
  return [{ type: 'PasswordChanged', data }]
}

/** Nothing happens when everything is as it should be already. */
const changeProfile = (command: ChangeProfile, state: Account): Decision<ProfileChanged, AccountRejection> => {
  if (state.status !== 'created') return noAccount
  const set = realChanges(state, command.changes)
  return set === undefined ? [] : [{ type: 'ProfileChanged', data: { userId: state.userId, set, at: command.at } }]
}

const later = (one: Instant, other: Instant): Instant => (one > other ? one : other)

const clearValue = (kind: IdentityKind, value: string): { [Kind in IdentityKind]?: string } => ({ [kind]: value })

/** Never dated before the change before it: what was claimed in between must not be freed as if it were older. */
const bindIdentity = (command: BindIdentity, state: Account): Decision<IdentityBound, AccountRejection> => {
  if (state.status !== 'created') return noAccount
  const { kind, hmac } = command.identity
  const before = state.identities[kind]
  if (before === hmac) return []
  const data: IdentityBound['data'] = {
    userId: state.userId,
    kind,
    hmac,
    ...clearValue(kind, command.value),
    ...(before === undefined ? {} : { replacedHmac: before }),
    at: later(command.at, state.identitiesChangedAt),
  }
  return [{ type: 'IdentityBound', data }]
}

/** The rules of `account-<userId>` (R1, R3, R4). Facts are needed for CloseAccount only. */
export const account: Decider<Account, AccountCommand, AccountEvent, AccountRejection, ClosingFacts | undefined> = {
  category: 'account',
  load: { by: 'fold' },
  initial: { status: 'none' },
  evolve,
  decide: (command, state, facts) => {
    switch (command.type) {
      case 'CreateAccount':
        return createAccount(command, state)
      case 'ChangePassword':
        return changePassword(command, state)
      case 'ChangeProfile':
        return changeProfile(command, state)
      case 'BindIdentity':
        return bindIdentity(command, state)
      case 'BanAccount':
        return banAccount(command, state)
      case 'UnbanAccount':
        return unbanAccount(command, state)
      case 'CloseAccount':
        return closeAccount(command, state, facts)
      default:
        return noRuleFor(command)
    }
  },
}
