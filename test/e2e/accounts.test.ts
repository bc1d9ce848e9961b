// Owns the life of an account as a client sees it: sign-up by name or by code, signing in, the own profile and that of others,
// changing and resetting the password.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { initialPrivateProfile } from '../../domain/account/profile.ts'
import { limits } from '../../domain/limits.ts'
import { expectOk, signUp, testPassword } from '../support/device.ts'
import { whenReadable } from '../support/quiet.ts'
import { startTestService, type TestService } from '../support/service.ts'

const slowMsMax = 300_000
const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const id = /^[0-9a-z]{26}$/
const position = /^[0-9a-f]{16}$/

let service: TestService

beforeAll(async () => {
  service = await startTestService()
}, slowMsMax)
afterAll(async () => {
  await service?.stop()
  expect(service?.failures).toEqual([])
}, slowMsMax)

const ask: TestService['api'] = (...call) => service.api(...call)
const device = { deviceId: 'phone', platform: 'ios', name: 'My phone' }

/** Has a code sent there and gives it. */
const codeFor = (purpose: string, target: string): Promise<string> =>
  service.codeSentBy(target, async () => {
    const channel = target.includes('@') ? 'email' : 'sms'
    const answer = await ask('POST', '/v1/codes', { body: { channel, target, purpose } })
    expect(answer).toMatchObject({
      status: 202,
      body: { expiresInSeconds: limits.codeLifeSeconds, resendInSeconds: limits.codeResendSeconds },
    })
  })

describe('signing up', () => {
  test('by user name and password makes an account that can sign in at once', async () => {
    const body = { userName: 'Ada.Lovelace', password: testPassword, name: '  Ada  ' }
    const made = await ask('POST', '/v1/accounts', { body })
    expect(made).toMatchObject({ status: 201 })
    expect(made.body).toEqual({ userId: expect.stringMatching(id), position: expect.stringMatching(position) })

    const credentials = { by: 'password', userName: 'ada.lovelace', password: testPassword, device }
    const session = await ask('POST', '/v1/sessions', { body: credentials })
    expect(session.status).toBe(201)
    expect(session.body).toEqual({
      userId: made.body.userId,
      sessionId: expect.stringMatching(id),
      accessToken: expect.stringContaining('.'),
      refreshToken: expect.stringContaining('.'),
      expiresInSeconds: 900,
      kicked: [],
      position: expect.stringMatching(position),
    })
    const token = session.body.accessToken
    await whenReadable(ask, token, session.body.position)
    const me = await ask('GET', '/v1/users/me', { token })
    expect(me.body).toEqual({
      userId: made.body.userId,
      userName: 'ada.lovelace',
      name: 'Ada',
      ...initialPrivateProfile,
      createdAt: expect.stringMatching(instant),
    })
  })

  test.each([
    ['e-mail address', 'Bob@Example.org', { email: 'bob@example.org' }],
    ['phone number', '+49 1512 3456789', { phone: '+4915123456789' }],
  ])('by %s and code needs no password, and shows the target to its owner only', async (_what, target, shown) => {
    const [compared] = Object.values(shown) as [string]
    const other = await service.person('other')
    const code = await codeFor('register', compared)
    const named = target.includes('@') ? { email: target } : { phone: target }
    const { userId, position: at } = expectOk(
      await ask('POST', '/v1/accounts', { body: { ...named, code, name: 'Bob' } }),
    )
    await whenReadable(ask, other.token, at)
    const seen = await ask('GET', `/v1/users/${userId}`, { token: other.token })
    expect(seen.body).toEqual({ userId, name: 'Bob' })
    const list = await ask('GET', `/v1/users?ids=${userId},nobody,me`, { token: other.token })
    expect(list.body.items).toHaveLength(2)
    expect(JSON.stringify(list.body)).not.toContain(compared)

    // The code is used up, and the target is taken.
    const again = await ask('POST', '/v1/accounts', { body: { ...named, code, name: 'Bob' } })
    expect(again).toMatchObject({ status: 403, body: { code: 'code.wrong' } })
    service.pass(limits.codeResendSeconds + 1)
    const login = await codeFor('login', compared)
    const session = await ask('POST', '/v1/sessions', { body: { by: 'code', ...named, code: login, device } })
    expect(session).toMatchObject({ status: 201, body: { userId } })
    const me = await ask('GET', '/v1/users/me', { token: session.body.accessToken })
    expect(me.body).toEqual({
      userId,
      name: 'Bob',
      ...shown,
      ...initialPrivateProfile,
      createdAt: expect.stringMatching(instant),
    })
  })

  test('of two at once with one name gives it to exactly one', async () => {
    const body = { userName: 'wanted', password: testPassword, name: 'Wanted' }
    const answers = await Promise.all([1, 2, 3].map(() => ask('POST', '/v1/accounts', { body })))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, 409, 409])
    expect(answers.find(({ status }) => status === 409)?.body).toMatchObject({ code: 'identity.taken' })
  })

  test('is refused with the names of all wrong fields', async () => {
    const answer = await ask('POST', '/v1/accounts', { body: { userName: 'a', name: '', admin: true } })
    expect(answer.status).toBe(400)
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(answer.body).toMatchObject({ type: expect.any(String), title: 'Invalid request', status: 400 })
    expect(answer.body.code).toBe('request.invalid')
    const paths = answer.body.errors.map(({ path }: { path: string }) => path)
    expect(paths).toEqual(expect.arrayContaining(['userName', 'name', 'admin']))
  })
})

