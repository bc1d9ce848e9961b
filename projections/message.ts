// Owns the messages: every one as the text clients get, written by COPY as it was sent and rebuilt once when recalled.
// Nothing reads a message but through the spans and the clear mark of the one who asks, in the statement that authorises.

import { counts, type MessageType } from '../domain/conversation/message-types.ts'
import type { ConversationId, Instant, Position, UserId } from '../domain/ids.ts'
import { messageText } from '../domain/rows.ts'
import { contentHashOf, type SentMessage } from '../eventstore/sends.ts'
import type { Recorded } from './batch.ts'
import { copyField, copyJsonField, storableText } from './copy-text.ts'
import { type Queryable, statement } from './database.ts'
import { giveReceipts, recallMessages } from './message-changes.ts'
import type { Projection } from './projection.ts'
import type { MessageTable, SentKeyTable } from './schema.ts'
import { spansOf, visibleOf, wireFor } from './visibility.ts'

const columns = [
  'conversation_id',
  'seq',
  'from_id',
  'client_message_id',
  'type',
  'countable',
  'counts',
  'recalled',
  'at',
  'content_hash',
  'wire',
  'receipts_from',
  'position',
]

/** Lines that go to the database in one piece. */
const copyPieceLines = 500

const listField = (ids: readonly UserId[] | undefined): string => (ids === undefined ? '\\N' : JSON.stringify(ids))

/** Ids of users and conversations hold no character that COPY would mistake; a client's own id may. */
const copyLine = (event: Recorded<'MessageSent'>): string => {
  const { data, position } = event
  return `${data.conversationId}\t${data.seq}\t${data.from}\t${copyField(storableText(data.clientMessageId))}\t${
    data.type
  }\t${data.countable}\t${counts(data) ? 't' : 'f'}\tf\t${data.at}\t${contentHashOf(data, data.receiptsFrom !== undefined)}\t${copyJsonField(
    messageText(event),
  )}\t${listField(data.receiptsFrom)}\t${position}\n`
}

/** In pieces, so that the database takes in the first while the next are made. */
function* linesOf(events: readonly Recorded<'MessageSent'>[]): Generator<string> {
  for (let start = 0; start < events.length; start += copyPieceLines) {
    let lines = ''
    for (const event of events.slice(start, start + copyPieceLines)) lines += copyLine(event)
    yield lines
  }
}

export const messageProjection: Projection = {
  name: 'message',
  tables: ['message', 'receipt', 'sent_key'],
  reads: [],
  folds: ['MessageSent', 'MessageRecalled', 'ReceiptGiven'],
  apply: async (transaction, batch) => {
    const sent = batch.of('MessageSent')
    if (sent.length > 0) await transaction.copy('message', columns, linesOf(sent))
    const given = batch.of('ReceiptGiven')
    if (given.length > 0) await giveReceipts(transaction, given)
    const recalled = batch.of('MessageRecalled')
    if (recalled.length > 0) await recallMessages(transaction, recalled)
  },
}

/** Most messages of a page; the caller's limit may be lower. */
export const historyPageMax = 100

export type HistoryPlace =
  | { readonly before: number }
  | { readonly after: number }
  | { readonly at: Instant }
  | { readonly newest: true }

export interface HistoryPart {
  readonly limit: number
  /** Only messages of these types, recalled ones by what they were; all when not said. */
  readonly types?: readonly MessageType[] | undefined
}

/** Messages in the span `s` that the user has not cleared, within seq bounds; a few probes however long the history. */
const inSpan = (columns: string, bounds: string, more: string): string =>
  `select ${columns} from message v
     where v.conversation_id = i.conversation_id and v.seq between greatest(s.from_seq, i.cleared_seq + 1) and s.to_seq
       and ${bounds} ${more}`

/** Where the messages of a page come from: of each type apart when $5 names some, so that all others cost nothing. */
const sources = {
  all: { from: spansOf, ofType: '' },
  some: { from: `${spansOf} cross join unnest($5::text[]) k (type)`, ofType: ' and v.type = k.type' },
} as const

type Source = (typeof sources)[keyof typeof sources]

const visibleMessages = ({ from, ofType }: Source, bounds: string, order: 'asc' | 'desc', limit: string): string =>
  `select m.seq, m.wire from ${from} cross join lateral (
     ${inSpan(`v.seq, ${wireFor('v')} as wire`, bounds + ofType, `order by v.seq ${order} limit ${limit}`)}) m
   order by m.seq ${order} limit ${limit}`

const existsVisible = ({ from, ofType }: Source, bound: string): string =>
  `exists (select from ${from} cross join lateral (${inSpan('', bound + ofType, 'limit 1')}) m)`

/**
 * One page as text. The scan goes `order` from the bound $3 and takes one more than $4 to know whether it ends there;
 * beyond the other end it looks for one message. A P2P conversation without messages is not there.
 */
const pageStatement = (name: string, source: Source, bound: string, order: 'asc' | 'desc', beyond: string) => {
  const [backwards, forwards] =
    order === 'desc'
      ? ['p.count > $4::int', existsVisible(source, beyond.replaceAll('edge', 'coalesce(p.last_seq + 1, $3::int)'))]
      : [existsVisible(source, beyond.replaceAll('edge', 'coalesce(p.first_seq - 1, $3::int)')), 'p.count > $4::int']
  return statement(
    name,
    `select '{"items":[' || coalesce(p.items, '') || '],"hasMoreBefore":' || (${backwards})::text
       || ',"hasMoreAfter":' || (${forwards})::text || '}' as page
     from inbox i join conversation c on c.conversation_id = i.conversation_id
     cross join lateral (
       select string_agg(n.wire, ',' order by n.seq) filter (where n.number <= $4::int) as items,
         min(n.seq) filter (where n.number <= $4::int) as first_seq,
         max(n.seq) filter (where n.number <= $4::int) as last_seq, count(*) as count
       from (select f.*, row_number() over (order by f.seq ${order}) as number
             from (${visibleMessages(source, bound, order, '$4::int + 1')}) f) n) p
     where i.user_id = $1 and i.conversation_id = $2 and (i.kind = 'group' or c.last_seq > 0)`,
  )
}

