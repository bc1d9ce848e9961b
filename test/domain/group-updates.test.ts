// What a group is set to, and who changes which of it (R18, R26, R37).

import { describe, expect, it } from 'vitest'
import type { GroupAttributes } from '../../domain/group/attributes.ts'
import { type GroupCommand, group } from '../../domain/group/group.ts'
import { systemUserId, type UserId } from '../../domain/ids.ts'
import { limits } from '../../domain/limits.ts'
import { add, admin, at, created, groupId, member, owner, peopled, stranger } from '../support/group.ts'
import { specify } from '../support/specify.ts'

const { given } = specify(group)
const update = (changes: Partial<GroupAttributes>, by: UserId): GroupCommand => ({
  type: 'UpdateGroup',
  changes,
  by,
  at,
})
const updated = (changed: Partial<GroupAttributes>, by: UserId) =>
  ({ type: 'GroupUpdated', data: { groupId, changed, by, at } }) as const

describe('changing what a group is set to', () => {
  it('tells only of what is another than before (R37)', () => {
    const state = given(...peopled)
      .when(update({ name: 'Enemies', introduction: '', avatarUrl: 'https://example.org/a.png' }, owner))
      .then([updated({ name: 'Enemies', avatarUrl: 'https://example.org/a.png' }, owner)])
    expect(state).toMatchObject({ name: 'Enemies', introduction: '', joinMode: 'approval' })
  })

  it('does nothing, for anybody in the group, when all is so already', () => {
    given(...peopled)
      .when(update({ joinMode: 'approval', name: 'Friends' }, member))
      .then([])
    given(...peopled)
      .when(update({}, member))
      .then([])
    given(...peopled)
      .when(update({ joinMode: 'approval' }, stranger))
      .rejects('group.not-found')
  })

  it('of the profile is the right of the owner and admins, and of everybody where the group says so (R26)', () => {
    for (const by of [owner, admin])
      given(...peopled)
        .when(update({ name: 'E' }, by))
        .then([updated({ name: 'E' }, by)])
    given(...peopled)
      .when(update({ name: 'E' }, member))
      .rejects('group.not-allowed')
    const loose = created({ editMode: 'everyone' })
    given(loose)
      .when(update({ introduction: 'E' }, member))
      .then([updated({ introduction: 'E' }, member)])
    given(loose)
      .when(update({ extension: 'E' }, member))
      .rejects('group.not-allowed')
    given(created({ editExtensionMode: 'everyone' }))
      .when(update({ extension: 'E' }, member))
      .then([updated({ extension: 'E' }, member)])
  })

  it('of modes and the member limit is the owner’s right alone, whatever the modes say (R26)', () => {
    const loose = created({ editMode: 'everyone', editExtensionMode: 'everyone' })
    const changes: readonly Partial<GroupAttributes>[] = [
      { memberLimit: 300 },
      { joinMode: 'free' },
      { inviteMode: 'everyone' },
      { inviteeConsent: 'required' },
      { editMode: 'managers' },
      { editExtensionMode: 'managers' },
      { historyBeforeJoin: true },
      { hideMemberProfiles: true },
      { noFriendRequestsBetweenMembers: true },
      { autoApprove: 'all' },
      { searchable: true },
    ]
    for (const change of changes) {
      given(loose)
        .when(update(change, owner))
        .then([updated(change, owner)])
      given(loose).when(update(change, member)).rejects('group.not-owner')
    }
    given(...peopled)
      .when(update({ joinMode: 'free' }, admin))
      .rejects('group.not-owner')
  })

  it('is all or none', () => {
    given(...peopled)
      .when(update({ name: 'E', joinMode: 'free' }, admin))
      .rejects('group.not-owner')
  })

  it('of the app’s extension is the app’s alone', () => {
    for (const by of [owner, admin])
      given(...peopled)
        .when(update({ appExtension: 'x' }, by))
        .rejects('group.not-allowed')
    given(...peopled)
      .when(update({ appExtension: 'x', name: 'E' }, systemUserId))
      .then([updated({ name: 'E', appExtension: 'x' }, systemUserId)])
  })

  it('keeps the member limit in its range, and not below the number of members (R26)', () => {
    for (const memberLimit of [1, 4, limits.groupMembersMax + 1, Number.NaN]) {
      given(...peopled)
        .when(update({ memberLimit }, owner))
        .rejects('group.member-limit')
    }
    const state = given(...peopled)
      .when(update({ memberLimit: 5 }, owner))
      .then([updated({ memberLimit: 5 }, owner)])
    expect(group.decide(add([stranger], owner), state, undefined)).toMatchObject({ rejected: 'group.full' })
  })
})
