// Owns how long messages stay in the read models (R31): those older than the days asked for are deleted in slices, and what they
// made of unread numbers, and who has read them, with them. No query looks at a clock: a message is there for everybody who may
// see it, or for nobody. Of each the sender's key stays, so that a repeat is a repeat for ever. Never touches the log, which
// keeps everything.

import { schedule } from 'node-cron'
import type { Logger } from 'pino'
import type { ConversationId, Instant } from '../domain/ids.ts'
import { takeCheckpoint } from './checkpoint.ts'
import { type Database, type Session, statement, type Transaction } from './database.ts'
import { sentPositionIn } from './message.ts'
import type { SentKeyTable } from './schema.ts'
import { columnArrays, lookUp } from './table.ts'

/** Conversations that one look goes over, those of one slice, and messages of each in it. */
const lookConversationsMax = 500
const sliceConversationsMax = 20
const sliceMessagesMax = 250
/** Once an hour: so much longer may a message stay. */
const retentionSchedule = '41 * * * *'

const dayMs = 86_400_000

/** Conversations after $1, in order of their ids, whose oldest message is older than $2; and how far the look went. */
const dueAmong = statement(
  'retention-due',
  `select max(c.conversation_id) as last, array_agg(c.conversation_id) filter (where m.at < $2::timestamptz) as due
   from (select conversation_id from conversation where conversation_id > $1
         order by conversation_id limit ${lookConversationsMax}) c
   left join lateral (
     select at from message where conversation_id = c.conversation_id order by seq limit 1) m on true`,
)

/** Time never runs backwards in a conversation: what is too old are its first messages. */
const tooOld = statement(
  'retention-too-old',
  `select m.conversation_id, max(m.seq) as seq, max(m.countable) as countable, count(*)::int as count
   from unnest($1::text[]) k (conversation_id) cross join lateral (
     select conversation_id, seq, countable, at from message where conversation_id = k.conversation_id
     order by seq limit ${sliceMessagesMax}) m
   where m.at < $2::timestamptz group by m.conversation_id`,
)

/**
 * What is gone counts as read: the base of everybody who was behind moves up to it, or, of one who is out, to the last message
 * they could see. Own messages in between are looked for only where there are any.
 */
const moveBases = statement(
  'retention-move-bases',
  `update inbox i set base_seq = n.seq, base_countable = n.countable, own_after_base = i.own_after_base - n.own
   from (
     select o.user_id, o.conversation_id, least(k.seq, o.to_seq) as seq,
       case when o.to_seq <= k.seq then o.to_countable else k.countable end as countable,
       case when o.own_after_base = 0 then 0 else (
         select count(*)::int from message m
         where m.conversation_id = k.conversation_id and m.seq > o.base_seq and m.seq <= least(k.seq, o.to_seq)
           and m.from_id = o.user_id and m.counts) end as own
     from unnest($1::text[], $2::integer[], $3::integer[]) k (conversation_id, seq, countable)
     ${lookUp('inbox', 'o', 'conversation_id = k.conversation_id')}
     where o.base_seq < least(k.seq, o.to_seq)) n
   where i.user_id = n.user_id and i.conversation_id = n.conversation_id`,
)

const deleteMessages = statement(
  'retention-delete',
  `delete from message m using unnest($1::text[], $2::integer[]) k (conversation_id, seq)
   where m.conversation_id = k.conversation_id and m.seq <= k.seq
   returning m.client_message_id, m.from_id, m.conversation_id, m.seq, m.at, m.content_hash, m.wire`,
)

const deleteReceipts = statement(
  'retention-delete-receipts',
  `delete from receipt r using unnest($1::text[], $2::integer[]) k (conversation_id, seq)
   where r.conversation_id = k.conversation_id and r.seq <= k.seq`,
)

const keepKeys = statement(
  'retention-keep-keys',
  `insert into sent_key (client_message_id, from_id, conversation_id, seq, at, content_hash, position)
   select * from unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::timestamptz[], $6::integer[], $7::text[])
   on conflict do nothing`,
)

const note = statement(
  'checkpoint-note-retention',
  'update checkpoint set history_before = greatest(history_before, $1::timestamptz) where id = 1',
)

interface TooOld {
  readonly conversation_id: ConversationId
  readonly seq: number
  readonly countable: number
  readonly count: number
}

