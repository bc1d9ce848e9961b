// Owns what two people see when they write to each other: the reply, the frame, the row and the page are one message; the same
// message again is the same; who is blocked gets nowhere.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readModelsVersion } from '../../projections/schema.ts'
import { createApi, newMessageId } from '../support/device.ts'
import type { ServerFrame } from '../support/replica.ts'
import { between, type Player, type Scene, setScene } from '../support/scene.ts'
import { startTestService, type TestService } from '../support/service.ts'

const slowMsMax = 300_000
const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const position = /^[0-9a-f]{16}$/

let service: TestService
let scene: Scene

beforeAll(async () => {
  service = await startTestService()
  scene = await setScene(service)
}, slowMsMax)
afterAll(async () => {
  await service?.stop()
  expect(service?.failures).toEqual([])
}, slowMsMax)

const pair = async () => {
  const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
  const conversationId = between(ada, bob)
  const path = `/v1/conversations/${encodeURIComponent(conversationId)}`
  return { ada, bob, conversationId, path }
}

const textOf = (text: string, clientMessageId = newMessageId()) => ({ clientMessageId, type: 'text', body: { text } })

describe('a text', () => {
  test('is the same in the frame, in the list and in the history of both', async () => {
    const { ada, bob, conversationId, path } = await pair()
    const frames: ServerFrame[] = []
    const second = await service.connect(await service.signIn(bob.person, 'second'), { onFrame: f => frames.push(f) })
    bob.devices.push(second)
    const body = { ...textOf('Grüß Gott 👋'), ext: '{"mood":"good"}' }
    const sent = await service.api('POST', `${path}/messages`, { token: ada.token, body })
    expect(sent.status).toBe(201)
    const { seq, at, position: sentAt } = sent.body
    expect(sent.body).toEqual({
      seq: 1,
      at: expect.stringMatching(instant),
      position: expect.stringMatching(position),
    })
    const message = { conversationId, seq, from: ada.userId, ...body, at, countable: 1, position: sentAt }

    const isMessage = ({ op, collection }: ServerFrame) => op === 'put' && collection === 'messages'
    await second.waitFor(() => frames.some(isMessage), 'the message')
    const cursor = `${service.store.logId}.${readModelsVersion}.${sentAt}`
    expect(frames.find(isMessage)).toEqual({ op: 'put', collection: 'messages', cursor, value: message })

    await scene.quiet(ada, bob)
    const page = { items: [message], hasMoreBefore: false, hasMoreAfter: false }
    const row = {
      conversationId,
      kind: 'p2p',
      lastSeq: 1,
      readSeq: 0,
      clearedSeq: 0,
      pinnedAt: null,
      reminder: 'all',
      doNotDisturb: false,
      active: true,
      announcementPopup: 0,
      announcementSeen: 0,
      announcementAlert: false,
      lastMessage: message,
    }
    for (const [player, unread] of [
      [ada, 0],
      [bob, 1],
    ] as const) {
      expect(player.messages(conversationId)).toEqual([message])
      expect(await player.get(`${path}/messages`)).toEqual(page)
      expect(await player.do('listMessages', { conversationId })).toEqual(page)
      expect(player.row(conversationId)).toEqual({ ...row, unread })
      expect(await player.get(path)).toEqual({ ...row, unread })
      const list = await player.get('/v1/conversations')
      expect(list).toEqual({ items: [{ ...row, unread }], next: null, cursor: expect.any(String) })
    }
    expect(await scene.divergence(ada, bob)).toEqual([])
  })

  test(
    'that is sent again is the first one, over HTTP, as a frame, and after a restart',
    async () => {
      const { ada, bob, conversationId, path } = await pair()
      const args = { conversationId, ...textOf('once') }
      const first = await ada.do('sendMessage', args)
      const { conversationId: _, ...body } = args
      const again = await service.api('POST', `${path}/messages`, { token: ada.token, body })
      expect(again).toMatchObject({ status: 201, body: first })
      expect(await Promise.all([1, 2, 3].map(() => ada.do('sendMessage', args)))).toEqual([first, first, first])
      // The same id of another sender is another message.
      expect(await bob.do('sendMessage', args)).toMatchObject({ seq: 2 })
      await service.restart()
      expect((await service.api('POST', `${path}/messages`, { token: ada.token, body })).body).toEqual(first)
      const old = { ...textOf('no time in the id', 'my-own-key') }
      const ask = () => service.api('POST', `${path}/messages`, { token: ada.token, body: old })
      const firstOld = await ask()
      await service.restart()
      expect((await ask()).body).toEqual(firstOld.body)
      expect(await ada.history(conversationId)).toHaveLength(3)
    },
    slowMsMax,
  )

  test('under the id of another one is refused', async () => {
    const { ada, path } = await pair()
    const body = textOf('this')
    const ask = (changed: object) =>
      service.api('POST', `${path}/messages`, { token: ada.token, body: { ...body, ...changed } })
    expect((await ask({})).status).toBe(201)
    expect(await ask({ body: { text: 'that' } })).toMatchObject({ status: 409, body: { code: 'idempotency.mismatch' } })
    expect(await ask({ ext: 'more' })).toMatchObject({ status: 409, body: { code: 'idempotency.mismatch' } })
  })

  test('of many at once has a number of its own, in the order of its sender', async () => {
    const { ada, bob, conversationId } = await pair()
    const count = 60
    await Promise.all([ada.sayMuch(conversationId, count), bob.sayMuch(conversationId, count)])
    await scene.quiet(ada, bob)
    for (const player of [ada, bob]) {
      const messages = player.messages(conversationId)
      expect(messages.map(({ seq }) => seq)).toEqual(Array.from({ length: 2 * count }, (_, index) => index + 1))
      for (const { userId } of [ada, bob]) {
        const numbers = messages
          .filter(({ from }) => from === userId)
          .map(({ body }) => Number((body as { text: string }).text))
        expect(numbers).toEqual(Array.from({ length: count }, (_, index) => index))
      }
    }
    expect(await scene.divergence(ada, bob)).toEqual([])
  })

  test.each([
    ['to nobody', (me: string) => `p2p:${[me, 'nobody'].toSorted().join(':')}`, 404, 'user.not-found'],
    ['to oneself', (me: string) => `p2p:${me}:${me}`, 422, 'message.to-self'],
    ['with the ids in the wrong order', (me: string) => `p2p:zzz:${me}`, 404, 'conversation.not-found'],
    ['into a group that is not there', () => 'group:none', 404, 'conversation.not-found'],
    ['into what is no conversation', () => 'p2p:__proto__', 400, 'request.invalid'],
  ])('%s is refused', async (_what, idOf, status, code) => {
    const [ada] = (await scene.enter('ada')) as [Player]
    const head = await service.store.head()
    const path = `/v1/conversations/${encodeURIComponent(idOf(ada.userId))}/messages`
    const answer = await service.api('POST', path, { token: ada.token, body: textOf('hello') })
    expect(answer).toMatchObject({ status, body: { code, status } })
    const args = { conversationId: idOf(ada.userId), ...textOf('hello') }
    await expect(ada.do('sendMessage', args)).rejects.toMatchObject({ code, retryable: false })
    expect(await service.store.head()).toBe(head)
  })

  test.each([
    ['empty', { body: { text: '' } }, 'body.text'],
    ['too long', { body: { text: 'x'.repeat(5_001) } }, 'body.text'],
    ['half of a surrogate pair', { body: { text: '\ud800' } }, 'body.text'],
    ['with a field too many', { body: { text: 'x', html: '<b>' } }, 'body.html'],
    ['of another type', { type: 'notification' }, 'type'],
    ['from somebody else', { from: 'system' }, 'from'],
  ])('%s is refused by name of the field', async (_what, changed, path) => {
    const { ada, conversationId } = await pair()
    const args = { conversationId, ...textOf('hello'), ...changed }
    const refused = ada.do('sendMessage', args)
    await expect(refused).rejects.toMatchObject({ code: 'request.invalid', error: { errors: [{ path }] } })
  })

  test('made in the future is refused with the time of the server', async () => {
    const { ada, conversationId } = await pair()
    const args = { conversationId, ...textOf('from tomorrow') }
    service.pass(-60)
    try {
      await expect(ada.do('sendMessage', args)).rejects.toMatchObject({
        code: 'message.clock-ahead',
        error: { serverTime: expect.stringMatching(instant) },
      })
    } finally {
      service.pass(60)
    }
  })
})

