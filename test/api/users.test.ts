// Owns the tests of profiles and block lists over HTTP, and of the small rest: server, sync, tokens everywhere.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { limits } from '../../domain/limits.ts'
import { type Harness, p2p, startHarness, type TestUser, textOf } from './harness.ts'

let api: Harness
let ada: TestUser
let bob: TestUser
let eve: TestUser
beforeAll(async () => {
  api = await startHarness()
  ada = await api.user('ada')
  bob = await api.user('bob')
  eve = await api.user('eve')
})
afterAll(() => api.close())

const send = (from: TestUser, conversationId: string, text: string, clientMessageId?: string) =>
  api.ok(`POST /v1/conversations/${conversationId}/messages`, {
    token: from.token,
    body: textOf(text, clientMessageId),
  })

describe('profiles', () => {
  it('show public fields to others, private ones to oneself', async () => {
    const { items } = await api.ok(`GET /v1/users?ids=${bob.userId},nobody,me,${bob.userId}`, { token: ada.token })
    expect(items).toEqual([
      { userId: bob.userId, userName: 'bob', name: 'bob' },
      { userId: ada.userId, userName: 'ada', name: 'ada' },
    ])
    expect(await api.ok('GET /v1/users/me', { token: ada.token })).toMatchObject({
      userId: ada.userId,
      createdAt: expect.any(String),
    })
    await api.refused('user.not-found', 'GET /v1/users/nobody', { token: ada.token })
    expect(await api.ok('GET /v1/users?ids=nobody,no.one', { token: ada.token })).toEqual({ items: [] })
  })

  it('are changed field by field, and null clears one (R3)', async () => {
    const change = (body: object) => api.ok('PATCH /v1/users/me', { token: eve.token, body })
    await change({ name: '  Eve  ', signature: 'away', gender: 'other', birthday: '2000-02-29' })
    const { position } = await change({
      signature: null,
      avatarUrl: 'https://example.org/eve.png',
      extension: '{"a":1}',
    })
    const seen = {
      userId: eve.userId,
      userName: 'eve',
      name: 'Eve',
      gender: 'other',
      birthday: '2000-02-29',
      avatarUrl: 'https://example.org/eve.png',
      extension: '{"a":1}',
    }
    expect(await api.ok(`GET /v1/users/${eve.userId}?after=${position}`, { token: ada.token })).toEqual(seen)
    const own = await api.ok('GET /v1/users/me', { token: eve.token })
    expect(own).toMatchObject({ ...seen, friendPolicy: 'approval' })
    expect(own).not.toHaveProperty('signature')
  })

  it('keep what is private to oneself (R3, R6)', async () => {
    const discoverableBy = { phone: false, email: false, userName: true, namePrefix: true }
    const body = { friendPolicy: 'nobody', discoverableBy }
    const { position } = await api.ok('PATCH /v1/users/me', { token: bob.token, body })
    expect(await api.ok(`GET /v1/users/me?after=${position}`, { token: bob.token })).toMatchObject(body)
    expect(await api.ok(`GET /v1/users/${bob.userId}`, { token: ada.token })).toEqual({
      userId: bob.userId,
      userName: 'bob',
      name: 'bob',
    })
  })

  it.each([
    [{}],
    [{ name: '' }],
    [{ name: null }],
    [{ name: 'x'.repeat(limits.nameCharactersMax + 1) }],
    [{ avatarUrl: 'http://example.org/a.png' }],
    [{ avatarUrl: 'javascript:alert(1)' }],
    [{ avatarUrl: `https://example.org/${'x'.repeat(limits.avatarUrlCharactersMax)}` }],
    [{ signature: 'x'.repeat(limits.signatureCharactersMax + 1) }],
    [{ signature: 'nul \0 byte' }],
    [{ gender: 'robot' }],
    [{ birthday: '2001-02-29' }],
    [{ birthday: '1.2.2001' }],
    [{ extension: { a: 1 } }],
    [{ friendPolicy: null }],
    [{ discoverableBy: { phone: false } }],
    [{ userId: 'other' }],
    [{ userName: 'other' }],
    [{ createdAt: '2026-01-01T00:00:00.000Z' }],
  ])('are not changed by %j', async body => {
    await api.refused('request.invalid', 'PATCH /v1/users/me', { token: ada.token, body })
  })

  it('come in lists of a bounded length', async () => {
    const ids = (count: number) => Array.from({ length: count }, (_, index) => `u${index}`).join(',')
    expect(await api.ok(`GET /v1/users?ids=${ids(limits.usersPerQueryMax)}`, { token: ada.token })).toEqual({
      items: [],
    })
    for (const query of [
      '',
      '?ids=',
      `?ids=${ids(limits.usersPerQueryMax + 1)}`,
      '?ids=a,,b',
      '?ids=$$',
      '?ids=system',
    ]) {
      await api.refused('request.invalid', `GET /v1/users${query}`, { token: ada.token })
    }
  })
})

