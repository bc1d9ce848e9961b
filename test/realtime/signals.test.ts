// What a node tells others past the log and hears of them, over real sockets and a line that the test holds both ends of:
// typing, and a device whose newest socket is elsewhere.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { instantOf, newId } from '../../eventstore/clock.ts'
import type { SignalLine } from '../../projections/signals.ts'
import { type LiveServer, openLiveServer } from '../support/live-server.ts'
import { ann, bob, p2p } from '../support/routing.ts'
import { newEvent, turns } from '../support/test-node.ts'

/** A line whose other end is the test. */
const heldLine = () => {
  const told: Record<string, unknown>[] = []
  const listeners: ((text: string) => void)[] = []
  const line: SignalLine = {
    send: text => {
      told.push(JSON.parse(text))
    },
    onText: listener => listeners.push(listener),
    counters: { sent: 0, heard: 0, dropped: 0 },
    connected: true,
    close: async () => {},
  }
  return {
    line,
    told,
    hear: (signal: unknown) => {
      const text = typeof signal === 'string' ? signal : JSON.stringify(signal)
      for (const listener of listeners) listener(text)
    },
  }
}

let other: ReturnType<typeof heldLine>
let server: LiveServer
beforeEach(async () => {
  other = heldLine()
  server = await openLiveServer({ signalLine: other.line })
})
afterEach(() => server.close())

const idAt = (unixMs: number) => newId({ unixMs: () => unixMs, now: () => instantOf(unixMs) })

describe('typing', () => {
  test('is told to the other nodes as it is to the devices here', async () => {
    const [{ socket }, { socket: bobs }] = [await server.device(ann, 'ann-1'), await server.device(bob, 'bob-1')]
    other.told.length = 0
    socket.sendJson({ op: 'typing', args: { conversationId: p2p } })
    expect(await bobs.next()).toMatchObject({ op: 'typing', conversationId: p2p, from: ann })
    await turns()
    expect(other.told).toEqual([{ signal: 'typing', conversationId: p2p, from: ann }])
  })

  test('that may not be told is told to nobody', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    other.told.length = 0
    const blocked = newEvent('UserBlocked', { userId: bob, blockedId: ann, at: server.clock.now() })
    await server.log.store.append('blocklist-bob', [blocked], 'none')
    await server.routed()
    for (const conversationId of [p2p, 'p2p:bob:cid', 'group:g1', 'nonsense']) {
      socket.sendJson({ op: 'typing', args: { conversationId } })
    }
    socket.sendJson({ op: 'anything', id: 'after' })
    await socket.nextUntil(frame => frame.re === 'after')
    await turns()
    expect(other.told).toEqual([])
  })

  test('heard of another node reaches the other one, and not who types', async () => {
    const [{ socket }, { socket: bobs }] = [await server.device(ann, 'ann-1'), await server.device(bob, 'bob-1')]
    other.hear({ signal: 'typing', conversationId: p2p, from: ann, newField: 1 })
    expect(await bobs.next()).toMatchObject({ op: 'typing', conversationId: p2p, from: ann })
    expect(socket.waiting).toEqual([])
  })

  test('of no form that this node knows is left aside', async () => {
    const { socket: bobs } = await server.device(bob, 'bob-1')
    for (const signal of ['{', 'null', '[]', { signal: 'newer' }, { signal: 'typing', from: 7 }]) other.hear(signal)
    other.hear({ signal: 'typing', conversationId: 'p2p:bob:cid', from: ann })
    other.hear({ signal: 'typing', conversationId: p2p, from: ann })
    expect(await bobs.next()).toMatchObject({ op: 'typing', from: ann })
    expect(bobs.waiting).toEqual([])
    expect(server.errors).toEqual([])
  })
})

describe('a socket that a device opened', () => {
  test('is told of with what orders it', async () => {
    await server.device(ann, 'ann-1')
    server.clock.advance(1)
    await server.device(ann, 'ann-1')
    expect(other.told).toEqual([
      { signal: 'opened', userId: ann, sessionId: 'ann-1', openedAs: expect.any(String) },
      { signal: 'opened', userId: ann, sessionId: 'ann-1', openedAs: expect.any(String) },
    ])
    const [first, second] = other.told.map(({ openedAs }) => openedAs as string)
    expect((first as string) < (second as string)).toBe(true)
  })

  test('later on another node replaces the one here, of this device only', async () => {
    const [{ socket }, { socket: kept }] = [await server.device(ann, 'ann-1'), await server.device(ann, 'ann-2')]
    const openedAs = idAt(server.clock.unixMs() + 1)
    other.hear({ signal: 'opened', userId: ann, sessionId: 'ann-1', openedAs })
    expect(await socket.next()).toMatchObject({ op: 'bye', code: 4409, reconnect: 'never' })
    expect(await socket.closed).toEqual({ code: 4409, reason: 'socket.replaced' })
    other.hear({ signal: 'opened', userId: bob, sessionId: 'ann-2', openedAs })
    other.hear({ signal: 'typing', conversationId: p2p, from: bob })
    expect(await kept.next()).toMatchObject({ op: 'typing' })
  })

  test('earlier on another node leaves the one here', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    const openedAs = idAt(server.clock.unixMs() - 1)
    other.hear({ signal: 'opened', userId: ann, sessionId: 'ann-1', openedAs })
    other.hear({ signal: 'typing', conversationId: p2p, from: bob })
    expect(await socket.next()).toMatchObject({ op: 'typing' })
  })
})
