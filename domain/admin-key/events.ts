// Owns what can have happened to the keys of the app's own backend. The secret itself never stands here, only its hash.

import type { Instant } from '../ids.ts'

export type AdminKeyCreated = {
  readonly type: 'AdminKeyCreated'
  readonly data: {
    readonly keyId: string
    /** What the operator knows it by. */
    readonly name: string
    /** Secret: a hash of the key's secret part. */
    readonly hash: string
    readonly at: Instant
  }
}

export type AdminKeyRevoked = {
  readonly type: 'AdminKeyRevoked'
  readonly data: { readonly keyId: string; readonly at: Instant }
}

export type AdminKeyEvent = AdminKeyCreated | AdminKeyRevoked
