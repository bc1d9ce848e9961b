// Held states: loaded as their decider says, kept current from the log in whatever order news comes, bounded, never ahead of it.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type BlocklistState, blocklist } from '../../domain/blocklist/blocklist.ts'
import { group } from '../../domain/group/group.ts'
import { identity } from '../../domain/identity/identity.ts'
import { type ConversationId, type GroupId, type Position, streamOf, type UserId } from '../../domain/ids.ts'
import { type InboxMarks, inbox } from '../../domain/inbox/inbox.ts'
import { createHandle } from '../../eventstore/handle.ts'
import { positionBeforeAll, type RecordedEvent, readEventsMax } from '../../eventstore/port.ts'
import { commandsRemembered, createStates, folded, type Held, type States } from '../../eventstore/states.ts'
import { type FaultyStore, faultyStoreOver, openTestLog, type TestLog, wholeStream } from '../support/faulty-store.ts'
import { newEvent, turns } from '../support/test-node.ts'

const at = '2026-11-23T08:00:00.000Z'
const ann = 'ann' as UserId
const stream = streamOf.blocklist(ann)
const conversationId = 'group:g1' as ConversationId
const inboxStream = streamOf.inbox(ann, conversationId)

let log: TestLog
let store: FaultyStore
let states: States

beforeEach(async () => {
  log = await openTestLog()
  store = faultyStoreOver(log.store)
  states = createStates(store)
})
afterEach(() => log.dispose())

const blocked = (blockedId: string) => newEvent('UserBlocked', { userId: ann, blockedId, at })
const read = (readSeq: number, key?: string) =>
  newEvent(
    'ConversationRead',
    { userId: ann, conversationId, marks: { readSeq, clearedSeq: 0, deletedSeq: 0, pinnedAt: null }, at },
    key === undefined ? {} : { command: { key, fingerprint: `print ${key}` } },
  )
const claimed = (userId: string) => newEvent('IdentityClaimed', { kind: 'userName', userId, at })
const namesIn = ({ state }: Held<BlocklistState>) => [...state.blocked]

/** Blocks so many users and gives what was recorded. */
const blockMany = async (names: readonly string[]): Promise<readonly RecordedEvent[]> => {
  const before = (await wholeStream(log.store, stream)).length
  await log.store.append(stream, names.map(blocked), before === 0 ? 'none' : before - 1)
  return (await wholeStream(log.store, stream)).slice(before)
}

describe('a load', () => {
  test('of a stream that does not exist is the initial state', async () => {
    expect(await states.load(blocklist, stream)).toEqual({
      state: blocklist.initial,
      revision: -1,
      position: positionBeforeAll,
      commands: [],
      commandsFrom: 0,
    })
  })

  test('folds a stream whole, by pages, and a second one reads nothing', async () => {
    const names = Array.from({ length: readEventsMax + 5 }, (_, index) => `user${index}`)
    await log.store.append(streamOf.identity('h'), names.map(claimed), 'none')
    const held = await states.load(identity, streamOf.identity('h'))
    expect(held).toMatchObject({ state: { claimedBy: names.at(-1) }, revision: readEventsMax + 4 })
    expect(store.reads.map(({ events }) => events)).toEqual([readEventsMax, 5])
    expect(states.load(identity, streamOf.identity('h'))).toBe(held)
    expect(store.reads).toHaveLength(2)
  })

  test('by the last event reads one', async () => {
    await log.store.append(inboxStream, [read(1), read(2), read(3)], 'none')
    expect(await states.load(inbox, inboxStream)).toMatchObject({ state: { readSeq: 3 }, revision: 2 })
    expect(store.reads).toEqual([{ stream: inboxStream, events: 1 }])
  })

  test('asked for twice at once reads once', async () => {
    await blockMany(['bob'])
    const [one, other] = await Promise.all([states.load(blocklist, stream), states.load(blocklist, stream)])
    expect(one).toBe(other)
    expect(store.reads.filter(({ stream: of }) => of === stream)).toHaveLength(1)
  })

  test('that fails is not held: the next one reads again', async () => {
    const whole = store.read
    store.read = async () => {
      throw new Error('away')
    }
    await expect(states.load(blocklist, stream)).rejects.toThrow('away')
    expect(states.size).toBe(0)
    store.read = whole
    expect(await states.load(blocklist, stream)).toMatchObject({ revision: -1 })
  })

  test('is shown only after this process was told of everything in it', async () => {
    const [event] = await blockMany(['bob'])
    const asked: Position[] = []
    let tell = () => {}
    const told = new Promise<void>(resolve => {
      tell = resolve
    })
    states = createStates(store, {
      whenTold: position => {
        asked.push(position)
        return told
      },
    })
    let isLoaded = false
    const loading = Promise.resolve(states.load(blocklist, stream)).then(held => {
      isLoaded = true
      return held
    })
    await turns()
    expect([isLoaded, states.peek(stream)]).toEqual([false, undefined])
    tell()
    expect(namesIn(await loading)).toEqual(['bob'])
    expect(asked).toEqual([event?.position])
  })
})

