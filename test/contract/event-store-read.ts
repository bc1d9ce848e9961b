// Owns the contract's rules about reading: pages of a stream and of the log, streams that keep their last event, restarts.
// Declares tests only; event-store.ts decides for which adapter.

import { expect } from 'vitest'
import type { Position } from '../../domain/ids.ts'
import type { RecordedEvent } from '../../eventstore/port.ts'
import { Conflict, positionOf, readEventsMax, Unavailable } from '../../eventstore/port.ts'
import type { ContractContext, ContractTest } from './fixture.ts'
import {
  collect,
  expectIncreasing,
  failureOf,
  newEvent,
  newEvents,
  positionsOf,
  readStream,
  recorded,
  walkLog,
} from './fixture.ts'

export const readContract = (check: ContractTest): void => {
  longStreamContract(check)
  check('a stream that does not exist reads as empty in every way', async ({ store, stream }) => {
    for (const direction of ['forwards', 'backwards'] as const) {
      for (const from of ['start', 'end', 0, 7] as const) {
        expect(await store.read(stream(), { from, direction, limit: 10 })).toEqual([])
      }
    }
  })

  check('pages of a stream: from is inclusive, limit holds, both directions', async ({ store, stream }) => {
    const name = stream()
    const events = newEvents(10)
    await store.append(stream(), newEvents(2), 'none')
    await store.append(name, events.slice(0, 6), 'none')
    await store.append(stream(), newEvents(2), 'none')
    await store.append(name, events.slice(6), 5)
    const whole = await readStream(store, name)
    expect(whole).toEqual(events.map((event, index) => recorded(event, name, index)))
    expectIncreasing(positionsOf(whole))
    for (const [from, direction, limit, revisions] of [
      ['start', 'forwards', 1, [0]],
      ['start', 'forwards', 3, [0, 1, 2]],
      [4, 'forwards', 3, [4, 5, 6]],
      [8, 'forwards', 3, [8, 9]],
      [10, 'forwards', 3, []],
      ['end', 'forwards', 3, [9]],
      ['end', 'backwards', 1, [9]],
      ['end', 'backwards', 3, [9, 8, 7]],
      [4, 'backwards', 3, [4, 3, 2]],
      [1, 'backwards', 3, [1, 0]],
      [0, 'backwards', 3, [0]],
      [99, 'backwards', 3, [9, 8, 7]],
      ['start', 'backwards', 3, [0]],
      ['end', 'backwards', readEventsMax, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]],
    ] as const) {
      const page = await store.read(name, { from, direction, limit })
      expect({ from, direction, limit, page }).toEqual({
        from,
        direction,
        limit,
        page: revisions.map(revision => whole[revision]),
      })
    }
  })
}

const longStreamContract = (check: ContractTest): void => {
  check('a stream longer than a page is read whole by pages', async ({ store, stream }) => {
    const name = stream()
    const events = newEvents(2_500)
    for (let at = 0; at < events.length; at += 500) {
      await store.append(name, events.slice(at, at + 500), at === 0 ? 'none' : at - 1)
    }
    const revisions: number[] = []
    for (let from = 0; from < events.length; from += readEventsMax) {
      const page = await store.read(name, { from, direction: 'forwards', limit: readEventsMax })
      revisions.push(...page.map(event => event.revision))
    }
    expect(revisions).toEqual(events.map((_, index) => index))
  })

  check('after close, appends and reads are refused as unavailable', async ({ store, stream }) => {
    const name = stream()
    await store.append(name, newEvents(1), 'none')
    await store.close()
    await store.close()
    for (const act of [
      () => store.append(name, newEvents(1), 0),
      () => readStream(store, name),
      () => store.readAll({ from: 'end', direction: 'backwards', limit: 1 }),
      () => store.head(),
    ]) {
      const failure = await failureOf(act)
      expect(failure).toBeInstanceOf(Unavailable)
      expect(failure).toMatchObject({ code: 'unavailable' })
    }
  })
}

