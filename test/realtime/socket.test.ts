// One device's socket, over real connections: hello, frames, replies, and every way in which a client can misbehave.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  frameBytesMax,
  framesBurstMax,
  helloBytesMax,
  idleSecondsMax,
  pendingPerSocketMax,
  refusedFramesMax,
} from '../../realtime/protocol.ts'
import { hello, type LiveServer, openLiveServer } from '../support/live-server.ts'
import { encodeFrame, type RawSocket } from '../support/raw-socket.ts'
import { ann, prefix } from '../support/routing.ts'
import { turns } from '../support/test-node.ts'

let server: LiveServer

beforeEach(async () => {
  server = await openLiveServer()
})
afterEach(async () => {
  await server.close()
  expect([...server.errors, ...server.node.errors]).toEqual([])
})

const byeOf = async (socket: RawSocket) => {
  const frames = await socket.nextUntil(frame => frame.op === 'bye')
  return { before: frames.slice(0, -1), bye: frames.at(-1), closed: await socket.closed }
}

describe('a hello', () => {
  test('is answered with who the device is, the sync, and where it stands', async () => {
    const { frames } = await server.device(ann, 'ann-1')
    expect(frames).toEqual([
      {
        re: 'hello',
        ok: {
          userId: ann,
          sessionId: 'ann-1',
          serverTime: server.clock.now(),
          reset: true,
          heartbeatSeconds: idleSecondsMax,
          limits: expect.objectContaining({ framesBurstMax }),
        },
      },
      { op: 'synced', cursor: prefix + server.node.position },
    ])
  })

  test('may come in parts, and slowly', async () => {
    const socket = await server.connect()
    const text = Buffer.from(JSON.stringify(hello('ann/ann-1')))
    await socket.sendSlowly(encodeFrame({ opcode: 1, payload: text.subarray(0, 9), final: false }), 3)
    await socket.sendSlowly(encodeFrame({ opcode: 0, payload: text.subarray(9, 30), final: false }), 3)
    await socket.sendSlowly(encodeFrame({ opcode: 0, payload: text.subarray(30) }), 3)
    expect(await socket.next()).toMatchObject({ ok: { userId: ann } })
  })

  test.each([
    ['with an expired token', hello('expired'), 4401, 'token.expired', 'refresh'],
    ['with a wrong token', hello('wrong'), 4403, 'token.invalid', 'never'],
    ['from an address that says hello too often', hello('too-often'), 4429, 'rate.limited', 'later'],
    ['of a session that is over', hello('ann/ann-9'), 4403, 'session.ended', 'never'],
  ])('%s ends the socket', async (_what, frame, code, reason, reconnect) => {
    const socket = await server.connect()
    socket.sendJson(frame)
    const { bye, closed } = await byeOf(socket)
    expect(bye).toEqual({ op: 'bye', code, reason, reconnect })
    expect(closed).toEqual({ code, reason })
  })

  test('that does not come ends the socket in time', async () => {
    await server.close()
    server = await openLiveServer({ helloMs: 30 })
    const socket = await server.connect()
    const { closed } = await byeOf(socket)
    expect(closed).toEqual({ code: 4408, reason: 'hello.timeout' })
  })

  test('that is declared long and trickles in has no more time than any', async () => {
    await server.close()
    server = await openLiveServer({ helloMs: 100 })
    const socket = await server.connect()
    let isClosed = false
    void socket.closed.then(() => {
      isClosed = true
    })
    const long = encodeFrame({ opcode: 1, payload: Buffer.alloc(2 * frameBytesMax, ' ') })
    const piece = 64
    for (let at = 0; !isClosed && at + piece < long.length; at += piece) {
      socket.sendFrame(long.subarray(at, at + piece))
      await turns(20)
    }
    expect((await byeOf(socket)).closed).toEqual({ code: 4408, reason: 'hello.timeout' })
  })

  test('that comes in time stops that clock', async () => {
    await server.close()
    server = await openLiveServer({ helloMs: 200 })
    const { socket } = await server.device(ann, 'ann-1')
    const late = await server.connect()
    await late.closed
    socket.sendJson({ op: 'any', id: '1', args: {} })
    expect(await socket.next()).toMatchObject({ re: '1' })
  })

  test('is refused while this node is behind', async () => {
    Object.defineProperty(server.node, 'behind', { value: true })
    const socket = await server.connect()
    socket.sendJson(hello('ann/ann-1'))
    expect((await byeOf(socket)).bye).toMatchObject({ code: 4503, reason: 'server.behind', reconnect: 'later' })
  })
})

