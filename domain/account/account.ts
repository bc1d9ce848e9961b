// Owns the rules of an account: it is created once, its password and its profile can be changed (R1, R3, R4).
// Never sees a clear password or decides who may sign in: hashes are checked at the edge.
// Reads no facts, so there is no race on stale ones. Two password changes that were both checked against the same old
// password: the second is refused when it says which epoch it was checked against.

import { type Decider, type Decision, noRuleFor, reject } from '../decider.ts'
import type { Instant, SessionId, UserId } from '../ids.ts'
import type { AccountCreated, AccountEvent, IdentityKind, PasswordChanged, ProfileChanged } from './events.ts'
import { initialPrivateProfile, type Profile, type ProfileChanges, profileWith, realChanges } from './profile.ts'

export type { AccountEvent } from './events.ts'

/** What an account signs in by; `hmac` names the identity's stream. */
export interface AccountIdentity {
  readonly kind: IdentityKind
  readonly hmac: string
}

export interface CreatedAccount extends Profile {
  readonly status: 'created'
  readonly userId: UserId
  readonly userName?: string
  readonly phone?: string
  readonly email?: string
  readonly identity: AccountIdentity
  /** Null for an account that signs in by code only. */
  readonly passwordHash: string | null
  /** Grows by one with every password change; sessions of an older epoch are over. */
  readonly credentialEpoch: number
  /** The one session of an older epoch that the latest change kept. */
  readonly keptSessionId: SessionId | null
  readonly createdAt: Instant
}

export type Account = { readonly status: 'none' } | CreatedAccount

export interface CreateAccount {
  readonly type: 'CreateAccount'
  readonly userId: UserId
  readonly name: string
  readonly identity: AccountIdentity
  /** Exactly the one that `identity.kind` names. */
  readonly userName?: string
  readonly phone?: string
  readonly email?: string
  readonly passwordHash?: string
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

export type AccountCommand = CreateAccount | ChangePassword | ChangeProfile
export type AccountRejection = 'account.exists' | 'account.not-found' | 'account.wrong-password'

const created = (data: AccountCreated['data']): CreatedAccount => ({
  status: 'created',
  userId: data.userId,
  name: data.name,
  ...initialPrivateProfile,
  identity: data.identity,
  ...(data.userName === undefined ? {} : { userName: data.userName }),
  ...(data.phone === undefined ? {} : { phone: data.phone }),
  ...(data.email === undefined ? {} : { email: data.email }),
  passwordHash: data.passwordHash ?? null,
  credentialEpoch: 0,
  keptSessionId: null,
  createdAt: data.at,
})

const passwordChanged = (state: Account, data: PasswordChanged['data']): Account =>
  state.status === 'none'
    ? state
    : {
        ...state,
        passwordHash: data.passwordHash,
        credentialEpoch: data.credentialEpoch,
        keptSessionId: data.keptSessionId,
      }

const evolve = (state: Account, event: AccountEvent): Account => {
  switch (event.type) {
    case 'AccountCreated':
      return created(event.data)
    case 'PasswordChanged':
      return passwordChanged(state, event.data)
    case 'ProfileChanged':
      return state.status === 'none' ? state : profileWith(state, event.data.set)
    default:
      return state
  }
}

const createAccount = (command: CreateAccount, state: Account): Decision<AccountCreated, AccountRejection> => {
  if (state.status === 'created') {
    // The id derives from caller and key: the same identity under it can only be the same command again.
    const repeated = state.identity.kind === command.identity.kind && state.identity.hmac === command.identity.hmac
    return repeated ? [] : reject('account.exists', 'This account id is taken. Send a new Idempotency-Key.')
  }
  const data: AccountCreated['data'] = {
    userId: command.userId,
    name: command.name,
    identity: { kind: command.identity.kind, hmac: command.identity.hmac },
    ...(command.userName === undefined ? {} : { userName: command.userName }),
    ...(command.phone === undefined ? {} : { phone: command.phone }),
    ...(command.email === undefined ? {} : { email: command.email }),
    ...(command.passwordHash === undefined ? {} : { passwordHash: command.passwordHash }),
    at: command.at,
  }
  return [{ type: 'AccountCreated', data }]
}

const changePassword = (command: ChangePassword, state: Account): Decision<PasswordChanged, AccountRejection> => {
  if (state.status === 'none') return reject('account.not-found', 'There is no such account.')
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
  if (state.status === 'none') return reject('account.not-found', 'There is no such account.')
  const set = realChanges(state, command.changes)
  return set === undefined ? [] : [{ type: 'ProfileChanged', data: { userId: state.userId, set, at: command.at } }]
}

/** The rules of `account-<userId>` (R1, R3, R4). */
export const account: Decider<Account, AccountCommand, AccountEvent, AccountRejection> = {
  category: 'account',
  load: { by: 'fold' },
  initial: { status: 'none' },
  evolve,
  decide: (command, state) => {
    switch (command.type) {
      case 'CreateAccount':
        return createAccount(command, state)
      case 'ChangePassword':
        return changePassword(command, state)
      case 'ChangeProfile':
        return changeProfile(command, state)
      default:
        return noRuleFor(command)
    }
  },
}
