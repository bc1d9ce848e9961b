// Owns filling an embedded log before the server starts: accounts, sessions with their tokens, groups and messages.
// Goes through the real deciders and the real node, so the log is what the API would have written; only the password hash is
// left out (10 ms each). Long histories are appended straight to the store, in the form the send path gives them.

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { loadKeys } from '../api/keys.ts'
import { createTokens, sessionEnded } from '../api/tokens.ts'
import { account } from '../domain/account/account.ts'
import { conversation } from '../domain/conversation/conversation.ts'
import { isRejection } from '../domain/decider.ts'
import { friendship } from '../domain/friendship/friendship.ts'
import { group } from '../domain/group/group.ts'
import { identity } from '../domain/identity/identity.ts'
import {
  type ConversationId,
  type GroupId,
  groupConversationId,
  p2pConversationId,
  type SessionId,
  streamOf,
  type UserId,
  uuidV7Bytes,
} from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { session } from '../domain/session/session.ts'
import { eventIdOf, newId, systemClock } from '../eventstore/clock.ts'
import { type Node, startNode } from '../eventstore/node.ts'
import { openEventStore } from '../eventstore/open.ts'
import type { EventStore, NewEvent } from '../eventstore/port.ts'

const atOnce = 500
const eventsPerAppend = 1_000
const quiet = { info: () => {}, warn: () => {}, error: (...details: unknown[]) => console.error(...details) }

export interface SeededUser {
  readonly userId: string
  readonly token: string
}

export interface Seed {
  /** Accounts without a password, each with one session and a token for it (15 minutes). */
  users(count: number): Promise<SeededUser[]>
  /** The first user owns it; gives its conversation id. */
  group(users: readonly SeededUser[]): Promise<string>
  /** The first user is the friend of all others. */
  friends(users: readonly SeededUser[]): Promise<void>
  /** Messages between users; `each` is how many go into one conversation. Gives events written per second. */
  messages(conversationId: string, senders: readonly string[], count: number): Promise<number>
  close(): Promise<void>
}

const mustGo = <Outcome>(outcome: Outcome): Outcome => {
  if (isRejection(outcome)) throw new Error(`seeding was refused: ${JSON.stringify(outcome)}`)
  return outcome
}

