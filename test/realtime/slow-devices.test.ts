// Devices that are slow or go away, over real connections: cut without harm to others, and nothing is missing afterwards.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { socketBufferBytesMax } from '../../realtime/protocol.ts'
import type { SyncSnapshot } from '../../realtime/sync.ts'
import { hello, type LiveServer, openLiveServer } from '../support/live-server.ts'
import type { RawSocket, ServerFrame } from '../support/raw-socket.ts'
import { ann, bob, cid, p2p } from '../support/routing.ts'
import { closeSession, openSession, turns, whenTrue } from '../support/test-node.ts'

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
const wide = (mebibytes: number) => 'x'.repeat(mebibytes * 1_048_576)
/** More than a connection takes that nobody reads. */
const tooMuch = 20

describe('a slow device', () => {
  test('is cut, holds up nobody, and resumes with nothing missing', async () => {
    const { socket, frames } = await server.device(ann, 'ann-1')
    const { socket: bobs } = await server.device(bob, 'bob-1')
    socket.pause()
    const text = '字'.repeat(5_000)
    let sent = 0
    while (server.realtime.counters.dropped === 0) {
      const replies = await Promise.all(Array.from({ length: 50 }, () => server.say(bob, p2p, text)))
      sent = Math.max(...replies.map(({ seq }) => seq))
      await server.routed()
    }
    const bobsFrames = await bobs.nextUntil(frame => frame.value?.seq === sent)
    expect(seqsOf(bobsFrames)).toEqual(Array.from({ length: sent }, (_, index) => index + 1))
    socket.resume()
    const heard: ServerFrame[] = [...frames]
    const collect = async () => {
      for (;;) heard.push(await socket.next())
    }
    await collect().catch(() => {})
    expect((await socket.closed).code).toBe(1006)
    const { frames: again } = await server.device(ann, 'ann-1', lastCursor(heard))
    const seqs = [...new Set(seqsOf([...heard, ...again]))]
    expect(seqs).toEqual(Array.from({ length: sent }, (_, index) => index + 1))
    expect(again[0].ok.reset).toBe(false)
  })

  test('that asks for more than it reads is cut', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    server.dispatch = async () => `"ok":${JSON.stringify(wide(1))}`
    socket.pause()
    for (let index = 0; index < tooMuch; index++) socket.sendJson({ op: 'a', id: `${index}`, args: {} })
    await whenTrue(() => server.realtime.counters.sockets === 0)
    socket.resume()
    expect((await socket.closed).code).toBe(1006)
  })

  test('whose session ends is cut all the same', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    server.dispatch = async () => `"ok":${JSON.stringify('x'.repeat(socketBufferBytesMax - 200_000))}`
    socket.pause()
    for (let index = 0; index < 8; index++) {
      socket.sendJson({ op: 'a', id: `${index}`, args: {} })
      await turns(20)
    }
    await closeSession(server.node, ann, 'ann-1' as never)
    await whenTrue(() => server.realtime.counters.sockets === 0)
    socket.resume()
    await socket.closed
  })

  test('gets a large sync at its own pace', async () => {
    const items = Array.from({ length: 2_000 }, (_, index) =>
      JSON.stringify({ userId: `u${index}`, name: 'x'.repeat(10_000) }),
    )
    server.snapshot = async () => snapshotOf({ collections: [{ collection: 'users', items, removed: [] }] })
    const socket = await server.connect()
    socket.sendJson(hello('ann/ann-1'))
    await whenTrue(() => server.snapshots.length === 1)
    socket.pause()
    await turns(300)
    socket.resume()
    const frames = await socket.nextUntil(frame => frame.op === 'synced')
    expect(frames.flatMap(frame => frame.items ?? [])).toHaveLength(2_000)
    expect(server.realtime.counters.dropped).toBe(0)
  })

  test('gets what was said during its sync, and nothing twice or never', async () => {
    const items = Array.from({ length: 1_000 }, (_, index) =>
      JSON.stringify({ userId: `u${index}`, name: 'x'.repeat(10_000) }),
    )
    server.snapshot = async () => snapshotOf({ collections: [{ collection: 'users', items, removed: [] }] })
    const socket = await server.connect()
    socket.sendJson(hello('ann/ann-1'))
    socket.pause()
    await whenTrue(() => server.snapshots.length === 1)
    for (let index = 0; index < 300; index++) {
      await server.say(bob, p2p, 'x'.repeat(4_000))
      if (index === 150) socket.resume()
    }
    const frames = [...(await socket.nextUntil(frame => frame.op === 'synced'))]
    if (!seqsOf(frames).includes(300)) frames.push(...(await socket.nextUntil(frame => frame.value?.seq === 300)))
    expect(seqsOf(frames)).toEqual(Array.from({ length: 300 }, (_, index) => index + 1))
  })
})

