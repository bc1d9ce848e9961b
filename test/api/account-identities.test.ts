// What an account signs in by is changed with a code that was sent to the new one, and the addresses of before hear of it (R1, R3).

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { account } from '../../domain/account/account.ts'
import { identity } from '../../domain/identity/identity.ts'
import { streamOf, type UserId } from '../../domain/ids.ts'
import { limits } from '../../domain/limits.ts'
import { testKeys } from './fixture.ts'
import { type Harness, startHarness, type TestUser } from './harness.ts'

const password = 'correct horse battery'
const device = { deviceId: 'd', platform: 'web', name: 'A browser' }

let api: Harness
let ada: TestUser
let bob: TestUser
beforeAll(async () => {
  api = await startHarness()
  ada = await api.user('ada')
  bob = await api.user('bob')
})
afterAll(() => api.close())

const bind = (user: TestUser, kind: string, body: object, key?: string) =>
  api.ask(`PUT /v1/users/me/identities/${kind}`, { token: user.token, body, key })
const signInBy = (how: object) => api.ask('POST /v1/sessions', { body: { by: 'password', password, device, ...how } })
const claimOf = async (value: string) => {
  const stream = streamOf.identity(testKeys().identityHmac('email', value))
  return { stream, ...(await api.node.load(identity, stream)).state }
}

