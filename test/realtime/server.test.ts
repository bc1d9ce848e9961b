// The socket server over real connections: who may connect, how a device comes up to date, and the end.

import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { createHub } from '../../realtime/hub.ts'
import { atIntervalMs, pieceBytesMax } from '../../realtime/protocol.ts'
import { startRealtime } from '../../realtime/server.ts'
import type { SyncSnapshot } from '../../realtime/sync.ts'
import { hello, type LiveServer, openLiveServer } from '../support/live-server.ts'
import { openRawSocket, type ServerFrame, UpgradeRefused } from '../support/raw-socket.ts'
import { ann, bob, cid, p2p, positionAt, prefix } from '../support/routing.ts'
import { startTestNode, turns, whenTrue } from '../support/test-node.ts'

let server: LiveServer

beforeEach(async () => {
  server = await openLiveServer()
})
afterEach(async () => {
  await server.close()
  expect([...server.errors, ...server.node.errors]).toEqual([])
})

const snapshotOf = (changes: Partial<SyncSnapshot>): SyncSnapshot => ({
  position: server.node.position,
  tooOld: false,
  collections: [],
  groupIds: [],
  peerIds: [],
  hidden: [],
  lastSeen: [],
  ...changes,
})
const seqsOf = (frames: readonly ServerFrame[]) =>
  frames.filter(({ op, collection }) => op === 'put' && collection === 'messages').map(({ value }) => value.seq)
const lastCursor = (frames: readonly ServerFrame[]): string =>
  frames.findLast(({ cursor }) => cursor !== undefined)?.cursor

describe('connecting', () => {
  test('by anything but the socket address is refused', async () => {
    await expect(server.connect({ path: '/v1/other' })).rejects.toThrow(UpgradeRefused)
    const response = await fetch(`http://127.0.0.1:${server.realtime.port}/v1/realtime`)
    expect([response.status, await response.text()]).toEqual([426, 'Connect by WebSocket to /v1/realtime.'])
  })

  test('from another origin than those allowed is refused', async () => {
    await server.close()
    server = await openLiveServer({ allowedOrigins: ['https://app.example'] })
    await expect(server.connect({ headers: { origin: 'https://evil.example' } })).rejects.toMatchObject({ status: 403 })
    await server.connect({ headers: { origin: 'https://app.example' } })
    await server.connect()
  })

  test('through a proxy counts for the address that a trusted one tells, and for no other', async () => {
    const headers = { 'x-forwarded-for': '198.51.100.7, 203.0.113.9' }
    const addressSeen = async () => {
      const socket = await server.connect({ headers })
      socket.sendJson(hello('ann/ann-1'))
      await socket.nextUntil(frame => frame.op === 'synced')
      socket.sendJson({ op: 'something', id: '1', args: {} })
      await socket.nextUntil(frame => frame.re === '1')
      return server.calls.at(-1)?.call.address
    }
    expect(await addressSeen()).toBe('127.0.0.1')
    await server.close()
    server = await openLiveServer({ trustProxy: ['127.0.0.0/8'] })
    expect(await addressSeen()).toBe('203.0.113.9')
  })

  test('at a port that is taken is a clear error', async () => {
    const { realtime, node } = server
    const options = { node, host: '127.0.0.1', port: realtime.port, cursorPrefix: prefix } as never
    await expect(startRealtime(options)).rejects.toThrow(new RegExp(`${realtime.port}.*REALTIME_PORT`, 's'))
    await server.device(ann, 'ann-1')
  })
})