describe('the block list', () => {
  test('keeps messages and invitations of the blocked away, one way only, until it is taken back', async () => {
    const { ada, bob, conversationId } = await pair()
    await ada.say(conversationId)
    const blocked = await service.api('PUT', `/v1/blocklist/${ada.userId}`, { token: bob.token })
    expect(blocked.body).toEqual({ position: expect.stringMatching(position) })
    await bob.device.whenPassed(blocked.body.position)
    const row = { userId: ada.userId, at: expect.stringMatching(instant) }
    expect([...(bob.device.replica.get('blocklist')?.values() ?? [])]).toEqual([row])
    await bob.readable(blocked.body.position)
    const list = await bob.get('/v1/blocklist')
    expect(list).toEqual({ items: [row], next: null, cursor: expect.any(String) })
    expect(await bob.get(`/v1/blocklist/check?ids=${ada.userId},${bob.userId}`)).toEqual({
      items: [
        { userId: ada.userId, blocked: true },
        { userId: bob.userId, blocked: false },
      ],
    })

    await expect(ada.say(conversationId)).rejects.toMatchObject({ code: 'message.blocked' })
    const made = await ada.do('createGroup', { name: 'A trap', inviteeConsent: 'none', memberIds: [bob.userId] })
    expect(made).toMatchObject({ added: [], failed: [{ userId: bob.userId, code: 'message.blocked' }] })
    expect(await bob.say(conversationId, 'I can still write')).toMatchObject({ seq: 2 })

    const cursor = bob.device.cursor
    const unblocked = await bob.do('unblockUser', { userId: ada.userId })
    await bob.device.whenPassed(unblocked.position)
    expect(bob.device.replica.get('blocklist')?.size).toBe(0)
    await bob.readable(unblocked.position)
    const since = await bob.get(`/v1/blocklist?since=${cursor}`)
    expect(since).toEqual({ items: [], removed: [ada.userId], cursor: expect.stringContaining(service.store.logId) })
    expect(await ada.say(conversationId)).toMatchObject({ seq: 3 })
    expect(await scene.divergence(ada, bob)).toEqual([])
  })

  test.each([
    ['oneself', (me: Player) => me.userId, 422, 'block.self'],
    ['nobody', () => 'nobody', 404, 'user.not-found'],
  ])('does not take %s', async (_whom, idOf, status, code) => {
    const [ada] = (await scene.enter('ada')) as [Player]
    const answer = await service.api('PUT', `/v1/blocklist/${idOf(ada)}`, { token: ada.token })
    expect(answer).toMatchObject({ status, body: { code } })
  })
})

