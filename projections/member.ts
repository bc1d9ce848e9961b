// Owns who is in which group, and as what (R15–R25). One who left is a tombstone here.
// Never shows members to one who is not among them.

import type { GroupId, Instant, Position, UserId } from '../domain/ids.ts'
import type { GroupRole, MemberRow } from '../domain/rows.ts'
import type { Recorded } from './batch.ts'
import { type Queryable, statement } from './database.ts'
import { cursorKey, type Page, type PageOptions, pageOf } from './page.ts'
import type { Projection } from './projection.ts'
import type { MemberTable } from './schema.ts'
import { type Fold, startFold, tableOf } from './table.ts'

const table = tableOf('member', ['group_id', 'user_id'], {
  group_id: 'text',
  user_id: 'text',
  role: 'text',
  joined_at: 'timestamptz',
  invited_by: 'text',
  removed_at: 'timestamptz',
  position: 'text',
})

const folds = [
  'GroupCreated',
  'MembersAdded',
  'MembersRemoved',
  'OwnerTransferred',
  'AdminAdded',
  'AdminRemoved',
] as const
type MemberEvent = Recorded<(typeof folds)[number]>

const usersIn = ({ type, data }: MemberEvent): readonly UserId[] => {
  if (type === 'GroupCreated') return [data.ownerId, ...data.memberIds]
  if (type === 'OwnerTransferred') return [data.from, data.to]
  return 'userIds' in data ? data.userIds : [data.userId]
}

const joined = (
  groupId: GroupId,
  userId: UserId,
  role: GroupRole,
  invitedBy: UserId | null,
  at: Instant,
  position: Position,
): MemberTable => ({
  group_id: groupId,
  user_id: userId,
  role,
  joined_at: at,
  invited_by: invitedBy,
  removed_at: null,
  position,
})

const step = (fold: Fold<MemberTable>, { type, data, position }: MemberEvent): void => {
  const { groupId, at } = data
  const give = (userId: UserId, role: GroupRole) => {
    const row = fold.get(groupId, userId)
    if (row !== undefined && row.removed_at === null) fold.put({ ...row, role, position })
  }
  switch (type) {
    case 'GroupCreated':
      fold.put(joined(groupId, data.ownerId, 'owner', null, at, position))
      for (const userId of data.memberIds) fold.put(joined(groupId, userId, 'member', data.by, at, position))
      break
    case 'MembersAdded':
      for (const userId of data.userIds) fold.put(joined(groupId, userId, 'member', data.by, at, position))
      break
    case 'MembersRemoved':
      for (const userId of data.userIds) {
        const row = fold.get(groupId, userId)
        if (row !== undefined && row.removed_at === null) fold.put({ ...row, removed_at: at, position })
      }
      break
    case 'OwnerTransferred':
      give(data.from, 'member')
      give(data.to, 'owner')
      break
    case 'AdminAdded':
      give(data.userId, 'admin')
      break
    case 'AdminRemoved':
      give(data.userId, 'member')
      break
  }
}

export const memberProjection: Projection = {
  name: 'member',
  tables: ['member'],
  reads: [],
  folds,
  apply: async (transaction, batch) => {
    const events = batch.ofAny(folds)
    if (events.length === 0) return
    const keys = events.flatMap(event => usersIn(event).map(userId => [event.data.groupId, userId]))
    const fold = await startFold(transaction, table, keys)
    for (const event of events) step(fold, event)
    await fold.write()
  },
}

export const memberRowFrom = (row: MemberTable): MemberRow => ({
  groupId: row.group_id,
  userId: row.user_id,
  role: row.role,
  joinedAt: row.joined_at,
  ...(row.invited_by === null ? undefined : { invitedBy: row.invited_by }),
})

/** $1 asks about group $2: always a row for a member, none for anybody else. */
const forMembers = (rows: string): string =>
  `select c.position as models_position, t.group_id is not null as is_row, t.*
   from checkpoint c join member me on me.group_id = $2 and me.user_id = $1 and me.removed_at is null
   left join lateral (${rows}) t on true where c.id = 1`

type ListedMember = MemberTable & { readonly models_position: Position; readonly is_row: boolean }

const page = statement(
  'member-page',
  forMembers(
    `select m.* from member m left join account a on a.user_id = m.user_id
     where m.group_id = $2 and m.removed_at is null and ($3::text is null or m.role = $3)
       and ($4::text is null or position(lower($4) in lower(a.name)) > 0 or m.user_id = $4)
       and ($5::timestamptz is null or (m.joined_at, m.user_id) > ($5::timestamptz, $6::text))
     order by m.joined_at, m.user_id limit $7::int`,
  ),
)

export interface MemberPageOptions extends PageOptions {
  readonly role?: GroupRole | undefined
  /** Part of a member's name, or a whole user id. */
  readonly q?: string | undefined
}

/** The members of a group, those who joined first before the others; undefined for one who is no member. @throws InvalidCursor */
export const membersOf = async (
  database: Queryable,
  userId: UserId,
  groupId: GroupId,
  { role, q, limit, cursor }: MemberPageOptions,
): Promise<Page<MemberRow> | undefined> => {
  const [joinedAt = null, after = null] = cursor === undefined ? [] : cursorKey(cursor, ['instant', 'string'])
  const parameters = [userId, groupId, role ?? null, q?.replaceAll('\0', '') ?? null, joinedAt, after, limit + 1]
  const rows = await database.query<ListedMember>(page, parameters)
  if (rows.length === 0) return undefined
  const members = rows.filter(row => row.is_row)
  return pageOf(members, limit, memberRowFrom, row => [row.joined_at, row.user_id])
}

const all = statement(
  'member-all',
  forMembers('select m.* from member m where m.group_id = $2 and m.removed_at is null order by m.joined_at, m.user_id'),
)

/** All members as JSON texts, with the position they are of; undefined for one who is no member. A group's size bounds them. */
export const allMembersOf = async (
  database: Queryable,
  userId: UserId,
  groupId: GroupId,
): Promise<{ readonly position: Position; readonly items: readonly string[] } | undefined> => {
  const rows = await database.query<ListedMember>(all, [userId, groupId])
  const [first] = rows
  if (first === undefined) return undefined
  const items = rows.filter(row => row.is_row).map(row => JSON.stringify(memberRowFrom(row)))
  return { position: first.models_position, items }
}
