// Owns the devices of one user as clients see them: the list that is live on all of them, tokens that take turns, and an end
// that holds everywhere at once, also after the server was restarted.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DeviceClosed, expectOk } from '../support/device.ts'
import { whenReadable } from '../support/quiet.ts'
import { startTestService, type TestService } from '../support/service.ts'

const slowMsMax = 300_000
const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

let service: TestService

beforeAll(async () => {
  service = await startTestService()
}, slowMsMax)
afterAll(async () => {
  await service?.stop()
  expect(service?.failures).toEqual([])
}, slowMsMax)

const refresh = (refreshToken: string) => service.api('POST', '/v1/sessions/refresh', { body: { refreshToken } })
const statusWith = async (token: string) => (await service.api('GET', '/v1/users/me', { token })).status

describe('signing in', () => {
  test('shows the new device on all others, and again on the same device replaces it', async () => {
    const ada = await service.person('ada')
    const first = await service.connect(ada)
    const phone = await service.signIn(ada, 'phone')
    await first.whenPassed(phone.position)
    const row = {
      sessionId: phone.sessionId,
      deviceId: 'phone',
      platform: 'linux',
      name: 'phone',
      openedAt: expect.stringMatching(instant),
    }
    expect(first.replica.get('sessions')?.get(phone.sessionId)).toEqual(row)
    await whenReadable(service.api, ada.token, phone.position)
    const listed = await service.api('GET', '/v1/sessions', { token: ada.token })
    expect(listed.body).toMatchObject({ next: null, items: [{ sessionId: ada.session.sessionId }, row] })

    const old = await service.connect(phone)
    const again = await service.signIn(ada, 'phone')
    expect(again).toMatchObject({ kicked: [phone.sessionId] })
    expect(await old.closed).toEqual({ code: 4403, reason: 'session.ended' })
    expect(await statusWith(phone.accessToken)).toBe(401)
    await first.whenPassed(again.position)
    expect([...(first.replica.get('sessions')?.keys() ?? [])]).toEqual([ada.session.sessionId, again.sessionId])
  })
})

describe('refreshing', () => {
  test('gives new tokens; the ones before work until the new ones were used; older ones end the device', async () => {
    const { session } = await service.person('ada')
    const socket = await service.connect(session)
    const second = expectOk(await refresh(session.refreshToken))
    expect(second).toEqual({
      accessToken: expect.any(String),
      refreshToken: expect.any(String),
      expiresInSeconds: 900,
      position: expect.any(String),
    })
    // The reply may have been lost: the first token may come again, until the second was used.
    const secondOnceMore = expectOk(await refresh(session.refreshToken))
    expect(secondOnceMore.refreshToken).toBe(second.refreshToken)
    const third = expectOk(await refresh(second.refreshToken))
    for (const { accessToken } of [session, second, third]) expect(await statusWith(accessToken)).toBe(200)

    expect(await refresh(session.refreshToken)).toMatchObject({ status: 401, body: { code: 'session.ended' } })
    expect(await socket.closed).toEqual({ code: 4403, reason: 'session.ended' })
    for (const { accessToken } of [session, second, third]) expect(await statusWith(accessToken)).toBe(401)
    expect((await refresh(third.refreshToken)).status).toBe(401)
  })

  test('goes on after the access token has expired, which does not cut a live socket but opens none', async () => {
    const ada = await service.person('ada')
    const socket = await service.connect(ada)
    service.pass(901)
    expect(await service.api('GET', '/v1/users/me', { token: ada.token })).toMatchObject({
      status: 401,
      body: { code: 'token.expired' },
    })
    expect(await socket.command('getUnread', {})).toMatchObject({ total: 0 })
    await expect(service.connect(ada)).rejects.toMatchObject({ closed: { code: 4401, reason: 'token.expired' } })
    const fresh = expectOk(await refresh(ada.session.refreshToken))
    expect(await statusWith(fresh.accessToken)).toBe(200)
    const again = await service.connect(fresh)
    // The same device: the socket it had before is replaced.
    expect(await socket.closed).toEqual({ code: 4409, reason: 'socket.replaced' })
    expect(again.welcome.sessionId).toBe(ada.session.sessionId)
  })
})

describe('an ended device', () => {
  const ways = {
    'kicked by another one': async (other: string, ended: { sessionId: string; accessToken: string }) =>
      expectOk(await service.api('DELETE', `/v1/sessions/${ended.sessionId}`, { token: other })),
    'signed out by itself': async (_other: string, ended: { sessionId: string; accessToken: string }) =>
      expectOk(await service.api('DELETE', '/v1/sessions/current', { token: ended.accessToken })),
  }

  test.each(Object.keys(ways) as (keyof typeof ways)[])(
    '%s is out everywhere, and stays out',
    async way => {
      const [ada, bob] = await service.people('ada', 'bob')
      if (ada === undefined || bob === undefined) throw new Error('nobody is here')
      const ended = await service.signIn(ada, 'ended')
      const socket = await service.connect(ended)
      const frames: unknown[] = []
      const other = await service.connect(ada, { onFrame: frame => frames.push(frame) })
      const { position } = await ways[way](ada.token, ended)
      const isOut = async () => {
        expect(await service.api('GET', '/v1/sessions', { token: ended.accessToken })).toMatchObject({
          status: 401,
          body: { code: 'session.ended' },
        })
        expect(await refresh(ended.refreshToken)).toMatchObject({ status: 401, body: { code: 'session.ended' } })
        const refused = service.connect(ended)
        await expect(refused).rejects.toBeInstanceOf(DeviceClosed)
        await expect(refused).rejects.toMatchObject({ closed: { code: 4403, reason: 'session.ended' } })
      }
      // On HTTP with the very reply, on the socket with the event.
      await isOut()
      expect(await socket.closed).toEqual({ code: 4403, reason: 'session.ended' })
      expect(socket.bye).toEqual({ op: 'bye', code: 4403, reason: 'session.ended', reconnect: 'never' })
      await other.whenPassed(position)
      expect(frames).toContainEqual({
        op: 'remove',
        collection: 'sessions',
        cursor: expect.stringContaining(position),
        id: ended.sessionId,
      })

      // What comes later does not reach it.
      const conversationId = `p2p:${[ada.userId, bob.userId].toSorted().join(':')}`
      const bobs = await service.connect(bob)
      const said = await bobs.say(conversationId, 'for ada')
      await other.whenPassed(said.position)
      expect(socket.state.messagesOf(conversationId)).toEqual([])

      await service.restart()
      await isOut()
      expect(await statusWith(ada.token)).toBe(200)
    },
    slowMsMax,
  )

  test('of somebody else is not there', async () => {
    const [ada, bob] = await service.people('ada', 'bob')
    const answer = await service.api('DELETE', `/v1/sessions/${ada?.session.sessionId}`, { token: bob?.token })
    expect(answer).toMatchObject({ status: 404, body: { code: 'session.not-found' } })
    expect(await statusWith(ada?.token ?? '')).toBe(200)
  })
})
