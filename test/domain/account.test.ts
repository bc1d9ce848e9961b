// An account is created once; each password change raises the epoch that ends older sessions (R1, R4).

import { describe, it } from 'vitest'
import { type AccountEvent, account, type ChangePassword, type CreateAccount } from '../../domain/account/account.ts'
import type { Instant, SessionId, UserId } from '../../domain/ids.ts'
import { specify } from '../support/specify.ts'

const { given } = specify(account)
const at = '2026-11-23T08:00:00.000Z' as Instant
const later = '2026-11-24T08:00:00.000Z' as Instant
const ann = 'ann' as UserId
const kept = 'kept' as SessionId

const create: CreateAccount = {
  type: 'CreateAccount',
  userId: ann,
  name: 'Ann',
  identity: { kind: 'email', hmac: 'h1' },
  email: 'ann@example.com',
  passwordHash: '$argon2id$1',
  at,
}
const created: AccountEvent = {
  type: 'AccountCreated',
  data: {
    userId: ann,
    name: 'Ann',
    identity: { kind: 'email', hmac: 'h1' },
    email: 'ann@example.com',
    passwordHash: '$argon2id$1',
    at,
  },
}
const change: ChangePassword = {
  type: 'ChangePassword',
  passwordHash: '$argon2id$2',
  keptSessionId: kept,
  reason: 'changed',
  at: later,
}
const changed = (
  credentialEpoch: number,
  keptSessionId: SessionId | null,
  reason: 'changed' | 'reset',
): AccountEvent => ({
  type: 'PasswordChanged',
  data: { userId: ann, passwordHash: '$argon2id$2', credentialEpoch, keptSessionId, reason, at: later },
})

describe('creating an account (R1)', () => {
  it('makes one with the identity it signs in by', ({ expect }) => {
    expect(given().when(create).then([created])).toStrictEqual({
      status: 'created',
      userId: ann,
      name: 'Ann',
      identities: { email: 'h1' },
      identitiesChangedAt: at,
      awaitsClaim: { kind: 'email', hmac: 'h1' },
      email: 'ann@example.com',
      passwordHash: '$argon2id$1',
      ban: null,
      friendPolicy: 'approval',
      discoverableBy: { phone: true, email: true, userName: true, namePrefix: false },
      credentialEpoch: 0,
      keptSessionId: null,
      createdAt: at,
    })
  })

  it('works without a password, for signing in by code', ({ expect }) => {
    const command: CreateAccount = {
      type: 'CreateAccount',
      userId: ann,
      name: 'Ann',
      identity: { kind: 'phone', hmac: 'h2' },
      phone: '+4915112345678',
      at,
    }
    const { type: _, ...data } = command
    const state = given()
      .when(command)
      .then([{ type: 'AccountCreated', data }])
    expect(state).toMatchObject({ passwordHash: null, phone: '+4915112345678' })
    expect(state).not.toHaveProperty('email')
  })

  it('takes a user name as the identity', ({ expect }) => {
    const command: CreateAccount = {
      type: 'CreateAccount',
      userId: ann,
      name: 'Ann',
      identity: { kind: 'userName', hmac: 'h3' },
      userName: 'ann',
      passwordHash: '$argon2id$1',
      at,
    }
    const { type: _, ...data } = command
    expect(
      given()
        .when(command)
        .then([{ type: 'AccountCreated', data }]),
    ).toMatchObject({ userName: 'ann' })
  })

  it('does nothing when the same command comes again, even much later', () => {
    given(created).when(create).then([])
    given(created, changed(1, kept, 'changed'))
      .when({ ...create, at: later })
      .then([])
  })

  it('is refused when the id is taken by an account with another identity', () => {
    given(created)
      .when({ ...create, identity: { kind: 'email', hmac: 'other' } })
      .rejects('account.exists')
    given(created)
      .when({ ...create, identity: { kind: 'phone', hmac: 'h1' } })
      .rejects('account.exists')
  })
})

describe('changing the password (R4)', () => {
  it('raises the epoch and names the session that stays', ({ expect }) => {
    const state = given(created)
      .when(change)
      .then([changed(1, kept, 'changed')])
    expect(state).toMatchObject({ passwordHash: '$argon2id$2', credentialEpoch: 1, keptSessionId: kept, name: 'Ann' })
  })

  it('keeps no session after a reset by code', ({ expect }) => {
    const state = given(created, changed(1, kept, 'changed'))
      .when({ ...change, keptSessionId: null, reason: 'reset' })
      .then([changed(2, null, 'reset')])
    expect(state).toMatchObject({ credentialEpoch: 2, keptSessionId: null })
  })

  it('is refused when the old password was checked against an epoch that has passed', () => {
    given(created, changed(1, kept, 'changed'))
      .when({ ...change, checkedEpoch: 0 })
      .rejects('account.wrong-password')
    given(created, changed(1, kept, 'changed'))
      .when({ ...change, checkedEpoch: 1 })
      .then([changed(2, kept, 'changed')])
  })

  it('is refused for an account that does not exist', () => {
    given().when(change).rejects('account.not-found')
    given(changed(1, null, 'reset'))
      .when(change)
      .rejects('account.not-found')
  })
})
