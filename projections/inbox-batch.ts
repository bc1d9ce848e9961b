// Owns the way a batch goes over inbox rows: which rows it touches, loading them, folding every event in log order.
// Reads the conversation as it was before the batch. A message of a sender whose row nothing else touches is only counted.

import { counts } from '../domain/conversation/message-types.ts'
import {
  type ConversationId,
  conversationParts,
  groupConversationId,
  type Instant,
  type Position,
  type UserId,
} from '../domain/ids.ts'
import { marksIn } from '../domain/inbox/inbox.ts'
import type { Batch, Recorded } from './batch.ts'
import { statement, type Transaction } from './database.ts'
import {
  entryOf,
  type Head,
  type InboxEntry,
  noMessages,
  openedP2p,
  spanOf,
  withAnnouncementSeen,
  withJoin,
  withLeave,
  withMarks,
  withOwnMessage,
} from './inbox-fold.ts'
import type { InboxTable, MemberSpanTable } from './schema.ts'

export const markTypes = [
  'ConversationRead',
  'ConversationPinned',
  'ConversationUnpinned',
  'ConversationReminderSet',
  'AnnouncementSeen',
  'ConversationCleared',
  'ConversationDeleted',
] as const
export const memberTypes = ['GroupCreated', 'MembersAdded', 'MembersRemoved'] as const

const load = statement(
  'inbox-load-touched',
  `select k.conversation_id as key_conversation, i.*, c.last_seq, c.countable, c.last_at
   from unnest($1::text[], $2::text[]) as k (user_id, conversation_id)
   left join inbox i on i.user_id = k.user_id and i.conversation_id = k.conversation_id
   left join conversation c on c.conversation_id = k.conversation_id`,
)

type LoadedRow = { [Column in keyof InboxTable]: InboxTable[Column] | null } & {
  readonly key_conversation: ConversationId
  readonly last_seq: number | null
  readonly countable: number | null
  readonly last_at: Instant | null
}

/** Own messages of senders whose row nothing else in the batch touches: added where they stand. */
export interface OwnMessages {
  readonly userId: UserId
  readonly conversationId: ConversationId
  count: number
  position: Position
}

/** What a batch does to inbox rows, while it is folded. */
export interface Touched {
  /** By conversation, then user. An undefined entry was looked for and is not there. */
  readonly entries: Map<ConversationId, Map<UserId, InboxEntry | undefined>>
  readonly heads: Map<ConversationId, Head>
  readonly spans: Map<string, MemberSpanTable>
  readonly own: Map<string, OwnMessages>
}

const isFirstP2p = ({ data }: Recorded<'MessageSent'>): boolean =>
  data.seq === 1 && data.conversationId.startsWith('p2p:')

const usersIn = ({ data, type }: Recorded<(typeof memberTypes)[number]>): readonly UserId[] =>
  type === 'GroupCreated' ? [data.ownerId, ...data.memberIds] : data.userIds

const p2pUsers = (conversationId: ConversationId): readonly UserId[] => {
  const parts = conversationParts(conversationId)
  return parts?.kind === 'p2p' ? parts.users : []
}

/** Keys of the rows that more than an own message touches. */
const keysIn = (batch: Batch): Map<ConversationId, Map<UserId, InboxEntry | undefined>> => {
  const keys: Touched['entries'] = new Map()
  const add = (userId: UserId, conversationId: ConversationId) => {
    const users = keys.get(conversationId)
    if (users === undefined) keys.set(conversationId, new Map([[userId, undefined]]))
    else users.set(userId, undefined)
  }
  for (const { data } of batch.ofAny(markTypes)) add(data.userId, data.conversationId)
  for (const event of batch.ofAny(memberTypes)) {
    for (const userId of usersIn(event)) add(userId, groupConversationId(event.data.groupId))
  }
  for (const { data } of batch.of('AnnouncementPublished')) add(data.by, groupConversationId(data.groupId))
  for (const { data } of batch.of('ReceiptGiven')) add(data.from, data.conversationId)
  for (const event of batch.of('MessageSent')) {
    if (!isFirstP2p(event)) continue
    for (const userId of p2pUsers(event.data.conversationId)) add(userId, event.data.conversationId)
  }
  return keys
}

/** Loads what the batch touches, as it was before it. */
export const loadTouched = async (transaction: Transaction, batch: Batch): Promise<Touched> => {
  const entries = keysIn(batch)
  const heads: Touched['heads'] = new Map()
  const userIds: UserId[] = []
  const conversationIds: ConversationId[] = []
  for (const [conversationId, users] of entries) {
    for (const userId of users.keys()) {
      userIds.push(userId)
      conversationIds.push(conversationId)
    }
  }
  const rows = userIds.length === 0 ? [] : await transaction.query<LoadedRow>(load, [userIds, conversationIds])
  for (const { key_conversation: key, last_seq: lastSeq, countable, last_at: lastAt, ...row } of rows) {
    if (lastSeq !== null && countable !== null) heads.set(key, { lastSeq, countable, lastAt })
    if (row.user_id !== null) entries.get(key)?.set(row.user_id, entryOf(row as InboxTable))
  }
  return { entries, heads, spans: new Map(), own: new Map() }
}