type Gone = Omit<SentKeyTable, 'position'> & { readonly wire: string }

/** The tables to delete in: the real ones, or the shadows of a rebuild. */
export interface HistoryTables {
  readonly read: Session['transaction']
  /** Nobody else may write to the tables meanwhile. */
  readonly write: Session['transaction']
  /** Whether the unread numbers are to be moved too; false where they stand already. */
  readonly movesBases: boolean
}

const deleteSlice = async (
  transaction: Transaction,
  ids: readonly ConversationId[],
  before: Instant,
  movesBases: boolean,
): Promise<readonly TooOld[]> => {
  const found = await transaction.query<TooOld>(tooOld, [ids, before])
  if (found.length === 0) return found
  const upTo = [found.map(row => row.conversation_id), found.map(row => row.seq)]
  if (movesBases) await transaction.query(moveBases, [...upTo, found.map(row => row.countable)])
  const gone = await transaction.query<Gone>(deleteMessages, upTo)
  await transaction.query(deleteReceipts, upTo)
  const keys = gone.map(({ wire, ...row }) => ({ ...row, position: sentPositionIn(wire) }))
  await transaction.query(
    keepKeys,
    columnArrays(keys, ['client_message_id', 'from_id', 'conversation_id', 'seq', 'at', 'content_hash', 'position']),
  )
  return found
}

/** Deletes the messages from before a time. @returns how many */
export const deleteHistory = async (
  { read, write, movesBases }: HistoryTables,
  before: Instant,
  signal?: AbortSignal,
): Promise<number> => {
  const isEnded = () => signal?.aborted === true
  let total = 0
  let after = ''
  while (!isEnded()) {
    const [look] = await read(transaction =>
      transaction.query<{ last: string | null; due: readonly ConversationId[] | null }>(dueAmong, [after, before]),
    )
    const due = [...(look?.due ?? [])]
    while (due.length > 0 && !isEnded()) {
      const ids = due.splice(0, sliceConversationsMax)
      const found = await write(transaction => deleteSlice(transaction, ids, before, movesBases))
      for (const { conversation_id: id, count } of found) {
        total += count
        if (count === sliceMessagesMax) due.push(id)
      }
    }
    if (look?.last == null) break
    after = look.last
  }
  return total
}

/** Deletes the messages from before a time in the tables that serve, and notes it for a rebuild. @returns how many */
export const deleteOldMessages = async (database: Database, before: Instant, signal?: AbortSignal): Promise<number> => {
  const write: Session['transaction'] = work =>
    database.transaction(async transaction => {
      await takeCheckpoint(transaction)
      return work(transaction)
    })
  const count = await deleteHistory(
    { read: work => database.transaction(work), write, movesBases: true },
    before,
    signal,
  )
  // Last: a rebuild that ends in between brings some back until the next time, but never takes more than the unread numbers know.
  if (signal?.aborted !== true) await write(transaction => transaction.query(note, [before]))
  return count
}

export interface Retention {
  /** Deletes what is too old now; whoever asks while it is under way waits for that one. */
  run(): Promise<void>
  /** Ends it after the slice under way. */
  stop(): Promise<void>
}

export interface RetentionOptions {
  readonly days: number
  readonly nowMs: () => number
  readonly logger: Logger
}

/** Does so once an hour until stopped, and when asked. */
export const scheduleRetention = (database: Database, { days, nowMs, logger }: RetentionOptions): Retention => {
  const abort = new AbortController()
  let underWay: Promise<void> | undefined
  const runOnce = async () => {
    const before = new Date(nowMs() - days * dayMs).toISOString() as Instant
    try {
      const count = await deleteOldMessages(database, before, abort.signal)
      if (count > 0) logger.info({ count, before }, 'messages older than HISTORY_DAYS deleted from the read models')
    } catch (error) {
      logger.warn({ err: error }, 'messages older than HISTORY_DAYS could not be deleted; trying again in an hour')
    }
  }
  const run = () => {
    underWay ??= runOnce().finally(() => {
      underWay = undefined
    })
    return underWay
  }
  const task = schedule(retentionSchedule, run)
  return {
    run,
    stop: async () => {
      abort.abort()
      void task.destroy()
      await underWay
    },
  }
}
