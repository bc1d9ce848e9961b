// What becomes of those whom members ask into a group that is joined by approval, where the managers decide about them (R19).

import { describe, expect, it } from 'vitest'
import type { GroupAttributes } from '../../domain/group/attributes.ts'
import { type GroupCommand, type GroupEvent, group } from '../../domain/group/group.ts'
import type { Instant, UserId } from '../../domain/ids.ts'
import { limits } from '../../domain/limits.ts'
import { noticesFor } from '../../domain/notification/row.ts'
import {
  add,
  added,
  admin,
  at,
  dissolve,
  groupId,
  later,
  member,
  owner,
  second,
  stranger,
  users,
} from '../support/group.ts'
import {
  accept,
  applied,
  approve,
  approved,
  expiresAt,
  guest,
  invitedEvent,
  join,
  joinedEvent,
  open,
  system,
  turnAway,
} from '../support/group-joining.ts'
import { specify } from '../support/specify.ts'

const { given } = specify(group)

/** A group into which everybody may ask people. */
const everyone = (attributes: Partial<GroupAttributes> = {}) => open({ inviteMode: 'everyone', ...attributes })
/** Where the operator wants members' invitations to be approved. */
const asks = (
  userIds: UserId[],
  by: UserId,
  more: { message?: string; friends?: readonly UserId[] } = {},
): GroupCommand => ({
  ...(add(userIds, by) as Extract<GroupCommand, { type: 'AddMembers' }>),
  message: more.message,
  proposable: userIds.map(userId => ({
    userId,
    requestId: `for ${userId}`,
    isFriendOfOwner: more.friends?.includes(userId) ?? false,
  })),
})
const proposed = (userId: UserId, more: { by?: UserId; message?: string } = {}): GroupEvent => ({
  type: 'ApplicationMade',
  data: {
    groupId,
    userId,
    requestId: `for ${userId}`,
    ...(more.message === undefined ? {} : { message: more.message }),
    told: [owner, admin],
    invitedBy: more.by ?? member,
    expiresAt,
    at,
  },
})
const ended = (userId: UserId) => ({
  groupId,
  userId,
  requestId: `for ${userId}`,
  told: [owner, admin],
  invitedBy: member,
  at,
})
const agreed = (userId: UserId, by: UserId): GroupEvent => ({
  type: 'ApplicationApproved',
  data: { ...ended(userId), decidedBy: 'manager', by },
})
const withdraw = (by: UserId): GroupCommand => ({ type: 'WithdrawApplication', by, at })
const told = (event: GroupEvent) =>
  noticesFor({ ...event, id: 'e', position: '1' } as never, () => []).map(notice =>
    notice.do === 'put' ? { to: notice.userId, ...notice.row } : { to: notice.userId, state: notice.state },
  )

