// Owns who gets what for each event: pure, in log order. An event becomes actions; the hub performs them.
// What a group's members share is published once; what differs between them goes to each user's own topic only.

import type { MessageSent } from '../domain/conversation/events.ts'
import type { DomainEvent } from '../domain/decider.ts'
import { type EventType, isEventType } from '../domain/events.ts'
import type { Group } from '../domain/group/group.ts'
import {
  type ConversationId,
  conversationParts,
  type GroupId,
  groupConversationId,
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
  userRowOf,
} from '../domain/rows.ts'
import type { Action, HiddenMarks, Need, Route, Routed, RouteFacts } from './actions.ts'
import {
  groupTopic,
  isGroupTopic,
  membersTopic,
  patchFrame,
  putFrame,
  removeFrame,
  type Topic,
  userTopic,
} from './protocol.ts'

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

/** Devices merge the same fields into `lastMessage` where it is that message: what they show there differs from one to another. */
const messageRecalled: Route<'MessageRecalled'> = {
  actions: ({ data }, _facts, cursor) => {
    const fields = JSON.stringify(recalledFieldsOf(data))
    const frame = patchFrame(cursor, 'messages', messageRowId(data.conversationId, data.seq), fields)
    return topicsOf(data.conversationId).flatMap((topic): readonly Action[] =>
      isGroupTopic(topic)
        ? [publish(topic, frame), { do: 'recall', topic, seq: data.seq, frame }]
        : [publish(topic, frame)],
    )
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
  needs: ({ groupId }) => [{ what: 'head', conversationId: groupConversationId(groupId) }],
  actions: ({ data: { groupId, userIds, memberCount, reason, by, at }, id }, facts, cursor) => [
    ...userIds.flatMap(userId => {
      const { seq: lastSeq } = facts.head(groupConversationId(groupId))
      const topic = userTopic(userId)
      const inactive = patchFrame(cursor, 'conversations', groupConversationId(groupId), '{"active":false}')
      const notification: NotificationRow = { notificationId: id, kind: 'removedFromGroup', groupId, by, at }
      return [
        { do: 'leave', userId, topic: groupTopic(groupId), lastSeq } as const,
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

const patchMarks = (
  { userId, conversationId }: InboxEvent['data'],
  set: HiddenMarks & { readonly lastMessage?: null },
  cursor: string,
): readonly Action[] => {
  const { lastMessage: _, ...marks } = set
  return [
    publish(userTopic(userId), patchFrame(cursor, 'conversations', conversationId, JSON.stringify(set))),
    { do: 'marks', userId, conversationId, set: marks },
  ]
}

/** Up to where the user has nothing unread. */
const readSeqOf = ({ readSeq, clearedSeq }: InboxMarks): number => Math.max(readSeq, clearedSeq)

const headNeeds = ({ conversationId }: { conversationId: ConversationId }): readonly Need[] => [
  { what: 'head', conversationId },
]

/** A user's own topic stands for a P2P conversation: both always take part in it. */
const topicFor = ({ userId, conversationId }: InboxEvent['data']): Topic => {
  const parts = conversationParts(conversationId)
  return parts?.kind === 'group' ? groupTopic(parts.groupId) : userTopic(userId)
}

const conversationCleared: Route<'ConversationCleared'> = {
  needs: headNeeds,
  actions: ({ data }, facts, cursor) => {
    const { clearedSeq } = data.marks
    const set = { clearedSeq, readSeq: readSeqOf(data.marks) }
    return [
      {
        do: 'either',
        userId: data.userId,
        topic: topicFor(data),
        seq: clearedSeq,
        headSeq: facts.head(data.conversationId).seq,
        newer: patchMarks(data, set, cursor),
        nothingNewer: patchMarks(data, { ...set, lastMessage: null }, cursor),
      },
    ]
  },
}

const conversationDeleted: Route<'ConversationDeleted'> = {
  needs: headNeeds,
  actions: ({ data }, facts, cursor) => {
    const { userId, conversationId, marks } = data
    const { clearedSeq, deletedSeq } = marks
    const readSeq = readSeqOf(marks)
    const kind = conversationParts(conversationId)?.kind ?? 'p2p'
    const { seq: headSeq } = facts.head(conversationId)
    const row = { ...newConversationRow(conversationId, kind, headSeq), readSeq, clearedSeq }
    return [
      {
        do: 'either',
        userId,
        topic: topicFor(data),
        seq: deletedSeq,
        headSeq,
        // A message came between the decision and the event: the conversation is back at once.
        newer: patchMarks(data, { readSeq, clearedSeq, pinnedAt: null }, cursor),
        nothingNewer: [
          publish(userTopic(userId), removeFrame(cursor, 'conversations', conversationId)),
          { do: 'hide', userId, row },
        ],
      },
    ]
  },
}

const sessionEnded = (userId: UserId, sessionId: SessionId, cursor: string): readonly Action[] => [
  publish(userTopic(userId), removeFrame(cursor, 'sessions', sessionId)),
  { do: 'cut', userId, sessionId },
]

const passwordChanged: Route<'PasswordChanged'> = {
  needs: ({ userId }) => [{ what: 'sessions', userId }],
  actions: ({ data: { userId, keptSessionId, credentialEpoch } }, facts, cursor) =>
    facts
      .openSessions(userId)
      // One who has signed in since the change may be among them already.
      .filter(session => session.credentialEpoch < credentialEpoch && session.sessionId !== keptSessionId)
      .flatMap(({ sessionId }) => sessionEnded(userId, sessionId, cursor)),
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
    actions: ({ data: { userId, sessionId } }, _facts, cursor) => sessionEnded(userId, sessionId, cursor),
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
  ConversationRead: {
    actions: ({ data }, _facts, cursor) => patchMarks(data, { readSeq: readSeqOf(data.marks) }, cursor),
  },
  ConversationPinned: {
    actions: ({ data }, _facts, cursor) => patchMarks(data, { pinnedAt: data.marks.pinnedAt }, cursor),
  },
  ConversationUnpinned: { actions: ({ data }, _facts, cursor) => patchMarks(data, { pinnedAt: null }, cursor) },
  ConversationCleared: conversationCleared,
  ConversationDeleted: conversationDeleted,
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
