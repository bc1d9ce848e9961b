// Owns who hears of what happens to a group: its members on the group's topic, what differs between them each on their own.
// Topics change in log order, before the next event is published: one who is out gets nothing later (R15).

import { popupNumberOf } from '../../domain/group/announcements.ts'
import type { MembersAdded } from '../../domain/group/events.ts'
import { type GroupRow, groupRowOf } from '../../domain/group/row.ts'
import type { Group } from '../../domain/group/state.ts'
import { type GroupId, groupConversationId, type UserId } from '../../domain/ids.ts'
import { noProfile } from '../../domain/member/member.ts'
import { type MemberRow, memberRow } from '../../domain/member/row.ts'
import { announcementFields, memberRowId } from '../../domain/rows.ts'
import type { Action, Need, RouteFacts, Routes } from '../actions.ts'
import { groupTopic, membersTopic, patchFrame, removeFrame, type Topic, userTopic } from '../protocol.ts'
import { newConversationRow, publish, put } from './frames.ts'

/** Whoever comes in begins without a profile of their own. */
const newMemberRows = (groupId: GroupId, userIds: readonly UserId[], group: Group, cursor: string): readonly Action[] =>
  userIds.flatMap(userId => {
    const member = group.status === 'none' ? undefined : group.members.get(userId)
    if (group.status === 'none' || member === undefined) return []
    const row = memberRow(groupId, userId, member, noProfile, group.mutes.get(userId) ?? null)
    return [put(membersTopic(groupId), cursor, 'members', row)]
  })

export const patchMember = (groupId: GroupId, userId: UserId, cursor: string, set: Partial<MemberRow>): Action =>
  publish(membersTopic(groupId), patchFrame(cursor, 'members', memberRowId(groupId, userId), JSON.stringify(set)))

export const patchGroup = (topic: Topic, cursor: string, groupId: GroupId, set: Partial<GroupRow>): Action =>
  publish(topic, patchFrame(cursor, 'groups', groupId, JSON.stringify(set)))

/**
 * Those who came in: the group's row, its topic, and its conversation from here on. The conversation stays out of their lists
 * until its next message (R78); one who comes back may hold its row, and goes on with it, save where all that was said before is
 * theirs now: that row is another's end.
 */
const welcomes = (
  groupId: GroupId,
  userIds: readonly UserId[],
  facts: RouteFacts,
  cursor: string,
  { history, announced = 0 }: Pick<MembersAdded['data'], 'history' | 'announced'> = {},
): readonly Action[] => {
  const group = facts.group(groupId)
  const conversationId = groupConversationId(groupId)
  const { seq } = facts.head(conversationId)
  const popups = {
    announcementPopup: group.status === 'none' ? 0 : popupNumberOf(group.announcements),
    announcementSeen: announced,
  }
  const set = JSON.stringify({ active: true, readSeq: seq, unread: 0, ...popups })
  const back = history
    ? removeFrame(cursor, 'conversations', conversationId)
    : patchFrame(cursor, 'conversations', conversationId, set)
  const seesAll = history ? ({ seesAll: true } as const) : undefined
  return userIds.flatMap(userId => {
    const row = groupRowOf(group, userId, noProfile)
    const topic = userTopic(userId)
    const { clearedSeq, pinnedAt, reminder, doNotDisturb } = facts.marks(userId, conversationId)
    return [
      ...(row === undefined ? [] : [put(topic, cursor, 'groups', row)]),
      publish(topic, back),
      {
        do: 'hide',
        userId,
        row: {
          ...newConversationRow(conversationId, 'group', seq),
          clearedSeq,
          pinnedAt,
          reminder,
          doNotDisturb,
          ...announcementFields(popups.announcementPopup, announced),
        },
      } as const,
      { do: 'join', userId, topic: groupTopic(groupId), ...seesAll } as const,
    ]
  })
}

const marksNeeds = (groupId: GroupId, userIds: readonly UserId[]): readonly Need[] =>
  userIds.map(userId => ({ what: 'marks', userId, conversationId: groupConversationId(groupId) }))

const groupNeeds = ({ groupId }: { groupId: GroupId }): readonly Need[] => [
  { what: 'group', groupId },
  { what: 'head', conversationId: groupConversationId(groupId) },
]

const membersAdded: Routes['MembersAdded'] = {
  needs: data => [...groupNeeds(data), ...marksNeeds(data.groupId, data.userIds)],
  actions: ({ data }, facts, cursor) => {
    const { groupId, userIds, memberCount } = data
    return [
      patchGroup(groupTopic(groupId), cursor, groupId, { memberCount }),
      ...newMemberRows(groupId, userIds, facts.group(groupId), cursor),
      ...welcomes(groupId, userIds, facts, cursor, data),
    ]
  },
}

const membersRemoved: Routes['MembersRemoved'] = {
  needs: ({ groupId }) => [{ what: 'head', conversationId: groupConversationId(groupId) }],
  actions: ({ data: { groupId, userIds, memberCount } }, facts, cursor) => [
    ...userIds.flatMap(userId => {
      const { seq: lastSeq } = facts.head(groupConversationId(groupId))
      const topic = userTopic(userId)
      const inactive = patchFrame(
        cursor,
        'conversations',
        groupConversationId(groupId),
        '{"active":false,"announcementPopup":0}',
      )
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

/** What one member is changes for that member's own devices, and for those who look at the members. */
const memberChanged = (
  groupId: GroupId,
  userId: UserId,
  cursor: string,
  { role, mutedUntil }: Partial<Pick<MemberRow, 'role' | 'mutedUntil'>>,
): readonly Action[] => {
  const muted = mutedUntil === undefined ? undefined : { mutedUntil }
  return [
    patchGroup(userTopic(userId), cursor, groupId, {
      ...(role === undefined ? undefined : { myRole: role }),
      ...(muted && { myMutedUntil: muted.mutedUntil }),
    }),
    patchMember(groupId, userId, cursor, { ...(role === undefined ? undefined : { role }), ...muted }),
  ]
}

const ownerTransferred: Routes['OwnerTransferred'] = {
  actions: ({ data: { groupId, from, to } }, _facts, cursor) => [
    patchGroup(groupTopic(groupId), cursor, groupId, { ownerId: to }),
    ...memberChanged(groupId, from, cursor, { role: 'member' }),
    ...memberChanged(groupId, to, cursor, { role: 'owner', mutedUntil: null }),
  ],
}

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
  AdminAdded: {
    actions: ({ data: { groupId, userId } }, _facts, cursor) =>
      memberChanged(groupId, userId, cursor, { role: 'admin', mutedUntil: null }),
  },
  AdminRemoved: {
    actions: ({ data: { groupId, userId } }, _facts, cursor) =>
      memberChanged(groupId, userId, cursor, { role: 'member' }),
  },
  GroupUpdated: {
    actions: ({ data: { groupId, changed } }, _facts, cursor) => [
      patchGroup(groupTopic(groupId), cursor, groupId, changed),
    ],
  },
  MemberMuted: {
    actions: ({ data: { groupId, userId, until } }, _facts, cursor) =>
      memberChanged(groupId, userId, cursor, { mutedUntil: until }),
  },
  MemberUnmuted: {
    actions: ({ data: { groupId, userId } }, _facts, cursor) =>
      memberChanged(groupId, userId, cursor, { mutedUntil: null }),
  },
  MuteAllChanged: {
    actions: ({ data: { groupId, mode } }, _facts, cursor) => [
      patchGroup(groupTopic(groupId), cursor, groupId, { muteAll: mode }),
    ],
  },
  GroupDissolved: groupDissolved,
} satisfies Partial<Routes>
