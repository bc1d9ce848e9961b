// Owns a hub without a server or a log: events are told by hand, what the router needs comes from the events told so far, and
// sockets only note what they hear. For tests of order, resuming and joining.

import { account } from '../../domain/account/account.ts'
import type { DomainEvent } from '../../domain/decider.ts'
import type { CloseName } from '../../domain/frames.ts'
import { group } from '../../domain/group/group.ts'
import { type ConversationId, type Position, streamOf, type UserId } from '../../domain/ids.ts'
import { inbox } from '../../domain/inbox/inbox.ts'
import { session } from '../../domain/session/session.ts'
import type { Node } from '../../eventstore/node.ts'
import { positionBeforeAll, type ReadOptions, type RecordedEvent } from '../../eventstore/port.ts'
import { createHub, type FollowedUser, type Hub, initialTopics, type LiveSocket } from '../../realtime/hub.ts'
import { prefix } from './routing.ts'
import { type HandClock, handClock } from './test-node.ts'

/** A device that only listens. */
export interface ListeningSocket extends LiveSocket {
  live: boolean
  readonly topics: Set<string>
  /** Frames as texts, in order. */
  readonly heard: string[]
  ended: CloseName | undefined
}

export interface LiveRoom {
  readonly hub: Hub
  readonly clock: HandClock
  readonly errors: unknown[]
  /** Texts in the order in which they were published. */
  readonly published: { readonly topic: string; readonly frame: string }[]
  /** Tells the hub of a batch; what it needs to read may take a while. */
  tell(...events: readonly RecordedEvent[]): void
  /** Tells, and waits until all of it was routed. */
  route(...events: readonly RecordedEvent[]): Promise<void>
  /** Reads wait for this before they answer. */
  reading: () => Promise<void>
  /** Follows a user and puts a live device of theirs on their topics. */
  listen(userId: UserId, groupIds?: readonly string[], sessionId?: string): ListeningSocket
  /** A device that is not on any topic yet. */
  socket(sessionId?: string): ListeningSocket
  /** Puts a device live on what the hub knows of its user. */
  goLive(user: FollowedUser, socket: ListeningSocket): void
}

const streamOfEvent = ({ type, data }: DomainEvent): string => {
  const { groupId, conversationId, userId } = data as { groupId: never; conversationId: ConversationId; userId: UserId }
  if (type === 'MessageSent') return streamOf.conversation(conversationId)
  if (type.startsWith('Conversation')) return streamOf.inbox(userId, conversationId)
  if (type.startsWith('Session')) return streamOf.session(userId)
  if (['AccountCreated', 'PasswordChanged', 'ProfileChanged'].includes(type)) return streamOf.account(userId)
  return groupId === undefined ? `other-${type}` : streamOf.group(groupId)
}

const deciders = { account, group, inbox, session } as const

export const openLiveRoom = (): LiveRoom => {
  const clock = handClock()
  const errors: unknown[] = []
  const published: { topic: string; frame: string }[] = []
  const sockets = new Set<ListeningSocket>()
  const streams = new Map<string, RecordedEvent[]>()
  const listeners: ((events: readonly RecordedEvent[]) => void)[] = []
  let position: Position = positionBeforeAll

  const stateIn = (stream: string) => {
    const decider = deciders[stream.slice(0, stream.indexOf('-')) as keyof typeof deciders]
    let state = decider.initial as never
    for (const event of streams.get(stream) ?? []) state = decider.evolve(state, event as never) as never
    return { state }
  }
  const node = {
    clock,
    onEvents: (listener: (events: readonly RecordedEvent[]) => void) => listeners.push(listener),
    get position() {
      return position
    },
    load: async (_decider: unknown, stream: string) => {
      await room.reading()
      return stateIn(stream)
    },
    store: {
      read: async (stream: string, { from, limit }: ReadOptions) => {
        await room.reading()
        const events = (streams.get(stream) ?? []).toReversed()
        return events.filter(({ revision }) => from === 'end' || revision <= (from as number)).slice(0, limit)
      },
    },
  } as unknown as Node

  const hub = createHub({
    node,
    cursorPrefix: prefix,
    publish: (topic, frame) => {
      published.push({ topic, frame })
      for (const socket of sockets) if (socket.topics.has(topic)) socket.heard.push(frame)
    },
    onError: error => errors.push(error),
  })

  const socketOf = (sessionId: string): ListeningSocket => {
    const socket: ListeningSocket = {
      sessionId: sessionId as never,
      openedAs: '',
      live: false,
      topics: new Set(),
      heard: [],
      ended: undefined,
      subscribe: topic => socket.topics.add(topic),
      unsubscribe: topic => socket.topics.delete(topic),
      end: close => {
        socket.ended ??= close
        socket.live = false
        socket.topics.clear()
        for (const user of followers) hub.detach(user, socket)
      },
    }
    sockets.add(socket)
    return socket
  }
  const followers = new Set<FollowedUser>()

  const room: LiveRoom = {
    hub,
    clock,
    errors,
    published,
    reading: async () => {},
    tell: (...events) => {
      for (const event of events) {
        const stream = streamOfEvent(event)
        const others = streams.get(stream) ?? []
        streams.set(stream, [...others, { ...event, stream, revision: others.length }])
      }
      position = events.at(-1)?.position ?? position
      for (const listener of listeners) listener(events)
    },
    route: async (...events) => {
      room.tell(...events)
      const last = events.at(-1)
      if (last !== undefined && !(await hub.whenRouted(last.position, 10_000))) throw new Error('not routed in time')
    },
    socket: (sessionId = 's') => socketOf(sessionId),
    goLive: (user, socket) => {
      followers.add(user)
      hub.attach(user, socket)
      for (const topic of user.topics) socket.subscribe(topic)
      socket.live = true
    },
    listen: (userId, groupIds = [], sessionId = 's') => {
      const socket = socketOf(sessionId)
      room.goLive(hub.follow(userId, initialTopics(userId, groupIds), []), socket)
      return socket
    },
  }
  return room
}
