// Signing up and binding write two streams: first the account and then the claim, or the other way round (R1). Whatever breaks off
// between the two is finished by asking again, with a key or without, and nobody sees the half of it.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { account } from '../../domain/account/account.ts'
import type { IdentityKind } from '../../domain/account/events.ts'
import { identity } from '../../domain/identity/identity.ts'
import { streamOf, type UserId } from '../../domain/ids.ts'
import { limits } from '../../domain/limits.ts'
import { unavailable } from '../support/faulty-store.ts'
import { testKeys } from './fixture.ts'
import { type Harness, startHarness, type TestUser, testPassword } from './harness.ts'

const device = { deviceId: 'd', platform: 'web', name: 'A browser' }

let api: Harness
beforeAll(async () => {
  api = await startHarness()
})
afterAll(() => api.close())

const hmacOf = (kind: IdentityKind, value: string) => testKeys().identityHmac(kind, value)
const identityStream = (kind: IdentityKind, value: string) => streamOf.identity(hmacOf(kind, value))
const claimedBy = async (kind: IdentityKind, value: string) =>
  (await api.node.load(identity, identityStream(kind, value))).state.claimedBy
const signInBy = (how: object) => api.ask('POST /v1/sessions', { body: { by: 'password', device, ...how } })
/** The next append to the stream does not happen, and its caller is told to try again. */
const breakOffAt = async (stream: string, ask: () => ReturnType<Harness['ask']>) => {
  api.faults.push({ stream, fault: unavailable })
  expect(await ask()).toMatchObject({ status: 503, body: { code: 'store.unavailable' } })
  expect(api.faults).toEqual([])
}

describe('signing up that breaks off between the account and the claim', () => {
  it.each(['a-key', undefined])('by user name is finished by asking again with %s', async key => {
    const userName = key === undefined ? 'half.one' : 'half.two'
    const body = { userName, password: testPassword, name: 'Half' }
    const ask = () => api.ask('POST /v1/accounts', { body, key })
    await breakOffAt(identityStream('userName', userName), ask)
    expect(await claimedBy('userName', userName)).toBeNull()
    expect((await signInBy({ userName, password: testPassword })).body.code).toBe('account.wrong-credentials')
    const made = await ask()
    expect(made.status).toBe(201)
    expect((await signInBy({ userName, password: testPassword })).body.userId).toBe(made.body.userId)
  })

  it('by code is finished with the same code under its key; without one another code does it', async () => {
    const email = 'half@example.org'
    const body = { email, code: await api.code('register', email), password: testPassword, name: 'Half' }
    await breakOffAt(identityStream('email', email), () => api.ask('POST /v1/accounts', { body, key: 'a-key' }))
    expect((await api.ask('POST /v1/accounts', { body })).body.code).toBe('code.wrong')
    const made = await api.ask('POST /v1/accounts', { body, key: 'a-key' })
    expect(made.status).toBe(201)
    expect((await signInBy({ email, password: testPassword })).body.userId).toBe(made.body.userId)

    const second = { ...body, email: 'half.2@example.org' }
    second.code = await api.code('register', second.email)
    await breakOffAt(identityStream('email', second.email), () => api.ask('POST /v1/accounts', { body: second }))
    api.clock.pass(limits.codeResendSeconds)
    second.code = await api.code('register', second.email)
    expect((await api.ask('POST /v1/accounts', { body: second })).status).toBe(201)
  })
})

describe('binding that breaks off between the claim and the account', () => {
  const bind = (user: TestUser, kind: string, body: object, key?: string) =>
    api.ask(`PUT /v1/users/me/identities/${kind}`, { token: user.token, body, key })
  const listed = async ({ userId }: TestUser) => {
    const { state } = await api.node.load(account, streamOf.account(userId as UserId))
    return state.status === 'created' ? state.email : undefined
  }
  const told = () => api.sent.filter(({ purpose }) => purpose === 'changed').length

  it.each(['a-key', undefined])('is finished by asking again with %s, though the code is used up', async key => {
    const name = key === undefined ? 'ann' : 'bea'
    const user = await api.user(name)
    const value = `${name}@example.org`
    const body = { value, code: await api.code('bind', value) }
    await breakOffAt(streamOf.account(user.userId as UserId), () => bind(user, 'email', body, key))
    expect(await claimedBy('email', value)).toBe(user.userId)
    expect(await listed(user)).toBeUndefined()
    expect((await signInBy({ email: value, password: testPassword })).body.code).toBe('account.wrong-credentials')
    const bound = await bind(user, 'email', body, key)
    expect(bound.status, JSON.stringify(bound.body)).toBe(200)
    expect(await listed(user)).toBe(value)
    expect((await signInBy({ email: value, password: testPassword })).body.userId).toBe(user.userId)
  })

  it('of a user name is finished by asking again, and frees the one before', async () => {
    const user = await api.user('cleo')
    const body = { value: 'cleo.two' }
    await breakOffAt(streamOf.account(user.userId as UserId), () => bind(user, 'userName', body))
    expect((await signInBy({ userName: 'cleo', password: testPassword })).status).toBe(201)
    expect((await bind(user, 'userName', body)).status).toBe(200)
    expect((await signInBy({ userName: 'cleo', password: testPassword })).body.code).toBe('account.wrong-credentials')
    expect((await api.user('cleo')).userId).not.toBe(user.userId)
  })

  it('leaves the one who broke off nothing that is only theirs for long: then it takes a code again', async () => {
    const user = await api.user('dora')
    const value = 'dora@example.org'
    const body = { value, code: await api.code('bind', value) }
    await breakOffAt(streamOf.account(user.userId as UserId), () => bind(user, 'email', body))
    api.clock.pass(limits.identityClaimSeconds)
    expect((await bind(user, 'email', body)).body.code).toBe('code.wrong')
    expect(await listed(user)).toBeUndefined()
  })

  it('says yes to one who asks again after the answer was lost, uses no code for it, and tells nobody twice', async () => {
    const user = await api.user('edda')
    const value = 'edda@example.org'
    const body = { value, code: await api.code('bind', value) }
    const first = await bind(user, 'email', body)
    const before = told()
    expect(await bind(user, 'email', body)).toMatchObject({ status: 200, body: first.body })
    expect(await bind(user, 'email', { value, code: '000000' })).toMatchObject({ status: 200, body: first.body })
    await api.delivered()
    expect(told()).toBe(before)
  })

  it('says yes to nobody else, and not to the user any more once it was let go of', async () => {
    const [user, other] = [await api.user('fenn'), await api.user('gerd')]
    const value = 'fenn@example.org'
    const body = { value, code: await api.code('bind', value) }
    expect((await bind(user, 'email', body)).status).toBe(200)
    expect((await bind(other, 'email', body)).body.code).toBe('code.wrong')
    const another = 'fenn.2@example.org'
    expect((await bind(user, 'email', { value: another, code: await api.code('bind', another) })).status).toBe(200)
    expect((await bind(user, 'email', body)).body.code).toBe('code.wrong')
  })
})
