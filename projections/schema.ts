// Owns the shape of every read-model row as TypeScript sees it; migrations.ts makes the same tables, and a test compares
// both. Instants are RFC 3339 text here and timestamptz in the database; `position` is that of the event that last
// changed the row. No table here may hold anything the log does not.

import type { FriendPolicy, Gender } from '../domain/account/profile.ts'
import type { MessageType } from '../domain/conversation/message-types.ts'
import type { FriendRequestState, RequestDirection } from '../domain/friendship/row.ts'
import type {
  AutoApprove,
  EditMode,
  InviteeConsent,
  InviteMode,
  JoinMode,
  MuteAll,
} from '../domain/group/attributes.ts'
import type { MutedUntil } from '../domain/group/events.ts'
import type { ConversationId, GroupId, Instant, Position, SessionId, UserId } from '../domain/ids.ts'
import type { Reminder } from '../domain/inbox/events.ts'
import type { NotificationKind, NotificationState } from '../domain/notification/row.ts'
import type { GroupRole } from '../domain/rows.ts'
import type { Platform } from '../domain/session/events.ts'

/**
 * Raised whenever the same log would give other rows than before. It is part of every device's cursor, so raising it
 * makes the read models start over and every device sync in full.
 */
export const readModelsVersion = 1

export interface CheckpointTable {
  readonly id: 1
  log_id: string
  version: number
  /** Everything up to this position is in the tables, nothing after it. */
  position: Position
  /** Tombstones of rows removed before this time are gone. */
  purged_before: Instant | null
  /** The newest position such a tombstone had: a device that asks for changes since this or earlier must sync in full. */
  purged_position: Position | null
  /** Messages from before this time are gone. */
  history_before: Instant | null
}

export interface AccountTable {
  user_id: UserId
  name: string
  user_name: string | null
  phone: string | null
  email: string | null
  avatar_url: string | null
  signature: string | null
  gender: Gender | null
  /** `2001-12-31`. */
  birthday: string | null
  extension: string | null
  friend_policy: FriendPolicy
  found_by_phone: boolean
  found_by_email: boolean
  found_by_user_name: boolean
  found_by_name_prefix: boolean
  /** The beginning of it finds the account: the name in lower case; null where the user is not to be found by it. */
  search_name: string | null
  /** False: a sign-up whose identity is not claimed, shown nowhere. */
  is_live: boolean
  created_at: Instant
  /** Nothing of the person is left in the row then. */
  closed_at: Instant | null
  position: Position
}

export interface SessionTable {
  session_id: SessionId
  user_id: UserId
  device_id: string
  platform: Platform
  name: string
  opened_at: Instant
  removed_at: Instant | null
  position: Position
}

export interface BlocklistTable {
  user_id: UserId
  blocked_id: UserId
  blocked_at: Instant
  removed_at: Instant | null
  position: Position
}

export interface FriendTable {
  user_id: UserId
  friend_id: UserId
  /** For the search. */
  remark: string | null
  /** The friend's JSON as the user gets it. */
  wire: string
  removed_at: Instant | null
  position: Position
}

/** The latest request between a user and another, as the user sees it. */
export interface FriendRequestTable {
  user_id: UserId
  peer_id: UserId
  direction: RequestDirection
  request_id: string
  /** JSON. */
  messages: string
  /** JSON. */
  source: string | null
  state: FriendRequestState
  reason: string | null
  at: Instant
  /** Where it was last asked. */
  asked_position: Position
  expires_at: Instant
  ended_at: Instant | null
  position: Position
}

export type ConversationKind = 'p2p' | 'group'

/** What all parties of a conversation share. */
export interface ConversationTable {
  conversation_id: ConversationId
  kind: ConversationKind
  last_seq: number
  /** Countable number of the last message. */
  countable: number
  last_at: Instant | null
  /** Number of the newest pop-up among the announcements of a group; 0: none. */
  popup_number: number
  /** Highest seq of a recalled message, 0 for none: nothing recalled needs to be looked for above it. */
  recalled_seq: number
  position: Position
}

export interface MessageTable {
  conversation_id: ConversationId
  seq: number
  from_id: UserId
  client_message_id: string
  type: MessageType
  countable: number
  counts: boolean
  recalled: boolean
  at: Instant
  /** Of the content as it was sent: tells a repeat from another message under the same key, also after a recall. */
  content_hash: number
  /** The message's JSON as clients get it. */
  wire: string
  /** JSON array of those who are asked for a receipt. */
  receipts_from: string | null
  /** The JSON as its sender gets it once somebody gave a receipt, and where that last changed. */
  own_wire: string | null
  own_position: Position | null
  position: Position
}

/** Somebody whom a message asked has read it. */
export interface ReceiptTable {
  conversation_id: ConversationId
  seq: number
  user_id: UserId
  at: Instant
  position: Position
}

/** What stays of a message that grew too old: enough to know its repeat. */
export interface SentKeyTable {
  client_message_id: string
  from_id: UserId
  conversation_id: ConversationId
  seq: number
  at: Instant
  content_hash: number
  /** Where it was sent. */
  position: Position
}

