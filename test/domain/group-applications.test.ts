// How people come into a group who were not asked: at once, by an application, by an answer (R22, R43, R45).

import { describe, expect, it } from 'vitest'
import { type GroupCommand, type GroupEvent, group } from '../../domain/group/group.ts'
import { scoreOf } from '../../domain/group/questions.ts'
import type { UserId } from '../../domain/ids.ts'
import { limits } from '../../domain/limits.ts'
import { add, added, admin, at, groupId, member, owner, removed, second, stranger, users } from '../support/group.ts'
import {
  accept,
  accepted,
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

describe('joining (R22)', () => {
  it('is at once where the group is free', () => {
    const state = given(...open({ joinMode: 'free' }))
      .when(join(guest))
      .then([joinedEvent(guest, guest, 'free')])
    if (state.status !== 'none') expect(state.members.get(guest)).toStrictEqual({ role: 'member', joinedAt: at })
  })

  it('is an application where it needs approval, of which the owner and the admins are told', () => {
    const state = given(...open())
      .when(join(guest, { message: 'Please.' }))
      .then([applied(guest, [owner, admin], 'Please.')])
    expect(state).toMatchObject({
      applications: new Map([[guest, { requestId: 'of joining', told: [owner, admin], expiresAt }]]),
    })
  })

  it('again changes the open application, and keeps its id and whom it was told', () => {
    given(...open(), applied(guest, [owner]))
      .when(join(guest, { requestId: 'another', message: 'Still.' }))
      .then([applied(guest, [owner], 'Still.')])
  })

  it('finds no group where nobody is let in, for one whom the owner blocks, and where there is none', () => {
    given(...open({ joinMode: 'nobody' }))
      .when(join(guest))
      .rejects('group.not-found')
    given(...open({ joinMode: 'free' }))
      .when(join(guest, { blockedBy: [owner] }))
      .rejects('group.not-found')
    given().when(join(guest)).rejects('group.not-found')
    given(...open({ joinMode: 'free' }), { type: 'GroupDissolved', data: { groupId, by: owner, at } })
      .when(join(guest))
      .rejects('group.not-found')
  })

  it('does not reach an admin who blocks the applicant', () => {
    given(...open())
      .when(join(guest, { blockedBy: [admin] }))
      .then([applied(guest, [owner])])
  })

  it('is refused to members, when the group is full, and when too many wait', () => {
    given(...open())
      .when(join(member))
      .rejects('group.already-member')
    given(...open({ joinMode: 'free', memberLimit: 3 }))
      .when(join(guest))
      .rejects('group.full')
    const many = users(limits.groupApplicationsPendingMax).map(userId => applied(userId))
    given(...open(), ...many)
      .when(join(guest))
      .rejects('application.limit')
    given(...open(), ...many)
      .when(join('u0' as UserId))
      .then([applied('u0' as UserId)])
  })

  it('is open again to one who was removed', () => {
    given(...open({ joinMode: 'free' }), removed([member], 2, owner))
      .when(join(member))
      .then([
        { type: 'MembersAdded', data: { groupId, userIds: [member], memberCount: 3, via: 'free', by: member, at } },
      ])
  })
})

describe('an application (R22)', () => {
  it('lets the applicant in when the owner or an admin approves it', () => {
    for (const by of [owner, admin]) {
      given(...open(), applied(guest))
        .when(approve(guest, by))
        .then([approved(guest, by, 'manager'), joinedEvent(guest, by, 'application')])
    }
    for (const command of [approve(guest, member), turnAway(guest, member)])
      given(...open(), applied(guest))
        .when(command)
        .rejects('group.not-allowed')
  })

  it('is decided once: later decisions come too late', () => {
    const decided: GroupEvent[][] = [
      [approved(guest, owner, 'manager'), joinedEvent(guest, owner, 'application')],
      [
        {
          type: 'ApplicationWithdrawn',
          data: { groupId, userId: guest, requestId: 'of joining', told: [owner, admin], at },
        },
      ],
    ]
    for (const events of decided) {
      for (const command of [approve(guest, admin), turnAway(guest, admin)])
        given(...open(), applied(guest), ...events)
          .when(command)
          .rejects('application.not-pending')
    }
    given(...open(), applied(guest))
      .when(approve(guest, owner, expiresAt))
      .rejects('application.not-pending')
  })

  it('of a full group tells each what they can do about it', () => {
    const state = given(...open({ memberLimit: 4 }), applied(guest), added([second], 4, owner)).state()
    const told = (command: GroupCommand) => group.decide(command, state, undefined)
    expect(told(approve(guest, owner))).toMatchObject({ detail: expect.stringMatching(/Let fewer in/) })
    expect(told(join(stranger))).toMatchObject({ detail: expect.stringMatching(/Come back/) })
  })

  it('needs room, and a group that still lets people in, when it is approved', () => {
    given(...open({ memberLimit: 4 }), applied(guest), added([second], 4, owner))
      .when(approve(guest, owner))
      .rejects('group.full')
    given(...open({ joinMode: 'nobody' }), applied(guest))
      .when(approve(guest, owner))
      .rejects('group.join-closed')
    given(...open({ joinMode: 'question' }), applied(guest))
      .when(approve(guest, owner))
      .then([approved(guest, owner, 'manager'), joinedEvent(guest, owner, 'application')])
  })

  it('is turned away with a reason', () => {
    given(...open(), applied(guest))
      .when(turnAway(guest, admin, 'No room.'))
      .then([
        {
          type: 'ApplicationRejected',
          data: {
            groupId,
            userId: guest,
            requestId: 'of joining',
            told: [owner, admin],
            reason: 'No room.',
            by: admin,
            at,
          },
        },
      ])
  })

  it('is taken back by the applicant', () => {
    const withdraw = (by: UserId): GroupCommand => ({ type: 'WithdrawApplication', by, at })
    given(...open(), applied(guest))
      .when(withdraw(guest))
      .then([
        {
          type: 'ApplicationWithdrawn',
          data: { groupId, userId: guest, requestId: 'of joining', told: [owner, admin], at },
        },
      ])
    for (const events of [[...open(), applied(guest)], []])
      given(...events)
        .when(withdraw(stranger))
        .rejects('application.not-pending')
  })

  it('ends for one who is added or invited in meanwhile', () => {
    given(...open({ inviteeConsent: 'none' }), applied(guest))
      .when(add([guest], admin))
      .then([approved(guest, admin, 'manager'), added([guest], 4, admin)])
    given(...open(), applied(guest), invitedEvent([guest], member))
      .when(accept(guest))
      .then([accepted(guest, member), approved(guest, system, 'auto'), joinedEvent(guest, member, 'invitation')])
  })
})

describe('auto-approval (R45)', () => {
  const letIn = [applied(guest, []), approved(guest, system, 'auto', []), joinedEvent(guest, guest, 'application')]

  it('leaves the same record, decided by nobody', () => {
    given(...open({ autoApprove: 'all' }))
      .when(join(guest))
      .then(letIn)
  })

  it("may be for the owner's friends", () => {
    given(...open({ autoApprove: 'friendsOfOwner' }))
      .when(join(guest, { isFriendOfOwner: true }))
      .then(letIn)
    given(...open({ autoApprove: 'friendsOfOwner' }))
      .when(join(guest))
      .then([applied(guest)])
  })

  it('may be for those whom a member has invited', () => {
    given(...open({ autoApprove: 'invitedByMember' }), invitedEvent([guest], member))
      .when(join(guest))
      .then([
        applied(guest, []),
        accepted(guest, member),
        approved(guest, system, 'auto', []),
        joinedEvent(guest, guest, 'application'),
      ])
    for (const events of [[], [invitedEvent([guest], member), removed([member], 2, owner)]])
      given(...open({ autoApprove: 'invitedByMember' }), ...events)
        .when(join(guest))
        .then([applied(guest)])
  })

  it('ends an application that was made before it was on', () => {
    given(...open({ autoApprove: 'all' }), applied(guest, [owner]))
      .when(join(guest))
      .then([
        applied(guest, [owner]),
        approved(guest, system, 'auto', [owner]),
        joinedEvent(guest, guest, 'application'),
      ])
  })
})

describe('questions (R43)', () => {
  const questions = [
    { text: 'First program?', answers: ['Ada', 'Lovelace'], score: 2 },
    { text: 'Engine?', answers: ['Analytical'], score: 1 },
  ]
  const set = (minimumScore: number): GroupEvent => ({
    type: 'JoinQuestionsSet',
    data: { groupId, questions, minimumScore, by: owner, at },
  })
  const asking = (minimumScore = 3) => [...open({ joinMode: 'question' }), set(minimumScore)]

  it('are set by the owner and the admins; all must be answered right unless a lower score is enough', () => {
    for (const by of [owner, admin])
      given(...open())
        .when({ type: 'SetJoinQuestions', questions, by, at })
        .then([{ type: 'JoinQuestionsSet', data: { groupId, questions, minimumScore: 3, by, at } }])
    given(...open())
      .when({ type: 'SetJoinQuestions', questions, by: member, at })
      .rejects('group.not-allowed')
    for (const minimumScore of [0, 4, Number.NaN])
      given(...open())
        .when({ type: 'SetJoinQuestions', questions, minimumScore, by: owner, at })
        .rejects('group.unreachable-score')
  })

  it('let in whoever reaches the score', () => {
    given(...asking(2))
      .when(join(guest, { answers: ['lovelace'] }))
      .then([joinedEvent(guest, guest, 'question')])
    given(...asking())
      .when(join(guest, { answers: ['ada', 'analytical'] }))
      .then([joinedEvent(guest, guest, 'question')])
  })

  it('refuse wrong answers, and none at all', () => {
    for (const answers of [[], ['Babbage', 'Analytical'], ['', ''], ['Analytical', 'Ada']])
      given(...asking())
        .when(join(guest, { answers }))
        .rejects('group.wrong-answer')
    given(...asking())
      .when(join(guest))
      .rejects('group.answers-missing')
  })

  it('compare answers without case, spaces around, or a difference in form', () => {
    const one = (answer: string) => [{ text: 'q', answers: [answer], score: 1 }]
    expect(scoreOf(one('Straße'), ['  STRASSE '])).toBe(1)
    expect(scoreOf(one('ﬁn'), ['FIN'])).toBe(1)
    expect(scoreOf(one('café'), ['cafe\u0301'])).toBe(1)
    expect(scoreOf(one('ad a'), ['ada'])).toBe(0)
  })

  it('leave the decision to the managers while none is set', () => {
    for (const events of [
      open({ joinMode: 'question' }),
      [...asking(), { ...set(0), data: { ...set(0).data, questions: [] } } as GroupEvent],
    ])
      given(...events)
        .when(join(guest))
        .then([applied(guest)])
  })
})
