// Owns the snapshot of all that a user's device holds, whole or since a position: one statement, so that rows, memberships
// and the position they are of belong together. Never sends a message but through the user's spans and clear mark.

import type { ConversationId, GroupId, Instant, Position, UserId } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { readMarksRowId } from '../domain/notification/row.ts'
import type { Collection, ConversationRow } from '../domain/rows.ts'
import { positionBeforeAll } from '../eventstore/port.ts'
import { ownUserRowFrom, type PublicAccount, publicColumns, userRowFrom } from './account.ts'
import { blocklistRowFrom } from './blocklist.ts'
import { type Queryable, type Statement, statement } from './database.ts'
import { friendRequestRowFrom } from './friendship.ts'
import { groupRowFrom, type MemberGroupRow, memberGroupColumns } from './group.ts'
import { notificationRowFrom, readMarksFrom } from './notification.ts'
import type {
  AccountTable,
  BlocklistTable,
  FriendRequestTable,
  FriendTable,
  NotificationTable,
  ReadMarkTable,
  SessionTable,
} from './schema.ts'
import { sessionRowFrom } from './session.ts'
import { lookUp } from './table.ts'
import {
  type ConversationView,
  conversationRowFrom,
  conversationTextFrom,
  spansOf,
  viewColumns,
  viewFrom,
  wireFor,
} from './visibility.ts'

/** Conversations whose messages come along, the most recent ones; of the others the row alone. */
export const syncConversationsMax = 100
/** Users whose changes a device hears of as they happen, those of the most recent conversations first; of others at its next sync. */
export const syncPeersMax = 10_000
/** System notifications in a whole sync, the newest ones. */
export const syncNotificationsMax = 1_000

/** Friend requests in a whole sync, the newest ones. */
export const syncFriendRequestsMax = 1_000

/** Rows of one collection: JSON texts of what is there, ids of what is gone. */
export interface SyncRows {
  readonly collection: Collection
  readonly items: readonly string[]
  readonly removed: readonly string[]
  readonly via?: 'offline' | 'roaming'
}

export interface Sync {
  /** What the rows are of: everything up to here, nothing after it. */
  readonly position: Position
  /** The tombstones since then are gone, and nothing else is set: ask for the whole. */
  readonly tooOld: boolean
  /** In the order they are to be sent; offline messages before roaming ones (R68). */
  readonly collections: readonly SyncRows[]
  /** Groups whose messages the user gets from here on, dissolved ones too: their last message is still to come. */
  readonly groupIds: readonly GroupId[]
  /** Users whose changes the user hears of from here on. */
  readonly peerIds: readonly UserId[]
  /** Conversations in no list, as they are when a message brings them back. */
  readonly hidden: readonly ConversationRow[]
  /** Groups from which nothing has come since the user is out, or back: the newest message seen, 0 for none. */
  readonly lastSeen: readonly { readonly groupId: GroupId; readonly lastSeq: number }[]
}

/** Rows as JSON, one array a collection; null for none. Instants in it have an offset, see `instants`. */
interface SyncResult {
  readonly position: Position
  readonly too_old: boolean
  readonly group_ids: readonly GroupId[]
  readonly peer_ids: readonly UserId[]
  readonly conversations: string | null
  readonly last_messages: string | null
  readonly hidden: string | null
  readonly last_seen: string | null
  readonly gone: string | null
  readonly offline: string | null
  readonly roaming: string | null
  readonly users: string | null
  readonly own_user: string | null
  readonly gone_users: string | null
  readonly friends: string | null
  readonly friend_requests: string | null
  readonly blocklist: string | null
  readonly groups: string | null
  readonly notifications: string | null
  readonly read_marks: string | null
  readonly sessions: string | null
}

const perConversation = limits.syncMessagesPerConversationMax

/** The newest visible messages of conversation `i`. */
const newestVisible = `select m.seq, m.wire, m.at, m.position from ${spansOf} cross join lateral (
    select v.seq, ${wireFor('v')} as wire, v.at, v.position from message v
    where v.conversation_id = i.conversation_id and v.seq between greatest(s.from_seq, i.cleared_seq + 1) and s.to_seq
    order by v.seq desc limit ${perConversation}) m
  order by m.seq desc limit ${perConversation}`

