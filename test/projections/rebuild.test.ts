// A rebuild gives the rows that live folding gave, in every table, while the old ones serve and others write.

import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Instant } from '../../domain/ids.ts'
import { instantPlusSeconds } from '../../domain/instants.ts'
import type { Recorded } from '../../projections/batch.ts'
import { loadCheckpoint } from '../../projections/checkpoint.ts'
import { friendRequestChangesOf } from '../../projections/friend-lists.ts'
import { unreadOf } from '../../projections/inbox.ts'
import type { ProjectionName } from '../../projections/projection.ts'
import { projections } from '../../projections/projections.ts'
import { purgeTombstones } from '../../projections/purge.ts'
import { RebuildRefused, rebuild, withWhatTheyRead } from '../../projections/rebuild.ts'
import { deleteOldMessages } from '../../projections/retention.ts'
import { startRunner } from '../../projections/runner.ts'
import { shadowSchema } from '../../projections/shadow.ts'
import { givenLog } from '../support/given-log.ts'
import { groupChat, Ledger, p2p, user } from '../support/ledger.ts'
import { ledgerOf, steps } from '../support/random-ledger.ts'
import {
  allRows,
  databaseKinds,
  empty,
  fold,
  openTestDatabase,
  silentLogger,
  type TestDatabase,
  testLogId,
} from '../support/read-models.ts'

const property = {
  numRuns: 5,
  interruptAfterTimeLimit: 20_000,
  markInterruptAsFailure: false,
  endOnFailure: true,
} as const

/** A ledger with something for every table. */
const someLedger = () => ledgerOf(fc.sample(steps(400), { numRuns: 1, seed: 7 })[0] ?? [])

