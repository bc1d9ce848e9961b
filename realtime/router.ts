// Owns who gets what for each event: pure, in log order. An event becomes actions; the hub performs them.
// What a group's members share is published once; what differs between them goes to each user's own topic only.

import type { Account } from '../domain/account/account.ts'
import type { MessageSent } from '../domain/conversation/events.ts'
import type { DomainEvent } from '../domain/decider.ts'
import type { EventOf, EventType } from '../domain/events.ts'
import { isEventType } from '../domain/events.ts'
import type { Group } from '../domain/group/group.ts'
import {
  type ConversationId,
  conversationParts,
  type GroupId,
  groupConversationId,
  type Position,
  type SessionId,
  type UserId,
} from '../domain/ids.ts'
import type { InboxEvent, InboxMarks } from '../domain/inbox/events.ts'
import {
  type ConversationRow,
  conversationRowText,
  type GroupRole,
  type GroupRow,
  groupRowOf,
  type MemberRow,
  memberRowId,
  messageRowId,
  messageText,
  type NotificationRow,
  recalledFieldsOf,
  tombstoneText,
  userRowOf,
} from '../domain/rows.ts'
import {
  type CursorPrefix,
  groupTopic,
  membersTopic,
  patchFrame,
  putFrame,
  removeFrame,
  type Topic,
  userTopic,
} from './protocol.ts'

export type Action =
  | { readonly do: 'publish'; readonly topic: Topic; readonly frame: string }
  /** A message frame: a user who hid the conversation gets its row first. */
  | {
      readonly do: 'message'
      readonly topics: readonly Topic[]
      readonly frame: string
      readonly conversationId: ConversationId
      readonly seq: number
      readonly cursor: string
    }
  | { readonly do: 'join'; readonly userId: UserId; readonly topic: Topic }
  | { readonly do: 'leave'; readonly userId: UserId; readonly topic: Topic }
  | { readonly do: 'hide'; readonly userId: UserId; readonly row: ConversationRow }
  /** Cuts the user's sockets: those of one session, or all but one. */
  | { readonly do: 'cut'; readonly userId: UserId; readonly only?: SessionId; readonly except?: SessionId | null }

/** The newest message of a conversation before an event, in log order. */
export interface ConversationHead {
  readonly seq: number
  /** The message as recorded, to rebuild its wire text. */
  readonly message: { readonly text: string; readonly position: Position } | undefined
}

/** What the router may ask; the hub has read it before. States may be ahead of the event: rows carry absolute values, so later
 * frames set the same again. */
export interface RouteFacts {
  readonly cursorPrefix: CursorPrefix
  account(userId: UserId): Account
  group(groupId: GroupId): Group
  openSessions(userId: UserId): readonly SessionId[]
  head(conversationId: ConversationId): ConversationHead
  marks(userId: UserId, conversationId: ConversationId): InboxMarks
}

/** What the hub must read before an event can be routed. */
export type Need =
  | { readonly what: 'account'; readonly userId: UserId }
  | { readonly what: 'group'; readonly groupId: GroupId }
  | { readonly what: 'sessions'; readonly userId: UserId }
  | { readonly what: 'head'; readonly conversationId: ConversationId }
  /** Read only for users whom this node follows: nobody else hears of it here. */
  | { readonly what: 'marks'; readonly userId: UserId; readonly conversationId: ConversationId }

interface Routed<Type extends EventType> {
  readonly data: EventOf<Type>['data']
  readonly text: string
  readonly id: string
  readonly position: Position
}

interface Route<Type extends EventType> {
  readonly needs?: (data: EventOf<Type>['data']) => readonly Need[]
  readonly actions: (event: Routed<Type>, facts: RouteFacts, cursor: string) => readonly Action[]
}

const nothing = { actions: () => [] } as const

const topicsOf = (conversationId: ConversationId): readonly Topic[] => {
  const parts = conversationParts(conversationId)
  if (parts === undefined) return []
  return parts.kind === 'group' ? [groupTopic(parts.groupId)] : parts.users.map(userTopic)
}

const publish = (topic: Topic, frame: string): Action => ({ do: 'publish', topic, frame })
const put = (...[topic, cursor, collection, row]: [Topic, string, Parameters<typeof putFrame>[1], object]): Action =>
  publish(topic, putFrame(cursor, collection, JSON.stringify(row)))

const newConversationRow = (conversationId: ConversationId, kind: 'p2p' | 'group', seq: number): ConversationRow => ({
  conversationId,
  kind,
  lastSeq: seq,
  unread: 0,
  readSeq: seq,
  clearedSeq: 0,
  pinnedAt: null,
  active: true,
})

