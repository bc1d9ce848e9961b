// Owns the tests of accounts (R1, R4): codes, sign-up, who is told what, passwords, and that retries and crashes do no harm.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { account } from '../../domain/account/account.ts'
import { identity } from '../../domain/identity/identity.ts'
import { streamOf, type UserId } from '../../domain/ids.ts'
import { limits } from '../../domain/limits.ts'
import { derivedId } from '../../eventstore/clock.ts'
import { testKeys } from './fixture.ts'
import { type Harness, startHarness, testPassword } from './harness.ts'

let api: Harness
beforeAll(async () => {
  api = await startHarness()
})
afterAll(() => api.close())

const device = { deviceId: 'd1', platform: 'ios', name: 'Phone' }
let number = 0
/** A target nobody used before. */
const fresh = () => `user${number++}@example.org`
const otherCode = (code: string) => (code === '000000' ? '000001' : '000000')

const register = async (email: string, password: string | undefined = testPassword) => {
  const code = await api.code('register', email)
  return api.ok('POST /v1/accounts', {
    body: { email, code, name: 'Ada', ...(password === undefined ? undefined : { password }) },
  })
}

describe('a code', () => {
  it('is six digits, once a minute, whatever the purpose', async () => {
    const email = fresh()
    expect(await api.code('register', email)).toMatch(/^\d{6}$/)
    const body = { channel: 'email', target: email, purpose: 'login' }
    const refusal = await api.ask('POST /v1/codes', { body })
    expect(refusal.status).toBe(429)
    expect(refusal.body).toMatchObject({ code: 'code.too-soon', retryable: true })
    expect(Number(refusal.headers['retry-after'])).toBeGreaterThan(limits.codeResendSeconds - 10)
    api.clock.pass(limits.codeResendSeconds + 1)
    await api.ok('POST /v1/codes', { body })
  })

  it('of one spelling of a target is that of every other', async () => {
    const code = await api.code('register', 'Mixed.Case@Example.org')
    await api.ok('POST /v1/accounts', { body: { email: 'mixed.case@example.ORG', code, name: 'Ada' } })
    await api.code('register', '+49 1512 0000001')
    await api.refused('code.too-soon', 'POST /v1/codes', {
      body: { channel: 'sms', target: '+49-1512-000-0001', purpose: 'register' },
    })
  })

  it('lives five minutes', async () => {
    const email = fresh()
    const code = await api.code('register', email)
    api.clock.pass(limits.codeLifeSeconds + 1)
    await api.refused('code.wrong', 'POST /v1/accounts', { body: { email, code, name: 'Ada' } })
  })

  it('works once', async () => {
    const email = fresh()
    const code = await api.code('register', email)
    await api.ok('POST /v1/accounts', { body: { email, code, name: 'Ada' } })
    await api.refused('code.wrong', 'POST /v1/accounts', { body: { email, code, name: 'Ada' } })
  })

  it('dies after five wrong tries, also when they come at once', async () => {
    const email = fresh()
    const code = await api.code('register', email)
    const wrong = { email, code: otherCode(code), name: 'Ada' }
    await Promise.all(
      Array.from({ length: limits.codeWrongTriesMax }, () =>
        api.refused('code.wrong', 'POST /v1/accounts', { body: wrong }),
      ),
    )
    await api.refused('code.wrong', 'POST /v1/accounts', { body: { email, code, name: 'Ada' } })
  })

  it('is good for its purpose only', async () => {
    const email = fresh()
    await register(email)
    api.clock.pass(limits.codeResendSeconds + 1)
    const code = await api.code('reset', email)
    await api.refused('code.wrong', 'POST /v1/sessions', { body: { by: 'code', email, code, device } })
  })

  it('is for the one it was sent to', async () => {
    const code = await api.code('register', fresh())
    await api.refused('code.wrong', 'POST /v1/accounts', { body: { email: fresh(), code, name: 'Ada' } })
  })

  it('cannot be guessed by repeating a wrong try under one key', async () => {
    const email = fresh()
    const code = await api.code('register', email)
    const wrong = { body: { email, code: otherCode(code), name: 'Ada' }, key: 'k1' }
    for (let tries = 0; tries < 3; tries++) await api.refused('code.wrong', 'POST /v1/accounts', wrong)
    await api.ok('POST /v1/accounts', { body: { email, code, name: 'Ada' } })
    await api.refused('code.wrong', 'POST /v1/accounts', wrong)
  })

  it('asked for again under the same key is not sent again', async () => {
    const email = fresh()
    const request = { body: { channel: 'email', target: email, purpose: 'register' }, key: 'k1' }
    const before = api.sent.length
    expect(await api.ok('POST /v1/codes', request)).toEqual(await api.ok('POST /v1/codes', request))
    await api.code('register', fresh())
    expect(api.sent.length).toBe(before + 2)
  })

  it.each([
    [{ channel: 'email', target: 'nonsense', purpose: 'login' }, 'target'],
    [{ channel: 'sms', target: 'ada@example.org', purpose: 'login' }, 'target'],
    [{ channel: 'sms', target: '12345', purpose: 'login' }, 'target'],
    [{ channel: 'pigeon', target: 'ada@example.org', purpose: 'login' }, 'channel'],
    [{ channel: 'email', target: 'ada@example.org', purpose: 'admin' }, 'purpose'],
    [{ channel: 'email', target: ['ada@example.org'], purpose: 'login' }, 'target'],
  ])('is refused for %j', async (body, path) => {
    const refusal = await api.refused('request.invalid', 'POST /v1/codes', { body })
    expect(refusal.errors[0].path).toBe(path)
  })
})

