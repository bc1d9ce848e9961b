// How far a user has seen: system notifications and friend requests, each with a mark of its own (R6).

import { describe, expect, it } from 'vitest'
import type { Instant, Position, UserId } from '../../domain/ids.ts'
import { type NotificationEvent, notification, type ReadMarks } from '../../domain/notification/notification.ts'
import { noticesFor } from '../../domain/notification/row.ts'
import { specify } from '../support/specify.ts'

const { given } = specify(notification)
const at = '2026-11-23T08:00:00.000Z' as Instant
const userId = 'ann' as UserId
const position = (number: number) => number.toString(16).padStart(16, '0') as Position
const head = { head: position(9) }
const event = (type: NotificationEvent['type'], marks: Partial<ReadMarks>): NotificationEvent => ({
  type,
  data: { userId, marks: { notifications: null, friendRequests: null, ...marks }, at },
})
const read = (number: number) => ({ type: 'ReadNotifications', userId, upTo: position(number), at }) as const
const readRequests = (number: number) => ({ type: 'ReadFriendRequests', userId, upTo: position(number), at }) as const

describe('the mark of the notifications', () => {
  it('moves forwards, and carries the other mark along', () => {
    given(event('FriendRequestsRead', { friendRequests: position(2) }))
      .when(read(3), head)
      .then([event('NotificationsRead', { notifications: position(3), friendRequests: position(2) })])
  })

  it('never moves back, nor tells the same twice', () => {
    const there = event('NotificationsRead', { notifications: position(5) })
    for (const number of [5, 4, 0]) given(there).when(read(number), head).then([])
  })

  it('stops at the end of the log: what comes later is unread', () => {
    given()
      .when(read(99), head)
      .then([event('NotificationsRead', { notifications: position(9) })])
    given(event('NotificationsRead', { notifications: position(9) }))
      .when(read(99), head)
      .then([])
  })
})

describe('the mark of the friend requests (R6)', () => {
  it('moves forwards, and carries the other mark along', () => {
    given(event('NotificationsRead', { notifications: position(2) }))
      .when(readRequests(3), head)
      .then([event('FriendRequestsRead', { notifications: position(2), friendRequests: position(3) })])
  })

  it('never moves back', () => {
    given(event('FriendRequestsRead', { friendRequests: position(5) }))
      .when(readRequests(4), head)
      .then([])
  })
})

describe('what nobody is told of', () => {
  it('makes no notification', () => {
    const data = { userId, marks: { notifications: null, friendRequests: null }, at }
    expect(noticesFor({ type: 'NotificationsRead', data, id: 'e', position: position(1) }, () => [])).toEqual([])
  })
})
