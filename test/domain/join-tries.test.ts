// How often one may answer a group's questions: five times an hour (R43).

import { expect, it } from 'vitest'
import { joinTries, triesLeftOf } from '../../domain/group/join-tries.ts'
import type { GroupId, Instant, UserId } from '../../domain/ids.ts'
import { specify } from '../support/specify.ts'

const { given } = specify(joinTries)
const ids = { groupId: 'g1' as GroupId, userId: 'ann' as UserId }
const minute = (number: number): Instant =>
  new Date(Date.parse('2026-11-23T08:00:00Z') + number * 60_000).toISOString() as Instant
const tried = (...minutes: number[]) =>
  ({ type: 'JoinTried', data: { ...ids, triedAt: minutes.map(minute), at: minute(minutes.at(-1) ?? 0) } }) as const
const tryAt = (number: number) => ({ type: 'CountJoinTry', ...ids, at: minute(number) }) as const

it('counts each try, and keeps those of the last hour', () => {
  const state = given()
    .when(tryAt(0))
    .then([tried(0)])
  expect(triesLeftOf(state)).toBe(4)
  given(tried(0, 30))
    .when(tryAt(59))
    .then([tried(0, 30, 59)])
  given(tried(0, 30))
    .when(tryAt(60))
    .then([tried(30, 60)])
})

it('refuses the sixth of an hour, and says when there is another', () => {
  given(tried(0, 1, 2, 3, 4))
    .when(tryAt(59))
    .rejects('group.join-tries', { retryAfterSeconds: 60 })
  given(tried(0, 1, 2, 3, 4))
    .when(tryAt(60))
    .then([tried(1, 2, 3, 4, 60)])
})

it('never says to wait for longer than an hour, whatever the clocks of others said', () => {
  given(tried(100, 101, 102, 103, 104))
    .when(tryAt(0))
    .rejects('group.join-tries', { retryAfterSeconds: 3_600 })
})