const pagesOf = (source: Source, name: string) => ({
  before: pageStatement(`message-page-before${name}`, source, 'v.seq < $3::int', 'desc', 'v.seq >= edge'),
  after: pageStatement(`message-page-after${name}`, source, 'v.seq > $3::int', 'asc', 'v.seq <= edge'),
})

const pages = pagesOf(sources.all, '')
const pagesOfTypes = pagesOf(sources.some, '-of-types')

/** Time never runs backwards in a conversation, so the first message at or after a time is found by halving. */
const seqBefore = statement(
  'message-seq-before',
  `with recursive search (low, high) as (
     select 0, c.last_seq + 1 from conversation c where c.conversation_id = $1
     union all
     select case when m.at < $2::timestamptz or m.at is null then (s.low + s.high) / 2 else s.low end,
            case when m.at < $2::timestamptz or m.at is null then s.high else (s.low + s.high) / 2 end
     from search s left join message m on m.conversation_id = $1 and m.seq = (s.low + s.high) / 2
     where s.high - s.low > 1)
   select low as seq from search where high - low = 1`,
)

const seqMax = 2_147_483_646
/** A seq that the database can compare with: there is none beyond. */
export const boundedSeq = (seq: number): number => Math.max(0, Math.min(Math.trunc(seq), seqMax))

/**
 * A page of a conversation's history as JSON text, ascending by seq: the newest before a seq, the first after a seq or
 * from a time on, or the newest of all. Whether there is more is said of the types that were asked for. Undefined when the user
 * has no such conversation, or it has no message yet.
 */
export const historyPage = async (
  database: Queryable,
  userId: UserId,
  conversationId: ConversationId,
  options: HistoryPlace & HistoryPart,
): Promise<string | undefined> => {
  const limit = Math.min(options.limit, historyPageMax)
  const types = options.types === undefined ? undefined : [...new Set(options.types)]
  const page = async (way: 'before' | 'after', seq: number) => {
    const parameters = [userId, conversationId, boundedSeq(seq), limit]
    const [row] = await (types === undefined
      ? database.query<{ page: string }>(pages[way], parameters)
      : database.query<{ page: string }>(pagesOfTypes[way], [...parameters, types]))
    return row?.page
  }
  if ('before' in options) return page('before', options.before)
  if ('after' in options) return page('after', options.after)
  if ('newest' in options) return page('before', seqMax)
  const [found] = await database.query<{ seq: number }>(seqBefore, [conversationId, options.at])
  return page('after', found?.seq ?? 0)
}

export interface VisibleMessage {
  readonly from: UserId
  readonly countable: number
  readonly counts: boolean
  readonly at: Instant
  readonly hadExt: boolean
  readonly type: MessageType
  readonly recalled: boolean
  /** Whom it asked for a receipt; null: nobody, or it is recalled. */
  readonly receiptsFrom: readonly UserId[] | null
}

const visible = statement('message-visible', `select m.* from ${visibleOf('m.seq = any($3::int[])')}`)

const visibleMessageFrom = (row: MessageTable): VisibleMessage => ({
  from: row.from_id,
  countable: row.countable,
  counts: row.counts,
  at: row.at,
  hadExt: 'ext' in (JSON.parse(row.wire) as object),
  type: row.type,
  recalled: row.recalled,
  receiptsFrom: row.receipts_from === null ? null : (JSON.parse(row.receipts_from) as readonly UserId[]),
})

/** Those of these messages that the user may see, by seq. `hadExt` is of the message as it was sent. */
export const messagesFor = async (
  database: Queryable,
  userId: UserId,
  conversationId: ConversationId,
  seqs: readonly number[],
): Promise<ReadonlyMap<number, VisibleMessage>> => {
  const rows = await database.query<MessageTable>(visible, [userId, conversationId, seqs.map(boundedSeq)])
  return new Map(rows.map(row => [row.seq, visibleMessageFrom(row)]))
}

/** Where a message was sent, which is not where its row last changed. */
export const sentPositionIn = (wire: string): Position => (JSON.parse(wire) as { position: Position }).position

const sent = statement(
  'message-sent',
  `select conversation_id, seq, at, content_hash, wire, position from message where client_message_id = $2 and from_id = $1
   union all
   select conversation_id, seq, at, content_hash, null, position from sent_key where client_message_id = $2 and from_id = $1
   limit 1`,
)

interface SentRow extends Omit<SentKeyTable, 'client_message_id' | 'from_id'> {
  /** Null once the message has grown too old. */
  readonly wire: string | null
}

/** The message that a sender sent under a key of theirs, whatever became of it since. */
export const sentMessage = async (
  database: Queryable,
  from: UserId,
  clientMessageId: string,
): Promise<SentMessage | undefined> => {
  const [row] = await database.query<SentRow>(sent, [from, storableText(clientMessageId)])
  if (row === undefined) return undefined
  const { conversation_id: conversationId, seq, at, content_hash: contentHash, wire } = row
  const position = wire === null ? row.position : sentPositionIn(wire)
  return { conversationId, seq, at, position, contentHash }
}
