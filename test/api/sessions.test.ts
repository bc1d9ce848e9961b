// Owns the tests of devices (R51–R53): signing in and out, the policies, refresh tokens and their generations, kicks.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { accessTokenSeconds } from '../../api/tokens.ts'
import { limits } from '../../domain/limits.ts'
import { type Harness, startHarness, type TestUser, testPassword } from './harness.ts'

let api: Harness
beforeAll(async () => {
  api = await startHarness()
})
afterAll(() => api.close())

const refresh = (refreshToken: string) => ({ body: { refreshToken } })
const works = (user: { token: string }) => api.ok('GET /v1/sessions', { token: user.token })
const ended = (user: { token: string }) => api.refused('session.ended', 'GET /v1/sessions', { token: user.token })

const signInAs = (userName: string, platform: string, force?: boolean) =>
  api.ask('POST /v1/sessions', {
    body: {
      by: 'password',
      userName,
      password: testPassword,
      device: { deviceId: `${platform} device`, platform, name: platform },
      ...(force === undefined ? undefined : { force }),
    },
  })

describe('signing in', () => {
  it('opens a session that the user sees in the list', async () => {
    const ada = await api.user('ada')
    const signedIn = await api.ok('POST /v1/sessions', {
      body: {
        by: 'password',
        userName: 'ADA',
        password: testPassword,
        device: { deviceId: 'd2', platform: 'ios', name: ' Ada’s phone ' },
      },
    })
    expect(signedIn).toMatchObject({ userId: ada.userId, kicked: [], expiresInSeconds: accessTokenSeconds })
    const { items } = await api.ok(`GET /v1/sessions?after=${signedIn.position}`, { token: ada.token })
    expect(items).toMatchObject([
      { sessionId: ada.sessionId, deviceId: 'device-1', platform: 'linux' },
      { sessionId: signedIn.sessionId, deviceId: 'd2', platform: 'ios', name: 'Ada’s phone' },
    ])
  })

  it('by code works for the known, with phone or e-mail', async () => {
    const email = 'coder@example.org'
    const code = await api.code('register', email)
    const { userId } = await api.ok('POST /v1/accounts', { body: { email, code, name: 'x' } })
    api.clock.pass(limits.codeResendSeconds + 1)
    const login = await api.code('login', email)
    const device = { deviceId: 'd', platform: 'web', name: 'Browser' }
    const request = { body: { by: 'code', email, code: login, device }, key: 'k1' }
    const first = await api.ok('POST /v1/sessions', request)
    expect(first.userId).toBe(userId)
    // The retry of a reply that was lost finds the same session.
    expect((await api.ok('POST /v1/sessions', request)).sessionId).toBe(first.sessionId)
    await api.refused('code.wrong', 'POST /v1/sessions', { ...request, key: 'k2' })
    // There is no password, so none is right.
    await api.refused('account.wrong-credentials', 'POST /v1/sessions', {
      body: { by: 'password', email, password: testPassword, device },
    })
  })

  it.each([
    [{ by: 'password', userName: 'ada' }, 'password'],
    [{ by: 'code', userName: 'ada', code: '123456' }, 'userName'],
    [{ by: 'code', email: 'a@example.org', code: '123456', password: 'x' }, 'password'],
    [{ by: 'magic', userName: 'ada', password: 'x' }, 'by'],
    [{ by: 'password', userName: 'ada', password: { $ne: '' } }, 'password'],
    [{ by: 'password', userName: ['ada'], password: 'x' }, 'userName'],
    [
      { by: 'password', userName: 'ada', password: 'x', device: { deviceId: 'd', platform: 'toaster', name: 'x' } },
      'device.platform',
    ],
    [
      {
        by: 'password',
        userName: 'ada',
        password: 'x',
        device: { deviceId: 'd'.repeat(65), platform: 'ios', name: 'x' },
      },
      'device.deviceId',
    ],
    [
      {
        by: 'password',
        userName: 'ada',
        password: 'x',
        device: { deviceId: 'd', platform: 'ios', name: 'x', root: 1 },
      },
      'device.root',
    ],
  ])('is refused with %j', async (body, path) => {
    const whole = { device: { deviceId: 'd', platform: 'ios', name: 'x' }, ...body }
    const refusal = await api.refused('request.invalid', 'POST /v1/sessions', { body: whole })
    expect(refusal.errors[0].path).toBe(path)
  })

  it('again on the same device replaces its session', async () => {
    const one = await api.user('replacer')
    const { body } = await api.ask('POST /v1/sessions', {
      body: {
        by: 'password',
        userName: 'replacer',
        password: testPassword,
        device: { deviceId: 'device-1', platform: 'linux', name: 'again' },
      },
    })
    expect(body.kicked).toEqual([one.sessionId])
    await ended(one)
  })

  it('on one device too many ends the oldest, or is refused without force', async () => {
    const first = await api.user('collector')
    for (let index = 2; index <= limits.sessionsMax; index++) await api.signIn('collector', `device-${index}`)
    await works(first)
    const refusal = await signInAs('collector', 'ios', false)
    expect(refusal).toMatchObject({ status: 409, body: { code: 'session.limit', sessionIds: [first.sessionId] } })
    const { body } = await signInAs('collector', 'ios')
    expect(body.kicked).toEqual([first.sessionId])
    await ended(first)
  })

  it('on many devices at once leaves no more than may be', async () => {
    await api.ok('POST /v1/accounts', { body: { userName: 'crowd', password: testPassword, name: 'x' } })
    const devices = Array.from({ length: limits.sessionsMax + 5 }, (_, index) => `device-${index}`)
    const signedIn = await Promise.all(devices.map(device => api.signIn('crowd', device)))
    const answers = await Promise.all(signedIn.map(({ token }) => api.ask('GET /v1/users/me', { token })))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(limits.sessionsMax)
    expect(answers.filter(({ body }) => body.code === 'session.ended')).toHaveLength(5)
  })

  it('follows the policy of the server', async () => {
    for (const [devicePolicy, staying] of [
      ['one', []],
      ['desktopAndMobile', ['android']],
    ] as const) {
      api.settings.devicePolicy = devicePolicy
      const userName = `only-${devicePolicy.toLowerCase()}`
      await api.ok('POST /v1/accounts', { body: { userName, password: testPassword, name: 'x' } })
      await signInAs(userName, 'windows')
      await signInAs(userName, 'android')
      const { body } = await signInAs(userName, 'web')
      const { items } = await api.ok(`GET /v1/sessions?after=${body.position}`, { token: body.accessToken })
      expect(items.map((item: { platform: string }) => item.platform)).toEqual([...staying, 'web'])
    }
    api.settings.devicePolicy = 'many'
  })
})