describe('a frame that is none', () => {
  const bad: readonly [string, (socket: RawSocket) => void][] = [
    ['a first frame that is no hello', socket => socket.sendJson({ op: 'sendMessage', id: '1', args: {} })],
    ['a first frame that is too large', socket => socket.sendJson(hello('x'.repeat(helloBytesMax)))],
    ['a hello with a token that is too long', socket => socket.sendJson(hello('x'.repeat(2_100)))],
    ['a hello with a field too many', socket => socket.sendJson({ ...hello('ann/ann-1'), more: 1 })],
    ['a binary first frame', socket => socket.sendBinary(Buffer.from(JSON.stringify(hello('ann/ann-1'))))],
    ['text that is not JSON', socket => socket.sendText('hello')],
    ['JSON that is no object', socket => socket.sendText('[]')],
    ['an empty frame', socket => socket.sendText('')],
    ['very deep JSON', socket => socket.sendText('['.repeat(4_000))],
  ]
  test.each(bad)('%s is told so and ends the socket', async (_what, send) => {
    const socket = await server.connect()
    send(socket)
    const { before, closed } = await byeOf(socket)
    expect(before).toMatchObject([{ error: { code: 'frame.invalid', retryable: false } }])
    expect(closed).toEqual({ code: 4400, reason: 'frame.invalid' })
  })

  const badLater: readonly [string, (socket: RawSocket) => void][] = [
    ['a binary frame', socket => socket.sendBinary(Buffer.from('{}'))],
    ['a frame without op', socket => socket.sendJson({ id: '1', args: {} })],
    ['a frame with a field too many', socket => socket.sendJson({ op: 'a', more: 1 })],
    ['a frame with an id that is too long', socket => socket.sendJson({ op: 'a', id: 'x'.repeat(65), args: {} })],
    ['a frame with an empty key', socket => socket.sendJson({ op: 'a', key: '', args: {} })],
    ['arguments that are no object', socket => socket.sendJson({ op: 'a', args: [1] })],
  ]
  test.each(badLater)('%s ends a live socket too', async (_what, send) => {
    const { socket } = await server.device(ann, 'ann-1')
    send(socket)
    expect((await byeOf(socket)).closed).toEqual({ code: 4400, reason: 'frame.invalid' })
    expect(server.calls).toEqual([])
  })

  test('text that is not UTF-8 closes the socket', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    socket.sendFrame(encodeFrame({ opcode: 1, payload: Buffer.from([0x22, 0xff, 0xfe, 0x22]) }))
    expect([1006, 1007, 4400]).toContain((await socket.closed).code)
  })

  test('a frame that is too large is told so and ends the socket', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    socket.sendText('x'.repeat(frameBytesMax + 1))
    const { before, bye, closed } = await byeOf(socket)
    expect(before).toMatchObject([{ error: { code: 'request.too-large', retryable: false } }])
    expect(bye).toEqual({ op: 'bye', code: 1009, reason: 'request.too-large', reconnect: 'later' })
    expect(closed).toEqual({ code: 1009, reason: 'request.too-large' })
    expect(server.calls).toEqual([])
  })

  test('a frame that is declared far too large closes the socket before its bytes come', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    const payload = Buffer.from('{"op":"a"')
    socket.sendFrame(encodeFrame({ opcode: 1, payload, declaredBytes: 2 * frameBytesMax + 1 }))
    expect((await socket.closed).code).toBe(1006)
  })

  test('a bad frame does not take away what was to be said before it', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    const [first, second] = [Buffer.from(JSON.stringify({ op: 'hello', id: '1' })), Buffer.from('nonsense')]
    socket.sendFrame(
      Buffer.concat([encodeFrame({ opcode: 1, payload: first }), encodeFrame({ opcode: 1, payload: second })]),
    )
    const { before } = await byeOf(socket)
    expect(before).toMatchObject([{ re: '1', error: { code: 'frame.invalid' } }, { error: { code: 'frame.invalid' } }])
  })

  test('a frame of the largest size is taken', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    const frame = { op: 'a', id: '1', args: { text: '' } }
    const room = frameBytesMax - JSON.stringify(frame).length
    socket.sendJson({ ...frame, args: { text: 'x'.repeat(room) } })
    expect(await socket.next()).toMatchObject({ re: '1' })
  })

  test('a frame that is not masked closes the socket', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    socket.sendFrame(encodeFrame({ opcode: 1, payload: Buffer.from('{"op":"a","args":{}}'), masked: false }))
    socket.sendFrame(encodeFrame({ opcode: 15, payload: Buffer.alloc(0) }))
    expect((await socket.closed).code).toBe(1006)
  })
})

