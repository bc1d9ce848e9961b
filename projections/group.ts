// Owns the groups as their members see them (R14–R17). Folds the group's own events; who is in it is member.ts' matter.
// Never shows a group to one who is not in it: a member, or one who was a member when it was dissolved.

import type { EventOf } from '../domain/events.ts'
import {
  attributesIn,
  earlierAttributes,
  type GroupAttribute,
  type GroupAttributes,
  groupAttributes,
} from '../domain/group/attributes.ts'
import { type FoundGroupRow, foundGroupRow, type GroupRow, type GroupRowParts, groupRow } from '../domain/group/row.ts'
import type { GroupId, Position, UserId } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import type { Recorded } from './batch.ts'
import { type ChangeRow, changesFrom, changesOf, type PlacedRow, placedFrom, placedPageOf } from './checkpoint.ts'
import { type Queryable, statement } from './database.ts'
import { type Changes, cursorKey, type Page, type PageOptions, type PlacedPage, pageOf, type TooOld } from './page.ts'
import type { Projection } from './projection.ts'
import type { GroupTable, MemberTable } from './schema.ts'
import { lookUp, startFold, tableOf } from './table.ts'

const table = tableOf('group', ['group_id'], {
  group_id: 'text',
  owner_id: 'text',
  created_by: 'text',
  member_count: 'integer',
  name: 'text',
  avatar_url: 'text',
  introduction: 'text',
  announcement: 'text',
  extension: 'text',
  app_extension: 'text',
  member_limit: 'integer',
  join_mode: 'text',
  invite_mode: 'text',
  invitee_consent: 'text',
  edit_mode: 'text',
  edit_extension_mode: 'text',
  mute_all: 'text',
  history_before_join: 'boolean',
  hide_member_profiles: 'boolean',
  no_friend_requests: 'boolean',
  auto_approve: 'text',
  searchable: 'boolean',
  search_name: 'text',
  created_at: 'timestamptz',
  dissolved_at: 'timestamptz',
  position: 'text',
})

/** Where each attribute stands. */
const columnOf = {
  name: 'name',
  avatarUrl: 'avatar_url',
  introduction: 'introduction',
  announcement: 'announcement',
  extension: 'extension',
  appExtension: 'app_extension',
  memberLimit: 'member_limit',
  joinMode: 'join_mode',
  inviteMode: 'invite_mode',
  inviteeConsent: 'invitee_consent',
  editMode: 'edit_mode',
  editExtensionMode: 'edit_extension_mode',
  muteAll: 'mute_all',
  historyBeforeJoin: 'history_before_join',
  hideMemberProfiles: 'hide_member_profiles',
  noFriendRequestsBetweenMembers: 'no_friend_requests',
  autoApprove: 'auto_approve',
  searchable: 'searchable',
} as const satisfies { readonly [Attribute in GroupAttribute]: keyof GroupTable }

type AttributeColumns = Pick<GroupTable, (typeof columnOf)[GroupAttribute]>

/** The columns of these attributes; of others nothing. */
const columnsOf = (attributes: Partial<GroupAttributes>): Partial<AttributeColumns> =>
  Object.fromEntries(
    groupAttributes.flatMap(attribute =>
      attributes[attribute] === undefined ? [] : [[columnOf[attribute], attributes[attribute]]],
    ),
  )

/** As names are compared in a search: without case. */
export const searchKeyOf = (text: string): string => text.toLowerCase()

/** The name can be found while the group may be. */
const withSearchName = (row: GroupTable): GroupTable => ({
  ...row,
  search_name: row.searchable && row.dissolved_at === null ? searchKeyOf(row.name) : null,
})

const folds = [
  'GroupCreated',
  'MembersAdded',
  'MembersRemoved',
  'OwnerTransferred',
  'GroupUpdated',
  'MuteAllChanged',
  'GroupDissolved',
] as const

