// Read receipts as the read models show them (R34): the sender sees how many have read a message, everybody else what was sent;
// who has read it is the sender's to see, page by page.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Database } from '../../projections/database.ts'
import { conversationChangesOf, conversationOf } from '../../projections/inbox.ts'
import { historyPage, messagesFor } from '../../projections/message.ts'
import { type ReceiptState, receiptsOf } from '../../projections/receipt.ts'
import { syncOf } from '../../projections/sync.ts'
import { groupChat, Ledger, user } from '../support/ledger.ts'
import { allRows, databaseKinds, empty, fold, openTestDatabase, type TestDatabase } from '../support/read-models.ts'
import { ask, read } from '../support/receipt-ledger.ts'

const room = groupChat('g1')
const readers = Array.from({ length: 7 }, (_, index) => `u${index}`)

describe.each(databaseKinds)('read receipts on %s', kind => {
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
    ledger.group('g1', 'ada', readers)
  })

  const foldNews = async () => {
    await fold(database, ledger.events.slice(folded))
    folded = ledger.events.length
  }
  const receiptsIn = (texts: readonly string[]) => texts.map(text => JSON.parse(text).receipt)
  const historyOf = async (name: string) => {
    const { items } = JSON.parse((await historyPage(database, user(name), room, { newest: true, limit: 100 })) ?? '')
    return items as { seq: number; receipt?: unknown }[]
  }
  const page = (seq: number, state: ReceiptState, limit = 100, cursor?: string, name = 'ada') =>
    receiptsOf(database, user(name), room, seq, { state, limit, cursor })
  const itemsOf = async (seq: number, state: ReceiptState, limit = 100) => {
    const ids: string[] = []
    let cursor: string | undefined
    do {
      const found = await page(seq, state, limit, cursor)
      if (found?.asks !== true) throw new Error('no receipts')
      expect(found.items.length).toBeLessThanOrEqual(limit)
      ids.push(...found.items.map(({ userId }) => userId))
      cursor = found.next ?? undefined
    } while (cursor !== undefined)
    return ids
  }

  test('the sender sees how many have read, in history, list and sync; everybody else what was sent', async () => {
    ask(ledger, room, 'ada')
    for (const name of ['u3', 'u1']) read(ledger, room, 1, name)
    await foldNews()
    for (const [name, receipt] of [
      ['ada', { read: 2, unread: 5 }],
      ['u1', { read: 0, unread: 7 }],
      ['u5', { read: 0, unread: 7 }],
    ] as const) {
      expect((await historyOf(name))[0]?.receipt).toEqual(receipt)
      const row = JSON.parse((await conversationOf(database, user(name), room))?.text ?? '')
      expect(row.lastMessage.receipt).toEqual(receipt)
      const { collections } = await syncOf(database, user(name), null, Date.parse(ledger.at))
      const messages = collections.filter(({ collection }) => collection === 'messages').flatMap(({ items }) => items)
      expect(receiptsIn(messages)).toEqual([receipt])
    }
  })

  test('a receipt changes the sender’s rows since a position, and nobody else’s', async () => {
    ask(ledger, room, 'ada')
    ledger.send(room, 'u1')
    await foldNews()
    read(ledger, room, 1, 'u2')
    const since = ledger.position
    await foldNews()
    const changesOf = async (name: string) => {
      const { collections } = await syncOf(database, user(name), since, Date.parse(ledger.at))
      const found = collections.flatMap(({ collection, items }) => (collection === 'messages' ? items : []))
      const listed = await conversationChangesOf(database, user(name), since)
      return [receiptsIn(found), listed === 'too-old' ? undefined : listed.items.length]
    }
    expect(await changesOf('ada')).toEqual([[{ read: 1, unread: 6 }], 1])
    expect(await changesOf('u1')).toEqual([[], 0])
    expect(await changesOf('u2')).toEqual([[], 0])
  })

  test('who has read it comes in the order of reading, who has not by id, page by page', async () => {
    ask(ledger, room, 'ada')
    for (const name of ['u6', 'u0', 'u3']) read(ledger, room, 1, name)
    await foldNews()
    for (const limit of [1, 2, 3, 100]) {
      expect(await itemsOf(1, 'read', limit)).toEqual(['u6', 'u0', 'u3'])
      expect(await itemsOf(1, 'unread', limit)).toEqual(['u1', 'u2', 'u4', 'u5'])
    }
    const first = await page(1, 'read', 1)
    expect(first).toEqual({
      from: 'ada',
      asks: true,
      read: 3,
      unread: 4,
      items: [{ userId: 'u6', at: expect.stringMatching(/Z$/) }],
      next: expect.any(String),
    })
  })

  test('a page holds together while others read', async () => {
    ask(ledger, room, 'ada')
    for (const name of ['u6', 'u0']) read(ledger, room, 1, name)
    await foldNews()
    const first = await page(1, 'read', 2)
    expect(first).toMatchObject({ asks: true, items: [{ userId: 'u6' }, { userId: 'u0' }], next: null })
    const before = await page(1, 'read', 1)
    read(ledger, room, 1, 'u5')
    await foldNews()
    if (before?.asks !== true || before.next === null) throw new Error('one page only')
    expect(await page(1, 'read', 5, before.next)).toMatchObject({ items: [{ userId: 'u0' }, { userId: 'u5' }] })
  })

  test('are nobody’s but the sender’s, and only where the sender sees the message', async () => {
    ask(ledger, room, 'ada')
    ledger.send(room, 'ada')
    read(ledger, room, 1, 'u1')
    await foldNews()
    const ofOther = await page(1, 'read', 100, undefined, 'u1')
    expect(ofOther).toMatchObject({ from: 'ada', items: [] })
    expect(await page(1, 'read', 100, undefined, 'eve')).toBeUndefined()
    expect(await page(2, 'read')).toEqual({ from: 'ada', asks: false })
    expect(await page(3, 'read')).toBeUndefined()
    expect(await page(2 ** 40, 'read')).toBeUndefined()
    ledger.clear('ada', room)
    await foldNews()
    expect(await page(1, 'read')).toBeUndefined()
  })

  test('of those who left stay, those who come later are not asked', async () => {
    ask(ledger, room, 'ada')
    ledger.kick('g1', 'ada', ['u0'])
    ledger.add('g1', 'ada', ['eve'])
    read(ledger, room, 1, 'eve')
    await foldNews()
    expect(await itemsOf(1, 'unread')).toEqual(readers)
    expect((await historyOf('ada'))[0]?.receipt).toEqual({ read: 0, unread: 7 })
  })

  test('go with the message when it is recalled', async () => {
    ask(ledger, room, 'ada', { ext: '{}' })
    read(ledger, room, 1, 'u1')
    ledger.recall(room, 1, 'ada')
    await foldNews()
    for (const name of ['ada', 'u1', 'u2']) {
      expect(await historyOf(name)).toMatchObject([{ body: {}, ext: null, receipt: null }])
    }
    expect(await page(1, 'read')).toEqual({ from: 'ada', asks: false })
    expect((await allRows(database)).receipt).toEqual([])
    expect((await messagesFor(database, user('u1'), room, [1])).get(1)).toMatchObject({ receiptsFrom: null })
  })

  test('a message that asks nobody has none in its row', async () => {
    ledger.send(room, 'ada')
    await foldNews()
    expect((await historyOf('ada'))[0]).not.toHaveProperty('receipt')
    expect((await messagesFor(database, user('u1'), room, [1])).get(1)).toMatchObject({ receiptsFrom: null })
  })
})
