// Owns the state of an account and how its events make it. A closed account keeps its id, and nothing else of the person.

import type { Instant, SessionId, UserId } from '../ids.ts'
import type {
  AccountBanned,
  AccountClosed,
  AccountCreated,
  AccountEvent,
  AccountIdentity,
  IdentityBound,
  IdentityKind,
  PasswordChanged,
} from './events.ts'
import { initialPrivateProfile, type Profile, profileWith } from './profile.ts'

export interface Ban {
  /** Null: for ever. */
  readonly until: Instant | null
  readonly reason?: string
}

export interface CreatedAccount extends Profile {
  readonly status: 'created'
  readonly userId: UserId
  readonly userName?: string
  readonly phone?: string
  readonly email?: string
  /** What it signs in by: the HMAC of each, which names its stream. */
  readonly identities: Readonly<Partial<Record<IdentityKind, string>>>
  /** No claim that is older than this belongs to what the account lists now, unless it listed it all the time. */
  readonly identitiesChangedAt: Instant
  /** Of a sign-up: the account exists only if this was claimed for it. Null: it surely exists. */
  readonly awaitsClaim: AccountIdentity | null
  /** Null for an account that signs in by code only. */
  readonly passwordHash: string | null
  /** Grows by one with every password change and every ban; sessions of an older epoch are over. */
  readonly credentialEpoch: number
  /** The one session of an older epoch that the latest change kept. */
  readonly keptSessionId: SessionId | null
  /** The latest ban, whether it is over or not; null when there was none or it was lifted. */
  readonly ban: Ban | null
  readonly createdAt: Instant
}

export interface ClosedAccount {
  readonly status: 'closed'
  readonly userId: UserId
  /** Nothing is kept of it; what others see instead stands in row.ts. */
  readonly name: ''
  readonly createdAt: Instant
  readonly closedAt: Instant
}

export type Account = { readonly status: 'none' } | CreatedAccount | ClosedAccount

/** Whether the ban holds at a time: it lifts itself. */
export const isBanned = ({ ban }: CreatedAccount, at: Instant): boolean =>
  ban !== null && (ban.until === null || at < ban.until)

const created = (data: AccountCreated['data']): CreatedAccount => ({
  status: 'created',
  userId: data.userId,
  name: data.name,
  ...initialPrivateProfile,
  ...(data.userName === undefined ? {} : { userName: data.userName }),
  ...(data.phone === undefined ? {} : { phone: data.phone }),
  ...(data.email === undefined ? {} : { email: data.email }),
  identities: Object.fromEntries(
    (data.identity === undefined ? (data.claimed ?? []) : [data.identity]).map(({ kind, hmac }) => [kind, hmac]),
  ),
  identitiesChangedAt: data.at,
  awaitsClaim: data.identity ?? null,
  passwordHash: data.passwordHash ?? null,
  credentialEpoch: 0,
  keptSessionId: null,
  ban: null,
  createdAt: data.at,
})

const passwordChanged = (state: CreatedAccount, data: PasswordChanged['data']): CreatedAccount => ({
  ...state,
  passwordHash: data.passwordHash,
  credentialEpoch: data.credentialEpoch,
  keptSessionId: data.keptSessionId,
})

const identityBound = (state: CreatedAccount, data: IdentityBound['data']): CreatedAccount => ({
  ...state,
  ...(data.userName === undefined ? {} : { userName: data.userName }),
  ...(data.phone === undefined ? {} : { phone: data.phone }),
  ...(data.email === undefined ? {} : { email: data.email }),
  identities: { ...state.identities, [data.kind]: data.hmac },
  identitiesChangedAt: data.at,
  // Only one who has signed in can bind anything.
  awaitsClaim: null,
})

const banned = (state: CreatedAccount, data: AccountBanned['data']): CreatedAccount => ({
  ...state,
  ban: { until: data.until, ...(data.reason === undefined ? {} : { reason: data.reason }) },
  credentialEpoch: data.credentialEpoch,
  keptSessionId: null,
})

const closed = (state: CreatedAccount, data: AccountClosed['data']): ClosedAccount => ({
  status: 'closed',
  userId: state.userId,
  name: '',
  createdAt: state.createdAt,
  closedAt: data.at,
})

/** The state after an event. */
export const evolve = (state: Account, event: AccountEvent): Account => {
  if (event.type === 'AccountCreated') return created(event.data)
  if (state.status !== 'created') return state
  switch (event.type) {
    case 'PasswordChanged':
      return passwordChanged(state, event.data)
    case 'ProfileChanged':
      return profileWith(state, event.data.set)
    case 'IdentityBound':
      return identityBound(state, event.data)
    case 'AccountBanned':
      return banned(state, event.data)
    case 'AccountUnbanned':
      return { ...state, ban: null }
    case 'AccountClosed':
      return closed(state, event.data)
    default:
      return state
  }
}