describe('whether somebody has an account', () => {
  it.each(['login', 'reset', 'register'])('is not told by asking for a code to %s', async purpose => {
    const known = fresh()
    await register(known)
    api.clock.pass(limits.codeResendSeconds + 1)
    const answers = []
    for (const target of [known, fresh()]) {
      const { status, body, headers } = await api.ask('POST /v1/codes', { body: { channel: 'email', target, purpose } })
      const { date: _date, ...others } = headers
      answers.push({ status, body, headers: others })
    }
    expect(answers[0]).toEqual(answers[1])
  })

  it('decides what is sent: no code to the known for registering, nothing to the unknown for anything else', async () => {
    const known = fresh()
    await register(known)
    const sentFor = async (purpose: string, target: string) => {
      api.clock.pass(limits.codeResendSeconds + 1)
      const before = api.sent.length
      await api.code(purpose, target)
      return api.sent.slice(before)
    }
    expect(await sentFor('register', known)).toEqual([
      { channel: 'email', target: known, purpose: 'register', code: null },
    ])
    expect(await sentFor('login', fresh())).toEqual([])
    expect(await sentFor('reset', fresh())).toEqual([])
    expect(await sentFor('login', known)).toMatchObject([{ code: expect.stringMatching(/^\d{6}$/) }])
  })

  it('is not told by signing in or resetting with a wrong code or password', async () => {
    const known = fresh()
    await register(known)
    for (const unknown of [fresh()]) {
      const pairs = await Promise.all(
        [known, unknown].flatMap(email => [
          api.ask('POST /v1/sessions', { body: { by: 'password', email, password: 'wrong password', device } }),
          api.ask('POST /v1/sessions', { body: { by: 'code', email, code: '123456', device } }),
          api.ask('POST /v1/password-resets', { body: { email, code: '123456', new: 'another password' } }),
        ]),
      )
      const told = pairs.map(({ status, body, headers }) => ({ status, body, headers: { ...headers, date: '' } }))
      expect(told.slice(0, 3)).toEqual(told.slice(3))
    }
  })

  it('is not told by how long a wrong password takes', async () => {
    const known = fresh()
    await register(known)
    const timeOf = async (email: string) => {
      const start = performance.now()
      await api.refused('account.wrong-credentials', 'POST /v1/sessions', {
        body: { by: 'password', email, password: 'wrong password', device },
      })
      return performance.now() - start
    }
    const times: Record<'known' | 'unknown', number[]> = { known: [], unknown: [] }
    for (let round = 0; round < 15; round++) {
      times.known.push(await timeOf(known))
      times.unknown.push(await timeOf(fresh()))
    }
    const least = (values: number[]) => Math.min(...values)
    // A hash takes at least several milliseconds: without one the unknown would be far below.
    expect(least(times.unknown)).toBeGreaterThan(least(times.known) * 0.6)
    expect(least(times.known)).toBeGreaterThan(least(times.unknown) * 0.6)
  })
})

