// Which keys of the app's own backend work, and that their hashes are secret.

import { describe, it } from 'vitest'
import { type AdminKeyCommand, type AdminKeyEvent, adminKey } from '../../domain/admin-key/admin-key.ts'
import { withoutSecrets } from '../../domain/events.ts'
import type { Instant } from '../../domain/ids.ts'
import { limits } from '../../domain/limits.ts'
import { specify } from '../support/specify.ts'

const { given } = specify(adminKey)
const at = '2026-11-23T08:00:00.000Z' as Instant

const fields = (keyId: string) => ({ keyId, name: `the ${keyId}`, hash: `hash of ${keyId}`, at })
const create = (keyId: string): AdminKeyCommand => ({ type: 'CreateAdminKey', ...fields(keyId) })
const revoke = (keyId: string): AdminKeyCommand => ({ type: 'RevokeAdminKey', keyId, at })
const created = (keyId: string): AdminKeyEvent => ({ type: 'AdminKeyCreated', data: fields(keyId) })
const revoked = (keyId: string): AdminKeyEvent => ({ type: 'AdminKeyRevoked', data: { keyId, at } })

describe('admin keys', () => {
  it('work from when they are made until they are revoked', ({ expect }) => {
    const { keys } = given(created('one'))
      .when(create('two'))
      .then([created('two')])
    expect([...keys]).toStrictEqual([
      ['one', { name: 'the one', hash: 'hash of one', createdAt: at }],
      ['two', { name: 'the two', hash: 'hash of two', createdAt: at }],
    ])
    const left = given(created('one'), created('two'))
      .when(revoke('one'))
      .then([revoked('one')])
    expect([...left.keys.keys()]).toStrictEqual(['two'])
  })

  it('are revoked once', () => {
    given(created('one'), revoked('one')).when(revoke('one')).rejects('admin-key.not-found')
    given(created('one')).when(revoke('other')).rejects('admin-key.not-found')
  })

  it('are so many and no more at once', () => {
    const many = Array.from({ length: limits.adminKeysMax }, (_, index) => created(`k${index}`))
    given(...many)
      .when(create('more'))
      .rejects('admin-key.limit')
    given(...many, revoked('k3'))
      .when(create('more'))
      .then([created('more')])
  })
})

describe('what an auditor sees of an event', () => {
  it('is everything but its secrets', ({ expect }) => {
    expect(withoutSecrets(created('one'))).toStrictEqual({ keyId: 'one', name: 'the one', at })
    expect(withoutSecrets(revoked('one'))).toStrictEqual({ keyId: 'one', at })
  })

  it('is nothing of one whose secrets nobody here knows', ({ expect }) => {
    expect(withoutSecrets({ type: 'StateSnapshotted', data: { state: {} } })).toBeUndefined()
    expect(withoutSecrets({ type: 'toString', data: {} })).toBeUndefined()
  })
})
