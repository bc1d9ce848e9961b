// Owns the queries on friends and friend requests: lists, what changed in them, counts. Never shows one side to the other.

import type { FriendRequestRow, FriendRequestState, FriendRow, RequestDirection } from '../domain/friendship/row.ts'
import type { Instant, Position, UserId } from '../domain/ids.ts'
import { positionBeforeAll } from '../eventstore/port.ts'
import { type ChangeRow, changesFrom, changesOf, type PlacedRow, placedFrom, placedPageOf } from './checkpoint.ts'
import { type Queryable, statement } from './database.ts'
import { friendRequestRowFrom } from './friendship.ts'
import {
  type Changes,
  cursorKey,
  cursorText,
  type PageOptions,
  type PlacedPage,
  type TextPage,
  type TooOld,
} from './page.ts'
import type { FriendRequestTable, FriendTable } from './schema.ts'

/**
 * One row with the whole page: what is stored as it goes out is not taken apart here. No `or` around the place where it begins:
 * a prepared statement would walk all friends to it.
 */
const page = statement(
  'friend-page',
  `select coalesce(string_agg(p.wire, ',' order by p.friend_id) filter (where p.number <= $4::int), '') as items,
     case when count(*) > $4::int then max(p.friend_id) filter (where p.number <= $4::int) end as last,
     (select c.position from checkpoint c where c.id = 1) as position
   from (
     select friend_id, wire, row_number() over (order by friend_id) as number from friend
     where user_id = $1 and removed_at is null and friend_id > coalesce($2::text, '')
       and ($3::text is null or friend_id = $3 or strpos(lower(remark), lower($3)) > 0)
     order by friend_id limit $4::int + 1) p`,
)

interface PageRow {
  readonly items: string
  /** The last one of the page; null when there are no more after it. */
  readonly last: UserId | null
  readonly position: Position | null
}

/**
 * The user's friends, by their ids; `q` is a part of a remark or a whole id (R9).
 * @throws InvalidCursor
 */
export const friendsOf = async (
  database: Queryable,
  userId: UserId,
  { limit, cursor, q }: PageOptions & { readonly q?: string | undefined },
): Promise<TextPage> => {
  const [friendId = null] = cursor === undefined ? [] : cursorKey(cursor, ['string'])
  const [found] = await database.query<PageRow>(page, [userId, friendId, q ?? null, limit])
  return {
    items: found?.items ?? '',
    next: found === undefined || found.last === null ? null : cursorText([found.last]),
    position: found?.position ?? positionBeforeAll,
  }
}

const rowFrom = ({ wire }: FriendTable): FriendRow => JSON.parse(wire)

const one = statement('friend-one', 'select * from friend where user_id = $1 and friend_id = $2 and removed_at is null')

/** One friend; undefined for anybody else. */
export const friendOf = async (
  database: Queryable,
  userId: UserId,
  friendId: UserId,
): Promise<FriendRow | undefined> => {
  const [row] = await database.query<FriendTable>(one, [userId, friendId])
  return row === undefined ? undefined : rowFrom(row)
}

const changes = statement(
  'friend-changes',
  changesFrom('select * from friend where user_id = $1 and position >= $2 order by friend_id'),
)

/** What changed in that list at or after a position. */
export const friendChangesOf = async (
  database: Queryable,
  userId: UserId,
  since: Position,
): Promise<Changes<FriendRow> | TooOld> =>
  changesOf(
    await database.query<FriendTable & ChangeRow>(changes, [userId, since]),
    row => row.removed_at !== null,
    rowFrom,
    row => row.friend_id,
  )

const counts = statement(
  'friend-counts',
  `select k.user_id,
     (select count(*)::int from friend f where f.user_id = k.user_id and f.removed_at is null) as friends,
     (select count(*)::int from friend_request r
      where r.user_id = k.user_id and r.state = 'pending' and r.direction = 'outgoing') as requests
   from unnest($1::text[]) as k (user_id)`,
)

