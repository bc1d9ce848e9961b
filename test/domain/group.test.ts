// Who is in a group: creating, adding, removing, leaving (R14, R15, R19, R23). Roles stand in group-roles.test.ts, the model test
// in group-model.test.ts.

import { describe, expect, it } from 'vitest'
import { groupPresets } from '../../domain/group/attributes.ts'
import { type GroupCommand, group, roleIn } from '../../domain/group/group.ts'
import { limits } from '../../domain/limits.ts'
import {
  add,
  added,
  admin,
  at,
  create,
  created,
  dissolved,
  facts,
  groupId,
  later,
  leave,
  member,
  other,
  owner,
  peopled,
  remove,
  removed,
  second,
  stranger,
  users,
  usual,
} from '../support/group.ts'
import { specify } from '../support/specify.ts'

const { given } = specify(group)

describe('creating a group (R14)', () => {
  it('makes the creator its owner and everybody named a member', () => {
    const state = given()
      .when(create({ memberIds: [member] }), facts)
      .then([created({ memberIds: [member] })])
    expect(state).toStrictEqual({
      ...usual,
      status: 'open',
      groupId,
      name: 'Friends',
      ownerId: owner,
      createdBy: owner,
      members: new Map([
        [owner, { role: 'owner', joinedAt: at }],
        [member, { role: 'member', joinedAt: at, invitedBy: owner }],
      ]),
      mutes: new Map(),
      invitations: new Map(),
      applications: new Map(),
      joinQuestions: null,
      announced: 0,
      announcements: [],
      createdAt: at,
      dissolvedAt: null,
    })
  })

  it('begins as the preset says, save for what was chosen', () => {
    for (const preset of ['work', 'public', 'meeting', 'community'] as const) {
      given()
        .when(create({ preset, inviteeConsent: groupPresets[preset].inviteeConsent, memberIds: [] }), facts)
        .then([created({ ...groupPresets[preset], memberIds: [] })])
    }
    given()
      .when(create({ preset: 'work', joinMode: 'free', extension: '{}', memberIds: [] }), facts)
      .then([created({ ...groupPresets.work, joinMode: 'free', extension: '{}', memberIds: [] })])
  })

  it('gives groups that were recorded before an attribute existed what they have had all along', () => {
    const { groupId, name, ownerId, memberIds, memberLimit, inviteMode, memberCount, by, at } = created().data as never
    const early = { groupId, name, ownerId, memberIds, memberLimit, inviteMode, memberCount, by, at }
    expect(given({ type: 'GroupCreated', data: early }).state()).toMatchObject({
      joinMode: 'nobody',
      inviteeConsent: 'none',
      muteAll: 'none',
      extension: '',
    })
  })

  it('drops doubles and the creator from the members', () => {
    given()
      .when(create({ memberIds: [member, owner, member, second] }), facts)
      .then([created({ memberIds: [member, second] })])
  })

  it('works with nobody else', () => {
    given()
      .when(create({ memberIds: [] }), facts)
      .then([created({ memberIds: [] })])
  })

  it('is refused beyond its member limit, the creator counted', () => {
    given()
      .when(create({ memberIds: users(5), memberLimit: 5 }), facts)
      .rejects('group.full', { memberLimit: 5 })
    given()
      .when(create({ memberIds: users(4), memberLimit: 5 }), facts)
      .then([created({ memberIds: users(4), memberLimit: 5 })])
  })

  it('takes a member limit from 2 to the maximum', () => {
    for (const memberLimit of [1, 0, -1, limits.groupMembersMax + 1, Number.NaN]) {
      given()
        .when(create({ memberIds: [], memberLimit }), facts)
        .rejects('group.member-limit')
    }
    for (const memberLimit of [2, limits.groupMembersMax]) {
      given()
        .when(create({ memberIds: [], memberLimit }), facts)
        .then([created({ memberIds: [], memberLimit })])
    }
  })

  it('is refused to one who has created as many as one may', () => {
    given().when(create(), { groupsCreated: limits.groupsCreatedMax }).rejects('group.created-limit')
    given()
      .when(create(), { groupsCreated: limits.groupsCreatedMax - 1 })
      .then([created()])
  })

  it('does nothing when the creator repeats it, whatever has become of the group', () => {
    const full = { groupsCreated: limits.groupsCreatedMax }
    given(...peopled)
      .when(create(), full)
      .then([])
    given(created(), { type: 'OwnerTransferred', data: { groupId, from: owner, to: member, by: owner, at } })
      .when(create(), full)
      .then([])
    given(created(), dissolved).when(create(), full).then([])
    given(created()).when(create()).then([])
  })

  it('hides a group from one who names the id of another’s', () => {
    given(created())
      .when(create({ by: stranger }), facts)
      .rejects('group.not-found')
  })

  it('needs facts of the creator', () => {
    expect(() => group.decide(create(), group.initial, undefined)).toThrow(/needs facts/)
  })
})

