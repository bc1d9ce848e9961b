// Who is silent in a group: one for a time, plain members, everyone (R21, R42); and what a mute outlives.

import { describe, expect, it } from 'vitest'
import type { GroupEvent, MutedUntil } from '../../domain/group/events.ts'
import { type ExistingGroup, type GroupCommand, group } from '../../domain/group/group.ts'
import { mutedUntil, sendRefused } from '../../domain/group/mutes.ts'
import { type Instant, systemUserId, type UserId } from '../../domain/ids.ts'
import { limits } from '../../domain/limits.ts'
import {
  add,
  addAdmin,
  admin,
  adminAdded,
  at,
  created,
  groupId,
  later,
  member,
  other,
  owner,
  peopled,
  removed,
  second,
  stranger,
  transfer,
  users,
} from '../support/group.ts'
import { specify } from '../support/specify.ts'

const { given } = specify(group)
const between = '2026-11-23T08:30:00.000Z' as Instant
const mute = (userId: UserId, until: MutedUntil, by: UserId): GroupCommand => ({
  type: 'MuteMember',
  userId,
  until,
  by,
  at,
})
const unmute = (userId: UserId, by: UserId): GroupCommand => ({ type: 'UnmuteMember', userId, by, at })
const muteAll = (mode: 'none' | 'members' | 'everyone', by: UserId): GroupCommand => ({
  type: 'SetMuteAll',
  mode,
  by,
  at,
})
const muted = (userId: UserId, until: MutedUntil, by: UserId = owner): GroupEvent => ({
  type: 'MemberMuted',
  data: { groupId, userId, until, by, at },
})
const unmuted = (userId: UserId, by: UserId = owner): GroupEvent => ({
  type: 'MemberUnmuted',
  data: { groupId, userId, by, at },
})
const allMuted = (mode: 'none' | 'members' | 'everyone', by: UserId = owner): GroupEvent => ({
  type: 'MuteAllChanged',
  data: { groupId, mode, by, at },
})
const stateOf = (...events: readonly GroupEvent[]) => given(...peopled, ...events).state() as ExistingGroup
/** What a member hears who writes now; undefined: the message lands. */
const writes = (state: ExistingGroup, userId: UserId, when: Instant = at) =>
  sendRefused(state, userId, state.members.get(userId)?.role ?? 'member', when)

describe('muting one (R21)', () => {
  it('is done to plain members by the owner and admins, to admins by the owner', () => {
    for (const by of [owner, admin])
      given(...peopled)
        .when(mute(member, later, by))
        .then([muted(member, later, by)])
    given(...peopled)
      .when(mute(admin, 'forever', owner))
      .then([muted(admin, 'forever')])
    given(...peopled)
      .when(mute(other, later, admin))
      .rejects('group.target-is-admin', { userId: other })
    given(...peopled)
      .when(mute(member, later, second))
      .rejects('group.not-allowed')
  })

  it('is never done to the owner, to oneself, or to who is no member', () => {
    given(...peopled)
      .when(mute(owner, later, admin))
      .rejects('group.target-is-owner', { userId: owner })
    given(...peopled)
      .when(mute(owner, later, systemUserId))
      .rejects('group.target-is-owner', { userId: owner })
    given(...peopled)
      .when(mute(admin, later, admin))
      .rejects('group.target-self', { userId: admin })
    given(...peopled)
      .when(mute(stranger, later, owner))
      .rejects('group.target-not-member', { userId: stranger })
  })

  it('lasts until its time, then writing is possible again without anybody doing anything', () => {
    const state = stateOf(muted(member, later))
    expect(writes(state, member, between)).toMatchObject({ rejected: 'group.muted', data: { until: later } })
    expect(writes(state, member, later)).toBeUndefined()
    expect(mutedUntil(state, member, later)).toBeNull()
    expect(writes(state, second)).toBeUndefined()
    expect(writes(stateOf(muted(member, 'forever')), member, '9999-12-31T23:59:59.999Z' as Instant)).toMatchObject({
      data: { until: 'forever' },
    })
  })

  it('until a time that has passed is unmuting', () => {
    given(...peopled, muted(member, 'forever'))
      .when(mute(member, at, owner))
      .then([unmuted(member)])
    given(...peopled)
      .when(mute(member, at, owner))
      .then([])
  })

  it('again changes the time, or nothing', () => {
    given(...peopled, muted(member, later))
      .when(mute(member, later, admin))
      .then([])
    given(...peopled, muted(member, later))
      .when(mute(member, 'forever', admin))
      .then([muted(member, 'forever', admin)])
  })

  it('ends early by unmuting, which follows the same rules', () => {
    given(...peopled, muted(member, later))
      .when(unmute(member, admin))
      .then([unmuted(member, admin)])
    given(...peopled)
      .when(unmute(member, admin))
      .then([])
    given(...peopled, muted(admin, later))
      .when(unmute(admin, other))
      .rejects('group.target-is-admin')
    given(...peopled, muted(member, later))
      .when(unmute(member, second))
      .rejects('group.not-allowed')
    given(...peopled, muted(member, later))
      .when(unmute(member, member))
      .rejects('group.not-allowed')
  })

  it('reaches so many members and no more', () => {
    const many = users(limits.groupMutesMax + 1)
    const state = given(
      created({ memberIds: many, memberLimit: limits.groupMembersMax }),
      ...many.slice(1).map(userId => muted(userId, 'forever')),
    )
    state.when(mute(many[0] as UserId, later, owner)).rejects('group.mute-limit')
    given(
      created({ memberIds: many, memberLimit: limits.groupMembersMax }),
      ...many.slice(1).map(userId => muted(userId, 'forever')),
    )
      .when(mute(many[1] as UserId, later, owner))
      .then([muted(many[1] as UserId, later)])
  })
})