describe('signing up', () => {
  it('with a user name needs a password and no code', async () => {
    const { userId } = await api.ok('POST /v1/accounts', {
      body: { userName: 'Grace.Hopper', password: testPassword, name: ' Grace ' },
    })
    const { token } = await api.signIn('grace.hopper')
    const me = await api.ok('GET /v1/users/me', { token })
    expect(me).toMatchObject({ userId, userName: 'grace.hopper', name: 'Grace' })
  })

  it.each([
    [{}, ['name']],
    [{ name: 'x' }, ['phone']],
    [{ userName: 'abc', name: 'x' }, ['password']],
    [{ userName: 'abc', name: 'x', password: 'short' }, ['password']],
    [{ userName: 'abc', name: 'x', password: 'p'.repeat(129) }, ['password']],
    [{ userName: 'abc', name: 'x', password: testPassword, code: '123456' }, ['code']],
    [{ userName: 'abc', email: 'a@example.org', name: 'x', password: testPassword }, ['userName']],
    [{ email: 'a@example.org', name: 'x' }, ['code']],
    [{ email: 'a@example.org', name: 'x', code: '12345' }, ['code']],
    [{ email: 'a@example.org', name: 'x', code: 123456 }, ['code']],
    [{ email: 'a@example.org', name: 'x', code: '１２３４５６' }, ['code']],
    [{ userName: 'abc', name: 'x', password: testPassword, role: 'admin' }, ['role']],
    [{ userName: 'abc', name: 'x', password: testPassword, userId: 'me' }, ['userId']],
    [{ userName: 'abc', name: '\ud800', password: testPassword }, ['name']],
    [{ userName: '../x', name: 'x', password: testPassword }, ['userName']],
    [{ userName: '$$', name: 'x', password: testPassword }, ['userName']],
  ])('is refused with %j', async (body, paths) => {
    const refusal = await api.refused('request.invalid', 'POST /v1/accounts', { body })
    const told = refusal.errors.map((error: { path: string }) => error.path)
    for (const path of paths) expect(told).toContain(path)
  })

  it('of many at once with one name gives it to exactly one', async () => {
    const body = { userName: 'contended', password: testPassword, name: 'x' }
    const answers = await Promise.all(Array.from({ length: 8 }, () => api.ask('POST /v1/accounts', { body })))
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
    expect(answers.filter(({ body: { code } }) => code === 'identity.taken')).toHaveLength(7)
  })

  it('with a taken name is refused, in whatever spelling', async () => {
    await api.user('takenname')
    await api.refused('identity.taken', 'POST /v1/accounts', {
      body: { userName: 'TakenName', password: testPassword, name: 'x' },
    })
  })

  it('repeated under its key gives the same account, once', async () => {
    const request = { body: { userName: 'repeated', password: testPassword, name: 'x' }, key: 'k1' }
    const first = await api.ok('POST /v1/accounts', request)
    const again = await Promise.all([api.ok('POST /v1/accounts', request), api.ok('POST /v1/accounts', request)])
    expect(again).toEqual([first, first])
    await api.refused('idempotency.mismatch', 'POST /v1/accounts', {
      ...request,
      body: { ...request.body, password: 'another password' },
    })
  })

  it('repeated under its key works with a code that the first try has used up', async () => {
    const email = fresh()
    const request = { body: { email, code: await api.code('register', email), name: 'x' }, key: 'k1' }
    expect(await api.ok('POST /v1/accounts', request)).toEqual(await api.ok('POST /v1/accounts', request))
  })

  it('by two with one key gives two accounts', async () => {
    const ask = (userName: string) =>
      api.ok('POST /v1/accounts', { body: { userName, password: testPassword, name: 'x' }, key: 'same' })
    const [one, other] = await Promise.all([ask('key.one'), ask('key.other')])
    expect(one.userId).not.toBe(other.userId)
  })

  it('that ended between account and claim leaves the name usable, and nobody sees the half of it', async () => {
    const hmac = testKeys().identityHmac('userName', 'halfway')
    const userId = derivedId(`account ${hmac}`, 'k1') as UserId
    const { node } = api
    // What a crash leaves: the account is there, the claim is not.
    await node.handle(
      account,
      streamOf.account(userId),
      {
        type: 'CreateAccount',
        userId,
        name: 'x',
        identity: { kind: 'userName', hmac },
        userName: 'halfway',
        at: node.clock.now(),
      },
      { facts: undefined },
    )
    const { token } = await api.user('onlooker')
    expect(await node.isLive(userId)).toBe(false)
    await api.refused('user.not-found', `GET /v1/users/${userId}`, { token })
    await api.refused('account.wrong-credentials', 'POST /v1/sessions', {
      body: { by: 'password', userName: 'halfway', password: testPassword, device },
    })
    // Somebody else, or the same one without the key, may have the name.
    const winner = await api.ok('POST /v1/accounts', {
      body: { userName: 'halfway', password: testPassword, name: 'y' },
    })
    expect(winner.userId).not.toBe(userId)
    expect((await node.load(identity, streamOf.identity(hmac))).state.claimedBy).toBe(winner.userId)
    await api.refused('identity.taken', 'POST /v1/accounts', {
      body: { userName: 'halfway', password: testPassword, name: 'x' },
      key: 'k1',
    })
  })

  it('by user name can be off', async () => {
    api.settings.userNameSignUp = false
    await api.refused('account.user-name-sign-up-off', 'POST /v1/accounts', {
      body: { userName: 'abc', password: testPassword, name: 'x' },
    })
    api.settings.userNameSignUp = true
  })
})