describe('whom a plain member asks in (R19)', () => {
  it('waits for the managers, whether the group asks first or not: R19 on', () => {
    for (const inviteeConsent of ['none', 'required'] as const) {
      const state = given(...everyone({ inviteeConsent }))
        .when(asks([guest, member, guest, stranger], member, { message: 'Come.' }))
        .then([proposed(guest, { message: 'Come.' }), proposed(stranger, { message: 'Come.' })])
      if (state.status === 'none') return expect.fail('no group')
      expect(state.applications.get(guest)).toStrictEqual({
        requestId: `for ${guest}`,
        told: [owner, admin],
        expiresAt,
        invitedBy: member,
      })
      expect(state.invitations.size).toBe(0)
    }
  })

  it('is invited or added as ever where the operator wants no approval: R19 off', () => {
    given(...everyone())
      .when(add([guest], member))
      .then([invitedEvent([guest], member)])
    given(...everyone({ inviteeConsent: 'none' }))
      .when(add([guest], member))
      .then([added([guest], 4, member)])
  })

  it('of the owner, an admin and the app comes in as ever (R19)', () => {
    for (const by of [owner, admin]) {
      given(...everyone())
        .when(asks([guest], by))
        .then([invitedEvent([guest], by)])
      given(...everyone({ inviteeConsent: 'none' }))
        .when(asks([guest], by))
        .then([added([guest], 4, by)])
    }
    given(...everyone())
      .when(asks([guest], system))
      .then([added([guest], 4, system)])
  })

  it('comes in as ever where the group is not joined by approval (R19)', () => {
    for (const joinMode of ['free', 'question', 'nobody'] as const)
      given(...everyone({ joinMode }))
        .when(asks([guest], member))
        .then([invitedEvent([guest], member)])
  })

  it('is no matter of a member whom the group lets invite nobody (R19, R44)', () => {
    given(...open())
      .when(asks([guest], member))
      .rejects('group.not-allowed')
  })

  it('needs nobody where the group approves by itself (R19, R45)', () => {
    for (const autoApprove of ['all', 'invitedByMember'] as const)
      given(...everyone({ autoApprove }))
        .when(asks([guest], member))
        .then([invitedEvent([guest], member)])
    given(...everyone({ autoApprove: 'friendsOfOwner' }))
      .when(asks([guest, stranger], member, { friends: [stranger] }))
      .then([proposed(guest), invitedEvent([stranger], member)])
    given(...everyone({ autoApprove: 'friendsOfOwner', inviteeConsent: 'none' }))
      .when(asks([guest, stranger], member, { friends: [stranger] }))
      .then([proposed(guest), added([stranger], 4, member)])
  })

  it('finds no room in a full group, nor where too many wait (R19)', () => {
    given(...everyone({ memberLimit: 3 }))
      .when(asks([guest], member))
      .rejects('group.full', { memberLimit: 3 })
    const many = users(limits.groupApplicationsPendingMax - 1).map(userId => applied(userId))
    given(...everyone(), ...many)
      .when(asks([guest, stranger], member))
      .rejects('application.limit')
    given(...everyone(), ...many)
      .when(asks([guest, 'u0' as UserId], member))
      .then([proposed(guest)])
  })

  it('and has applied already keeps the own application (R19)', () => {
    given(...everyone(), applied(guest))
      .when(asks([guest], member))
      .then([])
    given(...everyone(), applied(guest))
      .when(asks([guest, stranger], member))
      .then([proposed(stranger)])
  })

  it('again is asked for anew under the id of the first time, by who asked last (R19)', () => {
    given(...everyone(), added([second], 4, owner), proposed(guest))
      .when(asks([guest], second, { message: 'Do.' }))
      .then([proposed(guest, { by: second, message: 'Do.' })])
  })
})