/** One user's side of one conversation. */
export interface InboxTable {
  user_id: UserId
  conversation_id: ConversationId
  kind: ConversationKind
  /** The other user of a P2P conversation. */
  peer_id: UserId | null
  group_id: GroupId | null
  /** Messages up to here are gone for the user. */
  cleared_seq: number
  /** The conversation is out of the list until it has a message above this. */
  deleted_seq: number
  pinned_at: Instant | null
  reminder: Reminder
  do_not_disturb: boolean
  /** Announcements up to this number are no alert for the user. */
  announcement_seen: number
  /** First seq of the newest span of membership; 1 in P2P. */
  from_seq: number
  /** Last seq of the newest span; null while it is open. */
  to_seq: number | null
  /** Countable number at to_seq. */
  to_countable: number | null
  /** Highest seq seen in earlier spans, 0 for none. */
  earlier_to_seq: number
  /** Time of the last message that could be seen when a span last closed. */
  seen_at: Instant | null
  /**
   * max(read, cleared, from_seq - 1), each clamped to what could be seen at its own event, and never below what grew too old:
   * what is above it is unread.
   */
  base_seq: number
  /** Countable number of the message base_seq. */
  base_countable: number
  /** Own countable messages above base_seq in the newest span. */
  own_after_base: number
  position: Position
}

/** A stretch of a conversation that a group's member may see; a re-join opens another. */
export interface MemberSpanTable {
  user_id: UserId
  conversation_id: ConversationId
  from_seq: number
  to_seq: number | null
  to_countable: number | null
  position: Position
}

export interface GroupTable {
  group_id: GroupId
  owner_id: UserId
  created_by: UserId
  member_count: number
  name: string
  avatar_url: string
  introduction: string
  announcement: string
  extension: string
  app_extension: string
  member_limit: number
  join_mode: JoinMode
  invite_mode: InviteMode
  invitee_consent: InviteeConsent
  edit_mode: EditMode
  edit_extension_mode: EditMode
  mute_all: MuteAll
  history_before_join: boolean
  hide_member_profiles: boolean
  no_friend_requests: boolean
  auto_approve: AutoApprove
  searchable: boolean
  /** The name as it is searched for; null while the group cannot be found. */
  search_name: string | null
  created_at: Instant
  dissolved_at: Instant | null
  position: Position
}

export interface MemberTable {
  group_id: GroupId
  user_id: UserId
  role: GroupRole
  joined_at: Instant
  invited_by: UserId | null
  muted_until: MutedUntil | null
  nickname: string | null
  extension: string
  /** JSON array of user ids. */
  followed_ids: string
  removed_at: Instant | null
  position: Position
}

/** In how many groups a user is, dissolved ones included. */
export interface MembershipCountTable {
  user_id: UserId
  groups: number
}

/** An invitation or an application; tombstoned once it has ended. */
export interface GroupRequestTable {
  group_id: GroupId
  /** Who is asked, or asks. */
  user_id: UserId
  kind: 'invitation' | 'application'
  request_id: string
  /** Of an invitation: the group as it was called then. */
  group_name: string | null
  by_id: UserId
  message: string | null
  requested_at: Instant
  expires_at: Instant
  removed_at: Instant | null
  position: Position
}

export interface AnnouncementTable {
  group_id: GroupId
  announcement_id: string
  number: number
  text: string
  popup: boolean
  by_id: UserId
  at: Instant
  removed_at: Instant | null
  position: Position
}

export interface NotificationTable {
  user_id: UserId
  notification_id: string
  kind: NotificationKind
  by_id: UserId
  about_id: UserId | null
  group_id: GroupId | null
  message: string | null
  at: Instant
  /** Where it last called for attention. */
  asked_position: Position
  state: NotificationState
  /** Null while it waits for an answer; it is kept for some days after. */
  ended_at: Instant | null
  position: Position
}

/** How far a user has seen. */
export interface ReadMarkTable {
  user_id: UserId
  notifications: Position | null
  friend_requests: Position | null
  position: Position
}

export interface Schema {
  checkpoint: CheckpointTable
  account: AccountTable
  session: SessionTable
  blocklist: BlocklistTable
  friend: FriendTable
  friend_request: FriendRequestTable
  conversation: ConversationTable
  message: MessageTable
  sent_key: SentKeyTable
  receipt: ReceiptTable
  inbox: InboxTable
  member_span: MemberSpanTable
  group: GroupTable
  member: MemberTable
  membership_count: MembershipCountTable
  group_request: GroupRequestTable
  announcement: AnnouncementTable
  notification: NotificationTable
  read_mark: ReadMarkTable
}

export type TableName = Exclude<keyof Schema, 'checkpoint'>

/** Every table of the read models: a new one that is not here does not compile. */
const allTables = {
  account: true,
  session: true,
  blocklist: true,
  friend: true,
  friend_request: true,
  conversation: true,
  message: true,
  sent_key: true,
  receipt: true,
  inbox: true,
  member_span: true,
  group: true,
  member: true,
  membership_count: true,
  group_request: true,
  announcement: true,
  notification: true,
  read_mark: true,
} as const satisfies Record<TableName, true>
export const tableNames: readonly string[] = Object.keys(allTables)
