// What has grown too old is gone for everybody: from the history, the sync and the unread numbers, whenever and in however many
// turns it was deleted, and after a rebuild. A repeat of it stays a repeat.

import { EventEmitter, once } from 'node:events'
import fc from 'fast-check'
import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ConversationId, Instant } from '../../domain/ids.ts'
import type { RecordedEvent } from '../../eventstore/port.ts'
import { loadCheckpoint } from '../../projections/checkpoint.ts'
import type { Database } from '../../projections/database.ts'
import { conversationOf, conversationsOf, unreadOf } from '../../projections/inbox.ts'
import { historyPage, messagesFor, sentMessage } from '../../projections/message.ts'
import type { ProjectionName } from '../../projections/projection.ts'
import { projections } from '../../projections/projections.ts'
import { rebuild } from '../../projections/rebuild.ts'
import { receiptsOf } from '../../projections/receipt.ts'
import { deleteOldMessages } from '../../projections/retention.ts'
import { startRunner } from '../../projections/runner.ts'
import { syncOf } from '../../projections/sync.ts'
import { givenLog } from '../support/given-log.ts'
import { groupChat, Ledger, p2p, user } from '../support/ledger.ts'
import { chats, expectedOf, ledgerOf, people, steps } from '../support/random-ledger.ts'
import {
  allRows,
  databaseKinds,
  empty,
  fold,
  openTestDatabase,
  type TestDatabase,
  testLogId,
} from '../support/read-models.ts'
import { ask, read } from '../support/receipt-ledger.ts'

const chat = p2p('ada', 'bob')
const room = groupChat('g1')
const dayMs = 86_400_000

const property = { interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false, endOnFailure: true } as const

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)

/** Where a log is stopped for a deletion: after how many events, and from which one's time on messages stay. */
const turns = fc.array(fc.tuple(fc.nat(1_000), fc.nat(1_000)), { minLength: 1, maxLength: 4 })

interface Turn {
  readonly events: number
  readonly before: Instant
}

/** When an event happened; those of a ledger all say so, or are not asked. */
const atOf = (event: RecordedEvent | undefined): Instant => (event?.data as { at: Instant } | undefined)?.at as Instant

/** In log order; time goes on from one to the next, and the last is made when everything is folded. */
const turnsIn = (ledger: Ledger, made: readonly (readonly [number, number])[]): readonly Turn[] => {
  const count = ledger.events.length
  const places = made.map(([events]) => events % (count + 1)).toSorted((a, b) => a - b)
  const times = made.map(([, time]) => time % count).toSorted((a, b) => a - b)
  return places.map((place, index) => ({
    events: index === places.length - 1 ? count : place,
    before: atOf(ledger.events[times[index] ?? 0]) ?? ledger.at,
  }))
}

