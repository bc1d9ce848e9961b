// Many devices at once: only so many snapshots are read and held, the others wait in line, and who waits in vain is told so.

import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { syncDocument } from '../../realtime/sync.ts'
import { createSyncTurns, type SyncTurn, syncWaitMsMax } from '../../realtime/sync-turns.ts'
import { hello, type LiveServer, openLiveServer } from '../support/live-server.ts'
import { ann, bob, cid, prefix } from '../support/routing.ts'
import { turns as someTurns, whenTrue } from '../support/test-node.ts'

const taken = async (turn: Promise<SyncTurn | undefined>): Promise<SyncTurn> => {
  const given = await turn
  if (given === undefined) throw new Error('there was no turn')
  return given
}

describe('turns to sync', () => {
  test('are given at once while few read, then in order as others are done', async () => {
    const turns = createSyncTurns(2, 1_000, 10)
    const [one, two] = [await taken(turns.wait().turn), await taken(turns.wait().turn)]
    const order: string[] = []
    const later = ['three', 'four'].map(async name => {
      const turn = await taken(turns.wait().turn)
      order.push(name)
      return turn
    })
    expect([turns.reading, turns.waiting]).toEqual([2, 2])
    await someTurns()
    expect(order).toEqual([])
    one.leave()
    const three = await later[0]
    expect(order).toEqual(['three'])
    two.leave()
    two.leave()
    const four = await later[1]
    expect([turns.reading, turns.waiting]).toEqual([2, 0])
    for (const turn of [three, four]) turn?.leave()
    expect(turns.reading).toBe(0)
  })

  test('wait while too much is held, although nobody reads', async () => {
    const turns = createSyncTurns(2, 1_000, 10)
    const one = await taken(turns.wait().turn)
    one.hold(['x'.repeat(400), 'y'.repeat(100)])
    expect([turns.reading, turns.heldBytes]).toEqual([0, 1_000])
    const waiting = turns.wait()
    expect(turns.waiting).toBe(1)
    one.leave()
    expect(turns.heldBytes).toBe(0)
    ;(await taken(waiting.turn)).leave()
    expect([turns.reading, turns.heldBytes, turns.waiting]).toEqual([0, 0, 0])
  })

  test('leave the more time to take a snapshot the larger it is', async () => {
    const turns = createSyncTurns()
    const [small, large] = [await taken(turns.wait().turn), await taken(turns.wait().turn)]
    const [smallMs, largeMs] = [small.hold(['x']), large.hold(['x'.repeat(10_000_000)])]
    expect(smallMs).toBeGreaterThan(10_000)
    expect(largeMs).toBeGreaterThan(10 * smallMs)
  })

  test('are refused when too many wait, and to who has waited too long', async () => {
    vi.useFakeTimers()
    onTestFinished(() => {
      vi.useRealTimers()
    })
    const turns = createSyncTurns(1, 1_000, 1)
    const one = await taken(turns.wait().turn)
    const waiting = turns.wait()
    expect(await turns.wait().turn).toBeUndefined()
    vi.advanceTimersByTime(syncWaitMsMax)
    expect(await waiting.turn).toBeUndefined()
    expect([turns.refused, turns.waiting]).toEqual([2, 0])
    one.leave()
    ;(await taken(turns.wait().turn)).leave()
  })

  test('of who gives up go to the next', async () => {
    const turns = createSyncTurns(1, 1_000, 10)
    const one = await taken(turns.wait().turn)
    const [gone, next] = [turns.wait(), turns.wait()]
    gone.giveUp()
    expect(await gone.turn).toBeUndefined()
    one.leave()
    ;(await taken(next.turn)).leave()
    expect([turns.refused, turns.waiting, turns.reading]).toEqual([0, 0, 0])
  })
})