describe('a device without a cursor', () => {
  test('gets rows, what came since them, and then what comes', async () => {
    const { position } = server.node
    const { seq } = await server.say(bob, p2p)
    await server.routed()
    server.snapshot = async () =>
      snapshotOf({
        position,
        collections: [{ collection: 'users', items: ['{"userId":"bob"}'], removed: ['cid'] }],
      })
    const { socket, frames } = await server.device(ann, 'ann-1')
    expect(frames.map(({ op, collection }) => `${op} ${collection}`)).toEqual([
      'undefined undefined',
      'rows users',
      'put users',
      'put conversations',
      'put messages',
      'synced undefined',
    ])
    expect(frames[1]).toEqual({ op: 'rows', collection: 'users', items: [{ userId: bob }], removed: [cid] })
    await server.say(bob, p2p)
    expect(seqsOf([...frames, await socket.next()])).toEqual([seq, seq + 1])
  })

  test('gets its rows in pieces', async () => {
    const items = Array.from({ length: 300 }, (_, index) =>
      JSON.stringify({ userId: `u${index}`, name: 'x'.repeat(9_000) }),
    )
    server.snapshot = async () => snapshotOf({ collections: [{ collection: 'users', items, removed: [] }] })
    const { frames } = await server.device(ann, 'ann-1')
    const rows = frames.filter(({ op }) => op === 'rows')
    expect(rows.flatMap(frame => frame.items)).toHaveLength(300)
    for (const frame of rows) expect(JSON.stringify(frame).length).toBeLessThanOrEqual(pieceBytesMax)
  })

  test('waits for a snapshot that is ahead of what was routed', async () => {
    server.store.subscriptionGate.shut()
    const { position } = await server.say(bob, p2p)
    server.snapshot = async () => snapshotOf({ position })
    const socket = await server.connect()
    socket.sendJson(hello('ann/ann-1'))
    await whenTrue(() => server.snapshots.length === 1)
    await turns(50)
    expect(socket.waiting).toEqual([])
    server.store.subscriptionGate.open()
    const frames = await socket.nextUntil(frame => frame.op === 'synced')
    expect(frames.at(-1)).toEqual({ op: 'synced', cursor: prefix + position })
  })

  test('is told to come later when its snapshot is older than what is remembered, before it is told to drop what it holds', async () => {
    await server.say(bob, p2p)
    await server.routed()
    server.snapshot = async () => snapshotOf({ position: positionAt(0) })
    const socket = await server.connect()
    socket.sendJson(hello('ann/ann-1'))
    expect(await socket.next()).toMatchObject({ op: 'bye', code: 4503, reconnect: 'later' })
  })

  test('is told to come later when the rows cannot be read', async () => {
    server.snapshot = async () => {
      throw new Error('the read models are away')
    }
    const socket = await server.connect()
    socket.sendJson(hello('ann/ann-1'))
    expect(await socket.next()).toMatchObject({ op: 'bye', code: 4503, reconnect: 'later' })
    expect(server.errors.splice(0)).toMatchObject([{ message: 'the read models are away' }])
  })
})

describe('a device with a cursor', () => {
  test('goes on where it was, without the read models', async () => {
    const { socket, frames } = await server.device(ann, 'ann-1')
    await server.say(bob, p2p)
    const heard = await socket.nextUntil(frame => frame.collection === 'messages')
    socket.destroy()
    for (let index = 0; index < 3; index++) await server.say(bob, p2p)
    await server.routed()
    const reads = server.snapshots.length
    const { frames: again } = await server.device(ann, 'ann-1', lastCursor(heard))
    expect(again[0].ok.reset).toBe(false)
    // The event of the cursor comes again: it may have come in part.
    expect([seqsOf([...frames, ...heard]), seqsOf(again)]).toEqual([[1], [1, 2, 3, 4]])
    expect([server.snapshots.length, server.realtime.counters.resumes]).toEqual([reads, 1])
  })

  test('that this node does not remember gets the rows since then', async () => {
    const since = server.node.position
    await server.say(bob, p2p)
    await server.routed()
    const { frames } = await server.device(ann, 'ann-1', prefix + since)
    expect(frames[0].ok.reset).toBe(false)
    expect(server.snapshots).toEqual([since])
  })

  test('that is too old gets everything anew', async () => {
    const since = server.node.position
    server.snapshot = async (_userId, from) => snapshotOf({ tooOld: from !== null })
    const { frames } = await server.device(ann, 'ann-1', prefix + since)
    expect(frames[0].ok.reset).toBe(true)
    expect(server.snapshots).toEqual([since, null])
  })

  test.each(['other.1.0000000000000001', 'log.2.0000000000000001', 'nonsense'])(
    'of something else gets everything anew: %s',
    async cursor => {
      const { frames } = await server.device(ann, 'ann-1', cursor)
      expect([frames[0].ok.reset, server.snapshots]).toEqual([true, [null]])
    },
  )

  test('of a node that was a moment ahead goes on as soon as this one is there', async () => {
    await server.device(ann, 'ann-1')
    server.store.subscriptionGate.shut()
    const { position } = await server.say(bob, p2p)
    const socket = await server.connect()
    socket.sendJson(hello('ann/ann-2', prefix + position))
    await turns(100)
    server.store.subscriptionGate.open()
    const frames = await socket.nextUntil(frame => frame.op === 'synced')
    expect(frames[0].ok.reset).toBe(false)
    expect(seqsOf(frames)).toEqual([1])
  })
})