describe('a load by snapshot', () => {
  const snapshotStream = streamOf.snapshot(stream)
  const snapshot = (version: number, revision: number, names: readonly string[]) =>
    newEvent('StateSnapshotted', {
      version,
      revision,
      position: '0000000000000001',
      commands: [{ key: 'k', fingerprint: 'f', position: '0000000000000001' }],
      state: { blocked: names },
    })

  test('reads the newest snapshot and the events after it', async () => {
    await blockMany(['one', 'two', 'three'])
    await log.store.append(snapshotStream, [snapshot(1, 1, ['from', 'snapshot'])], 'none')
    const held = await states.load(blocklist, stream)
    expect(namesIn(held)).toEqual(['from', 'snapshot', 'three'])
    expect(held).toMatchObject({ revision: 2, commands: [{ key: 'k' }] })
    expect(store.reads).toEqual([
      { stream: snapshotStream, events: 1 },
      { stream, events: 1 },
    ])
  })

  test('is what the snapshot says when nothing came after it', async () => {
    await blockMany(['one', 'two'])
    await log.store.append(snapshotStream, [snapshot(1, 1, ['from', 'snapshot'])], 'none')
    expect(await states.load(blocklist, stream)).toMatchObject({ revision: 1, position: '0000000000000001' })
  })

  test('ignores a snapshot of another version', async () => {
    await blockMany(['one', 'two'])
    await log.store.append(snapshotStream, [snapshot(2, 1, ['of', 'another', 'version'])], 'none')
    const held = await states.load(blocklist, stream)
    expect(namesIn(held)).toEqual(['one', 'two'])
    expect(held).toMatchObject({ revision: 1, commands: [] })
  })

  test('of a group with 100,000 events reads a snapshot and a few hundred events, in less than 100 ms', async () => {
    const groupId = 'big' as GroupId
    const owner = 'owner' as UserId
    const groupStream = streamOf.group(groupId)
    const errors: unknown[] = []
    const handling = (over: typeof log.store, held: States) =>
      createHandle({
        store: over,
        states: held,
        observe: () => {},
        guard: () => {},
        onError: error => errors.push(error),
      })
    const { handle, whenIdle } = handling(log.store, createStates(log.store))
    const by = { by: owner, at: at as never }
    const modes = { memberLimit: 200, inviteMode: 'managers', inviteeConsent: 'none' }
    const create = { type: 'CreateGroup', groupId, name: 'Big', memberIds: [], ...modes }
    await handle(group, groupStream, { ...create, ...by } as never, { facts: { groupsCreated: 0 } })
    for (let wave = 0; wave < 50; wave++) {
      const commands = Array.from({ length: 2_000 }, (_, index) =>
        index % 2 === 0
          ? { type: 'AddMembers', userIds: ['m'], ...by }
          : { type: 'RemoveMembers', userIds: ['m'], ...by },
      )
      await Promise.all(commands.map(command => handle(group, groupStream, command as never, { facts: undefined })))
    }
    await whenIdle()
    // As after a restart: nothing is held.
    const restarted = handling(store, states)
    const startedMs = performance.now()
    const add = { type: 'AddMembers', userIds: ['n'], ...by } as never
    const answer = await restarted.handle(group, groupStream, add, { facts: undefined })
    expect(performance.now() - startedMs).toBeLessThan(100)
    expect(answer).toMatchObject({ revision: 100_001, state: { status: 'open', ownerId: owner } })
    expect(store.reads.reduce((sum, { events }) => sum + events, 0)).toBeLessThanOrEqual(501)
    await restarted.whenIdle()
    expect(errors).toEqual([])
  })
})

