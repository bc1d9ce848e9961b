// The list of conversations and its counters: order, pages under writes, what hides a conversation and brings it back, and
// unread by every way it moves.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ConversationRow } from '../../domain/rows.ts'
import type { Database } from '../../projections/database.ts'
import {
  conversationChangesOf,
  conversationOf,
  conversationsOf,
  pinnedCount,
  unreadOf,
} from '../../projections/inbox.ts'
import { groupChat, Ledger, p2p, user } from '../support/ledger.ts'
import { databaseKinds, empty, fold, openTestDatabase, type TestDatabase } from '../support/read-models.ts'

const chat = p2p('ada', 'bob')
const room = groupChat('g1')

describe.each(databaseKinds)('conversations on %s', kind => {
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

  /** Folds what was said since the last time. */
  const foldNews = async () => {
    await fold(database, ledger.events.slice(folded))
    folded = ledger.events.length
  }
  const rowsOf = (texts: readonly string[]) => texts.map(text => JSON.parse(text) as ConversationRow)
  const list = async (name: string, options: Partial<Parameters<typeof conversationsOf>[2]> = {}) => {
    const { items, next } = await conversationsOf(database, user(name), { limit: 100, ...options })
    return { ids: rowsOf(items).map(row => row.conversationId), next }
  }
  const unread = async (name: string, id = room) => {
    await foldNews()
    return (await conversationOf(database, user(name), id))?.unread
  }

  test('open for both sides with the first message, and for a group with the first that is visible', async () => {
    ledger.group('g1', 'ada', ['bob'])
    await foldNews()
    expect((await list('bob')).ids).toEqual([])
    expect(await conversationOf(database, user('bob'), room)).toMatchObject({ lastSeq: 0, isListed: false })
    ledger.send(chat, 'ada')
    ledger.notify('g1', 'ada', 'memberInvited')
    await foldNews()
    for (const name of ['ada', 'bob']) expect((await list(name)).ids).toEqual([room, chat])
    expect(await unreadOf(database, user('bob'))).toEqual({ total: 1, conversations: 1, byKind: { p2p: 1, group: 0 } })
    expect(await unreadOf(database, user('ada'))).toEqual({ total: 0, conversations: 0, byKind: { p2p: 0, group: 0 } })
    expect(await conversationOf(database, user('eve'), chat)).toBeUndefined()
  })

  test('are ordered by pin and last message, in pages that hold together under writes', async () => {
    const names = Array.from({ length: 9 }, (_, index) => `p${index}`)
    for (const name of names) ledger.send(p2p('ada', name), name)
    ledger.pin('ada', p2p('ada', 'p2'))
    ledger.pin('ada', p2p('ada', 'p5'))
    await foldNews()
    const order = ['p5', 'p2', 'p8', 'p7', 'p6', 'p4', 'p3', 'p1', 'p0'].map(name => p2p('ada', name))
    expect((await list('ada')).ids).toEqual(order)
    expect(await pinnedCount(database, user('ada'))).toBe(2)
    const first = await list('ada', { limit: 4 })
    expect(first.ids).toEqual(order.slice(0, 4))
    // What is on the next page moves to the front meanwhile: it is not lost, it is where the user looks first.
    ledger.send(p2p('ada', 'p1'), 'p1')
    ledger.send(p2p('ada', 'p8'), 'p8')
    await foldNews()
    const second = await list('ada', { limit: 100, cursor: first.next ?? '' })
    expect(second.ids).toEqual(order.slice(4).filter(id => id !== p2p('ada', 'p1')))
    expect((await list('ada', { pinned: true })).ids).toEqual(order.slice(0, 2))
    expect((await list('ada', { pinned: false })).ids.length).toBe(7)
    ledger.unpin('ada', p2p('ada', 'p5'))
    await foldNews()
    expect((await list('ada', { pinned: true })).ids).toEqual([p2p('ada', 'p2')])
    await expect(list('ada', { cursor: Buffer.from('[1,2,3]').toString('base64url') })).rejects.toThrow('cursor')
  })

  test('filter by kind and by unread', async () => {
    ledger.group('g1', 'ada', ['bob'])
    ledger.send(room, 'ada')
    ledger.send(chat, 'ada')
    ledger.read('bob', chat)
    await foldNews()
    expect((await list('bob', { kind: 'p2p' })).ids).toEqual([chat])
    expect((await list('bob', { kind: 'group' })).ids).toEqual([room])
    expect((await list('bob', { unread: true })).ids).toEqual([room])
    expect((await list('bob', { unread: false })).ids).toEqual([chat])
  })

  test('deleted, are gone until the next message', async () => {
    ledger.send(chat, 'ada')
    ledger.pin('bob', chat)
    const since = ledger.remove('bob', chat)
    await foldNews()
    expect((await list('bob')).ids).toEqual([])
    expect((await list('ada')).ids).toEqual([chat])
    expect(await pinnedCount(database, user('bob'))).toBe(0)
    expect(await conversationChangesOf(database, user('bob'), since)).toMatchObject({ items: [], removed: [chat] })
    ledger.send(chat, 'ada')
    await foldNews()
    expect((await list('bob')).ids).toEqual([chat])
    expect(await conversationOf(database, user('bob'), chat)).toMatchObject({ unread: 1, readSeq: 1, pinnedAt: null })
    const changes = await conversationChangesOf(database, user('bob'), ledger.position)
    expect(changes === 'too-old' ? [] : rowsOf(changes.items)).toMatchObject([{ conversationId: chat, unread: 1 }])
  })

  test('pinned before the first message, is pinned when it opens', async () => {
    ledger.pin('ada', chat)
    await foldNews()
    expect(await conversationOf(database, user('ada'), chat)).toBeUndefined()
    ledger.send(chat, 'bob')
    await foldNews()
    expect(await conversationOf(database, user('ada'), chat)).toMatchObject({ unread: 1, pinnedAt: expect.any(String) })
    expect(await conversationOf(database, user('bob'), chat)).toMatchObject({ unread: 0, pinnedAt: null })
  })

  test('unread counts what others said since it was read, without notifications and what was recalled', async () => {
    ledger.group('g1', 'ada', ['bob', 'cid'])
    ledger.notify('g1', 'ada', 'memberInvited')
    expect(await unread('bob')).toBe(0)
    ledger.send(room, 'ada')
    ledger.send(room, 'cid')
    ledger.send(room, 'bob')
    ledger.send(room, 'ada')
    expect(await unread('bob')).toBe(3)
    expect(await unread('ada')).toBe(2)
    ledger.read('bob', room, 2)
    expect(await unread('bob')).toBe(2)
    ledger.recall(room, 3, 'cid')
    expect(await unread('bob')).toBe(1)
    expect(await unread('cid')).toBe(3)
    ledger.recall(room, 2, 'ada')
    expect(await unread('bob')).toBe(1)
    ledger.read('bob', room, 1)
    expect(await unread('bob')).toBe(1)
    ledger.recall(room, 4, 'bob')
    expect(await unread('bob')).toBe(1)
    expect(await unread('ada')).toBe(0)
    ledger.clear('bob', room)
    expect(await unread('bob')).toBe(0)
    ledger.send(room, 'cid')
    expect(await unread('bob')).toBe(1)
  })

  test('a read mark beyond the end ends at the end', async () => {
    ledger.send(chat, 'ada')
    ledger.read('bob', chat, 1_000_000)
    ledger.send(chat, 'ada')
    expect(await unread('bob', chat)).toBe(1)
    expect(await conversationOf(database, user('bob'), chat)).toMatchObject({ readSeq: 1, lastSeq: 2 })
  })

  test('one who was kicked keeps what was unread then, and a message that landed late is not theirs', async () => {
    ledger.group('g1', 'ada', ['bob', 'cid'])
    ledger.send(room, 'ada')
    ledger.send(room, 'bob')
    ledger.kick('g1', 'ada', ['bob'])
    ledger.send(room, 'bob')
    ledger.send(room, 'ada')
    expect(await unread('bob')).toBe(1)
    expect(await unread('cid')).toBe(4)
    expect(await conversationOf(database, user('bob'), room)).toMatchObject({
      lastSeq: 2,
      active: false,
      isListed: true,
    })
    ledger.recall(room, 1, 'ada')
    expect(await unread('bob')).toBe(0)
    ledger.read('bob', room)
    await foldNews()
    expect(await conversationOf(database, user('bob'), room)).toMatchObject({ readSeq: 2, unread: 0 })
  })

  test('a dissolved group keeps its conversation, with its last notice', async () => {
    ledger.group('g1', 'ada', ['bob'])
    ledger.send(room, 'ada')
    ledger.dissolve('g1', 'ada')
    ledger.notify('g1', 'ada', 'groupDissolved')
    await foldNews()
    expect(await conversationOf(database, user('bob'), room)).toMatchObject({ lastSeq: 2, unread: 1, active: true })
    expect((await list('bob')).ids).toEqual([room])
  })
})
