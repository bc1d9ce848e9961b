// Pages of some types of messages: what a filter over the whole history gives, whichever way it is paged, and at the cost of
// what is found, however much else there is.

import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type MessageType, messageTypes } from '../../domain/conversation/message-types.ts'
import type { ConversationId, Instant } from '../../domain/ids.ts'
import type { Database, Parameter, Statement } from '../../projections/database.ts'
import { type HistoryPlace, historyPage } from '../../projections/message.ts'
import { groupChat, Ledger, p2p, user } from '../support/ledger.ts'
import { databaseKinds, empty, fold, openTestDatabase, type TestDatabase } from '../support/read-models.ts'

const chat = p2p('ada', 'bob')
const room = groupChat('g1')

interface Item {
  readonly seq: number
  readonly type: MessageType
  readonly at: Instant
  readonly recalled?: object
}

interface Page {
  readonly items: readonly Item[]
  readonly hasMoreBefore: boolean
  readonly hasMoreAfter: boolean
}

/** A message of a type, which is all of it that matters here. */
const sendOf = (ledger: Ledger, type: MessageType, id: ConversationId, from: string): void => {
  ledger.send(id, from)
  const sent = ledger.events.pop()
  if (sent === undefined) return
  const data = { ...sent.data, type }
  ledger.events.push({ ...sent, data, text: JSON.stringify(data) })
}

/** What happens in the group: mostly a message; now and then bob goes, comes back or clears, or a message is recalled. */
const steps = fc.array(fc.tuple(fc.nat(11), fc.nat(1_000)), { minLength: 1, maxLength: 80 })

const roomOf = (made: readonly (readonly [number, number])[]): Ledger => {
  const ledger = new Ledger()
  const recalled = new Set<number>()
  ledger.group('g1', 'ada', ['bob'])
  for (const [what, number] of made) {
    const { seq } = ledger.headOf(room)
    const isIn = ledger.membersOf('g1').has(user('bob'))
    const wanted = (number % Math.max(1, seq)) + 1
    if (what === 9 && number % 3 === 0) ledger.clear('bob', room)
    else if (what === 10 && isIn) ledger.kick('g1', 'ada', ['bob'])
    else if (what === 10) ledger.add('g1', 'ada', ['bob'])
    else if (what === 11 && seq > 0 && !recalled.has(wanted)) {
      recalled.add(wanted)
      ledger.recall(room, wanted, 'ada')
    } else sendOf(ledger, messageTypes[what % messageTypes.length] ?? 'text', room, 'ada')
  }
  return ledger
}

