// Owns each user's side of each conversation, and what they see of it: the list, one of them, the counters over all.
// A message changes one row here, its sender's, whatever the size of the group. Applied between the messages, which it
// counts, and the conversations, which it wants as they were. A conversation that the user deleted, or that has no message
// for them yet, is in no list and no counter, but can be looked at by its id.

import type { ConversationId, Instant, Position, UserId } from '../domain/ids.ts'
import type { ConversationRow } from '../domain/rows.ts'
import { type ChangeRow, changesFrom, changesOf, type PlacedRow, placedFrom, placedPageOf } from './checkpoint.ts'
import { type Queryable, type Statement, statement, type Transaction } from './database.ts'
import { changedEntries, foldEvents, loadTouched, markTypes, memberTypes, type Touched } from './inbox-batch.ts'
import { type InboxEntry, needsRecount, noMessages, recountRangeOf, visibleSeqOf } from './inbox-fold.ts'
import { type Changes, cursorKey, type PageOptions, type PlacedPage, type TooOld } from './page.ts'
import type { Projection } from './projection.ts'
import type { ConversationKind, InboxTable } from './schema.ts'
import { columnArrays, tableOf } from './table.ts'
import {
  type ConversationView,
  conversationRowFrom,
  conversationTextFrom,
  viewColumns,
  viewFrom,
  wireFor,
} from './visibility.ts'

const table = tableOf('inbox', ['user_id', 'conversation_id'], {
  user_id: 'text',
  conversation_id: 'text',
  kind: 'text',
  peer_id: 'text',
  group_id: 'text',
  cleared_seq: 'integer',
  deleted_seq: 'integer',
  pinned_at: 'timestamptz',
  reminder: 'text',
  do_not_disturb: 'boolean',
  announcement_seen: 'integer',
  from_seq: 'integer',
  to_seq: 'integer',
  to_countable: 'integer',
  earlier_to_seq: 'integer',
  seen_at: 'timestamptz',
  base_seq: 'integer',
  base_countable: 'integer',
  own_after_base: 'integer',
  position: 'text',
})

const spanTable = tableOf('member_span', ['user_id', 'conversation_id', 'from_seq'], {
  user_id: 'text',
  conversation_id: 'text',
  from_seq: 'integer',
  to_seq: 'integer',
  to_countable: 'integer',
  position: 'text',
})

const recount = statement(
  'inbox-recount',
  `select
     (select count(*)::int from message m where m.conversation_id = k.conversation_id and m.seq > k.after_seq
        and m.seq <= k.to_seq and m.from_id = k.user_id and m.counts) as own,
     coalesce((select m.countable from message m where m.conversation_id = k.conversation_id and m.seq <= k.base_seq
        order by m.seq desc limit 1), 0) as countable
   from unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::integer[])
     with ordinality as k (user_id, conversation_id, base_seq, after_seq, to_seq, number)
   order by k.number`,
)

const addOwn = statement(
  'inbox-add-own',
  `update inbox i set own_after_base = i.own_after_base + k.count, position = k.position
   from unnest($1::text[], $2::text[], $3::integer[], $4::text[]) as k (user_id, conversation_id, count, position)
   where i.user_id = k.user_id and i.conversation_id = k.conversation_id and i.to_seq is null`,
)

/** Sets right what moved to a base below the head: see recountRangeOf. */
const recounted = async (
  transaction: Transaction,
  touched: Touched,
  entries: readonly InboxEntry[],
): Promise<readonly InboxTable[]> => {
  if (entries.length === 0) return []
  const ranges = entries.map(entry => recountRangeOf(entry, touched.heads.get(entry.row.conversation_id)?.lastSeq ?? 0))
  const found = await transaction.query<{ own: number; countable: number }>(recount, [
    entries.map(({ row }) => row.user_id),
    entries.map(({ row }) => row.conversation_id),
    entries.map(({ row }) => row.base_seq),
    ranges.map(({ afterSeq }) => afterSeq),
    ranges.map(({ toSeq }) => toSeq),
  ])
  return entries.map(({ row }, index) => {
    const { own = 0, countable = 0 } = found[index] ?? {}
    const after = ranges[index]?.isTakenOff === true ? row.own_after_base - own : own
    return { ...row, own_after_base: after, base_countable: countable }
  })
}

