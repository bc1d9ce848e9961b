// Owns how one user's side of a conversation changes, event by event: the arithmetic of unread, and spans of membership.
// Pure of the database: rows come in, rows go out. What needs a look at messages is left for a recount, not guessed.

import type { MembersAdded } from '../domain/group/events.ts'
import type { ConversationId, Instant, Position, UserId } from '../domain/ids.ts'
import { conversationParts } from '../domain/ids.ts'
import { type InboxMarks, noMarks } from '../domain/inbox/inbox.ts'
import type { InboxTable, MemberSpanTable } from './schema.ts'

/** How far a conversation is at a point of the log. */
export interface Head {
  readonly lastSeq: number
  readonly countable: number
  readonly lastAt: Instant | null
}

export const noMessages: Head = { lastSeq: 0, countable: 0, lastAt: null }

/**
 * A row under way. Its own messages are counted from `countedSeq` on: where that lies below the base, those between must be
 * taken off, and the base's countable number looked up, when the batch is written.
 */
export interface InboxEntry {
  readonly row: InboxTable
  readonly countedSeq: number
}

/** A row as it is in the database: counted from its base on. */
export const entryOf = (row: InboxTable): InboxEntry => ({ row, countedSeq: row.base_seq })

export const needsRecount = ({ row, countedSeq }: InboxEntry): boolean => countedSeq < row.base_seq

/** The newest seq the user may see, 0 for none. */
export const visibleSeqOf = (row: InboxTable, head: Head): number => {
  const last = row.to_seq ?? head.lastSeq
  return last >= row.from_seq ? last : row.earlier_to_seq
}

const newRow = (userId: UserId, conversationId: ConversationId, position: Position): InboxTable => {
  const parts = conversationParts(conversationId)
  const isGroup = parts?.kind !== 'p2p'
  return {
    user_id: userId,
    conversation_id: conversationId,
    kind: isGroup ? 'group' : 'p2p',
    peer_id: isGroup ? null : (parts.users.find(user => user !== userId) ?? null),
    group_id: parts?.kind === 'group' ? parts.groupId : null,
    cleared_seq: 0,
    deleted_seq: 0,
    pinned_at: null,
    reminder: noMarks.reminder,
    do_not_disturb: noMarks.doNotDisturb,
    announcement_seen: noMarks.announcementSeen,
    from_seq: 1,
    to_seq: null,
    to_countable: null,
    earlier_to_seq: 0,
    seen_at: null,
    base_seq: 0,
    base_countable: 0,
    own_after_base: 0,
    position,
  }
}

/** A party's side of a P2P conversation, as it is before the first message. */
export const openedP2p = (userId: UserId, conversationId: ConversationId, position: Position): InboxEntry =>
  entryOf(newRow(userId, conversationId, position))

/** Moves the base up, never down; at the newest visible message all counts are known without a look. */
const withBase = ({ row, countedSeq }: InboxEntry, seq: number, head: Head): InboxEntry => {
  if (seq <= row.base_seq) return { row, countedSeq }
  const last = row.to_seq ?? head.lastSeq
  if (seq < last) return { row: { ...row, base_seq: seq }, countedSeq }
  const countable = row.to_countable ?? head.countable
  return entryOf({ ...row, base_seq: seq, base_countable: countable, own_after_base: 0 })
}

/** The user read, pinned, cleared or deleted: the event holds all marks, each clamped to what can be seen at it. */
export const withMarks = (entry: InboxEntry, marks: InboxMarks, head: Head, position: Position): InboxEntry => {
  const { row } = entry
  const visible = visibleSeqOf(row, head)
  const clearedSeq = Math.max(row.cleared_seq, Math.min(marks.clearedSeq, visible))
  const changed: InboxTable = {
    ...row,
    cleared_seq: clearedSeq,
    deleted_seq: Math.max(row.deleted_seq, Math.min(marks.deletedSeq, visible)),
    pinned_at: marks.pinnedAt,
    reminder: marks.reminder,
    do_not_disturb: marks.doNotDisturb,
    announcement_seen: Math.max(row.announcement_seen, marks.announcementSeen),
    position,
  }
  const readSeq = Math.min(marks.readSeq, visible)
  return withBase({ row: changed, countedSeq: entry.countedSeq }, Math.max(readSeq, clearedSeq), head)
}

