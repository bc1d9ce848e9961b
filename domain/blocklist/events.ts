// Owns what can have happened to one user's block list (R10, R11).

import type { Instant, UserId } from '../ids.ts'

export type UserBlocked = {
  readonly type: 'UserBlocked'
  readonly data: { readonly userId: UserId; readonly blockedId: UserId; readonly at: Instant }
}

export type UserUnblocked = {
  readonly type: 'UserUnblocked'
  readonly data: { readonly userId: UserId; readonly blockedId: UserId; readonly at: Instant }
}

export type BlocklistEvent = UserBlocked | UserUnblocked
