// Who is what in a group: its owner, its admins, its end, those outside (R16, R17, R24, R25), and how it is kept in a snapshot.

import { describe, expect, it } from 'vitest'
import { type Group, type GroupEvent, group, roleIn } from '../../domain/group/group.ts'
import type { Instant, UserId } from '../../domain/ids.ts'
import { limits } from '../../domain/limits.ts'
import { appendBytesMax } from '../../eventstore/port.ts'
import {
  addAdmin,
  admin,
  adminAdded,
  at,
  created,
  dissolve,
  dissolved,
  everyCommandBy,
  groupId,
  later,
  member,
  other,
  owner,
  peopled,
  removeAdmin,
  removed,
  second,
  stranger,
  transfer,
  users,
} from '../support/group.ts'
import { fold, specify } from '../support/specify.ts'

const { given } = specify(group)

describe('transferring (R17)', () => {
  it('is refused to one who owns as many groups as anybody may', () => {
    given(...peopled)
      .when(transfer(member, false, owner, true))
      .rejects('group.owned-limit')
    given(...peopled)
      .when(transfer(owner, false, owner, true))
      .rejects('group.already-owner')
    given(...peopled)
      .when(transfer(member, false, admin, true))
      .rejects('group.not-owner')
  })

  const transferred = (to: UserId): GroupEvent => ({
    type: 'OwnerTransferred',
    data: { groupId, from: owner, to, by: owner, at },
  })

  it('makes a member the owner and the old owner a plain member', () => {
    const state = given(...peopled)
      .when(transfer(member, false, owner))
      .then([transferred(member)])
    expect(state).toMatchObject({ ownerId: member })
    expect([roleIn(state, member), roleIn(state, owner)]).toStrictEqual(['owner', 'member'])
  })

  it('takes the admin role of the new owner away, so that another can have it', () => {
    const state = given(...peopled)
      .when(transfer(admin, false, owner))
      .then([transferred(admin)])
    expect(roleIn(state, admin)).toBe('owner')
  })

  it('lets the old owner leave in the same decision', () => {
    const state = given(...peopled)
      .when(transfer(member, true, owner))
      .then([transferred(member), removed([owner], 4, owner, 'left')])
    expect([roleIn(state, member), roleIn(state, owner)]).toStrictEqual(['owner', null])
  })

  it('is the owner’s right alone', () => {
    for (const by of [admin, member])
      given(...peopled)
        .when(transfer(second, false, by))
        .rejects('group.not-owner')
    given(...peopled, transferred(member))
      .when(transfer(admin, false, owner))
      .rejects('group.not-owner')
  })

  it('goes to another member only', () => {
    given(...peopled)
      .when(transfer(owner, true, owner))
      .rejects('group.already-owner')
    given(...peopled)
      .when(transfer(stranger, false, owner))
      .rejects('group.target-not-member', { userId: stranger })
  })
})

describe('admins (R24, R25)', () => {
  const adminRemoved: GroupEvent = { type: 'AdminRemoved', data: { groupId, userId: admin, by: owner, at } }

  it('are named and dismissed by the owner', () => {
    expect(
      roleIn(
        given(...peopled)
          .when(addAdmin(member, owner))
          .then([adminAdded(member)]),
        member,
      ),
    ).toBe('admin')
    expect(
      roleIn(
        given(...peopled)
          .when(removeAdmin(admin, owner))
          .then([adminRemoved]),
        admin,
      ),
    ).toBe('member')
  })

  it('are nobody else’s to name', () => {
    for (const by of [admin, member]) {
      given(...peopled)
        .when(addAdmin(second, by))
        .rejects('group.not-owner')
      given(...peopled)
        .when(removeAdmin(other, by))
        .rejects('group.not-owner')
    }
  })

  it('are not changed when it is so already', () => {
    given(...peopled)
      .when(addAdmin(admin, owner))
      .then([])
    given(...peopled)
      .when(removeAdmin(member, owner))
      .then([])
    given(...peopled)
      .when(removeAdmin(stranger, owner))
      .then([])
  })

  it('are members, and never the owner', () => {
    given(...peopled)
      .when(addAdmin(stranger, owner))
      .rejects('group.target-not-member', { userId: stranger })
    given(...peopled)
      .when(addAdmin(owner, owner))
      .rejects('group.target-is-owner', { userId: owner })
    given(...peopled)
      .when(removeAdmin(owner, owner))
      .rejects('group.target-is-owner', { userId: owner })
  })

  it('are so many and no more', () => {
    const memberIds = users(limits.groupAdminsMax + 1)
    const events = [created({ memberIds }), ...memberIds.slice(1).map(adminAdded)]
    given(...events)
      .when(addAdmin(memberIds[0] as UserId, owner))
      .rejects('group.admin-limit')
    given(...events)
      .when(addAdmin(memberIds[1] as UserId, owner))
      .then([])
    given(...events.slice(0, -1))
      .when(addAdmin(memberIds[0] as UserId, owner))
      .then([adminAdded(memberIds[0] as UserId)])
  })
})

