// Owns what one user sees of conversations over HTTP: the list with its filters and order, pages of history both ways and from
// a time on, counters, and what changed since a cursor.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { messageTypes } from '../../domain/conversation/message-types.ts'
import { limits } from '../../domain/limits.ts'
import type { Row } from '../support/replica.ts'
import { between, type Player, type Scene, setScene } from '../support/scene.ts'
import { startTestService, type TestService } from '../support/service.ts'

const slowMsMax = 300_000

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

const idsOf = (rows: readonly Row[]) => rows.map(({ conversationId }) => conversationId)
const seqsOf = (rows: readonly Row[]) => rows.map(({ seq }) => seq)
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)
const pathOf = (conversationId: string) => `/v1/conversations/${encodeURIComponent(conversationId)}`

/** Ada with three conversations, the oldest first: bob's, cyd's, and a group of all. */
const adaWithThree = async () => {
  const [ada, bob, cyd] = (await scene.enter('ada', 'bob', 'cyd')) as [Player, Player, Player]
  const [withBob, withCyd] = [between(ada, bob), between(ada, cyd)]
  await bob.sayMuch(withBob, 2)
  await cyd.sayMuch(withCyd, 1)
  const { conversationId: inGroup } = await scene.group(ada, bob, cyd)
  await scene.quiet(ada, bob, cyd)
  return { ada, bob, cyd, withBob, withCyd, inGroup }
}

describe('the list of conversations', () => {
  test('has pinned ones first, then the newest, and moves with what comes', async () => {
    const { ada, bob, withBob, withCyd, inGroup } = await adaWithThree()
    const list = async () => idsOf((await ada.get('/v1/conversations')).items)
    expect(await list()).toEqual([inGroup, withCyd, withBob])
    await bob.say(withBob)
    await scene.quiet(ada, bob)
    expect(await list()).toEqual([withBob, inGroup, withCyd])
    const pinned = await service.api('PATCH', pathOf(withCyd), { token: ada.token, body: { pinned: true } })
    await ada.readable(pinned.body.position)
    expect(await list()).toEqual([withCyd, withBob, inGroup])
    await ada.do('updateConversation', { conversationId: withCyd, pinned: false })
    await scene.quiet(ada)
    expect(await list()).toEqual([withBob, inGroup, withCyd])
    expect(await scene.divergence(ada)).toEqual([])
  })

  test('can be asked for what is unread, pinned, or of a kind', async () => {
    const { ada, withBob, withCyd, inGroup } = await adaWithThree()
    await ada.do('markRead', { conversationId: withCyd, seq: 1 })
    await ada.do('updateConversation', { conversationId: withBob, pinned: true })
    await scene.quiet(ada)
    const list = async (query: string) => idsOf((await ada.get(`/v1/conversations?${query}`)).items)
    expect(await list('unread=true')).toEqual([withBob])
    expect(await list('unread=false')).toEqual([inGroup, withCyd])
    expect(await list('pinned=true')).toEqual([withBob])
    expect(await list('kind=group')).toEqual([inGroup])
    expect(await list('kind=p2p&unread=false')).toEqual([withCyd])
    expect(await ada.get('/v1/unread')).toEqual({ total: 2, byKind: { p2p: 2, group: 0 }, conversations: 1 })
  })

  test('comes in pages that neither repeat nor lose one', async () => {
    const { ada, withBob, withCyd, inGroup } = await adaWithThree()
    const first = await ada.get('/v1/conversations?limit=2')
    expect(idsOf(first.items)).toEqual([inGroup, withCyd])
    await ada.say(inGroup)
    await scene.quiet(ada)
    const second = await ada.get(`/v1/conversations?limit=2&cursor=${encodeURIComponent(first.next)}`)
    expect(second).toMatchObject({ items: [{ conversationId: withBob }], next: null })
  })

  test('tells what changed since a cursor, and what is gone', async () => {
    const { ada, bob, withBob, withCyd } = await adaWithThree()
    const { cursor } = ada.device
    await bob.say(withBob)
    await ada.do('deleteConversation', { conversationId: withCyd })
    await scene.quiet(ada, bob)
    const changed = await ada.get(`/v1/conversations?since=${cursor}`)
    expect(changed).toEqual({
      items: [expect.objectContaining({ conversationId: withBob, lastSeq: 3, unread: 3 })],
      removed: [withCyd],
      cursor: expect.any(String),
    })
    expect(await ada.get(`/v1/conversations?since=${changed.cursor}`)).toMatchObject({ removed: [] })
  })

  test.each([
    ['of another log', 'another.1.0000000000000001', 410, 'sync.too-old'],
    ['beyond the end', 'LOG.1.ffffffffffffffff', 410, 'sync.too-old'],
    ['that is none', 'x', 410, 'sync.too-old'],
    ['with what no cursor has', '%00', 400, 'request.invalid'],
  ])('since a cursor %s has to be fetched whole', async (_what, cursor, status, code) => {
    const ada = await service.person('ada')
    const since = cursor.replace('LOG', service.store.logId)
    const answer = await service.api('GET', `/v1/conversations?since=${since}`, { token: ada.token })
    expect(answer).toMatchObject({ status, body: { code } })
  })
})

