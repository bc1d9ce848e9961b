// How old what a process knows can be: told by the heads it asked for and the time at which its subscription passed them.

import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Position } from '../../domain/ids.ts'
import { behindMsMax, type Freshness, headIntervalMs, watchFreshness } from '../../eventstore/freshness.ts'
import { positionOf } from '../../eventstore/port.ts'
import { type HandClock, handClock } from '../support/test-node.ts'

const graceMs = headIntervalMs + behindMsMax

let clock: HandClock
let head: number
let position: number
let asked: number
let answer: () => Promise<Position>
let changes: boolean[]
let freshness: Freshness

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  clock = handClock()
  head = 10
  position = 10
  asked = 0
  answer = async () => positionOf(head)
  changes = []
  freshness = watchFreshness({
    clock,
    head: () => {
      asked++
      return answer()
    },
    position: () => positionOf(position),
    onChange: behind => changes.push(behind),
  })
})
afterEach(() => {
  freshness.close()
  vi.useRealTimers()
})

/** Time passes as it does: in steps in which the head is asked for. */
const pass = async (milliseconds: number, each: () => void = () => {}) => {
  for (let passed = 0; passed < milliseconds; passed += 100) {
    clock.advance(100)
    each()
    await vi.advanceTimersByTimeAsync(100)
  }
}

test('a subscription that passes the head is never behind', async () => {
  await pass(60_000, () => {
    position = ++head
  })
  expect([freshness.behind, changes]).toEqual([false, []])
})

test('a log in which nothing happens is never behind', async () => {
  await pass(60_000)
  expect(changes).toEqual([])
})

test('a subscription that stands still is behind after its time, and not before', async () => {
  head = 11
  await pass(behindMsMax)
  expect(freshness.behind).toBe(false)
  await pass(graceMs)
  expect([freshness.behind, changes]).toEqual([true, [true]])
})

test('a subscription that comes back is no longer behind', async () => {
  head = 11
  await pass(graceMs * 4)
  position = 11
  await pass(headIntervalMs)
  expect([freshness.behind, changes]).toEqual([false, [true, false]])
})

test('a subscription that lags for ever, but less than it may, is not behind', async () => {
  const heads: number[] = []
  await pass(60_000, () => {
    heads.push(++head)
    position = heads[heads.length - 1 - behindMsMax / 100] ?? position
  })
  expect(changes).toEqual([])
})

test('a subscription that lags for ever, and more than it may, is behind', async () => {
  const heads: number[] = []
  await pass(60_000, () => {
    heads.push(++head)
    position = heads[heads.length - 1 - 30] ?? position
  })
  expect([freshness.behind, changes]).toEqual([true, [true]])
})

test('a log that does not answer makes us behind, and is not asked ever more', async () => {
  answer = () => new Promise(() => {})
  await pass(60_000)
  expect([freshness.behind, changes]).toEqual([true, [true]])
  expect(asked).toBeLessThanOrEqual(5)
})

test('a log that cannot be reached makes us behind until it can', async () => {
  const whole = answer
  answer = async () => {
    throw new Error('away')
  }
  await pass(graceMs * 2)
  expect(freshness.behind).toBe(true)
  answer = whole
  await pass(headIntervalMs)
  expect(freshness.behind).toBe(false)
})

test('a process that stood still was not behind in that time', async () => {
  await pass(headIntervalMs)
  clock.advance(20_000)
  head = 11
  await vi.advanceTimersByTimeAsync(headIntervalMs)
  expect(changes).toEqual([])
  position = 11
  await pass(10_000)
  expect(changes).toEqual([])
})

test('a process that stood still and whose subscription does not come back is behind', async () => {
  await pass(headIntervalMs)
  clock.advance(20_000)
  head = 11
  await pass(graceMs * 2)
  expect(freshness.behind).toBe(true)
})

test('a subscription that ended is behind for good', async () => {
  freshness.end()
  await pass(10_000)
  expect([freshness.behind, changes]).toEqual([true, [true]])
})

test('one who stopped watching says nothing more', async () => {
  freshness.close()
  head = 11
  await pass(graceMs * 2)
  expect(changes).toEqual([])
})
