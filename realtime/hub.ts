// Owns the live state of this node: which users it follows, their topics and sockets. Takes the log's events in order, reads
// what the router needs to know, routes, and performs the actions; remembers them in the ring. Never skips or reorders an event.

import type { CloseName } from '../domain/frames.ts'
import type { ConversationId, Position, SessionId, UserId } from '../domain/ids.ts'
import { type ConversationRow, conversationRowText } from '../domain/rows.ts'
import type { Node } from '../eventstore/node.ts'
import type { RecordedEvent } from '../eventstore/port.ts'
import { type Action, hiddenAfter, hiddenWithPopup, type RouteFacts } from './actions.ts'
import { noFacts, readFacts } from './facts.ts'
import {
  type CursorPrefix,
  groupTopic,
  isProfileTopic,
  profileTopic,
  putFrame,
  type Topic,
  userTopic,
} from './protocol.ts'
import { createRing, type Ring, type RingEntry, ringAgeMs } from './ring.ts'
import { needsOf, route } from './router.ts'
import { chosen, hasRoomFor, hearsOfRecall, lastSeqAfter } from './standing.ts'

/** What the hub needs of a device's socket. */
export interface LiveSocket {
  readonly sessionId: SessionId
  /** Orders the sockets of one session: the newer is the greater, on whatever node. */
  readonly openedAs: string
  /** False until its sync has joined the live frames. */
  readonly live: boolean
  subscribe(topic: Topic): void
  unsubscribe(topic: Topic): void
  end(close: CloseName): void
}

/** A user whom this node follows: while a socket is here, and for the ring's time after. */
export interface FollowedUser {
  readonly userId: UserId
  /** Of the newest event routed before this node followed the user. */
  readonly since: Position
  readonly topics: Set<Topic>
  /** Conversations the user deleted and that have not come back. */
  readonly hidden: Map<ConversationId, ConversationRow>
  /** Topics of groups from which nothing has come since the user is out, or back: the newest message seen; 0 for none. */
  readonly lastSeen: Map<Topic, number>
  readonly sockets: Set<LiveSocket>
  leftAtMs: number
}

/** Users remembered after their last socket is gone. */
export const departedUsersMax = 50_000
/** Batches that may wait while the router's needs are being read; beyond it the hub starts over. */
const waitingBatchesMax = 1_000
/** Waits before what the router needs is read again, doubled each time. */
const readAgainMsMin = 50
const readAgainMsMax = 2_000

export interface HubDependencies {
  readonly node: Node
  readonly cursorPrefix: CursorPrefix
  readonly publish: (topic: Topic, frame: string) => void
  readonly onError: (error: unknown, what: string) => void
}

export interface Hub {
  readonly ring: Ring
  /** Position of the newest event routed. */
  readonly position: Position
  /** Resolves once an event at or after `position` was routed; false when that takes too long. */
  whenRouted(position: Position, timeoutMs: number): Promise<boolean>
  followed(userId: UserId): FollowedUser | undefined
  /** Begins or goes on following a user; the rest is taken only for one not followed yet. */
  follow(
    userId: UserId,
    topics: Iterable<Topic>,
    hidden: Iterable<ConversationRow>,
    lastSeen?: Iterable<readonly [Topic, number]>,
  ): FollowedUser
  attach(user: FollowedUser, socket: LiveSocket): void
  detach(user: FollowedUser, socket: LiveSocket): void
  sockets(): Iterable<LiveSocket>
  readonly users: number
  /** Routes nothing more. */
  close(): void
}

const delay = (milliseconds: number) => new Promise<void>(resolve => setTimeout(resolve, milliseconds))

/** The row of a hidden conversation, as it is when a message brings it back. */
export const revealFrame = (row: ConversationRow, seq: number, cursor: string): string =>
  putFrame(cursor, 'conversations', conversationRowText({ ...row, lastSeq: seq - 1 }, null))

/** The topics of a user at `position`, from those after the entries: joins and leaves undone. */
export const topicsBefore = (topics: Iterable<Topic>, userId: UserId, entries: readonly RingEntry[]): Set<Topic> => {
  const before = new Set(topics)
  for (const entry of entries.toReversed()) {
    for (const action of entry.actions.toReversed()) {
      if ((action.do !== 'join' && action.do !== 'leave') || action.userId !== userId) continue
      if (action.do === 'join') before.delete(action.topic)
      // A members topic belongs to a socket that opened it, never to the user.
      else if (!action.topic.startsWith('m:')) before.add(action.topic)
    }
  }
  return before
}

/** @param peerIds users whose row of `users` this one holds */
export const initialTopics = (
  userId: UserId,
  groupIds: readonly string[],
  peerIds: readonly UserId[] = [],
): Topic[] => [
  userTopic(userId),
  ...groupIds.map(groupId => groupTopic(groupId as never)),
  ...peerIds.map(profileTopic),
]

