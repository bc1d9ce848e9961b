// What an account signs in by is changed with proof of both ends: the password, and a code sent to the new one (R1, R3).

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
    const bound = await bind(ada, 'userName', { value: 'Countess', password })
    expect(bound.status).toBe(200)
    expect((await signInBy({ userName: 'countess' })).status).toBe(201)
    expect((await signInBy({ userName: 'ada' })).body.code).toBe('account.wrong-credentials')
    expect(await api.ok(`GET /v1/users/me?after=${bound.body.position}`, { token: ada.token })).toMatchObject({
      userName: 'countess',
    })
  })

  it('adds an e-mail address with the code that was sent there', async () => {
    const code = await api.code('bind', 'ada@example.org')
    const { status, body } = await bind(ada, 'email', { value: 'ADA@example.org', code, password })
    expect(status, JSON.stringify(body)).toBe(200)
    expect((await signInBy({ email: 'ada@example.org' })).status).toBe(201)
    expect((await signInBy({ userName: 'countess' })).status).toBe(201)
  })

  it('needs the password, the code of this very purpose, and a value of its kind', async () => {
    const code = await api.code('register', 'new@example.org')
    const email = { value: 'new@example.org', code }
    expect((await bind(ada, 'email', { ...email, password })).body.code).toBe('code.wrong')
    expect((await bind(ada, 'email', { ...email, password: 'another' })).body.code).toBe('account.wrong-password')
    for (const [kind, body] of [
      ['email', email],
      ['email', { value: 'new@example.org', password }],
      ['email', { ...email, value: 'no address', password }],
      ['userName', { value: 'fresh', code, password }],
      ['userName', { value: 'x', password }],
      ['name', { value: 'fresh', password }],
    ] as const) {
      expect((await bind(ada, kind, body)).body.code, JSON.stringify(body)).toBe('request.invalid')
    }
  })

  it('is refused for what is another’s, and tells its owner instead of sending a code', async () => {
    expect((await bind(bob, 'userName', { value: 'countess', password })).body.code).toBe('identity.taken')
    api.clock.pass(limits.codeResendSeconds)
    expect(await api.code('bind', 'ada@example.org')).toBe('')
  })

  it('of one phone number by two at once succeeds for exactly one', async () => {
    const people = await Promise.all(['cid', 'dan', 'eve'].map(name => api.user(name)))
    const answers = await Promise.all(people.map(user => bind(user, 'userName', { value: 'the.one', password })))
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
    const email = { value: 'late@example.org', code, password }
    expect((await bind(ada, 'email', email)).body.code).toBe('identity.taken')
    api.clock.pass(limits.identityClaimSeconds)
    const fresh = await api.code('bind', 'late@example.org')
    const ann = await api.user('ann')
    expect((await bind(ann, 'email', { ...email, code: fresh })).status).toBe(200)
    expect(await claimOf('late@example.org')).toMatchObject({ claimedBy: ann.userId })
  })

  it('is the same once more under the same key', async () => {
    const fay = await api.user('fay')
    const first = await bind(fay, 'userName', { value: 'fay.two', password }, 'once')
    const again = await bind(fay, 'userName', { value: 'fay.two', password }, 'once')
    expect([again.status, again.body]).toEqual([200, first.body])
    const { state } = await api.node.load(account, streamOf.account(fay.userId as UserId))
    expect(state).toMatchObject({ userName: 'fay.two' })
  })
})