describe('dissolving (R16)', () => {
  it('is the owner’s right alone', () => {
    for (const by of [admin, member])
      given(...peopled)
        .when(dissolve(by))
        .rejects('group.not-owner')
    const state = given(...peopled)
      .when(dissolve(owner))
      .then([dissolved])
    expect(state).toMatchObject({ status: 'dissolved', dissolvedAt: at, ownerId: owner })
  })

  it('leaves the members in the state, for they may still read', () => {
    const state = given(...peopled, dissolved).state()
    expect([roleIn(state, owner), roleIn(state, admin), roleIn(state, member)]).toStrictEqual([
      'owner',
      'admin',
      'member',
    ])
  })

  it('ends every other command of the members', () => {
    for (const by of [owner, admin, member]) {
      for (const command of everyCommandBy(by))
        given(...peopled, dissolved)
          .when(command)
          .rejects('group.dissolved')
    }
  })
})

describe('one who is not in the group', () => {
  it('learns nothing of it: before it exists, while it is open, once it is dissolved', () => {
    for (const command of everyCommandBy(stranger)) {
      given().when(command).rejects('group.not-found')
      given(...peopled)
        .when(command)
        .rejects('group.not-found')
      given(...peopled, dissolved)
        .when(command)
        .rejects('group.not-found')
    }
  })

  it('may have been in it before', () => {
    const gone = removed([admin], 4, owner)
    for (const command of everyCommandBy(admin))
      given(...peopled, gone)
        .when(command)
        .rejects('group.not-found')
    for (const command of everyCommandBy(admin))
      given(...peopled, gone, dissolved)
        .when(command)
        .rejects('group.not-found')
  })
})

describe('a snapshot', () => {
  const { load } = group
  if (load.by !== 'snapshot') throw new Error('no snapshots')
  const restored = (state: Group): Group => load.decode(JSON.parse(JSON.stringify(load.encode(state))))

  it('brings the same state back, dissolved or not yet there', () => {
    for (const state of [group.initial, given(...peopled).state(), given(...peopled, dissolved).state()]) {
      expect(restored(state)).toStrictEqual(state)
    }
  })

  it('treats names of object properties as plain names', () => {
    const state = given(created({ memberIds: ['__proto__' as UserId, 'constructor' as UserId] })).state()
    expect(restored(state)).toStrictEqual(state)
  })

  it('of the largest group with the longest ids stays below what one append may hold', () => {
    const long = (prefix: string, index: number) => `${prefix}${index}`.padEnd(64, 'x') as UserId
    const members = new Map(
      Array.from({ length: limits.groupMembersMax }, (_, index) => [
        long('m', index),
        {
          role: 'member' as const,
          joinedAt: new Date(Date.parse(at) + index).toISOString() as Instant,
          invitedBy: long('i', index),
        },
      ]),
    )
    const managers = Array.from({ length: limits.groupAdminsMax + 1 }, (_, index) => long('m', index))
    const expiresAt = later
    const requestId = 'r'.repeat(26)
    const waiting = <Value>(prefix: string, most: number, value: (index: number) => Value) =>
      new Map(Array.from({ length: most }, (_, index) => [long(prefix, index), value(index)]))
    const text = (most: number) => 'x'.repeat(most)
    const state: Group = {
      ...(fold(group, [created()]) as Exclude<Group, { status: 'none' }>),
      members,
      mutes: waiting('d', limits.groupMutesMax, () => later),
      invitations: waiting('a', limits.groupInvitationsPendingMax, index => ({
        requestId,
        by: long('b', index),
        expiresAt,
      })),
      applications: waiting('c', limits.groupApplicationsPendingMax, index => ({
        requestId,
        told: managers,
        expiresAt,
        invitedBy: long('e', index),
      })),
      announcements: Array.from({ length: limits.announcementsKeptMax }, (_, index) => ({
        announcementId: requestId,
        number: index + 1,
        popup: true,
        by: long('m', index),
      })),
      announced: limits.announcementsKeptMax,
      joinQuestions: {
        questions: Array.from({ length: limits.joinQuestionsMax }, () => ({
          text: text(limits.joinQuestionCharactersMax),
          answers: Array.from({ length: limits.joinAnswersPerQuestionMax }, () => text(limits.joinAnswerCharactersMax)),
          score: 1,
        })),
        minimumScore: 1,
      },
    }
    // What is around the state, the keys of the last commands, is small beside the room that is left.
    expect(JSON.stringify(load.encode(state)).length).toBeLessThan(appendBytesMax - 20_000)
    expect(restored(state)).toStrictEqual(state)
  })
})