const created = (data: EventOf<'GroupCreated'>['data'], position: Position): GroupTable =>
  withSearchName({
    ...(columnsOf({ ...earlierAttributes, ...attributesIn(data) }) as AttributeColumns),
    group_id: data.groupId,
    owner_id: data.ownerId,
    created_by: data.by,
    member_count: data.memberCount,
    search_name: null,
    created_at: data.at,
    dissolved_at: null,
    position,
  })

const changed = (
  row: GroupTable,
  { type, data, position }: Exclude<Recorded<(typeof folds)[number]>, Recorded<'GroupCreated'>>,
): GroupTable => {
  switch (type) {
    case 'OwnerTransferred':
      return { ...row, owner_id: data.to, position }
    case 'GroupUpdated':
      return withSearchName({ ...row, ...columnsOf(data.changed), position })
    case 'MuteAllChanged':
      return { ...row, mute_all: data.mode, position }
    case 'GroupDissolved':
      return withSearchName({ ...row, dissolved_at: data.at, position })
    case 'MembersAdded':
    case 'MembersRemoved':
      return { ...row, member_count: data.memberCount, position }
  }
}

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
    for (const event of events) {
      if (event.type === 'GroupCreated') {
        fold.put(created(event.data, event.position))
        continue
      }
      const row = fold.get(event.data.groupId)
      if (row !== undefined) fold.put(changed(row, event))
    }
    await fold.write()
  },
}

/** Columns of a group that are for finding it; none of its rows shows them. */
const hidden = ['created_by', 'search_name'] as const satisfies (keyof GroupTable)[]
type ShownGroup = Omit<GroupTable, (typeof hidden)[number]>

/** A group beside one member's own row. */
export type MemberGroupRow = ShownGroup & {
  readonly role: MemberTable['role']
  readonly muted_until: MemberTable['muted_until']
  readonly nickname: MemberTable['nickname']
  readonly my_extension: MemberTable['extension']
  readonly followed_ids: MemberTable['followed_ids']
}

/** The columns of such a row, of `g` and `m`. */
export const memberGroupColumns = [
  ...table.columns.filter(column => !hidden.some(name => name === column)).map(column => `g.${column}`),
  ...['m.role', 'm.muted_until', 'm.nickname', 'm.extension as my_extension', 'm.followed_ids'],
].join(', ')

/** Field by field, see domain/group/row.ts. */
const partsFrom = (row: ShownGroup): GroupRowParts => ({
  name: row.name,
  avatarUrl: row.avatar_url,
  introduction: row.introduction,
  announcement: row.announcement,
  extension: row.extension,
  appExtension: row.app_extension,
  memberLimit: row.member_limit,
  joinMode: row.join_mode,
  inviteMode: row.invite_mode,
  inviteeConsent: row.invitee_consent,
  editMode: row.edit_mode,
  editExtensionMode: row.edit_extension_mode,
  muteAll: row.mute_all,
  historyBeforeJoin: row.history_before_join,
  hideMemberProfiles: row.hide_member_profiles,
  noFriendRequestsBetweenMembers: row.no_friend_requests,
  autoApprove: row.auto_approve,
  searchable: row.searchable,
  groupId: row.group_id,
  ownerId: row.owner_id,
  memberCount: row.member_count,
  createdAt: row.created_at,
  dissolvedAt: row.dissolved_at,
})

export const groupRowFrom = (row: MemberGroupRow): GroupRow =>
  groupRow(partsFrom(row), {
    role: row.role,
    mutedUntil: row.muted_until,
    profile: { nickname: row.nickname, extension: row.my_extension, followedIds: JSON.parse(row.followed_ids) },
  })

const page = statement(
  'group-page',
  placedFrom(
    `select ${memberGroupColumns} from member m ${lookUp('"group"', 'g', 'group_id = m.group_id')}
     where m.user_id = $1 and m.removed_at is null and g.dissolved_at is null and ($2::text is null or m.group_id < $2)
     order by m.group_id desc limit $3::int`,
  ),
)

