// Owns the tests of messages and conversations over HTTP: sending, paging, recalling, reading, clearing, one's own writes.

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

const hostile = ['$$', '..%2fx', '%00', '__proto__x/..', "'; drop table account; --", 'p2p:me:x', '%ED%A0%80']

describe('messages', () => {
  it('are sent, paged through, and read back at once', async () => {
    const conversation = p2p(ada, bob)
    const replies = []
    for (const text of ['one', 'two', 'three', 'four']) replies.push(await send(ada, conversation, text))
    const last = replies.at(-1)
    const { seq } = last
    const page = (query: string, user = bob) =>
      api.ok(`GET /v1/conversations/${conversation}/messages?${query}&after=${last.position}`, { token: user.token })
    const newest = await page('limit=2')
    expect(newest.items.map((message: { body: { text: string } }) => message.body.text)).toEqual(['three', 'four'])
    expect(newest).toMatchObject({ hasMoreBefore: true, hasMoreAfter: false })
    expect(newest.items[1]).toMatchObject({ seq, from: ada.userId, position: last.position })
    const before = await page(`before=${seq - 1}&limit=1`)
    expect(before.items[0].body.text).toBe('two')
    const after = await api.ok(`GET /v1/conversations/${conversation}/messages?after=${seq - 1}`, { token: bob.token })
    expect(after.items.map((message: { seq: number }) => message.seq)).toEqual([seq])
    const fromThen = await page(`at=${encodeURIComponent(replies[1].at)}&limit=1`)
    expect(fromThen.items[0].at >= replies[1].at).toBe(true)
  })

  it('repeated under their id are sent once', async () => {
    const conversation = p2p(ada, bob)
    const first = await send(ada, conversation, 'once', 'same-id')
    expect(await send(ada, conversation, 'once', 'same-id')).toEqual(first)
    await api.refused('idempotency.mismatch', `POST /v1/conversations/${conversation}/messages`, {
      token: ada.token,
      body: textOf('other', 'same-id'),
    })
    expect((await send(bob, conversation, 'once', 'same-id')).seq).toBe(first.seq + 1)
  })

  it.each([
    [{}, ['type']],
    [{ ...textOf('x'), type: 'notification' }, ['type']],
    [{ ...textOf('x'), type: 'notification', body: { event: 'groupDissolved' } }, ['type']],
    [{ ...textOf('x'), from: 'somebody' }, ['from']],
    [{ ...textOf('x'), seq: 1 }, ['seq']],
    [{ ...textOf('x'), at: '2020-01-01T00:00:00.000Z' }, ['at']],
    [{ ...textOf('x'), countable: 0 }, ['countable']],
    [textOf(''), ['body.text']],
    [textOf('x'.repeat(limits.textCharactersMax + 1)), ['body.text']],
    [textOf('\ud83d'), ['body.text']],
    [textOf('a\0b'), ['body.text']],
    [{ ...textOf('x'), body: 'x' }, ['body']],
    [{ ...textOf('x'), body: { text: 'x', html: '<b>' } }, ['body.html']],
    [{ ...textOf('x'), body: { text: { $ne: null } } }, ['body.text']],
    [{ ...textOf('x'), ext: 'e'.repeat(limits.extCharactersMax + 1) }, ['ext']],
    [{ ...textOf('x'), ext: { a: 1 } }, ['ext']],
    [textOf('x', 'i'.repeat(65)), ['clientMessageId']],
    [textOf('x', 'with space'), ['clientMessageId']],
    [textOf('x', ''), ['clientMessageId']],
  ])('are not made from %j', async (body, paths) => {
    const refusal = await api.refused('request.invalid', `POST /v1/conversations/${p2p(ada, bob)}/messages`, {
      token: ada.token,
      body,
    })
    expect(refusal.errors.map((error: { path: string }) => error.path)).toEqual(paths)
  })

  it('hold every text that can be stored, as it was', async () => {
    const conversation = p2p(ada, bob)
    for (const text of [
      '  e\u0301 ',
      '😀'.repeat(limits.textCharactersMax),
      '\\u0000 "quoted" \\ \n\t\u2028',
      '<script>',
      '\\N\\.\r',
    ]) {
      const { seq, position } = await send(ada, conversation, text)
      const { items } = await api.ok(
        `GET /v1/conversations/${conversation}/messages?before=${seq + 1}&limit=1&after=${position}`,
        {
          token: bob.token,
        },
      )
      expect(items[0].body.text).toBe(text)
    }
  })

  it('go to nobody, to oneself, to strangers’ conversations: not at all', async () => {
    const post = (code: string, id: string) =>
      api.refused(code, `POST /v1/conversations/${id}/messages`, { token: ada.token, body: textOf('x') })
    const pair = (other: string) => `p2p:${[ada.userId, other].sort().join(':')}`
    await post('user.not-found', pair('nobody'))
    await post('message.to-self', `p2p:${ada.userId}:${ada.userId}`)
    await post('conversation.not-found', `p2p:${bob.userId}:${bob.userId}`)
    await post('conversation.not-found', p2p(bob, eve))
    await post(
      'conversation.not-found',
      p2p(ada, bob)
        .split(':')
        .toReversed()
        .slice(0, 2)
        .reduce((ids, id) => `${ids}:${id}`, 'p2p'),
    )
    for (const id of hostile) {
      const { status } = await api.ask(`POST /v1/conversations/${encodeURI(id)}/messages`, {
        token: ada.token,
        body: textOf('x'),
      })
      expect([400, 404, 405], id).toContain(status)
    }
  })

  it('that are ahead of the server’s clock are refused with its time', async () => {
    const ahead = (Date.now() + 3_600_000).toString(16).padStart(12, '0')
    const id = `${ahead.slice(0, 8)}-${ahead.slice(8)}-7a31-8c55-2f1e9b6d4a07`
    const refusal = await api.refused('message.clock-ahead', `POST /v1/conversations/${p2p(ada, bob)}/messages`, {
      token: ada.token,
      body: textOf('x', id),
    })
    expect(refusal.serverTime).toEqual(expect.any(String))
  })

  it('are recalled by their sender, at once and once, and leave a tombstone', async () => {
    const conversation = p2p(ada, bob)
    const { seq } = await send(ada, conversation, 'a secret')
    const route = `POST /v1/conversations/${conversation}/messages/${seq}/recall`
    await api.refused('message.not-sender', route, { token: bob.token, body: {} })
    await api.refused('message.not-found', route, { token: eve.token, body: {} })
    const { position } = await api.ok(route, { token: ada.token, body: { reason: 'oops' }, key: 'r1' })
    expect(await api.ok(route, { token: ada.token, body: { reason: 'oops' }, key: 'r1' })).toEqual({ position })
    const { items } = await api.ok(
      `GET /v1/conversations/${conversation}/messages?before=${seq + 1}&limit=1&after=${position}`,
      {
        token: bob.token,
      },
    )
    expect(items[0]).toMatchObject({ seq, body: {}, recalled: { by: ada.userId, reason: 'oops' } })
    expect(JSON.stringify(items)).not.toContain('a secret')
    const late = await send(ada, conversation, 'too late')
    api.clock.pass(limits.recallWindowSeconds + 1)
    await api.refused('message.recall-too-late', `POST /v1/conversations/${conversation}/messages/${late.seq}/recall`, {
      token: ada.token,
      body: {},
    })
    await api.refused('message.not-found', `POST /v1/conversations/${conversation}/messages/999999/recall`, {
      token: ada.token,
      body: {},
    })
    for (const bad of ['0', '-1', 'x', '1.5', '99999999999999999999']) {
      await api.refused('request.invalid', `POST /v1/conversations/${conversation}/messages/${bad}/recall`, {
        token: ada.token,
        body: {},
      })
    }
  })

  it.each([
    'before=0',
    'before=x',
    'after=-1',
    'at=yesterday',
    'at=2026-13-01T00:00:00Z',
    'before=5&after=3',
    'before=5&at=2026-01-01T00:00:00Z',
    'limit=101',
    'order=desc',
    'before=1&before=2',
  ])('are not paged by ?%s', async query => {
    await api.refused('request.invalid', `GET /v1/conversations/${p2p(ada, bob)}/messages?${query}`, {
      token: ada.token,
    })
  })
})