describe('an application that a member made for somebody (R19)', () => {
  it('approved makes a member whom its maker brought in, where the group does not ask first', () => {
    for (const by of [owner, admin]) {
      const state = given(...everyone({ inviteeConsent: 'none' }), proposed(guest))
        .when(approve(guest, by))
        .then([agreed(guest, by), added([guest], 4, member)])
      if (state.status === 'none') return expect.fail('no group')
      expect(state.members.get(guest)).toStrictEqual({ role: 'member', joinedAt: at, invitedBy: member })
      expect(state.applications.size).toBe(0)
    }
  })

  it("approved becomes its maker's invitation, where the group asks first", () => {
    const invitation = invitedEvent([guest], member, `for ${guest}`)
    const state = given(...everyone(), proposed(guest, { message: 'Come.' }))
      .when(approve(guest, owner))
      .then([agreed(guest, owner), invitation])
    if (state.status === 'none') return expect.fail('no group')
    expect(state.members.has(guest)).toBe(false)
    given(...everyone(), proposed(guest), agreed(guest, owner), invitation)
      .when(accept(guest))
      .then([
        {
          type: 'InvitationAccepted',
          data: { groupId, userId: guest, requestId: `for ${guest}`, invitedBy: member, at },
        },
        joinedEvent(guest, member, 'invitation'),
      ])
  })

  it('is decided as any: by managers, in time, with room, in a group that lets people in', () => {
    given(...everyone(), proposed(guest))
      .when(approve(guest, member))
      .rejects('group.not-allowed')
    given(...everyone(), proposed(guest))
      .when(turnAway(guest, member))
      .rejects('group.not-allowed')
    given(...everyone(), proposed(guest))
      .when(approve(guest, owner, expiresAt))
      .rejects('application.not-pending')
    given(...everyone({ memberLimit: 4 }), proposed(guest), added([second], 4, owner))
      .when(approve(guest, owner))
      .rejects('group.full')
    given(...everyone({ joinMode: 'nobody' }), proposed(guest))
      .when(approve(guest, owner))
      .rejects('group.join-closed')
    const invited = invitedEvent(users(limits.groupInvitationsPendingMax))
    given(...everyone(), invited, proposed(guest))
      .when(approve(guest, owner))
      .rejects('invitation.limit')
  })

  it('rejected is told to its maker alone', () => {
    const rejected: GroupEvent = {
      type: 'ApplicationRejected',
      data: { ...ended(guest), reason: 'No.', by: owner },
    }
    given(...everyone(), proposed(guest))
      .when(turnAway(guest, owner, 'No.'))
      .then([rejected])
    expect(told(rejected)).toMatchObject([
      { to: owner, state: 'rejected' },
      { to: admin, state: 'rejected' },
      { to: member, kind: 'groupApplicationRejected', by: owner, userId: guest, groupId, message: 'No.' },
    ])
  })

  it('expired is told to its maker alone, one notification for each whom they asked for', () => {
    const application = (userId: UserId) => {
      const { groupId: _, at: __, ...rest } = ended(userId)
      return rest
    }
    const expired = (when: Instant): GroupEvent => ({
      type: 'ApplicationsExpired',
      data: { groupId, applications: [guest, stranger].map(application), at: when },
    })
    const waiting = [...everyone(), proposed(guest), proposed(stranger)]
    given(...waiting)
      .when({ type: 'ExpireRequests', at: later })
      .then([])
    given(...waiting)
      .when({ type: 'ExpireRequests', at: expiresAt })
      .then([expired(expiresAt)])
    given(...waiting)
      .when(dissolve(owner))
      .then([expired(at), { type: 'GroupDissolved', data: { groupId, by: owner, at } }])
    const toMaker = told(expired(at)).filter(({ to }) => to === member)
    expect(toMaker).toMatchObject(
      [guest, stranger].map(userId => ({ notificationId: `for ${userId}`, kind: 'groupApplicationExpired', userId })),
    )
    expect(told(expired(at)).filter(({ to }) => to === guest || to === stranger)).toEqual([])
  })

  it('is told to the managers, as made by its maker for somebody', () => {
    expect(told(proposed(guest))).toMatchObject(
      [owner, admin].map(to => ({ to, kind: 'groupApplication', by: member, userId: guest, state: 'pending' })),
    )
  })

  it('is not for the user to take back, who knows nothing of it', () => {
    given(...everyone(), proposed(guest))
      .when(withdraw(guest))
      .rejects('application.not-pending')
  })

  it("gives way to the user's own", () => {
    given(...everyone(), proposed(guest))
      .when(join(guest, { blockedBy: [admin] }))
      .then([{ type: 'ApplicationWithdrawn', data: ended(guest) }, applied(guest, [owner])])
    given(...everyone({ autoApprove: 'all' }), proposed(guest))
      .when(join(guest))
      .then([
        { type: 'ApplicationWithdrawn', data: ended(guest) },
        applied(guest, []),
        approved(guest, system, 'auto', []),
        joinedEvent(guest, guest, 'application'),
      ])
  })

  it('ends as approved for one who comes in another way', () => {
    given(...everyone({ inviteeConsent: 'none' }), proposed(guest))
      .when(add([guest], admin))
      .then([agreed(guest, admin), added([guest], 4, admin)])
  })

  it('is in a snapshot as it was', () => {
    const { load } = group
    if (load.by !== 'snapshot') return expect.fail('no snapshots')
    const state = given(
      ...everyone(),
      proposed(guest, { message: 'Come.' }),
      proposed(stranger),
      applied(second),
    ).state()
    expect(load.decode(JSON.parse(JSON.stringify(load.encode(state))))).toStrictEqual(state)
  })
})
