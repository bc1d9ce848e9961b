// Owns who hears of a group's announcements (R40): every member, by one frame on the group's topic. It says which pop-up is the
// newest; whether that is an alert each device derives from the member's own mark. Who published one has seen it.

import type { AnnouncementEvent } from '../../domain/group/announcements.ts'
import { groupConversationId } from '../../domain/ids.ts'
import type { Action, Routes } from '../actions.ts'
import { groupTopic, patchFrame, userTopic } from '../protocol.ts'
import { publish } from './frames.ts'

const newestPopup = ({ groupId, popupNumber }: AnnouncementEvent['data'], cursor: string): readonly Action[] => {
  const conversationId = groupConversationId(groupId)
  const topic = groupTopic(groupId)
  const set = JSON.stringify({ announcementPopup: popupNumber })
  return [
    publish(topic, patchFrame(cursor, 'conversations', conversationId, set)),
    { do: 'popup', topic, conversationId, popupNumber },
  ]
}

export const announcementRoutes = {
  AnnouncementPublished: {
    actions: ({ data }, _facts, cursor) => {
      if (!data.popup) return []
      const { by: userId, number: announcementSeen } = data
      const conversationId = groupConversationId(data.groupId)
      const seen = patchFrame(cursor, 'conversations', conversationId, JSON.stringify({ announcementSeen }))
      return [
        publish(userTopic(userId), seen),
        { do: 'marks', userId, conversationId, set: { announcementSeen } },
        ...newestPopup(data, cursor),
      ]
    },
  },
  AnnouncementDeleted: { actions: ({ data }, _facts, cursor) => newestPopup(data, cursor) },
} satisfies Partial<Routes>
