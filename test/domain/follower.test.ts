// A follower's cursor only goes forwards.

import { describe, it } from 'vitest'
import { type FollowerCommand, type FollowerEvent, follower } from '../../domain/follower/follower.ts'
import type { Instant, Position } from '../../domain/ids.ts'
import { specify } from '../support/specify.ts'

const { given } = specify(follower)
const at = '2026-11-23T08:00:00.000Z' as Instant
const position = (count: number): Position => count.toString(16).padStart(16, '0') as Position
const advance = (count: number): FollowerCommand => ({
  type: 'AdvanceFollower',
  name: 'notifications',
  position: position(count),
  at,
})
const advanced = (count: number): FollowerEvent => ({
  type: 'FollowerAdvanced',
  data: { name: 'notifications', position: position(count), at },
})

describe('a follower', () => {
  it('starts anywhere and goes forwards', ({ expect }) => {
    expect(
      given()
        .when(advance(0))
        .then([advanced(0)]),
    ).toStrictEqual({ position: position(0) })
    given(advanced(9))
      .when(advance(10))
      .then([advanced(10)])
  })

  it('never goes back, nor tells the same position twice', () => {
    given(advanced(16)).when(advance(16)).then([])
    given(advanced(16)).when(advance(9)).then([])
  })
})
