// Owns who hears of what happens to a group: its members on the group's topic, what differs between them each on their own.
// Topics change in log order, before the next event is published: one who is out gets nothing later (R15).

import type { Group } from '../../domain/group/group.ts'
import { type GroupId, groupConversationId, type UserId } from '../../domain/ids.ts'
import { type GroupRole, type GroupRow, groupRowOf, type MemberRow, memberRowId } from '../../domain/rows.ts'
import type { Action, Need, RouteFacts, Routes } from '../actions.ts'
import { groupTopic, membersTopic, patchFrame, removeFrame, type Topic, userTopic } from '../protocol.ts'
import { newConversationRow, publish, put } from './frames.ts'

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

const membersAdded: Routes['MembersAdded'] = {
  needs: data => [...groupNeeds(data), ...marksNeeds(data.groupId, data.userIds)],
  actions: ({ data: { groupId, userIds, memberCount } }, facts, cursor) => [
    patchGroup(groupTopic(groupId), cursor, groupId, { memberCount }),
    ...memberRows(groupId, userIds, facts.group(groupId), cursor),
    ...welcomes(groupId, userIds, facts, cursor),
  ],
}

const membersRemoved: Routes['MembersRemoved'] = {
  needs: ({ groupId }) => [{ what: 'head', conversationId: groupConversationId(groupId) }],
  actions: ({ data: { groupId, userIds, memberCount } }, facts, cursor) => [
    ...userIds.flatMap(userId => {
      const { seq: lastSeq } = facts.head(groupConversationId(groupId))
      const topic = userTopic(userId)
      const inactive = patchFrame(cursor, 'conversations', groupConversationId(groupId), '{"active":false}')
      return [
        { do: 'leave', userId, topic: groupTopic(groupId), lastSeq } as const,
        { do: 'leave', userId, topic: membersTopic(groupId) } as const,
        publish(topic, removeFrame(cursor, 'groups', groupId)),
        publish(topic, inactive),
      ]
    }),
    ...userIds.map(userId =>
      publish(membersTopic(groupId), removeFrame(cursor, 'members', memberRowId(groupId, userId))),
    ),
    patchGroup(groupTopic(groupId), cursor, groupId, { memberCount }),
  ],
}

const ownerTransferred: Routes['OwnerTransferred'] = {
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

/** The group is needed for whom to notify. */
const groupDissolved: Routes['GroupDissolved'] = {
  needs: ({ groupId }) => [{ what: 'group', groupId }],
  actions: ({ data: { groupId } }, _facts, cursor) => [
    publish(groupTopic(groupId), removeFrame(cursor, 'groups', groupId)),
  ],
}

export const groupRoutes = {
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
} satisfies Partial<Routes>