describe('a code', () => {
  test('is sent once a minute, and five wrong tries end it', async () => {
    const target = 'slow@example.org'
    const code = await codeFor('register', target)
    const soon = await ask('POST', '/v1/codes', { body: { channel: 'email', target, purpose: 'register' } })
    expect(soon).toMatchObject({ status: 429, body: { code: 'code.too-soon', retryable: true } })
    expect(Number(soon.headers.get('retry-after'))).toBeGreaterThan(0)
    const use = (tried: string) => ask('POST', '/v1/accounts', { body: { email: target, code: tried, name: 'Slow' } })
    const wrong = code === '000000' ? '111111' : '000000'
    for (let tries = 0; tries < limits.codeWrongTriesMax; tries++) expect((await use(wrong)).status).toBe(403)
    expect(await use(code)).toMatchObject({ status: 403, body: { code: 'code.wrong' } })
  })

  test('is asked for with the same answer whether the target is known or not', async () => {
    const bodies = await Promise.all(
      ['reset', 'login'].flatMap(purpose =>
        ['nobody', 'somebody'].map(async name => {
          const target = `${name}-${purpose}@example.org`
          if (name === 'somebody') {
            const code = await codeFor('register', target)
            expectOk(await ask('POST', '/v1/accounts', { body: { email: target, code, name } }))
          }
          return { purpose, target }
        }),
      ),
    )
    service.pass(limits.codeResendSeconds + 1)
    const answers = await Promise.all(
      bodies.map(body => ask('POST', '/v1/codes', { body: { channel: 'email', ...body } })),
    )
    expect(new Set(answers.map(({ status, body }) => JSON.stringify({ status, body }))).size).toBe(1)
  })
})

describe('a wrong password', () => {
  test('and an unknown user are one answer', async () => {
    const { userName } = await signUp(service.httpUrl, 'careful')
    const bodies = [
      { userName, password: 'not the password' },
      { userName: 'nobody.here', password: testPassword },
    ].map(credentials => ({ by: 'password', ...credentials, device }))
    const answers = await Promise.all(bodies.map(body => ask('POST', '/v1/sessions', { body })))
    expect(answers.map(({ status }) => status)).toEqual([401, 401])
    expect(answers[0]?.body).toEqual(answers[1]?.body)
    expect(answers[0]?.body).toMatchObject({ code: 'account.wrong-credentials', retryable: false })
  })
})