/** Of the newest messages all that are unread, and what is left of the number from the last days. */
const wholeMessages = `select n.seq, n.wire, n.seq > i.read_seq as is_offline from (${newestVisible}) n
  where n.seq > i.read_seq or n.at >= $2::timestamptz`

/** New ones, and older ones that were recalled since, or of the user's own read by others. */
const changedMessages = `select n.seq, n.wire, true as is_offline from (
    select n.seq, n.wire from (${newestVisible}) n where n.position >= $2
    union
    select r.seq, r.wire from message r
    where r.conversation_id = i.conversation_id and r.recalled and r.position >= $2 and r.seq > i.cleared_seq
      and exists (select from ${spansOf} where r.seq between s.from_seq and s.to_seq)
    union
    select o.seq, o.own_wire from message o
    where o.conversation_id = i.conversation_id and o.from_id = $1 and o.own_position >= $2 and o.seq > i.cleared_seq
      and exists (select from ${spansOf} where o.seq between s.from_seq and s.to_seq)
    order by seq desc limit ${perConversation}) n`

const jsonOf = (rows: string, order = ''): string => `(select json_agg(t${order}) from (${rows}) t)::text`

const ifSince = (since: boolean, condition: string): string => (since ? `and (${condition})` : '')

/**
 * The user's conversations, those in the list (that changed), the messages of the most recent of these, and whose profiles the
 * user holds: friends, and those whom the user has written with.
 */
const viewsOf = (since: boolean): string =>
  `with views as materialized (
       select ${viewColumns}, i.user_id, i.peer_id, i.group_id, i.from_seq, i.to_seq, i.earlier_to_seq,
         i.position as own_position, greatest(i.position, c.position) as position
       from ${viewFrom} where i.user_id = $1
     ), listed as materialized (
       select v.*, ${wireFor('m')} as last_message from views v left join message m
         on m.conversation_id = v.conversation_id and m.seq = v.visible_seq and v.visible_seq > v.cleared_seq
       where v.visible_seq > v.deleted_seq ${ifSince(since, 'v.position >= $2')}
     ), messages as materialized (
       select i.visible_at, i.conversation_id, n.* from (
         select * from listed order by visible_at desc, conversation_id limit ${syncConversationsMax}) i
       cross join lateral (${since ? changedMessages : wholeMessages}) n
     ), known as materialized (
       select k.id, max(k.position) as position, bool_or(k.is_here) as is_here, max(k.seen_at) as seen_at,
         bool_or(k.is_friend) as is_friend from (
         select peer_id as id, own_position as position, true as is_here, visible_at as seen_at, false as is_friend
         from views where peer_id is not null
         union all
         select friend_id, position, removed_at is null, null, removed_at is null from friend where user_id = $1 ${since ? '' : 'and removed_at is null'}
       ) k group by k.id
     )`

