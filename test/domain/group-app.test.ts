// What the app's own backend does in a group, past the roles of its members: a party without a place in it.

import { describe, expect, it } from 'vitest'
import { type GroupEvent, group, roleIn } from '../../domain/group/group.ts'
import { systemUserId as app } from '../../domain/ids.ts'
import {
  add,
  addAdmin,
  added,
  admin,
  at,
  created,
  dissolve,
  groupId,
  leave,
  member,
  owner,
  peopled,
  remove,
  removeAdmin,
  removed,
  second,
  stranger,
  transfer,
  users,
} from '../support/group.ts'
import { accepted, applied, approved, guest, invitedEvent, open } from '../support/group-joining.ts'
import { specify } from '../support/specify.ts'

const { given } = specify(group)

describe('the app', () => {
  it('adds people without asking anybody, and nobody has brought them (R19, R20)', () => {
    const closed = open({ inviteeConsent: 'required', inviteMode: 'managers', joinMode: 'nobody' })
    const state = given(...closed)
      .when(add([guest, member], app))
      .then([added([guest], 4, app)])
    expect(state.status !== 'none' && state.members.get(guest)).toEqual({ role: 'member', joinedAt: at })
  })

  it('lets in by that who was asked, or asked to be let in', () => {
    given(...open(), invitedEvent([guest]), applied(stranger))
      .when(add([guest, stranger], app))
      .then([accepted(guest), approved(stranger, app, 'auto'), added([guest, stranger], 5, app)])
  })

  it('adds no more than there is room for', () => {
    given(created({ memberIds: [member], memberCount: 2, memberLimit: 3 }))
      .when(add(users(2), app))
      .rejects('group.full', { memberLimit: 3 })
  })

  it('removes anybody but the owner, all or none (R15)', () => {
    given(...peopled)
      .when(remove([admin, member], app))
      .then([removed([admin, member], 3, app)])
    given(...peopled)
      .when(remove([member, owner], app))
      .rejects('group.target-is-owner', { userId: owner })
    given(...peopled)
      .when(remove([member, stranger], app))
      .rejects('group.target-not-member', { userId: stranger })
  })

  it('makes another member the owner; the one before is a plain member then (R17)', () => {
    const transferred: GroupEvent = {
      type: 'OwnerTransferred',
      data: { groupId, from: owner, to: member, by: app, at },
    }
    const state = given(...peopled)
      .when(transfer(member, false, app))
      .then([transferred])
    expect([roleIn(state, member), roleIn(state, owner)]).toStrictEqual(['owner', 'member'])
    given(...peopled)
      .when(transfer(owner, false, app))
      .rejects('group.already-owner')
    given(...peopled)
      .when(transfer(stranger, false, app))
      .rejects('group.target-not-member')
  })

  it('names and dismisses admins (R25)', () => {
    given(...peopled)
      .when(addAdmin(second, app))
      .then([{ type: 'AdminAdded', data: { groupId, userId: second, by: app, at } }])
    given(...peopled)
      .when(removeAdmin(admin, app))
      .then([{ type: 'AdminRemoved', data: { groupId, userId: admin, by: app, at } }])
  })

  it('mutes admins as well, and lets them speak again (R21)', () => {
    const muted: GroupEvent = { type: 'MemberMuted', data: { groupId, userId: admin, until: 'forever', by: app, at } }
    given(...peopled)
      .when({ type: 'MuteMember', userId: admin, until: 'forever', by: app, at })
      .then([muted])
    given(...peopled, muted)
      .when({ type: 'UnmuteMember', userId: admin, by: app, at })
      .then([{ type: 'MemberUnmuted', data: { groupId, userId: admin, by: app, at } }])
  })

  it('dissolves the group (R16), which it could not leave', () => {
    given(...peopled)
      .when(dissolve(app))
      .then([{ type: 'GroupDissolved', data: { groupId, by: app, at } }])
    given(...peopled)
      .when(leave(app))
      .rejects('group.owner-cannot-leave')
  })
})
