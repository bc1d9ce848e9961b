// Commands that come again, snapshots, and the end of a node: nothing happens twice, and nothing accepted is lost.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { blocklist } from '../../domain/blocklist/blocklist.ts'
import { group } from '../../domain/group/group.ts'
import { identity } from '../../domain/identity/identity.ts'
import { type ConversationId, type GroupId, streamOf, type UserId } from '../../domain/ids.ts'
import { inbox } from '../../domain/inbox/inbox.ts'
import type { Handled } from '../../eventstore/handle.ts'
import { Unavailable } from '../../eventstore/port.ts'
import {
  beatenBy,
  type FaultyStore,
  faultyStoreOver,
  openTestLog,
  type TestLog,
  unavailable,
  wholeStream,
} from '../support/faulty-store.ts'
import { caughtUp, newEvent, startTestNode, type TestNode, turns } from '../support/test-node.ts'

const at = '2026-11-23T08:00:00.000Z' as never
const ann = 'ann' as UserId
const bob = 'bob' as UserId
const stream = streamOf.blocklist(ann)
const claims = streamOf.identity('h')

let log: TestLog
let store: FaultyStore
let node: TestNode
let waitsMs: number[]

/** Waits between tries pass at once. */
const delay = async (milliseconds: number) => {
  waitsMs.push(milliseconds)
}

beforeEach(async () => {
  log = await openTestLog()
  store = faultyStoreOver(log.store)
  waitsMs = []
  node = await startTestNode(store, { delay })
})
afterEach(async () => {
  store.appendGate.open()
  store.subscriptionGate.open()
  await node.close()
  expect(node.errors).toEqual([])
  await log.dispose()
})

const block = (name: string, key?: string, fingerprint = 'print') =>
  node.handle(
    blocklist,
    stream,
    { type: 'BlockUser', userId: ann, blockedId: name as UserId, at },
    { facts: undefined, ...(key === undefined ? undefined : { key: { caller: 'ann', key, fingerprint } }) },
  )
const unblock = (name: string) =>
  node.handle(
    blocklist,
    stream,
    { type: 'UnblockUser', userId: ann, blockedId: name as UserId, at },
    { facts: undefined },
  )
const claim = (userId: UserId) =>
  node.handle(identity, claims, { type: 'ClaimIdentity', kind: 'userName', userId, at }, { facts: undefined })
const blocked = (name: string) => newEvent('UserBlocked', { userId: ann, blockedId: name, at })

const namesIn = async (of = stream) =>
  (await wholeStream(log.store, of)).map(({ type, data }) =>
    type === 'UserUnblocked'
      ? `-${(data as { blockedId: string }).blockedId}`
      : (data as { blockedId: string }).blockedId,
  )
