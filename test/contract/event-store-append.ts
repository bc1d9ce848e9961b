// Owns the contract's rules about appending: revisions, conflicts, repeated ids, limits and bad input.
// Declares tests only; event-store.ts decides for which adapter.

import { expect } from 'vitest'
import { appendBytesMax, Conflict, TooLarge } from '../../eventstore/port.ts'
import type { ContractTest } from './fixture.ts'
import { anyPosition, expectIncreasing, failureOf, newEvent, newEvents, readStream, recorded } from './fixture.ts'

export const appendContract = (check: ContractTest): void => {
  contentContract(check)
  revisionContract(check)
  concurrencyContract(check)

  check('positions are distinct and increase inside one append, across appends and across streams', async context => {
    const { store, stream } = context
    const [one, other] = [stream(), stream()]
    const first = await store.append(one, newEvents(3), 'none')
    const second = await store.append(other, newEvents(2), 'none')
    const third = await store.append(one, newEvents(1), 2)
    const [a0, a1, a2, a3] = (await readStream(store, one)).map(event => event.position)
    const [b0, b1] = (await readStream(store, other)).map(event => event.position)
    expect([a2, b1, a3]).toEqual([first.position, second.position, third.position])
    expectIncreasing([a0, a1, a2, b0, b1, a3].map(position => position ?? expect.fail('an event is missing')))
  })

  check('head is the position of the newest event', async ({ store, stream }) => {
    const before = await store.head()
    expect(before).toEqual(anyPosition())
    const appended = await store.append(stream(), newEvents(2), 'none')
    expect(await store.head()).toBe(appended.position)
    expect(before < appended.position).toBe(true)
  })
}

const contentContract = (check: ContractTest): void => {
  check('command marks come back as they were given, and are absent where none was given', async context => {
    const { store, stream } = context
    const name = stream()
    const marked = newEvent({ command: { key: 'Schlüssel:1|a~b', fingerprint: 'f'.repeat(64) } })
    const unmarked = newEvent()
    await store.append(name, [marked, unmarked], 'none')
    const events = await readStream(store, name)
    expect(events).toEqual([recorded(marked, name, 0), recorded(unmarked, name, 1)])
    expect(events[0]?.command).toEqual({ key: 'Schlüssel:1|a~b', fingerprint: 'f'.repeat(64) })
    expect(events[1]?.command).toBeUndefined()
  })

  check('the text comes back byte for byte, whatever its spacing, number forms and escapes', async context => {
    const { store, stream } = context
    const name = stream()
    const texts = [
      '{"b":1,"a":2}',
      '{ "spaced" :  1.0 , "exponent": 1e3,"n":[ ] }',
      '{"text":"grüße 👋 \\u00e9 \\"quoted\\" \\\\ \\n \\u0000 \u2028"}',
      '{}',
    ]
    const events = texts.map(text => newEvent({ data: JSON.parse(text), text, type: 'Geschrieben.ü-👋' }))
    await store.append(name, events, 'none')
    expect(await readStream(store, name)).toEqual(events.map((event, index) => recorded(event, name, index)))
  })

  check('names with : ~ . | @ / and unicode are different streams', async ({ store, stream }) => {
    const base = stream()
    const names = [':', '~', '.', '|', '@', '/', 'ü', '👋', ' ', 'A', 'a', '-1', '-10'].map(end => `${base}${end}`)
    for (const name of names) await store.append(name, [newEvent({ data: { name } })], 'none')
    for (const name of names) {
      const events = await readStream(store, name)
      expect(events.map(event => [event.stream, event.revision, event.data])).toEqual([[name, 0, { name }]])
    }
    expect(await readStream(store, base)).toEqual([])
  })
}