describe('the history', () => {
  test('comes ascending, in pages before and after a message, with what lies beyond', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const conversationId = between(ada, bob)
    await ada.sayMuch(conversationId, 30)
    await scene.quiet(ada, bob)
    const page = (query: string) => bob.get(`${pathOf(conversationId)}/messages?${query}`)
    const told = async (query: string) => {
      const { items, hasMoreBefore, hasMoreAfter } = await page(query)
      return [seqsOf(items), hasMoreBefore, hasMoreAfter]
    }
    expect(await told('limit=10')).toEqual([range(21, 30), true, false])
    expect(await told('before=21&limit=10')).toEqual([range(11, 20), true, true])
    expect(await told('before=11&limit=10')).toEqual([range(1, 10), false, true])
    expect(await told('before=1&limit=10')).toEqual([[], false, true])
    expect(await told('after=0&limit=10')).toEqual([range(1, 10), false, true])
    expect(await told('after=20&limit=10')).toEqual([range(21, 30), true, false])
    expect(await told('after=30&limit=10')).toEqual([[], true, false])
    expect(await told('before=1000&limit=2')).toEqual([[29, 30], true, false])
    expect(await told('')).toEqual([range(1, 30), false, false])
    const { items } = await page('after=14&limit=1')
    expect(await told(`at=${items[0].at}&limit=100`)).toEqual([
      expect.arrayContaining([15, 30]),
      expect.anything(),
      false,
    ])
    expect(await told('at=2020-01-01T00:00:00Z&limit=1')).toEqual([[1], false, true])
    expect(await told('at=2120-01-01T00:00:00Z&limit=1')).toEqual([[], true, false])
  })

  test('comes by type, both ways, over HTTP and as a frame, with what lies beyond of these types', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const { conversationId, groupId } = await scene.group(ada, bob)
    const rename = async (name: string) => {
      await service.api('PATCH', `/v1/groups/${groupId}`, { token: ada.token, body: { name } })
      await scene.quiet(ada, bob)
    }
    for (const name of ['One', 'Two', 'Three']) {
      await ada.sayMuch(conversationId, 2)
      await rename(name)
    }
    await ada.do('recallMessage', { conversationId, seq: bob.messages(conversationId).at(-2)?.seq })
    await scene.quiet(ada, bob)
    const path = `${pathOf(conversationId)}/messages`
    const { items } = await bob.get(path)
    const [texts, notices] = ['text', 'notification'].map(type => items.filter((item: Row) => item.type === type))
    expect([texts.length, notices.length]).toEqual([6, items.length - 6])
    expect(texts[5]).toMatchObject({ body: {}, recalled: { by: ada.userId } })
    const both = async (query: string, args: object) => {
      const page = await bob.get(`${path}?${query}`)
      expect(await bob.do('listMessages', { conversationId, ...args })).toEqual(page)
      return page
    }
    expect(await both('types=text', { types: ['text'] })).toEqual({
      items: texts,
      hasMoreBefore: false,
      hasMoreAfter: false,
    })
    expect(await both('types=text&limit=2', { types: ['text'], limit: 2 })).toEqual({
      items: texts.slice(4),
      hasMoreBefore: true,
      hasMoreAfter: false,
    })
    expect(await both('types=text&limit=2&after=0', { types: ['text'], limit: 2, after: 0 })).toEqual({
      items: texts.slice(0, 2),
      hasMoreBefore: false,
      hasMoreAfter: true,
    })
    const before = notices.at(-1).seq
    expect(
      await both(`types=notification&limit=1&before=${before}`, { types: ['notification'], limit: 1, before }),
    ).toEqual({
      items: notices.slice(-2, -1),
      hasMoreBefore: true,
      hasMoreAfter: true,
    })
    const at = notices[0].at
    expect(await both(`types=text,image&at=${at}`, { types: ['text', 'image'], at })).toMatchObject({
      items: texts.filter((item: Row) => String(item.at) >= at),
      hasMoreAfter: false,
    })
    expect(await bob.get(`${path}?types=text&types=notification`)).toEqual(await bob.get(path))
    const wrong = await service.api('GET', `${path}?types=text,photo`, { token: bob.token })
    expect(wrong).toMatchObject({ status: 400, body: { code: 'request.invalid' } })
    expect(wrong.body.errors).toEqual([{ path: 'types.1', message: `must be one of ${messageTypes.join(', ')}` }])
    expect((await service.api('GET', `${path}?types=`, { token: bob.token })).status).toBe(400)
  })

  test('has recalled ones as what is left of them, at their place', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const conversationId = between(ada, bob)
    await ada.sayMuch(conversationId, 3)
    const path = `${pathOf(conversationId)}/messages/2/recall`
    const recalled = await service.api('POST', path, { token: ada.token, body: { reason: 'a slip' } })
    expect(recalled.body).toEqual({ position: expect.any(String) })
    // Once more is what was asked for; another one's message is not one's own to recall.
    expect((await service.api('POST', path, { token: ada.token, body: {} })).status).toBe(200)
    expect(
      await service.api('POST', `${pathOf(conversationId)}/messages/1/recall`, { token: bob.token, body: {} }),
    ).toMatchObject({ status: 403, body: { code: 'message.not-sender' } })
    await scene.quiet(ada, bob)
    const history = await bob.history(conversationId)
    expect(seqsOf(history)).toEqual([1, 2, 3])
    const { clientMessageId, at, position } = ada.messages(conversationId)[1] as Row
    expect(history[1]).toEqual({
      conversationId,
      seq: 2,
      from: ada.userId,
      clientMessageId,
      type: 'text',
      body: {},
      at,
      countable: 2,
      counts: true,
      recalled: { at: expect.any(String), by: ada.userId, reason: 'a slip' },
      position,
    })
  })

  test('lets the sender recall for two minutes, the owner of a group at any time', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const { conversationId } = await scene.group(ada, bob)
    const [seq] = (await bob.sayMuch(conversationId, 1)) as [number]
    await scene.quiet(ada, bob)
    service.pass(limits.recallWindowSeconds + 1)
    await expect(bob.do('recallMessage', { conversationId, seq })).rejects.toMatchObject({
      code: 'message.recall-too-late',
    })
    await ada.do('recallMessage', { conversationId, seq })
    expect(await scene.divergence(ada, bob)).toEqual([])
    expect(bob.messages(conversationId).at(-1)).toMatchObject({ seq, body: {}, recalled: { by: ada.userId } })
    await expect(ada.do('recallMessage', { conversationId, seq: 1 })).rejects.toMatchObject({
      code: 'message.not-recallable',
    })
  })

  test.each([
    ['limit=-1', 'limit'],
    ['limit=0', 'limit'],
    ['limit=101', 'limit'],
    ['limit=ten', 'limit'],
    ['before=0', 'before'],
    ['before=2&after=1', 'before'],
    ['at=yesterday', 'at'],
    ['from=system', 'from'],
  ])('asked for with %s is refused by the name of the field', async (query, path) => {
    const ada = await service.person('ada')
    const answer = await service.api('GET', `${pathOf('group:any')}/messages?${query}`, { token: ada.token })
    expect(answer).toMatchObject({ status: 400, body: { code: 'request.invalid', errors: [{ path }] } })
  })
})

