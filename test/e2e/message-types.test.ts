// Messages of every type (R59–R67), in P2P and in groups: what was sent is what the frame, the list, the history and a fresh sync
// show; tips do not count as unread; a recall takes the content and leaves the type.

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { MessageContent } from '../../domain/conversation/bodies.ts'
import { newMessageId } from '../support/device.ts'
import { anyContent, sampleOf, sentTypes } from '../support/message-samples.ts'
import { quietTypes } from '../support/replica.ts'
import { between, type Player, type Scene, setScene } from '../support/scene.ts'
import { startTestService, type TestService } from '../support/service.ts'

const slowMsMax = 300_000

let service: TestService
let scene: Scene
let ada: Player
let bob: Player
beforeAll(async () => {
  service = await startTestService()
  scene = await setScene(service)
  ;[ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
}, slowMsMax)
afterAll(async () => {
  await service?.stop()
  expect(service?.failures).toEqual([])
}, slowMsMax)

const pathOf = (conversationId: string) => `/v1/conversations/${encodeURIComponent(conversationId)}`

const post = (conversationId: string, content: object, clientMessageId = newMessageId()) =>
  service.api('POST', `${pathOf(conversationId)}/messages`, { token: ada.token, body: { clientMessageId, ...content } })

/** What a message says, as text: no key of it may get lost or another place. */
const saidIn = ({ type, subType, body, ext }: Record<string, unknown>): string =>
  JSON.stringify({ type, subType, body, ext })

/** What everybody holds and reads of a conversation, once all of it is there. */
const toldOf = async (conversationId: string): Promise<Record<string, readonly string[]>> => {
  await scene.quiet(ada, bob)
  const fresh = await service.connect(bob.spare)
  const told = {
    sender: ada.messages(conversationId),
    receiver: bob.messages(conversationId),
    history: await bob.history(conversationId),
    sync: fresh.state.messagesOf(conversationId),
  }
  await fresh.close()
  return Object.fromEntries(Object.entries(told).map(([where, messages]) => [where, messages.map(saidIn)]))
}

describe.each(['p2p', 'group'] as const)('a message in a %s conversation', kind => {
  const conversation = async () => (kind === 'p2p' ? between(ada, bob) : (await scene.group(ada, bob)).conversationId)

  test(
    'of any type is what was sent, over HTTP and as a frame, wherever it is shown',
    async () => {
      const conversationId = await conversation()
      const before = bob.messages(conversationId).map(saidIn)
      const unreadBefore = Number(bob.row(conversationId)?.unread ?? 0)
      const contents = sentTypes.flatMap(type => [sampleOf(type, 'by HTTP'), sampleOf(type, 'by frame')])
      for (const [index, content] of contents.entries()) {
        if (index % 2 === 0) expect(await post(conversationId, content)).toMatchObject({ status: 201 })
        else await ada.do('sendMessage', { conversationId, clientMessageId: newMessageId(), ...content })
        const counted = contents.slice(0, index + 1).filter(({ type }) => !quietTypes.has(type)).length
        await scene.quiet(ada, bob)
        for (const row of [bob.row(conversationId), await bob.get(pathOf(conversationId))]) {
          expect(saidIn(row?.lastMessage), content.type).toBe(saidIn({ ...content }))
          expect(row?.unread, content.type).toBe(unreadBefore + counted)
        }
      }
      const expected = [...before, ...contents.map(content => saidIn({ ...content }))]
      expect(await toldOf(conversationId)).toEqual({
        sender: expected,
        receiver: expected,
        history: expected,
        sync: expected,
      })
      expect(await scene.divergence(ada, bob)).toEqual([])
    },
    slowMsMax,
  )
})

test(
  'whatever a valid message holds comes back as it was, to the byte',
  async () => {
    const contents = fc.sample(fc.oneof(...sentTypes.map(anyContent)), 80)
    const { conversationId } = await scene.group(ada, bob)
    const before = bob.messages(conversationId).map(saidIn)
    for (const content of contents) {
      const answer = await post(conversationId, content)
      expect(answer.status, `${JSON.stringify(content)} ${JSON.stringify(answer.body)}`).toBe(201)
    }
    const expected = [...before, ...contents.map(content => saidIn(JSON.parse(JSON.stringify(content))))]
    const told = await toldOf(conversationId)
    for (const [where, messages] of Object.entries(told)) expect(messages, where).toEqual(expected)
    expect(await scene.divergence(ada, bob)).toEqual([])
  },
  slowMsMax,
)

describe('a repeat', () => {
  const image = sampleOf('image', '')
  const custom = sampleOf('custom', '')

  test.each<[string, MessageContent, object]>([
    ['of another type', sampleOf('text', 'the same words'), sampleOf('tip', 'the same words')],
    ['of another subType', { ...image, subType: 1 } as MessageContent, { ...image, subType: 2 }],
    ['with a subType', sampleOf('text', 'words'), { ...sampleOf('text', 'words'), subType: 1 }],
    ['with another body', image, { ...image, body: { ...image.body, width: 5 } }],
    ['with a field more deep in its body', custom, { ...custom, body: { ...custom.body, a: [{ b: 1 }] } }],
    ['with an ext', custom, { ...custom, ext: 'more' }],
  ])('%s is another message under the same key', async (_what, content, other) => {
    const conversationId = between(ada, bob)
    const key = newMessageId()
    const first = await post(conversationId, content, key)
    expect(first.status).toBe(201)
    expect(await post(conversationId, other, key)).toMatchObject({
      status: 409,
      body: { code: 'idempotency.mismatch' },
    })
    expect(await post(conversationId, content, key)).toMatchObject({ status: 201, body: first.body })
  })

  test(
    'is the first one also after a restart, and when memory does not know it any more',
    async () => {
      const conversationId = between(ada, bob)
      const sent = []
      for (const type of sentTypes) {
        // A key without a time in it is looked up in the read models once memory has lost it.
        for (const key of [newMessageId(), `${type}-without-a-time`]) {
          const content = sampleOf(type, 'once')
          sent.push({ key, content, answer: await post(conversationId, content, key) })
        }
      }
      await service.restart()
      for (const { key, content, answer } of sent) {
        expect(answer.status).toBe(201)
        expect(await post(conversationId, content, key), content.type).toMatchObject({ status: 201, body: answer.body })
        const other = { ...content, subType: 99 }
        expect((await post(conversationId, other, key)).body.code, content.type).toBe('idempotency.mismatch')
      }
      ;[ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    },
    slowMsMax,
  )
})

test('a recall takes what was said of every type, and leaves its type', async () => {
  const { conversationId } = await scene.group(ada, bob)
  for (const type of sentTypes) {
    const content = { ...sampleOf(type, 'a secret'), subType: 3, ext: 'of the app' }
    const { seq, position } = (await post(conversationId, content)).body
    await bob.device.whenPassed(position)
    await ada.do('recallMessage', { conversationId, seq })
    await scene.quiet(ada, bob)
    const tombstone = { seq, type, subType: 3, body: {}, ext: null, counts: !quietTypes.has(type) }
    const { items } = await bob.get(`${pathOf(conversationId)}/messages?after=${seq - 1}`)
    for (const row of [bob.messages(conversationId).at(-1), items.at(-1), bob.row(conversationId)?.lastMessage]) {
      expect(row).toMatchObject({ ...tombstone, recalled: { by: ada.userId } })
    }
    expect(bob.row(conversationId)?.unread).toBe(0)
  }
  expect(await scene.divergence(ada, bob)).toEqual([])
})

test('a notification is the server’s alone, in a frame as over HTTP', async () => {
  const conversationId = between(ada, bob)
  const content = { type: 'notification', body: { event: 'groupDissolved', by: ada.userId } }
  const head = await service.store.head()
  expect(await post(conversationId, content)).toMatchObject({ status: 400, body: { errors: [{ path: 'type' }] } })
  const args = { conversationId, clientMessageId: newMessageId(), ...content }
  await expect(ada.do('sendMessage', args)).rejects.toMatchObject({
    code: 'request.invalid',
    error: { errors: [{ path: 'type' }] },
  })
  expect(await service.store.head()).toBe(head)
})
