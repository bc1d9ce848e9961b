// Owns the system notifications: what a user is told outside every conversation, and how far the user has seen. What events
// make of them is told in domain/notification/row.ts. Reads the members, which are folded before, to know whom a dissolved
// group leaves behind.

import type { GroupId, Position, UserId } from '../domain/ids.ts'
import type { ReadMarks } from '../domain/notification/events.ts'
import {
  type Notice,
  type NotificationRow,
  type NotificationState,
  noticedTypes,
  noticesFor,
} from '../domain/notification/row.ts'
import type { Batch } from './batch.ts'
import { type ChangeRow, changesFrom, changesOf, type PlacedRow, placedFrom, placedPageOf } from './checkpoint.ts'
import { type Queryable, statement, type Transaction } from './database.ts'
import { type Changes, cursorKey, type PageOptions, type PlacedPage, type TooOld } from './page.ts'
import type { Projection } from './projection.ts'
import type { NotificationTable, ReadMarkTable } from './schema.ts'
import { type Fold, startFold, tableOf } from './table.ts'

const table = tableOf('notification', ['user_id', 'notification_id'], {
  user_id: 'text',
  notification_id: 'text',
  kind: 'text',
  by_id: 'text',
  about_id: 'text',
  group_id: 'text',
  message: 'text',
  at: 'timestamptz',
  asked_position: 'text',
  state: 'text',
  ended_at: 'timestamptz',
  position: 'text',
})

const markTable = tableOf('read_mark', ['user_id'], {
  user_id: 'text',
  notifications: 'text',
  friend_requests: 'text',
  position: 'text',
})

const members = statement(
  'notification-members',
  'select group_id, user_id from member where group_id = any($1::text[]) and removed_at is null',
)

/** Nothing happens in a group after its end, so its members now are its members then. */
const membersAtEndOf = async (transaction: Transaction, batch: Batch): Promise<(groupId: GroupId) => UserId[]> => {
  const dissolved = batch.of('GroupDissolved')
  if (dissolved.length === 0) return () => []
  const groupIds = dissolved.map(({ data }) => data.groupId)
  const rows = await transaction.query<{ group_id: GroupId; user_id: UserId }>(members, [groupIds])
  return groupId => rows.filter(row => row.group_id === groupId).map(row => row.user_id)
}

const rowOf = (userId: UserId, row: NotificationRow): Omit<NotificationTable, 'position'> => ({
  user_id: userId,
  notification_id: row.notificationId,
  kind: row.kind,
  by_id: row.by,
  about_id: row.userId ?? null,
  group_id: row.groupId ?? null,
  message: row.message ?? null,
  at: row.at,
  asked_position: row.position,
  state: row.state,
  // What is over when it is told ends then.
  ended_at: row.state === 'none' ? row.at : (row.endedAt ?? null),
})

const step = (fold: Fold<NotificationTable>, notice: Notice, position: Position): void => {
  if (notice.do === 'put') {
    fold.put({ ...rowOf(notice.userId, notice.row), position })
    return
  }
  const row = fold.get(notice.userId, notice.notificationId)
  if (row !== undefined) fold.put({ ...row, state: notice.state, ended_at: notice.endedAt, position })
}

const idOf = (notice: Notice): string => (notice.do === 'put' ? notice.row.notificationId : notice.notificationId)

const applyNotices = async (transaction: Transaction, batch: Batch): Promise<void> => {
  const events = batch.ofAny(noticedTypes)
  if (events.length === 0) return
  const membersAtEnd = await membersAtEndOf(transaction, batch)
  const notices = events.flatMap(event =>
    noticesFor(event, membersAtEnd).map(notice => ({ notice, position: event.position })),
  )
  const keys = notices.map(({ notice }) => [notice.userId, idOf(notice)])
  const fold = await startFold(transaction, table, keys)
  for (const { notice, position } of notices) step(fold, notice, position)
  await fold.write()
}

const markTypes = ['NotificationsRead', 'FriendRequestsRead'] as const

const applyMarks = async (transaction: Transaction, batch: Batch): Promise<void> => {
  const events = batch.ofAny(markTypes)
  if (events.length === 0) return
  const fold = await startFold(transaction, markTable, [])
  for (const { data, position } of events) {
    const { userId, marks } = data
    const { notifications, friendRequests } = marks
    fold.put({ user_id: userId, notifications, friend_requests: friendRequests, position })
  }
  await fold.write()
}

export const notificationProjection: Projection = {
  name: 'notification',
  tables: ['notification', 'read_mark'],
  reads: ['member'],
  folds: [...noticedTypes, ...markTypes],
  apply: async (transaction, batch) => {
    await applyNotices(transaction, batch)
    await applyMarks(transaction, batch)
  },
}

export const notificationRowFrom = (row: NotificationTable): NotificationRow => ({
  notificationId: row.notification_id,
  kind: row.kind,
  at: row.at,
  position: row.asked_position,
  by: row.by_id,
  ...(row.about_id === null ? undefined : { userId: row.about_id }),
  ...(row.group_id === null ? undefined : { groupId: row.group_id }),
  ...(row.message === null ? undefined : { message: row.message }),
  state: row.state,
  ...(row.state === 'none' || row.ended_at === null ? undefined : { endedAt: row.ended_at }),
})

export const readMarksFrom = (row: ReadMarkTable): ReadMarks => ({
  notifications: row.notifications,
  friendRequests: row.friend_requests,
})

/** What is unread comes from the snapshot of the rows, too. */
const page = statement(
  'notification-page',
  placedFrom(
    `select * from notification where user_id = $1 and ($2::text is null or state = $2)
       and (asked_position, notification_id) < (coalesce($3::char(16), '~'), coalesce($4::text, ''))
     order by asked_position desc, notification_id desc limit $5::int`,
    [
      `(select count(*)::int from notification n where n.user_id = $1 and n.asked_position > coalesce(
         (select m.notifications from read_mark m where m.user_id = $1), '')) as unread`,
    ],
  ),
)

export interface NotificationPage extends PlacedPage<NotificationRow> {
  /** In all, whatever the page shows. */
  readonly unread: number
}

/** What the user was told, the newest first. @throws InvalidCursor */
export const notificationsOf = async (
  database: Queryable,
  userId: UserId,
  { limit, cursor, state }: PageOptions & { readonly state?: NotificationState | undefined },
): Promise<NotificationPage> => {
  const [position = null, id = null] = cursor === undefined ? [] : cursorKey(cursor, ['string', 'string'])
  const rows = await database.query<NotificationTable & PlacedRow & { unread: number }>(page, [
    userId,
    state ?? null,
    position,
    id,
    limit + 1,
  ])
  return {
    ...placedPageOf(rows, limit, notificationRowFrom, row => [row.asked_position, row.notification_id]),
    unread: rows[0]?.unread ?? 0,
  }
}

const changes = statement(
  'notification-changes',
  changesFrom(
    'select * from notification where user_id = $1 and position >= $2 order by asked_position desc, notification_id desc',
  ),
)

/** What changed in that list at or after a position. */
export const notificationChangesOf = async (
  database: Queryable,
  userId: UserId,
  since: Position,
): Promise<Changes<NotificationRow> | TooOld> =>
  changesOf(
    await database.query<NotificationTable & ChangeRow>(changes, [userId, since]),
    () => false,
    notificationRowFrom,
    row => row.notification_id,
  )
