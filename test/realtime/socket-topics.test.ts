// One device's socket, over real connections: one a device, its end, typing, and the members of a group on request.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { GroupId } from '../../domain/ids.ts'
import { openGroupsMax, typingBurstMax } from '../../realtime/protocol.ts'
import { hello, type LiveServer, openLiveServer } from '../support/live-server.ts'
import type { RawSocket } from '../support/raw-socket.ts'
import { ann, bob, cid, groupCreated, groupId, inGroup, membersRemoved, p2p } from '../support/routing.ts'
import { changePassword, closeSession, newEvent, turns, whenTrue } from '../support/test-node.ts'

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
const append = async (stream: string, ...events: readonly { type: string; data: object }[]) => {
  const [last] = await server.log.store.read(stream, { from: 'end', direction: 'backwards', limit: 1 })
  const made = events.map(({ type, data }) => newEvent(type, data))
  await server.log.store.append(stream, made, last?.revision ?? 'none')
  await server.routed()
}

describe('one socket a device', () => {
  test('a newer one replaces the older', async () => {
    const { socket: older } = await server.device(ann, 'ann-1')
    const { socket: other } = await server.device(ann, 'ann-2')
    const { socket: newer } = await server.device(ann, 'ann-1')
    const { bye, closed } = await byeOf(older)
    expect(bye).toMatchObject({ code: 4409, reconnect: 'never' })
    expect(closed).toEqual({ code: 4409, reason: 'socket.replaced' })
    await server.say(bob, p2p)
    for (const socket of [other, newer]) await socket.nextUntil(frame => frame.collection === 'messages')
  })

  test('also while both are still syncing', async () => {
    const { snapshot } = server
    let release = () => {}
    const held = new Promise<void>(resolve => {
      release = resolve
    })
    server.snapshot = async (...args) => {
      const read = await snapshot(...args)
      await held
      return read
    }
    const sockets = [await server.connect(), await server.connect()] as const
    for (const socket of sockets) socket.sendJson(hello('ann/ann-1'))
    await whenTrue(() => server.snapshots.length === 2)
    release()
    expect((await sockets[0].closed).code).toBe(4409)
    await sockets[1].nextUntil(frame => frame.op === 'synced')
  })
})

describe('the end of a session', () => {
  test('cuts its socket with a word, and no other', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    const { socket: other } = await server.device(ann, 'ann-2')
    await closeSession(server.node, ann, 'ann-1' as never)
    const { before, bye, closed } = await byeOf(socket)
    expect(before).toMatchObject([{ op: 'remove', collection: 'sessions', id: 'ann-1' }])
    expect([bye.code, closed.code, bye.reconnect]).toEqual([4403, 4403, 'never'])
    expect(await other.next()).toMatchObject({ op: 'remove', collection: 'sessions', id: 'ann-1' })
  })

  test('by a change of the password cuts all but the kept one', async () => {
    const { socket } = await server.device(ann, 'ann-1')
    const { socket: kept } = await server.device(ann, 'ann-2')
    await changePassword(server.node, ann, 'ann-2' as never)
    expect((await byeOf(socket)).closed.code).toBe(4403)
    expect(await kept.next()).toMatchObject({ op: 'remove', collection: 'sessions', id: 'ann-1' })
  })

  test('during the sync ends the socket', async () => {
    const { snapshot } = server
    server.snapshot = async (...args) => {
      const read = await snapshot(...args)
      await closeSession(server.node, ann, 'ann-1' as never)
      await server.routed()
      return read
    }
    const socket = await server.connect()
    socket.sendJson(hello('ann/ann-1'))
    expect((await byeOf(socket)).closed.code).toBe(4403)
  })
})