describe('clearing many', () => {
  test('clears those that are there, and names those that are not', async () => {
    const { ada, withBob, withCyd } = await adaWithThree()
    const body = { conversationIds: [withBob, 'group:none', withCyd], what: 'all' }
    const cleared = await service.api('POST', '/v1/conversations/clear', { token: ada.token, body })
    expect(cleared.body).toEqual({
      failed: [{ conversationId: 'group:none', code: 'conversation.not-found' }],
      position: expect.any(String),
    })
    await scene.quiet(ada)
    for (const id of [withBob, withCyd]) {
      expect(await ada.get(pathOf(id))).toMatchObject({ unread: 0, lastMessage: null })
      expect((await ada.get(`${pathOf(id)}/messages`)).items).toEqual([])
    }
    expect(await scene.divergence(ada)).toEqual([])
  })
})

test('what was just written is read back with its position, or the answer says that it is not there yet', async () => {
  const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
  const conversationId = between(ada, bob)
  for (let seq = 1; seq <= 5; seq++) {
    const { position } = await ada.say(conversationId)
    const path = `${pathOf(conversationId)}?after=${position}`
    const answer = await service.api('GET', path, { token: bob.token })
    if (answer.status === 200) expect(answer.body).toMatchObject({ lastSeq: seq, unread: seq })
    else expect(answer).toMatchObject({ status: 503, body: { code: 'projection.behind' } })
  }
  const never = await service.api('GET', '/v1/unread?after=ffffffffffffffff', { token: ada.token })
  expect(never).toMatchObject({ status: 503, body: { code: 'projection.behind', retryable: true } })
  expect(Number(never.headers.get('retry-after'))).toBeGreaterThan(0)
})