describe('a device that goes away', () => {
  const goesAway = async (at: (socket: RawSocket) => Promise<void>) => {
    const socket = await server.connect()
    await at(socket)
    await whenTrue(() => server.realtime.counters.sockets === 0)
    // The process is still there, and serves others.
    await server.device(bob, 'bob-1')
  }

  test('before its hello', () => goesAway(async socket => socket.destroy()))

  test('while its rows are read', async () => {
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
    socket.destroy()
    await whenTrue(() => server.realtime.counters.sockets === 0)
    release()
    await turns()
    await server.device(bob, 'bob-1')
    expect(server.realtime.hub.followed(ann)).toBeUndefined()
  })

  test('while its rows are sent', async () => {
    const items = Array.from({ length: tooMuch * 10 }, () => JSON.stringify('x'.repeat(100_000)))
    server.snapshot = async () => snapshotOf({ collections: [{ collection: 'users', items, removed: [] }] })
    const socket = await server.connect()
    socket.sendJson(hello('ann/ann-1'))
    await socket.next()
    socket.pause()
    await turns(50)
    socket.destroy()
    await whenTrue(() => server.realtime.counters.sockets === 0)
    server.snapshot = async () => snapshotOf({})
    await server.device(bob, 'bob-1')
  })

  test('while its command runs, and while a reply waits', async () => {
    let release = () => {}
    const held = new Promise<void>(resolve => {
      release = resolve
    })
    server.dispatch = async () => {
      await held
      return '"ok":{}'
    }
    const { socket } = await server.device(ann, 'ann-1')
    for (let index = 0; index < 20; index++) socket.sendJson({ op: 'a', id: `${index}`, args: {} })
    await whenTrue(() => server.calls.length === 20)
    socket.destroy()
    await whenTrue(() => server.realtime.counters.sockets === 0)
    release()
    await turns()
    await server.device(bob, 'bob-1')
  })

  test('with a goodbye of its own', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    socket.close(1000)
    expect((await socket.closed).code).toBe(1000)
    await whenTrue(() => server.realtime.counters.sockets === 0)
  })

  test('at the same time as its session ends, and as messages come', async () => {
    for (let round = 0; round < 10; round++) {
      const { socket } = await server.device(ann, 'ann-2')
      const said = server.say(bob, p2p)
      socket.destroy()
      await said
    }
    const { socket } = await server.device(ann, 'ann-1')
    const closing = closeSession(server.node, ann, 'ann-1' as never)
    socket.destroy()
    await closing
    await server.routed()
    await server.device(bob, 'bob-1')
  })
})

test('a storm of devices that are slow, go away and are cut leaves no hole and no wreck', async () => {
  await server.close()
  server = await openLiveServer({ rateLimits: false })
  server.dispatch = async () => `"ok":"${'x'.repeat(200_000)}"`
  let talking = true
  const talk = async () => {
    while (talking) {
      await Promise.all(Array.from({ length: 100 }, () => server.say(bob, p2p, 'x'.repeat(8_000))))
      await turns(3)
    }
  }
  const holes: string[] = []
  /** Reads until the end; the numbers that one socket brings have no hole. */
  const read = async (socket: RawSocket) => {
    for (let last: number | undefined; ; ) {
      const [seq] = seqsOf([await socket.next()])
      if (seq !== undefined && last !== undefined && seq !== last + 1) holes.push(`${last} ${seq}`)
      last = seq ?? last
    }
  }
  const live = async (worker: number, round: number) => {
    const sessionId = await openSession(server.node, ann, `storm-${worker}-${round}`)
    const socket = await server.connect()
    socket.sendJson(hello(`${ann}/${sessionId}`))
    const reading = read(socket).catch(() => {})
    await turns(20)
    if (round % 2 === 0) {
      socket.pause()
      for (let index = 0; index < 5; index++) socket.sendJson({ op: 'a', id: `${index}`, args: {} })
      await turns(200)
      if (round % 4 === 0) socket.resume()
    }
    if (round % 3 === 0) await closeSession(server.node, ann, sessionId)
    else socket.destroy()
    await turns(20)
    socket.destroy()
    await reading
  }
  const workers = Array.from({ length: 10 }, async (_, worker) => {
    for (let round = worker; round < worker + 8; round++) await live(worker, round)
  })
  const talked = talk()
  await Promise.all(workers)
  talking = false
  await talked
  expect(holes).toEqual([])
  await server.routed()
  await server.device(cid, 'cid-1')
})