const revisionContract = (check: ContractTest): void => {
  check('a new stream starts at revision 0', async ({ store, stream }) => {
    const name = stream()
    const event = newEvent()
    const appended = await store.append(name, [event], 'none')
    expect(appended).toEqual({ revision: 0, position: anyPosition() })
    expect(await readStream(store, name)).toEqual([recorded(event, name, 0, appended.position)])
  })

  check('an append answers with revision and position of its last event', async ({ store, stream }) => {
    const name = stream()
    const [first, second] = [newEvents(2), newEvents(3)]
    expect(await store.append(name, first, 'none')).toEqual({ revision: 1, position: anyPosition() })
    const appended = await store.append(name, second, 1)
    expect(appended).toEqual({ revision: 4, position: anyPosition() })
    const events = await readStream(store, name)
    expect(events).toEqual([...first, ...second].map((event, index) => recorded(event, name, index)))
    expect(events.at(-1)?.position).toBe(appended.position)
  })

  for (const [rule, given, expected, actual] of [
    ['expecting none where a stream exists', 2, 'none', 1],
    ['expecting too low a revision', 2, 0, 1],
    ['expecting too high a revision', 2, 2, 1],
    ['expecting a revision where there is no stream', 0, 0, 'none'],
    ['expecting a high revision where there is no stream', 0, 41, 'none'],
  ] as const) {
    check(`${rule} is a conflict that changes nothing`, async ({ store, stream }) => {
      const name = stream()
      const events = newEvents(given)
      if (given > 0) await store.append(name, events, 'none')
      const head = await store.head()
      const failure = await failureOf(() => store.append(name, newEvents(1), expected))
      expect(failure).toBeInstanceOf(Conflict)
      expect(failure).toMatchObject({ code: 'conflict', stream: name, expected, actual })
      expect(await readStream(store, name)).toEqual(events.map((event, index) => recorded(event, name, index)))
      expect(await store.head()).toBe(head)
    })
  }
}

const concurrencyContract = (check: ContractTest): void => {
  check('of 50 concurrent appends to a new stream exactly one wins', async ({ store, stream }) => {
    const name = stream()
    const events = newEvents(50)
    const outcomes = await Promise.allSettled(events.map(event => store.append(name, [event], 'none')))
    const winner = outcomes.findIndex(outcome => outcome.status === 'fulfilled')
    const losers = outcomes.filter(outcome => outcome.status === 'rejected').map(outcome => outcome.reason)
    expect(losers).toHaveLength(49)
    for (const reason of losers) {
      expect(reason).toBeInstanceOf(Conflict)
      expect(reason).toMatchObject({ stream: name, expected: 'none', actual: 0 })
    }
    expect(outcomes[winner]).toEqual({ status: 'fulfilled', value: { revision: 0, position: anyPosition() } })
    const event = events[winner] ?? expect.fail('nobody won')
    expect(await readStream(store, name)).toEqual([recorded(event, name, 0)])
  })

  check('200 pipelined appends with exact revisions succeed in order of issue', async ({ store, stream }) => {
    const name = stream()
    const events = newEvents(200)
    const outcomes = await Promise.all(
      events.map((event, index) => store.append(name, [event], index === 0 ? 'none' : index - 1)),
    )
    expect(outcomes.map(outcome => outcome.revision)).toEqual(events.map((_, index) => index))
    expectIncreasing(outcomes.map(outcome => outcome.position))
    expect(await readStream(store, name)).toEqual(
      events.map((event, index) => recorded(event, name, index, outcomes[index]?.position)),
    )
  })

  check('pipelined appends over many streams each get their own revisions', async ({ store, stream }) => {
    const names = Array.from({ length: 20 }, () => stream())
    const appends = names.flatMap(name => [
      { name, count: 2, expected: 'none' as const, last: 1 },
      { name, count: 3, expected: 1, last: 4 },
    ])
    const outcomes = await Promise.all(
      appends.map(({ name, count, expected }) => store.append(name, newEvents(count), expected)),
    )
    expect(outcomes.map(outcome => outcome.revision)).toEqual(appends.map(({ last }) => last))
    for (const name of names) {
      expect((await readStream(store, name)).map(event => event.revision)).toEqual([0, 1, 2, 3, 4])
    }
  })
}