describe('conversations', () => {
  it('open with the first message, for both', async () => {
    const [one, other] = (await Promise.all([api.user('first.one'), api.user('first.other')])) as [TestUser, TestUser]
    const id = p2p(one, other)
    expect((await api.ok('GET /v1/conversations', { token: one.token })).items).toEqual([])
    for (const [route, body] of [
      [`GET /v1/conversations/${id}`],
      [`GET /v1/conversations/${id}/messages`],
      [`POST /v1/conversations/${id}/read`, { seq: 1 }],
      [`PATCH /v1/conversations/${id}`, { pinned: true }],
      [`DELETE /v1/conversations/${id}`],
    ] as const) {
      await api.refused('conversation.not-found', route, { token: one.token, ...(body && { body }) })
    }
    const { position } = await send(one, id, 'hello')
    const row = await api.ok(`GET /v1/conversations/${id}?after=${position}`, { token: other.token })
    expect(row).toMatchObject({
      kind: 'p2p',
      lastSeq: 1,
      unread: 1,
      readSeq: 0,
      active: true,
      lastMessage: { body: { text: 'hello' } },
    })
    expect((await api.ok('GET /v1/conversations?unread=true', { token: other.token })).items).toEqual([row])
    expect((await api.ok('GET /v1/conversations?unread=true', { token: one.token })).items).toEqual([])
  })

  it('are read, counted, pinned, cleared and deleted for oneself only', async () => {
    const [me, peer] = (await Promise.all([api.user('reader.me'), api.user('reader.peer')])) as [TestUser, TestUser]
    const id = p2p(me, peer)
    const at = (position: string) => api.ok(`GET /v1/conversations/${id}?after=${position}`, { token: me.token })
    const unread = () => api.ok('GET /v1/unread', { token: me.token })
    for (const text of ['one', 'two', 'three']) await send(peer, id, text)
    const read = await api.ok(`POST /v1/conversations/${id}/read`, { token: me.token, body: { seq: 2 } })
    expect(await at(read.position)).toMatchObject({ unread: 1, readSeq: 2 })
    expect(await unread()).toEqual({ total: 1, byKind: { p2p: 1, group: 0 }, conversations: 1 })
    const back = await api.ok(`POST /v1/conversations/${id}/read`, { token: me.token, body: { seq: 1 } })
    expect(await at(back.position)).toMatchObject({ unread: 1, readSeq: 2 })
    const all = await api.ok('POST /v1/conversations/read-all', { token: me.token, body: {} })
    expect(all).toMatchObject({ read: 1, more: false })
    expect(await at(all.position)).toMatchObject({ unread: 0, readSeq: 3 })
    expect(await api.ok('POST /v1/conversations/read-all', { token: me.token })).toMatchObject({ read: 0, more: false })
    const pinned = await api.ok(`PATCH /v1/conversations/${id}`, { token: me.token, body: { pinned: true } })
    expect((await at(pinned.position)).pinnedAt).toEqual(expect.any(String))
    const unpinned = await api.ok(`PATCH /v1/conversations/${id}`, { token: me.token, body: { pinned: false } })
    expect((await at(unpinned.position)).pinnedAt).toBeNull()
    const cleared = await api.ok('POST /v1/conversations/clear', {
      token: me.token,
      body: { conversationIds: [id, id, 'group:nowhere'], what: 'all' },
    })
    expect(cleared.failed).toEqual([{ conversationId: 'group:nowhere', code: 'conversation.not-found' }])
    expect(await at(cleared.position)).toMatchObject({ clearedSeq: 3, lastMessage: null })
    const history = (user: TestUser) => api.ok(`GET /v1/conversations/${id}/messages`, { token: user.token })
    expect((await history(me)).items).toEqual([])
    expect((await history(peer)).items).toHaveLength(3)
    const deleted = await api.ok(`DELETE /v1/conversations/${id}?messages=true`, { token: me.token })
    expect((await api.ok(`GET /v1/conversations?after=${deleted.position}`, { token: me.token })).items).toEqual([])
    const { position } = await send(peer, id, 'back again')
    expect((await api.ok(`GET /v1/conversations?after=${position}`, { token: me.token })).items).toHaveLength(1)
  })

  it('come in pages and in changes', async () => {
    const [me, ...peers] = (await Promise.all(['pager', 'peer.a', 'peer.b', 'peer.c'].map(name => api.user(name)))) as [
      TestUser,
      ...TestUser[],
    ]
    let position = ''
    for (const peer of peers) ({ position } = await send(peer, p2p(me, peer), 'hi'))
    const pages: string[] = []
    let query = `limit=1&after=${position}`
    for (;;) {
      const { items, next } = await api.ok(`GET /v1/conversations?${query}`, { token: me.token })
      pages.push(...items.map((item: { conversationId: string }) => item.conversationId))
      if (next === null) break
      query = `limit=1&cursor=${next}`
    }
    expect(pages).toEqual(peers.map(peer => p2p(me, peer)).toReversed())
    const cursor = `${api.node.store.logId}.1.${position}`
    const last = peers[2] as TestUser
    const changes = await api.ok(`GET /v1/conversations?since=${cursor}`, { token: me.token })
    expect(changes.items.map((item: { conversationId: string }) => item.conversationId)).toEqual([p2p(me, last)])
    const gone = await api.ok(`DELETE /v1/conversations/${p2p(me, last)}`, { token: me.token })
    expect(
      await api.ok(`GET /v1/conversations?since=${changes.cursor}&after=${gone.position}`, { token: me.token }),
    ).toMatchObject({
      items: [],
      removed: [p2p(me, last)],
    })
    await api.refused('request.invalid', `GET /v1/conversations?since=${cursor}&unread=true`, { token: me.token })
  })

  it.each([
    ['PATCH', '', {}],
    ['PATCH', '', { pinned: 'yes' }],
    ['PATCH', '', { pinned: true, owner: 'me' }],
    ['POST', '/read', { seq: '1' }],
    ['POST', '/read', { seq: -1 }],
    ['POST', '/read', { seq: 1.5 }],
    ['POST', '/read', { seq: 1e300 }],
    ['POST', '/read', {}],
  ])('refuse %s %s %j', async (method, path, body) => {
    await api.refused('request.invalid', `${method} /v1/conversations/${p2p(ada, bob)}${path}`, {
      token: ada.token,
      body,
    })
  })
})
