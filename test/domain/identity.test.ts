// A phone number, e-mail address or user name belongs to at most one account at a time (R1).

import { describe, it } from 'vitest'
import { type IdentityCommand, type IdentityEvent, identity } from '../../domain/identity/identity.ts'
import type { Instant, UserId } from '../../domain/ids.ts'
import { specify } from '../support/specify.ts'

const { given } = specify(identity)
const at = '2026-11-23T08:00:00.000Z' as Instant
const ann = 'ann' as UserId
const bob = 'bob' as UserId

const claim = (userId: UserId): IdentityCommand => ({ type: 'ClaimIdentity', kind: 'email', userId, at })
const claimed = (userId: UserId): IdentityEvent => ({ type: 'IdentityClaimed', data: { kind: 'email', userId, at } })
const release = (userId: UserId): IdentityCommand => ({
  type: 'ReleaseIdentity',
  kind: 'email',
  userId,
  replacedAt: at,
  at,
})
const released = (userId: UserId): IdentityEvent => ({ type: 'IdentityReleased', data: { kind: 'email', userId, at } })

describe('an identity (R1)', () => {
  it('can be claimed while it is free', ({ expect }) => {
    expect(
      given()
        .when(claim(ann))
        .then([claimed(ann)]),
    ).toStrictEqual({ claimedBy: ann, claimedAt: at })
  })

  it('stays claimed when its own account claims it again', () => {
    given(claimed(ann)).when(claim(ann)).then([])
  })

  it('cannot be claimed while it is another account’s', () => {
    given(claimed(ann)).when(claim(bob)).rejects('identity.taken')
  })

  it('can be claimed by anybody once it was released', () => {
    given(claimed(ann), released(ann))
      .when(claim(bob))
      .then([claimed(bob)])
  })

  it('is released by its own account only', ({ expect }) => {
    expect(
      given(claimed(ann))
        .when(release(ann))
        .then([released(ann)]),
    ).toStrictEqual({ claimedBy: null, claimedAt: null })
    given(claimed(ann)).when(release(bob)).then([])
    given().when(release(ann)).then([])
  })
})
