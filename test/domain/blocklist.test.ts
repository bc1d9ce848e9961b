// Who is on one user's block list (R10, R11).

import { describe, it } from 'vitest'
import { type BlocklistCommand, type BlocklistEvent, blocklist } from '../../domain/blocklist/blocklist.ts'
import type { Instant, UserId } from '../../domain/ids.ts'
import { limits } from '../../domain/limits.ts'
import { specify } from '../support/specify.ts'

const { given } = specify(blocklist)
const at = '2026-11-23T08:00:00.000Z' as Instant
const ann = 'ann' as UserId
const bob = 'bob' as UserId

const block = (blockedId: UserId): BlocklistCommand => ({ type: 'BlockUser', userId: ann, blockedId, at })
const unblock = (blockedId: UserId): BlocklistCommand => ({ type: 'UnblockUser', userId: ann, blockedId, at })
const blocked = (blockedId: UserId): BlocklistEvent => ({ type: 'UserBlocked', data: { userId: ann, blockedId, at } })
const unblocked = (blockedId: UserId): BlocklistEvent => ({
  type: 'UserUnblocked',
  data: { userId: ann, blockedId, at },
})

describe('a block list (R10, R11)', () => {
  it('takes a user, and takes one that stands on it as done', ({ expect }) => {
    expect(
      given()
        .when(block(bob))
        .then([blocked(bob)]),
    ).toStrictEqual({ blocked: new Set([bob]) })
    given(blocked(bob)).when(block(bob)).then([])
  })

  it('does not take its own user', () => {
    given().when(block(ann)).rejects('block.self')
  })

  it('lets a user off, and takes one that is not on it as done', ({ expect }) => {
    expect(
      given(blocked(bob))
        .when(unblock(bob))
        .then([unblocked(bob)]),
    ).toStrictEqual({ blocked: new Set() })
    given().when(unblock(bob)).then([])
    given(blocked(bob), unblocked(bob))
      .when(block(bob))
      .then([blocked(bob)])
  })

  it('holds so many users and no more', ({ expect }) => {
    const users = Array.from({ length: limits.blockedUsersMax }, (_, index) => `u${index}` as UserId)
    const full = { blocked: new Set(users) }
    expect(blocklist.decide(block(bob), full, undefined)).toMatchObject({ rejected: 'block.limit' })
    expect(blocklist.decide(block('u7' as UserId), full, undefined)).toStrictEqual([])
    const oneFree = { blocked: new Set(users.slice(1)) }
    expect(blocklist.decide(block(bob), oneFree, undefined)).toStrictEqual([blocked(bob)])
  })

  it('comes back from its snapshot as it was', ({ expect }) => {
    const { load } = blocklist
    if (load.by !== 'snapshot') return expect.fail('no snapshots')
    const state = given(blocked(bob), blocked('eve' as UserId)).state()
    expect(load.decode(JSON.parse(JSON.stringify(load.encode(state))))).toStrictEqual(state)
  })
})
