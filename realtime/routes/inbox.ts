// Owns who hears of what somebody did to a conversation for themselves: their own devices, nobody else.

import { popupNumberOf } from '../../domain/group/announcements.ts'
import { type ConversationId, conversationParts } from '../../domain/ids.ts'
import type { InboxEvent, RecordedMarks } from '../../domain/inbox/events.ts'
import { marksIn } from '../../domain/inbox/inbox.ts'
import { announcementFields } from '../../domain/rows.ts'
import type { Action, HiddenMarks, Need, RouteFacts, Routes } from '../actions.ts'
import { groupTopic, patchFrame, removeFrame, type Topic, userTopic } from '../protocol.ts'
import { newConversationRow, publish } from './frames.ts'

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
const readSeqOf = ({ readSeq, clearedSeq }: RecordedMarks): number => Math.max(readSeq, clearedSeq)

const headNeeds = ({ conversationId }: { conversationId: ConversationId }): readonly Need[] => [
  { what: 'head', conversationId },
]

/** A user's own topic stands for a P2P conversation: both always take part in it. */
const topicFor = ({ userId, conversationId }: InboxEvent['data']): Topic => {
  const parts = conversationParts(conversationId)
  return parts?.kind === 'group' ? groupTopic(parts.groupId) : userTopic(userId)
}

const conversationCleared: Routes['ConversationCleared'] = {
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

const popupNumberIn = (conversationId: ConversationId, facts: RouteFacts): number => {
  const parts = conversationParts(conversationId)
  const group = parts?.kind === 'group' ? facts.group(parts.groupId) : undefined
  return group?.status === undefined || group.status === 'none' ? 0 : popupNumberOf(group.announcements)
}

const conversationDeleted: Routes['ConversationDeleted'] = {
  needs: data => {
    const parts = conversationParts(data.conversationId)
    const needs = headNeeds(data)
    return parts?.kind === 'group' ? [...needs, { what: 'group', groupId: parts.groupId }] : needs
  },
  actions: ({ data }, facts, cursor) => {
    const { userId, conversationId, marks } = data
    const { clearedSeq, deletedSeq } = marks
    const readSeq = readSeqOf(marks)
    const kind = conversationParts(conversationId)?.kind ?? 'p2p'
    const { seq: headSeq } = facts.head(conversationId)
    const { reminder, doNotDisturb, announcementSeen } = marksIn(marks)
    const begun = newConversationRow(conversationId, kind, headSeq)
    const announced = announcementFields(popupNumberIn(conversationId, facts), announcementSeen)
    const row = { ...begun, readSeq, clearedSeq, reminder, doNotDisturb, ...announced }
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

export const inboxRoutes = {
  ConversationRead: {
    actions: ({ data }, _facts, cursor) => patchMarks(data, { readSeq: readSeqOf(data.marks) }, cursor),
  },
  ConversationPinned: {
    actions: ({ data }, _facts, cursor) => patchMarks(data, { pinnedAt: data.marks.pinnedAt }, cursor),
  },
  ConversationReminderSet: {
    actions: ({ data }, _facts, cursor) => {
      const { reminder, doNotDisturb } = marksIn(data.marks)
      return patchMarks(data, { reminder, doNotDisturb }, cursor)
    },
  },
  ConversationUnpinned: { actions: ({ data }, _facts, cursor) => patchMarks(data, { pinnedAt: null }, cursor) },
  ConversationCleared: conversationCleared,
  ConversationDeleted: conversationDeleted,
  AnnouncementSeen: {
    actions: ({ data }, _facts, cursor) =>
      patchMarks(data, { announcementSeen: marksIn(data.marks).announcementSeen }, cursor),
  },
} satisfies Partial<Routes>
