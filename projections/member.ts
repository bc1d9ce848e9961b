// Owns who is in which group, and as what (R15–R25). One who left is a tombstone here.
// Never shows members to one who is not among them.

import { inviterOf, type MutedUntil } from '../domain/group/events.ts'
import type { GroupId, Instant, Position, UserId } from '../domain/ids.ts'
import { type MemberRow, memberRow } from '../domain/member/row.ts'
import type { GroupRole } from '../domain/rows.ts'
import type { Recorded } from './batch.ts'
import { type Queryable, statement, type Transaction } from './database.ts'
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
  muted_until: 'text',
  nickname: 'text',
  extension: 'text',
  followed_ids: 'text',
  removed_at: 'timestamptz',
  position: 'text',
})

const counts = tableOf('membership_count', ['user_id'], { user_id: 'text', groups: 'integer' })

const folds = [
  'GroupCreated',
  'MembersAdded',
  'MembersRemoved',
  'OwnerTransferred',
  'AdminAdded',
  'AdminRemoved',
  'MemberMuted',
  'MemberUnmuted',
  'MemberEdited',
  'MemberFollowed',
  'MemberUnfollowed',
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
  mutedUntil: MutedUntil | null = null,
): MemberTable => ({
  group_id: groupId,
  user_id: userId,
  role,
  joined_at: at,
  invited_by: invitedBy,
  muted_until: mutedUntil,
  nickname: null,
  extension: '',
  followed_ids: '[]',
  removed_at: null,
  position,
})

const step = (fold: Fold<MemberTable>, { type, data, position }: MemberEvent): void => {
  const { groupId, at } = data
  const change = (userId: UserId, changed: Partial<MemberTable>) => {
    const row = fold.get(groupId, userId)
    if (row !== undefined && row.removed_at === null) fold.put({ ...row, ...changed, position })
  }
  switch (type) {
    case 'GroupCreated':
      fold.put(joined(groupId, data.ownerId, 'owner', null, at, position))
      for (const userId of data.memberIds) fold.put(joined(groupId, userId, 'member', data.by, at, position))
      break
    case 'MembersAdded': {
      const mutes = new Map(data.mutes?.map(({ userId, until }) => [userId, until]))
      for (const userId of data.userIds) {
        fold.put(joined(groupId, userId, 'member', inviterOf(data) ?? null, at, position, mutes.get(userId)))
      }
      break
    }
    case 'MembersRemoved':
      for (const userId of data.userIds) change(userId, { removed_at: at })
      break
    case 'OwnerTransferred':
      change(data.from, { role: 'member' })
      change(data.to, { role: 'owner', muted_until: null })
      break
    case 'AdminAdded':
      change(data.userId, { role: 'admin', muted_until: null })
      break
    case 'AdminRemoved':
      change(data.userId, { role: 'member' })
      break
    case 'MemberMuted':
      change(data.userId, { muted_until: data.until })
      break
    case 'MemberUnmuted':
      change(data.userId, { muted_until: null })
      break
    case 'MemberEdited':
    case 'MemberFollowed':
    case 'MemberUnfollowed': {
      const { nickname, extension, followedIds } = data.profile
      // Of an earlier membership: who came back began anew.
      if (fold.get(groupId, data.userId)?.joined_at !== data.joinedAt) break
      change(data.userId, { nickname, extension, followed_ids: JSON.stringify(followedIds) })
      break
    }
  }
}

const membershipsIn = (row: MemberTable): number => (row.removed_at === null ? 1 : 0)

/** Only these change who is in a group. */
const movesPeople: ReadonlySet<MemberEvent['type']> = new Set(['GroupCreated', 'MembersAdded', 'MembersRemoved'])

/** Who came in counts one group more, who went one less. Whoever was ever in a group has a count. */
const count = async (
  transaction: Transaction,
  changes: readonly (readonly [userId: UserId, change: number])[],
): Promise<void> => {
  const sums = new Map<UserId, number>()
  for (const [userId, change] of changes) sums.set(userId, (sums.get(userId) ?? 0) + change)
  const fold = await startFold(
    transaction,
    counts,
    [...sums.keys()].map(userId => [userId]),
  )
  for (const [userId, change] of sums) {
    const row = fold.get(userId)
    if (row === undefined || change !== 0) fold.put({ user_id: userId, groups: (row?.groups ?? 0) + change })
  }
  await fold.write()
}

