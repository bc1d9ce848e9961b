// Owns the requests of groups, those who are asked in and those who ask to be let in (R20, R22): one row a group, user and kind.
// One that has ended is a tombstone. What a request needs to be decided stands in the group's own state, never here.

import type { GroupId, Instant, Position, UserId } from '../domain/ids.ts'
import type { GroupRole } from '../domain/rows.ts'
import type { Recorded } from './batch.ts'
import { type ChangeRow, changesFrom, changesOf, type PlacedRow, placedFrom, placedPageOf } from './checkpoint.ts'
import { type Queryable, statement } from './database.ts'
import { type Changes, cursorKey, type Page, type PageOptions, type PlacedPage, pageOf, type TooOld } from './page.ts'
import type { Projection } from './projection.ts'
import type { GroupRequestTable } from './schema.ts'
import { type Fold, startFold, tableOf } from './table.ts'

const table = tableOf('group_request', ['group_id', 'user_id', 'kind'], {
  group_id: 'text',
  user_id: 'text',
  kind: 'text',
  request_id: 'text',
  group_name: 'text',
  by_id: 'text',
  message: 'text',
  requested_at: 'timestamptz',
  expires_at: 'timestamptz',
  removed_at: 'timestamptz',
  position: 'text',
})

const folds = [
  'MembersInvited',
  'InvitationAccepted',
  'InvitationRejected',
  'InvitationRecalled',
  'InvitationsExpired',
  'ApplicationMade',
  'ApplicationApproved',
  'ApplicationRejected',
  'ApplicationWithdrawn',
  'ApplicationsExpired',
] as const
type RequestEvent = Recorded<(typeof folds)[number]>
type Kind = GroupRequestTable['kind']

const kindOf = ({ type }: RequestEvent): Kind =>
  type === 'MembersInvited' || type.startsWith('Invitation') ? 'invitation' : 'application'

const usersIn = ({ type, data }: RequestEvent): readonly UserId[] => {
  switch (type) {
    case 'MembersInvited':
      return data.invited.map(({ userId }) => userId)
    case 'InvitationsExpired':
      return data.invitations.map(({ userId }) => userId)
    case 'ApplicationsExpired':
      return data.applications.map(({ userId }) => userId)
    default:
      return [data.userId]
  }
}

const step = (fold: Fold<GroupRequestTable>, event: RequestEvent): void => {
  const { type, data, position } = event
  const { groupId: group_id, at } = data
  if (type === 'MembersInvited') {
    for (const { userId, requestId } of data.invited) {
      fold.put({
        group_id,
        user_id: userId,
        kind: 'invitation',
        request_id: requestId,
        group_name: data.groupName,
        by_id: data.by,
        message: data.message ?? null,
        requested_at: at,
        expires_at: data.expiresAt,
        removed_at: null,
        position,
      })
    }
    return
  }
  if (type === 'ApplicationMade') {
    fold.put({
      group_id,
      user_id: data.userId,
      kind: 'application',
      request_id: data.requestId,
      group_name: null,
      by_id: data.invitedBy ?? data.userId,
      message: data.message ?? null,
      requested_at: at,
      expires_at: data.expiresAt,
      removed_at: null,
      position,
    })
    return
  }
  for (const userId of usersIn(event)) {
    const row = fold.get(group_id, userId, kindOf(event))
    if (row !== undefined && row.removed_at === null) fold.put({ ...row, message: null, removed_at: at, position })
  }
}

export const groupRequestProjection: Projection = {
  name: 'group-request',
  tables: ['group_request'],
  reads: [],
  folds,
  apply: async (transaction, batch) => {
    const events = batch.ofAny(folds)
    if (events.length === 0) return
    const keys = events.flatMap(event => usersIn(event).map(userId => [event.data.groupId, userId, kindOf(event)]))
    const fold = await startFold(transaction, table, keys)
    for (const event of events) step(fold, event)
    await fold.write()
  },
}

/** As the invited see it. */
export interface GroupInvitationRow {
  readonly groupId: GroupId
  readonly groupName: string
  readonly requestId: string
  readonly by: UserId
  readonly message?: string
  readonly at: Instant
  readonly expiresAt: Instant
}

/** As the owner and the admins see it. */
export interface GroupApplicationRow {
  readonly groupId: GroupId
  readonly userId: UserId
  readonly requestId: string
  /** The member who asked for the user; absent: the user did (R19). */
  readonly invitedBy?: UserId
  readonly message?: string
  readonly at: Instant
  readonly expiresAt: Instant
}

const requestOf = (row: GroupRequestTable) => ({
  requestId: row.request_id,
  ...(row.message === null ? undefined : { message: row.message }),
  at: row.requested_at,
  expiresAt: row.expires_at,
})

const invitationFrom = (row: GroupRequestTable): GroupInvitationRow => ({
  groupId: row.group_id,
  groupName: row.group_name ?? '',
  by: row.by_id,
  ...requestOf(row),
})

