// Owns the page of who has read a message that asked for receipts, and who has not (R34): for its sender alone, through what
// the sender may see. What a receipt changes is written in message-changes.ts, with the message it is of.

import type { ConversationId, Instant, Position, UserId } from '../domain/ids.ts'
import { type Queryable, type Statement, statement } from './database.ts'
import { boundedSeq } from './message.ts'
import { cursorKey, type Page, type PageOptions, pageOf } from './page.ts'
import { visibleOf } from './visibility.ts'

/** Those who have read it in the order in which they did, or those who have not by their ids. */
export type ReceiptState = 'read' | 'unread'

/** Always a row for a message that user $1 may see; those asked only for its sender. */
const pageStatement = (name: string, those: string): Statement =>
  statement(
    name,
    `select m.from_id, m.receipts_from is not null as asks, coalesce(json_array_length(m.receipts_from::json), 0) as asked,
       (select count(*)::int from receipt r where r.conversation_id = m.conversation_id and r.seq = m.seq) as read, t.*
     from (select m.* from ${visibleOf('m.seq = $3::int')}) m left join lateral (${those} limit $5::int) t on m.from_id = $1
     order by t.place`,
  )

const pages: Readonly<Record<ReceiptState, Statement>> = {
  read: pageStatement(
    'receipt-page-read',
    `select r.user_id, r.at, r.position::text collate "C" as place from receipt r
     where r.conversation_id = m.conversation_id and r.seq = m.seq and ($4::text is null or r.position > $4::char(16))
     order by r.position`,
  ),
  unread: pageStatement(
    'receipt-page-unread',
    `select a.user_id, null::timestamptz as at, a.user_id as place
     from (select value collate "C" as user_id from json_array_elements_text(m.receipts_from::json)) a
     where ($4::text is null or a.user_id > $4)
       and not exists (select from receipt r
         where r.conversation_id = m.conversation_id and r.seq = m.seq and r.user_id = a.user_id)
     order by a.user_id`,
  ),
}

interface PageRow {
  readonly from_id: UserId
  readonly asks: boolean
  readonly asked: number
  readonly read: number
  readonly user_id: UserId | null
  readonly at: Instant | null
  readonly place: Position | UserId | null
}

export interface ReceiptItem {
  readonly userId: UserId
  /** When it was read. */
  readonly at?: Instant
}

export type Receipts =
  | { readonly from: UserId; readonly asks: false }
  | ({ readonly from: UserId; readonly asks: true; readonly read: number; readonly unread: number } & Page<ReceiptItem>)

/** Of a message that the user may see; undefined for any other. @throws InvalidCursor */
export const receiptsOf = async (
  database: Queryable,
  userId: UserId,
  conversationId: ConversationId,
  seq: number,
  { state, limit, cursor }: PageOptions & { readonly state: ReceiptState },
): Promise<Receipts | undefined> => {
  const [place = null] = cursor === undefined ? [] : cursorKey(cursor, ['string'])
  const rows = await database.query<PageRow>(pages[state], [userId, conversationId, boundedSeq(seq), place, limit + 1])
  const [first] = rows
  if (first === undefined) return undefined
  const { from_id: from, asks, asked, read } = first
  if (!asks) return { from, asks: false }
  const found = rows.flatMap(({ user_id: id, at, place: key }) =>
    id === null || key === null ? [] : [{ id, at, key }],
  )
  const page = pageOf(
    found,
    limit,
    ({ id, at }): ReceiptItem => (at === null ? { userId: id } : { userId: id, at }),
    ({ key }) => [key],
  )
  return { from, asks: true, read, unread: asked - read, ...page }
}
