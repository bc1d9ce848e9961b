// The app's own backend makes accounts under its own ids, signs devices in, bans and kicks (R1, R2).

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAdminKey } from '../../api/admin-keys.ts'
import { isRejection } from '../../domain/decider.ts'
import { limits } from '../../domain/limits.ts'
import { type Harness, startHarness, type TestUser } from './harness.ts'

const password = 'correct horse battery'
const device = { deviceId: 'd', platform: 'web', name: 'A browser' }

let api: Harness
let key: string
let eve: TestUser
beforeAll(async () => {
  api = await startHarness()
  const made = await createAdminKey(api.node, 'backend')
  if (isRejection(made)) throw new Error(made.detail)
  key = made.key
  eve = await api.user('eve')
})
afterAll(() => api.close())

const admin = (route: string, body?: object, idempotencyKey?: string) =>
  api.ask(route.replace(' ', ' /v1/admin/accounts'), { token: key, body, key: idempotencyKey })
const signIn = (how: object) => api.ask('POST /v1/sessions', { body: { by: 'password', device, ...how } })

describe('an account made by the backend', () => {
  it('has the id the app chose, is there at once, and signs in by what was given', async () => {
    const body = { userId: 'shop-4711', name: 'Ada', userName: 'ada', email: 'ada@example.org', password }
    const made = await admin('POST ', body)
    expect(made).toMatchObject({ status: 201, body: { userId: 'shop-4711' } })
    expect((await signIn({ email: 'ada@example.org', password })).body.userId).toBe('shop-4711')
    expect((await signIn({ userName: 'ada', password })).body.userId).toBe('shop-4711')
    const row = await api.ok(`GET /v1/users/shop-4711?after=${made.body.position}`, { token: eve.token })
    expect(row).toEqual({ userId: 'shop-4711', userName: 'ada', name: 'Ada' })
    expect((await admin('GET /shop-4711')).body).toMatchObject({
      email: 'ada@example.org',
      friendPolicy: 'approval',
      hasPassword: true,
      ban: null,
    })
  })

  it('may be a robot without any way to sign in but a token of the backend', async () => {
    const made = await admin('POST ', { name: 'Robot' }, 'robot')
    expect((await admin('POST ', { name: 'Robot' }, 'robot')).body).toEqual(made.body)
    const { userId } = made.body
    const session = await admin(`POST /${userId}/sessions`, { device })
    expect(session.status).toBe(201)
    const me = await api.ok(`GET /v1/users/me?after=${session.body.position}`, { token: session.body.accessToken })
    expect(me).toMatchObject({ userId, name: 'Robot' })
    const refreshed = await api.ok('POST /v1/sessions/refresh', {
      body: { refreshToken: session.body.refreshToken },
    })
    expect(refreshed.accessToken).toMatch(/\./)
  })

  it('is refused under an id or an identity that is taken, and leaves nothing behind', async () => {
    expect((await admin('POST ', { userId: eve.userId, name: 'X' })).body.code).toBe('account.exists')
    const body = { userId: 'shop-2', name: 'X', userName: 'eve', email: 'x@example.org' }
    expect((await admin('POST ', body)).body).toMatchObject({ code: 'identity.taken', kind: 'userName' })
    expect((await admin('POST ', { ...body, userName: undefined })).status).toBe(201)
  })

  it.each(['me', 'system', 'search', 'a b', 'a/b', '', 'x'.repeat(65)])('never has the id %j', async userId => {
    expect((await admin('POST ', { userId, name: 'X' })).body.code).toBe('request.invalid')
  })
})

describe('a ban', () => {
  const inSeconds = (seconds: number) => new Date(api.clock.unixMs() + seconds * 1_000).toISOString()

  it('ends every session, and tells whoever proves to own the account until when', async () => {
    const ann = await api.user('ann')
    const until = inSeconds(3_600)
    expect((await admin(`PUT /${ann.userId}/ban`, { until, reason: 'Spam' })).status).toBe(200)
    const { refreshToken } = ann
    const told = [
      await api.ask('GET /v1/users/me', { token: ann.token }),
      await api.ask('POST /v1/sessions/refresh', { body: { refreshToken } }),
      await signIn({ userName: 'ann', password }),
    ]
    for (const { status, body } of told) {
      expect({ status, ...body }).toMatchObject({ status: 403, code: 'account.banned', until, reason: 'Spam' })
    }
    expect((await signIn({ userName: 'ann', password: 'a wrong one' })).body.code).toBe('account.wrong-credentials')
    expect((await admin(`POST /${ann.userId}/sessions`, { device })).body.code).toBe('account.banned')
    expect((await admin(`GET /${ann.userId}`)).body.ban).toEqual({ until, reason: 'Spam' })
  })

  it('lifts itself, and brings no old session back', async () => {
    const bob = await api.user('bob')
    await admin(`PUT /${bob.userId}/ban`, { until: inSeconds(60) })
    api.clock.pass(60)
    expect((await signIn({ userName: 'bob', password })).status).toBe(201)
    await api.refused('session.ended', 'GET /v1/users/me', { token: bob.token })
    expect((await admin(`GET /${bob.userId}`)).body.ban).toBeNull()
  })

  it('for ever holds until it is lifted', async () => {
    const cid = await api.user('cid')
    await admin(`PUT /${cid.userId}/ban`, { until: null })
    expect((await signIn({ userName: 'cid', password })).body).toMatchObject({ code: 'account.banned', until: null })
    expect((await admin(`DELETE /${cid.userId}/ban`)).status).toBe(200)
    expect((await signIn({ userName: 'cid', password })).status).toBe(201)
  })

  it('refuses a new password by code, once the code was right', async () => {
    const { body } = await admin('POST ', { name: 'Dan', email: 'dan@example.org', password })
    await admin(`PUT /${body.userId}/ban`, { until: null })
    const code = await api.code('reset', 'dan@example.org')
    const reset = (given: string) =>
      api.ask('POST /v1/password-resets', { body: { email: 'dan@example.org', code: given, new: `${password} 2` } })
    expect((await reset(code === '000000' ? '000001' : '000000')).body.code).toBe('code.wrong')
    expect((await reset(code)).body.code).toBe('account.banned')
  })

  it('must end in the future, with a reason of a bounded length', async () => {
    for (const body of [
      {},
      { until: inSeconds(-1) },
      { until: 'soon' },
      { until: null, reason: 'x'.repeat(limits.banReasonCharactersMax + 1) },
    ]) {
      expect((await admin(`PUT /${eve.userId}/ban`, body)).body.code).toBe('request.invalid')
    }
  })
})

describe('kicking', () => {
  it('ends one device, or all of them', async () => {
    const fay = await api.user('fay')
    const [second, third] = [await api.signIn('fay', 'second'), await api.signIn('fay', 'third')]
    expect((await admin(`DELETE /${fay.userId}/sessions/${second.sessionId}`)).status).toBe(200)
    await api.refused('session.ended', 'GET /v1/sessions', { token: second.token })
    await api.ok('GET /v1/sessions', { token: third.token })
    const { body } = await admin(`DELETE /${fay.userId}/sessions`)
    for (const { token } of [fay, third]) await api.refused('session.ended', 'GET /v1/sessions', { token })
    const again = await api.signIn('fay', 'fourth')
    expect((await api.ok(`GET /v1/sessions?after=${body.position}`, { token: again.token })).items).toHaveLength(1)
    expect((await admin(`DELETE /${fay.userId}/sessions/nosession`)).body.code).toBe('session.not-found')
  })
})