export const repeatContract = (check: ContractTest): void => {
  notRepeatContract(check)
  check('the same append twice is written once and answers alike', async ({ store, stream }) => {
    const name = stream()
    const events = newEvents(3)
    const first = await store.append(name, events, 'none')
    const head = await store.head()
    expect(await store.append(name, events, 'none')).toEqual(first)
    expect(await readStream(store, name)).toEqual(events.map((event, index) => recorded(event, name, index)))
    expect(await store.head()).toBe(head)
  })

  check('a repeat is known by its ids alone: other data under the same ids changes nothing', async context => {
    const { store, stream } = context
    const name = stream()
    const event = newEvent()
    const first = await store.append(name, [event], 'none')
    const again = newEvent({ id: event.id, data: { other: true }, type: 'Other' })
    expect(await store.append(name, [again], 'none')).toEqual(first)
    expect(await readStream(store, name)).toEqual([recorded(event, name, 0, first.position)])
  })

  check('a repeat after later events answers with the original revision and position', async ({ store, stream }) => {
    const name = stream()
    await store.append(name, newEvents(2), 'none')
    const events = newEvents(2)
    const original = await store.append(name, events, 1)
    await store.append(name, newEvents(5), 3)
    await store.append(stream(), newEvents(5), 'none')
    expect(original.revision).toBe(3)
    expect(await store.append(name, events, 1)).toEqual(original)
    expect(await readStream(store, name)).toHaveLength(9)
  })

  check('a repeat issued before the first one is answered gives the same answer', async ({ store, stream }) => {
    const name = stream()
    const events = newEvents(2)
    const [first, again] = await Promise.all([store.append(name, events, 'none'), store.append(name, events, 'none')])
    expect(first).toEqual({ revision: 1, position: anyPosition() })
    expect(again).toEqual(first)
    expect(await readStream(store, name)).toHaveLength(2)
  })

  check('a repeat of a part of an append answers with the last event of the part', async ({ store, stream }) => {
    const name = stream()
    const events = newEvents(3)
    await store.append(name, events, 'none')
    const stored = await readStream(store, name)
    expect(await store.append(name, events.slice(0, 2), 'none')).toEqual({ revision: 1, position: stored[1]?.position })
    expect(await store.append(name, events.slice(1), 0)).toEqual({ revision: 2, position: stored[2]?.position })
  })
}

const notRepeatContract = (check: ContractTest): void => {
  for (const [rule, make] of [
    ['old ids with a new one behind them', (old: readonly ReturnType<typeof newEvent>[]) => [...old, newEvent()]],
    ['a new id before old ones', (old: readonly ReturnType<typeof newEvent>[]) => [newEvent(), ...old.slice(1)]],
    ['old ids in another order', (old: readonly ReturnType<typeof newEvent>[]) => [...old].reverse()],
  ] as const) {
    check(`${rule}: a conflict that changes nothing`, async ({ store, stream }) => {
      const name = stream()
      const events = newEvents(2)
      await store.append(name, events, 'none')
      const failure = await failureOf(() => store.append(name, make(events), 'none'))
      expect(failure).toBeInstanceOf(Conflict)
      expect(failure).toMatchObject({ stream: name, expected: 'none', actual: 1 })
      expect(await readStream(store, name)).toEqual(events.map((event, index) => recorded(event, name, index)))
    })
  }

  check('the same ids at the current revision are written again', async ({ store, stream }) => {
    const name = stream()
    const event = newEvent()
    const first = await store.append(name, [event], 'none')
    const second = await store.append(name, [event], 0)
    expect(second.revision).toBe(1)
    expect(first.position < second.position).toBe(true)
    expect(await readStream(store, name)).toEqual([
      recorded(event, name, 0, first.position),
      recorded(event, name, 1, second.position),
    ])
  })

  check('the same id in two streams is two events', async ({ store, stream }) => {
    const event = newEvent()
    for (const name of [stream(), stream()]) {
      expect(await store.append(name, [event], 'none')).toEqual({ revision: 0, position: anyPosition() })
      expect(await readStream(store, name)).toEqual([recorded(event, name, 0)])
    }
  })
}

