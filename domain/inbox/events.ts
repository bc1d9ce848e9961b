// Owns what one user did to one conversation for themselves. Every event carries the whole small state after it,
// so that the newest event alone is the state.

import type { ConversationId, Instant, UserId } from '../ids.ts'

/** All that one user set for one conversation. Seq marks never go back. */
export type InboxMarks = {
  readonly readSeq: number
  /** Messages up to this seq are invisible to the user (R72, R73). */
  readonly clearedSeq: number
  /** The conversation is out of the user's list until a message with a higher seq comes (R78, R81); 0: never deleted. */
  readonly deletedSeq: number
  readonly pinnedAt: Instant | null
  /** Of which messages a group's member wants to be told (R30). All are delivered and counted whatever it is. */
  readonly reminder: Reminder
  /** The user wants to be told of nothing (R84). */
  readonly doNotDisturb: boolean
  /** Announcements up to this number were seen (R40). */
  readonly announcementSeen: number
}

/** `admins`: only of those of the owner and admins. */
export type Reminder = 'all' | 'admins' | 'none'

/** Marks as events have them: those recorded before a mark existed lack it. */
export type RecordedMarks = Omit<InboxMarks, 'reminder' | 'doNotDisturb' | 'announcementSeen'> & Partial<InboxMarks>

type InboxData = {
  readonly userId: UserId
  readonly conversationId: ConversationId
  readonly marks: RecordedMarks
  readonly at: Instant
}

export type ConversationRead = { readonly type: 'ConversationRead'; readonly data: InboxData }
export type ConversationPinned = { readonly type: 'ConversationPinned'; readonly data: InboxData }
export type ConversationReminderSet = { readonly type: 'ConversationReminderSet'; readonly data: InboxData }
export type ConversationUnpinned = { readonly type: 'ConversationUnpinned'; readonly data: InboxData }
export type AnnouncementSeen = { readonly type: 'AnnouncementSeen'; readonly data: InboxData }
/** All messages up to marks.clearedSeq are gone for this user. */
export type ConversationCleared = { readonly type: 'ConversationCleared'; readonly data: InboxData }
/** Also unpins and reads; with `messages` it clears too (clearedSeq moved). */
export type ConversationDeleted = { readonly type: 'ConversationDeleted'; readonly data: InboxData }

export type InboxEvent =
  | ConversationRead
  | ConversationPinned
  | ConversationUnpinned
  | ConversationReminderSet
  | AnnouncementSeen
  | ConversationCleared
  | ConversationDeleted
