// The way of a command: what waits is decided in order and appended together, exactly once, whatever the log answers.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { blocklist } from '../../domain/blocklist/blocklist.ts'
import { identity } from '../../domain/identity/identity.ts'
import { streamOf, type UserId } from '../../domain/ids.ts'
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
import { newEvent, startTestNode, type TestNode, turns } from '../support/test-node.ts'

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
    const someone = 'someone' as UserId
    const release = { type: 'ReleaseIdentity', kind: 'userName', userId: someone, replacedAt: at, at } as const
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
