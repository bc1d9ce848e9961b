// Owns how a device comes, stays and comes back: what the hello answers, whole and partial syncs in their order, resuming from
// memory or from the read models, and every way in which a socket ends.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readModelsVersion } from '../../projections/schema.ts'
import { connectDevice } from '../support/device.ts'
import { whenReadable } from '../support/quiet.ts'
import { encodeFrame, openRawSocket, type RawSocket } from '../support/raw-socket.ts'
import type { ServerFrame } from '../support/replica.ts'
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

const rawSocket = (): Promise<RawSocket> => {
  const { hostname, port, pathname } = new URL(service.realtimeUrl)
  return openRawSocket({ host: hostname, port: Number(port), path: pathname })
}

/** All frames of one connection until `synced`. */
const greeting = async (token: string, cursor?: string) => {
  const socket = await rawSocket()
  socket.sendJson({ op: 'hello', id: 'h', args: { token, ...(cursor === undefined ? {} : { cursor }) } })
  const frames = (await socket.nextUntil(({ op }) => op === 'synced')) as ServerFrame[]
  return { socket, hello: frames[0] as ServerFrame, rows: frames.slice(1, -1), synced: frames.at(-1) as ServerFrame }
}

const seqsOf = (frames: readonly ServerFrame[]) =>
  frames
    .flatMap(({ items, value }) => [...(items ?? []), ...(value === undefined ? [] : [value])])
    .map(({ seq }) => seq)

describe('a hello', () => {
  test('is answered with who one is and the limits, then all rows, then a cursor', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const conversationId = between(ada, bob)
    await ada.sayMuch(conversationId, 3)
    await bob.do('markRead', { conversationId, seq: 1 })
    await scene.quiet(ada, bob)
    const { socket, hello, rows, synced } = await greeting(bob.spare.accessToken)
    expect(hello).toEqual({
      re: 'h',
      ok: {
        userId: bob.userId,
        sessionId: bob.spare.sessionId,
        serverTime: expect.stringMatching(/Z$/),
        reset: true,
        heartbeatSeconds: expect.any(Number),
        limits: expect.objectContaining({ framesPerSecondMax: expect.any(Number), textCharactersMax: 5_000 }),
      },
    })
    expect(rows.every(({ op }) => op === 'rows')).toBe(true)
    // Unread ones come first, then what is left of the last days.
    const messages = rows.filter(({ collection }) => collection === 'messages')
    expect(messages.map(({ via }) => via)).toEqual(['offline', 'roaming'])
    expect(messages.map(frame => seqsOf([frame]))).toEqual([[2, 3], [1]])
    expect(rows.indexOf(messages[0] as ServerFrame)).toBeGreaterThan(
      rows.findIndex(({ collection }) => collection === 'conversations'),
    )
    expect(synced.cursor).toMatch(new RegExp(`^${service.store.logId}\\.${readModelsVersion}\\.[0-9a-f]{16}$`))
    socket.close()
  })

  test('with a cursor from memory brings what came since, that event included, and nothing else', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const conversationId = between(ada, bob)
    await ada.sayMuch(conversationId, 3)
    await scene.quiet(ada, bob)
    const { position } = await ada.say(conversationId)
    await bob.device.whenPassed(position)
    const { cursor } = bob.device
    await bob.off()
    await ada.sayMuch(conversationId, 2)
    await scene.quiet(ada)
    const { socket, hello, rows, synced } = await greeting(bob.token, cursor)
    expect(hello.ok).toMatchObject({ reset: false })
    expect(rows.filter(({ collection }) => collection === 'messages')).toMatchObject([
      { op: 'put', value: { seq: 4 } },
      { op: 'put', value: { seq: 5 } },
      { op: 'put', value: { seq: 6 } },
    ])
    expect(rows.filter(({ op }) => op === 'rows')).toEqual([])
    expect(String(synced.cursor) > cursor).toBe(true)
    socket.close()
  })

  test(
    'with a cursor that memory has forgotten brings what changed, from the read models',
    async () => {
      const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
      const conversationId = between(ada, bob)
      await ada.sayMuch(conversationId, 3)
      const gone = await ada.do('createGroup', { name: 'Short', inviteeConsent: 'none', memberIds: [bob.userId] })
      await scene.quiet(ada, bob)
      await bob.off()
      const { cursor } = bob.device
      await ada.sayMuch(conversationId, 2)
      await ada.do('recallMessage', { conversationId, seq: 1 })
      await ada.do('removeMembers', { groupId: gone.groupId, userIds: [bob.userId] })
      await scene.quiet(ada)
      await service.restart()
      const { socket, hello, rows } = await greeting(bob.token, cursor)
      expect(hello.ok).toMatchObject({ reset: false })
      const messages = rows.filter(({ collection }) => collection === 'messages')
      expect(seqsOf(messages)).toEqual(expect.arrayContaining([1, 4, 5]))
      expect(seqsOf(messages)).not.toContain(2)
      expect(rows.find(({ collection }) => collection === 'groups')).toMatchObject({ removed: [gone.groupId] })
      socket.close()
      await socket.closed
      await bob.back()
      expect(await scene.divergence(bob)).toEqual([])
    },
    slowMsMax,
  )

  test.each([
    ['of another log', () => `another.${readModelsVersion}.0000000000000001`],
    ['of other read models', () => `${service.store.logId}.0.0000000000000001`],
    ['from beyond the end', () => `${service.store.logId}.${readModelsVersion}.ffffffffffffffff`],
    ['that is none', () => '../x'],
  ])('with a cursor %s starts over', async (_what, cursorOf) => {
    const ada = await service.person('ada')
    await whenReadable(service.api, ada.token, ada.session.position)
    const { socket, hello, rows } = await greeting(ada.token, cursorOf())
    expect(hello.ok).toMatchObject({ reset: true })
    expect(rows).toMatchObject([
      { op: 'rows', collection: 'users', items: [{ userId: ada.userId }] },
      { op: 'rows', collection: 'sessions', items: [{ deviceId: 'device-1' }] },
    ])
    socket.close()
  })
})

