// Owns who hears of a message and of its recall: both people of a P2P conversation, or a group's topic; and of who has read it:
// its sender.

import { userRowOf } from '../../domain/account/row.ts'
import type { MessageSent } from '../../domain/conversation/events.ts'
import { type ConversationId, conversationParts, type UserId } from '../../domain/ids.ts'
import { conversationRowText, messageRowId, messageText, recalledFieldsOf, receiptFieldsOf } from '../../domain/rows.ts'
import type { Action, RouteFacts, Routes } from '../actions.ts'
import { groupTopic, isGroupTopic, patchFrame, profileTopic, putFrame, type Topic, userTopic } from '../protocol.ts'
import { newConversationRow, publish, put } from './frames.ts'

const topicsOf = (conversationId: ConversationId): readonly Topic[] => {
  const parts = conversationParts(conversationId)
  if (parts === undefined) return []
  return parts.kind === 'group' ? [groupTopic(parts.groupId)] : parts.users.map(userTopic)
}

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
      const account = facts.account(peer as UserId)
      const topic = userTopic(user as UserId)
      return [
        ...(account.status === 'none' ? [] : [put(topic, cursor, 'users', userRowOf(account))]),
        publish(topic, putFrame(cursor, 'conversations', row)),
        { do: 'join', userId: user as UserId, topic: profileTopic(peer as UserId) } as const,
      ]
    }),
  ]
}

const messageSent: Routes['MessageSent'] = {
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
      frame: putFrame(cursor, 'messages', messageText(event)),
      conversationId,
      seq,
      cursor,
    }
    return seq === 1 ? [...firstP2pMessage(event.data, facts, cursor), message] : [message]
  },
}

/** Devices merge the same fields into `lastMessage` where it is that message: what they show there differs from one to another. */
const messageRecalled: Routes['MessageRecalled'] = {
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

/** To the sender alone, in the group or out of it (R34). */
const receiptGiven: Routes['ReceiptGiven'] = {
  actions: ({ data }, _facts, cursor) => {
    const id = messageRowId(data.conversationId, data.seq)
    return [publish(userTopic(data.from), patchFrame(cursor, 'messages', id, JSON.stringify(receiptFieldsOf(data))))]
  },
}

export const messageRoutes = {
  MessageSent: messageSent,
  MessageRecalled: messageRecalled,
  ReceiptGiven: receiptGiven,
} satisfies Partial<Routes>