describe('a password', () => {
  it('is changed with the old one, ends every other session, and works from then on', async () => {
    const one = await api.user('changer')
    const other = await api.signIn('changer', 'device-2')
    const body = { current: testPassword, new: 'another password' }
    await api.refused('account.wrong-password', 'PUT /v1/users/me/password', {
      token: one.token,
      body: { ...body, current: 'wrong' },
    })
    await api.ok('PUT /v1/users/me/password', { token: one.token, body })
    await api.ok('GET /v1/users/me', { token: one.token })
    await api.refused('session.ended', 'GET /v1/users/me', { token: other.token })
    await api.refused('session.ended', 'POST /v1/sessions/refresh', { body: { refreshToken: other.refreshToken } })
    await api.ok('POST /v1/sessions/refresh', { body: { refreshToken: one.refreshToken } })
    await api.refused('account.wrong-credentials', 'POST /v1/sessions', {
      body: { by: 'password', userName: 'changer', password: testPassword, device },
    })
    await api.ok('POST /v1/sessions', {
      body: { by: 'password', userName: 'changer', password: 'another password', device },
    })
  })

  it('change repeated under its key is not refused for the old one being old', async () => {
    const { token } = await api.user('retrier')
    const request = { token, body: { current: testPassword, new: 'another password' }, key: 'k1' }
    const first = await api.ok('PUT /v1/users/me/password', request)
    expect(await api.ok('PUT /v1/users/me/password', request)).toEqual(first)
    await api.refused('account.wrong-password', 'PUT /v1/users/me/password', { ...request, key: 'k2' })
    await api.refused('idempotency.mismatch', 'PUT /v1/users/me/password', {
      ...request,
      body: { ...request.body, new: 'a third password' },
    })
  })

  it('is reset by a code, which ends every session', async () => {
    const email = fresh()
    await register(email)
    const body = { by: 'password', email, password: testPassword, device }
    const { accessToken: token } = await api.ok('POST /v1/sessions', { body })
    api.clock.pass(limits.codeResendSeconds + 1)
    const code = await api.code('reset', email)
    await api.refused('code.wrong', 'POST /v1/password-resets', {
      body: { email, code: otherCode(code), new: 'another password' },
    })
    const request = { body: { email, code, new: 'another password' }, key: 'k1' }
    const first = await api.ok('POST /v1/password-resets', request)
    expect(await api.ok('POST /v1/password-resets', request)).toEqual(first)
    await api.refused('session.ended', 'GET /v1/users/me', { token })
    await api.ok('POST /v1/sessions', { body: { ...body, password: 'another password' } })
  })

  it('is one whether its letters came composed or not', async () => {
    await api.ok('POST /v1/accounts', { body: { userName: 'composed', password: 'passwörter', name: 'x' } })
    await api.ok('POST /v1/sessions', {
      body: { by: 'password', userName: 'composed', password: 'passwo\u0308rter', device },
    })
  })

  it('is never in the log of events in clear, nor a code, nor their plain hash under a key', async () => {
    const events = await api.node.store.readAll({ from: 'start', direction: 'forwards', limit: 1_000 })
    const text = events.map(event => JSON.stringify(event)).join('\n')
    expect(events.length).toBeGreaterThan(50)
    expect(text).not.toContain(testPassword)
    expect(text).not.toContain('another password')
    for (const { code, target } of api.sent) {
      if (code !== null) expect(text).not.toMatch(new RegExp(`"${code}"`))
      // In clear only as a personal field of an account; never in a name of a stream.
      for (const event of events) expect(event.stream).not.toContain(target)
    }
  })
})