describe('a command', () => {
  test('is handed over with who sent it, and answered under its id', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    socket.sendJson({ op: 'markRead', id: 'r', key: 'k', args: { seq: 3 } })
    expect(await socket.next()).toEqual({ re: 'r', ok: { op: 'markRead' } })
    expect(server.calls).toEqual([
      {
        op: 'markRead',
        args: { seq: 3 },
        call: {
          caller: { kind: 'user', userId: ann, sessionId: 'ann-1' },
          address: expect.stringMatching(/127/),
          key: 'k',
        },
      },
    ])
  })

  test('without an id is run and not answered', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    socket.sendJson({ op: 'a', args: {} })
    socket.sendJson({ op: 'b', id: 'b', args: {} })
    expect(await socket.next()).toMatchObject({ re: 'b' })
    expect(server.calls.map(({ op }) => op)).toEqual(['a', 'b'])
  })

  test('that fails is an internal error, and is told of', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    server.dispatch = async () => {
      throw new Error('broken')
    }
    socket.sendJson({ op: 'a', id: '1', args: {} })
    expect(await socket.next()).toMatchObject({ re: '1', error: { code: 'internal', retryable: false } })
    expect(server.errors.splice(0)).toMatchObject([{ message: 'broken' }])
  })

  test('before the sync is over is told to wait', async () => {
    const { snapshot } = server
    const socket = await server.connect()
    server.snapshot = async (...args) => {
      socket.sendJson({ op: 'a', id: 'early', args: {} })
      await turns(50)
      return snapshot(...args)
    }
    socket.sendJson(hello('ann/ann-1'))
    const frames = await socket.nextUntil(frame => frame.op === 'synced')
    expect(frames).toContainEqual({
      re: 'early',
      error: expect.objectContaining({ code: 'sync.under-way', retryable: true }),
    })
    expect(server.calls).toEqual([])
  })

  test('beyond those that may be under way is refused', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    let release = () => {}
    const held = new Promise<void>(resolve => {
      release = resolve
    })
    server.dispatch = async () => {
      await held
      return '"ok":{}'
    }
    for (let index = 0; index <= pendingPerSocketMax; index++) socket.sendJson({ op: 'a', id: `${index}`, args: {} })
    expect(await socket.next()).toMatchObject({
      re: `${pendingPerSocketMax}`,
      error: { code: 'overloaded', retryable: true },
    })
    release()
    const replies = await socket.nextUntil(frame => frame.re === `${pendingPerSocketMax - 1}`)
    expect(replies).toHaveLength(pendingPerSocketMax)
  })

  test('hello said twice is refused', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    socket.sendJson(hello('ann/ann-1'))
    expect(await socket.next()).toMatchObject({ re: 'hello', error: { code: 'frame.invalid' } })
  })
})

describe('too many frames', () => {
  const flood = (socket: RawSocket, count: number) => {
    for (let index = 0; index < count; index++) socket.sendJson({ op: 'a', id: `${index}`, args: {} })
  }

  test('are refused with a word, and work again a moment later', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    flood(socket, framesBurstMax + 5)
    const frames = await socket.nextUntil(frame => frame.re === `${framesBurstMax + 4}`)
    expect(frames.filter(({ error }) => error?.code === 'rate.limited')).toHaveLength(5)
    expect(server.calls).toHaveLength(framesBurstMax)
    server.clock.advance(1_000)
    socket.sendJson({ op: 'a', id: 'again', args: {} })
    expect(await socket.next()).toEqual({ re: 'again', ok: { op: 'a' } })
  })

  test('and ever more end the socket', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    flood(socket, framesBurstMax + refusedFramesMax + 1)
    const { closed } = await byeOf(socket)
    expect(closed).toEqual({ code: 4429, reason: 'rate.limited' })
  })

  test('end the socket also when now and then one is let through', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    flood(socket, framesBurstMax)
    await socket.nextUntil(frame => frame.re === `${framesBurstMax - 1}`)
    let isClosed = false
    void socket.closed.then(() => {
      isClosed = true
    })
    // Five times as fast as is allowed.
    for (let round = 0; round < 100 && !isClosed; round++) {
      server.clock.advance(100)
      flood(socket, 50)
      await turns(5)
    }
    expect((await socket.closed).code).toBe(4429)
  })

  test('during the sync are counted as well', async () => {
    const { snapshot } = server
    const socket = await server.connect()
    let release = () => {}
    const held = new Promise<void>(resolve => {
      release = resolve
    })
    server.snapshot = async (...args) => {
      await held
      return snapshot(...args)
    }
    socket.sendJson(hello('ann/ann-1'))
    flood(socket, framesBurstMax + refusedFramesMax + 1)
    expect((await byeOf(socket)).closed.code).toBe(4429)
    release()
  })

  test('are let through where limits are off', async () => {
    await server.close()
    server = await openLiveServer({ rateLimits: false })
    const { socket } = await server.device(ann, 'ann-1')
    for (let round = 0; round < 5; round++) {
      flood(socket, 200)
      await socket.nextUntil(frame => frame.re === '199')
    }
    expect(server.calls).toHaveLength(1_000)
  })
})
