// Owns what can have happened to the devices of one user (R51–R53).

import type { Instant, SessionId, UserId } from '../ids.ts'

export type Platform = 'windows' | 'macos' | 'linux' | 'web' | 'android' | 'ios' | 'harmony'

export type SessionCloseReason =
  /** The device signed out. */
  | 'signedOut'
  /** Another device of the same user ended it. */
  | 'kicked'
  /** The same device signed in again. */
  | 'replaced'
  /** The device policy had no room for it beside a newer one. */
  | 'policy'
  /** An outdated refresh token was shown: it may have been stolen. */
  | 'tokenReused'
  /** The app's own backend ended it. */
  | 'byAdmin'

export type SessionOpened = {
  readonly type: 'SessionOpened'
  readonly data: {
    readonly userId: UserId
    readonly sessionId: SessionId
    readonly deviceId: string
    readonly platform: Platform
    readonly name: string
    /** The account's epoch when it signed in; the session is valid while the account's is the same (or it was kept). */
    readonly credentialEpoch: number
    readonly at: Instant
  }
}

/** Generation `generation` of the refresh token was handed out; the one before works until this one is used. */
export type SessionRefreshed = {
  readonly type: 'SessionRefreshed'
  readonly data: {
    readonly userId: UserId
    readonly sessionId: SessionId
    readonly generation: number
    readonly at: Instant
  }
}

export type SessionClosed = {
  readonly type: 'SessionClosed'
  readonly data: {
    readonly userId: UserId
    readonly sessionId: SessionId
    readonly reason: SessionCloseReason
    readonly at: Instant
  }
}

export type SessionEvent = SessionOpened | SessionRefreshed | SessionClosed