/** One statement; $2 is the time from which messages roam, or the position since which rows changed. */
const syncStatement = (name: string, since: boolean): Statement => {
  const changed = (condition: string) => ifSince(since, condition)
  return statement(
    name,
    `${viewsOf(since)}
     select c.position, ${since ? 'coalesce(c.purged_position >= $2, false)' : 'false'} as too_old,
       array(select m.group_id from member m where m.user_id = $1 and m.removed_at is null order by 1) as group_ids,
       array(select k.id from known k where k.is_here order by k.is_friend desc, k.seen_at desc nulls last, k.id
         limit ${syncPeersMax}) as peer_ids,
       ${jsonOf(
         `select conversation_id, kind, read_seq, cleared_seq, deleted_seq, pinned_at, reminder, do_not_disturb, announcement_seen, popup_number, is_active, visible_seq, visible_at,
            unread from listed order by visible_at desc, conversation_id`,
       )} as conversations,
       (select string_agg(coalesce(last_message, 'null'), e'\\n' order by visible_at desc, conversation_id) from listed)
         as last_messages,
       ${jsonOf(
         `select conversation_id, kind, read_seq, cleared_seq, deleted_seq, pinned_at, reminder, do_not_disturb, announcement_seen, popup_number, is_active, visible_seq, visible_at,
            unread from views where visible_seq <= deleted_seq order by conversation_id`,
       )} as hidden,
       ${jsonOf(
         `select group_id, visible_seq from views where kind = 'group' and (not is_active or visible_seq < from_seq)
          order by group_id`,
       )} as last_seen,
       ${since ? jsonOf('select conversation_id from views where visible_seq <= deleted_seq and position >= $2') : 'null::text'}
         as gone,
       (select string_agg(wire, e'\\n' order by visible_at desc, conversation_id, seq) from messages where is_offline)
         as offline,
       (select string_agg(wire, e'\\n' order by visible_at desc, conversation_id, seq) from messages where not is_offline)
         as roaming,
       ${jsonOf(
         `select ${publicColumns.map(column => `a.${column}`).join(', ')} from known k ${lookUp('account', 'a', 'user_id = k.id')}
          where k.is_here and a.is_live ${changed('a.position >= $2 or k.position >= $2')} order by k.id`,
       )} as users,
       ${jsonOf(`select * from account where user_id = $1 and is_live and closed_at is null ${changed('position >= $2')}`)} as own_user,
       ${since ? jsonOf('select id from known where not is_here and position >= $2') : 'null::text'} as gone_users,
       ${jsonOf(
         `select friend_id, wire, removed_at from friend where user_id = $1 and ${since ? 'position >= $2' : 'removed_at is null'} order by friend_id`,
       )} as friends,
       ${jsonOf(
         `select * from friend_request where user_id = $1 ${changed('position >= $2')}
          order by asked_position desc, peer_id limit ${syncFriendRequestsMax}`,
       )} as friend_requests,
       ${jsonOf(
         `select b.blocked_id, b.blocked_at, b.removed_at from blocklist b
          where b.user_id = $1 and ${since ? 'b.position >= $2' : 'b.removed_at is null'} order by b.blocked_id`,
       )} as blocklist,
       ${jsonOf(
         `select ${memberGroupColumns}, m.removed_at from member m ${lookUp('"group"', 'g', 'group_id = m.group_id')} where m.user_id = $1 and ${
           since
             ? '(m.position >= $2 or (m.removed_at is null and g.position >= $2))'
             : 'm.removed_at is null and g.dissolved_at is null'
         } order by m.group_id`,
       )} as groups,
       ${jsonOf(
         `select * from notification where user_id = $1 ${changed('position >= $2')}
          order by asked_position desc, notification_id limit ${syncNotificationsMax}`,
       )} as notifications,
       ${jsonOf(`select * from read_mark where user_id = $1 ${changed('position >= $2')}`)} as read_marks,
       ${jsonOf(
         `select * from session where user_id = $1 and ${since ? 'position >= $2' : 'removed_at is null'}
          order by opened_at, session_id`,
       )} as sessions
     from checkpoint c where c.id = 1`,
  )
}

const whole = syncStatement('sync-whole', false)
const changes = syncStatement('sync-changes', true)

const instantPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$/

/** Postgres' JSON has instants as `2026-11-23T08:15:30.12+00:00`. */
const instantOfJson = (text: string): Instant => {
  const time = text.slice(0, -6)
  return `${(time.length === 19 ? `${time}.` : time).padEnd(23, '0')}Z` as Instant
}

/** Rows of an aggregate, with the columns that are instants made ours. */
const rowsOf = <Row>(json: string | null, instants: readonly (keyof Row & string)[]): Row[] => {
  if (json === null) return []
  const rows = JSON.parse(json) as Row[]
  for (const row of rows) {
    for (const column of instants) {
      const value = row[column]
      if (typeof value === 'string' && instantPattern.test(value))
        row[column] = instantOfJson(value) as Row[typeof column]
    }
  }
  return rows
}

const linesOf = (text: string | null): readonly string[] => (text === null ? [] : text.split('\n'))

const viewsIn = (json: string | null) => rowsOf<ConversationView>(json, ['pinned_at', 'visible_at'])

const conversationTexts = (result: SyncResult): readonly string[] => {
  const messages = linesOf(result.last_messages)
  return viewsIn(result.conversations).map((view, index) => {
    const wire = messages[index]
    return conversationTextFrom(view, wire === undefined || wire === 'null' ? null : wire)
  })
}

