// A log that has so many appends under way at once: whoever comes later waits undecided, and nobody is lost or passed by.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { blocklist } from '../../domain/blocklist/blocklist.ts'
import { streamOf, type UserId } from '../../domain/ids.ts'
import { Unavailable } from '../../eventstore/port.ts'
import { createTurns } from '../../eventstore/turns.ts'
import {
  beatenBy,
  type FaultyStore,
  faultyStoreOver,
  openTestLog,
  requestLost,
  type TestLog,
  unavailable,
} from '../support/faulty-store.ts'
import { newEvent, startTestNode, type TestNode, turns } from '../support/test-node.ts'

const at = '2026-11-23T08:00:00.000Z' as never
const atOnce = 2

let log: TestLog
let store: FaultyStore
let node: TestNode
/** Ends the waits between tries. */
let goOn: () => void
let waits: Promise<void>

beforeEach(async () => {
  log = await openTestLog()
  store = faultyStoreOver(log.store, atOnce)
  waits = new Promise(resolve => {
    goOn = resolve
  })
  node = await startTestNode(store, { delay: () => waits })
})
afterEach(async () => {
  goOn()
  store.appendGate.open()
  await node.close()
  expect(node.errors).toEqual([])
  await log.dispose()
})

const block = (userId: string, name: string) =>
  node.handle(
    blocklist,
    streamOf.blocklist(userId as UserId),
    { type: 'BlockUser', userId: userId as UserId, blockedId: name as UserId, at },
    { facts: undefined },
  )
const appended = () => store.appends.map(({ stream, events }) => `${stream} ${events.length}`)

test('what comes while its stream waits for its turn is decided with it, in one append', async () => {
  store.appendGate.shut()
  const outcomes = [block('ann', 'x'), block('bob', 'x'), block('cid', 'x'), block('dan', 'x')]
  await turns(5)
  outcomes.push(block('cid', 'y'), block('ann', 'y'), block('cid', 'z'))
  await turns(5)
  expect(appended()).toEqual(['blocklist-ann 1', 'blocklist-bob 1'])
  store.appendGate.open()
  await Promise.all(outcomes)
  expect(appended()).toEqual([
    'blocklist-ann 1',
    'blocklist-bob 1',
    'blocklist-cid 3',
    'blocklist-dan 1',
    'blocklist-ann 1',
  ])
})

test('a turn ends with a refusal and with nothing to do', async () => {
  await block('ann', 'x')
  const outcomes = Array.from({ length: 3 * atOnce }, () => [block('ann', 'x'), block('bob', 'bob')]).flat()
  await Promise.all(outcomes)
  await block('cid', 'x')
  expect(appended()).toEqual(['blocklist-ann 1', 'blocklist-cid 1'])
})

test('a turn ends when the log is away', async () => {
  for (let index = 0; index < 2 * atOnce; index++) store.faults.push({ fault: unavailable })
  const outcomes = await Promise.allSettled(['ann', 'bob', 'cid', 'dan'].map(userId => block(userId, 'x')))
  for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(Unavailable) })
  expect(await block('eva', 'x')).toMatchObject({ revision: 0 })
})

test('a turn goes on over a conflict', async () => {
  const theirs = newEvent('UserBlocked', { userId: 'ann', blockedId: 'theirs', at })
  store.faults.push({ fault: beatenBy(log.store, theirs) })
  expect(await block('ann', 'x')).toMatchObject({ revision: 1 })
  await Promise.all(['bob', 'cid', 'dan'].map(userId => block(userId, 'x')))
  expect(appended()).toHaveLength(5)
})

test('an append whose outcome nobody knows lets others have its turn between its tries', async () => {
  for (let index = 0; index < atOnce; index++) store.faults.push({ fault: requestLost })
  const lost = [block('ann', 'x'), block('bob', 'x')]
  await Promise.all([block('cid', 'x'), block('dan', 'x')])
  expect(appended()).toHaveLength(4)
  goOn()
  expect(await Promise.all(lost)).toMatchObject([{ revision: 0 }, { revision: 0 }])
  expect(appended()).toHaveLength(6)
})

test('turns are taken in the order of coming, never more than so many at once', async () => {
  const { take, end } = createTurns(atOnce)
  const taken: number[] = []
  let underWay = 0
  let most = 0
  const work = async (number: number) => {
    await take()
    taken.push(number)
    most = Math.max(most, ++underWay)
    await turns(1)
    underWay--
    end()
  }
  const numbers = Array.from({ length: 20 }, (_, index) => index)
  await Promise.all(numbers.map(work))
  await Promise.all(numbers.map(work))
  expect(taken).toEqual([...numbers, ...numbers])
  expect(most).toBe(atOnce)
})