test('the sync as a document takes its turn as a device does, and says when there is none', async () => {
  const readSnapshot = async () => {
    throw new Error('nothing is read')
  }
  const syncing = { readSnapshot, cursorPrefix: prefix, reached: async () => true, syncTurns: createSyncTurns(0, 1, 0) }
  await expect(syncDocument(syncing, ann, undefined)).rejects.toMatchObject({ code: 'overloaded' })
})

describe('a storm of devices', () => {
  let server: LiveServer
  afterEach(() => server.close())

  /** Reads that are held until they are let go, and how many there were at once at most. */
  const heldReads = () => {
    const { snapshot } = server
    const held: (() => void)[] = []
    server.snapshot = async (...args) => {
      await new Promise<void>(resolve => {
        held.push(resolve)
      })
      return snapshot(...args)
    }
    return held
  }

  test('is read in turns; one beyond is told when to come back', async () => {
    const syncTurns = createSyncTurns(2, 1_000, 2)
    server = await openLiveServer({ syncTurns })
    const held = heldReads()
    const sockets = [await server.connect(), await server.connect(), await server.connect(), await server.connect()]
    const tokens = ['ann/ann-1', 'bob/bob-1', 'cid/cid-1', 'ann/ann-2']
    for (const [index, socket] of sockets.entries()) {
      socket.sendJson(hello(tokens[index] as string))
      await whenTrue(() => syncTurns.reading + syncTurns.waiting === index + 1)
    }
    const beyond = await server.connect()
    beyond.sendJson(hello('bob/bob-2'))
    const bye = await beyond.next()
    expect(bye).toEqual({
      op: 'bye',
      code: 4503,
      reason: 'server.busy',
      reconnect: 'later',
      retryAfterSeconds: expect.any(Number),
    })
    expect(bye.retryAfterSeconds).toBeGreaterThanOrEqual(1)
    expect(bye.retryAfterSeconds).toBeLessThanOrEqual(15)
    expect(held).toHaveLength(2)
    sockets[2]?.destroy()
    await whenTrue(() => syncTurns.waiting === 1)
    for (const count of [3, 3]) {
      for (const release of held) release()
      await whenTrue(() => held.length === count)
    }
    for (const release of held) release()
    for (const index of [0, 1, 3]) await sockets[index]?.nextUntil(({ op }) => op === 'synced')
    expect(server.snapshots).toEqual([null, null, null])
    expect([syncTurns.reading, syncTurns.heldBytes, syncTurns.waiting]).toEqual([0, 0, 0])
  })

  test('whose reads fail leaves no turn taken', async () => {
    const syncTurns = createSyncTurns(1, 1_000, 10)
    server = await openLiveServer({ syncTurns })
    server.snapshot = async () => {
      throw new Error('away')
    }
    for (const [userId, sessionId] of [
      [ann, 'ann-1'],
      [bob, 'bob-1'],
      [cid, 'cid-1'],
    ]) {
      const socket = await server.connect()
      socket.sendJson(hello(`${userId}/${sessionId}`))
      expect(await socket.next()).toMatchObject({ op: 'bye', reason: 'server.behind' })
    }
    expect(syncTurns.reading).toBe(0)
  })

  test('that takes its snapshot too slowly is sent away, and what it held is free', async () => {
    const syncTurns = createSyncTurns()
    server = await openLiveServer({ syncTurns })
    const { snapshot } = server
    const item = JSON.stringify({ text: 'x'.repeat(60_000) })
    server.snapshot = async (...args) => {
      const items = Array.from({ length: 300 }, () => item)
      return { ...(await snapshot(...args)), collections: [{ collection: 'users', items, removed: [] }] }
    }
    const socket = await server.connect()
    socket.sendJson(hello('ann/ann-1'))
    await socket.next()
    socket.pause()
    await whenTrue(() => syncTurns.heldBytes > 0)
    server.clock.advance(10 * 3_600_000)
    socket.resume()
    expect((await socket.nextUntil(({ op }) => op === 'bye')).at(-1)).toMatchObject({ code: 4503 })
    await whenTrue(() => syncTurns.heldBytes === 0)
  })
})
