// Owns what one process holds over the log: held states, the command queues, the recent sends, and the one subscription that
// keeps them current and feeds the live room. Knows when it is behind: then it decides nothing.

import { account } from '../domain/account/account.ts'
import type { Decider, DomainEvent, Rejection } from '../domain/decider.ts'
import { identity } from '../domain/identity/identity.ts'
import { type Position, type SessionId, streamOf, type UserId } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import type { RejectionCode } from '../domain/rejections.ts'
import { session, sessionIsValid } from '../domain/session/session.ts'
import { both, isPromise } from './at-hand.ts'
import type { Clock } from './clock.ts'
import { watchFreshness } from './freshness.ts'
import { createHandle, type Handle, type HandleCounters } from './handle.ts'
import { type EventStore, type RecordedEvent, Unavailable } from './port.ts'
import { type Standing, standingOf } from './relations.ts'
import { createSend, type NotifyCommand, type SendCommand, type SendReply } from './send.ts'
import { createRecentSends, type RecentSends, type SentMessage } from './sends.ts'
import { createStates, type Held, type States } from './states.ts'

/** How long what was read may be ahead of the subscription, and how long a shutdown waits for what was accepted. */
const toldMsMax = 2_000
const closeMsMax = 10_000
/** Callers that may wait for a position at once; one more is answered at once with "not yet". */
const waitingForPositionMax = 10_000

/** The subscription has not passed a head seen more than behindMsMax ago: facts may be too old to decide on. */
export class Behind extends Error {
  readonly code = 'behind'
}

export interface Node {
  readonly store: EventStore
  readonly clock: Clock
  readonly states: States
  readonly counters: HandleCounters
  readonly recentSends: RecentSends
  readonly handle: Handle
  load<State, Command, Event extends DomainEvent, Code extends RejectionCode, Facts>(
    decider: Decider<State, Command, Event, Code, Facts>,
    stream: string,
  ): Held<State> | Promise<Held<State>>
  /** Sends a message exactly once; a repeat gets the first reply (design: repeated sends). */
  send(command: SendCommand): Promise<SendReply | Rejection>
  /** Writes a server-made message exactly once for its source event. */
  notify(command: NotifyCommand): Promise<SendReply | Rejection>
  /** Whether what `from` does in their conversation reaches `to`: not blocked, and no stranger where only friends may (R8, R10). */
  reaches(from: UserId, to: UserId): boolean | Promise<boolean>
  /** Whether the account exists and its identity claim stands. */
  isLive(userId: UserId): boolean | Promise<boolean>
  /** Whether the device may still act: open, and its credentials not changed since (R4). */
  sessionIsValid(userId: UserId, sessionId: SessionId): boolean | Promise<boolean>
  /** Called with each batch of the log, in order, after the held states moved past it. */
  onEvents(listener: (events: readonly RecordedEvent[]) => void): void
  /** Called when the node falls behind (true) and when it has caught up (false). */
  onBehind(listener: (behind: boolean) => void): void
  readonly behind: boolean
  /** Position of the newest event this node has seen. */
  readonly position: Position
  /** True once this node has seen the position, false when it has not within the time. */
  whenSeen(position: Position, timeoutMs: number): Promise<boolean>
  /** Number of events seen since the start. */
  readonly eventsSeen: number
  /** Takes no more commands, finishes those it has, then stops following the log. */
  close(): Promise<void>
}

export interface NodeDependencies {
  readonly store: EventStore
  readonly clock: Clock
  /** Finds an old send in the read models once they have passed `after`; undefined: never sent. */
  readonly lookUpSend: (from: UserId, clientMessageId: string, after: Position) => Promise<SentMessage | undefined>
  /** How many events the read models lag, if this process knows. */
  readonly readModelLagEvents: () => number
  /** STRANGERS_MAY_CHAT; they may unless told otherwise. */
  readonly strangersMayChat?: boolean
  /** RECEIPT_GROUP_MEMBERS_MAX; the usual limit unless told otherwise. */
  readonly receiptGroupMembersMax?: number
  /** For tests: waits before another try that pass at once. */
  readonly delay?: (milliseconds: number) => Promise<void>
  readonly onError: (error: unknown, what: string) => void
}