describe('a personal mute', () => {
  it('outlives leaving and coming back until it ends', () => {
    const gone = [muted(member, later), removed([member], 4, member, 'left')]
    const back = given(...peopled, ...gone)
      .when({ ...add([member], owner), at: between } as GroupCommand)
      .then([
        {
          type: 'MembersAdded',
          data: {
            groupId,
            userIds: [member],
            mutes: [{ userId: member, until: later }],
            memberCount: 5,
            by: owner,
            at: between,
          },
        },
      ]) as ExistingGroup
    expect(writes(back, member, between)).toMatchObject({ rejected: 'group.muted' })
    const late = given(...peopled, ...gone)
      .when({ ...add([member], owner), at: later } as GroupCommand)
      .then([{ type: 'MembersAdded', data: { groupId, userIds: [member], memberCount: 5, by: owner, at: later } }])
    expect((late as ExistingGroup).mutes.size).toBe(0)
  })

  it('can be lifted while its bearer is away', () => {
    const gone = [muted(member, 'forever'), removed([member], 4, member, 'left')]
    given(...peopled, ...gone)
      .when(unmute(member, admin))
      .then([unmuted(member, admin)])
    given(...peopled, ...gone)
      .when(unmute(member, second))
      .rejects('group.not-allowed')
  })

  it('of a former member is forgotten once it has passed', () => {
    const gone = stateOf(muted(member, between), removed([member], 4, owner))
    expect(gone.mutes.has(member)).toBe(true)
    const next = group.evolve(gone, {
      type: 'MemberMuted',
      data: { groupId, userId: second, until: 'forever', by: owner, at: later },
    })
    expect(next.status !== 'none' && [...next.mutes.keys()]).toEqual([second])
  })

  it('ends when its bearer becomes admin or owner', () => {
    const promoted = given(...peopled, muted(member, 'forever'))
      .when(addAdmin(member, owner))
      .then([adminAdded(member)]) as ExistingGroup
    expect(writes(promoted, member)).toBeUndefined()
    const heir = given(...peopled, muted(member, 'forever'))
      .when(transfer(member, false, owner))
      .then([{ type: 'OwnerTransferred', data: { groupId, from: owner, to: member, by: owner, at } }]) as ExistingGroup
    expect(writes(heir, member)).toBeUndefined()
  })

  it('is not touched by muting all or ending that, and is told before it (R42)', () => {
    const both = stateOf(muted(member, later), allMuted('members'))
    expect(writes(both, member)).toMatchObject({ rejected: 'group.muted' })
    const after = stateOf(muted(member, later), allMuted('members'), allMuted('none'))
    expect(writes(after, member)).toMatchObject({ rejected: 'group.muted' })
  })
})

describe('muting all (R42)', () => {
  it('silences plain members; unmuting one does not pierce it', () => {
    const state = stateOf(muted(member, later), allMuted('members'), unmuted(member))
    expect(writes(state, member)).toMatchObject({ rejected: 'group.all-muted', data: { muteAll: 'members' } })
    for (const userId of [owner, admin]) expect(writes(state, userId)).toBeUndefined()
  })

  it('silences the owner and admins as well only by the app, which alone ends it', () => {
    given(...peopled)
      .when(muteAll('everyone', owner))
      .rejects('group.not-allowed')
    const state = given(...peopled)
      .when(muteAll('everyone', systemUserId))
      .then([allMuted('everyone', systemUserId)]) as ExistingGroup
    for (const userId of [owner, admin, member]) {
      expect(writes(state, userId)).toMatchObject({ rejected: 'group.all-muted' })
    }
    given(...peopled, allMuted('everyone', systemUserId))
      .when(muteAll('none', owner))
      .rejects('group.not-allowed')
    given(...peopled, allMuted('everyone', systemUserId))
      .when(muteAll('none', systemUserId))
      .then([allMuted('none', systemUserId)])
  })

  it('is the right of the owner and admins, and nothing when it is so already', () => {
    for (const by of [owner, admin])
      given(...peopled)
        .when(muteAll('members', by))
        .then([allMuted('members', by)])
    given(...peopled)
      .when(muteAll('members', member))
      .rejects('group.not-allowed')
    given(...peopled, allMuted('members'))
      .when(muteAll('members', admin))
      .then([])
  })
})
