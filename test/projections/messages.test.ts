// What a user reads of a conversation: spans of membership, the clear mark, recalled messages, pages that hold together.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ConversationId, Instant, UserId } from '../../domain/ids.ts'
import type { Database, Queryable } from '../../projections/database.ts'
import { conversationOf } from '../../projections/inbox.ts'
import { type HistoryPlace, historyPage, messagesFor, sentMessage } from '../../projections/message.ts'
import { groupChat, Ledger, p2p, user } from '../support/ledger.ts'
import { databaseKinds, empty, fold, openTestDatabase, type TestDatabase } from '../support/read-models.ts'

const chat = p2p('ada', 'bob')
const room = groupChat('g1')

const visibleMessage = async (database: Queryable, userId: UserId, conversationId: ConversationId, seq: number) =>
  (await messagesFor(database, userId, conversationId, [seq])).get(seq)

describe.each(databaseKinds)('messages on %s', kind => {
  let opened: TestDatabase
  let database: Database
  let ledger: Ledger
  beforeAll(async () => {
    opened = await openTestDatabase(kind)
    database = opened.database
  })
  afterAll(() => opened.dispose())
  beforeEach(async () => {
    await empty(database)
    ledger = new Ledger()
  })

  const page = async (name: string, id: ConversationId, place: HistoryPlace, limit = 100) => {
    const text = await historyPage(database, user(name), id, { ...place, limit })
    if (text === undefined) return undefined
    const { items, hasMoreBefore, hasMoreAfter } = JSON.parse(text)
    return { seqs: items.map((item: { seq: number }) => item.seq), hasMoreBefore, hasMoreAfter }
  }
  const times = (count: number, act: () => void) => {
    for (let number = 0; number < count; number++) act()
  }

  test('go out as they were recorded, with their position', async () => {
    const position = ledger.send(chat, 'ada', { text: 'tab\t "quote" \\n \\\\ \u2028 \0 end', ext: '{"k":"\\\\"}' })
    await fold(database, ledger.events)
    const text = await historyPage(database, user('bob'), chat, { newest: true, limit: 1 })
    const { items } = JSON.parse(text ?? '')
    expect(items).toEqual([{ ...ledger.events[0]?.data, position }])
    expect(text).toContain(ledger.events[0]?.text.slice(0, -1) ?? '?')
  })

  test('come in pages that say whether there is more', async () => {
    times(10, () => ledger.send(chat, 'ada'))
    await fold(database, ledger.events)
    const more = (seqs: number[], hasMoreBefore: boolean, hasMoreAfter: boolean) => ({
      seqs,
      hasMoreBefore,
      hasMoreAfter,
    })
    expect(await page('bob', chat, { newest: true }, 3)).toEqual(more([8, 9, 10], true, false))
    expect(await page('bob', chat, { before: 8 }, 3)).toEqual(more([5, 6, 7], true, true))
    expect(await page('bob', chat, { before: 3 }, 3)).toEqual(more([1, 2], false, true))
    expect(await page('bob', chat, { before: 1 }, 3)).toEqual(more([], false, true))
    expect(await page('bob', chat, { after: 0 }, 3)).toEqual(more([1, 2, 3], false, true))
    expect(await page('bob', chat, { after: 7 }, 3)).toEqual(more([8, 9, 10], true, false))
    expect(await page('bob', chat, { after: 10 }, 3)).toEqual(more([], true, false))
    expect(await page('bob', chat, { after: 99 }, 3)).toEqual(more([], true, false))
    expect(await page('bob', chat, { newest: true }, 10)).toEqual(more([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], false, false))
  })

  test('are found by time', async () => {
    times(10, () => ledger.send(chat, 'ada'))
    await fold(database, ledger.events)
    const at = (index: number, addMs = 0) =>
      new Date(Date.parse('2026-11-01T00:00:00.000Z') + index * ledger.stepMs + addMs).toISOString() as Instant
    for (let index = 0; index < 10; index++) {
      expect((await page('bob', chat, { at: at(index) }, 2))?.seqs[0]).toBe(index + 1)
      expect((await page('bob', chat, { at: at(index, 1) }, 2))?.seqs[0]).toBe(index === 9 ? undefined : index + 2)
    }
    expect((await page('bob', chat, { at: '2020-01-01T00:00:00.000Z' as Instant }, 2))?.seqs).toEqual([1, 2])
  })

  test('are for the parties only', async () => {
    ledger.send(chat, 'ada')
    ledger.group('g1', 'ada', ['bob'])
    await fold(database, ledger.events)
    expect(await page('eve', chat, { newest: true })).toBeUndefined()
    expect(await page('eve', room, { newest: true })).toBeUndefined()
    expect(await page('ada', p2p('ada', 'eve'), { newest: true })).toBeUndefined()
    expect(await page('ada', room, { newest: true })).toEqual({ seqs: [], hasMoreBefore: false, hasMoreAfter: false })
    expect(await visibleMessage(database, user('eve'), chat, 1)).toBeUndefined()
  })

  test('kicked at 100, back at 200: neither sees 101 to 199 nor loses 1 to 100', async () => {
    ledger.group('g1', 'ada', ['bob'])
    times(100, () => ledger.send(room, 'ada'))
    ledger.kick('g1', 'ada', ['bob'])
    times(99, () => ledger.send(room, 'ada'))
    await fold(database, ledger.events)
    expect(await conversationOf(database, user('bob'), room)).toMatchObject({
      lastSeq: 100,
      unread: 100,
      active: false,
    })
    const before = ledger.events.length
    ledger.add('g1', 'ada', ['bob'])
    times(11, () => ledger.send(room, 'ada'))
    await fold(database, ledger.events.slice(before))
    expect(await conversationOf(database, user('bob'), room)).toMatchObject({ lastSeq: 210, unread: 11, readSeq: 199 })
    const newest = await page('bob', room, { newest: true }, 20)
    expect(newest?.seqs).toEqual([...range(92, 100), ...range(200, 210)])
    expect(newest?.hasMoreBefore).toBe(true)
    expect((await page('bob', room, { after: 95 }, 7))?.seqs).toEqual([96, 97, 98, 99, 100, 200, 201])
    expect((await page('bob', room, { before: 150 }, 3))?.seqs).toEqual([98, 99, 100])
    expect((await page('bob', room, { after: 150 }, 3))?.seqs).toEqual([200, 201, 202])
    expect((await page('bob', room, { before: 99 }))?.seqs).toEqual(range(1, 98))
    expect(await visibleMessage(database, user('bob'), room, 150)).toBeUndefined()
    expect(await visibleMessage(database, user('bob'), room, 100)).toMatchObject({ from: 'ada' })
    expect(await visibleMessage(database, user('bob'), room, 200)).toMatchObject({ countable: 200 })
  })

  test('many spans: in and out, over and over', async () => {
    ledger.group('g1', 'ada', [])
    const seen: number[] = []
    for (let round = 0; round < 6; round++) {
      ledger.add('g1', 'ada', ['bob'])
      // Every third time nothing is said while in.
      if (round % 3 !== 2) {
        times(3, () => ledger.send(room, 'ada'))
        seen.push(...range(ledger.headOf(room).seq - 2, ledger.headOf(room).seq))
      }
      ledger.kick('g1', 'ada', ['bob'])
      if (round % 2 === 0) times(2, () => ledger.send(room, 'ada'))
    }
    await fold(database, ledger.events)
    expect(await page('bob', room, { newest: true })).toEqual({ seqs: seen, hasMoreBefore: false, hasMoreAfter: false })
    expect(await conversationOf(database, user('bob'), room)).toMatchObject({ lastSeq: seen.at(-1), active: false })
    expect(JSON.parse((await conversationOf(database, user('bob'), room))?.text ?? '').lastMessage.seq).toBe(
      seen.at(-1),
    )
  })

  test('cleared ones are gone for the one who cleared, and only for them', async () => {
    times(5, () => ledger.send(chat, 'ada'))
    ledger.clear('bob', chat)
    await fold(database, ledger.events)
    expect(await page('bob', chat, { newest: true })).toEqual({ seqs: [], hasMoreBefore: false, hasMoreAfter: false })
    expect((await page('ada', chat, { newest: true }))?.seqs).toEqual(range(1, 5))
    expect(await visibleMessage(database, user('bob'), chat, 5)).toBeUndefined()
    const row = await conversationOf(database, user('bob'), chat)
    expect(row).toMatchObject({ unread: 0, lastSeq: 5, clearedSeq: 5, readSeq: 5, isListed: true })
    expect(JSON.parse(row?.text ?? '')).toEqual({
      conversationId: chat,
      kind: 'p2p',
      lastSeq: 5,
      unread: 0,
      readSeq: 5,
      clearedSeq: 5,
      pinnedAt: null,
      reminder: 'all',
      doNotDisturb: false,
      announcementAlert: false,
      announcementPopup: 0,
      announcementSeen: 0,
      active: true,
      lastMessage: null,
    })
  })

  test('recalled ones stay as tombstones, without their content', async () => {
    const sentAt = ledger.send(chat, 'ada', { text: 'a secret', ext: 'more of it', clientMessageId: 'key' })
    ledger.send(chat, 'ada', { text: 'plain' })
    ledger.recall(chat, 1, 'ada', 'wrong window')
    const recalledAt = ledger.recall(chat, 2, 'ada')
    await fold(database, ledger.events)
    const text = (await historyPage(database, user('bob'), chat, { newest: true, limit: 9 })) ?? ''
    expect(text).not.toContain('secret')
    expect(text).not.toContain('more of it')
    const { items } = JSON.parse(text)
    const recalled = { at: expect.any(String), by: 'ada' }
    const { text: _, ...sent } = { ...(ledger.events[0]?.data as object), text: '' }
    expect(items[0]).toEqual({
      ...sent,
      body: {},
      ext: null,
      counts: true,
      position: sentAt,
      recalled: { ...recalled, reason: 'wrong window' },
    })
    expect(items[1]).toMatchObject({ seq: 2, countable: 2, type: 'text', body: {}, counts: true, recalled })
    expect(items[1]).not.toHaveProperty('ext')
    const row = await conversationOf(database, user('bob'), chat)
    expect(row?.unread).toBe(0)
    expect(JSON.parse(row?.text ?? '').lastMessage).toEqual(items[1])
    const seen = await visibleMessage(database, user('bob'), chat, 1)
    expect(seen).toEqual({
      from: 'ada',
      countable: 1,
      counts: true,
      at: '2026-11-01T00:00:00.000Z',
      hadExt: true,
      type: 'text',
      receiptsFrom: null,
      recalled: true,
    })
    expect(recalledAt > sentAt).toBe(true)
    expect(await sentMessage(database, user('ada'), 'key')).toMatchObject({ seq: 1, position: sentAt, at: seen?.at })
  })

  test('a sender finds their own by its key, and nobody else does', async () => {
    const strange = 'a\tb\\c\n"d" \0'
    ledger.send(chat, 'ada', { clientMessageId: strange })
    ledger.send(chat, 'bob', { clientMessageId: 'plain' })
    await fold(database, ledger.events)
    expect(await sentMessage(database, user('ada'), strange)).toMatchObject({ conversationId: chat, seq: 1 })
    expect(await sentMessage(database, user('bob'), strange)).toBeUndefined()
    expect(await sentMessage(database, user('ada'), 'plain')).toBeUndefined()
  })

  test('of the size that clients may send are folded many at a time', async () => {
    times(300, () => ledger.send(chat, 'ada', { text: '漢\\'.repeat(2_500) }))
    await fold(database, ledger.events)
    const text = await historyPage(database, user('bob'), chat, { newest: true, limit: 100 })
    expect(JSON.parse(text ?? '').items[99].body.text).toBe('漢\\'.repeat(2_500))
  })
})

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)