describe('news', () => {
  test('that comes while the state is being read is folded in after it', async () => {
    const events = await blockMany(['one', 'two'])
    store.readGate.shut()
    const loading = states.load(blocklist, stream)
    await turns()
    const later = await blockMany(['three', 'four'])
    // The second of what was read comes once more, as it does when the subscription is behind the read.
    states.apply([events[1] as RecordedEvent, ...later])
    store.readGate.open()
    expect(namesIn(await loading)).toEqual(['one', 'two', 'three', 'four'])
  })

  test('is applied once, whatever comes again', async () => {
    const events = await blockMany(['one', 'two', 'three'])
    await states.load(blocklist, stream)
    states.apply(events)
    expect(states.peek(stream)).toMatchObject({ revision: 2 })
    const [later] = await blockMany(['four'])
    states.apply([later as RecordedEvent, later as RecordedEvent])
    expect(namesIn(states.peek(stream) as Held<BlocklistState>)).toEqual(['one', 'two', 'three', 'four'])
    expect(states.peek(stream)).toMatchObject({ revision: 3, position: later?.position })
  })

  test('with a gap before it evicts the state, and the next load is whole', async () => {
    await blockMany(['one'])
    await states.load(blocklist, stream)
    const later = await blockMany(['two', 'three'])
    states.apply(later.slice(1))
    expect(states.peek(stream)).toBeUndefined()
    expect(namesIn(await states.load(blocklist, stream))).toEqual(['one', 'two', 'three'])
  })

  test('of streams that are not held costs nothing', async () => {
    states.apply(await blockMany(['one']))
    expect(states.size).toBe(0)
  })

  test('that cannot be folded evicts the state and spares the others', async () => {
    const frail = {
      ...identity,
      evolve: () => {
        throw new Error('cannot fold')
      },
    }
    await states.load(frail, streamOf.identity('frail'))
    await states.load(blocklist, stream)
    await log.store.append(streamOf.identity('frail'), [claimed('bob')], 'none')
    const events = [...(await wholeStream(log.store, streamOf.identity('frail'))), ...(await blockMany(['one']))]
    states.apply(events)
    expect(states.peek(streamOf.identity('frail'))).toBeUndefined()
    expect(states.peek(stream)).toMatchObject({ revision: 0 })
  })
})

describe('an own append', () => {
  const ownAppend = async () => {
    const from = (await states.load(blocklist, stream)) as Held<BlocklistState>
    const [event] = (await blockMany(['bob'])) as [RecordedEvent]
    return { from, event, to: folded(blocklist, from, event) }
  }

  test('moves the state on before the subscription tells of it', async () => {
    const { from, event, to } = await ownAppend()
    states.advance(stream, from, to)
    expect(states.peek(stream)).toBe(to)
    states.apply([event])
    expect(states.peek(stream)).toBe(to)
  })

  test('changes nothing when the subscription was faster', async () => {
    const { from, event, to } = await ownAppend()
    states.apply([event])
    const byLog = states.peek(stream)
    states.advance(stream, from, to)
    expect(states.peek(stream)).toBe(byLog)
    expect(byLog).toEqual(to)
  })

  test('never brings back a state that was evicted meanwhile', async () => {
    const { from, to } = await ownAppend()
    states.evict(stream)
    states.advance(stream, from, to)
    expect(states.peek(stream)).toBeUndefined()
  })
})

