// Owns what becomes of the row of a message that was sent: recalled, its text is rebuilt once; read by those it asked (R34), its
// sender has a text of their own with the counts, while everybody else's stays as it was sent. Folds only, no query.

import type { ConversationId } from '../domain/ids.ts'
import { textAfterReceipt, tombstoneText } from '../domain/rows.ts'
import type { Recorded } from './batch.ts'
import { statement, type Transaction } from './database.ts'
import type { MessageTable } from './schema.ts'
import { columnArrays } from './table.ts'

const loadTexts = statement(
  'message-load-texts',
  `select m.conversation_id, m.seq, m.wire from unnest($1::text[], $2::integer[]) as k (conversation_id, seq)
   join message m on m.conversation_id = k.conversation_id and m.seq = k.seq`,
)
const writeRecalled = statement(
  'message-write-recalled',
  `update message m set wire = k.wire, recalled = true, receipts_from = null, own_wire = null, own_position = null,
     position = k.position
   from unnest($1::text[], $2::integer[], $3::text[], $4::text[]) as k (conversation_id, seq, wire, position)
   where m.conversation_id = k.conversation_id and m.seq = k.seq`,
)
const writeOwn = statement(
  'message-write-own',
  `update message m set own_wire = k.wire, own_position = k.position
   from unnest($1::text[], $2::integer[], $3::text[], $4::text[]) as k (conversation_id, seq, wire, position)
   where m.conversation_id = k.conversation_id and m.seq = k.seq`,
)
const dropReceipts = statement(
  'receipt-drop',
  `delete from receipt r using unnest($1::text[], $2::integer[]) as k (conversation_id, seq)
   where r.conversation_id = k.conversation_id and r.seq = k.seq`,
)

/** A message that grew too old meanwhile has none. */
const writeReceipts = statement(
  'receipt-write',
  `insert into receipt (conversation_id, seq, user_id, at, position)
   select k.* from unnest($1::text[], $2::integer[], $3::text[], $4::timestamptz[], $5::text[])
     as k (conversation_id, seq, user_id, at, position)
   join message m on m.conversation_id = k.conversation_id and m.seq = k.seq`,
)

type Change = Recorded<'MessageRecalled'> | Recorded<'ReceiptGiven'>
type Text = Pick<MessageTable, 'conversation_id' | 'seq' | 'wire'>

const idOf = (conversationId: ConversationId, seq: number) => `${conversationId}#${seq}`

/** The newest change of each message with the text the message had, as columns. */
const changedTexts = async <Event extends Change>(
  transaction: Transaction,
  events: readonly Event[],
  textAfter: (wire: string, data: Event['data']) => string,
): Promise<readonly [string[], number[], string[], string[]]> => {
  const newest = new Map(events.map(event => [idOf(event.data.conversationId, event.data.seq), event]))
  const changes = [...newest.values()]
  const rows = await transaction.query<Text>(loadTexts, [
    changes.map(({ data }) => data.conversationId),
    changes.map(({ data }) => data.seq),
  ])
  const changed = rows.flatMap(row => {
    const event = newest.get(idOf(row.conversation_id, row.seq))
    return event === undefined ? [] : [{ ...row, wire: textAfter(row.wire, event.data), position: event.position }]
  })
  return [
    changed.map(row => row.conversation_id),
    changed.map(row => row.seq),
    changed.map(row => row.wire),
    changed.map(row => row.position),
  ]
}

/** Receipts that were given before are gone with the content. */
export const recallMessages = async (
  transaction: Transaction,
  events: readonly Recorded<'MessageRecalled'>[],
): Promise<void> => {
  const [conversationIds, seqs, ...texts] = await changedTexts(transaction, events, tombstoneText)
  await transaction.query(writeRecalled, [conversationIds, seqs, ...texts])
  const asked = events.filter(({ data }) => data.hadReceipt === true)
  if (asked.length === 0) return
  await transaction.query(dropReceipts, [
    asked.map(({ data }) => data.conversationId),
    asked.map(({ data }) => data.seq),
  ])
}

/** A message is never recalled before a receipt of it. */
export const giveReceipts = async (
  transaction: Transaction,
  events: readonly Recorded<'ReceiptGiven'>[],
): Promise<void> => {
  const rows = events.map(({ data, position }) => ({
    conversation_id: data.conversationId,
    seq: data.seq,
    user_id: data.by,
    at: data.at,
    position,
  }))
  await transaction.query(writeReceipts, columnArrays(rows, ['conversation_id', 'seq', 'user_id', 'at', 'position']))
  await transaction.query(writeOwn, [...(await changedTexts(transaction, events, textAfterReceipt))])
}