describe.each(databaseKinds)('a rebuild on %s', kind => {
  let opened: TestDatabase
  beforeAll(async () => {
    opened = await openTestDatabase(kind)
  })
  afterAll(() => opened.dispose())
  beforeEach(() => empty(opened.database))

  test('of all gives the live rows, row for row, with the tables as they were defined', async () => {
    const { database } = opened
    const definitions = () =>
      database.query<{ text: string }>({
        name: 'definitions',
        text: `select indexdef as text from pg_indexes where schemaname = 'public'
               union all select relname || ' ' || coalesce(reloptions::text, '') from pg_class
                 where relnamespace = 'public'::regnamespace
               union all select table_name || column_name || data_type || is_nullable || ordinal_position
                 from information_schema.columns where table_schema = 'public'
               order by 1`,
      })
    const before = await definitions()
    await fc.assert(
      fc.asyncProperty(steps(200), async made => {
        const { events } = ledgerOf(made)
        await empty(database)
        await fold(database, events)
        const live = await allRows(database)
        await rebuild(database, givenLog(testLogId, events), 'all')
        expect(await allRows(database)).toEqual(live)
      }),
      property,
    )
    expect(await definitions()).toEqual(before)
  })

  test.each(projections.map(({ name }) => name))('of %s alone gives the live rows', async name => {
    const { database } = opened
    const { events } = someLedger()
    await fold(database, events)
    const first = events.find(({ type }) => type === 'MessageSent') as Recorded<'MessageSent'>
    await deleteOldMessages(database, instantPlusSeconds(first.data.at, 1))
    const live = await allRows(database)
    for (const tables of Object.values(live)) expect(tables.length).toBeGreaterThan(0)
    // Rows that are wrong show that the tables really were made anew.
    const { tables } = projections.find(projection => projection.name === name) ?? { tables: [] }
    for (const table of tables) {
      await database.transaction(transaction => transaction.execute(`delete from "${table}"`))
    }
    const done = await rebuild(database, givenLog(testLogId, events), [name as ProjectionName])
    expect(await allRows(database)).toEqual(live)
    expect(done.tables).toEqual(withWhatTheyRead([name]).flatMap(projection => projection.tables))
    expect(done.events).toBe(events.length)
  })

  test('takes along what comes while it runs, and the runner goes on after it', async () => {
    const { database } = opened
    const { events } = someLedger()
    const log = givenLog(testLogId, events.slice(0, 200))
    const runner = await startRunner({ store: log, database, logger: silentLogger })
    expect(await runner.passed(await log.head(), 20_000)).toBe(true)
    let added = 200
    await rebuild(database, log, 'all', {
      onProgress: () => {
        log.add(events.slice(added, added + 50))
        added += 50
      },
    })
    log.add(events.slice(added))
    expect(await runner.passed(await log.head(), 20_000)).toBe(true)
    await runner.stop()
    const rebuilt = await allRows(database)
    await empty(database)
    await fold(database, events)
    expect(rebuilt).toEqual(await allRows(database))
  })

  test('keeps answering while it runs', async () => {
    const { database } = opened
    const { events } = someLedger()
    await fold(database, events)
    const live = await unreadOf(database, user('ada'))
    const seen: unknown[] = []
    await rebuild(database, givenLog(testLogId, events), 'all', {
      onProgress: () => {
        void unreadOf(database, user('ada')).then(unread => seen.push(unread))
      },
    })
    expect(await unreadOf(database, user('ada'))).toEqual(live)
    expect(seen.length).toBeGreaterThan(0)
    for (const unread of seen) expect(unread).toEqual(live)
  })

  test('does not bring back tombstones that were deleted', async () => {
    const { database } = opened
    const ledger = new Ledger({ stepMs: 86_400_000 })
    ledger.block('ada', 'bob')
    ledger.block('ada', 'bob', 'UserUnblocked')
    ledger.block('ada', 'cid')
    ledger.block('ada', 'cid', 'UserUnblocked')
    await fold(database, ledger.events)
    expect(await purgeTombstones(database, '2026-11-03T12:00:00.000Z' as Instant)).toBe(1)
    const live = await allRows(database)
    expect(live.blocklist?.length).toBe(1)
    await rebuild(database, givenLog(testLogId, ledger.events), ['blocklist'])
    expect(await allRows(database)).toEqual(live)
  })

  test('does not bring back what ended long ago: requests and notifications are kept for some days only', async () => {
    const { database } = opened
    const ledger = new Ledger({ stepMs: 86_400_000 })
    ledger.ask('ada', 'bob', 'r1')
    ledger.answer('ada', 'bob', 'r1', 'FriendRequestRejected')
    ledger.ask('cid', 'bob', 'r2')
    ledger.ask('dan', 'bob', 'r3')
    ledger.answer('dan', 'bob', 'r3', 'FriendRequestExpired')
    await fold(database, ledger.events)
    const all = await allRows(database)
    expect([all.friend_request?.length, all.notification?.length]).toEqual([6, 5])
    // Both sides of the first request, and what each was told of it.
    expect(await purgeTombstones(database, '2026-11-04T12:00:00.000Z' as Instant)).toBe(4)
    const live = await allRows(database)
    expect([live.friend_request?.length, live.notification?.length]).toEqual([4, 3])
    await rebuild(database, givenLog(testLogId, ledger.events), ['friendship', 'notification'])
    expect(await allRows(database)).toEqual(live)
    const asked = ledger.position
    ledger.ask('ada', 'bob', 'r4')
    await fold(database, ledger.events.slice(-1))
    expect((await allRows(database)).friend_request?.length).toBe(6)
    expect(await friendRequestChangesOf(database, user('ada'), asked)).toMatchObject({ items: [{ requestId: 'r4' }] })
    expect(await friendRequestChangesOf(database, user('ada'), ledger.events[1]?.position as never)).toBe('too-old')
  })

  test('that is interrupted changes nothing, and the next one succeeds', async () => {
    const { database } = opened
    const { events } = someLedger()
    await fold(database, events)
    const live = await allRows(database)
    const abort = new AbortController()
    const onProgress = () => abort.abort(new Error('enough'))
    const log = givenLog(testLogId, events)
    await expect(rebuild(database, log, 'all', { onProgress, signal: abort.signal })).rejects.toThrow('enough')
    expect(await allRows(database)).toEqual(live)
    const schemas = { name: 'schemas', text: `select 1 as x from pg_namespace where nspname = '${shadowSchema}'` }
    expect(await database.query(schemas)).toEqual([])
    await rebuild(database, log, 'all')
    expect(await allRows(database)).toEqual(live)
    expect(await database.query(schemas)).toEqual([])
  })

  test('is refused while another one runs', async () => {
    const { database } = opened
    const { events } = someLedger()
    await fold(database, events)
    const log = givenLog(testLogId, events)
    let second: Promise<unknown> | undefined
    const onProgress = () => {
      second ??= expect(rebuild(database, log, 'all')).rejects.toThrow('Another rebuild')
    }
    await rebuild(database, log, 'all', { onProgress })
    await second
    await rebuild(database, log, 'all')
  })

  test('of another log is refused for single models, and starts over for all', async () => {
    const { database } = opened
    const ledger = new Ledger()
    ledger.group('g1', 'ada', ['bob'])
    ledger.send(groupChat('g1'), 'ada')
    ledger.send(p2p('ada', 'bob'), 'ada')
    await fold(database, someLedger().events)
    const log = givenLog('another-log', ledger.events)
    await expect(rebuild(database, log, ['account'])).rejects.toThrow(RebuildRefused)
    await rebuild(database, log, 'all')
    expect(await loadCheckpoint(database)).toMatchObject({ log_id: 'another-log', position: ledger.position })
    expect((await allRows(database)).message?.length).toBe(2)
  })

  test('keeps the rights that others have on the tables', async () => {
    const { database } = opened
    const { events } = someLedger()
    await fold(database, events)
    await database.transaction(transaction => transaction.execute('grant select on message, "group" to public'))
    await rebuild(database, givenLog(testLogId, events), 'all')
    const grants = await database.query<{ table_name: string }>({
      name: 'grants',
      text: `select table_name from information_schema.role_table_grants
             where grantee = 'PUBLIC' and table_schema = 'public' and privilege_type = 'SELECT' order by 1`,
    })
    expect(grants.map(row => row.table_name)).toEqual(['group', 'message'])
  })

  test('is refused while a view stands on the tables, and says which', async () => {
    const { database } = opened
    const { events } = someLedger()
    await fold(database, events)
    const before = await allRows(database)
    await database.transaction(transaction => transaction.execute('create view busiest as select * from conversation'))
    const refused = rebuild(database, givenLog(testLogId, events), 'all')
    await expect(refused).rejects.toThrow(/view busiest depends on table .*conversation.*Drop it, rebuild/)
    expect(await allRows(database)).toEqual(before)
    await database.transaction(transaction => transaction.execute('drop view busiest'))
    await rebuild(database, givenLog(testLogId, events), 'all')
  })
})