describe.each(databaseKinds)('pages of some types on %s', kind => {
  let opened: TestDatabase
  let database: Database
  beforeAll(async () => {
    opened = await openTestDatabase(kind)
    database = opened.database
  })
  afterAll(() => opened.dispose())
  beforeEach(() => empty(database))

  const pageOf = async (
    id: ConversationId,
    place: HistoryPlace,
    limit: number,
    types?: readonly MessageType[],
    from: Database = database,
  ): Promise<Page> => JSON.parse((await historyPage(from, user('bob'), id, { ...place, limit, types })) ?? 'null')

  /** All of these types, page by page; every page must say rightly what lies beyond it. */
  const walked = async (
    way: 'forwards' | 'backwards',
    limit: number,
    types: readonly MessageType[],
    expected: readonly Item[],
  ) => {
    const items: Item[] = []
    for (;;) {
      const forwards: HistoryPlace = { after: items.at(-1)?.seq ?? 0 }
      const backwards: HistoryPlace = items[0] === undefined ? { newest: true } : { before: items[0].seq }
      const page = await pageOf(room, way === 'forwards' ? forwards : backwards, limit, types)
      const [first, last] = [page.items[0]?.seq ?? 0, page.items.at(-1)?.seq ?? 0]
      if (page.items.length > 0) {
        expect(page.hasMoreBefore).toBe(expected.some(({ seq }) => seq < first))
        expect(page.hasMoreAfter).toBe(expected.some(({ seq }) => seq > last))
      }
      if (way === 'forwards') items.push(...page.items)
      else items.unshift(...page.items)
      if (way === 'forwards' ? !page.hasMoreAfter : !page.hasMoreBefore) return items
    }
  }

  test('are the whole history with all others left out, both ways, through spans, clear marks and recalls', async () => {
    await fc.assert(
      fc.asyncProperty(
        steps,
        fc.subarray([...messageTypes], { minLength: 1 }),
        fc.integer({ min: 1, max: 6 }),
        fc.nat(90),
        async (made, types, limit, number) => {
          const ledger = roomOf(made)
          await empty(database)
          await fold(database, ledger.events)
          const whole = await pageOf(room, { newest: true }, 100)
          const expected = whole.items.filter(({ type }) => types.includes(type))
          expect(await walked('forwards', limit, types, expected)).toEqual(expected)
          expect(await walked('backwards', limit, types, expected)).toEqual(expected)
          const at = ledger.events[number % ledger.events.length]?.data as { at: Instant }
          const from = expected.filter(item => item.at >= at.at)
          expect(await pageOf(room, at, limit, types)).toEqual({
            items: from.slice(0, limit),
            hasMoreBefore: from.length < expected.length,
            hasMoreAfter: from.length > limit,
          })
          // A place in the middle, also one where nothing of these types is.
          const before = expected.filter(({ seq }) => seq < number)
          expect(await pageOf(room, { before: number }, limit, types)).toEqual({
            items: before.slice(-limit),
            hasMoreBefore: before.length > limit,
            hasMoreAfter: before.length < expected.length,
          })
        },
      ),
      { numRuns: 60, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false, endOnFailure: true },
    )
  })

  test('hold recalled messages by what they were', async () => {
    const ledger = new Ledger()
    sendOf(ledger, 'image', chat, 'ada')
    ledger.send(chat, 'ada')
    ledger.recall(chat, 1, 'ada')
    ledger.recall(chat, 2, 'ada')
    await fold(database, ledger.events)
    expect(await pageOf(chat, { newest: true }, 9, ['image'])).toMatchObject({
      items: [{ seq: 1, type: 'image', body: {}, recalled: { by: 'ada' } }],
      hasMoreBefore: false,
      hasMoreAfter: false,
    })
  })

  test('named twice, or all of them, are the same', async () => {
    const ledger = new Ledger()
    for (const type of messageTypes) sendOf(ledger, type, chat, 'ada')
    await fold(database, ledger.events)
    expect(await pageOf(chat, { newest: true }, 9, messageTypes)).toEqual(await pageOf(chat, { newest: true }, 9))
    expect(await pageOf(chat, { newest: true }, 9, ['tip', 'tip'])).toMatchObject({ items: [{ type: 'tip' }] })
  })

  test('cost what they hold, not what lies between: a few texts among many notices, a few images among many texts', async () => {
    const many = 100_000
    await database.transaction(transaction =>
      transaction.execute(`
        insert into message (conversation_id, seq, from_id, client_message_id, type, countable, counts, recalled, at,
          content_hash, wire, position)
        select case when n % 2 = 0 then '${chat}' else '${p2p('bob', 'cid')}' end, n / 2 + 1, 'ada', 'id-' || n,
          case when n / 2 % 40000 = 7 then case when n % 2 = 0 then 'image' else 'text' end
            when n % 2 = 0 then 'text' else 'notification' end,
          n / 2 + 1, true, false, '2026-11-01', 0, '{"seq":' || n / 2 + 1 || '}', '0000000000000001'
        from generate_series(0, ${2 * many - 1}) n;
        insert into conversation (conversation_id, kind, last_seq, countable, popup_number, recalled_seq, position)
        select distinct conversation_id, 'p2p', ${many}, ${many}, 0, 0, position from message;
        insert into inbox (user_id, conversation_id, kind, cleared_seq, deleted_seq, reminder, do_not_disturb,
          announcement_seen, from_seq, earlier_to_seq, base_seq, base_countable, own_after_base, position)
        select 'bob', conversation_id, 'p2p', 0, 0, 'all', false, 0, 1, 0, 0, 0, 0, position from conversation;
        analyze message`),
    )
    /** The most rows, and rows thrown away, that any step of the plan has to do with. */
    const costOf = async (id: ConversationId, place: HistoryPlace, type?: MessageType): Promise<number> => {
      const calls: [Statement, readonly Parameter[]][] = []
      const query: Database['query'] = (asked, parameters = []) => {
        calls.push([asked, parameters])
        return database.query(asked, parameters)
      }
      await pageOf(id, place, 50, type && [type], { ...database, query })
      const [asked, parameters] = calls.at(-1) as (typeof calls)[0]
      expect(asked.name.endsWith('-of-types')).toBe(type !== undefined)
      return database.transaction(async transaction => {
        const values = parameters.map(value => `'${typeof value === 'object' ? `{${value}}` : value}'`)
        await transaction.execute(`set local plan_cache_mode = force_generic_plan; prepare costly as ${asked.text}`)
        const rows = await transaction.query<{ 'QUERY PLAN': string }>({
          name: '',
          text: `explain (analyze, costs off, timing off) execute costly(${values.join(', ')})`,
        })
        await transaction.execute('deallocate costly')
        const numbers = rows.flatMap(row => [...row['QUERY PLAN'].matchAll(/rows=(\d+)|Removed by \w+: (\d+)/g)])
        return Math.max(...numbers.map(([, rows, removed]) => Number(rows ?? removed)))
      })
    }
    const places: HistoryPlace[] = [{ newest: true }, { before: 50_000 }, { after: 10 }, { after: 90_000 }]
    for (const place of places) {
      expect(await costOf(chat, place)).toBeLessThanOrEqual(51)
      expect(await costOf(chat, place, 'image')).toBeLessThanOrEqual(51)
      expect(await costOf(chat, place, 'text')).toBeLessThanOrEqual(51)
      expect(await costOf(p2p('bob', 'cid'), place, 'text')).toBeLessThanOrEqual(51)
      expect(await costOf(p2p('bob', 'cid'), place, 'tip')).toBeLessThanOrEqual(51)
    }
    expect((await pageOf(chat, { newest: true }, 50, ['image'])).items).toHaveLength(3)
  })
})
