// Owns the announcements of groups as their members see them (R40). One that was deleted is a tombstone without its text.
// Who has seen which pop-up is the members' own matter: inbox.ts.

import type { GroupId, Instant, UserId } from '../domain/ids.ts'
import { type Queryable, statement } from './database.ts'
import { cursorKey, type Page, type PageOptions, pageOf } from './page.ts'
import type { Projection } from './projection.ts'
import type { AnnouncementTable } from './schema.ts'
import { startFold, tableOf } from './table.ts'

const table = tableOf('announcement', ['group_id', 'announcement_id'], {
  group_id: 'text',
  announcement_id: 'text',
  number: 'integer',
  text: 'text',
  popup: 'boolean',
  by_id: 'text',
  at: 'timestamptz',
  removed_at: 'timestamptz',
  position: 'text',
})

const folds = ['AnnouncementPublished', 'AnnouncementDeleted'] as const

export const announcementProjection: Projection = {
  name: 'announcement',
  tables: ['announcement'],
  reads: [],
  folds,
  apply: async (transaction, batch) => {
    const events = batch.ofAny(folds)
    if (events.length === 0) return
    const keys = events.map(({ data }) => [data.groupId, data.announcementId])
    const fold = await startFold(transaction, table, keys)
    for (const { type, data, position } of events) {
      if (type === 'AnnouncementPublished') {
        fold.put({
          group_id: data.groupId,
          announcement_id: data.announcementId,
          number: data.number,
          text: data.text,
          popup: data.popup,
          by_id: data.by,
          at: data.at,
          removed_at: null,
          position,
        })
        continue
      }
      const row = fold.get(data.groupId, data.announcementId)
      if (row !== undefined) fold.put({ ...row, text: '', removed_at: data.at, position })
    }
    await fold.write()
  },
}

export interface AnnouncementRow {
  readonly groupId: GroupId
  readonly announcementId: string
  readonly number: number
  readonly text: string
  readonly popup: boolean
  readonly by: UserId
  readonly at: Instant
}

const announcementFrom = (row: AnnouncementTable): AnnouncementRow => ({
  groupId: row.group_id,
  announcementId: row.announcement_id,
  number: row.number,
  text: row.text,
  popup: row.popup,
  by: row.by_id,
  at: row.at,
})

/** Always a row for a member, none for anybody else. */
const page = statement(
  'announcement-page',
  `select t.announcement_id is not null as is_row, t.*
   from member me left join lateral (
     select * from announcement a where a.group_id = $2 and a.removed_at is null and ($3::int is null or a.number < $3)
     order by a.number desc limit $4::int) t on true
   where me.group_id = $2 and me.user_id = $1 and me.removed_at is null`,
)

/** The announcements of a group, the newest first; undefined for one who is no member. @throws InvalidCursor */
export const announcementsOf = async (
  database: Queryable,
  userId: UserId,
  groupId: GroupId,
  { limit, cursor }: PageOptions,
): Promise<Page<AnnouncementRow> | undefined> => {
  const [number = null] = cursor === undefined ? [] : cursorKey(cursor, ['number'])
  const rows = await database.query<AnnouncementTable & { readonly is_row: boolean }>(page, [
    userId,
    groupId,
    number,
    limit + 1,
  ])
  if (rows.length === 0) return undefined
  const found = rows.filter(row => row.is_row)
  return pageOf(found, limit, announcementFrom, row => [row.number])
}
