// What a user says about themselves: changed field by field, cleared by null, public and private fields apart (R3, R6).

import { describe, expect, it } from 'vitest'
import { type AccountEvent, account } from '../../domain/account/account.ts'
import { changesPublicProfile, type ProfileChanges, publicProfileOf } from '../../domain/account/profile.ts'
import type { Instant, UserId } from '../../domain/ids.ts'
import { specify } from '../support/specify.ts'

const { given } = specify(account)
const at = '2026-11-23T08:00:00.000Z' as Instant
const ann = 'ann' as UserId

const created: AccountEvent = {
  type: 'AccountCreated',
  data: { userId: ann, name: 'Ann', identity: { kind: 'email', hmac: 'h1' }, email: 'ann@example.com', at },
}
const change = (changes: ProfileChanges) => ({ type: 'ChangeProfile', changes, at }) as const
const changed = (set: ProfileChanges): AccountEvent => ({ type: 'ProfileChanged', data: { userId: ann, set, at } })

describe('changing the profile (R3)', () => {
  it('records the fields that change and no other', () => {
    given(created)
      .when(change({ name: 'Ann', signature: 'Away', gender: 'female' }))
      .then([changed({ signature: 'Away', gender: 'female' })])
  })

  it('keeps what is not named', () => {
    const state = given(created, changed({ signature: 'Away', avatarUrl: 'https://example.org/a.png' }))
      .when(change({ name: 'Anna' }))
      .then([changed({ name: 'Anna' })])
    expect(state).toMatchObject({ name: 'Anna', signature: 'Away', avatarUrl: 'https://example.org/a.png' })
  })

  it('clears a field by null, and does nothing where there is none', () => {
    const state = given(created, changed({ signature: 'Away' }))
      .when(change({ signature: null, birthday: null }))
      .then([changed({ signature: null })])
    expect(state).not.toHaveProperty('signature')
    expect(state).not.toHaveProperty('birthday')
  })

  it('does nothing when everything is as it should be', () => {
    given(created, changed({ extension: '{}' }))
      .when(change({ extension: '{}', friendPolicy: 'approval' }))
      .then([])
  })

  it('is refused where there is no account', () => {
    given()
      .when(change({ name: 'Ann' }))
      .rejects('account.not-found')
  })
})

describe('privacy (R6)', () => {
  it('asks for approval of friends, and lets the whole phone, e-mail and user name be found, unless said otherwise', () => {
    expect(given(created).state()).toMatchObject({
      friendPolicy: 'approval',
      discoverableBy: { phone: true, email: true, userName: true, namePrefix: false },
    })
  })

  it('is part of the same change, but nothing that others see', () => {
    const hidden = { phone: false, email: false, userName: false, namePrefix: false }
    const privately = { friendPolicy: 'nobody', discoverableBy: hidden } as const
    given(created)
      .when(change(privately))
      .then([changed(privately)])
    expect(changesPublicProfile(privately)).toBe(false)
    expect(changesPublicProfile({ ...privately, extension: null })).toBe(true)
  })

  it('never stands among the public fields, however much the holder has', () => {
    const state = given(created, changed({ gender: 'other', friendPolicy: 'anyone' })).state()
    if (state.status === 'none') return expect.fail('there is an account')
    expect(publicProfileOf(state)).toStrictEqual({ name: 'Ann', gender: 'other' })
  })
})
