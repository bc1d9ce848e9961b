// Owns what a device's socket works with: who the device is, and what the rest of the product does for it. Types only.

import type { GroupId, Position, SessionId, UserId } from '../domain/ids.ts'
import type { Node } from '../eventstore/node.ts'
import type { Hub } from './hub.ts'
import type { Presence } from './presence-signals.ts'
import type { CursorPrefix } from './protocol.ts'
import type { Signals } from './signals.ts'
import type { DeviceSocket } from './socket.ts'
import type { ReadSnapshot } from './sync.ts'
import type { SyncTurns } from './sync-turns.ts'

export interface Device {
  readonly userId: UserId
  readonly sessionId: SessionId
}

/** Why a device is not let in: a code, as in errors. */
export interface Refused {
  readonly rejected: string
}

export interface SocketCall {
  readonly caller: { readonly kind: 'user' } & Device
  readonly address: string
  readonly key?: string | undefined
}

/** Runs an operation of the API. @returns `"ok":…` or `"error":…`, the part of the reply after its id, as JSON text */
export type Dispatch = (op: string, call: SocketCall, args: unknown) => Promise<string>

export interface SocketContext {
  readonly node: Node
  readonly hub: Hub
  readonly cursorPrefix: CursorPrefix
  readonly dispatch: Dispatch
  readonly authenticate: (token: string, address: string) => Promise<Device | Refused>
  readonly readSnapshot: ReadSnapshot
  readonly syncTurns: SyncTurns
  /** All rows of a group's members with the position they are of; undefined when the user may not see them. */
  readonly readMembers: (
    userId: UserId,
    groupId: GroupId,
  ) => Promise<{ position: Position; items: readonly string[] } | undefined>
  /** Whether the read models passed the position within the time. */
  readonly folded: (position: Position, timeoutMs: number) => Promise<boolean>
  readonly signals: Signals
  readonly presence: Presence
  readonly replySoon: (socket: DeviceSocket) => void
  readonly rateLimits: boolean
  /** Time that a socket may take for its hello. */
  readonly helloMs: number
  readonly counters: RealtimeCounters
  readonly onError: (error: unknown, what: string) => void
}

export interface RealtimeCounters {
  framesIn: number
  framesOut: number
  dropped: number
  sockets: number
  syncs: number
  resumes: number
}

/** What uWS keeps with a socket. */
export interface SocketData {
  device: DeviceSocket
  readonly address: string
  /** What counts as one address, for limits. */
  readonly network: string
  /** Whether it no longer counts among those that have not said hello. */
  greeted: boolean
}