export const memberProjection: Projection = {
  name: 'member',
  tables: ['member', 'membership_count'],
  reads: [],
  folds,
  apply: async (transaction, batch) => {
    const events = batch.ofAny(folds)
    if (events.length === 0) return
    const keys = events.flatMap(event => usersIn(event).map(userId => [event.data.groupId, userId]))
    const fold = await startFold(transaction, table, keys)
    const before = Array.from(fold.rows(), row => [row.user_id, -membershipsIn(row)] as const)
    for (const event of events) step(fold, event)
    await fold.write()
    if (!events.some(({ type }) => movesPeople.has(type))) return
    await count(transaction, [...before, ...Array.from(fold.rows(), row => [row.user_id, membershipsIn(row)] as const)])
  },
}

export const memberRowFrom = (row: MemberTable): MemberRow => {
  const { role, nickname, extension } = row
  const member = {
    role,
    joinedAt: row.joined_at,
    ...(row.invited_by === null ? undefined : { invitedBy: row.invited_by }),
  }
  return memberRow(row.group_id, row.user_id, member, { nickname, extension }, row.muted_until)
}

/** $1 asks about group $2: always a row for a member, none for anybody else. */
const forMembers = (rows: string): string =>
  `select c.position as models_position, t.group_id is not null as is_row, t.*
   from checkpoint c join member me on me.group_id = $2 and me.user_id = $1 and me.removed_at is null
   left join lateral (${rows}) t on true where c.id = 1`

type ListedMember = MemberTable & { readonly models_position: Position; readonly is_row: boolean }

/** $3 is a role or null; $4 and $5 the place after which it goes on, or null; $6 how many. */
const pageOfMembers = (from: string, condition = ''): string =>
  forMembers(
    `select m.* from member m ${from}
     where m.group_id = $2 and m.removed_at is null and ($3::text is null or m.role = $3) ${condition}
       and (m.joined_at, m.user_id) > (coalesce($4::timestamptz, '-infinity'), coalesce($5::text, ''))
     order by m.joined_at, m.user_id limit $6::int`,
  )

const page = statement('member-page', pageOfMembers(''))

/** Looks at every member: a part of a name is nowhere in an index. */
const search = statement(
  'member-search',
  pageOfMembers(
    'left join account a on a.user_id = m.user_id',
    `and (m.user_id = $7 or position(lower($7) in lower(m.nickname)) > 0
          or ($8::boolean and position(lower($7) in lower(a.name)) > 0))`,
  ),
)

export interface MemberPageOptions extends PageOptions {
  readonly role?: GroupRole | undefined
  /** Part of a member's nickname or name, or a whole user id. */
  readonly q?: string | undefined
  /** Whether the accounts' names are looked at; not for one who may not see them. */
  readonly byName?: boolean | undefined
}

/** The members of a group, those who joined first before the others; undefined for one who is no member. @throws InvalidCursor */
export const membersOf = async (
  database: Queryable,
  userId: UserId,
  groupId: GroupId,
  { role, q, byName = true, limit, cursor }: MemberPageOptions,
): Promise<Page<MemberRow> | undefined> => {
  const [joinedAt = null, after = null] = cursor === undefined ? [] : cursorKey(cursor, ['instant', 'string'])
  const place = [userId, groupId, role ?? null, joinedAt, after, limit + 1]
  const rows =
    q === undefined
      ? await database.query<ListedMember>(page, place)
      : await database.query<ListedMember>(search, [...place, q.replaceAll('\0', ''), byName])
  if (rows.length === 0) return undefined
  const members = rows.filter(row => row.is_row)
  return pageOf(members, limit, memberRowFrom, row => [row.joined_at, row.user_id])
}

const one = statement(
  'member-one',
  `select m.* from member me join member m on m.group_id = me.group_id and m.user_id = $3 and m.removed_at is null
   where me.group_id = $2 and me.user_id = $1 and me.removed_at is null`,
)

/** One member, as a member sees them; undefined for whoever is none. */
export const memberOf = async (
  database: Queryable,
  viewer: UserId,
  groupId: GroupId,
  userId: UserId,
): Promise<MemberRow | undefined> => {
  const [row] = await database.query<MemberTable>(one, [viewer, groupId, userId])
  return row && memberRowFrom(row)
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