/** Writes 12 events over three streams and lists the log from the first of them. */
const threeStreams = async ({ store, stream }: ContractContext) => {
  const names = [stream('group'), stream('account'), stream()] as const
  for (const [index, expected] of (['none', 1] as const).entries()) {
    for (const name of names) await store.append(name, newEvents(2), index === 0 ? 'none' : expected)
  }
  const [first] = await store.read(names[0], { from: 'start', direction: 'forwards', limit: 1 })
  const start = (first ?? expect.fail('nothing was written')).position
  return { names, start, log: await walkLog(store, start) }
}

const middleOf = (one: Position, other: Position): Position | undefined => {
  const middle = (BigInt(`0x${one}`) + BigInt(`0x${other}`)) / 2n
  return positionOf(middle) > one ? positionOf(middle) : undefined
}

export const readAllContract = (check: ContractTest): void => {
  check('the log lists all streams in the order of the appends, with the same events', async context => {
    const { names, log } = await threeStreams(context)
    const order = [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2].map(index => names[index])
    expect(log.map(event => event.stream)).toEqual(order)
    expectIncreasing(positionsOf(log))
    for (const name of names) {
      expect(log.filter(event => event.stream === name)).toEqual(await readStream(context.store, name))
    }
  })

  check('pages of the log: from is inclusive, limit holds, both directions', async context => {
    const { store } = context
    const { log } = await threeStreams(context)
    for (const [index, event] of log.entries()) {
      for (const limit of [1, 4, 5]) {
        const forwards = await store.readAll({ from: event.position, direction: 'forwards', limit })
        expect(forwards).toEqual(log.slice(index, index + limit))
        const backwards = await store.readAll({ from: event.position, direction: 'backwards', limit })
        const known = log.slice(Math.max(0, index - limit + 1), index + 1).reverse()
        expect(backwards.slice(0, known.length)).toEqual(known)
      }
    }
    const newest = await store.readAll({ from: 'end', direction: 'backwards', limit: 5 })
    expect(newest).toEqual(log.slice(-5).reverse())
    expect(await store.readAll({ from: 'end', direction: 'forwards', limit: 5 })).toEqual(log.slice(-1))
  })

  check('any page size walks the same log', async context => {
    const { start, log } = await threeStreams(context)
    for (const limit of [2, 3, 7]) expect(await walkLog(context.store, start, limit)).toEqual(log)
  })

  check('a read may start between events and beyond the end', async context => {
    const { store } = context
    const { log } = await threeStreams(context)
    for (let index = 1; index < log.length; index++) {
      const [before, after] = [log[index - 1] as RecordedEvent, log[index] as RecordedEvent]
      const between = middleOf(before.position, after.position)
      if (!between) continue
      expect(await store.readAll({ from: between, direction: 'forwards', limit: 1 })).toEqual([after])
      expect(await store.readAll({ from: between, direction: 'backwards', limit: 1 })).toEqual([before])
    }
    const beyond = positionOf(BigInt(`0x${log.at(-1)?.position}`) + 1_000_000n)
    for (const from of [beyond, 'ffffffffffffffff' as Position]) {
      expect(await store.readAll({ from, direction: 'forwards', limit: 5 })).toEqual([])
      expect(await store.readAll({ from, direction: 'backwards', limit: 2 })).toEqual(log.slice(-2).reverse())
    }
  })

  check('the start of the log forwards is the oldest page; backwards it is at most the oldest event', async context => {
    const { store } = context
    await threeStreams(context)
    const oldest = await store.readAll({ from: 'start', direction: 'forwards', limit: 10 })
    expect(oldest).toHaveLength(10)
    expectIncreasing(positionsOf(oldest))
    const backwards = await store.readAll({ from: 'start', direction: 'backwards', limit: 10 })
    expect(backwards).toEqual(oldest.slice(0, backwards.length))
    expect(backwards.length).toBeLessThanOrEqual(1)
  })
}