const firstP2pMessage = (data: MessageSent['data'], facts: RouteFacts, cursor: string): readonly Action[] => {
  const parts = conversationParts(data.conversationId)
  if (parts === undefined || parts.kind !== 'p2p' || data.seq !== 1) return []
  const [one, other] = parts.users
  const row = conversationRowText(newConversationRow(data.conversationId, 'p2p', 0), null)
  return [
    ...[
      [one, other],
      [other, one],
    ].flatMap(([user, peer]) => {
      const peerRow = userRowOf(facts.account(peer as UserId))
      const topic = userTopic(user as UserId)
      const conversation = publish(topic, putFrame(cursor, 'conversations', row))
      return peerRow === undefined ? [conversation] : [put(topic, cursor, 'users', peerRow), conversation]
    }),
  ]
}

const messageSent: Route<'MessageSent'> = {
  needs: data => {
    if (data.seq !== 1) return []
    const parts = conversationParts(data.conversationId)
    return parts?.kind === 'p2p' ? parts.users.map(userId => ({ what: 'account', userId })) : []
  },
  actions: (event, facts, cursor) => {
    const { conversationId, seq } = event.data
    const message: Action = {
      do: 'message',
      topics: topicsOf(conversationId),
      frame: putFrame(cursor, 'messages', messageText(event.text, event.position)),
      conversationId,
      seq,
      cursor,
    }
    return seq === 1 ? [...firstP2pMessage(event.data, facts, cursor), message] : [message]
  },
}

const messageRecalled: Route<'MessageRecalled'> = {
  needs: ({ conversationId }) => [{ what: 'head', conversationId }],
  actions: ({ data }, facts, cursor) => {
    const fields = recalledFieldsOf(data)
    const patch = patchFrame(cursor, 'messages', messageRowId(data.conversationId, data.seq), JSON.stringify(fields))
    const { seq, message } = facts.head(data.conversationId)
    const frames = [patch]
    if (seq === data.seq && message !== undefined) {
      const last = tombstoneText(messageText(message.text, message.position), data)
      frames.push(patchFrame(cursor, 'conversations', data.conversationId, `{"lastMessage":${last}}`))
    }
    return topicsOf(data.conversationId).flatMap(topic => frames.map(frame => publish(topic, frame)))
  },
}

const memberRows = (groupId: GroupId, userIds: readonly UserId[], group: Group, cursor: string): readonly Action[] =>
  userIds.flatMap(userId => {
    const row = memberRowOf(groupId, userId, group)
    return row === undefined ? [] : [put(membersTopic(groupId), cursor, 'members', row)]
  })

const memberRowOf = (groupId: GroupId, userId: UserId, group: Group): MemberRow | undefined => {
  const member = group.status === 'none' ? undefined : group.members.get(userId)
  if (member === undefined) return undefined
  const { role, joinedAt, invitedBy } = member
  return { groupId, userId, role, joinedAt, ...(invitedBy === undefined ? undefined : { invitedBy }) }
}

/**
 * Those who came in: the group's row, its topic, and its conversation from here on. The conversation stays out of their lists
 * until its next message (R78); one who comes back may hold its row, and goes on with it.
 */
const welcomes = (
  groupId: GroupId,
  userIds: readonly UserId[],
  facts: RouteFacts,
  cursor: string,
): readonly Action[] => {
  const group = facts.group(groupId)
  const conversationId = groupConversationId(groupId)
  const { seq } = facts.head(conversationId)
  const back = patchFrame(
    cursor,
    'conversations',
    conversationId,
    JSON.stringify({ active: true, readSeq: seq, unread: 0 }),
  )
  return userIds.flatMap(userId => {
    const row = groupRowOf(group, userId)
    const topic = userTopic(userId)
    const { clearedSeq, pinnedAt } = facts.marks(userId, conversationId)
    return [
      ...(row === undefined ? [] : [put(topic, cursor, 'groups', row)]),
      publish(topic, back),
      {
        do: 'hide',
        userId,
        row: { ...newConversationRow(conversationId, 'group', seq), clearedSeq, pinnedAt },
      } as const,
      { do: 'join', userId, topic: groupTopic(groupId) } as const,
    ]
  })
}

const marksNeeds = (groupId: GroupId, userIds: readonly UserId[]): readonly Need[] =>
  userIds.map(userId => ({ what: 'marks', userId, conversationId: groupConversationId(groupId) }))

