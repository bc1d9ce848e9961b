// Owns what all parties of a conversation share: how far it is, how much of it counts, what was recalled last.
// A small row that changes with every message, so it holds no text: the last message is found by its seq.

import type { ConversationId, Instant, Position } from '../domain/ids.ts'
import { groupConversationId } from '../domain/ids.ts'
import type { Batch } from './batch.ts'
import { statement } from './database.ts'
import type { Projection } from './projection.ts'

interface Change {
  lastSeq: number
  countable: number
  lastAt: Instant | null
  recalledSeq: number
  /** Undefined: as before. */
  popupNumber: number | undefined
  position: Position
}

const write = statement(
  'conversation-write',
  `insert into conversation (conversation_id, kind, last_seq, countable, last_at, recalled_seq, position, popup_number)
   select *, 0 from unnest(
     $1::text[], $2::text[], $3::integer[], $4::integer[], $5::timestamptz[], $6::integer[], $7::text[])
   on conflict (conversation_id) do update set
     last_seq = greatest(conversation.last_seq, excluded.last_seq),
     countable = greatest(conversation.countable, excluded.countable),
     last_at = greatest(conversation.last_at, excluded.last_at),
     recalled_seq = greatest(conversation.recalled_seq, excluded.recalled_seq),
     position = excluded.position`,
)

const setPopups = statement(
  'conversation-popups',
  `update conversation c set popup_number = k.popup_number
   from unnest($1::text[], $2::integer[]) as k (conversation_id, popup_number)
   where c.conversation_id = k.conversation_id`,
)

const folds = [
  'MessageSent',
  'MessageRecalled',
  'GroupCreated',
  'AnnouncementPublished',
  'AnnouncementDeleted',
] as const

const changesIn = (batch: Batch): Map<ConversationId, Change> => {
  const changes = new Map<ConversationId, Change>()
  const changeOf = (conversationId: ConversationId, position: Position): Change => {
    let change = changes.get(conversationId)
    if (change === undefined) {
      change = { lastSeq: 0, countable: 0, lastAt: null, recalledSeq: 0, popupNumber: undefined, position }
      changes.set(conversationId, change)
    }
    change.position = position
    return change
  }
  for (const event of batch.ofAny(folds)) {
    if (event.type === 'MessageSent') {
      const change = changeOf(event.data.conversationId, event.position)
      change.lastSeq = event.data.seq
      change.countable = event.data.countable
      change.lastAt = event.data.at
    } else if (event.type === 'MessageRecalled') {
      const change = changeOf(event.data.conversationId, event.position)
      change.recalledSeq = Math.max(change.recalledSeq, event.data.seq)
    } else if (event.type !== 'GroupCreated') {
      changeOf(groupConversationId(event.data.groupId), event.position).popupNumber = event.data.popupNumber
    } else {
      changeOf(groupConversationId(event.data.groupId), event.position)
    }
  }
  return changes
}

export const conversationProjection: Projection = {
  name: 'conversation',
  tables: ['conversation'],
  reads: [],
  folds,
  apply: async (transaction, batch) => {
    const changes = changesIn(batch)
    if (changes.size === 0) return
    const ids = [...changes.keys()]
    const rows = [...changes.values()]
    await transaction.query(write, [
      ids,
      ids.map(id => (id.startsWith('group:') ? 'group' : 'p2p')),
      rows.map(row => row.lastSeq),
      rows.map(row => row.countable),
      rows.map(row => row.lastAt),
      rows.map(row => row.recalledSeq),
      rows.map(row => row.position),
    ])
    const popups = [...changes].flatMap(([id, { popupNumber }]) =>
      popupNumber === undefined ? [] : [{ id, popupNumber }],
    )
    if (popups.length === 0) return
    await transaction.query(setPopups, [popups.map(({ id }) => id), popups.map(({ popupNumber }) => popupNumber)])
  },
}
