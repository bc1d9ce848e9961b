// Owns how a group's state looks in a snapshot: arrays, and every instant and every other user written once, so that the largest
// group with the longest ids (5,000 members, 64 characters) and all the requests it may have stays below what one append may
// hold. A change of the form needs a new version in group.ts.

import type { Instant, UserId } from '../ids.ts'
import type { GroupRole } from '../rows.ts'
import type { MutedUntil } from './events.ts'
import type { ExistingGroup, Group, GroupMember, PendingApplication, PendingInvitation } from './state.ts'

const roles: readonly GroupRole[] = ['owner', 'admin', 'member']
const noInviter = -1

/** User, index of the role, index of the instant of joining, index of the inviter. */
type MemberCells = readonly [UserId, number, number, number]

/** User, request, index of the instant of expiry, index of the inviter. */
type InvitationCells = readonly [UserId, string, number, number]
/** User, request, index of the instant of expiry, indexes of those who were told. */
type ApplicationCells = readonly [UserId, string, number, readonly number[]]

/** What cells point into. */
interface Lists {
  /** Milliseconds since 1970. */
  readonly instants: readonly number[]
  readonly others: readonly UserId[]
}

interface GroupSnapshot extends Omit<ExistingGroup, 'members' | 'mutes' | 'invitations' | 'applications'>, Lists {
  readonly mutes: readonly (readonly [UserId, MutedUntil])[]
  readonly members: readonly MemberCells[]
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
  const others = new Map<UserId, number>()
  const instantOf = (instant: Instant) => indexOf(Date.parse(instant), instants)
  const otherOf = (userId: UserId) => indexOf(userId, others)
  const members = [...state.members].map(([userId, { role, joinedAt, invitedBy }]): MemberCells => {
    const inviter = invitedBy === undefined ? noInviter : otherOf(invitedBy)
    return [userId, roles.indexOf(role), instantOf(joinedAt), inviter]
  })
  const invitations = [...state.invitations].map(
    ([userId, { requestId, by, expiresAt }]): InvitationCells => [userId, requestId, instantOf(expiresAt), otherOf(by)],
  )
  const applications = [...state.applications].map(
    ([userId, { requestId, told, expiresAt }]): ApplicationCells => [
      userId,
      requestId,
      instantOf(expiresAt),
      told.map(otherOf),
    ],
  )
  const lists: Lists = { instants: [...instants.keys()], others: [...others.keys()] }
  return { ...state, mutes: [...state.mutes], members, invitations, applications, ...lists } satisfies GroupSnapshot
}

/** What an index points at; -1 and nothing else points at nothing. */
const at = <Value>(list: readonly Value[], index: number): Value => {
  const value = list[index]
  if (value === undefined) throw new Error('a group snapshot points beyond its lists')
  return value
}

const instantAt = ({ instants }: Lists, index: number): Instant =>
  new Date(at(instants, index)).toISOString() as Instant

const memberOf = ([, role, joinedAt, inviter]: MemberCells, lists: Lists): GroupMember => ({
  role: at(roles, role),
  joinedAt: instantAt(lists, joinedAt),
  ...(inviter === noInviter ? undefined : { invitedBy: at(lists.others, inviter) }),
})

const invitationOf = ([, requestId, expiresAt, by]: InvitationCells, lists: Lists): PendingInvitation => ({
  requestId,
  by: at(lists.others, by),
  expiresAt: instantAt(lists, expiresAt),
})

const applicationOf = ([, requestId, expiresAt, told]: ApplicationCells, lists: Lists): PendingApplication => ({
  requestId,
  told: told.map(index => at(lists.others, index)),
  expiresAt: instantAt(lists, expiresAt),
})

/** The state that `encodeGroup` was given. */
export const decodeGroup = (json: object): Group => {
  const snapshot = json as GroupSnapshot | { readonly status: 'none' }
  if (snapshot.status === 'none') return { status: 'none' }
  const { instants, others, members, mutes, invitations, applications, ...rest } = snapshot
  const lists = { instants, others }
  return {
    ...rest,
    mutes: new Map(mutes),
    members: new Map(members.map(cells => [cells[0], memberOf(cells, lists)])),
    invitations: new Map(invitations.map(cells => [cells[0], invitationOf(cells, lists)])),
    applications: new Map(applications.map(cells => [cells[0], applicationOf(cells, lists)])),
  }
}