describe('binding an identity', () => {
  it('lets one sign in by the new one at once, and no longer by the old one', async () => {
    const bound = await bind(ada, 'userName', { value: 'Countess' })
    expect(bound.status).toBe(200)
    expect((await signInBy({ userName: 'countess' })).status).toBe(201)
    expect((await signInBy({ userName: 'ada' })).body.code).toBe('account.wrong-credentials')
    expect(await api.ok(`GET /v1/users/me?after=${bound.body.position}`, { token: ada.token })).toMatchObject({
      userName: 'countess',
    })
  })

  it('adds an e-mail address with the code that was sent there', async () => {
    const code = await api.code('bind', 'ada@example.org')
    const { status, body } = await bind(ada, 'email', { value: 'ADA@example.org', code })
    expect(status, JSON.stringify(body)).toBe(200)
    expect((await signInBy({ email: 'ada@example.org' })).status).toBe(201)
    expect((await signInBy({ userName: 'countess' })).status).toBe(201)
  })

  it('needs a code of this very purpose, save for a user name, and a value of its kind', async () => {
    const code = await api.code('register', 'new@example.org')
    const email = { value: 'new@example.org', code }
    expect((await bind(ada, 'email', email)).body.code).toBe('code.wrong')
    for (const [kind, body, path] of [
      ['email', { value: 'new@example.org' }, 'code'],
      ['email', { ...email, value: 'no address' }, 'value'],
      ['email', { ...email, password }, 'password'],
      ['userName', { value: 'fresh', code }, 'code'],
      ['userName', { value: 'x' }, 'value'],
      ['name', { value: 'fresh' }, 'kind'],
    ] as const) {
      const { body: refused } = await bind(ada, kind, body)
      expect(refused, JSON.stringify(body)).toMatchObject({ code: 'request.invalid', errors: [{ path }] })
    }
  })

  it('tells the addresses that the account had before, the replaced one too, and once only', async () => {
    const gil = await api.user('gil')
    const told = async (act: () => Promise<unknown>) => {
      const before = api.sent.length
      await act()
      await api.delivered()
      return api.sent.slice(before).filter(({ purpose }) => purpose === 'changed')
    }
    const bindWithCode = async (kind: string, value: string) => {
      const code = await api.code('bind', value)
      expect((await bind(gil, kind, { value, code })).status).toBe(200)
    }
    const word = { purpose: 'changed', code: null }
    const [email, phone] = ['gil@example.org', '+447946011111']
    expect(await told(() => bindWithCode('email', email))).toEqual([])
    expect(await told(() => bindWithCode('phone', phone))).toEqual([{ channel: 'email', target: email, ...word }])
    const both = [
      { channel: 'sms', target: phone, ...word },
      { channel: 'email', target: email, ...word },
    ]
    expect(await told(() => bindWithCode('email', 'gil.2@example.org'))).toEqual(both)
    const again = await told(async () => {
      for (let times = 0; times < 2; times++) await bind(gil, 'userName', { value: 'gil.two' }, 'a-key')
      await bind(gil, 'userName', { value: 'gil.two' })
    })
    expect(again).toEqual([both[0], { ...both[1], target: 'gil.2@example.org' }])
  })

  it('is refused for what is another’s, and tells its owner instead of sending a code', async () => {
    expect((await bind(bob, 'userName', { value: 'countess' })).body.code).toBe('identity.taken')
    api.clock.pass(limits.codeResendSeconds)
    expect(await api.code('bind', 'ada@example.org')).toBe('')
  })

  it('of one user name by several at once succeeds for exactly one', async () => {
    const people = await Promise.all(['cid', 'dan', 'eve'].map(name => api.user(name)))
    const answers = await Promise.all(people.map(user => bind(user, 'userName', { value: 'the.one' })))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409])
    const { body } = await signInBy({ userName: 'the.one' })
    expect(body.userId).toBe(people[answers.findIndex(({ status }) => status === 200)]?.userId)
  })

  it('that was broken off after the claim is finished by a repeat, and blocks nobody for long', async () => {
    const code = await api.code('bind', 'late@example.org')
    const { stream } = await claimOf('late@example.org')
    // As a crash leaves it: claimed for bob, whose account never came to list it.
    const claim = {
      type: 'ClaimIdentity',
      kind: 'email',
      userId: bob.userId as UserId,
      at: api.node.clock.now(),
    } as const
    await api.node.handle(identity, stream, claim, { facts: undefined })
    expect((await signInBy({ email: 'late@example.org' })).body.code).toBe('account.wrong-credentials')
    const email = { value: 'late@example.org', code }
    expect((await bind(ada, 'email', email)).body.code).toBe('identity.taken')
    api.clock.pass(limits.identityClaimSeconds)
    const fresh = await api.code('bind', 'late@example.org')
    const ann = await api.user('ann')
    expect((await bind(ann, 'email', { ...email, code: fresh })).status).toBe(200)
    expect(await claimOf('late@example.org')).toMatchObject({ claimedBy: ann.userId })
  })

  it('of one phone number by two at once succeeds for exactly one', async () => {
    const people = await Promise.all(['hal', 'ida'].map(name => api.user(name)))
    const value = '+447946022222'
    const code = await api.code('bind', value)
    const answers = await Promise.all(people.map(user => bind(user, 'phone', { value, code })))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 403])
    expect(answers.find(({ status }) => status === 403)?.body.code).toBe('code.wrong')
  })

  it('frees what it replaces at once, before anything followed from it, and so does closing', async () => {
    const jim = await api.user('jim')
    expect((await bind(jim, 'userName', { value: 'jim.two' })).status).toBe(200)
    const other = await api.user('jim')
    expect(other.userId).not.toBe(jim.userId)
    expect((await bind(jim, 'userName', { value: 'jim' })).body.code).toBe('identity.taken')
    await api.ok('DELETE /v1/users/me', { token: other.token, body: { password } })
    expect((await bind(jim, 'userName', { value: 'jim' })).status).toBe(200)
    expect((await signInBy({ userName: 'jim' })).body.userId).toBe(jim.userId)
  })

  it('by one with a user name opens the ways by code: signing in, and another password', async () => {
    const kay = await api.user('kay')
    const email = 'kay@example.org'
    expect((await bind(kay, 'email', { value: email, code: await api.code('bind', email) })).status).toBe(200)
    api.clock.pass(limits.codeResendSeconds)
    const login = { by: 'code', email, code: await api.code('login', email), device }
    expect((await api.ok('POST /v1/sessions', { body: login })).userId).toBe(kay.userId)
    api.clock.pass(limits.codeResendSeconds)
    const reset = { email, code: await api.code('reset', email), new: 'staple of another kind' }
    await api.ok('POST /v1/password-resets', { body: reset })
    expect((await signInBy({ email, password: reset.new })).body.userId).toBe(kay.userId)
  })

  it('is the same once more under the same key', async () => {
    const fay = await api.user('fay')
    const first = await bind(fay, 'userName', { value: 'fay.two' }, 'once')
    const again = await bind(fay, 'userName', { value: 'fay.two' }, 'once')
    expect([again.status, again.body]).toEqual([200, first.body])
    const { state } = await api.node.load(account, streamOf.account(fay.userId as UserId))
    expect(state).toMatchObject({ userName: 'fay.two' })
  })
})
