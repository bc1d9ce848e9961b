// Owns what can have happened to an identity (a phone number, e-mail address or user name, known by its keyed HMAC).
// No clear value ever stands here.

import type { IdentityKind } from '../account/events.ts'
import type { Instant, UserId } from '../ids.ts'

export type IdentityClaimed = {
  readonly type: 'IdentityClaimed'
  readonly data: { readonly kind: IdentityKind; readonly userId: UserId; readonly at: Instant }
}

export type IdentityReleased = {
  readonly type: 'IdentityReleased'
  readonly data: { readonly kind: IdentityKind; readonly userId: UserId; readonly at: Instant }
}

export type IdentityEvent = IdentityClaimed | IdentityReleased
