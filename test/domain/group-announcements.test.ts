// Announcements of a group: who publishes and deletes them, how they are numbered, and which pop-up is the newest (R40).

import { describe, expect, it } from 'vitest'
import type { GroupCommand, GroupEvent } from '../../domain/group/group.ts'
import { group } from '../../domain/group/group.ts'
import type { UserId } from '../../domain/ids.ts'
import { limits } from '../../domain/limits.ts'
import {
  add,
  admin,
  at,
  created,
  dissolved,
  groupId,
  member,
  owner,
  peopled,
  removed,
  second,
  stranger,
} from '../support/group.ts'
import { specify } from '../support/specify.ts'

const { given } = specify(group)

const publish = (by: UserId, popup = true, announcementId = 'new'): GroupCommand => ({
  type: 'PublishAnnouncement',
  announcementId,
  text: 'At nine.',
  popup,
  by,
  at,
})
const erase = (announcementId: string, by: UserId): GroupCommand => ({
  type: 'DeleteAnnouncement',
  announcementId,
  by,
  at,
})
const published = (
  number: number,
  popupNumber: number,
  by: UserId = owner,
  announcementId = `a${number}`,
): GroupEvent => ({
  type: 'AnnouncementPublished',
  data: { groupId, announcementId, number, text: 'At nine.', popup: popupNumber === number, popupNumber, by, at },
})
const deleted = (number: number, popupNumber: number, by: UserId = owner): GroupEvent => ({
  type: 'AnnouncementDeleted',
  data: { groupId, announcementId: `a${number}`, number, popupNumber, by, at },
})

describe('publishing', () => {
  it('is for the owner and admins, and for everyone where everyone edits the group', () => {
    for (const by of [owner, admin])
      given(...peopled)
        .when(publish(by))
        .then([published(1, 1, by, 'new')])
    given(...peopled)
      .when(publish(member))
      .rejects('group.not-allowed')
    given(created({ editMode: 'everyone' }))
      .when(publish(member))
      .then([published(1, 1, member, 'new')])
    given(...peopled)
      .when(publish(stranger))
      .rejects('group.not-found')
    given(...peopled, dissolved)
      .when(publish(owner))
      .rejects('group.dissolved')
  })

  it('numbers them in their order, and says which pop-up is the newest', () => {
    given(...peopled, published(1, 1))
      .when(publish(owner, false))
      .then([published(2, 1, owner, 'new')])
    given(...peopled, published(1, 1), deleted(1, 0))
      .when(publish(owner, false))
      .then([published(2, 0, owner, 'new')])
  })

  it('keeps the newest: the oldest makes room', () => {
    const most = limits.announcementsKeptMax
    const many = [published(1, 1), ...Array.from({ length: most - 1 }, (_, index) => published(index + 2, 1))]
    const state = given(...peopled, ...many)
      .when(publish(owner, false))
      .then([deleted(1, 0), published(most + 1, 0, owner, 'new')])
    expect(state).toMatchObject({ announced: most + 1 })
    if (state.status !== 'none') expect(state.announcements).toHaveLength(most)
  })
})

describe('deleting', () => {
  it('leaves the pop-up before it as the newest', () => {
    const three = [published(1, 1), published(2, 2), published(3, 2)]
    for (const [number, popupNumber] of [
      [3, 2],
      [2, 1],
      [1, 2],
    ] as const)
      given(...peopled, ...three)
        .when(erase(`a${number}`, owner))
        .then([deleted(number, popupNumber)])
  })

  it('is for the owner and admins, and for members of their own', () => {
    given(...peopled, published(1, 1))
      .when(erase('a1', admin))
      .then([deleted(1, 0, admin)])
    given(...peopled, published(1, 1))
      .when(erase('a1', member))
      .rejects('group.not-allowed')
    given(...peopled, published(1, 1, member))
      .when(erase('a1', member))
      .then([deleted(1, 0, member)])
    given(...peopled, published(1, 1), deleted(1, 0))
      .when(erase('a1', owner))
      .rejects('announcement.not-found')
  })
})

it('those who join later know how many there were: none of these alerts them', () => {
  given(...peopled, published(1, 1), published(2, 2), removed([second], 4, owner))
    .when(add([second], owner))
    .then([
      {
        type: 'MembersAdded',
        data: { groupId, userIds: [second], announced: 2, memberCount: 5, by: owner, at },
      },
    ])
})

it('they are in a snapshot as they were', () => {
  const { load } = group
  if (load.by !== 'snapshot') return expect.fail('no snapshots')
  const state = given(...peopled, published(1, 1), published(2, 2, member), deleted(1, 2)).state()
  expect(load.decode(JSON.parse(JSON.stringify(load.encode(state))))).toStrictEqual(state)
})