/** The outcome of a command that was not refused. */
const done = async <State, Event>(outcome: Promise<Handled<State, Event> | object>): Promise<Handled<State, Event>> => {
  const found = await outcome
  expect(found).not.toHaveProperty('rejected')
  return found as Handled<State, Event>
}
/** The commands given while another one is on its way wait together. */
const whileOneIsOnItsWay = async <Result>(give: () => Result): Promise<Result> => {
  store.appendGate.shut()
  const first = block('first')
  await turns(3)
  const given = give()
  await turns(3)
  store.appendGate.open()
  await first
  return given
}
describe('a repeated command', () => {
  test('gets the first position', async () => {
    const first = await done(block('a', 'key'))
    await done(block('b', 'other'))
    expect(await block('a', 'key')).toMatchObject({ position: first.position, repeated: true, events: [] })
    expect(await namesIn()).toEqual(['a', 'b'])
  })

  test('gets the first position also beside another command, right after the first', async () => {
    const first = await done(block('a', 'key'))
    store.appendGate.shut()
    const on = unblock('a')
    await turns(3)
    const [repeat, next] = [block('a', 'key'), block('b')]
    store.appendGate.open()
    await Promise.all([on, next])
    expect(await repeat).toMatchObject({ position: first.position, repeated: true })
  })

  test('in the same append does not happen twice', async () => {
    const [one, again] = await whileOneIsOnItsWay(() => [block('a', 'key'), block('a', 'key')] as const)
    expect(await again).toMatchObject({ position: (await done(one)).position, repeated: true })
    expect(await namesIn()).toEqual(['first', 'a'])
  })

  test('with another body is refused', async () => {
    await done(block('a', 'key'))
    expect(await block('b', 'key', 'another print')).toMatchObject({ rejected: 'idempotency.mismatch' })
    const [, other] = await whileOneIsOnItsWay(() => [block('c', 'new'), block('d', 'new', 'another print')] as const)
    expect(await other).toMatchObject({ rejected: 'idempotency.mismatch' })
    expect(await namesIn()).toEqual(['a', 'first', 'c'])
  })

  test('of another caller is another command', async () => {
    await done(block('a', 'key'))
    const key = { caller: 'bob', key: 'key', fingerprint: 'print' }
    const command = { type: 'BlockUser', userId: ann, blockedId: 'b' as UserId, at } as const
    expect(await node.handle(blocklist, stream, command, { facts: undefined, key })).toMatchObject({ repeated: false })
  })

  test('that was refused the first time is decided again', async () => {
    await claim(bob)
    const key = { caller: 'ann', key: 'key', fingerprint: 'print' }
    const anns = { type: 'ClaimIdentity', kind: 'userName', userId: ann, at } as const
    const give = () => node.handle(identity, claims, anns, { facts: undefined, key })
    expect(await give()).toMatchObject({ rejected: 'identity.taken' })
    const release = { type: 'ReleaseIdentity', kind: 'userName', userId: bob, replacedAt: at, at } as const
    await node.handle(identity, claims, release, { facts: undefined })
    expect(await give()).toMatchObject({ repeated: false, state: { claimedBy: ann } })
  })

  test('is known after a restart, as one of the last 64 of its stream', async () => {
    const positions: string[] = []
    for (let index = 0; index < 70; index++) positions.push((await done(block(`user${index}`, `key${index}`))).position)
    await restart()
    for (const index of [6, 40, 69]) {
      expect(await block(`user${index}`, `key${index}`)).toMatchObject({ position: positions[index], repeated: true })
    }
    expect(await block('user5', 'key5')).toMatchObject({ repeated: false, events: [] })
    expect(await namesIn()).toHaveLength(70)
  })

  test('is known after a restart also where a stream is loaded by its last event', async () => {
    const conversationId = 'group:g1' as ConversationId
    const give = (pinned: boolean, key?: string) =>
      node.handle(
        inbox,
        streamOf.inbox(ann, conversationId),
        { type: 'SetConversation', pinned, userId: ann, conversationId, at },
        {
          facts: { lastSeq: 5, floorSeq: 0, announcementSeen: 0, pinnedCount: 0 },
          ...(key === undefined ? undefined : { key: { caller: 'ann', key, fingerprint: 'print' } }),
        },
      )
    const pinned = await done(give(true, 'pin'))
    await done(give(false))
    await restart()
    // A pin that was taken off again must not come back because its request did.
    expect(await give(true, 'pin')).toMatchObject({ position: pinned.position, repeated: true })
    expect(await wholeStream(log.store, streamOf.inbox(ann, conversationId))).toHaveLength(2)
    store.reads.length = 0
    await done(give(true, 'again'))
    expect(store.reads).toEqual([])
  })

  test('of several events gets the same position before and after a restart', async () => {
    const groupId = 'g' as GroupId
    const groupStream = streamOf.group(groupId)
    const create = {
      type: 'CreateGroup',
      groupId,
      name: 'G',
      memberIds: [bob],
      inviteeConsent: 'none',
      requestId: 'r',
      memberLimit: 10,
      inviteMode: 'managers',
    }
    await node.handle(group, groupStream, { ...create, by: ann, at } as never, { facts: { groupsCreated: 0 } })
    const give = () =>
      node.handle(
        group,
        groupStream,
        { type: 'TransferGroup', to: bob, leave: true, ownsMost: false, by: ann, at },
        { facts: undefined, key: { caller: 'ann', key: 'key', fingerprint: 'print' } },
      )
    const first = await done(give())
    expect(first.events).toHaveLength(2)
    expect(await give()).toMatchObject({ position: first.position, repeated: true })
    await restart()
    expect(await give()).toMatchObject({ position: first.position, repeated: true })
  })
})