/** Splits rows into what is there, as JSON texts, and the ids of what is gone. */
const split = <Row>(
  collection: Collection,
  rows: readonly Row[],
  isGone: (row: Row) => boolean,
  item: (row: Row) => object,
  id: (row: Row) => string,
): SyncRows => ({
  collection,
  items: rows.filter(row => !isGone(row)).map(row => JSON.stringify(item(row))),
  removed: rows.filter(isGone).map(id),
})

const friendsIn = (rows: readonly FriendTable[]): SyncRows => ({
  collection: 'friends',
  items: rows.filter(row => row.removed_at === null).map(row => row.wire),
  removed: rows.filter(row => row.removed_at !== null).map(row => row.friend_id),
})

const collectionsOf = (result: SyncResult): readonly SyncRows[] => [
  {
    collection: 'users',
    items: [
      ...rowsOf<AccountTable>(result.own_user, ['created_at']).map(ownUserRowFrom),
      ...rowsOf<PublicAccount>(result.users, ['closed_at']).map(userRowFrom),
    ].map(row => JSON.stringify(row)),
    removed: rowsOf<{ id: UserId }>(result.gone_users, []).map(row => row.id),
  },
  friendsIn(rowsOf<FriendTable>(result.friends, [])),
  split(
    'friendRequests',
    rowsOf<FriendRequestTable>(result.friend_requests, ['at', 'expires_at', 'ended_at']),
    () => false,
    friendRequestRowFrom,
    row => row.peer_id,
  ),
  split(
    'groups',
    rowsOf<MemberGroupRow & { removed_at: Instant | null }>(result.groups, [
      'created_at',
      'dissolved_at',
      'removed_at',
    ]),
    row => row.removed_at !== null || row.dissolved_at !== null,
    groupRowFrom,
    row => row.group_id,
  ),
  {
    collection: 'conversations',
    items: conversationTexts(result),
    removed: rowsOf<{ conversation_id: ConversationId }>(result.gone, []).map(row => row.conversation_id),
  },
  split(
    'blocklist',
    rowsOf<BlocklistTable>(result.blocklist, ['blocked_at', 'removed_at']),
    row => row.removed_at !== null,
    blocklistRowFrom,
    row => row.blocked_id,
  ),
  split(
    'sessions',
    rowsOf<SessionTable>(result.sessions, ['opened_at', 'removed_at']),
    row => row.removed_at !== null,
    sessionRowFrom,
    row => row.session_id,
  ),
  split(
    'notifications',
    rowsOf<NotificationTable>(result.notifications, ['at', 'ended_at']),
    () => false,
    notificationRowFrom,
    row => row.notification_id,
  ),
  split(
    'readMarks',
    rowsOf<ReadMarkTable>(result.read_marks, []),
    () => false,
    readMarksFrom,
    () => readMarksRowId,
  ),
  { collection: 'messages', via: 'offline', items: linesOf(result.offline), removed: [] },
  { collection: 'messages', via: 'roaming', items: linesOf(result.roaming), removed: [] },
]

const nothing = (position: Position, tooOld: boolean): Sync => ({
  position,
  tooOld,
  collections: [],
  groupIds: [],
  peerIds: [],
  hidden: [],
  lastSeen: [],
})

const dayMs = 86_400_000

/**
 * All that a user's device holds: everything visible, or, since a position, the rows that changed at or after it.
 * Messages come for the most recent conversations, at most 100 each: whole, the unread ones and then those of the last
 * days (R32, R33, R68); since a position, those that are new or were recalled.
 * @param nowMs from which the last days count
 */
export const syncOf = async (
  database: Queryable,
  userId: UserId,
  since: Position | null,
  nowMs: number = Date.now(),
): Promise<Sync> => {
  const from = since ?? new Date(nowMs - limits.roamingDays * dayMs).toISOString()
  const [result] = await database.query<SyncResult>(since === null ? whole : changes, [userId, from])
  if (result === undefined) return nothing(positionBeforeAll, false)
  if (result.too_old) return nothing(result.position, true)
  return {
    position: result.position,
    tooOld: false,
    collections: collectionsOf(result),
    groupIds: result.group_ids,
    peerIds: result.peer_ids,
    hidden: viewsIn(result.hidden).map(conversationRowFrom),
    lastSeen: rowsOf<{ group_id: GroupId; visible_seq: number }>(result.last_seen, []).map(row => ({
      groupId: row.group_id,
      lastSeq: row.visible_seq,
    })),
  }
}