describe('typing', () => {
  const typing = (conversationId: string) => ({ op: 'typing', args: { conversationId } })

  test('is told to the other one, and stored nowhere', async () => {
    const [{ socket }, { socket: bobs }] = [await server.device(ann, 'ann-1'), await server.device(bob, 'bob-1')]
    const head = await server.log.store.head()
    socket.sendJson(typing(p2p))
    expect(await bobs.next()).toEqual({
      op: 'typing',
      conversationId: p2p,
      from: ann,
      expiresInSeconds: expect.any(Number),
    })
    expect(await server.log.store.head()).toBe(head)
  })

  test('is not told to strangers, nor to one who blocked, nor about others', async () => {
    const [{ socket }, { socket: bobs }] = [await server.device(ann, 'ann-1'), await server.device(bob, 'bob-1')]
    await append('blocklist-bob', {
      type: 'UserBlocked',
      data: { userId: bob, blockedId: ann, at: server.clock.now() },
    })
    await append('group-g1', groupCreated(0, [cid]))
    socket.sendJson(typing(p2p))
    socket.sendJson(typing('p2p:bob:cid'))
    socket.sendJson(typing('nonsense'))
    socket.sendJson({ op: 'typing', args: { conversationId: 7 } })
    const { socket: cids } = await server.device(cid, 'cid-1')
    cids.sendJson(typing('p2p:bob:cid'))
    expect((await bobs.nextUntil(frame => frame.op === 'typing')).at(-1)).toMatchObject({ from: cid })
    expect(bobs.waiting).toEqual([])
  })

  test('again and again is told now and then', async () => {
    const [{ socket }, { socket: bobs }] = [await server.device(ann, 'ann-1'), await server.device(bob, 'bob-1')]
    for (let times = 0; times < typingBurstMax + 5; times++) socket.sendJson(typing(p2p))
    socket.sendJson({ op: 'anything', id: 'after' })
    await socket.nextUntil(frame => frame.re === 'after')
    server.clock.advance(1_000)
    socket.sendJson(typing(p2p))
    await server.say(cid, 'p2p:bob:cid' as never)
    const heard = await bobs.nextUntil(({ collection }) => collection === 'messages')
    expect(heard.filter(({ op }) => op === 'typing')).toHaveLength(typingBurstMax + 1)
  })

  test('in a group is told to its members', async () => {
    await append('group-g1', groupCreated(0, [bob]))
    server.snapshot = async userId => ({
      position: server.node.position,
      tooOld: false,
      collections: [],
      groupIds: userId === cid ? [] : [groupId],
      peerIds: [],
      hidden: [],
      lastSeen: [],
    })
    const devices = [
      await server.device(ann, 'ann-1'),
      await server.device(bob, 'bob-1'),
      await server.device(cid, 'cid-1'),
    ]
    devices[2]?.socket.sendJson(typing(inGroup))
    devices[0]?.socket.sendJson(typing(inGroup))
    expect(await devices[1]?.socket.next()).toMatchObject({ op: 'typing', conversationId: inGroup, from: ann })
    expect([devices[1]?.socket.waiting, devices[2]?.socket.waiting]).toEqual([[], []])
  })
})

