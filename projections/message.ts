// Owns the messages: every one as the text clients get, written by COPY as it was sent and rebuilt once when recalled.
// Nothing reads a message but through the spans and the clear mark of the one who asks, in the statement that authorises.

import { counts, type MessageType } from '../domain/conversation/message-types.ts'
import type { ConversationId, Instant, Position, UserId } from '../domain/ids.ts'
import { messageText, tombstoneText } from '../domain/rows.ts'
import { contentHashOf, type SentMessage } from '../eventstore/sends.ts'
import type { Recorded } from './batch.ts'
import { copyField, copyJsonField, storableText } from './copy-text.ts'
import { type Queryable, statement, type Transaction } from './database.ts'
import type { Projection } from './projection.ts'
import type { MessageTable, SentKeyTable } from './schema.ts'
import { spansOf, visibleSeq } from './visibility.ts'

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
  'position',
]

/** Lines that go to the database in one piece. */
const copyPieceLines = 500

/** Ids of users and conversations hold no character that COPY would mistake; a client's own id may. */
const copyLine = ({ data, text, position }: Recorded<'MessageSent'>): string =>
  `${data.conversationId}\t${data.seq}\t${data.from}\t${copyField(storableText(data.clientMessageId))}\t${data.type}\t${
    data.countable
  }\t${counts(data) ? 't' : 'f'}\tf\t${data.at}\t${data.type === 'text' ? contentHashOf(data) : 0}\t${copyJsonField(
    messageText(text, position),
  )}\t${position}\n`

/** In pieces, so that the database takes in the first while the next are made. */
function* linesOf(events: readonly Recorded<'MessageSent'>[]): Generator<string> {
  for (let start = 0; start < events.length; start += copyPieceLines) {
    let lines = ''
    for (const event of events.slice(start, start + copyPieceLines)) lines += copyLine(event)
    yield lines
  }
}

const loadTexts = statement(
  'message-load-texts',
  `select m.conversation_id, m.seq, m.wire from unnest($1::text[], $2::integer[]) as k (conversation_id, seq)
   join message m on m.conversation_id = k.conversation_id and m.seq = k.seq`,
)
const writeRecalled = statement(
  'message-write-recalled',
  `update message m set wire = k.wire, recalled = true, position = k.position
   from unnest($1::text[], $2::integer[], $3::text[], $4::text[]) as k (conversation_id, seq, wire, position)
   where m.conversation_id = k.conversation_id and m.seq = k.seq`,
)

const recall = async (transaction: Transaction, events: readonly Recorded<'MessageRecalled'>[]): Promise<void> => {
  const idOf = (row: { conversation_id: ConversationId; seq: number }) => `${row.conversation_id}#${row.seq}`
  const rows = await transaction.query<MessageTable>(loadTexts, [
    events.map(({ data }) => data.conversationId),
    events.map(({ data }) => data.seq),
  ])
  const found = new Map(rows.map(row => [idOf(row), row]))
  for (const { data, position } of events) {
    const id = idOf({ conversation_id: data.conversationId, seq: data.seq })
    const row = found.get(id)
    if (row !== undefined) found.set(id, { ...row, wire: tombstoneText(row.wire, data), position })
  }
  const changed = [...found.values()]
  await transaction.query(writeRecalled, [
    changed.map(row => row.conversation_id),
    changed.map(row => row.seq),
    changed.map(row => row.wire),
    changed.map(row => row.position),
  ])
}

export const messageProjection: Projection = {
  name: 'message',
  tables: ['message', 'sent_key'],
  reads: [],
  folds: ['MessageSent', 'MessageRecalled'],
  apply: async (transaction, batch) => {
    const sent = batch.of('MessageSent')
    if (sent.length > 0) await transaction.copy('message', columns, linesOf(sent))
    const recalled = batch.of('MessageRecalled')
    if (recalled.length > 0) await recall(transaction, recalled)
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

/** Messages in the part `s` of what the user may see and has not cleared, within seq bounds; a few probes however long the history. */
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
     ${inSpan('v.seq, v.wire', bounds + ofType, `order by v.seq ${order} limit ${limit}`)}) m
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
const bounded = (seq: number): number => Math.max(0, Math.min(Math.trunc(seq), seqMax))

/**
 * A page of a conversation's history as JSON text, ascending by seq: the newest before a seq, the first after a seq or
 * from a time on, or the newest of all. Whether there is more is said of the types that were asked for. Undefined when the user has no such conversation, or it has no message yet.
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
    const parameters = [userId, conversationId, bounded(seq), limit]
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
}

const one = statement(
  'message-visible',
  `select m.* from inbox i join conversation c on c.conversation_id = i.conversation_id
   join message m on m.conversation_id = i.conversation_id and m.seq = $3::int
   where i.user_id = $1 and i.conversation_id = $2 and m.seq > i.cleared_seq and m.seq <= ${visibleSeq}
     and exists (select from ${spansOf} where m.seq between s.from_seq and s.to_seq)`,
)

/** A message the user may see; undefined for any other. `hadExt` is of the message as it was sent. */
export const visibleMessage = async (
  database: Queryable,
  userId: UserId,
  conversationId: ConversationId,
  seq: number,
): Promise<VisibleMessage | undefined> => {
  const [row] = await database.query<MessageTable>(one, [userId, conversationId, bounded(seq)])
  if (row === undefined) return undefined
  return {
    from: row.from_id,
    countable: row.countable,
    counts: row.counts,
    at: row.at,
    hadExt: 'ext' in (JSON.parse(row.wire) as object),
    type: row.type,
    recalled: row.recalled,
  }
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