describe('the password', () => {
  test('when changed ends every other device at once, on HTTP and socket, and the old one signs nobody in', async () => {
    const ada = await service.person('ada')
    const other = await service.signIn(ada, 'other')
    const kept = await service.connect(ada)
    const cut = await service.connect(other)
    const body = { current: testPassword, new: 'staple of another kind' }
    const changed = await ask('PUT', '/v1/users/me/password', { token: ada.token, body })
    expect(changed.body).toEqual({ position: expect.stringMatching(position) })
    expect(await cut.closed).toEqual({ code: 4403, reason: 'session.ended' })
    expect(await ask('GET', '/v1/users/me', { token: other.accessToken })).toMatchObject({
      status: 401,
      body: { code: 'session.ended' },
    })
    await kept.whenPassed(changed.body.position)
    expect([...(kept.replica.get('sessions')?.keys() ?? [])]).toEqual([ada.session.sessionId])
    const signInWith = (password: string) =>
      ask('POST', '/v1/sessions', { body: { by: 'password', userName: ada.userName, password, device } })
    expect((await signInWith(testPassword)).status).toBe(401)
    expect((await signInWith(body.new)).status).toBe(201)
  })

  test('when reset by a code ends every device', async () => {
    const target = 'reset@example.org'
    const code = await codeFor('register', target)
    const account = { email: target, code, name: 'Forgetful', password: testPassword }
    expectOk(await ask('POST', '/v1/accounts', { body: account }))
    const body = { by: 'password', email: target, password: testPassword, device }
    const session = expectOk(await ask('POST', '/v1/sessions', { body }))
    const socket = await service.connect(session)
    service.pass(limits.codeResendSeconds + 1)
    const resetCode = await codeFor('reset', target)
    const reset = { email: target, code: resetCode, new: 'staple of another kind' }
    expectOk(await ask('POST', '/v1/password-resets', { body: reset }))
    expect(await socket.closed).toEqual({ code: 4403, reason: 'session.ended' })
    const refreshed = await ask('POST', '/v1/sessions/refresh', { body: { refreshToken: session.refreshToken } })
    expect(refreshed).toMatchObject({ status: 401, body: { code: 'session.ended' } })
    expect((await ask('POST', '/v1/sessions', { body: { ...body, password: reset.new } })).status).toBe(201)
  })
})

describe('a phone number', () => {
  test('is changed to a new one, which signs in at once; the old one is anybody’s', async () => {
    const [old, next] = ['+447946033333', '+447946044444']
    const made = async (phone: string, name: string) => {
      const body = { phone, code: await codeFor('register', phone), name }
      return expectOk(await ask('POST', '/v1/accounts', { body })).userId as string
    }
    const signInBy = async (phone: string) => {
      service.pass(limits.codeResendSeconds + 1)
      return ask('POST', '/v1/sessions', { body: { by: 'code', phone, code: await codeFor('login', phone), device } })
    }
    const userId = await made(old, 'Mover')
    const session = expectOk(await signInBy(old))
    const bound = await ask('PUT', '/v1/users/me/identities/phone', {
      token: session.accessToken,
      body: { value: next, code: await codeFor('bind', next) },
    })
    expect(bound).toMatchObject({ status: 200, body: { position: expect.stringMatching(position) } })

    service.pass(limits.codeResendSeconds + 1)
    const otherId = await made(old, 'Newcomer')
    expect(otherId).not.toBe(userId)
    expect(await signInBy(old)).toMatchObject({ status: 201, body: { userId: otherId } })
    const again = await signInBy(next)
    expect(again).toMatchObject({ status: 201, body: { userId } })
    const me = await ask('GET', `/v1/users/me?after=${bound.body.position}`, { token: again.body.accessToken })
    expect(me.body).toMatchObject({ userId, phone: next })
  })
})
