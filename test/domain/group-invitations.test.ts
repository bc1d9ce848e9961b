// How people are asked into a group, what they answer (R19, R20), and how what was asked ends by itself (R16).

import { describe, expect, it } from 'vitest'
import { type GroupCommand, type GroupEvent, group } from '../../domain/group/group.ts'
import type { Instant } from '../../domain/ids.ts'
import { limits } from '../../domain/limits.ts'
import {
  add,
  added,
  admin,
  at,
  create,
  created,
  dissolve,
  facts,
  groupId,
  later,
  member,
  other,
  owner,
  removed,
  stranger,
  users,
} from '../support/group.ts'
import {
  accept,
  accepted,
  applied,
  expiresAt,
  guest,
  invitedEvent,
  join,
  joinedEvent,
  open,
  recall,
  rejectIt,
} from '../support/group-joining.ts'
import { specify } from '../support/specify.ts'

const { given } = specify(group)

describe('inviting (R19, R20)', () => {
  it('adds people at once where no consent is required', () => {
    given(...open({ inviteeConsent: 'none' }))
      .when(add([guest], owner))
      .then([added([guest], 4, owner)])
  })

  it('asks them first where it is', () => {
    const state = given(...open())
      .when({ ...add([guest, member, guest], admin), message: 'Come.' } as GroupCommand)
      .then([
        {
          type: 'MembersInvited',
          data: {
            groupId,
            groupName: 'Friends',
            invited: [{ userId: guest, requestId: 'of adding' }],
            message: 'Come.',
            expiresAt,
            by: admin,
            at,
          },
        },
      ])
    expect(state).toMatchObject({ invitations: new Map([[guest, { requestId: 'of adding', by: admin, expiresAt }]]) })
  })

  it('asks those named at the creation too: only the creator is in', () => {
    const state = given()
      .when(create({ memberIds: [member, guest], inviteeConsent: 'required' }), facts)
      .then([
        created({ memberIds: [], memberCount: 1, inviteeConsent: 'required' }),
        invitedEvent([member, guest], owner, 'of creation'),
      ])
    expect(state).toMatchObject({ members: new Map([[owner, { role: 'owner', joinedAt: at }]]) })
  })

  it('is for managers, or for everyone where the group says so', () => {
    given(...open())
      .when(add([guest], member))
      .rejects('group.not-allowed')
    given(...open({ inviteMode: 'everyone' }))
      .when(add([guest], member))
      .then([invitedEvent([guest], member)])
  })

  it('again changes the open invitation and keeps its id', () => {
    given(...open(), invitedEvent([guest], owner, 'the first'))
      .when(add([guest, stranger], admin))
      .then([
        {
          type: 'MembersInvited',
          data: {
            groupId,
            groupName: 'Friends',
            invited: [
              { userId: guest, requestId: 'the first' },
              { userId: stranger, requestId: 'of adding' },
            ],
            expiresAt,
            by: admin,
            at,
          },
        },
      ])
  })

  it('is refused when the group is full, or has too many open invitations', () => {
    given(...open({ memberLimit: 3 }))
      .when(add([guest], owner))
      .rejects('group.full', { memberLimit: 3 })
    const many = users(limits.groupInvitationsPendingMax - 1)
    given(...open(), invitedEvent(many))
      .when(add([guest], owner))
      .then([invitedEvent([guest])])
    given(...open(), invitedEvent(many))
      .when(add([guest, stranger], owner))
      .rejects('invitation.limit')
    given(...open(), invitedEvent([...many, guest]))
      .when(add([guest], owner))
      .then([invitedEvent([guest])])
  })
})

