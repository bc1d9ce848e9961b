// Owns what the operations work with. main.ts builds it; nothing here is built twice or looked up anywhere else.

import type { Instant, Position, UserId } from '../domain/ids.ts'
import type { DevicePolicy } from '../domain/session/session.ts'
import type { Node } from '../eventstore/node.ts'
import type { Database } from '../projections/database.ts'
import type { CodeDelivery } from './codes/delivery.ts'
import type { Refusal } from './errors.ts'
import type { FriendRoom } from './friend-room.ts'
import type { Keys } from './keys.ts'
import type { Passwords } from './passwords.ts'
import type { RateLimits } from './rate-limits.ts'
import type { Tokens } from './tokens.ts'

/** What the operator decides. */
export interface ApiSettings {
  /** DEVICE_POLICY: which devices of one user may be signed in at once (R51–R53). */
  readonly devicePolicy: DevicePolicy
  /** USER_NAME_SIGN_UP: whether an account may be made by user name and password alone. */
  readonly userNameSignUp: boolean
  /** INVITE_NEEDS_APPROVAL: whether managers decide whom members ask into a group that is joined by approval (R19). */
  readonly inviteNeedsApproval: boolean
  /** FRIENDS_MAX: friends of one user (R6). */
  readonly friendsMax: number
  readonly historyDays: number
  /** RECEIPT_GROUP_MEMBERS_MAX: members that a group may have at most to have read receipts (X1). */
  readonly receiptGroupMembersMax: number
  readonly version: string
  /** Where sockets are opened, as clients see it. Asked at each request: the port may be known late. */
  readonly socketUrl: () => string
}

export interface OperationDependencies {
  readonly node: Node
  readonly database: Database
  readonly keys: Keys
  readonly tokens: Tokens
  readonly passwords: Passwords
  readonly codes: CodeDelivery
  readonly rateLimits: RateLimits
  readonly friendRoom: FriendRoom
  /** Whether the read models passed the position within the time. */
  readonly passed: (position: Position, timeoutMs: number) => Promise<boolean>
  readonly settings: ApiSettings
  /** Whether somebody is online, since when, and when that is said. */
  readonly presence: (userId: UserId) => {
    readonly userId: UserId
    readonly online: boolean
    readonly since: Instant | null
    readonly at: Instant
  }
  /** The sync of the live room as JSON text; a refusal when the cursor cannot be used. */
  readonly sync: (userId: UserId, since: string | undefined) => Promise<string | Refusal>
}