describe('refreshing', () => {
  let user: TestUser
  beforeAll(async () => {
    user = await api.user('refresher')
  })
  const again = async (token: string) =>
    (await api.ok('POST /v1/sessions/refresh', refresh(token))).refreshToken as string

  it('gives a new pair, and the one before works until the new one was used', async () => {
    const first = await again(user.refreshToken)
    expect(await again(user.refreshToken)).toBe(first)
    const second = await again(first)
    expect(second).not.toBe(first)
    expect(await again(first)).toBe(second)
    const { accessToken } = await api.ok('POST /v1/sessions/refresh', refresh(second))
    await works({ token: accessToken })
  })

  it('with a token older than that ends the session', async () => {
    const victim = await api.signIn('refresher', 'device-2')
    const second = await again(await again(victim.refreshToken))
    await api.refused('session.ended', 'POST /v1/sessions/refresh', refresh(victim.refreshToken))
    await ended(victim)
    await api.refused('session.ended', 'POST /v1/sessions/refresh', refresh(second))
  })

  it('many times at once moves on once', async () => {
    const device = await api.signIn('refresher', 'device-3')
    const tokens = await Promise.all(Array.from({ length: 10 }, () => again(device.refreshToken)))
    expect(new Set(tokens).size).toBe(1)
  })

  it('works after the access token has expired', async () => {
    const device = await api.signIn('refresher', 'device-4')
    api.clock.pass(accessTokenSeconds + 1)
    await api.refused('token.expired', 'GET /v1/sessions', { token: device.token })
    const { accessToken } = await api.ok('POST /v1/sessions/refresh', {
      ...refresh(device.refreshToken),
      token: device.token,
    })
    await works({ token: accessToken })
  })

  it.each(['', 'x', 'x.y', 'a'.repeat(3_000), '$$', '../x'])('with %s is refused', async token => {
    const { status } = await api.ask('POST /v1/sessions/refresh', refresh(token))
    expect([400, 401]).toContain(status)
  })

  it('with an access token, or with a refresh token for access, is refused', async () => {
    const device = await api.signIn('refresher', 'device-5')
    await api.refused('token.invalid', 'POST /v1/sessions/refresh', refresh(device.token))
    await api.refused('token.invalid', 'GET /v1/sessions', { token: device.refreshToken })
  })
})

