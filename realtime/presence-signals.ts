// Owns how nodes tell each other who is online: edges soon, everybody again in rounds, so that a signal that was lost, a node
// that just started and one that is gone come right by themselves. Bounded a tick; never waits for anybody.

import type { Instant, UserId } from '../domain/ids.ts'
import { type Clock, instantOf, newId } from '../eventstore/clock.ts'
import type { SignalLine } from '../projections/signals.ts'
import { OnlineUsers, type UserAt } from './presence.ts'
import { type Signal, signalOf } from './signals.ts'

const tickMs = 500
/** From the start of one round to that of the next: a few fit into the silence that is borne. */
export const roundMs = 30_000
/** Users told of in one tick of a round: those of a full node in less than a round. */
const roundSliceMax = 5_000
/** Users in one signal: with the longest ids they fit into a notification. */
export const usersPerSignalMax = 80

export interface PresenceRow {
  readonly userId: UserId
  readonly online: boolean
  readonly since: Instant | null
  readonly at: Instant
}

export interface Presence {
  /** A socket of the user opened here. */
  came(userId: UserId): void
  /** A socket of the user closed here. */
  went(userId: UserId): void
  of(userId: UserId): PresenceRow
  /** Tells the other nodes what there is to tell; the time for it comes by itself. */
  tick(): void
  close(): void
}

export interface PresenceDependencies {
  readonly clock: Clock
  /** To the other nodes; undefined when there can be none. */
  readonly line: SignalLine | undefined
}

const pieces = (users: readonly UserAt[]): readonly (readonly UserAt[])[] =>
  Array.from({ length: Math.ceil(users.length / usersPerSignalMax) }, (_, index) =>
    users.slice(index * usersPerSignalMax, (index + 1) * usersPerSignalMax),
  )

/** Begins with asking the others who is there. */
export const startPresence = ({ clock, line }: PresenceDependencies): Presence => {
  const users = new OnlineUsers()
  const node = newId(clock)
  const arrived = new Set<UserId>()
  let gone: UserAt[] = []
  let round: IterableIterator<UserId> | undefined
  let roundDueMs = 0

  const tell = (signal: Signal) => line?.send(JSON.stringify(signal))

  const settle = () => {
    const settled = users.settle(clock.unixMs())
    for (const [userId] of settled) arrived.delete(userId)
    if (line !== undefined) gone.push(...settled)
  }

  const slice = (): readonly UserId[] => {
    const nowMs = clock.unixMs()
    if (round === undefined && nowMs >= roundDueMs) {
      round = users.here()
      roundDueMs = nowMs + roundMs
    }
    const told: UserId[] = []
    while (round !== undefined && told.length < roundSliceMax) {
      const { done, value } = round.next()
      if (done === true) round = undefined
      else told.push(value)
    }
    return told
  }

  const tick = () => {
    settle()
    if (line === undefined) return
    users.forgetSilent(clock.unixMs())
    // First who went: one who is back since is told of after that.
    for (const piece of pieces(gone)) tell({ signal: 'wentOffline', node, users: piece })
    const present = new Set([...arrived, ...slice()])
    const told = [...present].map((userId): UserAt => [userId, users.of(userId).sinceMs ?? clock.unixMs()])
    for (const piece of pieces(told)) tell({ signal: 'online', node, users: piece })
    arrived.clear()
    gone = []
  }

  line?.onText(text => {
    const signal = signalOf(text)
    if (signal?.signal === 'whoIsOnline') roundDueMs = 0
    if (signal?.signal === 'online') users.heard(signal.node, signal.users, clock.unixMs())
    if (signal?.signal === 'wentOffline') users.heardGone(signal.node, signal.users)
  })
  tell({ signal: 'whoIsOnline' })
  const timer = setInterval(tick, tickMs)
  timer.unref()

  return {
    came: userId => {
      settle()
      if (users.came(userId, clock.unixMs()) && line !== undefined) arrived.add(userId)
    },
    went: userId => users.went(userId, clock.unixMs()),
    of: userId => {
      settle()
      const { online, sinceMs } = users.of(userId)
      return { userId, online, since: sinceMs === null ? null : instantOf(sinceMs), at: clock.now() }
    },
    tick,
    close: () => clearInterval(timer),
  }
}