const groupNeeds = ({ groupId }: { groupId: GroupId }): readonly Need[] => [
  { what: 'group', groupId },
  { what: 'head', conversationId: groupConversationId(groupId) },
]

const patchGroup = (topic: Topic, cursor: string, groupId: GroupId, set: Partial<GroupRow>): Action =>
  publish(topic, patchFrame(cursor, 'groups', groupId, JSON.stringify(set)))

const patchRole = (userId: UserId, groupId: GroupId, myRole: GroupRole, cursor: string): Action =>
  patchGroup(userTopic(userId), cursor, groupId, { myRole })

const membersAdded: Route<'MembersAdded'> = {
  needs: data => [...groupNeeds(data), ...marksNeeds(data.groupId, data.userIds)],
  actions: ({ data: { groupId, userIds, memberCount } }, facts, cursor) => [
    patchGroup(groupTopic(groupId), cursor, groupId, { memberCount }),
    ...memberRows(groupId, userIds, facts.group(groupId), cursor),
    ...welcomes(groupId, userIds, facts, cursor),
  ],
}

const membersRemoved: Route<'MembersRemoved'> = {
  actions: ({ data: { groupId, userIds, memberCount, reason, by, at }, id }, _facts, cursor) => [
    ...userIds.flatMap(userId => {
      const topic = userTopic(userId)
      const inactive = patchFrame(cursor, 'conversations', groupConversationId(groupId), '{"active":false}')
      const notification: NotificationRow = { notificationId: id, kind: 'removedFromGroup', groupId, by, at }
      return [
        { do: 'leave', userId, topic: groupTopic(groupId) } as const,
        { do: 'leave', userId, topic: membersTopic(groupId) } as const,
        publish(topic, removeFrame(cursor, 'groups', groupId)),
        publish(topic, inactive),
        ...(reason === 'kicked' ? [put(topic, cursor, 'notifications', notification)] : []),
      ]
    }),
    ...userIds.map(userId =>
      publish(membersTopic(groupId), removeFrame(cursor, 'members', memberRowId(groupId, userId))),
    ),
    patchGroup(groupTopic(groupId), cursor, groupId, { memberCount }),
  ],
}

const ownerTransferred: Route<'OwnerTransferred'> = {
  needs: ({ groupId }) => [{ what: 'group', groupId }],
  actions: ({ data: { groupId, from, to } }, facts, cursor) => [
    patchGroup(groupTopic(groupId), cursor, groupId, { ownerId: to }),
    patchRole(from, groupId, 'member', cursor),
    patchRole(to, groupId, 'owner', cursor),
    ...memberRows(groupId, [from, to], facts.group(groupId), cursor),
  ],
}

const roleChanged = (myRole: GroupRole) => ({
  needs: ({ groupId }: { groupId: GroupId }): readonly Need[] => [{ what: 'group', groupId }],
  actions: (
    { data: { groupId, userId } }: { data: { groupId: GroupId; userId: UserId } },
    facts: RouteFacts,
    cursor: string,
  ) => [patchRole(userId, groupId, myRole, cursor), ...memberRows(groupId, [userId], facts.group(groupId), cursor)],
})

const groupDissolved: Route<'GroupDissolved'> = {
  needs: ({ groupId }) => [{ what: 'group', groupId }],
  actions: ({ data: { groupId, by, at }, id }, facts, cursor) => {
    const group = facts.group(groupId)
    const members = group.status === 'none' ? [] : [...group.members.keys()]
    const notification: NotificationRow = { notificationId: id, kind: 'groupDissolved', groupId, by, at }
    const frame = putFrame(cursor, 'notifications', JSON.stringify(notification))
    return [
      publish(groupTopic(groupId), removeFrame(cursor, 'groups', groupId)),
      ...members.filter(userId => userId !== by).map(userId => publish(userTopic(userId), frame)),
    ]
  },
}

const patchMarks =
  (fields: (data: InboxEvent['data'], facts: RouteFacts) => object) =>
  ({ data }: { readonly data: InboxEvent['data'] }, facts: RouteFacts, cursor: string): readonly Action[] => [
    publish(
      userTopic(data.userId),
      patchFrame(cursor, 'conversations', data.conversationId, JSON.stringify(fields(data, facts))),
    ),
  ]

const headNeeds = ({ conversationId }: { conversationId: ConversationId }): readonly Need[] => [
  { what: 'head', conversationId },
]