describe.each(databaseKinds)('the age of messages on %s', kind => {
  let opened: TestDatabase
  let database: Database
  beforeAll(async () => {
    opened = await openTestDatabase(kind)
    database = opened.database
  })
  afterAll(() => opened.dispose())
  beforeEach(() => empty(database))

  const seqsOf = async (name: string, id: ConversationId): Promise<readonly number[]> => {
    const page = await historyPage(database, user(name), id, { newest: true, limit: 100 })
    return JSON.parse(page ?? '').items.map(({ seq }: { seq: number }) => seq)
  }
  const times = (count: number, act: () => void) => {
    for (let number = 0; number < count; number++) act()
  }
  /** Folds what was recorded since the last time. */
  const folding = (ledger: Ledger) => {
    let done = 0
    return async () => {
      const events = ledger.events.slice(done)
      done = ledger.events.length
      await fold(database, events)
    }
  }

  test('takes what cannot be seen any more out of every number, and nothing else', async () => {
    const ledger = new Ledger()
    const go = folding(ledger)
    times(4, () => ledger.send(chat, 'ada'))
    ledger.read('bob', chat, 1)
    times(2, () => ledger.send(chat, 'bob'))
    const before = ledger.at
    times(3, () => ledger.send(chat, 'ada'))
    ledger.recall(chat, 2, 'ada')
    ledger.recall(chat, 8, 'ada')
    await go()
    expect(await conversationOf(database, user('bob'), chat)).toMatchObject({ unread: 4, readSeq: 1 })
    expect(await deleteOldMessages(database, before)).toBe(6)
    expect(await seqsOf('bob', chat)).toEqual([7, 8, 9])
    expect(await conversationOf(database, user('bob'), chat)).toMatchObject({ unread: 2, readSeq: 6, lastSeq: 9 })
    expect(await conversationOf(database, user('ada'), chat)).toMatchObject({ unread: 0, readSeq: 6 })
    expect((await messagesFor(database, user('bob'), chat, [6])).get(6)).toBeUndefined()
    expect((await messagesFor(database, user('bob'), chat, [7])).get(7)).toMatchObject({ countable: 7 })
    const page = async (place: object) =>
      JSON.parse((await historyPage(database, user('bob'), chat, { ...(place as { before: number }), limit: 2 })) ?? '')
    expect(await page({ before: 9 })).toMatchObject({ hasMoreBefore: false, hasMoreAfter: true })
    expect(await page({ before: 7 })).toEqual({ items: [], hasMoreBefore: false, hasMoreAfter: true })
    expect(await page({ after: 0 })).toMatchObject({ items: [{ seq: 7 }, { seq: 8 }], hasMoreBefore: false })
    expect(await page({ at: '2020-01-01T00:00:00.000Z' })).toMatchObject({ items: [{ seq: 7 }, { seq: 8 }] })
    const at = atOf(ledger.events.findLast(({ type }) => type === 'MessageSent'))
    expect(await page({ at })).toMatchObject({ items: [{ seq: 9 }], hasMoreBefore: true })
    // What comes next has the next numbers; a mark among what is gone changes nothing.
    ledger.send(chat, 'ada')
    ledger.read('bob', chat, 3)
    await go()
    expect(await conversationOf(database, user('bob'), chat)).toMatchObject({ unread: 3, readSeq: 6, lastSeq: 10 })
    ledger.read('bob', chat, 7)
    await go()
    expect(await conversationOf(database, user('bob'), chat)).toMatchObject({ unread: 2, readSeq: 7 })
  })

  test('leaves a conversation of which all is gone in the list, with its place and without a last message', async () => {
    const ledger = new Ledger()
    const go = folding(ledger)
    times(3, () => ledger.send(chat, 'ada'))
    ledger.send(p2p('bob', 'cid'), 'cid')
    await go()
    expect(await deleteOldMessages(database, ledger.at)).toBe(4)
    const rows = async () =>
      (await conversationsOf(database, user('bob'), { limit: 10 })).items.map(text => JSON.parse(text))
    expect(await rows()).toMatchObject([
      { conversationId: p2p('bob', 'cid'), unread: 0, lastSeq: 1, readSeq: 1, lastMessage: null },
      { conversationId: chat, unread: 0, lastSeq: 3, readSeq: 3, lastMessage: null },
    ])
    expect(await unreadOf(database, user('bob'))).toMatchObject({ total: 0, conversations: 0 })
    expect(await seqsOf('bob', chat)).toEqual([])
    ledger.send(chat, 'ada')
    await go()
    expect(await rows()).toMatchObject([{ conversationId: chat, unread: 1, lastSeq: 4, lastMessage: { seq: 4 } }, {}])
  })

  test('is the same for whoever was in a group, is out, or is back', async () => {
    const ledger = new Ledger()
    const go = folding(ledger)
    ledger.group('g1', 'ada', ['bob', 'cid', 'dan'])
    times(5, () => ledger.send(room, 'ada'))
    ledger.send(room, 'bob')
    ledger.kick('g1', 'ada', ['bob', 'cid'])
    times(5, () => ledger.send(room, 'ada'))
    ledger.add('g1', 'ada', ['cid'])
    await go()
    const rowOf = (name: string) => conversationOf(database, user(name), room)
    const fourth = ledger.events.find(event => (event.data as { seq?: number }).seq === 4)
    await deleteOldMessages(database, atOf(fourth))
    expect(await rowOf('bob')).toMatchObject({ unread: 2, readSeq: 3, lastSeq: 6, active: false })
    expect(await rowOf('dan')).toMatchObject({ unread: 8, readSeq: 3 })
    expect(await rowOf('cid')).toMatchObject({ unread: 0, readSeq: 11, lastSeq: 6 })
    expect(await seqsOf('cid', room)).toEqual([4, 5, 6])
    // Further than bob could ever see: his number ends at his own end.
    await deleteOldMessages(database, ledger.at)
    expect(await rowOf('bob')).toMatchObject({ unread: 0, readSeq: 6, lastSeq: 6 })
    ledger.add('g1', 'ada', ['bob'])
    times(2, () => ledger.send(room, 'ada'))
    await go()
    expect(await rowOf('bob')).toMatchObject({ unread: 2, readSeq: 11, lastSeq: 13 })
    expect(await rowOf('dan')).toMatchObject({ unread: 2, readSeq: 11 })
  })

  test('takes who has read it along, also who says so only then', async () => {
    const ledger = new Ledger()
    const go = folding(ledger)
    ledger.group('g1', 'ada', ['bob', 'cid', 'dan'])
    ask(ledger, room, 'ada')
    const before = ledger.at
    ask(ledger, room, 'ada')
    for (const seq of [1, 2]) read(ledger, room, seq, 'bob')
    await go()
    expect(await deleteOldMessages(database, before)).toBe(1)
    for (const seq of [1, 2]) read(ledger, room, seq, 'cid')
    await go()
    expect((await allRows(database)).receipt).toHaveLength(2)
    const page = { state: 'read', limit: 100 } as const
    expect(await receiptsOf(database, user('ada'), room, 1, page)).toBeUndefined()
    expect(await receiptsOf(database, user('ada'), room, 2, page)).toMatchObject({ read: 2, unread: 1 })
  })

  test('lets a repeat be known for ever: by its place, and by what it said', async () => {
    const ledger = new Ledger()
    const strange = 'a\tb\\c\n"d" \0'
    const first = ledger.send(chat, 'ada', { clientMessageId: strange, text: 'half of a pair \ud800 and \0' })
    const second = ledger.send(chat, 'ada', { clientMessageId: 'plain' })
    ledger.recall(chat, 2, 'ada')
    await fold(database, ledger.events)
    const ask = () => Promise.all([strange, 'plain'].map(key => sentMessage(database, user('ada'), key)))
    const known = await ask()
    expect(known).toMatchObject([
      { conversationId: chat, seq: 1, position: first },
      { seq: 2, position: second },
    ])
    expect(await deleteOldMessages(database, ledger.at)).toBe(2)
    expect(await ask()).toEqual(known)
    expect(await sentMessage(database, user('bob'), 'plain')).toBeUndefined()
  })

  test('goes conversation by conversation in slices, however many there are and however long they are', async () => {
    const ledger = new Ledger({ stepMs: 1 })
    times(620, () => ledger.send(room, 'ada'))
    for (let number = 0; number < 530; number++) ledger.send(p2p('ada', `u${number}`), 'ada')
    await fold(database, ledger.events, [500, 1_000])
    expect(await deleteOldMessages(database, ledger.at)).toBe(1_150)
    expect((await allRows(database)).message).toEqual([])
    expect((await allRows(database)).sent_key?.length).toBe(1_150)
  })

  test('ends between two slices when it is told to, and goes on another time', async () => {
    const ledger = new Ledger({ stepMs: 1 })
    times(600, () => ledger.send(chat, 'ada'))
    await fold(database, ledger.events)
    const abort = new AbortController()
    const left = async () => (await allRows(database)).message?.length
    const noted = async () => (await loadCheckpoint(database))?.history_before
    const stopping: Database = {
      ...database,
      transaction: async work => {
        const result = await database.transaction(work)
        if ((await left()) === 350) abort.abort()
        return result
      },
    }
    expect(await deleteOldMessages(stopping, ledger.at, abort.signal)).toBe(250)
    // Only what came to its end is noted for rebuilds.
    expect([await left(), await noted()]).toEqual([350, null])
    expect(await conversationOf(database, user('bob'), chat)).toMatchObject({ unread: 350, readSeq: 250 })
    expect(await deleteOldMessages(database, ledger.at)).toBe(350)
    expect([await left(), await noted()]).toEqual([0, ledger.at])
  })

  test('gives one outcome, whenever the deletions were made: rows, pages and numbers', async () => {
    await fc.assert(
      fc.asyncProperty(steps(200), turns, async (made, madeTurns) => {
        const ledger = ledgerOf(made)
        const stops = turnsIn(ledger, madeTurns)
        const last = stops.at(-1)?.before ?? ledger.at
        await empty(database)
        await fold(database, ledger.events)
        await deleteOldMessages(database, last)
        const atOnce = await allRows(database)
        await empty(database)
        let done = 0
        for (const { events, before } of stops) {
          await fold(database, ledger.events.slice(done, events))
          done = events
          await deleteOldMessages(database, before)
        }
        expect(await allRows(database)).toEqual(atOnce)
        for (const userId of people) {
          for (const id of chats) {
            const expected = expectedOf(ledger.events, userId, id, last)
            const row = await conversationOf(database, userId, id)
            const label = `${userId} ${id}`
            if (expected === undefined) {
              expect(row, label).toBeUndefined()
              continue
            }
            const { lastSeq, unread, isListed, visible } = expected
            expect({ label, ...row }).toMatchObject({ label, lastSeq, unread, isListed })
            expect(await seqsOf(userId, id), label).toEqual(visible.slice(-100))
            const { lastMessage } = JSON.parse(row?.text ?? '')
            expect(lastMessage?.seq, label).toBe(visible.at(-1))
          }
        }
      }),
      { ...property, numRuns: 20 },
    )
  })

  test('is the same after a rebuild, of all and of each alone', async () => {
    const ledger = ledgerOf(fc.sample(steps(400), { numRuns: 1, seed: 7 })[0] ?? [])
    const middle = atOf(ledger.events[Math.floor(ledger.events.length / 2)])
    await fold(database, ledger.events)
    await deleteOldMessages(database, middle)
    const live = await allRows(database)
    expect(live.sent_key?.length).toBeGreaterThan(0)
    expect(live.message?.length).toBeGreaterThan(0)
    const log = givenLog(testLogId, ledger.events)
    for (const names of ['all' as const, ...projections.map(({ name }) => [name] as readonly ProjectionName[])]) {
      await rebuild(database, log, names)
      expect(await allRows(database), String(names)).toEqual(live)
    }
    // What is deleted while the rows are made anew is deleted from them as well.
    let isDeleted = false
    const onProgress = () => {
      if (isDeleted) return
      isDeleted = true
      deleted = deleteOldMessages(database, ledger.at)
    }
    let deleted: Promise<number> = Promise.resolve(0)
    await rebuild(database, log, 'all', { onProgress })
    expect(await deleted).toBe(live.message?.length)
    await deleteOldMessages(database, ledger.at)
    expect((await allRows(database)).message).toEqual([])
  })

  test('is in a sync as in the lists', async () => {
    const ledger = new Ledger({ stepMs: dayMs })
    ledger.account('ada')
    ledger.account('bob')
    times(4, () => ledger.send(chat, 'ada'))
    const between = ledger.position
    await fold(database, ledger.events)
    await deleteOldMessages(database, atOf(ledger.events.at(-2)))
    for (const since of [null, between, ledger.events[0]?.position ?? null]) {
      const { collections } = await syncOf(database, user('bob'), since, Date.parse(ledger.at))
      const texts = (name: string) => collections.filter(({ collection }) => collection === name).flatMap(c => c.items)
      const rows = texts('conversations').map(text => JSON.parse(text))
      expect(rows).toMatchObject([{ unread: 2, readSeq: 2, lastSeq: 4, lastMessage: { seq: 4 } }])
      const seqs = texts('messages').map(text => JSON.parse(text).seq)
      expect(seqs).toEqual(since === between ? [4] : [3, 4])
    }
  })

  test('is looked at by the runner once it has folded what was there', async () => {
    const ledger = new Ledger()
    times(5, () => ledger.send(chat, 'ada'))
    const old = ledger.at
    times(2, () => ledger.send(chat, 'ada'))
    const log = givenLog(testLogId, ledger.events)
    const nowMs = () => Date.parse(old) + 30 * dayMs
    const told = new EventEmitter()
    const logger = pino({ level: 'info' }, { write: line => void told.emit(JSON.parse(line).before ?? 'other') })
    const deleted = once(told, old, { signal: AbortSignal.timeout(60_000) })
    const runner = await startRunner({ store: log, database, logger, historyDays: 30, nowMs })
    await deleted
    await runner.stop()
    expect(await seqsOf('bob', chat)).toEqual(range(6, 7))
  })
})