/** The user knows of announcements up to this number. */
export const withAnnouncementSeen = (entry: InboxEntry, number: number, position: Position): InboxEntry => ({
  row: { ...entry.row, announcement_seen: Math.max(entry.row.announcement_seen, number), position },
  countedSeq: entry.countedSeq,
})

/**
 * The user joined, or joined again: a new span opens above the head. Nobody joins who is in.
 * @param history the span opens at the very first message, and holds all earlier ones of the user (R31); what is in it counts as
 * read, and the conversation stays out of the list until its next message like any that somebody joins
 */
export const withJoin = (
  entry: InboxEntry | undefined,
  userId: UserId,
  conversationId: ConversationId,
  head: Head,
  position: Position,
  { history, announced = 0 }: Pick<MembersAdded['data'], 'history' | 'announced'> = {},
): InboxEntry => {
  const before = entry?.row ?? newRow(userId, conversationId, position)
  if (entry !== undefined && before.to_seq === null) return entry
  const row: InboxTable = {
    ...before,
    announcement_seen: Math.max(before.announcement_seen, announced),
    deleted_seq: history ? Math.max(before.deleted_seq, head.lastSeq) : before.deleted_seq,
    earlier_to_seq: entry === undefined || history ? 0 : visibleSeqOf(before, head),
    from_seq: history ? 1 : head.lastSeq + 1,
    to_seq: null,
    to_countable: null,
    position,
  }
  if (entry === undefined) return entryOf({ ...row, base_seq: head.lastSeq, base_countable: head.countable })
  return withBase({ row, countedSeq: entry.countedSeq }, head.lastSeq, head)
}

/** The user is out: what could be seen until now stays visible. */
export const withLeave = (entry: InboxEntry, head: Head, position: Position): InboxEntry => {
  const { row } = entry
  if (row.to_seq !== null) return entry
  const seenAt = head.lastSeq >= row.from_seq ? head.lastAt : row.seen_at
  const left = { ...row, to_seq: head.lastSeq, to_countable: head.countable, seen_at: seenAt, position }
  return { row: left, countedSeq: entry.countedSeq }
}

/** An own message that counts; one that lands after the user is out is none of theirs. */
export const withOwnMessage = (entry: InboxEntry, position: Position): InboxEntry =>
  entry.row.to_seq !== null
    ? entry
    : { row: { ...entry.row, own_after_base: entry.row.own_after_base + 1, position }, countedSeq: entry.countedSeq }

/** The newest span of a group's member, as a row of its own. */
export const spanOf = (row: InboxTable): MemberSpanTable => ({
  user_id: row.user_id,
  conversation_id: row.conversation_id,
  from_seq: row.from_seq,
  to_seq: row.to_seq,
  to_countable: row.to_countable,
  position: row.position,
})

/** The messages to count own ones among, and whether what is found is to be taken off or is the number itself. */
export interface RecountRange {
  readonly afterSeq: number
  readonly toSeq: number
  readonly isTakenOff: boolean
}

/**
 * The shorter of the two ways: what lies between the old base and the new, or what lies after the new. So all the moves of
 * one user's base together look at each message once at most, however far behind they are.
 */
export const recountRangeOf = ({ row, countedSeq }: InboxEntry, headSeq: number): RecountRange => {
  const last = row.to_seq ?? headSeq
  return row.base_seq - countedSeq <= last - row.base_seq
    ? { afterSeq: countedSeq, toSeq: row.base_seq, isTakenOff: true }
    : { afterSeq: row.base_seq, toSeq: last, isTakenOff: false }
}
