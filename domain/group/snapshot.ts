// Owns how a group's state looks in a snapshot: arrays, and every instant and inviter written once, so that the largest group
// with the longest ids (5,000 members, 64 characters) stays below 1 MB. A change of the form needs a new version in group.ts.

import type { Instant, UserId } from '../ids.ts'
import type { GroupRole } from '../rows.ts'
import type { MutedUntil } from './events.ts'
import type { ExistingGroup, Group, GroupMember } from './state.ts'

const roles: readonly GroupRole[] = ['owner', 'admin', 'member']
const noInviter = -1

/** User, index of the role, index of the instant of joining, index of the inviter. */
type MemberCells = readonly [UserId, number, number, number]

interface GroupSnapshot extends Omit<ExistingGroup, 'members' | 'mutes'> {
  readonly mutes: readonly (readonly [UserId, MutedUntil])[]
  readonly instants: readonly Instant[]
  readonly inviters: readonly UserId[]
  readonly members: readonly MemberCells[]
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
  const instants = new Map<Instant, number>()
  const inviters = new Map<UserId, number>()
  const members: MemberCells[] = []
  for (const [userId, { role, joinedAt, invitedBy }] of state.members) {
    const inviter = invitedBy === undefined ? noInviter : indexOf(invitedBy, inviters)
    members.push([userId, roles.indexOf(role), indexOf(joinedAt, instants), inviter])
  }
  const { members: _, mutes, ...rest } = state
  return {
    ...rest,
    mutes: [...mutes],
    instants: [...instants.keys()],
    inviters: [...inviters.keys()],
    members,
  } satisfies GroupSnapshot
}

const memberOf = (cells: MemberCells, snapshot: GroupSnapshot): GroupMember => {
  const role = roles[cells[1]]
  const joinedAt = snapshot.instants[cells[2]]
  if (role === undefined || joinedAt === undefined) throw new Error('a group snapshot points beyond its lists')
  const invitedBy = snapshot.inviters[cells[3]]
  return invitedBy === undefined ? { role, joinedAt } : { role, joinedAt, invitedBy }
}

/** The state that `encodeGroup` was given. */
export const decodeGroup = (json: object): Group => {
  const snapshot = json as GroupSnapshot | { readonly status: 'none' }
  if (snapshot.status === 'none') return { status: 'none' }
  const { instants: _, inviters: __, members: rows, mutes, ...rest } = snapshot
  return { ...rest, mutes: new Map(mutes), members: new Map(rows.map(cells => [cells[0], memberOf(cells, snapshot)])) }
}
