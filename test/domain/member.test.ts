// What one member of a group is called there, keeps there, and whom they follow (R27, R28, R48).

import { describe, expect, it } from 'vitest'
import type { GroupEvent } from '../../domain/group/events.ts'
import { group } from '../../domain/group/group.ts'
import type { Instant, UserId } from '../../domain/ids.ts'
import { limits } from '../../domain/limits.ts'
import {
  type EditMember,
  type MemberEvent,
  type MemberProfile,
  member as memberRules,
  noProfile,
  profileSince,
} from '../../domain/member/member.ts'
import {
  added,
  admin,
  at,
  created,
  dissolved,
  groupId,
  later,
  member,
  other,
  owner,
  peopled,
  removed,
  second,
  stranger,
  users,
} from '../support/group.ts'
import { fold, specify } from '../support/specify.ts'

const { given } = specify(memberRules)
const groupAfter = (...events: readonly GroupEvent[]) => ({ group: fold(group, [...peopled, ...events]) })
const open = groupAfter()
const edit = (userId: UserId, by: UserId, changes: Pick<EditMember, 'nickname' | 'extension'>): EditMember => ({
  type: 'EditMember',
  groupId,
  userId,
  ...changes,
  by,
  at: later,
})
const event = (
  type: MemberEvent['type'],
  userId: UserId,
  profile: Partial<MemberProfile>,
  by: UserId = userId,
  joinedAt: Instant = at,
): MemberEvent => ({ type, data: { groupId, userId, joinedAt, profile: { ...noProfile, ...profile }, by, at: later } })
const follow = (followedId: UserId, type: 'FollowMember' | 'UnfollowMember' = 'FollowMember', by: UserId = member) =>
  ({ type, groupId, userId: by, followedId, by, at: later }) as const

describe('a nickname in a group', () => {
  it('is always the own member’s to change (R28)', () => {
    for (const by of [owner, admin, member]) {
      given()
        .when(edit(by, by, { nickname: 'Nick' }), open)
        .then([event('MemberEdited', by, { nickname: 'Nick' })])
    }
  })

  it('of others the owner changes, and an admin where they are plain members (R27)', () => {
    for (const whose of [admin, member]) {
      given()
        .when(edit(whose, owner, { nickname: 'Nick' }), open)
        .then([event('MemberEdited', whose, { nickname: 'Nick' }, owner)])
    }
    given()
      .when(edit(member, admin, { nickname: 'Nick' }), open)
      .then([event('MemberEdited', member, { nickname: 'Nick' }, admin)])
    given()
      .when(edit(other, admin, { nickname: 'Nick' }), open)
      .rejects('group.target-is-admin', { userId: other })
    given()
      .when(edit(owner, admin, { nickname: 'Nick' }), open)
      .rejects('group.target-is-owner', { userId: owner })
    given()
      .when(edit(second, member, { nickname: 'Nick' }), open)
      .rejects('group.not-allowed')
    given()
      .when(edit(stranger, owner, { nickname: 'Nick' }), open)
      .rejects('group.target-not-member')
  })

  it('is changed field by field, and not at all when it is so already', () => {
    const named = event('MemberEdited', member, { nickname: 'Nick', extension: 'x' })
    given(named)
      .when(edit(member, member, { nickname: null }), open)
      .then([event('MemberEdited', member, { nickname: null, extension: 'x' })])
    given(named)
      .when(edit(member, member, { nickname: 'Nick', extension: 'x' }), open)
      .then([])
    given(named)
      .when(edit(member, member, {}), open)
      .then([])
  })

  it('is of one membership: who comes back begins anew', () => {
    const named = event('MemberEdited', member, { nickname: 'Nick', followedIds: [admin] })
    const back = added([member], 5, owner)
    const again = { ...back, data: { ...back.data, at: later } } as GroupEvent
    const facts = groupAfter(removed([member], 4, owner), again)
    const state = given(named)
      .when(edit(member, member, { extension: 'x' }), facts)
      .then([event('MemberEdited', member, { extension: 'x' }, member, later)])
    expect(profileSince(state, later)).toStrictEqual({ ...noProfile, extension: 'x' })
    expect(profileSince(state, at)).toStrictEqual(noProfile)
  })

  it('is nobody’s to change outside the group or after its end', () => {
    given()
      .when(edit(stranger, stranger, { nickname: 'Nick' }), open)
      .rejects('group.not-found')
    given()
      .when(edit(member, member, { nickname: 'N' }), { group: group.initial })
      .rejects('group.not-found')
    given()
      .when(edit(member, member, { nickname: 'N' }), groupAfter(dissolved))
      .rejects('group.dissolved')
  })
})

describe('followed members (R48)', () => {
  it('are other members, each once', () => {
    given()
      .when(follow(admin), open)
      .then([event('MemberFollowed', member, { followedIds: [admin] })])
    given(event('MemberFollowed', member, { followedIds: [admin] }))
      .when(follow(admin), open)
      .then([])
    given().when(follow(member), open).rejects('group.target-self')
    given().when(follow(stranger), open).rejects('group.target-not-member', { userId: stranger })
    given()
      .when(follow(admin, 'FollowMember', stranger), open)
      .rejects('group.not-found')
  })

  it('can be let go, also once they have left', () => {
    given(event('MemberFollowed', member, { nickname: 'Nick', followedIds: [admin, stranger] }))
      .when(follow(stranger, 'UnfollowMember'), open)
      .then([event('MemberUnfollowed', member, { nickname: 'Nick', followedIds: [admin] })])
    given().when(follow(admin, 'UnfollowMember'), open).then([])
  })

  it('are so many and no more', () => {
    const many = users(limits.followedMembersMax)
    const facts = { group: fold(group, [created({ memberIds: [member, admin, ...many] })]) }
    given(event('MemberFollowed', member, { followedIds: many }))
      .when(follow(admin), facts)
      .rejects('group.followed-limit')
    given(event('MemberFollowed', member, { followedIds: many.slice(1) }))
      .when(follow(admin), facts)
      .then([event('MemberFollowed', member, { followedIds: [...many.slice(1), admin] })])
  })
})
