// What one process holds over the log: current, in order, and silent when it is behind.

import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { blocklist } from '../../domain/blocklist/blocklist.ts'
import { type Position, streamOf, type UserId } from '../../domain/ids.ts'
import { behindMsMax, headIntervalMs } from '../../eventstore/freshness.ts'
import { Behind } from '../../eventstore/node.ts'
import { Unavailable } from '../../eventstore/port.ts'
import { type FaultyStore, faultyStoreOver, openTestLog, type TestLog } from '../support/faulty-store.ts'
import {
  beginAccount,
  caughtUp,
  changePassword,
  claimIdentity,
  closeSession,
  eventually,
  type HandClock,
  handClock,
  newEvent,
  openAccount,
  openSession,
  releaseIdentity,
  startTestNode,
  type TestNode,
  turns,
  whenTrue,
} from '../support/test-node.ts'

const ann = 'ann' as UserId
const bob = 'bob' as UserId

let log: TestLog
let clock: HandClock
let store: FaultyStore
let node: TestNode

beforeEach(async () => {
  log = await openTestLog()
  clock = handClock()
  store = faultyStoreOver(log.store)
})
afterEach(async () => {
  store.subscriptionGate.open()
  await node.close()
  await log.dispose()
})
const start = async () => {
  node = await startTestNode(store, { clock })
}

const block = (name: string) =>
  node.handle(
    blocklist,
    streamOf.blocklist(ann),
    { type: 'BlockUser', userId: ann, blockedId: name as UserId, at: clock.now() },
    { facts: undefined },
  )
const blocked = (name: string) => newEvent('UserBlocked', { userId: ann, blockedId: name, at: clock.now() })

describe('a node that is behind', () => {
  const timeByHand = () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    onTestFinished(() => {
      vi.useRealTimers()
    })
  }
  const pass = async (milliseconds: number) => {
    for (let passed = 0; passed < milliseconds; passed += headIntervalMs) {
      clock.advance(headIntervalMs)
      vi.advanceTimersByTime(headIntervalMs)
      await turns()
    }
  }

  test('says so, decides nothing, and goes on when it has caught up', async () => {
    timeByHand()
    await start()
    const changes: boolean[] = []
    node.onBehind(behind => changes.push(behind))
    await block('before')
    await caughtUp(node)
    store.subscriptionGate.shut()
    await log.store.append(streamOf.blocklist(bob), [newEvent('UserBlocked', { userId: bob, blockedId: ann })], 'none')
    await pass(headIntervalMs)
    await block('soon')
    await pass(headIntervalMs + behindMsMax + headIntervalMs)
    expect([node.behind, changes]).toEqual([true, [true]])
    await expect(block('late')).rejects.toThrow(Behind)
    store.subscriptionGate.open()
    await caughtUp(node)
    await pass(headIntervalMs)
    expect([node.behind, changes]).toEqual([false, [true, false]])
    expect(await block('again')).toMatchObject({ revision: 2 })
  })

  test('because its subscription died stays so, and tells why', async () => {
    timeByHand()
    store.subscribe = () => ({
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          throw new Error('the log is damaged')
        },
      }),
    })
    await start()
    await turns()
    await pass(10_000)
    expect(node.behind).toBe(true)
    expect(node.errors).toEqual([expect.objectContaining({ message: 'the log is damaged' })])
    await expect(block('any')).rejects.toThrow(Behind)
  })
})

