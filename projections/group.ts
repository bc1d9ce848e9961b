// Owns the groups as their members see them (R14–R17). Folds the group's own events; who is in it is member.ts' matter.
// Never shows a group to one who is not in it: a member, or one who was a member when it was dissolved.

import { type GroupId, groupConversationId, type Position, type UserId } from '../domain/ids.ts'
import type { GroupRow } from '../domain/rows.ts'
import { type ChangeRow, changesFrom, changesOf } from './checkpoint.ts'
import { type Queryable, statement } from './database.ts'
import { type Changes, cursorKey, type Page, type PageOptions, pageOf, type TooOld } from './page.ts'
import type { Projection } from './projection.ts'
import type { GroupTable, MemberTable } from './schema.ts'
import { lookUp, startFold, tableOf } from './table.ts'

const table = tableOf('group', ['group_id'], {
  group_id: 'text',
  conversation_id: 'text',
  name: 'text',
  owner_id: 'text',
  created_by: 'text',
  member_count: 'integer',
  member_limit: 'integer',
  invite_mode: 'text',
  created_at: 'timestamptz',
  dissolved_at: 'timestamptz',
  position: 'text',
})

const folds = ['GroupCreated', 'MembersAdded', 'MembersRemoved', 'OwnerTransferred', 'GroupDissolved'] as const

export const groupProjection: Projection = {
  name: 'group',
  tables: ['group'],
  reads: [],
  folds,
  apply: async (transaction, batch) => {
    const events = batch.ofAny(folds)
    if (events.length === 0) return
    const fold = await startFold(
      transaction,
      table,
      events.map(event => [event.data.groupId]),
    )
    for (const { type, data, position } of events) {
      if (type === 'GroupCreated') {
        fold.put({
          group_id: data.groupId,
          conversation_id: groupConversationId(data.groupId),
          name: data.name,
          owner_id: data.ownerId,
          created_by: data.by,
          member_count: data.memberCount,
          member_limit: data.memberLimit,
          invite_mode: data.inviteMode,
          created_at: data.at,
          dissolved_at: null,
          position,
        })
        continue
      }
      const row = fold.get(data.groupId)
      if (row === undefined) continue
      if (type === 'OwnerTransferred') fold.put({ ...row, owner_id: data.to, position })
      else if (type === 'GroupDissolved') fold.put({ ...row, dissolved_at: data.at, position })
      else fold.put({ ...row, member_count: data.memberCount, position })
    }
    await fold.write()
  },
}

/** A group beside one member's own row. */
export type MemberGroupRow = GroupTable & { readonly role: MemberTable['role'] }

export const groupRowFrom = (row: MemberGroupRow): GroupRow => ({
  groupId: row.group_id,
  conversationId: row.conversation_id,
  name: row.name,
  ownerId: row.owner_id,
  memberCount: row.member_count,
  memberLimit: row.member_limit,
  inviteMode: row.invite_mode,
  createdAt: row.created_at,
  dissolvedAt: row.dissolved_at,
  myRole: row.role,
})

const page = statement(
  'group-page',
  `select g.*, m.role from member m ${lookUp('"group"', 'g', 'group_id = m.group_id')}
   where m.user_id = $1 and m.removed_at is null and g.dissolved_at is null and ($2::text is null or m.group_id < $2)
   order by m.group_id desc limit $3::int`,
)

/** The groups the user is in, the newest first; without dissolved ones. @throws InvalidCursor */
export const groupsOf = async (
  database: Queryable,
  userId: UserId,
  { limit, cursor }: PageOptions,
): Promise<Page<GroupRow>> => {
  const [groupId = null] = cursor === undefined ? [] : cursorKey(cursor, ['string'])
  const rows = await database.query<MemberGroupRow>(page, [userId, groupId, limit + 1])
  return pageOf(rows, limit, groupRowFrom, row => [row.group_id])
}

/** Both rows count: a role that changed stands in the member's, everything else in the group's. */
const changes = statement(
  'group-changes',
  changesFrom(
    `select g.*, m.role, m.removed_at from member m ${lookUp('"group"', 'g', 'group_id = m.group_id')}
     where m.user_id = $1 and (m.position >= $2 or (m.removed_at is null and g.position >= $2)) order by m.group_id desc`,
  ),
)

/** What changed in that list at or after a position. */
export const groupChangesOf = async (
  database: Queryable,
  userId: UserId,
  since: Position,
): Promise<Changes<GroupRow> | TooOld> =>
  changesOf(
    await database.query<MemberGroupRow & Pick<MemberTable, 'removed_at'> & ChangeRow>(changes, [userId, since]),
    row => row.removed_at !== null || row.dissolved_at !== null,
    groupRowFrom,
    (row): GroupId => row.group_id,
  )

const one = statement(
  'group-one',
  `select g.*, m.role from member m ${lookUp('"group"', 'g', 'group_id = m.group_id')}
   where m.user_id = $1 and m.group_id = $2 and m.removed_at is null`,
)

/** A group as one of its members sees it, also after it was dissolved; undefined for everybody else. */
export const groupOf = async (database: Queryable, userId: UserId, groupId: GroupId): Promise<GroupRow | undefined> => {
  const [row] = await database.query<MemberGroupRow>(one, [userId, groupId])
  return row === undefined ? undefined : groupRowFrom(row)
}

const createdCount = statement(
  'group-created-count',
  'select count(*)::int as count from "group" where created_by = $1 and dissolved_at is null',
)

/** How many groups the user made that are still there (R14). */
export const groupsCreatedCount = async (database: Queryable, userId: UserId): Promise<number> =>
  (await database.query<{ count: number }>(createdCount, [userId]))[0]?.count ?? 0

const joinedCounts = statement(
  'group-joined-counts',
  `select k.user_id, (
     select count(*)::int from member m where m.user_id = k.user_id and m.removed_at is null
       and (select g.dissolved_at from "group" g where g.group_id = m.group_id) is null) as count
   from unnest($1::text[]) as k (user_id)`,
)

/** How many groups each of these users is in. */
export const groupsJoinedCounts = async (
  database: Queryable,
  userIds: readonly UserId[],
): Promise<ReadonlyMap<UserId, number>> => {
  const rows = await database.query<{ user_id: UserId; count: number }>(joinedCounts, [userIds])
  return new Map(rows.map(row => [row.user_id, row.count]))
}

const idsOf = statement(
  'group-ids',
  `select c.position, array(select m.group_id from member m where m.user_id = $1 and m.removed_at is null order by 1) as ids
   from checkpoint c where c.id = 1`,
)

/** The groups whose messages the user gets, dissolved ones too (their last message is still to come), at a position. */
export const groupIdsOf = async (
  database: Queryable,
  userId: UserId,
): Promise<{ readonly position: Position; readonly groupIds: readonly GroupId[] } | undefined> => {
  const [row] = await database.query<{ position: Position; ids: GroupId[] }>(idsOf, [userId])
  return row === undefined ? undefined : { position: row.position, groupIds: row.ids }
}
