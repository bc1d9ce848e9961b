// What becomes of friendships by themselves: requests that nobody answered in time, and the friends of a closed account.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { friendship } from '../../domain/friendship/friendship.ts'
import { streamOf, type UserId } from '../../domain/ids.ts'
import { openEmbeddedStore } from '../../eventstore/embedded.ts'
import type { EventStore } from '../../eventstore/port.ts'
import { endFriendshipsOf, friendRequestExpiry } from '../../followers/friendships.ts'
import { friendRequestsOf, friendsOf } from '../../projections/friend-lists.ts'
import { type Runner, startRunner } from '../../projections/runner.ts'
import { facts, room } from '../support/friendship.ts'
import { openTestDatabase, silentLogger, type TestDatabase } from '../support/read-models.ts'
import { type HandClock, handClock, startTestNode, type TestNode } from '../support/test-node.ts'

const [ann, bob, cid] = ['ann', 'bob', 'cid'] as unknown as [UserId, UserId, UserId]
const week = 7 * 86_400_000

let dataDir: string
let store: EventStore
let opened: TestDatabase
let runner: Runner
let clock: HandClock
let node: TestNode
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'friendships-'))
  store = await openEmbeddedStore({ dataDir, logger: silentLogger })
  opened = await openTestDatabase('pglite')
  runner = await startRunner({ store, database: opened.database, logger: silentLogger })
  clock = handClock()
  node = await startTestNode(store, { clock })
})
afterEach(async () => {
  await node.close()
  await runner.stop()
  await opened.dispose()
  await store.close()
  await rm(dataDir, { recursive: true, force: true })
})

let number = 0
const ask = (by: UserId, userId: UserId) => {
  const command = { type: 'RequestFriend', by, userId, requestId: `r${++number}`, at: clock.now() } as const
  return node.handle(friendship, streamOf.friendship(by, userId), command, { facts: facts() })
}
const accept = (by: UserId, userId: UserId) => {
  const command = { type: 'AcceptFriendRequest', by, userId, at: clock.now() } as const
  return node.handle(friendship, streamOf.friendship(by, userId), command, { facts: room() })
}
const readable = async () => expect(await runner.passed(await store.head(), 10_000)).toBe(true)
const job = () => friendRequestExpiry(node, opened.database, (position, ms) => runner.passed(position, ms))
const states = async (userId: UserId) => {
  await readable()
  const { items } = await friendRequestsOf(opened.database, userId, { limit: 10 })
  return items.map(({ userId: peer, state }) => `${peer} ${state}`).toSorted()
}

describe('friend requests that nobody answered', () => {
  test('expire once their time is over, each once', async () => {
    await ask(ann, bob)
    clock.advance(1_000)
    await ask(ann, cid)
    await readable()
    expect(await job().run()).toBe(0)
    clock.advance(week - 1_000)
    expect(await job().run()).toBe(1)
    expect(await states(ann)).toEqual(['bob expired', 'cid pending'])
    expect(await job().run()).toBe(0)
    clock.advance(1_000)
    expect(await job().run()).toBe(1)
    expect(await states(cid)).toEqual(['ann expired'])
  })

  test('are said to be over by two servers at once as by one', async () => {
    await ask(ann, bob)
    await readable()
    clock.advance(week)
    const other = await startTestNode(store, { clock })
    const passed = (position: never, ms: number) => runner.passed(position, ms)
    await Promise.all([job().run(), friendRequestExpiry(other, opened.database, passed as never).run()])
    await other.close()
    const events = await store.read(streamOf.friendship(ann, bob), { from: 0, direction: 'forwards', limit: 10 })
    expect(events.map(({ type }) => type)).toEqual(['FriendRequested', 'FriendRequestExpired'])
  })

  test('of a great number expire slice by slice', async () => {
    const many = Array.from({ length: 450 }, (_, index) => `u${index}` as UserId)
    await Promise.all(many.map(userId => ask(userId, ann)))
    await readable()
    clock.advance(week)
    expect(await job().run()).toBe(450)
    await readable()
    expect(await job().run()).toBe(0)
  })
})

test('the friends and requests of a closed account end, for the others as well', async () => {
  await ask(ann, bob)
  await accept(bob, ann)
  await ask(ann, cid)
  await ask('dan' as UserId, ann)
  await readable()
  await endFriendshipsOf(node, opened.database, ann)
  expect(await states(ann)).toEqual(['bob accepted', 'cid withdrawn', 'dan expired'])
  for (const userId of [ann, bob]) {
    expect(await friendsOf(opened.database, userId, { limit: 10 })).toMatchObject({ items: '', next: null })
  }
  const head = await store.head()
  await endFriendshipsOf(node, opened.database, ann)
  expect(await store.head()).toBe(head)
})
