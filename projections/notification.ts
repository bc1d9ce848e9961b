// Owns the system notifications: what a user is told outside every conversation. One row a user and event.
// Reads the members, which are folded before, to know whom a dissolved group leaves behind.

import type { Position, UserId } from '../domain/ids.ts'
import type { NotificationRow } from '../domain/rows.ts'
import { type ChangeRow, changesFrom, changesOf } from './checkpoint.ts'
import { type Queryable, statement } from './database.ts'
import { type Changes, cursorKey, type Page, type PageOptions, pageOf, type TooOld } from './page.ts'
import type { Projection } from './projection.ts'
import type { NotificationTable } from './schema.ts'
import { columnArrays } from './table.ts'

const folds = ['MembersRemoved', 'GroupDissolved'] as const

const writeForUsers = statement(
  'notification-write',
  `insert into notification (user_id, notification_id, kind, group_id, by_id, at, position)
   select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[])
   on conflict do nothing`,
)

/** Nothing happens in a group after its end, so its members now are its members then. */
const writeForMembers = statement(
  'notification-write-members',
  `insert into notification (user_id, notification_id, kind, group_id, by_id, at, position)
   select m.user_id, e.notification_id, 'groupDissolved', e.group_id, e.by_id, e.at, e.position
   from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[])
     as e (notification_id, group_id, by_id, at, position)
   join member m on m.group_id = e.group_id and m.removed_at is null and m.user_id <> e.by_id
   on conflict do nothing`,
)

const columns = ['user_id', 'notification_id', 'kind', 'group_id', 'by_id', 'at', 'position'] as const

export const notificationProjection: Projection = {
  name: 'notification',
  tables: ['notification'],
  reads: ['member'],
  folds,
  apply: async (transaction, batch) => {
    const kicked = batch.of('MembersRemoved').flatMap(({ id, data, position }): NotificationTable[] => {
      if (data.reason !== 'kicked') return []
      return data.userIds.map(userId => ({
        user_id: userId,
        notification_id: id,
        kind: 'removedFromGroup',
        group_id: data.groupId,
        by_id: data.by,
        at: data.at,
        position,
      }))
    })
    if (kicked.length > 0) await transaction.query(writeForUsers, columnArrays(kicked, columns))
    const dissolved = batch.of('GroupDissolved')
    if (dissolved.length === 0) return
    await transaction.query(writeForMembers, [
      dissolved.map(({ id }) => id),
      dissolved.map(({ data }) => data.groupId),
      dissolved.map(({ data }) => data.by),
      dissolved.map(({ data }) => data.at),
      dissolved.map(({ position }) => position),
    ])
  },
}

export const notificationRowFrom = (row: NotificationTable): NotificationRow => ({
  notificationId: row.notification_id,
  kind: row.kind,
  groupId: row.group_id,
  by: row.by_id,
  at: row.at,
})

const page = statement(
  'notification-page',
  `select * from notification where user_id = $1
     and ($2::text is null or (position, notification_id) < ($2::char(16), $3::text))
   order by position desc, notification_id desc limit $4::int`,
)

/** What the user was told, the newest first. @throws InvalidCursor */
export const notificationsOf = async (
  database: Queryable,
  userId: UserId,
  { limit, cursor }: PageOptions,
): Promise<Page<NotificationRow>> => {
  const [position = null, id = null] = cursor === undefined ? [] : cursorKey(cursor, ['string', 'string'])
  const rows = await database.query<NotificationTable>(page, [userId, position, id, limit + 1])
  return pageOf(rows, limit, notificationRowFrom, row => [row.position, row.notification_id])
}

const changes = statement(
  'notification-changes',
  changesFrom(
    'select * from notification where user_id = $1 and position >= $2 order by position desc, notification_id desc',
  ),
)

/** What was added to that list at or after a position. */
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