describe('what is held', () => {
  const nth = (index: number) => streamOf.identity(`h${index}`)
  const load = async (from: number, to: number) => {
    for (let index = from; index < to; index++) await states.load(identity, nth(index))
  }

  test('weighs at most what it may', async () => {
    states = createStates(store, { weightMax: 10 })
    await load(0, 50)
    expect(states.size).toBeLessThanOrEqual(10)
  })

  test('keeps what is used again and drops what is not', async () => {
    states = createStates(store, { weightMax: 10 })
    await load(0, 15)
    for (let index = 15; index < 60; index++) {
      states.peek(nth(14))
      await load(index, index + 1)
    }
    expect(states.peek(nth(14))).toBeDefined()
    expect(states.peek(nth(15))).toBeUndefined()
  })

  test('keeps what is pinned, however much comes', async () => {
    states = createStates(store, { weightMax: 5 })
    await load(0, 1)
    states.pin(nth(0))
    await load(1, 60)
    expect(states.peek(nth(0))).toBeDefined()
    states.unpin(nth(0))
    await load(60, 120)
    expect(states.peek(nth(0))).toBeUndefined()
  })

  test('counts a large state for what it weighs', async () => {
    states = createStates(store, { weightMax: 10 })
    await blockMany(Array.from({ length: 640 }, (_, index) => `user${index}`))
    await load(0, 5)
    await states.load(blocklist, stream)
    await load(5, 8)
    expect(states.peek(stream)).toBeUndefined()
  })

  test('weighs right after states were evicted while they were read', async () => {
    states = createStates(store, { weightMax: 10 })
    await blockMany(Array.from({ length: 640 }, (_, index) => `user${index}`))
    for (let round = 0; round < 20; round++) {
      const loading = states.load(blocklist, stream)
      states.evict(stream)
      await loading
    }
    await load(0, 10)
    expect(states.size).toBe(10)
  })
})

describe('the commands of a stream', () => {
  const key = (index: number) => `key${index}`

  test('are known after a load, the last of them', async () => {
    const events = Array.from({ length: commandsRemembered + 3 }, (_, index) =>
      newEvent(
        'IdentityClaimed',
        { kind: 'userName', userId: 'u', at },
        { command: { key: key(index), fingerprint: 'f' } },
      ),
    )
    await log.store.append(streamOf.identity('h'), events, 'none')
    const { commands } = await states.load(identity, streamOf.identity('h'))
    expect(commands.map(({ key: known }) => known)).toEqual(
      Array.from({ length: commandsRemembered }, (_, index) => key(index + 3)),
    )
  })

  test('of several events are known by the position of the last', async () => {
    const command = { key: 'k', fingerprint: 'f' }
    await log.store.append(stream, [blocked('a'), { ...blocked('b'), command }, { ...blocked('c'), command }], 'none')
    const last = (await wholeStream(log.store, stream)).at(-1)
    expect((await states.load(blocklist, stream)).commands).toEqual([{ ...command, position: last?.position }])
  })

  test('that a load by the last event left out are read when asked for, and only once', async () => {
    const events = Array.from({ length: 100 }, (_, index) => read(index + 1, index % 2 === 0 ? key(index) : undefined))
    await log.store.append(inboxStream, events, 'none')
    const held = await states.load(inbox, inboxStream)
    expect([held.commands, held.commandsFrom]).toEqual([[], 99])
    const whole = await states.loadCommands(inbox, inboxStream)
    expect(whole.commands.map(({ key: known }) => known)).toEqual(
      Array.from({ length: commandsRemembered / 2 }, (_, index) => key(36 + index * 2)),
    )
    expect(whole).toMatchObject({ commandsFrom: 0, revision: 99, state: { readSeq: 100 } })
    const reads = store.reads.length
    expect(await states.loadCommands(inbox, inboxStream)).toBe(whole)
    expect(store.reads).toHaveLength(reads)
  })

  test('are whole also when news comes while they are read', async () => {
    await log.store.append(inboxStream, [read(1, 'a'), read(2, 'b')], 'none')
    await states.load(inbox, inboxStream)
    store.readGate.shut()
    const loading = states.loadCommands(inbox, inboxStream)
    await turns()
    await log.store.append(inboxStream, [read(3, 'c')], 1)
    states.apply((await wholeStream(log.store, inboxStream)).slice(2))
    store.readGate.open()
    const whole = (await loading) as Held<InboxMarks>
    expect(whole.commands.map(({ key: known }) => known)).toEqual(['a', 'b', 'c'])
    expect(whole).toMatchObject({ revision: 2, state: { readSeq: 3 } })
    expect(states.peek(inboxStream)).toBe(whole)
  })
})
