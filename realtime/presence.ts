// Owns who is online, as this node knows it (R5): its own users by their sockets, the others' as their nodes tell. In memory
// only: after a start nothing is known of before. Only edges count; a device that is back at once was never away.
// Never sends anything and never looks at a clock.

import type { UserId } from '../domain/ids.ts'

/** A device that comes back within it was never away. */
export const flapMs = 5_000
/** Users of whom a node is silent for so long are no longer held to be online there. */
export const silentMsMax = 100_000
/** Users of other nodes that one node knows of; more are taken for offline. */
export const onlineUsersMax = 1_000_000
/** Users of whom it is known when they went; the oldest are forgotten. */
export const departedUsersMax = 100_000

export interface UserPresence {
  readonly online: boolean
  /** When the user came, or went; null where that is not known. */
  readonly sinceMs: number | null
}

/** A user with the time at which they came or went. */
export type UserAt = readonly [UserId, number]

interface Online {
  sinceMs: number
  /** How many nodes the user is on. */
  nodes: number
}

/** Sets a key as the newest of the map. */
const renew = <Key, Value>(map: Map<Key, Value>, key: Key, value: Value): void => {
  map.delete(key)
  map.set(key, value)
}

export class OnlineUsers {
  readonly #sockets = new Map<UserId, number>()
  /** Whose last socket here is gone, since when, in this order. */
  readonly #leaving = new Map<UserId, number>()
  readonly #here = new Set<UserId>()
  /** Of each other node its users, and when it told of them last, in this order. */
  readonly #elsewhere = new Map<string, Map<UserId, number>>()
  readonly #online = new Map<UserId, Online>()
  readonly #departed = new Map<UserId, number>()

  /** A socket of the user is open here. @returns whether that is an edge of this node */
  came(userId: UserId, nowMs: number): boolean {
    this.#sockets.set(userId, (this.#sockets.get(userId) ?? 0) + 1)
    this.#leaving.delete(userId)
    if (this.#here.has(userId)) return false
    this.#here.add(userId)
    this.#hold(userId, nowMs)
    return true
  }

  /** A socket of the user is closed here. */
  went(userId: UserId, nowMs: number): void {
    const left = (this.#sockets.get(userId) ?? 0) - 1
    if (left > 0) {
      this.#sockets.set(userId, left)
      return
    }
    this.#sockets.delete(userId)
    renew(this.#leaving, userId, nowMs)
  }

  /** Those who have been away long enough are gone from here. @returns them */
  settle(nowMs: number): readonly UserAt[] {
    const gone: UserAt[] = []
    for (const [userId, leftMs] of this.#leaving) {
      if (leftMs + flapMs > nowMs) break
      this.#leaving.delete(userId)
      this.#here.delete(userId)
      this.#release(userId, leftMs)
      gone.push([userId, leftMs])
    }
    return gone
  }

  /** Another node says who is there. */
  heard(node: string, users: readonly UserAt[], nowMs: number): void {
    const known = this.#elsewhere.get(node) ?? new Map<UserId, number>()
    for (const [userId, sinceMs] of users) {
      const isNew = !known.has(userId)
      if (isNew && !this.#online.has(userId) && this.#online.size >= onlineUsersMax) continue
      renew(known, userId, nowMs)
      if (isNew) this.#hold(userId, sinceMs)
    }
    if (known.size > 0) this.#elsewhere.set(node, known)
  }

  /** Another node says who went. */
  heardGone(node: string, users: readonly UserAt[]): void {
    const known = this.#elsewhere.get(node)
    if (known === undefined) return
    for (const [userId, leftMs] of users) if (known.delete(userId)) this.#release(userId, leftMs)
    if (known.size === 0) this.#elsewhere.delete(node)
  }

  /** A node that is silent of its users has lost them, or is gone itself. */
  forgetSilent(nowMs: number): void {
    for (const [node, known] of this.#elsewhere) {
      for (const [userId, heardMs] of known) {
        if (heardMs + silentMsMax > nowMs) break
        known.delete(userId)
        this.#release(userId, heardMs)
      }
      if (known.size === 0) this.#elsewhere.delete(node)
    }
  }

  of(userId: UserId): UserPresence {
    const online = this.#online.get(userId)
    if (online !== undefined) return { online: true, sinceMs: online.sinceMs }
    return { online: false, sinceMs: this.#departed.get(userId) ?? null }
  }

  /** The users of this node; may be gone through while they come and go. */
  here(): IterableIterator<UserId> {
    return this.#here.values()
  }

  isHere(userId: UserId): boolean {
    return this.#here.has(userId)
  }

  #hold(userId: UserId, sinceMs: number): void {
    const online = this.#online.get(userId)
    this.#departed.delete(userId)
    if (online === undefined) this.#online.set(userId, { sinceMs, nodes: 1 })
    else {
      online.nodes++
      online.sinceMs = Math.min(online.sinceMs, sinceMs)
    }
  }

  #release(userId: UserId, leftMs: number): void {
    const online = this.#online.get(userId)
    if (online === undefined || --online.nodes > 0) return
    this.#online.delete(userId)
    renew(this.#departed, userId, leftMs)
    const [oldest] = this.#departed.keys()
    if (this.#departed.size > departedUsersMax && oldest !== undefined) this.#departed.delete(oldest)
  }
}
