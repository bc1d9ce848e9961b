// Owns how a group's state looks in a snapshot: arrays, and every instant and every user written once, so that the largest group
// with the longest ids (5,000 members, 64 characters), all that may wait and all that may be muted stays below what one append
// may hold. A change of the form needs a new version in group.ts.

import type { Instant, UserId } from '../ids.ts'
import type { GroupRole } from '../rows.ts'
import type { MutedUntil } from './events.ts'
import type { ExistingGroup, Group, GroupMember, PendingApplication, PendingInvitation } from './state.ts'

const roles: readonly GroupRole[] = ['owner', 'admin', 'member']
const noInviter = -1

/** Indexes of the role, the instant of joining, the inviter. The users come first in the list of users, in this order. */
type MemberCells = readonly [number, number, number]
/** Index of the user; index of the instant, or for ever. */
type MuteCells = readonly [number, number | 'forever']
/** Index of the user, request, indexes of the instant of expiry and of the inviter. */
type InvitationCells = readonly [number, string, number, number]
/** Index of the user, request, index of the instant of expiry, indexes of those who were told, and of the member who made it. */
type ApplicationCells = readonly [number, string, number, readonly number[], number?]

/** What cells point into. */
interface Lists {
  /** Milliseconds since 1970. */
  readonly instants: readonly number[]
  readonly users: readonly UserId[]
}

interface GroupSnapshot extends Omit<ExistingGroup, 'members' | 'mutes' | 'invitations' | 'applications'>, Lists {
  readonly members: readonly MemberCells[]
  readonly mutes: readonly MuteCells[]
  readonly invitations: readonly InvitationCells[]
  readonly applications: readonly ApplicationCells[]
}

/** A growing list without doubles. */
const indexOf = <Value>(value: Value, indexes: Map<Value, number>): number => {
  const known = indexes.get(value)
  if (known !== undefined) return known
  const index = indexes.size
  indexes.set(value, index)
  return index
}

/** The JSON form of a group's state. */
export const encodeGroup = (state: Group): object => {
  if (state.status === 'none') return { status: 'none' }
  const instants = new Map<number, number>()
  const users = new Map<UserId, number>()
  const instantOf = (instant: Instant) => indexOf(Date.parse(instant), instants)
  const userOf = (userId: UserId) => indexOf(userId, users)
  for (const userId of state.members.keys()) userOf(userId)
  const members = [...state.members.values()].map(({ role, joinedAt, invitedBy }): MemberCells => {
    const inviter = invitedBy === undefined ? noInviter : userOf(invitedBy)
    return [roles.indexOf(role), instantOf(joinedAt), inviter]
  })
  const mutes = [...state.mutes].map(
    ([userId, until]): MuteCells => [userOf(userId), until === 'forever' ? 'forever' : instantOf(until as Instant)],
  )
  const invitations = [...state.invitations].map(
    ([userId, { requestId, by, expiresAt }]): InvitationCells => [
      userOf(userId),
      requestId,
      instantOf(expiresAt),
      userOf(by),
    ],
  )
  const applications = [...state.applications].map(
    ([userId, { requestId, told, expiresAt, invitedBy }]): ApplicationCells => [
      userOf(userId),
      requestId,
      instantOf(expiresAt),
      told.map(userOf),
      ...(invitedBy === undefined ? ([] as const) : ([userOf(invitedBy)] as const)),
    ],
  )
  const lists: Lists = { instants: [...instants.keys()], users: [...users.keys()] }
  return { ...state, members, mutes, invitations, applications, ...lists } satisfies GroupSnapshot
}

/** What an index points at. */
const at = <Value>(list: readonly Value[], index: number): Value => {
  const value = list[index]
  if (value === undefined) throw new Error('a group snapshot points beyond its lists')
  return value
}

const instantAt = ({ instants }: Lists, index: number): Instant =>
  new Date(at(instants, index)).toISOString() as Instant

const memberOf = ([role, joinedAt, inviter]: MemberCells, lists: Lists): GroupMember => ({
  role: at(roles, role),
  joinedAt: instantAt(lists, joinedAt),
  ...(inviter === noInviter ? undefined : { invitedBy: at(lists.users, inviter) }),
})

const muteOf = (until: MuteCells[1], lists: Lists): MutedUntil =>
  until === 'forever' ? until : instantAt(lists, until)

const invitationOf = ([, requestId, expiresAt, by]: InvitationCells, lists: Lists): PendingInvitation => ({
  requestId,
  by: at(lists.users, by),
  expiresAt: instantAt(lists, expiresAt),
})

const applicationOf = ([, requestId, expiresAt, told, by]: ApplicationCells, lists: Lists): PendingApplication => ({
  requestId,
  told: told.map(index => at(lists.users, index)),
  expiresAt: instantAt(lists, expiresAt),
  ...(by === undefined ? undefined : { invitedBy: at(lists.users, by) }),
})

/** The state that `encodeGroup` was given. */
export const decodeGroup = (json: object): Group => {
  const snapshot = json as GroupSnapshot | { readonly status: 'none' }
  if (snapshot.status === 'none') return { status: 'none' }
  const { instants, users, members, mutes, invitations, applications, ...rest } = snapshot
  const lists = { instants, users }
  return {
    ...rest,
    members: new Map(members.map((cells, index) => [at(users, index), memberOf(cells, lists)])),
    mutes: new Map(mutes.map(([user, until]) => [at(users, user), muteOf(until, lists)])),
    invitations: new Map(invitations.map(cells => [at(users, cells[0]), invitationOf(cells, lists)])),
    applications: new Map(applications.map(cells => [at(users, cells[0]), applicationOf(cells, lists)])),
  }
}