/** Starts following the node's events. */
export const createHub = (dependencies: HubDependencies): Hub => {
  const { node, cursorPrefix, publish } = dependencies
  const users = new Map<UserId, FollowedUser>()
  const hiddenBy = new Map<ConversationId, Set<FollowedUser>>()
  /** Who has a `lastSeen` of a group's topic. */
  const formers = new Map<Topic, Set<FollowedUser>>()
  const departed = new Map<UserId, FollowedUser>()
  const ring = createRing(node.position, () => node.clock.unixMs())
  let position = node.position
  const waiting: (readonly RecordedEvent[])[] = []
  let working = false
  let closed = false
  /** Counts the times the hub started over: what was being read before is of no use then. */
  let starts = 0
  const plainFacts = noFacts(cursorPrefix)
  const routedListeners = new Set<() => void>()

  const hide = (user: FollowedUser, row: ConversationRow) => {
    user.hidden.set(row.conversationId, row)
    const hiders = hiddenBy.get(row.conversationId)
    if (hiders === undefined) hiddenBy.set(row.conversationId, new Set([user]))
    else hiders.add(user)
  }

  const unhide = (user: FollowedUser, conversationId: ConversationId) => {
    user.hidden.delete(conversationId)
    const hiders = hiddenBy.get(conversationId)
    hiders?.delete(user)
    if (hiders?.size === 0) hiddenBy.delete(conversationId)
  }

  const remember = (user: FollowedUser, topic: Topic, lastSeq: number) => {
    if (user.lastSeen.has(topic)) return
    user.lastSeen.set(topic, lastSeq)
    const known = formers.get(topic)
    if (known === undefined) formers.set(topic, new Set([user]))
    else known.add(user)
  }

  const unremember = (user: FollowedUser, topic: Topic) => {
    if (!user.lastSeen.delete(topic)) return
    const known = formers.get(topic)
    known?.delete(user)
    if (known?.size === 0) formers.delete(topic)
  }

  const forget = (user: FollowedUser) => {
    users.delete(user.userId)
    departed.delete(user.userId)
    for (const conversationId of [...user.hidden.keys()]) unhide(user, conversationId)
    for (const topic of [...user.lastSeen.keys()]) unremember(user, topic)
  }

  const forgetDeparted = () => {
    const untilMs = node.clock.unixMs() - ringAgeMs
    for (const user of departed.values()) {
      if (departed.size <= departedUsersMax && user.leftAtMs > untilMs) return
      forget(user)
    }
  }

  /** What comes before a message for those who hid its conversation. */
  const reveals = (action: Extract<Action, { do: 'message' }>): Action[] => {
    const hiders = hiddenBy.get(action.conversationId)
    if (hiders === undefined) return []
    return [...hiders].flatMap(user => {
      const row = user.hidden.get(action.conversationId)
      unhide(user, action.conversationId)
      if (row === undefined || !action.topics.some(topic => user.topics.has(topic))) return []
      for (const topic of action.topics) unremember(user, topic)
      return [
        { do: 'publish', topic: userTopic(user.userId), frame: revealFrame(row, action.seq, action.cursor) } as const,
      ]
    })
  }

  const recalls = (action: Extract<Action, { do: 'recall' }>): Action[] =>
    [...(formers.get(action.topic) ?? [])]
      .filter(user => hearsOfRecall(action, user))
      .map(user => ({ do: 'publish', topic: userTopic(user.userId), frame: action.frame }) as const)

  /** Friends who write to each other join twice: what changes nothing must not be undone where topics are traced back. */
  const isIdle = ({ do: what, userId, topic }: Extract<Action, { do: 'join' | 'leave' }>) => {
    const user = isProfileTopic(topic) ? users.get(userId) : undefined
    return user !== undefined && user.topics.has(topic) === (what === 'join')
  }

  /** What an action comes to for the users followed here; the others' part is settled when they come. */
  const settled = (action: Action): readonly Action[] => {
    if (action.do === 'message' && hiddenBy.size > 0) return [...reveals(action), action]
    if (action.do === 'recall') return [...recalls(action), action]
    if (action.do === 'join' || action.do === 'leave') return isIdle(action) ? [] : [action]
    const user = action.do === 'either' ? users.get(action.userId) : undefined
    return action.do === 'either' && user !== undefined ? chosen(action, user) : [action]
  }

  const perform = (action: Action) => {
    switch (action.do) {
      case 'publish':
        return publish(action.topic, action.frame)
      case 'message':
        for (const topic of action.topics) publish(topic, action.frame)
        return
      case 'recall':
      case 'either':
        return
      case 'join':
      case 'leave': {
        const user = users.get(action.userId)
        if (user === undefined) return
        const joins = action.do === 'join'
        if (joins && !hasRoomFor(action.topic, user.topics)) return
        if (joins) user.topics.add(action.topic)
        else user.topics.delete(action.topic)
        if (action.do === 'join' && action.seesAll === true) unremember(user, action.topic)
        const lastSeq = lastSeqAfter(action)
        if (lastSeq !== undefined) remember(user, action.topic, lastSeq)
        for (const socket of user.sockets) {
          if (!socket.live) continue
          if (joins) socket.subscribe(action.topic)
          else socket.unsubscribe(action.topic)
        }
        return
      }
      case 'hide':
      case 'marks': {
        const user = users.get(action.userId)
        const row = hiddenAfter(action, user?.hidden)
        if (user !== undefined && row !== undefined) hide(user, row)
        return
      }
      case 'popup':
        for (const user of hiddenBy.get(action.conversationId) ?? []) {
          const row = user.topics.has(action.topic) ? user.hidden.get(action.conversationId) : undefined
          if (row !== undefined) hide(user, hiddenWithPopup(row, action.popupNumber))
        }
        return
      case 'cut': {
        for (const socket of [...(users.get(action.userId)?.sockets ?? [])]) {
          if (socket.sessionId === action.sessionId) socket.end('ended')
        }
      }
    }
  }

  const routeOne = (event: RecordedEvent, facts: RouteFacts) => {
    const routed = route(event, facts)
    const isPlain = routed.length === 1 && hiddenBy.size === 0 && event.type === 'MessageSent'
    const actions = isPlain ? routed : routed.flatMap(settled)
    ring.push(event.position, actions)
    for (const action of actions) perform(action)
  }

  const tellRouted = () => {
    for (const listener of [...routedListeners]) listener()
  }

  /** Nothing of before can be relied on: every device here fetches afresh from the read models. */
  const startOver = (close: CloseName) => {
    starts++
    const sockets = [...users.values()].flatMap(user => [...user.sockets])
    for (const user of [...users.values()]) forget(user)
    ring.clear(position)
    for (const socket of sockets) socket.end(close)
  }

  const routeAll = (events: readonly RecordedEvent[], factsOf: (event: RecordedEvent) => RouteFacts) => {
    for (const event of events) {
      try {
        routeOne(event, factsOf(event))
        position = event.position
      } catch (error) {
        // An event that cannot be routed must not stop the others.
        dependencies.onError(error, `routing ${event.type} at ${event.position}`)
        position = event.position
        startOver('internal')
      }
    }
    tellRouted()
  }

  const plain = () => plainFacts
  const isNeedy = (event: RecordedEvent) => needsOf(event).length > 0

  /** Tries until it can be read: without it nothing after it may be routed. Undefined: nobody wants it any more. */
  const factsFor = async (events: readonly RecordedEvent[]) => {
    const needy = events.filter(isNeedy)
    if (needy.length === 0) return plain
    const startsBefore = starts
    for (let waitMs = readAgainMsMin; ; waitMs = Math.min(waitMs * 2, readAgainMsMax)) {
      try {
        const facts = await readFacts(node, cursorPrefix, needy, userId => users.has(userId))
        return starts === startsBefore && !closed ? facts : undefined
      } catch (error) {
        if (starts !== startsBefore || closed) return undefined
        dependencies.onError(error, 'reading for the router')
        await delay(waitMs)
      }
    }
  }

  const work = async () => {
    working = true
    for (let events = waiting.shift(); events !== undefined; events = waiting.shift()) {
      const facts = await factsFor(events)
      if (facts !== undefined) routeAll(events, facts)
    }
    working = false
  }

  node.onEvents(events => {
    if (closed) return
    if (!working && !events.some(isNeedy)) return routeAll(events, plain)
    waiting.push(events)
    if (waiting.length > waitingBatchesMax) {
      waiting.length = 0
      position = events.at(-1)?.position ?? position
      startOver('behind')
      tellRouted()
    }
    if (!working) work().catch(error => dependencies.onError(error, 'the hub'))
  })

  return {
    ring,
    get position() {
      return position
    },
    get users() {
      return users.size
    },
    whenRouted: (wanted, timeoutMs) =>
      new Promise(resolve => {
        if (position >= wanted) return resolve(true)
        const finish = (passed: boolean) => {
          clearTimeout(timer)
          routedListeners.delete(listener)
          resolve(passed)
        }
        const listener = () => {
          if (position >= wanted) finish(true)
        }
        const timer = setTimeout(() => finish(false), timeoutMs)
        routedListeners.add(listener)
      }),
    followed: userId => users.get(userId),
    follow: (userId, topics, hidden, lastSeen = []) => {
      const known = users.get(userId)
      if (known !== undefined) return known
      const user: FollowedUser = {
        userId,
        since: position,
        topics: new Set(topics),
        hidden: new Map(),
        lastSeen: new Map(),
        sockets: new Set(),
        leftAtMs: 0,
      }
      users.set(userId, user)
      for (const row of hidden) hide(user, row)
      for (const [topic, lastSeq] of lastSeen) remember(user, topic, lastSeq)
      return user
    },
    attach: (user, socket) => {
      user.sockets.add(socket)
      departed.delete(user.userId)
    },
    detach: (user, socket) => {
      user.sockets.delete(socket)
      if (user.sockets.size > 0 || users.get(user.userId) !== user) return
      user.leftAtMs = node.clock.unixMs()
      departed.set(user.userId, user)
      forgetDeparted()
    },
    sockets: function* () {
      for (const user of users.values()) yield* user.sockets
    },
    close: () => {
      closed = true
    },
  }
}