export const inputContract = (check: ContractTest): void => {
  nameAndReadInputContract(check)
  check('more than appendBytesMax in one append is too large and changes nothing', async ({ store, stream }) => {
    const name = stream()
    const filled = (letters: string) => newEvent({ data: { letters } })
    const half = filled('x'.repeat(appendBytesMax / 2))
    const cases = [
      [filled('x'.repeat(appendBytesMax))],
      [half, filled('y'.repeat(appendBytesMax / 2))],
      [filled('é'.repeat(appendBytesMax / 2))],
    ]
    for (const events of cases) {
      const failure = await failureOf(() => store.append(name, events, 'none'))
      expect(failure).toBeInstanceOf(TooLarge)
      expect(failure).toMatchObject({ code: 'too-large' })
    }
    expect(await readStream(store, name)).toEqual([])
    const large = filled('x'.repeat(appendBytesMax - 4_096))
    expect(await store.append(name, [large], 'none')).toEqual({ revision: 0, position: anyPosition() })
    expect(await readStream(store, name)).toEqual([recorded(large, name, 0)])
  })

  check('programming errors throw a TypeError and write nothing', async ({ store, stream }) => {
    const name = stream()
    const valid = newEvent()
    for (const events of [
      [],
      [newEvent({ type: '' })],
      [newEvent({ id: 'not-a-uuid' })],
      [newEvent({ id: '' })],
      [newEvent({ id: 'A0000000-0000-4000-8000-000000000000' })],
      [newEvent({ id: '00000000-0000-0000-0000-000000000000' })],
      [valid, newEvent({ type: '' })],
    ]) {
      expect(await failureOf(() => store.append(name, events, 'none'))).toBeInstanceOf(TypeError)
    }
    for (const expected of [-1, 1.5, Number.NaN, '0', 'any', undefined]) {
      const failure = await failureOf(() => store.append(name, [valid], expected as 'none'))
      expect(failure).toBeInstanceOf(TypeError)
    }
    expect(await readStream(store, name)).toEqual([])
    expect(await store.append(name, [valid], 'none')).toEqual({ revision: 0, position: anyPosition() })
  })
}

const nameAndReadInputContract = (check: ContractTest): void => {
  check('empty stream names and names with control characters throw a TypeError', async ({ store, stream }) => {
    for (const name of ['', `${stream()}\n`, `${stream()}\u0000`, `${stream()}\u007f`]) {
      expect(await failureOf(() => store.append(name, newEvents(1), 'none'))).toBeInstanceOf(TypeError)
      expect(await failureOf(() => readStream(store, name))).toBeInstanceOf(TypeError)
    }
  })

  check('reads outside their limits throw a TypeError', async ({ store, stream }) => {
    const name = stream()
    await store.append(name, newEvents(1), 'none')
    for (const limit of [0, -1, 1.5, 1_001, Number.NaN]) {
      const options = { from: 'start', direction: 'forwards', limit } as const
      expect(await failureOf(() => store.read(name, options))).toBeInstanceOf(TypeError)
      expect(await failureOf(() => store.readAll(options))).toBeInstanceOf(TypeError)
    }
    for (const from of [-1, 0.5, Number.NaN]) {
      const failure = await failureOf(() => store.read(name, { from, direction: 'forwards', limit: 1 }))
      expect(failure).toBeInstanceOf(TypeError)
    }
    for (const from of ['', '12', 'ffff', 'g000000000000000', '000000000000000A']) {
      const failure = await failureOf(() => store.readAll({ from: from as 'start', direction: 'forwards', limit: 1 }))
      expect(failure).toBeInstanceOf(TypeError)
    }
  })
}
