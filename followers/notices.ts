// Owns what a group's conversation says about the group (R65): each group event becomes a notification message in it.
// Must never say one event twice: the event's id is the message's key.

import type { NotificationBody } from '../domain/conversation/events.ts'
import { isRejection } from '../domain/decider.ts'
import type { GroupEvent } from '../domain/group/events.ts'
import { type GroupId, groupConversationId } from '../domain/ids.ts'
import type { Node } from '../eventstore/node.ts'
import type { RecordedEvent } from '../eventstore/port.ts'
import type { NotifyCommand } from '../eventstore/send.ts'
import type { Follower } from './runner.ts'

type Notices = {
  readonly [Type in GroupEvent['type']]: (
    data: Extract<GroupEvent, { type: Type }>['data'],
  ) => NotificationBody | undefined
}

/** Of what concerns others than the members. */
const nothing = () => undefined

/** One row a group event: what the members read of it, in parts; undefined when there is nobody to tell of. */
const notices: Notices = {
  GroupCreated: ({ by, memberIds }) =>
    memberIds.length === 0 ? undefined : { event: 'memberInvited', by, targets: memberIds },
  MembersAdded: ({ by, userIds, via }) =>
    via === undefined
      ? { event: 'memberInvited', by, targets: userIds }
      : { event: 'memberJoined', by, targets: userIds, via },
  MembersRemoved: ({ by, userIds, reason }) => ({
    event: reason === 'kicked' ? 'memberRemoved' : 'memberLeft',
    by,
    targets: userIds,
  }),
  OwnerTransferred: ({ by, to }) => ({ event: 'ownerTransferred', by, targets: [to] }),
  AdminAdded: ({ by, userId }) => ({ event: 'adminAdded', by, targets: [userId] }),
  AdminRemoved: ({ by, userId }) => ({ event: 'adminRemoved', by, targets: [userId] }),
  GroupUpdated: ({ by, changed }) => ({ event: 'groupUpdated', by, changed }),
  MemberMuted: ({ by, userId, until }) => ({
    event: 'memberMuted',
    by,
    targets: [userId],
    changed: { mutedUntil: until },
  }),
  MemberUnmuted: ({ by, userId }) => ({
    event: 'memberUnmuted',
    by,
    targets: [userId],
    changed: { mutedUntil: null },
  }),
  MuteAllChanged: ({ by, mode }) => ({ event: 'muteAllChanged', by, changed: { muteAll: mode } }),
  GroupDissolved: ({ by }) => ({ event: 'groupDissolved', by }),
  MembersInvited: nothing,
  InvitationAccepted: nothing,
  InvitationRejected: nothing,
  InvitationRecalled: nothing,
  InvitationsExpired: nothing,
  ApplicationMade: nothing,
  ApplicationApproved: nothing,
  ApplicationRejected: nothing,
  ApplicationWithdrawn: nothing,
  ApplicationsExpired: nothing,
  JoinQuestionsSet: nothing,
  AnnouncementPublished: ({ by, announcementId, popup }) => ({
    event: 'announcementPublished',
    by,
    announcementId,
    popup,
  }),
  AnnouncementDeleted: nothing,
}

/** What the members of the group read of the event; undefined when nothing is to be told. */
export const noticeOf = (event: RecordedEvent): NotificationBody | undefined =>
  Object.hasOwn(notices, event.type) ? notices[event.type as GroupEvent['type']](event.data as never) : undefined

/** The follower that writes the notification messages: of one group in the order of its events, of several at once. */
export const noticesFollower = (node: Node): Follower => {
  const tell = async (commands: readonly NotifyCommand[]): Promise<void> => {
    for (const command of commands) {
      const outcome = await node.notify(command)
      if (isRejection(outcome)) throw new Error(`a notification was refused: ${outcome.rejected}`)
    }
  }
  return {
    name: 'notices',
    react: async events => {
      const byGroup = new Map<GroupId, NotifyCommand[]>()
      for (const event of events) {
        const body = noticeOf(event)
        if (body === undefined) continue
        const { groupId, at } = event.data as GroupEvent['data']
        const command = { conversationId: groupConversationId(groupId), sourceId: event.id, sourceAt: at, body }
        const others = byGroup.get(groupId)
        if (others === undefined) byGroup.set(groupId, [command])
        else others.push(command)
      }
      await Promise.all([...byGroup.values()].map(tell))
      return byGroup.size > 0
    },
  }
}