const restart = async () => {
  await node.close()
  store = faultyStoreOver(await log.reopen())
  node = await startTestNode(store)
}

describe('snapshots', () => {
  const newest = async () => {
    const [event] = await log.store.read(streamOf.snapshot(stream), { from: 'end', direction: 'backwards', limit: 1 })
    return event?.data as { revision: number; version: number } | undefined
  }
  const blockUpTo = async (count: number) => {
    const before = (await namesIn()).length
    for (let index = before; index < count; index++) await block(`user${index}`)
  }

  test('are written once every so many events', async () => {
    await blockUpTo(200)
    expect(await newest()).toBeUndefined()
    await blockUpTo(201)
    await node.close()
    expect(await newest()).toMatchObject({ revision: 200, version: 1 })
  })

  test('that fail do not fail the command, and are told of', async () => {
    store.faults.push({ fault: unavailable, stream: streamOf.snapshot(stream) })
    await blockUpTo(201)
    await node.close()
    expect(node.errors.splice(0)).toEqual([expect.any(Unavailable)])
    expect(await namesIn()).toHaveLength(201)
  })

  test('of another process at the same time are as good as our own', async () => {
    const snapshot = newEvent('StateSnapshotted', { version: 1, revision: 200 })
    store.faults.push({ fault: beatenBy(log.store, snapshot), stream: streamOf.snapshot(stream) })
    await blockUpTo(201)
    await node.close()
    expect(await newest()).toMatchObject({ revision: 200 })
  })

  test('never go back', async () => {
    const snapshot = newEvent('StateSnapshotted', { version: 1, revision: 300 })
    await log.store.append(streamOf.snapshot(stream), [snapshot], 'none')
    const { createStates } = await import('../../eventstore/states.ts')
    const { createHandle } = await import('../../eventstore/handle.ts')
    const states = createStates({
      ...log.store,
      read: async () => [],
      append: log.store.append.bind(log.store),
    } as never)
    const own = { store: log.store, states, observe: states.apply, guard: () => {}, onError: () => {} }
    const { handle, whenIdle } = createHandle(own)
    const commands = Array.from({ length: 201 }, (_, index) =>
      handle(
        blocklist,
        stream,
        { type: 'BlockUser', userId: ann, blockedId: `u${index}` as UserId, at },
        { facts: undefined },
      ),
    )
    await Promise.all(commands)
    await whenIdle()
    expect(await newest()).toMatchObject({ revision: 300 })
  })
})

describe('a node that shuts down', () => {
  test('finishes what it accepted and takes nothing more', async () => {
    store.appendGate.shut()
    const accepted = [block('a'), block('b'), block('c')]
    await turns(3)
    const closing = node.close()
    await expect(block('too late')).rejects.toThrow(Unavailable)
    store.appendGate.open()
    await Promise.all(accepted.map(done))
    await closing
    expect(await namesIn()).toEqual(['a', 'b', 'c'])
  })
})

test('what another node appends is seen without a read', async () => {
  await done(block('a'))
  const { revision } = await log.store.append(stream, [blocked('theirs')], 0)
  await caughtUp(node)
  store.reads.length = 0
  const { state } = await done(block('b'))
  expect([...state.blocked]).toEqual(['a', 'theirs', 'b'])
  expect([revision, node.counters.conflicts, store.reads]).toEqual([1, 0, []])
})