describe('typing', () => {
  test('is told to the other one, is never stored, and not by who is blocked', async () => {
    const { ada, bob, conversationId } = await pair()
    const frames: ServerFrame[] = []
    const second = await service.connect(await service.signIn(bob.person, 'second'), { onFrame: f => frames.push(f) })
    bob.devices.push(second)
    await scene.quiet(ada, bob)
    const head = await service.store.head()
    const type = () => ada.device.sendFrame({ op: 'typing', args: { conversationId } })
    type()
    const isTyping = ({ op }: ServerFrame) => op === 'typing'
    await second.waitFor(() => frames.some(isTyping), 'that somebody types')
    expect(frames.filter(isTyping)).toEqual([{ op: 'typing', conversationId, from: ada.userId, expiresInSeconds: 6 }])
    expect(await service.store.head()).toBe(head)
    await bob.do('blockUser', { userId: ada.userId })
    type()
    // A reply on the same socket comes after the frame was looked at; a frame after that reaches the other one later.
    await ada.do('getUnread', {})
    await scene.quiet(ada, bob)
    expect(frames.filter(isTyping)).toHaveLength(1)
  })
})

test('the same key of a command does nothing twice, and says so of another command', async () => {
  const { ada, bob } = await pair()
  const api = createApi(service.httpUrl)
  const make = (name: string) =>
    api('POST', '/v1/groups', {
      token: ada.token,
      key: 'make-it',
      body: { name, inviteeConsent: 'none', memberIds: [bob.userId] },
    })
  const first = await make('Once')
  expect(first.status).toBe(201)
  expect((await make('Once')).body).toEqual(first.body)
  expect(await make('Twice')).toMatchObject({ status: 409, body: { code: 'idempotency.mismatch' } })
  await scene.quiet(ada)
  expect(ada.device.replica.get('groups')?.size).toBe(1)
})
