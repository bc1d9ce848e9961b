// What a device gets to hold: everything at first, then what changed, and which messages come as offline or roaming (R68).

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Instant, Position } from '../../domain/ids.ts'
import type { Database } from '../../projections/database.ts'
import { purgeTombstones } from '../../projections/purge.ts'
import { type Sync, syncConversationsMax, syncOf } from '../../projections/sync.ts'
import { groupChat, Ledger, p2p, user } from '../support/ledger.ts'
import { databaseKinds, empty, fold, openTestDatabase, type TestDatabase } from '../support/read-models.ts'

const chat = p2p('ada', 'bob')
const room = groupChat('g1')

const collection = (sync: Sync, name: string, via?: string) => {
  const found = sync.collections.find(rows => rows.collection === name && rows.via === via)
  return { items: (found?.items ?? []).map(text => JSON.parse(text)), removed: found?.removed ?? [] }
}
const seqs = (sync: Sync, via: string) => collection(sync, 'messages', via).items.map(({ seq }) => seq)
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)

describe.each(databaseKinds)('a sync on %s', kind => {
  let opened: TestDatabase
  let database: Database
  let ledger: Ledger
  let folded: number
  beforeAll(async () => {
    opened = await openTestDatabase(kind)
    database = opened.database
  })
  afterAll(() => opened.dispose())
  beforeEach(async () => {
    await empty(database)
    ledger = new Ledger()
    folded = 0
  })

  const sync = async (name: string, since: Position | null = null) => {
    await fold(database, ledger.events.slice(folded))
    folded = ledger.events.length
    return syncOf(database, user(name), since, Date.parse(ledger.at))
  }
  const times = (count: number, act: () => void) => {
    for (let number = 0; number < count; number++) act()
  }

  test('of one who has nothing says where it stands', async () => {
    ledger.account('ada')
    const found = await sync('eve')
    expect(found).toMatchObject({ position: ledger.position, tooOld: false, groupIds: [], hidden: [] })
    for (const { items, removed } of found.collections) expect([items, removed]).toEqual([[], []])
  })

  test('holds every collection, rows as elsewhere', async () => {
    for (const name of ['ada', 'bob', 'cid']) ledger.account(name)
    ledger.signIn('ada', 's1')
    ledger.block('ada', 'eve')
    ledger.group('g1', 'bob', ['ada'])
    ledger.group('g2', 'bob', ['ada', 'cid'])
    ledger.send(chat, 'bob')
    ledger.kick('g2', 'bob', ['ada'])
    const found = await sync('ada')
    expect(collection(found, 'users').items).toEqual([
      expect.objectContaining({ userId: 'ada', email: 'ada@example.org' }),
      { userId: 'bob', name: "bob's name" },
    ])
    expect(found.peerIds).toEqual(['bob'])
    expect(collection(found, 'sessions').items).toEqual([
      expect.objectContaining({ sessionId: 's1', openedAt: '2026-11-01T00:00:06.000Z' }),
    ])
    expect(collection(found, 'blocklist').items).toEqual([{ userId: 'eve', at: '2026-11-01T00:00:07.000Z' }])
    expect(collection(found, 'groups').items).toEqual([
      expect.objectContaining({
        groupId: 'g1',
        myRole: 'member',
        dissolvedAt: null,
        createdAt: '2026-11-01T00:00:08.000Z',
      }),
    ])
    expect(collection(found, 'notifications').items).toEqual([
      expect.objectContaining({ kind: 'removedFromGroup', groupId: 'g2', by: 'bob' }),
    ])
    expect(collection(found, 'conversations').items).toEqual([
      expect.objectContaining({ conversationId: chat, unread: 1, lastMessage: expect.objectContaining({ seq: 1 }) }),
    ])
    expect(found.groupIds).toEqual(['g1'])
    expect(found.hidden.map(row => [row.conversationId, row.active])).toEqual([
      ['group:g1', true],
      ['group:g2', false],
    ])
    expect(found.collections.map(({ collection: name, via }) => via ?? name).slice(-2)).toEqual(['offline', 'roaming'])
  })

  test('fills up with read messages of the last days where fewer than 100 are unread', async () => {
    ledger.stepMs = 3_600_000
    times(200, () => ledger.send(chat, 'bob'))
    ledger.read('ada', chat, 170)
    const found = await sync('ada')
    expect(seqs(found, 'offline')).toEqual(range(171, 200))
    // Seven days are 168 hours of the 201 that have passed: all of the newest 100 are younger.
    expect(seqs(found, 'roaming')).toEqual(range(101, 170))
  })

  test('lets nothing roam that is older than seven days', async () => {
    ledger.stepMs = 86_400_000
    times(30, () => ledger.send(chat, 'bob'))
    ledger.read('ada', chat, 30)
    const found = await sync('ada')
    expect(seqs(found, 'offline')).toEqual([])
    // Message 25 is seven days old to the millisecond.
    expect(seqs(found, 'roaming')).toEqual(range(25, 30))
  })

  test('brings the newest 100 unread ones of a conversation, and tells the true number', async () => {
    ledger.group('g1', 'bob', ['ada'])
    times(250, () => ledger.send(room, 'bob'))
    const found = await sync('ada')
    expect(seqs(found, 'offline')).toEqual(range(151, 250))
    expect(seqs(found, 'roaming')).toEqual([])
    expect(collection(found, 'conversations').items).toMatchObject([{ unread: 250 }])
  })

  test('goes through spans and clear marks', async () => {
    ledger.group('g1', 'bob', ['ada'])
    times(5, () => ledger.send(room, 'bob'))
    ledger.kick('g1', 'bob', ['ada'])
    times(5, () => ledger.send(room, 'bob'))
    ledger.add('g1', 'bob', ['ada'])
    times(2, () => ledger.send(room, 'bob'))
    times(3, () => ledger.send(chat, 'bob'))
    ledger.clear('ada', chat)
    ledger.send(chat, 'bob')
    const found = await sync('ada')
    expect(seqs(found, 'offline')).toEqual([4, 11, 12])
    expect(seqs(found, 'roaming')).toEqual([1, 2, 3, 4, 5])
  })

  test('brings messages for the most recent conversations only', async () => {
    const count = syncConversationsMax + 5
    for (let number = 0; number < count; number++) ledger.send(p2p('ada', `u${number}`), `u${number}`)
    const found = await sync('ada')
    expect(collection(found, 'conversations').items.length).toBe(count)
    const from = collection(found, 'messages', 'offline').items.map(item => item.from)
    expect(from.length).toBe(syncConversationsMax)
    expect(from[0]).toBe(`u${count - 1}`)
    expect(from).not.toContain('u4')
  })

  test('since a position brings what changed at or after it, and what is gone', async () => {
    for (const name of ['ada', 'bob', 'cid']) ledger.account(name)
    ledger.group('g1', 'bob', ['ada'])
    ledger.group('g2', 'bob', ['ada'])
    times(3, () => ledger.send(chat, 'bob'))
    ledger.send(room, 'bob')
    ledger.send(p2p('ada', 'cid'), 'cid')
    const { position } = await sync('ada')
    ledger.recall(chat, 1, 'bob')
    const since = ledger.position
    ledger.send(chat, 'bob')
    ledger.kick('g2', 'bob', ['ada'])
    ledger.remove('ada', room)
    const found = await sync('ada', since)
    expect(found.position).toBe(ledger.position)
    expect(seqs(found, 'offline')).toEqual([1, 4])
    expect(seqs(found, 'roaming')).toEqual([])
    const changed = collection(found, 'conversations')
    expect(changed.items.map(row => [row.conversationId, row.unread])).toEqual([[chat, 3]])
    expect(changed.removed.toSorted()).toEqual([groupChat('g2'), room].toSorted())
    expect(collection(found, 'groups')).toEqual({ items: [], removed: ['g2'] })
    expect(found.hidden.map(row => row.conversationId).toSorted()).toEqual([room, groupChat('g2')].toSorted())
    expect(collection(found, 'users').items.map(row => row.userId)).toEqual([])
    const whole = await sync('ada', position)
    expect(seqs(whole, 'offline')).toEqual(expect.arrayContaining([1, 4]))
    expect(found.groupIds).toEqual(['g1'])
  })

  test('since a time whose tombstones are gone is refused', async () => {
    ledger.stepMs = 86_400_000
    ledger.block('ada', 'bob')
    const since = ledger.position
    const removed = ledger.block('ada', 'bob', 'UserUnblocked')
    ledger.block('ada', 'cid')
    await sync('ada')
    expect((await sync('ada', since)).tooOld).toBe(false)
    expect(await purgeTombstones(database, ledger.at as Instant)).toBe(1)
    expect(await sync('ada', since)).toMatchObject({ tooOld: true, collections: [] })
    expect((await sync('ada', removed)).tooOld).toBe(true)
    expect((await sync('ada', ledger.position)).tooOld).toBe(false)
    expect((await sync('ada')).tooOld).toBe(false)
  })
})
