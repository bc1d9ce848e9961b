// Owns what nodes tell each other past the log: somebody types, a device opened a socket, who is online. Never stored, never waited for; one
// that is lost costs a hint, or leaves an old socket to its time-out. Within one node no line is needed.

import { z } from 'zod'
import { group } from '../domain/group/group.ts'
import { type ConversationId, conversationParts, type SessionId, streamOf, type UserId } from '../domain/ids.ts'
import { newId } from '../eventstore/clock.ts'
import type { Node } from '../eventstore/node.ts'
import type { SignalLine } from '../projections/signals.ts'
import type { FollowedUser, Hub, LiveSocket } from './hub.ts'
import { groupTopic, type Topic, typingFrame, userTopic } from './protocol.ts'

const userAt = z.tuple([z.string().transform(id => id as UserId), z.int()]).readonly()
const usersAt = z.array(userAt).readonly()

/** Ids are not looked into: another node made them. Fields that a newer node adds are left aside. */
const signalSchema = z.discriminatedUnion('signal', [
  z.object({ signal: z.literal('typing'), conversationId: z.string(), from: z.string() }),
  z.object({ signal: z.literal('opened'), userId: z.string(), sessionId: z.string(), openedAs: z.string() }),
  z.object({ signal: z.literal('whoIsOnline') }),
  z.object({ signal: z.literal('online'), node: z.string(), users: usersAt }),
  z.object({ signal: z.literal('wentOffline'), node: z.string(), users: usersAt }),
])
export type Signal = z.infer<typeof signalSchema>

export interface Signals {
  /** Tells the others of a conversation that somebody types, if they may be told. */
  typing(from: UserId, conversationId: ConversationId): Promise<void>
  /** A device's socket takes the place of those it had before, wherever they are. @returns what orders it among them */
  opened(user: FollowedUser, sessionId: SessionId): string
}

export interface SignalsDependencies {
  readonly node: Node
  readonly hub: Hub
  readonly publish: (topic: Topic, frame: string) => void
  /** To the other nodes; undefined when there can be none. */
  readonly line: SignalLine | undefined
}

/** Who hears that `from` types: the other one of a pair, or the members of a group; undefined: it is none of theirs. */
const typingTopic = (from: UserId, conversationId: ConversationId): Topic | undefined => {
  const parts = conversationParts(conversationId)
  if (parts === undefined) return undefined
  if (parts.kind === 'group') return groupTopic(parts.groupId)
  const [one, other] = parts.users
  if (from !== one && from !== other) return undefined
  return userTopic(from === one ? other : one)
}

/** Whether the others may be told: in a group from a member, of a pair where a message would arrive as well. */
const mayType = async (node: Node, from: UserId, conversationId: ConversationId): Promise<boolean> => {
  const parts = conversationParts(conversationId)
  if (parts === undefined) return false
  if (parts.kind === 'group') {
    const { state } = await node.load(group, streamOf.group(parts.groupId))
    return state.status === 'open' && state.members.has(from)
  }
  const [recipient] = parts.users.filter(userId => userId !== from)
  return node.reaches(from, recipient as UserId)
}

/** What a newer node says and this one does not know is left aside. */
export const signalOf = (text: string): Signal | undefined => {
  try {
    return signalSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

/**
 * Ends the sockets that a session had before. The order is that of the nodes' clocks: where two nodes see two sockets open
 * within the difference of their clocks, both may stay, and never both go.
 */
const replaceSockets = (sockets: Iterable<LiveSocket>, sessionId: string, openedAs: string): void => {
  for (const socket of [...sockets]) {
    if (socket.sessionId === sessionId && socket.openedAs < openedAs) socket.end('replaced')
  }
}

export const createSignals = ({ node, hub, publish, line }: SignalsDependencies): Signals => {
  const tell = (signal: Signal) => line?.send(JSON.stringify(signal))

  const publishTyping = (from: UserId, conversationId: ConversationId) => {
    const topic = typingTopic(from, conversationId)
    if (topic !== undefined) publish(topic, typingFrame(conversationId, from))
  }

  line?.onText(text => {
    const signal = signalOf(text)
    if (signal === undefined) return
    // Whether they may be told was asked where it came from.
    if (signal.signal === 'typing') return publishTyping(signal.from as UserId, signal.conversationId as ConversationId)
    // Who is online is heard elsewhere, by processes without sockets too.
    if (signal.signal !== 'opened') return
    const user = hub.followed(signal.userId as UserId)
    if (user !== undefined) replaceSockets(user.sockets, signal.sessionId, signal.openedAs)
  })

  return {
    typing: async (from, conversationId) => {
      if (typingTopic(from, conversationId) === undefined || !(await mayType(node, from, conversationId))) return
      publishTyping(from, conversationId)
      tell({ signal: 'typing', conversationId, from })
    },
    opened: ({ userId, sockets }, sessionId) => {
      const openedAs = newId(node.clock)
      for (const socket of [...sockets]) if (socket.sessionId === sessionId) socket.end('replaced')
      tell({ signal: 'opened', userId, sessionId, openedAs })
      return openedAs
    },
  }
}