export const keepsLastContract = (check: ContractTest): void => {
  for (const category of ['follower', 'snapshot']) {
    check(`${category}: only the newest event can be read, and revisions go on`, async ({ store, stream }) => {
      const name = stream(category)
      const events = newEvents(5)
      for (let index = 0; index < 3; index++) {
        const appended = await store.append(name, events.slice(index, index + 1), index === 0 ? 'none' : index - 1)
        expect(appended.revision).toBe(index)
      }
      const last = await store.append(name, events.slice(3), 2)
      expect(last.revision).toBe(4)
      const kept = recorded(events[4] ?? expect.fail(), name, 4, last.position)
      for (const from of ['start', 0, 2, 4, 'end'] as const) {
        expect(await store.read(name, { from, direction: 'forwards', limit: 10 })).toEqual([kept])
      }
      expect(await store.read(name, { from: 'end', direction: 'backwards', limit: 10 })).toEqual([kept])
      expect(await store.read(name, { from: 9, direction: 'backwards', limit: 10 })).toEqual([kept])
      expect(await store.read(name, { from: 5, direction: 'forwards', limit: 10 })).toEqual([])
      expect(await store.readAll({ from: last.position, direction: 'forwards', limit: 10 })).toEqual([kept])
      expect(await store.head()).toBe(last.position)
    })
  }

  check('the exact revision is still asked for, and the newest append can be repeated', async ({ store, stream }) => {
    const name = stream('follower')
    const newest = newEvent()
    await store.append(name, newEvents(1), 'none')
    const appended = await store.append(name, [newest], 0)
    for (const expected of ['none', 0, 2] as const) {
      const failure = await failureOf(() => store.append(name, newEvents(1), expected))
      expect(failure).toBeInstanceOf(Conflict)
      expect(failure).toMatchObject({ stream: name, expected, actual: 1 })
    }
    expect(await store.append(name, [newest], 0)).toEqual(appended)
    expect(await readStream(store, name)).toEqual([recorded(newest, name, 1, appended.position)])
  })
}

export const restartContract = (checkRestart: ContractTest): void => {
  checkRestart('log id, head and all events are the same after a restart', async context => {
    const { names, start, log } = await threeStreams(context)
    const head = await context.store.head()
    const reopened = await context.reopen()
    expect(reopened.logId).toBe(context.store.logId)
    expect(reopened.logId).not.toBe('')
    expect(await reopened.head()).toBe(head)
    expect(await walkLog(reopened, start)).toEqual(log)
    for (const name of names) {
      expect(await readStream(reopened, name)).toEqual(log.filter(event => event.stream === name))
    }
  })

  checkRestart('revisions and positions go on after a restart', async context => {
    const name = context.stream()
    const before = await context.store.append(name, newEvents(2), 'none')
    const reopened = await context.reopen()
    const failure = await failureOf(() => reopened.append(name, newEvents(1), 'none'))
    expect(failure).toMatchObject({ code: 'conflict', expected: 'none', actual: 1 })
    const after = await reopened.append(name, newEvents(1), 1)
    expect(after.revision).toBe(2)
    expect(before.position < after.position).toBe(true)
  })

  checkRestart('a repeat after a restart and later events gives the original answer', async context => {
    const name = context.stream()
    const events = newEvents(2)
    const original = await context.store.append(name, events, 'none')
    await context.store.append(name, newEvents(3), 1)
    const reopened = await context.reopen()
    expect(await reopened.append(name, events, 'none')).toEqual(original)
    const failure = await failureOf(() => reopened.append(name, [...events, newEvent()], 'none'))
    expect(failure).toMatchObject({ code: 'conflict', expected: 'none', actual: 4 })
    expect(await readStream(reopened, name)).toHaveLength(5)
  })

  checkRestart('a subscription goes on after a restart where it stopped', async context => {
    const name = context.stream()
    const events = newEvents(4)
    await context.store.append(name, events.slice(0, 2), 'none')
    const [, second] = await readStream(context.store, name)
    const reopened = await context.reopen()
    await reopened.append(name, events.slice(2), 1)
    const from = (second ?? expect.fail('an event is missing')).position
    const later = await collect(reopened, from, 2, [name])
    expect(later).toEqual(events.slice(2).map((event, index) => recorded(event, name, index + 2)))
  })
}
