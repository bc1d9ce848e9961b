// Owns the one event of a conversation's stream. Its data is the message as clients see it, save `position`:
// the wire text of a message is this JSON with the position added, built once and used for record, frame, ring and row.

import type { GroupAttributes } from '../group/attributes.ts'
import type { JoinedVia, MutedUntil } from '../group/events.ts'
import type { ConversationId, Instant, UserId } from '../ids.ts'
import type { MessageContent } from './bodies.ts'

export type NotificationKind =
  | 'memberInvited'
  | 'memberJoined'
  | 'announcementPublished'
  | 'memberRemoved'
  | 'memberLeft'
  | 'groupDissolved'
  | 'ownerTransferred'
  | 'adminAdded'
  | 'adminRemoved'
  | 'groupUpdated'
  | 'memberMuted'
  | 'memberUnmuted'
  | 'muteAllChanged'

/** What a group event says inside the conversation (R65): parts, never prose, so that clients can localise. */
export type NotificationBody = {
  readonly event: NotificationKind
  readonly by: UserId
  readonly targets?: readonly UserId[]
  /** What is another than before, and how it is now (R37). */
  readonly changed?: NotificationChanges
  /** How a member joined. */
  readonly via?: JoinedVia
  /** What was published; its text is in the list of announcements, and goes with it. */
  readonly announcementId?: string
  readonly popup?: boolean
}

/** Attributes of the group; of a mute, its end. */
export type NotificationChanges = Partial<GroupAttributes> & { readonly mutedUntil?: MutedUntil | null }

type MessageBase = {
  readonly conversationId: ConversationId
  /** revision + 1: from 1, without holes. */
  readonly seq: number
  readonly from: UserId
  /** The sender's key for this message (a UUIDv7 is the fast form); of a server-made message, the id of the event it tells of. */
  readonly clientMessageId: string
  readonly at: Instant
  /** Running number of messages that count as unread, this one included if it counts. */
  readonly countable: number
  /** Whose receipts are asked for (R34): the members then, without the sender. Absent where none are. Not for clients' eyes. */
  readonly receiptsFrom?: readonly UserId[]
}

/** What the server says; nobody else does. */
export type NotificationContent = { readonly type: 'notification'; readonly body: NotificationBody }

export type MessageSent = {
  readonly type: 'MessageSent'
  readonly data: MessageBase & (MessageContent | NotificationContent)
}

export type ConversationEvent = MessageSent