export const inboxProjection: Projection = {
  name: 'inbox',
  tables: ['inbox', 'member_span'],
  reads: ['conversation', 'message'],
  folds: [...markTypes, ...memberTypes, 'AnnouncementPublished', 'MessageSent', 'ReceiptGiven'],
  apply: async (transaction, batch) => {
    const touched = await loadTouched(transaction, batch)
    foldEvents(touched, batch)
    const changed = changedEntries(touched, batch)
    const rows = [
      ...changed.filter(entry => !needsRecount(entry)).map(entry => entry.row),
      ...(await recounted(transaction, touched, changed.filter(needsRecount))),
    ]
    if (rows.length > 0) await transaction.query(table.write, columnArrays(rows, table.columns))
    const spans = [...touched.spans.values()]
    if (spans.length > 0) await transaction.query(spanTable.write, columnArrays(spans, spanTable.columns))
    const own = [...touched.own.values()]
    if (own.length === 0) return
    await transaction.query(addOwn, [
      own.map(({ userId }) => userId),
      own.map(({ conversationId }) => conversationId),
      own.map(({ count }) => count),
      own.map(({ position }) => position),
    ])
  },
}

type ViewWithText = ConversationView & { readonly wire: string | null }

/** The last message of views `v`; null where the user has cleared it. */
const lastMessage = `left join message m
  on m.conversation_id = v.conversation_id and m.seq = v.visible_seq and v.visible_seq > v.cleared_seq`

const textOf = (view: ViewWithText): string => conversationTextFrom(view, view.wire)

export interface ConversationPageOptions extends PageOptions {
  /** Only those with, or without, something unread. */
  readonly unread?: boolean | undefined
  readonly pinned?: boolean | undefined
  readonly kind?: ConversationKind | undefined
}

/** The list's order: pinned first, then by the last message. Parameters $5 to $7 are the last item of the page before. */
const pageStatement = (name: string, condition: string): Statement =>
  statement(
    name,
    placedFrom(
      `select v.*, ${wireFor('m')} as wire from (
         select v.* from (select ${viewColumns}, i.position from ${viewFrom}
           where i.user_id = $1 and ($2::text is null or i.kind = $2)
             and ($3::boolean is null or (i.pinned_at is not null) = $3)) v
         where v.visible_seq > v.deleted_seq ${condition}
           and ($5::boolean is null
                or (v.pinned_at is not null, v.visible_at, v.conversation_id) < ($5::boolean, $6::timestamptz, $7::text))
         order by v.pinned_at is not null desc, v.visible_at desc, v.conversation_id desc limit $4::int) v
       ${lastMessage}
       order by v.pinned_at is not null desc, v.visible_at desc, v.conversation_id desc`,
    ),
  )

const pageOfAll = pageStatement('conversation-page', '')
const pageOfUnread = pageStatement('conversation-page-unread', 'and v.unread > 0')
const pageOfRead = pageStatement('conversation-page-read', 'and v.unread = 0')

/** The user's conversations as JSON texts, pinned ones first, then by the last message. @throws InvalidCursor */
export const conversationsOf = async (
  database: Queryable,
  userId: UserId,
  { unread, pinned, kind, limit, cursor }: ConversationPageOptions,
): Promise<PlacedPage<string>> => {
  const [isPinned = null, at = null, id = null] =
    cursor === undefined ? [] : cursorKey(cursor, ['number', 'instant', 'string'])
  const page = unread === undefined ? pageOfAll : unread ? pageOfUnread : pageOfRead
  const after = isPinned === null ? null : isPinned === 1
  const parameters = [userId, kind ?? null, pinned ?? null, limit + 1, after, at, id]
  const rows = await database.query<ViewWithText & PlacedRow>(page, parameters)
  return placedPageOf(rows, limit, textOf, row => [
    row.pinned_at === null ? 0 : 1,
    row.visible_at as Instant,
    row.conversation_id,
  ])
}

const changes = statement(
  'conversation-changes',
  changesFrom(
    `select v.*, ${wireFor('m')} as wire from (
       select ${viewColumns}, greatest(i.position, c.position) as position from ${viewFrom}
       where i.user_id = $1 and (i.position >= $2 or c.position >= $2)) v
     ${lastMessage} order by v.visible_at desc, v.conversation_id desc`,
  ),
)