const passwordChanged: Route<'PasswordChanged'> = {
  needs: ({ userId }) => [{ what: 'sessions', userId }],
  actions: ({ data: { userId, keptSessionId } }, facts, cursor) => [
    ...facts
      .openSessions(userId)
      .filter(sessionId => sessionId !== keptSessionId)
      .map(sessionId => publish(userTopic(userId), removeFrame(cursor, 'sessions', sessionId))),
    { do: 'cut', userId, except: keptSessionId },
  ],
}

/** One row an event: a new event does not compile until it says who hears of it. */
const routes: { readonly [Type in EventType]: Route<Type> } = {
  AccountCreated: nothing,
  PasswordChanged: passwordChanged,
  IdentityClaimed: nothing,
  IdentityReleased: nothing,
  CodeSent: nothing,
  CodeTried: nothing,
  CodeUsed: nothing,
  SessionOpened: {
    actions: ({ data: { userId, sessionId, deviceId, platform, name, at } }, _facts, cursor) => [
      put(userTopic(userId), cursor, 'sessions', { sessionId, deviceId, platform, name, openedAt: at }),
    ],
  },
  SessionRefreshed: nothing,
  SessionClosed: {
    actions: ({ data: { userId, sessionId } }, _facts, cursor) => [
      publish(userTopic(userId), removeFrame(cursor, 'sessions', sessionId)),
      { do: 'cut', userId, only: sessionId },
    ],
  },
  UserBlocked: {
    actions: ({ data: { userId, blockedId, at } }, _facts, cursor) => [
      put(userTopic(userId), cursor, 'blocklist', { userId: blockedId, at }),
    ],
  },
  UserUnblocked: {
    actions: ({ data: { userId, blockedId } }, _facts, cursor) => [
      publish(userTopic(userId), removeFrame(cursor, 'blocklist', blockedId)),
    ],
  },
  GroupCreated: {
    needs: groupNeeds,
    actions: ({ data: { groupId, ownerId, memberIds } }, facts, cursor) =>
      welcomes(groupId, [ownerId, ...memberIds], facts, cursor),
  },
  MembersAdded: membersAdded,
  MembersRemoved: membersRemoved,
  OwnerTransferred: ownerTransferred,
  AdminAdded: roleChanged('admin'),
  AdminRemoved: roleChanged('member'),
  GroupDissolved: groupDissolved,
  MessageSent: messageSent,
  MessageRecalled: messageRecalled,
  ConversationRead: { actions: patchMarks(({ marks }) => ({ readSeq: marks.readSeq })) },
  ConversationPinned: { actions: patchMarks(({ marks }) => ({ pinnedAt: marks.pinnedAt })) },
  ConversationUnpinned: { actions: patchMarks(() => ({ pinnedAt: null })) },
  ConversationCleared: {
    needs: headNeeds,
    actions: patchMarks(({ conversationId, marks: { readSeq, clearedSeq } }, facts) => ({
      clearedSeq,
      readSeq: Math.max(readSeq, clearedSeq),
      ...(facts.head(conversationId).seq <= clearedSeq ? { lastMessage: null } : undefined),
    })),
  },
  ConversationDeleted: {
    needs: headNeeds,
    actions: ({ data: { userId, conversationId, marks } }, facts, cursor) => {
      const kind = conversationParts(conversationId)?.kind ?? 'p2p'
      const { seq } = facts.head(conversationId)
      const readSeq = Math.max(marks.readSeq, marks.clearedSeq)
      // A message came between the decision and the event: the conversation is back at once.
      if (seq > marks.deletedSeq) {
        const set = JSON.stringify({ readSeq, clearedSeq: marks.clearedSeq, pinnedAt: null })
        return [publish(userTopic(userId), patchFrame(cursor, 'conversations', conversationId, set))]
      }
      const row = { ...newConversationRow(conversationId, kind, seq), readSeq, clearedSeq: marks.clearedSeq }
      return [
        publish(userTopic(userId), removeFrame(cursor, 'conversations', conversationId)),
        { do: 'hide', userId, row },
      ]
    },
  },
  FollowerAdvanced: nothing,
}

/** What must be read before the event can be routed; mostly nothing. */
export const needsOf = (event: DomainEvent): readonly Need[] => {
  if (!isEventType(event.type)) return []
  const route = routes[event.type] as Route<EventType>
  return route.needs?.(event.data as never) ?? []
}

/** What to do for one event. Events of other makers (snapshots) route to nothing. */
export const route = (event: DomainEvent & Omit<Routed<EventType>, 'data'>, facts: RouteFacts): readonly Action[] => {
  if (!isEventType(event.type)) return []
  const found = routes[event.type] as Route<EventType>
  return found.actions(event as never, facts, facts.cursorPrefix + event.position)
}