type Change = (entry: InboxEntry | undefined, head: Head, position: Position) => InboxEntry | undefined

const change = (
  touched: Touched,
  conversationId: ConversationId,
  userId: UserId,
  position: Position,
  apply: Change,
): InboxTable | undefined => {
  const users = touched.entries.get(conversationId)
  const entry = apply(users?.get(userId), touched.heads.get(conversationId) ?? noMessages, position)
  users?.set(userId, entry)
  return entry?.row
}

/** The row says that something in it changed there. */
const at = ({ row, countedSeq }: InboxEntry, position: Position): InboxEntry => ({
  row: { ...row, position },
  countedSeq,
})

const foldMembers = (touched: Touched, event: Recorded<(typeof memberTypes)[number]>): void => {
  const conversationId = groupConversationId(event.data.groupId)
  const past = event.type === 'MembersAdded' ? event.data : undefined
  for (const userId of usersIn(event)) {
    const row = change(touched, conversationId, userId, event.position, (entry, head, position) =>
      event.type === 'MembersRemoved'
        ? entry && withLeave(entry, head, position)
        : withJoin(entry, userId, conversationId, head, position, past),
    )
    if (row?.position === event.position)
      touched.spans.set(`${userId}\n${conversationId}\n${row.from_seq}`, spanOf(row))
  }
}

const addOwnMessage = (
  own: Touched['own'],
  userId: UserId,
  conversationId: ConversationId,
  position: Position,
): void => {
  const key = `${userId}\n${conversationId}`
  const known = own.get(key)
  if (known === undefined) own.set(key, { userId, conversationId, count: 1, position })
  else {
    known.count++
    known.position = position
  }
}

/** Hot: a message in a conversation that nothing else in the batch touches costs two look-ups. */
const foldMessage = (touched: Touched, event: Recorded<'MessageSent'>): void => {
  const { data, position } = event
  const { conversationId, from } = data
  const users = touched.entries.get(conversationId)
  if (users !== undefined) {
    if (isFirstP2p(event)) {
      for (const userId of p2pUsers(conversationId)) {
        const { row } = users.get(userId) ?? openedP2p(userId, conversationId, position)
        users.set(userId, entryOf({ ...row, position }))
      }
    }
    touched.heads.set(conversationId, { lastSeq: data.seq, countable: data.countable, lastAt: data.at })
  }
  if (!counts(data)) return
  if (users?.has(from) === true) {
    const entry = users.get(from)
    if (entry !== undefined) users.set(from, withOwnMessage(entry, position))
  } else addOwnMessage(touched.own, from, conversationId, position)
}

/** Folds the batch over what was loaded for it. */
export const foldEvents = (touched: Touched, batch: Batch): void => {
  for (const event of batch.events) {
    switch (event.type) {
      case 'MessageSent':
        foldMessage(touched, event)
        break
      case 'ConversationRead':
      case 'ConversationPinned':
      case 'ConversationUnpinned':
      case 'ConversationReminderSet':
      case 'AnnouncementSeen':
      case 'ConversationCleared':
      case 'ConversationDeleted': {
        const { userId, conversationId, marks } = event.data
        change(touched, conversationId, userId, event.position, (entry, head, position) => {
          // A P2P conversation can be pinned before its first message; in a group only a member has a side.
          const known =
            entry ?? (conversationId.startsWith('p2p:') ? openedP2p(userId, conversationId, position) : undefined)
          return known && withMarks(known, marksIn(marks), head, position)
        })
        break
      }
      case 'GroupCreated':
      case 'MembersAdded':
      case 'MembersRemoved':
        foldMembers(touched, event)
        break
      case 'ReceiptGiven': {
        // What the sender sees of the last message may be another now.
        const { from, conversationId } = event.data
        change(touched, conversationId, from, event.position, (entry, _head, position) => entry && at(entry, position))
        break
      }
      case 'AnnouncementPublished': {
        const { groupId, by, popup, number } = event.data
        if (!popup) break
        // Whoever published it has seen it.
        change(
          touched,
          groupConversationId(groupId),
          by,
          event.position,
          (entry, _head, position) => entry && withAnnouncementSeen(entry, number, position),
        )
        break
      }
    }
  }
}

/** Rows that the batch changed: each change leaves its event's position in them. */
export const changedEntries = (touched: Touched, batch: Batch): readonly InboxEntry[] => {
  const from = batch.events[0]?.position ?? ''
  const changed: InboxEntry[] = []
  for (const users of touched.entries.values()) {
    for (const entry of users.values()) if (entry !== undefined && entry.row.position >= from) changed.push(entry)
  }
  return changed
}
