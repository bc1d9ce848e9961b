// The embedded database's thread may end by itself: what was asked fails as "away", and it is started again with what it held,
// or with what the log gives when its files are what ends it. Never a loop without pauses, never after it was closed.

import { rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { givenLog } from '../support/given-log.ts'
import { Ledger, p2p, user } from '../support/ledger.ts'
import { crashThread, threadsStarted } from '../support/pglite-threads.ts'
import { allRows, embeddedDataDir, silentLogger } from '../support/read-models.ts'
import { whenTrue } from '../support/test-node.ts'

const { DatabaseAway, openDatabase, statement } = await import('../../projections/database.ts')
const { unreadOf } = await import('../../projections/inbox.ts')
const { startRunner } = await import('../../projections/runner.ts')
const { restarting } = await import('../../projections/pglite-restart.ts')
type Database = Awaited<ReturnType<typeof openDatabase>>

const slowMsMax = 120_000

/** Closes a database and writes nonsense over the pages of one of its tables. */
const closeAndDamage = async (database: Database, dataDir: string, table: string): Promise<void> => {
  const path = statement('test-path', 'select pg_relation_filepath($1::text::regclass) as path')
  const [file] = await database.query<{ path: string }>(path, [table])
  await database.close()
  const whole = join(dataDir, 'readmodels', 'pglite', file?.path ?? '')
  writeFileSync(whole, Buffer.alloc(statSync(whole).size, 0xa5))
}

describe('an embedded database whose thread ends', () => {
  let dataDir: string
  let database: Database
  let lines: { level: number; msg: string; reason?: string }[]
  const open = async () => {
    const logger = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) })
    database = await openDatabase({ dataDir, logger })
  }
  beforeEach(async () => {
    dataDir = await embeddedDataDir()
    lines = []
    await open()
  })
  afterEach(async () => {
    await database.close()
    rmSync(dataDir, { recursive: true, force: true })
  })

  const told = (text: string) => lines.filter(({ msg }) => msg.includes(text))
  const isBack = (times: number) =>
    expect.poll(() => told('has been started again').length, { timeout: slowMsMax }).toBe(times)
  const ledger = new Ledger()
  for (let number = 0; number < 300; number++) ledger.send(p2p('ada', 'bob'), 'ada')
  const log = givenLog('some-log', ledger.events)
  const unread = async () => (await unreadOf(database, user('bob'))).total
  const one = statement('test-one', 'select 1 as one')

  test('fails what was asked, whether sent or waiting, and answers again', { timeout: slowMsMax }, async () => {
    const busy = database.transaction(async transaction => {
      await transaction.query(one)
      await crashThread()
      await transaction.query(one)
    })
    const others = Array.from({ length: 20 }, () => unread())
    const outcomes = await Promise.allSettled([busy, ...others, database.transaction(async () => 1)])
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(DatabaseAway)
    }
    expect(outcomes[0]?.status).toBe('rejected')
    await expect(unread()).rejects.toBeInstanceOf(DatabaseAway)
    await isBack(1)
    expect(await database.query(one)).toEqual([{ one: 1 }])
    // One line that says so.
    expect(lines.filter(({ level }) => level >= 50).map(({ msg }) => msg)).toEqual([
      'the embedded database is gone: starting it again',
    ])
  })

  test('has all its rows again without an event to wake the runner, and nobody is told before', {
    timeout: slowMsMax,
  }, async () => {
    const runner = await startRunner({ store: log, database, logger: silentLogger })
    expect(await runner.passed(ledger.position, 30_000)).toBe(true)
    const live = await allRows(database)
    await crashThread()
    expect(await runner.passed(ledger.position, 0)).toBe(false)
    expect(await runner.passed(ledger.position, slowMsMax)).toBe(true)
    expect(await allRows(database)).toEqual(live)
    await runner.stop()
  })

  test('takes a session with it, and not the next one', { timeout: slowMsMax }, async () => {
    const session = await database.session()
    await crashThread()
    await isBack(1)
    await expect(session.query(one)).rejects.toBeInstanceOf(DatabaseAway)
    expect(await (await database.session()).query(one)).toEqual([{ one: 1 }])
  })

  test('is folded again from the log when its files do not open any more', { timeout: slowMsMax }, async () => {
    const runner = await startRunner({ store: log, database, logger: silentLogger })
    expect(await runner.passed(ledger.position, 30_000)).toBe(true)
    const live = await allRows(database)
    const crashing = crashThread()
    truncateSync(join(dataDir, 'readmodels', 'pglite', 'global', 'pg_control'), 100)
    await crashing
    await isBack(1)
    expect(told('discarded')).toMatchObject([{ reason: expect.stringContaining('do not open') }])
    expect(await runner.passed(ledger.position, slowMsMax)).toBe(true)
    expect(await allRows(database)).toEqual(live)
    await runner.stop()
  })

  test('is folded again from the log when a table turns out to be damaged, and says so', {
    timeout: slowMsMax,
  }, async () => {
    const runner = await startRunner({ store: log, database, logger: silentLogger })
    expect(await runner.passed(ledger.position, 30_000)).toBe(true)
    const live = await allRows(database)
    await runner.stop()
    await closeAndDamage(database, dataDir, 'message')
    await open()
    await expect(database.query(statement('test-read', 'select wire from message'))).rejects.toBeInstanceOf(
      DatabaseAway,
    )
    await isBack(1)
    expect(told('discarded')).toMatchObject([{ reason: expect.stringMatching(/^they are damaged: invalid page/) }])
    const next = await startRunner({ store: log, database, logger: silentLogger })
    expect(await next.passed(ledger.position, slowMsMax)).toBe(true)
    expect(await allRows(database)).toEqual(live)
    await next.stop()
  })

  test('is made anew at its opening when a table is not there', { timeout: slowMsMax }, async () => {
    await database.transaction(transaction => transaction.execute('drop table message'))
    await database.close()
    await open()
    expect(told('made anew')).toMatchObject([{ reason: 'tables are missing: message' }])
    expect(await unread()).toBe(0)
  })

  test('is made anew when it ends again and again', { timeout: slowMsMax }, async () => {
    await crashThread()
    await isBack(1)
    expect(told('discarded')).toEqual([])
    await crashThread()
    await isBack(2)
    expect(told('discarded')).toMatchObject([{ reason: expect.stringContaining('ended soon') }])
    expect(await unread()).toBe(0)
  })

  test('is not started again once it was closed', { timeout: slowMsMax }, async () => {
    await crashThread()
    await database.close()
    const count = threadsStarted()
    await expect(database.query(one)).rejects.toThrow()
    await (await openDatabase({ dataDir, logger: silentLogger })).close()
    expect(threadsStarted()).toBe(count + 1)
  })
})

test('one that ends at once is tried with pauses that grow', async () => {
  const triedMs: number[] = []
  const database = restarting({
    first: { database: {} as Database, lost: Promise.resolve(undefined), end: async () => {} },
    reopen: async () => {
      triedMs.push(performance.now())
      throw new Error('no')
    },
    release: () => {},
    logger: silentLogger,
  })
  await whenTrue(() => triedMs.length === 4)
  await database.close()
  const pauses = triedMs.slice(1).map((at, index) => at - (triedMs[index] as number))
  // Twice as long each time, save that timers may be a little early or late.
  expect(pauses[2]).toBeGreaterThan((pauses[0] as number) * 1.5)
  expect(triedMs).toHaveLength(4)
})
