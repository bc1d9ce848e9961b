// How a follower walks the log: from its own cursor, in order, at least once, and never for ever after its own tail.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { blocklist } from '../../domain/blocklist/blocklist.ts'
import { type Position, streamOf, type UserId } from '../../domain/ids.ts'
import type { RecordedEvent } from '../../eventstore/port.ts'
import { type Follower, type RunningFollower, startFollower, stuckMsMin, tellAgainMs } from '../../followers/runner.ts'
import { type FaultyStore, faultyStoreOver, openTestLog, type TestLog, unavailable } from '../support/faulty-store.ts'
import {
  caughtUp,
  type HandClock,
  newEvent,
  startTestNode,
  type TestNode,
  turns,
  whenTrue,
} from '../support/test-node.ts'

const ann = 'ann' as UserId
const name = 'test'
const cursorStream = streamOf.follower(name)

let log: TestLog
let store: FaultyStore
let node: TestNode
let running: RunningFollower[]
let seen: string[]
let errors: unknown[]

beforeEach(async () => {
  log = await openTestLog()
  running = []
  seen = []
  errors = []
  await startNode()
})
afterEach(async () => {
  store.appendGate.open()
  store.subscriptionGate.open()
  await stop()
  await log.dispose()
})

const startNode = async () => {
  store = faultyStoreOver(log.store)
  node = await startTestNode(store)
}
const stop = async () => {
  await Promise.all(running.splice(0).map(follower => follower.stop()))
  await node.close()
}
const restart = async () => {
  await stop()
  await log.reopen()
  await startNode()
}

const nameOf = (event: RecordedEvent) => (event.data as { blockedId?: string }).blockedId ?? event.type
/** Follows blocks: what a side effect would be done for. */
const react: Follower['react'] = async events => {
  const blocks = events.filter(({ type }) => type === 'UserBlocked')
  seen.push(...blocks.map(nameOf))
  return blocks.length > 0
}
const follow = (reaction: Follower['react'] = react): RunningFollower => {
  const follower = startFollower(node, { name, react: reaction }, error => errors.push(error))
  running.push(follower)
  return follower
}
const block = (blocked: string) =>
  node.handle(
    blocklist,
    streamOf.blocklist(ann),
    { type: 'BlockUser', userId: ann, blockedId: blocked as UserId, at: node.clock.now() },
    { facts: undefined },
  )
const storedCursor = async (): Promise<Position | undefined> => {
  const [event] = await log.store.read(cursorStream, { from: 'end', direction: 'backwards', limit: 1 })
  return (event?.data as { position?: Position } | undefined)?.position
}
const whenCursorAt = async (position: Position) => {
  await whenTrue(() => {
    const held = node.states.peek<{ position: Position | null }>(cursorStream)
    return (held?.state.position ?? '') >= position
  })
}

test('a new follower begins with the log, and goes on with what comes, in order', async () => {
  for (const blocked of ['a', 'b']) await block(blocked)
  follow()
  await whenTrue(() => seen.length === 2)
  for (const blocked of ['c', 'd']) await block(blocked)
  await whenTrue(() => seen.length === 4)
  expect(seen).toEqual(['a', 'b', 'c', 'd'])
})

test('a follower goes on after a restart where it was, and does nothing twice', async () => {
  follow()
  await block('a')
  const { position } = (await block('b')) as { position: Position }
  await whenCursorAt(position)
  await restart()
  follow()
  await block('c')
  await whenTrue(() => seen.includes('c'))
  expect(seen).toEqual(['a', 'b', 'c'])
})

test('what was done but not noted before a crash is done again', async () => {
  store.faults.push({ fault: () => new Promise(() => {}), stream: cursorStream })
  follow()
  await block('a')
  await whenTrue(() => seen.length === 1)
  await whenTrue(() => store.appends.some(({ stream }) => stream === cursorStream))
  expect(await storedCursor()).toBeUndefined()
  // The process is gone: nothing of it is waited for.
  running = []
  await startNode()
  follow()
  await whenTrue(() => seen.length === 2)
  expect(seen).toEqual(['a', 'a'])
})

describe('its own cursor', () => {
  test('does not keep it busy', async () => {
    const follower = follow()
    await block('a')
    await whenTrue(() => follower.counters.handled === 2)
    const head = await log.store.head()
    await turns(50)
    expect(await log.store.head()).toBe(head)
  })

  test('and that of another do not keep each other busy', async () => {
    follow()
    running.push(startFollower(node, { name: 'other', react }, error => errors.push(error)))
    await block('a')
    // The block and two cursors, seen by both.
    await whenTrue(() => running.every(({ counters }) => counters.handled === 3))
    const head = await log.store.head()
    await turns(50)
    expect([await log.store.head(), seen]).toEqual([head, ['a', 'a']])
  })

  test('moves on over events that do not concern it, now and then', async () => {
    follow()
    const stream = streamOf.identity('h')
    for (let batch = 0; batch < 11; batch++) {
      const events = Array.from({ length: 1_000 }, () => newEvent('IdentityClaimed', { at: node.clock.now() }))
      await log.store.append(stream, events, batch === 0 ? 'none' : batch * 1_000 - 1)
    }
    const [tenThousandth] = await log.store.readAll({
      from: '0000000000002710' as Position,
      direction: 'forwards',
      limit: 1,
    })
    await whenCursorAt(tenThousandth?.position as Position)
    expect(seen).toEqual([])
  })

  test('never goes back, when an older process stores its own late', async () => {
    const follower = follow()
    const { position } = (await block('a')) as { position: Position }
    await whenCursorAt(position)
    const ahead = 'ffffffffffffffff' as Position
    await log.store.append(cursorStream, [newEvent('FollowerAdvanced', { name, position: ahead, at: 'x' })], 0)
    await block('b')
    await whenTrue(() => seen.length === 2)
    await whenTrue(() => follower.counters.handled >= 3)
    await turns()
    expect(await storedCursor()).toBe(ahead)
  })
})