describe('adding members (R19)', () => {
  it('is the right of the owner and admins, and of everybody where the group says so', () => {
    for (const by of [owner, admin])
      given(...peopled)
        .when(add([stranger], by))
        .then([added([stranger], 6, by)])
    given(...peopled)
      .when(add([stranger], member))
      .rejects('group.not-allowed')
    given(created({ inviteMode: 'everyone' }))
      .when(add([stranger], member))
      .then([added([stranger], 6, member)])
  })

  it('remembers when one came, and by whom', () => {
    const state = given(...peopled)
      .when({ ...add([stranger], admin), at: later } as GroupCommand)
      .then([{ type: 'MembersAdded', data: { groupId, userIds: [stranger], memberCount: 6, by: admin, at: later } }])
    expect(state.status !== 'none' && state.members.get(stranger)).toStrictEqual({
      role: 'member',
      joinedAt: later,
      invitedBy: admin,
    })
  })

  it('skips doubles and those who are members already, and keeps their roles', () => {
    const state = given(...peopled)
      .when(add([stranger, admin, stranger, owner], owner))
      .then([added([stranger], 6, owner)])
    expect(roleIn(state, admin)).toBe('admin')
  })

  it('does nothing when none is new, not even in a full group', () => {
    given(created({ memberLimit: 5 }))
      .when(add([member, owner], owner))
      .then([])
    given(created()).when(add([], owner)).then([])
  })

  it('is refused as a whole when not all fit', () => {
    given(created({ memberLimit: 6 }))
      .when(add(users(2), owner))
      .rejects('group.full', { memberLimit: 6 })
    given(created({ memberLimit: 6 }))
      .when(add([member, ...users(1)], owner))
      .then([added(users(1), 6, owner)])
  })

  it('lets one who left come back as a plain member', () => {
    const state = given(...peopled, removed([admin], 4, admin, 'left'))
      .when(add([admin], owner))
      .then([added([admin], 5, owner)])
    expect(roleIn(state, admin)).toBe('member')
  })
})

describe('removing members (R15)', () => {
  it('lets the owner remove anybody else', () => {
    const state = given(...peopled)
      .when(remove([admin, member], owner))
      .then([removed([admin, member], 3, owner)])
    expect(roleIn(state, admin)).toBeNull()
  })

  it('lets an admin remove plain members only', () => {
    given(...peopled)
      .when(remove([member, second], admin))
      .then([removed([member, second], 3, admin)])
    given(...peopled)
      .when(remove([owner], admin))
      .rejects('group.target-is-owner', { userId: owner })
    given(...peopled)
      .when(remove([other], admin))
      .rejects('group.target-is-admin', { userId: other })
  })

  it('is no right of plain members', () => {
    given(...peopled)
      .when(remove([second], member))
      .rejects('group.not-allowed')
    given(...peopled)
      .when(remove([member], member))
      .rejects('group.not-allowed')
  })

  it('is never leaving', () => {
    for (const by of [owner, admin])
      given(...peopled)
        .when(remove([by], by))
        .rejects('group.target-self', { userId: by })
  })

  it('removes nobody when one of them cannot be removed', () => {
    given(...peopled)
      .when(remove([member, stranger], owner))
      .rejects('group.target-not-member', { userId: stranger })
    given(...peopled)
      .when(remove([member, other], admin))
      .rejects('group.target-is-admin', { userId: other })
  })

  it('counts a double once', () => {
    given(...peopled)
      .when(remove([member, member], owner))
      .then([removed([member], 4, owner)])
    given(...peopled)
      .when(remove([], owner))
      .then([])
  })
})

describe('leaving (R23)', () => {
  it('is everybody’s right but the owner’s', () => {
    for (const by of [admin, member])
      given(...peopled)
        .when(leave(by))
        .then([removed([by], 4, by, 'left')])
    given(...peopled)
      .when(leave(owner))
      .rejects('group.owner-cannot-leave')
    given(created({ memberIds: [] }))
      .when(leave(owner))
      .rejects('group.owner-cannot-leave')
  })
})
