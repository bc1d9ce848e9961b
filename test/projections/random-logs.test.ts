// Random valid logs: how the log is cut into batches does not matter, and what users see is what a plain count over the log
// says they see. Failures print the steps that made the log.

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { conversationOf, conversationsOf, unreadOf } from '../../projections/inbox.ts'
import { historyPage } from '../../projections/message.ts'
import { syncOf } from '../../projections/sync.ts'
import { chats, expectedOf, ledgerOf, people, steps } from '../support/random-ledger.ts'
import { allRows, databaseKinds, empty, fold, openTestDatabase, type TestDatabase } from '../support/read-models.ts'

const eventsMost = 200
/** As many logs as fit the time, at most so many: a busy machine tries fewer. A failure is not shrunk: it prints its seed. */
const property = {
  numRuns: 25,
  interruptAfterTimeLimit: 20_000,
  markInterruptAsFailure: false,
  endOnFailure: true,
} as const

describe.each(databaseKinds)('random logs on %s', kind => {
  let opened: TestDatabase
  beforeAll(async () => {
    opened = await openTestDatabase(kind)
  })
  afterAll(() => opened.dispose())

  test('cut at random give the same rows in every table', async () => {
    const { database } = opened
    const cutsOf = fc.array(fc.nat(eventsMost * 2), { maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(steps(eventsMost), cutsOf, async (made, cuts) => {
        const { events } = ledgerOf(made)
        await empty(database)
        await fold(database, events)
        const whole = await allRows(database)
        await empty(database)
        await fold(database, events, cuts)
        expect(await allRows(database)).toEqual(whole)
      }),
      property,
    )
  })

  test('cut after every event give the same rows', async () => {
    const { database } = opened
    await fc.assert(
      fc.asyncProperty(steps(eventsMost / 2), async made => {
        const { events } = ledgerOf(made)
        await empty(database)
        await fold(database, events)
        const whole = await allRows(database)
        await empty(database)
        await fold(database, events, [...events.keys()])
        expect(await allRows(database)).toEqual(whole)
      }),
      { ...property, numRuns: 5 },
    )
  })

  test('show and count what a plain walk over the log shows and counts', async () => {
    const { database } = opened
    await fc.assert(
      fc.asyncProperty(steps(eventsMost), async made => {
        const ledger = ledgerOf(made)
        await empty(database)
        await fold(database, ledger.events)
        for (const userId of people) {
          const all = chats.map(chat => [chat, expectedOf(ledger.events, userId, chat)] as const)
          for (const [chat, expected] of all) {
            const label = `${userId} ${chat}`
            const row = await conversationOf(database, userId, chat)
            const page = await historyPage(database, userId, chat, { newest: true, limit: 100 })
            if (expected === undefined) {
              expect(row, label).toBeUndefined()
              expect(page, label).toBeUndefined()
              continue
            }
            const { lastSeq, unread, isListed, isActive, visible } = expected
            expect({ label, ...row }, label).toMatchObject({ label, lastSeq, unread, isListed, active: isActive })
            expect(
              JSON.parse(page ?? '').items.map((item: { seq: number }) => item.seq),
              label,
            ).toEqual(visible.slice(-100))
          }
          const listed = all.filter(([, expected]) => expected?.isListed)
          const list = await conversationsOf(database, userId, { limit: 100 })
          expect(list.items.map(text => JSON.parse(text).conversationId).toSorted()).toEqual(
            listed.map(([chat]) => chat).toSorted(),
          )
          const unread = await unreadOf(database, userId)
          const heeded = listed.filter(([, expected]) => expected?.isMuted === false)
          expect(unread.total).toBe(heeded.reduce((sum, [, expected]) => sum + (expected?.unread ?? 0), 0))
          expect(unread.byKind.p2p + unread.byKind.group).toBe(unread.total)
        }
      }),
      property,
    )
  })

  test('sync: what was held, with the changes since, is what a whole sync gives', async () => {
    const { database } = opened
    await fc.assert(
      fc.asyncProperty(steps(eventsMost), fc.nat(eventsMost), async (made, cut) => {
        const { events } = ledgerOf(made)
        const middle = Math.min(cut, events.length - 1)
        await empty(database)
        await fold(database, events.slice(0, middle))
        const before = new Map(
          await Promise.all(people.map(async id => [id, await syncOf(database, id, null, 0)] as const)),
        )
        await fold(database, events.slice(middle))
        for (const userId of people) {
          const first = before.get(userId)
          const changes = await syncOf(database, userId, first?.position ?? null, 0)
          const whole = await syncOf(database, userId, null, 0)
          expect(changes.position).toBe(whole.position)
          expect(changes.groupIds).toEqual(whole.groupIds)
          expect(changes.hidden).toEqual(whole.hidden)
          const held = replica(first?.collections ?? [], new Map())
          const merged = replica(changes.collections, held)
          const fresh = replica(whole.collections, new Map())
          for (const [id, text] of fresh) if (!id.startsWith('messages')) expect(merged.get(id), id).toEqual(text)
          for (const [id, text] of merged) {
            if (!id.startsWith('messages')) expect(fresh.get(id), id).toEqual(text)
            else if (fresh.has(id)) expect(fresh.get(id), id).toEqual(text)
          }
        }
      }),
      property,
    )
  })
})

const idOf = (collection: string, row: Record<string, unknown>): string => {
  if (collection === 'messages') return `${row.conversationId}#${row.seq}`
  if (collection === 'readMarks') return collection
  const [field = ''] = ['sessionId', 'notificationId'].filter(name => name in row)
  if (field !== '') return String(row[field])
  return String(
    collection === 'groups' ? row.groupId : collection === 'conversations' ? row.conversationId : row.userId,
  )
}

/** What a device holds after these rows: ids to texts. */
const replica = (
  collections: Awaited<ReturnType<typeof syncOf>>['collections'],
  before: ReadonlyMap<string, string>,
): Map<string, string> => {
  const held = new Map(before)
  for (const { collection, items, removed } of collections) {
    for (const text of items) held.set(`${collection} ${idOf(collection, JSON.parse(text))}`, text)
    for (const id of removed) held.delete(`${collection} ${id}`)
  }
  return held
}