describe('the members of a group', () => {
  const open = (id: string, group: string = groupId) => ({
    op: 'open',
    id,
    args: { collection: 'members', groupId: group },
  })
  const inTheGroup = async () => {
    await append('group-g1', groupCreated(0, [bob, cid]))
    server.snapshot = async () => ({
      position: server.node.position,
      tooOld: false,
      collections: [],
      groupIds: [groupId, ...Array.from({ length: 30 }, (_, index) => `g1${index}` as GroupId)],
      peerIds: [],
      hidden: [],
      lastSeen: [],
    })
    server.members = async () => ({ position: server.node.position, items: ['{"userId":"ann"}', '{"userId":"bob"}'] })
    return server.device(ann, 'ann-1')
  }

  test('are read one group after the other, however many are opened at once', async () => {
    const { socket } = await inTheGroup()
    const { members } = server
    let [reading, most] = [0, 0]
    server.members = async (...args) => {
      most = Math.max(most, ++reading)
      await turns()
      reading--
      return members(...args)
    }
    for (const id of ['1', '2', '3']) socket.sendJson(open(id))
    const frames = await socket.nextUntil(({ re }) => re === '3')
    expect(frames.filter(({ op }) => op === 'rows')).toHaveLength(3)
    expect(most).toBe(1)
  })

  test('come as rows, and then as what changes', async () => {
    const { socket } = await inTheGroup()
    socket.sendJson(open('o'))
    expect(await socket.next()).toEqual({
      op: 'rows',
      collection: 'members',
      items: [{ userId: ann }, { userId: bob }],
    })
    expect(await socket.next()).toEqual({ re: 'o', ok: {} })
    await append('group-g1', { type: 'AdminAdded', data: { groupId, userId: bob, by: ann, at: server.clock.now() } })
    expect(await socket.next()).toMatchObject({
      op: 'patch',
      collection: 'members',
      id: 'g1#bob',
      set: { role: 'admin' },
    })
    socket.sendJson({ ...open('c'), op: 'close' })
    expect(await socket.next()).toEqual({ re: 'c', ok: {} })
    await append('group-g1', { type: 'AdminRemoved', data: { groupId, userId: bob, by: ann, at: server.clock.now() } })
    await server.say(bob, p2p)
    const later = await socket.nextUntil(frame => frame.collection === 'messages')
    expect(later.map(({ collection }) => collection)).not.toContain('members')
  })

  test('that changed while the rows were read come as well', async () => {
    const { socket } = await inTheGroup()
    server.members = async () => {
      const { position } = server.node
      await append('group-g1', { type: 'AdminAdded', data: { groupId, userId: bob, by: ann, at: server.clock.now() } })
      return { position, items: ['{"userId":"bob"}'] }
    }
    socket.sendJson(open('o'))
    const frames = await socket.nextUntil(frame => frame.re === 'o')
    expect(frames).toMatchObject([{ op: 'rows' }, { op: 'patch', set: { role: 'admin' } }, { ok: {} }])
  })

  test('of the largest group fit through', async () => {
    const { socket } = await inTheGroup()
    const items = Array.from({ length: 5_000 }, (_, index) =>
      JSON.stringify({ userId: `u${index}`, filler: 'x'.repeat(400) }),
    )
    server.members = async () => ({ position: server.node.position, items })
    socket.pause()
    socket.sendJson(open('o'))
    await turns(200)
    socket.resume()
    const frames = await socket.nextUntil(frame => frame.re === 'o')
    expect(frames.flatMap(frame => frame.items ?? [])).toHaveLength(5_000)
  })

  test('are there for one who has just come in, once the read models know', async () => {
    const { socket } = await inTheGroup()
    const { members } = server
    const created = await server.log.store.read('group-g1', { from: 'start', direction: 'forwards', limit: 1 })
    const waitedFor: string[] = []
    server.members = async (...args) => (waitedFor.length === 0 ? undefined : members(...args))
    server.folded = async position => waitedFor.push(position) > 0
    socket.sendJson(open('o'))
    expect(await socket.nextUntil(({ re }) => re === 'o')).toMatchObject([{ op: 'rows' }, { ok: {} }])
    expect(waitedFor).toEqual([created[0]?.position])
  })

  test('are asked for again where the read models do not know in time', async () => {
    const { socket } = await inTheGroup()
    server.members = async () => undefined
    server.folded = async () => false
    socket.sendJson(open('o'))
    expect(await socket.next()).toMatchObject({ re: 'o', error: { code: 'projection.behind', retryable: true } })
  })

  test('are shown to members only', async () => {
    const { socket } = await inTheGroup()
    server.members = async () => undefined
    server.folded = async () => {
      throw new Error('nobody has to wait for a stranger')
    }
    socket.sendJson(open('o', 'another'))
    expect(await socket.next()).toMatchObject({ re: 'o', error: { code: 'group.not-found' } })
    server.members = async () => ({ position: server.node.position, items: [] })
    socket.sendJson(open('p', 'another'))
    expect(await socket.next()).toMatchObject({ re: 'p', error: { code: 'group.not-found' } })
  })

  test('are not told of any more to one who was removed', async () => {
    const { socket } = await inTheGroup()
    socket.sendJson(open('o'))
    await socket.nextUntil(frame => frame.re === 'o')
    await append('group-g1', membersRemoved(0, [ann]))
    await append('group-g1', { type: 'AdminAdded', data: { groupId, userId: bob, by: ann, at: server.clock.now() } })
    await server.say(bob, p2p)
    const frames = await socket.nextUntil(frame => frame.collection === 'messages')
    expect(frames.map(({ collection }) => collection)).not.toContain('members')
  })

  test('of a bounded number of groups are open at once', async () => {
    const { socket } = await inTheGroup()
    for (let index = 0; index < openGroupsMax; index++) socket.sendJson(open(`o${index}`, `g1${index}`))
    await socket.nextUntil(frame => frame.re === `o${openGroupsMax - 1}`)
    socket.sendJson(open('more'))
    expect((await socket.nextUntil(frame => frame.re === 'more')).at(-1)).toMatchObject({
      error: { code: 'open.limit' },
    })
    socket.sendJson({ ...open('c', 'g10'), op: 'close' })
    socket.sendJson(open('again'))
    expect((await socket.nextUntil(frame => frame.re === 'again')).at(-1)).toMatchObject({ ok: {} })
  })

  test('are asked for in words the server knows', async () => {
    const { socket } = await inTheGroup()
    socket.sendJson({ op: 'open', id: 'o', args: { collection: 'everything' } })
    expect(await socket.next()).toMatchObject({ re: 'o', error: { code: 'request.invalid', retryable: false } })
  })
})