interface Counts {
  readonly friends: number
  /** Of the user, that wait for an answer. */
  readonly requests: number
}

/** How many friends each of these users has, and how many requests wait. */
export const friendCounts = async (
  database: Queryable,
  userIds: readonly UserId[],
): Promise<ReadonlyMap<UserId, Counts>> => {
  const rows = await database.query<{ user_id: UserId } & Counts>(counts, [userIds])
  return new Map(rows.map(({ user_id: userId, friends, requests }) => [userId, { friends, requests }]))
}

/** What is unread comes from the snapshot of the rows, too. */
const requestPage = statement(
  'friend-request-page',
  placedFrom(
    `select * from friend_request where user_id = $1 and ($2::text is null or direction = $2)
       and ($3::text is null or state = $3)
       and (asked_position, peer_id) < (coalesce($4::char(16), '~'), coalesce($5::text, ''))
     order by asked_position desc, peer_id desc limit $6::int`,
    [
      `(select count(*)::int from friend_request r
        where r.user_id = $1 and r.state = 'pending' and r.direction = 'incoming' and r.asked_position > coalesce(
          (select m.friend_requests from read_mark m where m.user_id = $1), '')) as unread`,
    ],
  ),
)

export interface FriendRequestOptions extends PageOptions {
  readonly direction?: RequestDirection | undefined
  readonly state?: FriendRequestState | undefined
}

/** The user's friend requests, the newest first, and how many of those that wait are unread in all. @throws InvalidCursor */
export const friendRequestsOf = async (
  database: Queryable,
  userId: UserId,
  { limit, cursor, direction, state }: FriendRequestOptions,
): Promise<PlacedPage<FriendRequestRow> & { readonly unread: number }> => {
  const [position = null, peerId = null] = cursor === undefined ? [] : cursorKey(cursor, ['string', 'string'])
  const parameters = [userId, direction ?? null, state ?? null, position, peerId, limit + 1]
  const rows = await database.query<FriendRequestTable & PlacedRow & { unread: number }>(requestPage, parameters)
  const key = (row: FriendRequestTable) => [row.asked_position, row.peer_id]
  return { ...placedPageOf(rows, limit, friendRequestRowFrom, key), unread: rows[0]?.unread ?? 0 }
}

const requestChanges = statement(
  'friend-request-changes',
  changesFrom(
    'select * from friend_request where user_id = $1 and position >= $2 order by asked_position desc, peer_id desc',
  ),
)

/** What changed in that list at or after a position. */
export const friendRequestChangesOf = async (
  database: Queryable,
  userId: UserId,
  since: Position,
): Promise<Changes<FriendRequestRow> | TooOld> =>
  changesOf(
    await database.query<FriendRequestTable & ChangeRow>(requestChanges, [userId, since]),
    () => false,
    friendRequestRowFrom,
    row => row.peer_id,
  )

export interface OverdueRequest {
  readonly requestId: string
  readonly from: UserId
  readonly to: UserId
}

const overdue = statement(
  'friend-request-overdue',
  `select request_id, user_id, peer_id from friend_request
   where state = 'pending' and direction = 'outgoing' and expires_at <= $1::timestamptz
   order by expires_at limit $2::int`,
)

/** Requests that still wait although their time is over, the oldest first. */
export const overdueRequests = async (
  database: Queryable,
  now: Instant,
  limit: number,
): Promise<readonly OverdueRequest[]> => {
  const rows = await database.query<FriendRequestTable>(overdue, [now, limit])
  return rows.map(row => ({ requestId: row.request_id, from: row.user_id, to: row.peer_id }))
}

const related = statement(
  'friend-related',
  `select friend_id as id from friend where user_id = $1 and removed_at is null
   union select peer_id from friend_request where user_id = $1 and state = 'pending'`,
)

/** Friends, and those with whom a request waits. */
export const relatedTo = async (database: Queryable, userId: UserId): Promise<readonly UserId[]> =>
  (await database.query<{ id: UserId }>(related, [userId])).map(({ id }) => id)
