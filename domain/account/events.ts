// Owns what can have happened to an account. Event names and fields are for ever; fields are only ever added.

import type { Instant, SessionId, UserId } from '../ids.ts'
import type { ProfileChanges } from './profile.ts'

export type IdentityKind = 'phone' | 'email' | 'userName'

/** The account is pending until the identity is claimed for it (identity-<hmac>): the claim is the commit point (R1). */
export type AccountCreated = {
  readonly type: 'AccountCreated'
  readonly data: {
    readonly userId: UserId
    readonly name: string
    /** What the account signs in by; `hmac` names the identity's stream. */
    readonly identity: { readonly kind: IdentityKind; readonly hmac: string }
    /** Personal: exactly the one that `identity.kind` names is set. */
    readonly userName?: string
    readonly phone?: string
    readonly email?: string
    /** Secret: argon2id, PHC string. Absent for an account that signs in by code only. */
    readonly passwordHash?: string
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

export type AccountEvent = AccountCreated | PasswordChanged | ProfileChanged