describe('a session ends', () => {
  it('by signing out, and its tokens with it', async () => {
    const user = await api.user('leaver')
    await api.ok('DELETE /v1/sessions/current', { token: user.token })
    await ended(user)
    await api.refused('session.ended', 'POST /v1/sessions/refresh', refresh(user.refreshToken))
  })

  it('by another device of the user, and nobody else', async () => {
    const one = await api.user('kicker')
    const other = await api.signIn('kicker', 'device-2')
    const stranger = await api.user('stranger')
    await api.refused('session.not-found', `DELETE /v1/sessions/${other.sessionId}`, { token: stranger.token })
    await works(other)
    await api.ok(`DELETE /v1/sessions/${other.sessionId}`, { token: one.token })
    await ended(other)
    await api.refused('session.not-found', `DELETE /v1/sessions/${other.sessionId}`, { token: one.token })
    await api.refused('request.invalid', 'DELETE /v1/sessions/$$', { token: one.token })
  })

  it('for frames as well as for requests', async () => {
    const user = await api.user('framer')
    const call = {
      caller: { kind: 'user', userId: user.userId as never, sessionId: user.sessionId as never },
      address: '127.0.0.1',
    } as const
    expect(await api.dispatch('signOut', call, {})).toMatchObject({ ok: { position: expect.any(String) } })
    await ended(user)
  })

  it('and the list of changes says so', async () => {
    const one = await api.user('lister')
    const { position } = await api.ok('DELETE /v1/blocklist/nobody', { token: one.token })
    const cursor = `${api.node.store.logId}.1.${position}`
    const other = await api.signIn('lister', 'device-2')
    const { position: kickedAt } = await api.ok(`DELETE /v1/sessions/${other.sessionId}`, { token: one.token })
    const changes = await api.ok(`GET /v1/sessions?since=${cursor}&after=${kickedAt}`, { token: one.token })
    expect(changes.removed).toContain(other.sessionId)
    expect(changes.cursor > cursor).toBe(true)
  })
})

describe('limits', () => {
  it('slow down guessing the password of one account from anywhere', async () => {
    await api.ok('POST /v1/accounts', { body: { userName: 'attacked', password: testPassword, name: 'x' } })
    api.settings.rateLimits = true
    const guess = (userName: string) =>
      api.ask('POST /v1/sessions', {
        body: { by: 'password', userName, password: 'wrong', device: { deviceId: 'd', platform: 'ios', name: 'x' } },
      })
    for (const userName of ['attacked', 'nobody-here']) {
      const codes: string[] = []
      for (let index = 0; index < 12; index++) {
        codes.push((await guess(userName)).body.code)
        api.clock.pass(1)
      }
      expect(codes.slice(0, 10)).toEqual(Array(10).fill('account.wrong-credentials'))
      expect(codes.at(-1), 'the same for one who is not there').toBe('rate.limited')
    }
    api.settings.rateLimits = false
  })
})
