// Owns the SQL for what one user may see of a conversation and what counts as unread, so that every query means the same.
// `i` is always the user's inbox row, `c` the conversation's. Expressions only: no statement stands here.

import type { ConversationId, Instant } from '../domain/ids.ts'
import type { Reminder } from '../domain/inbox/events.ts'
import { announcementFields, type ConversationRow, conversationRowText } from '../domain/rows.ts'
import type { ConversationKind } from './schema.ts'
import { lookUp } from './table.ts'

/** The newest seq that the user may see, 0 for none; the clear mark does not count here. */
export const visibleSeq = `case
  when i.to_seq is null then case when c.last_seq >= i.from_seq then c.last_seq else i.earlier_to_seq end
  when i.to_seq >= i.from_seq then i.to_seq
  else i.earlier_to_seq end`

/** Time of that message, the order of the list; null when there is none. */
export const visibleAt = 'case when i.to_seq is null and c.last_seq >= i.from_seq then c.last_at else i.seen_at end'

/** Total − at base − own after base − others' recalled after base. Below 0 it would be a bug. */
export const unread = `(coalesce(i.to_countable, c.countable) - i.base_countable - i.own_after_base
  - case when c.recalled_seq <= i.base_seq then 0 else (
      select count(*)::int from message r
      where r.conversation_id = i.conversation_id and r.recalled and r.counts and r.from_id <> i.user_id
        and r.seq > i.base_seq and (i.to_seq is null or r.seq <= i.to_seq)) end)`

/** Still a party: new messages are for the user. */
export const isActive = 'i.to_seq is null'

/** Where the columns of one conversation as one user sees it come from; add conditions on `i`. */
export const viewFrom = `inbox i ${lookUp('conversation', 'c', 'conversation_id = i.conversation_id')}`

/** Columns of `viewFrom` that make a conversation's row. */
export const viewColumns = `i.conversation_id, i.kind, i.base_seq as read_seq, i.cleared_seq, i.deleted_seq, i.pinned_at, i.reminder,
  i.do_not_disturb, i.announcement_seen, case when ${isActive} then c.popup_number else 0 end as popup_number,
  ${isActive} as is_active, ${visibleSeq} as visible_seq, ${visibleAt} as visible_at, ${unread} as unread`

/**
 * The stretches that a user may see, as `s (from_seq, to_seq)`, given their inbox row: mostly one. A stretch from the first
 * message on holds those before it, of one who came back and might read what was said before; no message is in two.
 */
export const spansOf = `(
  select i.from_seq, coalesce(i.to_seq, 2147483647) as to_seq
  union all
  select e.from_seq, e.to_seq from member_span e
  where i.earlier_to_seq > 0 and e.user_id = i.user_id and e.conversation_id = i.conversation_id
    and e.from_seq < i.from_seq and e.to_seq >= e.from_seq
    and (e.from_seq = 1 or not exists (
      select from member_span h where h.user_id = e.user_id and h.conversation_id = e.conversation_id and h.from_seq = 1
        and h.to_seq >= e.to_seq))
) s`

/** Messages `m` that user $1 may see of conversation $2 and has not cleared. @param which of them */
export const visibleOf = (
  which: string,
): string => `inbox i join conversation c on c.conversation_id = i.conversation_id
   join message m on m.conversation_id = i.conversation_id and ${which}
   where i.user_id = $1 and i.conversation_id = $2 and m.seq > i.cleared_seq and m.seq <= ${visibleSeq}
     and exists (select from ${spansOf} where m.seq between s.from_seq and s.to_seq)`

/** The text of a message for user $1: its sender sees how many have read it (R34), everybody else what was sent. */
export const wireFor = (message: string): string =>
  `case when ${message}.from_id = $1 then coalesce(${message}.own_wire, ${message}.wire) else ${message}.wire end`

/** The values of `viewColumns`. */
export interface ConversationView {
  readonly conversation_id: ConversationId
  readonly kind: ConversationKind
  readonly read_seq: number
  readonly cleared_seq: number
  readonly deleted_seq: number
  readonly pinned_at: Instant | null
  readonly reminder: Reminder
  readonly do_not_disturb: boolean
  readonly announcement_seen: number
  /** 0 for one who is out: what is new there is nothing to them. */
  readonly popup_number: number
  readonly is_active: boolean
  readonly visible_seq: number
  readonly visible_at: Instant | null
  readonly unread: number
}

export const conversationRowFrom = (view: ConversationView): ConversationRow => ({
  conversationId: view.conversation_id,
  kind: view.kind,
  lastSeq: view.visible_seq,
  unread: view.unread,
  readSeq: view.read_seq,
  clearedSeq: view.cleared_seq,
  pinnedAt: view.pinned_at,
  reminder: view.reminder,
  doNotDisturb: view.do_not_disturb,
  ...announcementFields(view.popup_number, view.announcement_seen),
  active: view.is_active,
})

/** @param wire the text of the message at visible_seq, null when it is cleared */
export const conversationTextFrom = (view: ConversationView, wire: string | null): string =>
  conversationRowText(conversationRowFrom(view), wire)