/** What changed in that list at or after a position. */
export const conversationChangesOf = async (
  database: Queryable,
  userId: UserId,
  since: Position,
): Promise<Changes<string> | TooOld> =>
  changesOf(
    await database.query<ViewWithText & ChangeRow>(changes, [userId, since]),
    row => row.visible_seq <= row.deleted_seq,
    textOf,
    (row): ConversationId => row.conversation_id,
  )

/** A conversation as its user sees it. */
export type OneConversation = ConversationRow & {
  /** The row as JSON text, with the last message. */
  readonly text: string
  /** False while it is in no list: deleted by the user, or without a message for them. */
  readonly isListed: boolean
}

const one = statement(
  'conversation-one',
  `select v.*, ${wireFor('m')} as wire from (
     select ${viewColumns} from ${viewFrom} where i.user_id = $1 and i.conversation_id = $2) v ${lastMessage}`,
)

/** One conversation; undefined when the user has none by this id. */
export const conversationOf = async (
  database: Queryable,
  userId: UserId,
  conversationId: ConversationId,
): Promise<OneConversation | undefined> => {
  const [view] = await database.query<ViewWithText>(one, [userId, conversationId])
  if (view === undefined) return undefined
  return { ...conversationRowFrom(view), text: textOf(view), isListed: view.visible_seq > view.deleted_seq }
}

export interface Unread {
  readonly total: number
  /** How many conversations have something unread. */
  readonly conversations: number
  readonly byKind: { readonly [Kind in ConversationKind]: number }
}

const unreadOfAll = statement(
  'conversation-unread',
  `select v.kind, coalesce(sum(v.unread), 0)::int as total, (count(*) filter (where v.unread > 0))::int as conversations
   from (select ${viewColumns} from ${viewFrom} where i.user_id = $1) v
   where v.visible_seq > v.deleted_seq and not v.do_not_disturb and v.reminder <> 'none' group by v.kind`,
)

/** What is unread over all conversations in the list, save those of which the user wants to be told nothing (R79, R84). */
export const unreadOf = async (database: Queryable, userId: UserId): Promise<Unread> => {
  const rows = await database.query<{ kind: ConversationKind; total: number; conversations: number }>(unreadOfAll, [
    userId,
  ])
  const totalOf = (kind: ConversationKind) => rows.find(row => row.kind === kind)?.total ?? 0
  return {
    total: rows.reduce((sum, row) => sum + row.total, 0),
    conversations: rows.reduce((sum, row) => sum + row.conversations, 0),
    byKind: { p2p: totalOf('p2p'), group: totalOf('group') },
  }
}

const sight = statement(
  'conversation-sight',
  'select from_seq, to_seq, earlier_to_seq, base_seq, announcement_seen from inbox where user_id = $1 and conversation_id = $2',
)

/** How far a user can see a conversation. */
export interface Sight {
  /** The newest seq the user may see; 0 while there is none. */
  readonly lastSeq: number
  /** What lies at or below it is not unread, whatever is marked: it was read, or there before the user joined. */
  readonly floorSeq: number
  /** Announcements up to this number are no alert, whatever is marked. */
  readonly announcementSeen: number
}

/**
 * Undefined when the user has no such conversation.
 * @param headSeq its newest message, which the caller may know better than the read models do
 */
export const sightOf = async (
  database: Queryable,
  userId: UserId,
  conversationId: ConversationId,
  headSeq: number,
): Promise<Sight | undefined> => {
  const [row] = await database.query<InboxTable>(sight, [userId, conversationId])
  return (
    row && {
      lastSeq: visibleSeqOf(row, { ...noMessages, lastSeq: headSeq }),
      floorSeq: row.base_seq,
      announcementSeen: row.announcement_seen,
    }
  )
}

const pinned = statement(
  'conversation-pinned-count',
  'select count(*)::int as count from inbox where user_id = $1 and pinned_at is not null',
)

/** How many conversations the user has pinned (R80). */
export const pinnedCount = async (database: Queryable, userId: UserId): Promise<number> =>
  (await database.query<{ count: number }>(pinned, [userId]))[0]?.count ?? 0