/** The groups the user is in, the newest first; without dissolved ones. @throws InvalidCursor */
export const groupsOf = async (
  database: Queryable,
  userId: UserId,
  { limit, cursor }: PageOptions,
): Promise<PlacedPage<GroupRow>> => {
  const [groupId = null] = cursor === undefined ? [] : cursorKey(cursor, ['string'])
  const rows = await database.query<MemberGroupRow & PlacedRow>(page, [userId, groupId, limit + 1])
  return placedPageOf(rows, limit, groupRowFrom, row => [row.group_id])
}

/** Both rows count: a role that changed stands in the member's, everything else in the group's. */
const changes = statement(
  'group-changes',
  changesFrom(
    `select ${memberGroupColumns}, m.removed_at from member m ${lookUp('"group"', 'g', 'group_id = m.group_id')}
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
  `select ${memberGroupColumns} from member m ${lookUp('"group"', 'g', 'group_id = m.group_id')}
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

/** Whether groups are dissolved is looked at only where all of one's memberships together reach the number: hardly ever. */
const fullUsers = statement(
  'group-full-users',
  `select k.user_id from unnest($1::text[]) as k (user_id)
   where (select c.groups from membership_count c where c.user_id = k.user_id) >= $2::int
     and (select count(*) from member m where m.user_id = k.user_id and m.removed_at is null
       and (select g.dissolved_at from "group" g where g.group_id = m.group_id) is null) >= $2::int`,
)

/** Those of the users who are in as many groups as anybody may be (R14), dissolved ones aside. */
export const usersInManyGroups = async (
  database: Queryable,
  userIds: readonly UserId[],
  most: number,
): Promise<ReadonlySet<UserId>> => {
  const rows = await database.query<{ user_id: UserId }>(fullUsers, [userIds, most])
  return new Set(rows.map(row => row.user_id))
}

/** As many as are told of. */
const ownedMax = 100

const owned = statement(
  'group-owned',
  `select g.group_id from member m ${lookUp('"group"', 'g', 'group_id = m.group_id')}
   where m.user_id = $1 and m.role = 'owner' and m.removed_at is null and g.dissolved_at is null
   order by g.group_id limit ${ownedMax}`,
)

/** Groups that the user owns, some of them when they are many. */
export const ownedGroupIds = async (database: Queryable, userId: UserId): Promise<readonly GroupId[]> =>
  (await database.query<{ group_id: GroupId }>(owned, [userId])).map(row => row.group_id)

const ownedCount = statement(
  'group-owned-count',
  `select count(*)::int as count from member m ${lookUp('"group"', 'g', 'group_id = m.group_id')}
   where m.user_id = $1 and m.role = 'owner' and m.removed_at is null and g.dissolved_at is null`,
)

/** Whether the user owns as many groups as anybody may (R17). */
export const ownsMostGroups = async (database: Queryable, userId: UserId): Promise<boolean> => {
  const [row] = await database.query<{ count: number }>(ownedCount, [userId])
  return (row?.count ?? 0) >= limits.groupsOwnedMax
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

const found = statement(
  'group-search',
  `select * from "group" where search_name >= $1 and search_name < $2 and (search_name, group_id) > ($3::text, $4::text)
   order by search_name, group_id limit $5::int`,
)

/** Greater than every text that begins with `prefix`. */
const endOf = (prefix: string): string => `${prefix}\u{10ffff}`

/** Groups that may be found, whose name begins with this, by name; one's own too. @throws InvalidCursor */
export const groupsFound = async (
  database: Queryable,
  q: string,
  { limit, cursor }: PageOptions,
): Promise<Page<FoundGroupRow>> => {
  const [name = '', groupId = ''] = cursor === undefined ? [] : cursorKey(cursor, ['string', 'string'])
  const key = searchKeyOf(q)
  const rows = await database.query<GroupTable>(found, [key, endOf(key), name, groupId, limit + 1])
  return pageOf(
    rows,
    limit,
    row => foundGroupRow(partsFrom(row)),
    row => [row.search_name ?? '', row.group_id],
  )
}