const applicationFrom = (row: GroupRequestTable): GroupApplicationRow => ({
  groupId: row.group_id,
  userId: row.user_id,
  ...(row.by_id === row.user_id ? undefined : { invitedBy: row.by_id }),
  ...requestOf(row),
})

const invitations = statement(
  'group-request-invitations',
  placedFrom(
    `select * from group_request where user_id = $1 and kind = 'invitation' and removed_at is null
       and ($2::text is null or (position, group_id) < ($2::char(16), $3::text))
     order by position desc, group_id desc limit $4::int`,
  ),
)

/** The open invitations of a user, the newest first. @throws InvalidCursor */
export const invitationsOf = async (
  database: Queryable,
  userId: UserId,
  { limit, cursor }: PageOptions,
): Promise<PlacedPage<GroupInvitationRow>> => {
  const [position = null, groupId = null] = cursor === undefined ? [] : cursorKey(cursor, ['string', 'string'])
  const rows = await database.query<GroupRequestTable & PlacedRow>(invitations, [userId, position, groupId, limit + 1])
  return placedPageOf(rows, limit, invitationFrom, row => [row.position, row.group_id])
}

const invitationChanges = statement(
  'group-request-invitation-changes',
  changesFrom(
    `select * from group_request where user_id = $1 and kind = 'invitation' and position >= $2
     order by position desc, group_id desc`,
  ),
)

/** What changed in that list at or after a position. */
export const invitationChangesOf = async (
  database: Queryable,
  userId: UserId,
  since: Position,
): Promise<Changes<GroupInvitationRow> | TooOld> =>
  changesOf(
    await database.query<GroupRequestTable & ChangeRow>(invitationChanges, [userId, since]),
    row => row.removed_at !== null,
    invitationFrom,
    row => row.group_id,
  )

/** Always a row for a member, so that the role is of the rows' own snapshot. */
const applications = statement(
  'group-request-applications',
  `select me.role as my_role, t.request_id is not null as is_row, t.*
   from member me left join lateral (
     select * from group_request r where me.role <> 'member' and r.group_id = $2 and r.kind = 'application'
       and r.removed_at is null and ($3::text is null or (r.position, r.user_id) > ($3::char(16), $4::text))
     order by r.position, r.user_id limit $5::int) t on true
   where me.group_id = $2 and me.user_id = $1 and me.removed_at is null`,
)

/** The open applications of a group, the oldest first, with what the caller is in it; undefined for one who is not. @throws InvalidCursor */
export const applicationsOf = async (
  database: Queryable,
  userId: UserId,
  groupId: GroupId,
  { limit, cursor }: PageOptions,
): Promise<{ readonly myRole: GroupRole; readonly page: Page<GroupApplicationRow> } | undefined> => {
  const [position = null, after = null] = cursor === undefined ? [] : cursorKey(cursor, ['string', 'string'])
  const rows = await database.query<GroupRequestTable & { my_role: GroupRole; is_row: boolean }>(applications, [
    userId,
    groupId,
    position,
    after,
    limit + 1,
  ])
  const [first] = rows
  if (first === undefined) return undefined
  const found = rows.filter(row => row.is_row)
  return { myRole: first.my_role, page: pageOf(found, limit, applicationFrom, row => [row.position, row.user_id]) }
}

const pendingCounts = statement(
  'group-request-pending-counts',
  `select k.user_id, (select count(*)::int from group_request r
     where r.user_id = k.user_id and r.kind = $2 and r.removed_at is null
       and (r.kind = 'invitation' or r.by_id = r.user_id)) as count
   from unnest($1::text[]) as k (user_id)`,
)

/** How many open invitations, or applications of their own, each of these users has. */
export const pendingRequestCounts = async (
  database: Queryable,
  userIds: readonly UserId[],
  kind: Kind,
): Promise<ReadonlyMap<UserId, number>> => {
  const rows = await database.query<{ user_id: UserId; count: number }>(pendingCounts, [userIds, kind])
  return new Map(rows.map(row => [row.user_id, row.count]))
}

const requestGroupIds = statement(
  'group-request-group-ids',
  'select distinct group_id from group_request where user_id = $1 and removed_at is null',
)

/** The groups that a user is asked into, or asks to be let into. */
export const requestGroupIdsOf = async (database: Queryable, userId: UserId): Promise<readonly GroupId[]> => {
  const rows = await database.query<{ group_id: GroupId }>(requestGroupIds, [userId])
  return rows.map(row => row.group_id)
}

const due = statement(
  'group-request-due',
  `select group_id from group_request where removed_at is null and expires_at <= $1::timestamptz
   group by group_id order by min(expires_at) limit $2::int`,
)

/** Groups with open requests whose time has come, those that wait longest first. */
export const groupsWithDueRequests = async (
  database: Queryable,
  now: Instant,
  most: number,
): Promise<readonly GroupId[]> => {
  const rows = await database.query<{ group_id: GroupId }>(due, [now, most])
  return rows.map(row => row.group_id)
}
