// Owns what can have happened to an account. Event names and fields are for ever; fields are only ever added.

import type { Instant, SessionId, UserId } from '../ids.ts'
import type { ProfileChanges } from './profile.ts'

export type IdentityKind = 'phone' | 'email' | 'userName'

/** What an account signs in by; `hmac` names the identity's stream. */
export interface AccountIdentity {
  readonly kind: IdentityKind
  readonly hmac: string
}

/**
 * One who signs up: the account is pending until `identity` is claimed for it (identity-<hmac>): the claim is the commit
 * point (R1). One that the app's backend makes exists at once; what it signs in by was claimed before.
 */
export type AccountCreated = {
  readonly type: 'AccountCreated'
  readonly data: {
    readonly userId: UserId
    readonly name: string
    readonly identity?: AccountIdentity
    readonly claimed?: readonly AccountIdentity[]
    /** Personal: exactly those that the identities name are set. */
    readonly userName?: string
    readonly phone?: string
    readonly email?: string
    /** Secret: argon2id, PHC string. Absent for an account that signs in by code only. */
    readonly passwordHash?: string
    /** The admin key of the backend that made it. */
    readonly by?: string
    readonly at: Instant
  }
}

/** A password was changed (with the old one) or reset (with a code); every session but `keptSessionId` ends (R4). */
export type PasswordChanged = {
  readonly type: 'PasswordChanged'
  readonly data: {
    readonly userId: UserId
    /** Secret. */
    readonly passwordHash: string
    readonly credentialEpoch: number
    readonly keptSessionId: SessionId | null
    readonly reason: 'changed' | 'reset'
    readonly at: Instant
  }
}

/** The user said something else about themselves (R3). */
export type ProfileChanged = {
  readonly type: 'ProfileChanged'
  readonly data: {
    readonly userId: UserId
    /** Personal: only what changed; null for a field that was cleared. */
    readonly set: ProfileChanges
    readonly at: Instant
  }
}

/** The account signs in by this from here on, and no longer by the one it replaces, which is freed next (R1). */
export type IdentityBound = {
  readonly type: 'IdentityBound'
  readonly data: {
    readonly userId: UserId
    readonly kind: IdentityKind
    readonly hmac: string
    /** Personal: exactly the one that `kind` names is set. */
    readonly userName?: string
    readonly phone?: string
    readonly email?: string
    /** Of the same kind. */
    readonly replacedHmac?: string
    readonly at: Instant
  }
}

/** Nobody gets in until then; every session ends. */
export type AccountBanned = {
  readonly type: 'AccountBanned'
  readonly data: {
    readonly userId: UserId
    /** Null: for ever. */
    readonly until: Instant | null
    readonly reason?: string
    readonly credentialEpoch: number
    /** The admin key. */
    readonly by: string
    readonly at: Instant
  }
}

export type AccountUnbanned = {
  readonly type: 'AccountUnbanned'
  readonly data: { readonly userId: UserId; readonly by: string; readonly at: Instant }
}

/** For good. Every session ends; what it signed in by is freed next, and it leaves its groups. */
export type AccountClosed = {
  readonly type: 'AccountClosed'
  readonly data: {
    readonly userId: UserId
    /** What it signed in by. */
    readonly identities: readonly AccountIdentity[]
    readonly credentialEpoch: number
    readonly at: Instant
  }
}

export type AccountEvent =
  | AccountCreated
  | PasswordChanged
  | ProfileChanged
  | IdentityBound
  | AccountBanned
  | AccountUnbanned
  | AccountClosed