describe('the block list', () => {
  it('holds whom I block, and nobody learns of it', async () => {
    const { position } = await api.ok(`PUT /v1/blocklist/${eve.userId}`, { token: ada.token })
    expect(await api.ok(`GET /v1/blocklist?after=${position}`, { token: ada.token })).toMatchObject({
      items: [{ userId: eve.userId }],
      next: null,
    })
    const check = await api.ok(`GET /v1/blocklist/check?ids=${eve.userId},${bob.userId},nobody`, { token: ada.token })
    expect(check.items).toEqual([
      { userId: eve.userId, blocked: true },
      { userId: bob.userId, blocked: false },
      { userId: 'nobody', blocked: false },
    ])
    expect((await api.ok(`GET /v1/blocklist/check?ids=${ada.userId}`, { token: eve.token })).items[0].blocked).toBe(
      false,
    )
    await api.refused('message.blocked', `POST /v1/conversations/${p2p(ada, eve)}/messages`, {
      token: eve.token,
      body: textOf('hi'),
    })
    await send(ada, p2p(ada, eve), 'the other way is open')
    await api.ok(`DELETE /v1/blocklist/${eve.userId}`, { token: ada.token })
    await send(eve, p2p(ada, eve), 'now it goes')
  })

  it('takes neither oneself nor nobody', async () => {
    await api.refused('block.self', 'PUT /v1/blocklist/me', { token: ada.token })
    await api.refused('user.not-found', 'PUT /v1/blocklist/nobody', { token: ada.token })
    await api.ok('DELETE /v1/blocklist/nobody', { token: ada.token })
    for (const id of ['$$', 'system', 'search', '..%2fx']) {
      await api.refused('request.invalid', `PUT /v1/blocklist/${id}`, { token: ada.token })
    }
  })

  it('tells what changed since a cursor', async () => {
    const start = await api.ok(`PUT /v1/blocklist/${bob.userId}`, { token: eve.token })
    const cursor = `${api.node.store.logId}.1.${start.position}`
    const blocked = await api.ok(`GET /v1/blocklist?since=${cursor}&after=${start.position}`, { token: eve.token })
    expect(blocked.items).toMatchObject([{ userId: bob.userId }])
    const { position } = await api.ok(`DELETE /v1/blocklist/${bob.userId}`, { token: eve.token })
    const changes = await api.ok(`GET /v1/blocklist?since=${blocked.cursor}&after=${position}`, { token: eve.token })
    expect(changes).toMatchObject({ items: [], removed: [bob.userId] })
  })

  it.each([
    ['since', 'otherlog.1.0000000000000001', 'sync.too-old'],
    ['since', 'LOG.999.0000000000000001', 'sync.too-old'],
    ['since', 'LOG.1.ffffffffffffffff', 'sync.too-old'],
    ['since', 'LOG.1.xyz', 'sync.too-old'],
    ['since', 'LOG', 'sync.too-old'],
    ['since', '', 'request.invalid'],
    ['since', '$$', 'request.invalid'],
    ['since', 'x'.repeat(300), 'request.invalid'],
    ['cursor', 'nonsense', 'request.invalid'],
    ['cursor', Buffer.from('["x"]').toString('base64url'), 'request.invalid'],
    ['cursor', Buffer.from('{"__proto__":[]}').toString('base64url'), 'request.invalid'],
    ['cursor', '..%2fx', 'request.invalid'],
    ['limit', '-1', 'request.invalid'],
    ['limit', '1000000', 'request.invalid'],
  ])('refuses ?%s=%s', async (name, value, code) => {
    const url = `GET /v1/blocklist?${name}=${value.replace('LOG', api.node.store.logId)}`
    expect((await api.refused(code, url, { token: ada.token })).status).toBe(code === 'sync.too-old' ? 410 : 400)
  })
})

describe('waiting for one’s own writes', () => {
  it('ends after two seconds with a 503 when they never come', async () => {
    const start = performance.now()
    const answer = await api.ask('GET /v1/conversations?after=7fffffffffffffff', { token: ada.token })
    expect(answer).toMatchObject({ status: 503, body: { code: 'projection.behind', retryable: true } })
    expect(answer.headers['retry-after']).toBe('1')
    expect(performance.now() - start).toBeGreaterThan(1_900)
  })
})

describe('the rest', () => {
  it('tells of the server without a token', async () => {
    const info = await api.ok('GET /v1/server')
    const { friendsMax } = api.settings
    expect(info).toMatchObject({ limits: { ...limits, friendsMax }, devicePolicy: 'many', channels: ['sms', 'email'] })
  })

  it('passes the sync through', async () => {
    expect(await api.ok('GET /v1/sync', { token: ada.token })).toEqual({ reset: true, rows: [], cursor: ada.userId })
    expect(await api.ok('GET /v1/sync?since=x.1.0', { token: ada.token })).toMatchObject({ reset: false })
  })

  it('lists notifications', async () => {
    const { groupId } = await api.ok('POST /v1/groups', {
      token: ada.token,
      body: { name: 'Group', inviteeConsent: 'none', memberIds: [bob.userId] },
    })
    const { position } = await api.ok(`POST /v1/groups/${groupId}/members/remove`, {
      token: ada.token,
      body: { userIds: [bob.userId] },
    })
    const { items } = await api.ok(`GET /v1/notifications?after=${position}`, { token: bob.token })
    expect(items[0]).toMatchObject({ kind: 'removedFromGroup', groupId, by: ada.userId })
  })

  it('has no route that works without a token, save those open to all', async () => {
    const { operations } = await import('../../api/operations.ts')
    for (const { method, path, callers, example } of operations) {
      if (callers.includes('anonymous')) continue
      const url = path.replace(/:([A-Za-z]+)/g, (_, name: string) => String(example.params?.[name]))
      for (const token of [undefined, 'x', `${ada.token}x`]) {
        const body = method === 'GET' ? undefined : (example.body ?? {})
        const answer = await api.ask(`${method} ${url}`, { token, ...(body === undefined ? undefined : { body }) })
        expect(answer, `${method} ${url}`).toMatchObject({ status: 401, body: { code: 'token.invalid' } })
      }
    }
  })
})