describe('GET /v1/sync', () => {
  test('is the same as over the socket, and goes on from either cursor', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const conversationId = between(ada, bob)
    await ada.sayMuch(conversationId, 3)
    await scene.quiet(ada, bob)
    const { socket, rows } = await greeting(bob.spare.accessToken)
    socket.close()
    const whole = await bob.get('/v1/sync')
    expect(whole).toEqual({ reset: true, rows, cursor: expect.any(String) })
    await ada.say(conversationId)
    await scene.quiet(ada, bob)
    const since = await bob.get(`/v1/sync?since=${whole.cursor}`)
    expect(since.reset).toBe(false)
    expect(seqsOf(since.rows.filter(({ collection }: ServerFrame) => collection === 'messages'))).toContain(4)
    expect(await bob.get('/v1/sync?since=another.1.0000000000000001')).toMatchObject({ reset: true })
  })

  test('waits a moment for a place that only another node has seen', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const conversationId = between(ada, bob)
    await ada.say(conversationId)
    await scene.quiet(ada, bob)
    const { cursor } = await bob.get('/v1/sync')
    const cut = cursor.lastIndexOf('.') + 1
    // The embedded log counts: the next event is at the next place.
    const next = (BigInt(`0x${cursor.slice(cut)}`) + 1n).toString(16).padStart(16, '0')
    const asked = bob.get(`/v1/sync?since=${cursor.slice(0, cut)}${next}`)
    await ada.say(conversationId)
    expect(await asked).toMatchObject({ reset: false })
  })
})