describe('an invitation (R20)', () => {
  it('lets the invited in when it is accepted', () => {
    const state = given(...open(), invitedEvent([guest]))
      .when(accept(guest))
      .then([accepted(guest), joinedEvent(guest, owner, 'invitation')])
    expect(state).toMatchObject({ invitations: new Map() })
    if (state.status !== 'none')
      expect(state.members.get(guest)).toStrictEqual({ role: 'member', joinedAt: at, invitedBy: owner })
  })

  it('is accepted once: afterwards there is nothing to do', () => {
    given(...open(), invitedEvent([guest]), accepted(guest), joinedEvent(guest, owner, 'invitation'))
      .when(accept(guest))
      .then([])
  })

  it('outlives the membership of its inviter', () => {
    given(...open(), invitedEvent([guest], admin), removed([admin], 2, owner))
      .when(accept(guest))
      .then([
        accepted(guest, admin),
        { type: 'MembersAdded', data: { groupId, userIds: [guest], memberCount: 3, via: 'invitation', by: admin, at } },
      ])
  })

  it('is of no use to others, once it was answered or taken back, and after seven days', () => {
    for (const events of [
      [...open()],
      [...open(), invitedEvent([stranger])],
      [...open(), invitedEvent([guest]), accepted(guest)],
      [],
    ]) {
      for (const command of [accept(guest), rejectIt(guest)])
        given(...events)
          .when(command)
          .rejects('invitation.not-found')
    }
    given(...open(), invitedEvent([guest]))
      .when(accept(guest, expiresAt))
      .rejects('invitation.not-found')
    given(...open(), invitedEvent([guest]))
      .when(accept(guest, '2026-11-30T07:59:59.999Z' as Instant))
      .then([
        { type: 'InvitationAccepted', data: { ...accepted(guest).data, at: '2026-11-30T07:59:59.999Z' } } as GroupEvent,
        {
          type: 'MembersAdded',
          data: { ...joinedEvent(guest, owner, 'invitation').data, at: '2026-11-30T07:59:59.999Z' },
        } as GroupEvent,
      ])
  })

  it('needs room when it is accepted', () => {
    given(...open({ memberLimit: 4 }), invitedEvent([guest, stranger]), added([stranger], 4, owner))
      .when(accept(guest))
      .rejects('group.full')
  })

  it('ends when it is rejected', () => {
    given(...open(), invitedEvent([guest]))
      .when(rejectIt(guest))
      .then([
        {
          type: 'InvitationRejected',
          data: { groupId, userId: guest, requestId: 'of adding', invitedBy: owner, at },
        },
      ])
  })

  it('is taken back by its inviter, the owner or an admin', () => {
    for (const by of [member, owner, admin]) {
      given(...open({ inviteMode: 'everyone' }), invitedEvent([guest], member))
        .when(recall(guest, by))
        .then([{ type: 'InvitationRecalled', data: { groupId, userId: guest, requestId: 'of adding', by, at } }])
    }
    given(...open(), invitedEvent([guest]))
      .when(recall(guest, member))
      .rejects('group.not-allowed')
    given(...open())
      .when(recall(guest, owner))
      .rejects('invitation.not-found')
    given(...open(), invitedEvent([guest]))
      .when(recall(guest, guest))
      .rejects('group.not-found')
  })

  it('ends as accepted for one who comes in another way', () => {
    given(...open({ joinMode: 'free' }), invitedEvent([guest]))
      .when(join(guest))
      .then([accepted(guest), joinedEvent(guest, guest, 'free')])
    given(...open({ inviteeConsent: 'none' }), invitedEvent([guest]))
      .when(add([guest], admin))
      .then([accepted(guest), added([guest], 4, admin)])
  })
})

describe('requests end by themselves (R16)', () => {
  const waiting = [...open(), invitedEvent([guest]), applied(stranger, [owner])]
  const ended = (when: Instant): GroupEvent[] => [
    {
      type: 'InvitationsExpired',
      data: { groupId, invitations: [{ userId: guest, requestId: 'of adding' }], at: when },
    },
    {
      type: 'ApplicationsExpired',
      data: { groupId, applications: [{ userId: stranger, requestId: 'of joining', told: [owner] }], at: when },
    },
  ]

  it('when their time has come, and not before', () => {
    given(...waiting)
      .when({ type: 'ExpireRequests', at: later })
      .then([])
    const state = given(...waiting)
      .when({ type: 'ExpireRequests', at: expiresAt })
      .then(ended(expiresAt))
    expect(state).toMatchObject({ invitations: new Map(), applications: new Map() })
    given(...waiting, ...ended(expiresAt))
      .when({ type: 'ExpireRequests', at: expiresAt })
      .then([])
    given().when({ type: 'ExpireRequests', at: expiresAt }).then([])
  })

  it('of one whose account was closed, whatever their time', () => {
    const [invitations, applications] = ended(at) as [GroupEvent, GroupEvent]
    for (const [userId, event] of [
      [guest, invitations],
      [stranger, applications],
    ] as const) {
      given(...waiting)
        .when({ type: 'ExpireRequests', userId, at })
        .then([event])
    }
    given(...waiting)
      .when({ type: 'ExpireRequests', userId: other, at: expiresAt })
      .then([])
  })

  it('with the group', () => {
    given(...waiting)
      .when(dissolve(owner))
      .then([...ended(at), { type: 'GroupDissolved', data: { groupId, by: owner, at } }])
  })
})

describe('what waits', () => {
  it('is in a snapshot as it was', () => {
    const { load } = group
    if (load.by !== 'snapshot') return expect.fail('no snapshots')
    const state = given(...open(), invitedEvent([guest, other], admin), applied(stranger, [owner, admin])).state()
    expect(load.decode(JSON.parse(JSON.stringify(load.encode(state))))).toStrictEqual(state)
  })
})