/** Opens the node: reads the recent sends, then follows the log from there. @throws Unavailable */
export const startNode = async (dependencies: NodeDependencies): Promise<Node> => {
  const { store, clock } = dependencies
  const recentSends = createRecentSends(clock)
  const listeners: ((events: readonly RecordedEvent[]) => void)[] = []
  const behindListeners: ((behind: boolean) => void)[] = []
  const stopping = new AbortController()
  const start = await store.head()
  let position = start
  let eventsSeen = 0
  let closing = false

  const waiting = new Set<() => void>()
  const whenSeen = (wanted: Position, timeoutMs: number) =>
    new Promise<boolean>(resolve => {
      if (position >= wanted) return resolve(true)
      if (waiting.size >= waitingForPositionMax) return resolve(false)
      const finish = (seen: boolean) => {
        clearTimeout(timer)
        waiting.delete(look)
        resolve(seen)
      }
      const look = () => {
        if (position >= wanted) finish(true)
      }
      const timer = setTimeout(() => finish(false), timeoutMs)
      waiting.add(look)
    })
  /** A head read from the log may show messages whose keys are not known here before the subscription brings them. */
  const whenTold = async (wanted: Position) => {
    if (!(await whenSeen(wanted, toldMsMax))) throw new Unavailable('The event log is ahead of this server. Try again.')
  }
  const states = createStates(store, { whenTold: wanted => (position >= wanted ? undefined : whenTold(wanted)) })

  const observe = (events: readonly RecordedEvent[]) => {
    states.apply(events)
    recentSends.observe(events)
  }

  const guard = () => {
    if (closing) throw new Unavailable('The server is shutting down. Try again.')
    if (freshness.behind) throw new Behind('This server is behind the event log. Try again in a moment.')
  }

  const { handle, counters, whenIdle } = createHandle({ ...dependencies, states, observe, guard })
  const load: Node['load'] = (decider, stream) => states.load(decider, stream)

  const isLive = (userId: UserId): boolean | Promise<boolean> => {
    const live = (held: Held<typeof account.initial>): boolean | Promise<boolean> => {
      const state = held.state
      if (state.status !== 'created') return false
      if (state.awaitsClaim === null) return true
      const claim = load(identity, streamOf.identity(state.awaitsClaim.hmac))
      return isPromise(claim)
        ? claim.then(({ state: { claimedBy } }) => claimedBy === userId)
        : claim.state.claimedBy === userId
    }
    const held = load(account, streamOf.account(userId))
    return isPromise(held) ? held.then(live) : live(held)
  }

  const validSession = (userId: UserId, sessionId: SessionId) =>
    both(load(account, streamOf.account(userId)), load(session, streamOf.session(userId)), (accountHeld, sessionHeld) =>
      sessionIsValid(accountHeld.state, sessionHeld.state, sessionId),
    )

  const { strangersMayChat = true, receiptGroupMembersMax = limits.receiptGroupMembersMax } = dependencies
  const rules = { strangersMayChat, receiptGroupMembersMax }
  const { send, notify } = createSend({ ...dependencies, handle, load, isLive, recentSends, ...rules })

  await recentSends.load(store, start)

  const tell = (events: readonly RecordedEvent[]) => {
    for (const listener of listeners) {
      try {
        listener(events)
      } catch (error) {
        // One who cannot bear an event must not keep it from the others.
        dependencies.onError(error, 'a listener to events')
      }
    }
  }

  const follow = async () => {
    for await (const events of store.subscribe({ from: start, signal: stopping.signal })) {
      observe(events)
      const last = events.at(-1)
      if (last !== undefined) position = last.position
      eventsSeen += events.length
      if (waiting.size > 0) for (const look of [...waiting]) look()
      tell(events)
    }
    if (!stopping.signal.aborted) throw new Error('the subscription ended')
  }
  const freshness = watchFreshness({
    clock,
    head: () => store.head(),
    position: () => position,
    onChange: behind => {
      for (const listener of behindListeners) listener(behind)
    },
  })
  const following = follow().catch(error => {
    if (stopping.signal.aborted) return
    dependencies.onError(error, 'the subscription of this node')
    freshness.end()
  })

  return {
    store,
    clock,
    states,
    counters,
    recentSends,
    handle,
    load,
    send,
    notify,
    isLive,
    sessionIsValid: validSession,
    reaches: (from, to) => {
      const standing = standingOf(load, strangersMayChat, from, to)
      return isPromise(standing) ? standing.then(isWelcome) : isWelcome(standing)
    },
    onEvents: listener => listeners.push(listener),
    onBehind: listener => behindListeners.push(listener),
    get behind() {
      return freshness.behind
    },
    get position() {
      return position
    },
    whenSeen,
    get eventsSeen() {
      return eventsSeen
    },
    close: async () => {
      closing = true
      await inTime(whenIdle(), closeMsMax)
      freshness.close()
      stopping.abort()
      await following
    },
  }
}

const isWelcome = ({ senderIsBlocked, senderIsStranger }: Standing): boolean => !senderIsBlocked && !senderIsStranger

/** Waits for what is done soon, but not longer. */
const inTime = async (done: Promise<void>, milliseconds: number): Promise<void> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>(resolve => {
    timer = setTimeout(resolve, milliseconds)
  })
  await Promise.race([done, late])
  clearTimeout(timer)
}