describe('a device', () => {
  test('that comes back misses nothing and gets nothing twice, however often it is cut', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const conversationId = between(ada, bob)
    for (let round = 0; round < 5; round++) {
      const talking = ada.sayMuch(conversationId, 10)
      bob.device.destroy()
      await bob.device.closed
      await bob.back()
      expect(bob.device.welcome.reset).toBe(false)
      await talking
    }
    await scene.quiet(ada, bob)
    expect(bob.messages(conversationId).map(({ seq }) => seq)).toEqual(Array.from({ length: 50 }, (_, at) => at + 1))
    expect(await scene.divergence(ada, bob)).toEqual([])
  })

  test('has one socket: a newer one of the same device replaces it', async () => {
    const ada = await service.person('ada')
    const old = await service.connect(ada)
    const fresh = await service.connect(ada)
    expect(await old.closed).toEqual({ code: 4409, reason: 'socket.replaced' })
    expect(old.bye).toEqual({ op: 'bye', code: 4409, reason: 'socket.replaced', reconnect: 'never' })
    expect(await fresh.command('getUnread', {})).toMatchObject({ total: 0 })
  })

  test(
    'is told to come back later when the server goes, and goes on where it stopped',
    async () => {
      const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
      const conversationId = between(ada, bob)
      await ada.sayMuch(conversationId, 2)
      await scene.quiet(ada, bob)
      const watched = await connectDevice({ realtimeUrl: service.realtimeUrl, token: bob.token })
      await service.restart(() => watched.closed)
      expect(await watched.closed).toEqual({ code: 4503, reason: 'server.draining' })
      expect(watched.bye).toMatchObject({ op: 'bye', code: 4503, reason: 'server.draining', reconnect: 'later' })
      const again = await service.connect(bob.person, { replica: watched.state })
      expect(again.welcome.reset).toBe(false)
      bob.devices[0] = again
      expect(await scene.divergence(bob)).toEqual([])
    },
    slowMsMax,
  )
})

describe('a socket ends', () => {
  const bad: readonly (readonly [string, (socket: RawSocket) => void])[] = [
    ['bytes that are no text', socket => socket.sendBinary(Buffer.from('{}'))],
    ['what is no JSON', socket => socket.sendText('{"op":')],
    [
      'half of a surrogate pair',
      socket => socket.sendFrame(encodeFrame({ opcode: 1, payload: Buffer.from([0xed, 0xa0, 0x80]) })),
    ],
    ['a command before hello', socket => socket.sendJson({ op: 'getUnread', id: '1', args: {} })],
    ['a hello with a field too many', socket => socket.sendJson({ op: 'hello', args: { token: 'x' }, more: 1 })],
    ['a hello of more than 4 KiB', socket => socket.sendJson({ op: 'hello', args: { token: 'x'.repeat(5_000) } })],
  ]

  test.each(bad)('after %s, with a word about it', async (_what, send) => {
    const socket = await rawSocket()
    send(socket)
    const closed = await socket.closed
    // A text frame that is not UTF-8 is already no WebSocket.
    expect([4400, 1006, 1007]).toContain(closed.code)
    if (closed.code !== 4400) return
    expect(socket.waiting).toMatchObject([
      { error: { code: 'frame.invalid', retryable: false } },
      { op: 'bye', code: 4400, reason: 'frame.invalid', reconnect: 'later' },
    ])
  })

  test.each([
    ['no token', ''],
    ['what is no token', 'a.b.c'],
    ['a token without a signature', `${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.`],
  ])('for good after a hello with %s', async (_what, token) => {
    const refused = connectDevice({ realtimeUrl: service.realtimeUrl, token })
    await expect(refused).rejects.toMatchObject({ closed: { code: 4403 } })
  })

  test('not for a frame that names nothing, nor for one that is refused', async () => {
    const { device } = (await scene.enter('ada'))[0] as Player
    await expect(device.command('makeCoffee', {})).rejects.toMatchObject({ code: 'operation.not-found' })
    await expect(device.command('hello', { token: 'x' })).rejects.toMatchObject({ code: 'frame.invalid' })
    await expect(device.command('getConversation', { conversationId: 'group:none' })).rejects.toMatchObject({
      code: 'conversation.not-found',
      error: { title: expect.any(String), detail: expect.any(String), retryable: false },
    })
    expect(await device.command('getUnread', {})).toMatchObject({ total: 0 })
  })
})
