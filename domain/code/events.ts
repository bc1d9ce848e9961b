// Owns what can have happened to the one-time codes of one target (R1). The code itself never stands here, only its keyed hash.

import type { Instant } from '../ids.ts'

export type CodePurpose = 'register' | 'login' | 'reset' | 'bind' | 'close'

export type CodeSent = {
  readonly type: 'CodeSent'
  readonly data: {
    readonly purpose: CodePurpose
    /** Secret: keyed HMAC of target, purpose and code. */
    readonly codeHash: string
    readonly expiresAt: Instant
    readonly at: Instant
  }
}

/** A wrong code was given. */
export type CodeTried = { readonly type: 'CodeTried'; readonly data: { readonly at: Instant } }

/** The right code was given; it cannot be used again. */
export type CodeUsed = {
  readonly type: 'CodeUsed'
  readonly data: { readonly purpose: CodePurpose; readonly at: Instant }
}

export type CodeEvent = CodeSent | CodeTried | CodeUsed