const messageIdOf = (unixMs: number): string => {
  const hex = Buffer.from(uuidV7Bytes(unixMs, randomBytes(10))).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

const openAccount = async (
  node: Node,
  hmac: string,
  index: number,
): Promise<{ userId: UserId; sessionId: SessionId }> => {
  const at = systemClock.now()
  const userId = newId(systemClock) as UserId
  const sessionId = newId(systemClock) as SessionId
  const name = `bench${index}`
  const creation = {
    type: 'CreateAccount',
    userId,
    name,
    userName: name,
    identity: { kind: 'userName', hmac },
    at,
  } as const
  mustGo(await node.handle(account, streamOf.account(userId), creation, { facts: undefined }))
  const claim = { type: 'ClaimIdentity', kind: 'userName', userId, at } as const
  mustGo(await node.handle(identity, streamOf.identity(hmac), claim, { facts: undefined }))
  const opening = {
    type: 'OpenSession',
    userId,
    sessionId,
    deviceId: 'bench',
    platform: 'linux',
    name: 'bench',
    policy: 'many',
    force: true,
    at,
  } as const
  const facts = { credentialEpoch: 0, keptSessionId: null }
  mustGo(await node.handle(session, streamOf.session(userId), opening, { facts }))
  return { userId, sessionId }
}

const befriend = async (node: Node, by: UserId, userId: UserId): Promise<void> => {
  const command = { type: 'RequestFriend', by, userId, requestId: newId(systemClock), at: systemClock.now() } as const
  const room = { friendsMax: limits.friendsMax, ownFriends: 0, peerFriends: 0, ownRequests: 0 }
  const facts = { ...room, peerIsLive: true, peerPolicy: 'anyone', isBlocked: false, group: undefined } as const
  mustGo(await node.handle(friendship, streamOf.friendship(by, userId), command, { facts }))
}

/** One message as the send path writes it. */
const messageEvent = (conversationId: ConversationId, seq: number, from: UserId, unixMs: number): NewEvent => {
  const clientMessageId = messageIdOf(unixMs)
  const at = new Date(unixMs).toISOString() as never
  const state = { lastSeq: seq - 1, countable: seq - 1, at: '' } as const
  const content = {
    type: 'text',
    body: { text: `message ${seq} of a long conversation, of the usual length` },
  } as const
  const command = { type: 'SendMessage', conversationId, from, clientMessageId, content, at } as const
  const members = new Map([[from, { role: 'owner' as const, joinedAt: at }]])
  const anyGroup = { status: 'open', members, mutes: new Map(), muteAll: 'none' } as never
  const facts = conversationId.startsWith('group:')
    ? ({ kind: 'group', group: anyGroup, receiptMembersMax: limits.receiptGroupMembersMax } as const)
    : ({ kind: 'p2p', recipientIsLive: true, senderIsBlocked: false, senderIsStranger: false } as const)
  const decided = mustGo(conversation.decide(command, state, facts))
  if (isRejection(decided)) throw new Error('refused')
  const data = decided[0]?.data as object
  return { id: eventIdOf(`${from}\n${clientMessageId}`, 0), type: 'MessageSent', data, text: JSON.stringify(data) }
}

const appendMessages = async (
  store: EventStore,
  conversationId: ConversationId,
  senders: readonly UserId[],
  count: number,
): Promise<number> => {
  const stream = streamOf.conversation(conversationId)
  // Ten milliseconds apart, ending now.
  const firstMs = Date.now() - count * 10
  const startMs = performance.now()
  let revision: number | 'none' = 'none'
  for (let done = 0; done < count; done += eventsPerAppend) {
    const size = Math.min(eventsPerAppend, count - done)
    const events = Array.from({ length: size }, (_, index) => {
      const seq = done + index + 1
      return messageEvent(conversationId, seq, senders[seq % senders.length] as UserId, firstMs + seq * 10)
    })
    revision = (await store.append(stream, events, revision)).revision
  }
  return count / ((performance.now() - startMs) / 1_000)
}

/** Opens the log of a data folder that no server uses; its keys are made there in any case. */
export const openSeed = async (dataDir: string, eventstoreUrl?: string): Promise<Seed> => {
  const keys = loadKeys({ folder: join(dataDir, 'keys'), mayMake: true })
  const store = await openEventStore({ dataDir, eventstoreUrl, logger: quiet })
  const node = await startNode({
    store,
    clock: systemClock,
    lookUpSend: async () => undefined,
    readModelLagEvents: () => 0,
    onError: error => console.error(error),
  })
  const tokens = createTokens({
    keys,
    clock: systemClock,
    sessionIsValid: node.sessionIsValid,
    whyEnded: () => sessionEnded,
  })
  let made = 0
  const openOne = async (): Promise<SeededUser> => {
    const index = made++
    const { userId, sessionId } = await openAccount(node, keys.identityHmac('userName', `bench${index}`), index)
    const { accessToken } = await tokens.issue({ userId, sessionId }, 0)
    return { userId, token: accessToken }
  }
  return {
    users: async count => {
      const users: SeededUser[] = []
      while (users.length < count) {
        const size = Math.min(atOnce, count - users.length)
        users.push(...(await Promise.all(Array.from({ length: size }, openOne))))
      }
      return users
    },
    group: async users => {
      const [owner, ...others] = users.map(({ userId }) => userId as UserId)
      const groupId = newId(systemClock) as GroupId
      const command = {
        type: 'CreateGroup',
        groupId,
        name: 'bench',
        by: owner as UserId,
        memberIds: others,
        inviteeConsent: 'none',
        requestId: groupId,
        memberLimit: limits.groupMembersMax,
        inviteMode: 'everyone',
        at: systemClock.now(),
      } as const
      mustGo(await node.handle(group, streamOf.group(groupId), command, { facts: { groupsCreated: 0 } }))
      return groupConversationId(groupId)
    },
    friends: async users => {
      const [user, ...others] = users.map(({ userId }) => userId as UserId)
      for (let done = 0; done < others.length; done += atOnce) {
        await Promise.all(others.slice(done, done + atOnce).map(other => befriend(node, user as UserId, other)))
      }
    },
    messages: (conversationId, senders, count) =>
      appendMessages(store, conversationId as ConversationId, senders as readonly UserId[], count),
    close: async () => {
      await node.close()
      await store.close()
    },
  }
}

export const pairConversation = (one: SeededUser, other: SeededUser): string =>
  p2pConversationId(one.userId as UserId, other.userId as UserId)
