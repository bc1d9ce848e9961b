// Owns events as the log records them, and facts as the hub reads them, for tests of who hears of what. Also owns a listener
// that does with actions what a node does: it knows who is on which topic, and collects what each user hears.

import { account } from '../../domain/account/account.ts'
import type { EventOf, EventType } from '../../domain/events.ts'
import { type Group, group } from '../../domain/group/group.ts'
import {
  type ConversationId,
  type GroupId,
  groupConversationId,
  type Position,
  p2pConversationId,
  type UserId,
} from '../../domain/ids.ts'
import { inbox } from '../../domain/inbox/inbox.ts'
import { positionOf, type RecordedEvent } from '../../eventstore/port.ts'
import type { Action, RouteFacts } from '../../realtime/actions.ts'
import { groupTopic, userTopic } from '../../realtime/protocol.ts'
import { chosen, type Standing } from '../../realtime/standing.ts'
import { newEvent } from './test-node.ts'

export const at = '2026-11-23T08:00:00.000Z' as never
export const [ann, bob, cid, dan] = ['ann', 'bob', 'cid', 'dan'] as [string, string, string, string] as unknown as [
  UserId,
  UserId,
  UserId,
  UserId,
]
export const groupId = 'g1' as GroupId
export const inGroup = groupConversationId(groupId)
export const p2p = p2pConversationId(ann, bob)
export const prefix = 'log.1.'

/** An event at a place of the log. */
export const recorded = <Type extends EventType>(
  position: number,
  type: Type,
  data: EventOf<Type>['data'],
): RecordedEvent & EventOf<Type> =>
  ({ ...newEvent(type, data), stream: 'any', revision: 0, position: positionOf(position) }) as never

export const message = (
  position: number,
  seq: number,
  from: UserId,
  conversationId: ConversationId = inGroup,
  text = 'hello',
) =>
  recorded(position, 'MessageSent', {
    conversationId,
    seq,
    from,
    clientMessageId: `c${position}`,
    type: 'text',
    body: { text },
    at,
    countable: seq,
  })

export const accountCreated = (position: number, userId: UserId) =>
  recorded(position, 'AccountCreated', {
    userId,
    name: `Name of ${userId}`,
    identity: { kind: 'phone', hmac: `hmac-${userId}` },
    phone: '+49',
    at,
  })

export const groupCreated = (position: number, memberIds: readonly UserId[]) =>
  recorded(position, 'GroupCreated', {
    groupId,
    name: 'Friends',
    ownerId: ann,
    memberIds,
    memberLimit: 200,
    inviteMode: 'managers',
    memberCount: memberIds.length + 1,
    by: ann,
    at,
  })

export const membersAdded = (position: number, userIds: readonly UserId[], memberCount = 3) =>
  recorded(position, 'MembersAdded', { groupId, userIds, memberCount, by: ann, at })

export const membersRemoved = (
  position: number,
  userIds: readonly UserId[],
  reason: 'kicked' | 'left' = 'kicked',
  memberCount = 2,
) => recorded(position, 'MembersRemoved', { groupId, userIds, reason, memberCount, by: ann, at })

/** A group after some events. */
export const groupOf = (...events: readonly RecordedEvent[]): Group =>
  events.reduce((state, event) => group.evolve(state, event as never), group.initial as Group)

/** Facts that know nothing but what is given. */
export const factsOf = (facts: Partial<RouteFacts> = {}): RouteFacts => ({
  cursorPrefix: prefix,
  account: () => account.initial,
  group: () => group.initial,
  openSessions: () => [],
  head: () => ({ seq: 0 }),
  marks: () => inbox.initial,
  ...facts,
})

// biome-ignore lint/suspicious/noExplicitAny: tests look into frames of every form
export type Frame = any

/** One who takes part in the group and in every P2P conversation of theirs, from the beginning. */
export const takesPart = (userId: UserId): Standing => ({
  topics: new Set([userTopic(userId), groupTopic(groupId)]),
  lastSeen: new Map(),
})

/** What the actions come to for their user. */
export const settled = (actions: readonly Action[], standingOf = takesPart): readonly Action[] =>
  actions.flatMap(action => (action.do === 'either' ? chosen(action, standingOf(action.userId)) : [action]))

export const framesOf = (actions: readonly Action[]): { readonly topics: readonly string[]; readonly frame: Frame }[] =>
  settled(actions).flatMap(action => {
    if (action.do === 'publish') return [{ topics: [action.topic], frame: JSON.parse(action.frame) }]
    return action.do === 'message' ? [{ topics: action.topics, frame: JSON.parse(action.frame) }] : []
  })

/** What each user hears who listens from the beginning, in order. */
export const listeners = (...users: readonly UserId[]) => {
  const topics = new Map(users.map(userId => [userId, new Set([userTopic(userId)])]))
  const heard = new Map<UserId, Frame[]>(users.map(userId => [userId, []]))
  const perform = (actions: readonly Action[]) => {
    for (const action of actions) {
      if (action.do === 'join') topics.get(action.userId)?.add(action.topic)
      else if (action.do === 'leave') topics.get(action.userId)?.delete(action.topic)
      else if (action.do === 'publish' || action.do === 'message') {
        const to = action.do === 'publish' ? [action.topic] : action.topics
        for (const [userId, own] of topics) {
          if (to.some(topic => own.has(topic))) heard.get(userId)?.push(JSON.parse(action.frame))
        }
      }
    }
  }
  return { perform, heardBy: (userId: UserId) => heard.get(userId) as Frame[] }
}

export const positionAt = (position: number): Position => positionOf(position)
export const cursorAt = (position: number) => prefix + positionAt(position)

/** Of a message of two people that counts. */
export const recalled = (seq: number, hadExt = false) =>
  recorded(30, 'MessageRecalled', {
    conversationId: p2p,
    seq,
    from: ann,
    countable: seq,
    counts: true,
    hadExt,
    by: ann,
    at,
  })

/** One of the three asked has read a message of the group. */
export const receipt = recorded(31, 'ReceiptGiven', {
  conversationId: inGroup,
  seq: 3,
  from: ann,
  by: bob,
  read: 1,
  unread: 2,
  at,
})
