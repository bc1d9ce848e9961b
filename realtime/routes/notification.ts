// Owns who hears of system notifications and of what a user has seen of them: that user's own devices. Which event makes or
// changes which notification is told in domain/notification/row.ts; the router asks for every event.

import type { UserId } from '../../domain/ids.ts'
import type { ReadMarks } from '../../domain/notification/events.ts'
import { type Notice, type Noticed, noticesFor } from '../../domain/notification/row.ts'
import type { Action, RouteFacts, Routes } from '../actions.ts'
import { patchFrame, userTopic } from '../protocol.ts'
import { publish, put } from './frames.ts'

const frameOf = (notice: Notice, cursor: string): Action => {
  const topic = userTopic(notice.userId)
  if (notice.do === 'put') return put(topic, cursor, 'notifications', notice.row)
  const { notificationId, state, endedAt } = notice
  return publish(topic, patchFrame(cursor, 'notifications', notificationId, JSON.stringify({ state, endedAt })))
}

/** What an event does to notifications; mostly nothing. A route that needs a group's members asks for the group. */
export const notices = (event: Noticed, facts: RouteFacts, cursor: string): readonly Action[] =>
  noticesFor(event, groupId => {
    const group = facts.group(groupId)
    return group.status === 'none' ? [] : [...group.members.keys()]
  }).map(notice => frameOf(notice, cursor))

const marksMoved = {
  actions: (
    { data: { userId, marks } }: { data: { userId: UserId; marks: ReadMarks } },
    _facts: RouteFacts,
    cursor: string,
  ) => [put(userTopic(userId), cursor, 'readMarks', marks)],
}

export const notificationRoutes = {
  NotificationsRead: marksMoved,
  FriendRequestsRead: marksMoved,
} satisfies Partial<Routes>
