// The way of a command: what waits is decided in order and appended together, exactly once, whatever the log answers.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { blocklist } from '../../domain/blocklist/blocklist.ts'
import { group } from '../../domain/group/group.ts'
import { identity } from '../../domain/identity/identity.ts'
import { type GroupId, streamOf, type UserId } from '../../domain/ids.ts'
import { batchBytesMax, batchCommandsMax } from '../../eventstore/batch.ts'
import { conflictTriesMax, type Handled, Overloaded, waitingMax, waitingPerStreamMax } from '../../eventstore/handle.ts'
import { Conflict, Unavailable, UnknownOutcome } from '../../eventstore/port.ts'
import { bytesOfEvent } from '../../eventstore/rules.ts'
import {
  type AppendFault,
  answerLost,
  beatenBy,
  type FaultyStore,
  faultyStoreOver,
  openTestLog,
  requestLost,
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
const claimed = (userId: string) => newEvent('IdentityClaimed', { kind: 'userName', userId, at })

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
describe('waiting commands', () => {
  test('are decided in order and appended together', async () => {
    const outcomes = await whileOneIsOnItsWay(() => [block('a'), block('b'), unblock('a'), block('c')])
    const handled = await Promise.all(outcomes.map(done))
    expect(store.appends.map(({ events }) => events.length)).toEqual([1, 4])
    expect(await namesIn()).toEqual(['first', 'a', 'b', '-a', 'c'])
    expect(handled.map(({ revision }) => revision)).toEqual([1, 2, 3, 4])
    const [last] = await log.store.read(stream, { from: 'end', direction: 'backwards', limit: 1 })
    expect(handled.map(({ position }) => position)).toEqual(Array(4).fill(last?.position))
    expect(store.appends[1]?.expected).toBe(0)
  })

  test('go out in appends of a bounded number of commands', async () => {
    const outcomes = await whileOneIsOnItsWay(() =>
      Array.from({ length: batchCommandsMax * 2 + 1 }, (_, index) => block(`user${index}`)),
    )
    await Promise.all(outcomes)
    const own = store.appends.filter(append => append.stream === stream)
    expect(own.map(({ events }) => events.length)).toEqual([1, batchCommandsMax, batchCommandsMax, 1])
  })

  test('go out in appends of bounded bytes, counted as they are stored', async () => {
    const outcomes = await whileOneIsOnItsWay(() =>
      Array.from({ length: 150 }, (_, index) => block(`${'字'.repeat(5_000)}${index}`)),
    )
    await Promise.all(outcomes.map(done))
    const bytes = store.appends.map(({ events }) => events.reduce((sum, event) => sum + bytesOfEvent(event), 0))
    expect(Math.max(...bytes)).toBeLessThanOrEqual(batchBytesMax)
    expect(bytes).toHaveLength(4)
    expect(await namesIn()).toHaveLength(151)
  })

  test('that need nothing, and refusals, are answered without an append', async () => {
    const { position } = await done(block('a'))
    const appends = store.appends.length
    expect(await block('a')).toMatchObject({ position, events: [], repeated: false, revision: 0 })
    expect(await block('ann')).toMatchObject({ rejected: 'block.self' })
    expect(store.appends).toHaveLength(appends)
    expect(node.counters).toMatchObject({ commands: 3, rejections: 1, waiting: 0 })
  })

  test('that need nothing because of one before them are told the position of that one', async () => {
    const [one, other] = await whileOneIsOnItsWay(() => [block('a'), block('a')] as const)
    expect((await done(other)).position).toBe((await done(one)).position)
  })

  test('fail alone when their rules throw', async () => {
    const [one, wrong, other] = await whileOneIsOnItsWay(
      () =>
        [
          block('a'),
          node.handle(blocklist, stream, { type: 'Wrong' } as never, { facts: undefined }),
          block('b'),
        ] as const,
    )
    await expect(wrong).rejects.toThrow('no rule')
    await Promise.all([done(one), done(other)])
    expect(await namesIn()).toEqual(['first', 'a', 'b'])
  })

  test('are refused beyond what may wait for one stream, and none of the others is lost', async () => {
    store.appendGate.shut()
    const accepted = Array.from({ length: waitingPerStreamMax }, (_, index) => block(`user${index}`))
    await expect(block('one too many')).rejects.toThrow(Overloaded)
    expect(node.counters.waiting).toBe(waitingPerStreamMax)
    store.appendGate.open()
    await Promise.all(accepted.map(done))
    expect(node.counters.waiting).toBe(0)
    expect(await namesIn()).toHaveLength(waitingPerStreamMax)
  })

  test('are refused beyond what may wait for all streams', async () => {
    store.appendGate.shut()
    const command = (index: number) => ({ type: 'ClaimIdentity', kind: 'userName', userId: `u${index}`, at }) as never
    const streams = waitingMax / 1_000
    const accepted = Array.from({ length: waitingMax }, (_, index) =>
      node.handle(identity, streamOf.identity(`h${index % streams}`), command(index), { facts: undefined }),
    )
    await expect(block('one too many')).rejects.toThrow(Overloaded)
    store.appendGate.open()
    await Promise.all(accepted)
    expect(node.counters.waiting).toBe(0)
    await done(block('there is room again'))
  })
})

describe('a conflict', () => {
  test('makes the commands be decided again on the newer state, in their order', async () => {
    store.faults.push({ fault: beatenBy(log.store, blocked('theirs'), blocked('b')) })
    const outcomes = [block('a'), block('b'), block('c')]
    const handled = await Promise.all(outcomes.map(done))
    expect(await namesIn()).toEqual(['theirs', 'b', 'a', 'c'])
    expect(handled.map(({ events }) => events.length)).toEqual([1, 0, 1])
    expect(node.counters.conflicts).toBe(1)
  })

  test('never lets a refusal out that was decided on a state that never was', async () => {
    store.appendGate.shut()
    const before = claim('someone' as UserId)
    await turns(3)
    const release = { type: 'ReleaseIdentity', kind: 'userName', userId: 'someone' as UserId, at } as const
    const freed = node.handle(identity, claims, release, { facts: undefined })
    const anns = claim(ann)
    const bobs = claim(bob)
    store.faults.push({ fault: (_call, append) => append() })
    store.faults.push({
      fault: beatenBy(
        log.store,
        newEvent('IdentityReleased', { kind: 'userName', userId: 'someone', at }),
        claimed('bob'),
      ),
    })
    store.appendGate.open()
    await Promise.all([before, freed])
    // On the state that never was, ann had it and bob was refused.
    expect(await anns).toMatchObject({ rejected: 'identity.taken' })
    expect(await bobs).toMatchObject({ events: [], state: { claimedBy: bob } })
  })

  test('with our own events in the log means that they had landed', async () => {
    const landedAnd: AppendFault = async ({ stream: of, expected }, append) => {
      const { revision } = await append()
      await log.store.append(of, [blocked('theirs')], revision)
      throw new Conflict(of, expected, revision + 1)
    }
    store.faults.push({ fault: landedAnd })
    const { revision } = await done(block('ours'))
    expect([revision, await namesIn()]).toEqual([0, ['ours', 'theirs']])
    await done(block('next'))
    expect(await namesIn()).toEqual(['ours', 'theirs', 'next'])
  })

  test('that never ends is a refusal after a bounded number of tries, of those alone that were tried', async () => {
    let beaten = 0
    const fault: AppendFault = (call, append) => beatenBy(log.store, blocked(`theirs${++beaten}`))(call, append)
    store.faults.push(...Array.from({ length: conflictTriesMax }, () => ({ fault })))
    store.appendGate.shut()
    const first = block('first', 'key')
    await turns(3)
    const tried = Array.from({ length: batchCommandsMax }, (_, index) => block(`user${index}`))
    store.appendGate.open()
    const outcomes = await Promise.all([first, ...tried])
    const refused = outcomes.filter(outcome => 'rejected' in outcome)
    expect(refused).toHaveLength(batchCommandsMax)
    expect(refused[0]).toMatchObject({ rejected: 'command.conflict' })
    expect(store.appends).toHaveLength(conflictTriesMax + 1)
    expect((await namesIn()).filter(name => !name.startsWith('theirs'))).toEqual([`user${batchCommandsMax - 1}`])
  })

  test('is decided on the whole tail, however long it is', async () => {
    const many = Array.from({ length: 1_000 }, (_, index) => blocked(`theirs${index}`))
    const flood: AppendFault = async ({ stream: of }, append) => {
      await log.store.append(of, many, 'none')
      await log.store.append(of, [blocked('last')], 999)
      return append()
    }
    store.faults.push({ fault: flood })
    const { state } = await done(block('a'))
    expect(state.blocked.size).toBe(1_002)
  })
})

describe('an outcome nobody knows', () => {
  test.each([
    ['the answer was lost', [answerLost]],
    ['the request was lost', [requestLost]],
    ['both, one after the other', [answerLost, requestLost]],
    ['the log is away after it', [answerLost, unavailable]],
  ])('is asked again with the same ids at the same revision: %s', async (_what, faults) => {
    await done(block('before'))
    store.appends.length = 0
    store.faults.push(...faults.map(fault => ({ fault })))
    const { revision, position, repeated } = await done(block('a', 'key'))
    expect(await namesIn()).toEqual(['before', 'a'])
    const [, event] = await wholeStream(log.store, stream)
    expect([revision, position, repeated]).toEqual([1, event?.position, false])
    expect(store.appends).toHaveLength(faults.length + 1)
    expect(new Set(store.appends.map(({ expected, events }) => `${expected} ${events.map(({ id }) => id)}`)).size).toBe(
      1,
    )
  })

  test('turns into a decision on the newer state when somebody else was faster', async () => {
    store.faults.push({ fault: requestLost }, { fault: beatenBy(log.store, blocked('theirs')) })
    await done(block('a'))
    expect(await namesIn()).toEqual(['theirs', 'a'])
  })

  test('that stays unknown is an error that says so, and the state is read again', async () => {
    store.faults.push({ fault: answerLost }, ...Array.from({ length: 6 }, () => ({ fault: requestLost })))
    await expect(block('a', 'key')).rejects.toThrow(UnknownOutcome)
    expect(node.states.peek(stream)).toBeUndefined()
    expect(waitsMs).toHaveLength(6)
    expect(await block('a', 'key')).toMatchObject({ repeated: true, revision: 0 })
    expect(await namesIn()).toEqual(['a'])
  })

  test('is never called unavailable because the log is away afterwards', async () => {
    store.faults.push({ fault: answerLost }, ...Array.from({ length: 6 }, () => ({ fault: unavailable })))
    await expect(block('a')).rejects.toThrow(UnknownOutcome)
    expect(await namesIn()).toEqual(['a'])
  })

  test('fails everybody who waits, once, and nobody after', async () => {
    store.faults.push(...Array.from({ length: 7 }, () => ({ fault: requestLost })))
    const outcomes = await Promise.allSettled([block('a'), block('b'), block('c')])
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    await done(block('d'))
    expect(await namesIn()).toEqual(['d'])
    expect(node.counters.waiting).toBe(0)
  })
})

test('a log that is away is an error at once, without another try', async () => {
  store.faults.push({ fault: unavailable })
  await expect(block('a')).rejects.toThrow(Unavailable)
  expect(store.appends).toHaveLength(1)
  await done(block('a'))
  expect(await namesIn()).toEqual(['a'])
})

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
    const release = { type: 'ReleaseIdentity', kind: 'userName', userId: bob, at } as const
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

  test('of several events gets the same position before and after a restart', async () => {
    const groupId = 'g' as GroupId
    const groupStream = streamOf.group(groupId)
    const create = {
      type: 'CreateGroup',
      groupId,
      name: 'G',
      memberIds: [bob],
      memberLimit: 10,
      inviteMode: 'managers',
    }
    await node.handle(group, groupStream, { ...create, by: ann, at } as never, { facts: { groupsCreated: 0 } })
    const give = () =>
      node.handle(
        group,
        groupStream,
        { type: 'TransferGroup', to: bob, leave: true, by: ann, at },
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
