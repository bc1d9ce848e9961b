// Owns how a user looks to clients: to everybody, and to themselves. The same over HTTP, in the sync and in live frames.
// Must never show a private field in the row that others get.

import type { Instant, UserId } from '../ids.ts'
import { type PrivateProfile, type PublicProfile, publicProfileOf } from './profile.ts'

/** A row of `users`: what everybody may see. */
export interface UserRow extends PublicProfile {
  readonly userId: UserId
  readonly userName?: string
  /** The account was closed then: the name is that of all closed ones, which clients may say in their own language. */
  readonly closedAt?: Instant
}

/** The user's own row of `users`, which nobody else gets. */
export interface OwnUserRow extends UserRow, PrivateProfile {
  readonly phone?: string
  readonly email?: string
  readonly createdAt: Instant
}

/** What everybody who closed their account is called. Nobody is found by it. */
export const closedAccountName = 'deleted account'

/** What everybody may see of a user; whatever else the holder has stays out. */
export const userRowOf = (user: UserRow): UserRow => ({
  userId: user.userId,
  ...(user.userName === undefined ? undefined : { userName: user.userName }),
  ...publicProfileOf(user),
  ...(user.closedAt === undefined ? undefined : { name: closedAccountName, closedAt: user.closedAt }),
})

/** What the user alone sees. */
export const ownUserRowOf = (user: OwnUserRow): OwnUserRow => ({
  ...userRowOf(user),
  ...(user.phone === undefined ? undefined : { phone: user.phone }),
  ...(user.email === undefined ? undefined : { email: user.email }),
  friendPolicy: user.friendPolicy,
  discoverableBy: user.discoverableBy,
  createdAt: user.createdAt,
})