describe('a server that stops', () => {
  test('says goodbye to everybody, and takes nobody more', async () => {
    const devices = [await server.device(ann, 'ann-1'), await server.device(bob, 'bob-1')]
    const silent = await server.connect()
    await server.realtime.close()
    for (const { socket } of devices) {
      expect(await socket.next()).toMatchObject({
        op: 'bye',
        code: 4503,
        reason: 'server.draining',
        reconnect: 'later',
      })
      expect(await socket.closed).toEqual({ code: 4503, reason: 'server.draining' })
    }
    expect((await silent.closed).code).toBe(4503)
    await expect(openRawSocket({ port: server.realtime.port, path: '/v1/realtime' })).rejects.toThrow()
  })

  test('answers what it accepted, and takes nothing more', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    let release = () => {}
    const held = new Promise<void>(resolve => {
      release = resolve
    })
    server.dispatch = async () => {
      await held
      return '"ok":{}'
    }
    socket.sendJson({ op: 'a', id: 'accepted', args: {} })
    await whenTrue(() => server.calls.length === 1)
    const closing = server.realtime.close()
    await turns()
    socket.sendJson({ op: 'a', id: 'too late', args: {} })
    await turns()
    release()
    expect(await socket.next()).toEqual({ re: 'accepted', ok: {} })
    expect(await socket.next()).toMatchObject({ op: 'bye', code: 4503 })
    await closing
    expect(server.calls).toHaveLength(1)
  })

  test('bears what still comes from the log', async () => {
    await server.device(ann, 'ann-1')
    await server.realtime.close()
    await server.say(bob, p2p)
    await turns()
  })

  test('says goodbye to a device in the middle of its sync', async () => {
    const { snapshot } = server
    let release = () => {}
    const held = new Promise<void>(resolve => {
      release = resolve
    })
    server.snapshot = async (...args) => {
      await held
      return snapshot(...args)
    }
    const socket = await server.connect()
    socket.sendJson(hello('ann/ann-1'))
    await whenTrue(() => server.snapshots.length === 1)
    await server.realtime.close()
    release()
    expect((await socket.closed).code).toBe(4503)
  })
})

test('a node that falls behind sends its devices away until it is back', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => {
    vi.useRealTimers()
  })
  await server.close()
  server = await openLiveServer()
  const { socket } = await server.device(ann, 'ann-1')
  server.store.subscriptionGate.shut()
  await server.say(bob, p2p)
  for (let passed = 0; passed < 3_000; passed += 500) {
    server.clock.advance(500)
    vi.advanceTimersByTime(500)
    await turns()
  }
  expect(await socket.next()).toMatchObject({ op: 'bye', code: 4503, reason: 'server.behind' })
})

test('a cursor comes now and then, when something happened', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => {
    vi.useRealTimers()
  })
  await server.close()
  server = await openLiveServer()
  const { socket } = await server.device(ann, 'ann-1')
  vi.advanceTimersByTime(atIntervalMs)
  const { position } = await server.say(bob, 'p2p:bob:cid' as never)
  await server.routed()
  vi.advanceTimersByTime(atIntervalMs)
  expect(await socket.next()).toEqual({ op: 'at', cursor: prefix + position })
})

test('a hub that was closed bears events', async () => {
  const node = await startTestNode(server.store)
  const hub = createHub({ node, cursorPrefix: prefix, publish: () => {}, onError: () => {} })
  hub.close()
  await server.say(bob, p2p)
  await server.routed()
  expect(hub.position <= node.position).toBe(true)
  await node.close()
})