describe('a reaction that fails', () => {
  test('is tried again, and nothing after it is done before', async () => {
    let failures = 2
    follow(async events => {
      if (events.some(event => nameOf(event) === 'b') && failures-- > 0) throw new Error('not now')
      return react(events)
    })
    for (const blocked of ['a', 'b', 'c']) {
      await block(blocked)
      await caughtUp(node)
    }
    await whenTrue(() => seen.includes('c'))
    expect([...new Set(seen)]).toEqual(['a', 'b', 'c'])
    expect(seen.indexOf('c')).toBeGreaterThan(seen.indexOf('b'))
    expect(errors).toHaveLength(1)
    expect(running[0]?.counters.failures).toBe(2)
  })

  test('for long is told of now and then, and shows as what it cannot get past until it gets past it', async () => {
    const clock = node.clock as HandClock
    let isBroken = true
    const follower = follow(async events => {
      if (isBroken && events.some(event => nameOf(event) === 'b')) throw new TypeError('no such field')
      return react(events)
    })
    await block('a')
    await whenTrue(() => follower.counters.handled === 2)
    const { position } = follower.counters
    await block('b')
    await whenTrue(() => follower.counters.failures >= 1)
    expect(follower.stuck).toBeUndefined()
    clock.advance(stuckMsMin)
    await whenTrue(() => follower.stuck !== undefined)
    expect(follower.stuck).toMatchObject({ position, error: { message: 'no such field' } })
    expect(errors).toHaveLength(1)
    clock.advance(tellAgainMs - stuckMsMin)
    await whenTrue(() => errors.length === 2)
    isBroken = false
    await whenTrue(() => seen.includes('b'))
    expect(follower.stuck).toBeUndefined()
  })

  test('shows as the age of the oldest event that is not done with', async () => {
    let goOn = () => {}
    const gate = new Promise<void>(resolve => {
      goOn = resolve
    })
    const { counters } = follow(async events => {
      if (events.some(event => nameOf(event) === 'b')) await gate
      return react(events)
    })
    await block('a')
    await whenTrue(() => seen.includes('a') && counters.undoneAtMs === 0)
    await block('b')
    const [b] = await log.store.readAll({ from: await log.store.head(), direction: 'forwards', limit: 1 })
    await whenTrue(() => counters.undoneAtMs > 0)
    await block('c')
    expect(counters.undoneAtMs).toBe(Date.parse((b as RecordedEvent & { data: { at: string } }).data.at))
    goOn()
    await whenTrue(() => seen.includes('c') && counters.undoneAtMs === 0)
  })

  test('after it did part of its work does that part again', async () => {
    let isFirst = true
    follow(async events => {
      await react(events)
      if (isFirst && seen.length > 0) {
        isFirst = false
        throw new Error('after the work')
      }
      return true
    })
    await block('a')
    await whenTrue(() => seen.length === 2)
    expect(seen).toEqual(['a', 'a'])
  })

  test('does not stop the follower from being stopped', async () => {
    follow(async () => {
      throw new Error('never')
    })
    await block('a')
    await whenTrue(() => errors.length > 0)
    await running[0]?.stop()
  })
})

test('its lag counts what was in the log before the node, and what came since', async () => {
  for (const blocked of ['a', 'b', 'c']) await block(blocked)
  await restart()
  await block('d')
  await caughtUp(node)
  let goOn = () => {}
  const gate = new Promise<void>(resolve => {
    goOn = resolve
  })
  const follower = follow(async events => {
    await gate
    return react(events)
  })
  await whenTrue(() => follower.lagEvents === 4)
  await block('e')
  await caughtUp(node)
  expect(follower.lagEvents).toBe(5)
  goOn()
  await whenTrue(() => seen.length === 5 && follower.lagEvents === 0)
})

test('a cursor that cannot be stored is stored with the next one, and nothing is done twice by that', async () => {
  follow()
  store.faults.push({ fault: unavailable, stream: cursorStream })
  await block('a')
  await whenTrue(() => errors.length === 1)
  const { position } = (await block('b')) as { position: Position }
  await whenCursorAt(position)
  expect(seen).toEqual(['a', 'b'])
})

test('a log that ends under a follower is told of, and followed again', async () => {
  let ends = 1
  const whole = store.subscribe
  store.subscribe = options => (ends-- > 0 ? (async function* () {})() : whole(options))
  follow()
  await block('a')
  await whenTrue(() => seen.length === 1)
  expect(errors).toMatchObject([{ message: 'the subscription ended' }])
})