describe('the events of the log', () => {
  test('are told in order, after the states have moved past them', async () => {
    await start()
    await node.load(blocklist, streamOf.blocklist(ann))
    const told: string[] = []
    node.onEvents(events => {
      for (const event of events) {
        const held = node.states.peek<{ blocked: ReadonlySet<string> }>(event.stream)
        const { blockedId } = event.data as { blockedId: string }
        told.push(`${blockedId} ${held?.state.blocked.has(blockedId)} ${node.position >= event.position}`)
      }
    })
    await log.store.append(streamOf.blocklist(ann), ['a', 'b'].map(blocked), 'none')
    await log.store.append(streamOf.blocklist(ann), [blocked('c')], 1)
    await eventually(node, () => told.length === 3)
    expect(told).toEqual(['a true true', 'b true true', 'c true true'])
    expect(node.eventsSeen).toBe(3)
  })

  test('reach everybody, also when one cannot bear them', async () => {
    await start()
    const told: number[] = []
    node.onEvents(() => {
      throw new Error('cannot bear it')
    })
    node.onEvents(events => told.push(events.length))
    await block('a')
    await caughtUp(node)
    await block('b')
    await caughtUp(node)
    expect(told).toEqual([1, 1])
    expect(node.errors).toHaveLength(2)
    expect(node.behind).toBe(false)
  })

  test('are waited for by those who ask for a place, and not for ever', async () => {
    await start()
    store.subscriptionGate.shut()
    const done = (await block('bob')) as { position: Position }
    let seen: boolean | undefined
    const waiting = node.whenSeen(done.position, 60_000).then(answer => {
      seen = answer
    })
    expect(await node.whenSeen(done.position, 1)).toBe(false)
    expect(seen).toBeUndefined()
    store.subscriptionGate.open()
    await waiting
    expect(seen).toBe(true)
    expect(await node.whenSeen(done.position, 0)).toBe(true)
  })

  test('of before the start are not told', async () => {
    await log.store.append(streamOf.blocklist(ann), [blocked('old')], 'none')
    await start()
    const told: unknown[] = []
    node.onEvents(events => told.push(...events.map(({ data }) => data)))
    expect(node.position).toBe(await log.store.head())
    await log.store.append(streamOf.blocklist(ann), [blocked('new')], 0)
    await eventually(node, () => told.length > 0)
    expect(told).toMatchObject([{ blockedId: 'new' }])
  })
})

test('a state that the subscription does not reach in time is an error, and is read again later', async () => {
  await start()
  store.subscriptionGate.shut()
  await log.store.append(streamOf.blocklist(ann), [blocked('a')], 'none')
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const loading = Promise.resolve(node.load(blocklist, streamOf.blocklist(ann)))
  const failed = expect(loading).rejects.toThrow(Unavailable)
  await turns()
  vi.advanceTimersByTime(2_000)
  vi.useRealTimers()
  await failed
  store.subscriptionGate.open()
  expect(await node.load(blocklist, streamOf.blocklist(ann))).toMatchObject({ revision: 0 })
})

describe('an account', () => {
  test('is live once its identity is claimed for it, and as long as it is', async () => {
    await start()
    expect(await node.isLive(ann)).toBe(false)
    await beginAccount(node, ann)
    expect(await node.isLive(ann)).toBe(false)
    await claimIdentity(node, ann)
    expect(node.isLive(ann)).toBe(true)
    await releaseIdentity(node, ann)
    expect(node.isLive(ann)).toBe(false)
  })

  test('is not live by an identity that somebody else holds', async () => {
    await start()
    await beginAccount(node, ann)
    const hmac = `identity-hmac-${ann}`
    await log.store.append(
      hmac,
      [newEvent('IdentityClaimed', { kind: 'userName', userId: bob, at: clock.now() })],
      'none',
    )
    await caughtUp(node)
    expect(await node.isLive(ann)).toBe(false)
  })
})

describe('a session', () => {
  beforeEach(async () => {
    await start()
    await openAccount(node, ann)
  })

  test('is valid from its opening to its end', async () => {
    const sessionId = await openSession(node, ann, 's1')
    expect(await node.sessionIsValid(ann, sessionId)).toBe(true)
    expect(await node.sessionIsValid(bob, sessionId)).toBe(false)
    await closeSession(node, ann, sessionId)
    expect(node.sessionIsValid(ann, sessionId)).toBe(false)
  })

  test('ends with a change of the password, save the one that is kept', async () => {
    const [kept, lost] = [await openSession(node, ann, 'kept'), await openSession(node, ann, 'lost')]
    await changePassword(node, ann, kept)
    expect(await node.sessionIsValid(ann, kept)).toBe(true)
    expect(await node.sessionIsValid(ann, lost)).toBe(false)
  })

  test('that another node ended is not valid here once the log has told', async () => {
    const sessionId = await openSession(node, ann, 's1')
    expect(await node.sessionIsValid(ann, sessionId)).toBe(true)
    const other = await startTestNode(faultyStoreOver(log.store), { clock })
    await closeSession(other, ann, sessionId)
    await other.close()
    await whenTrue(() => node.sessionIsValid(ann, sessionId) === false)
  })
})
