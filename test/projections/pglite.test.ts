// The embedded database: when its files are thrown away, who may open them, and that one session serves many at once without
// anybody seeing another's unfinished work.

import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ownerOf } from '../../eventstore/process-owner.ts'
import { type Database, openDatabase, statement } from '../../projections/database.ts'
import { unreadOf } from '../../projections/inbox.ts'
import { startRunner } from '../../projections/runner.ts'
import { givenLog } from '../support/given-log.ts'
import { Ledger, p2p, user } from '../support/ledger.ts'
import { embeddedDataDir, fold, openTestDatabase, silentLogger, type TestDatabase } from '../support/read-models.ts'

describe('files of the embedded database', () => {
  let dataDir: string
  let lines: { reason?: string; msg: string }[]
  beforeEach(async () => {
    dataDir = await embeddedDataDir()
    lines = []
  })
  afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

  const open = () =>
    openDatabase({ dataDir, logger: pino({}, { write: (line: string) => lines.push(JSON.parse(line)) }) })
  const discards = () => lines.filter(line => line.msg.includes('discarded')).map(line => line.reason)
  const ledger = new Ledger()
  ledger.send(p2p('ada', 'bob'), 'ada')
  const log = givenLog('some-log', ledger.events)
  const path = (...parts: string[]) => join(dataDir, 'readmodels', ...parts)

  /** Opens, lets the runner do its work, looks, closes. */
  const unreadAfterStart = async (): Promise<number> => {
    const database = await open()
    const runner = await startRunner({ store: log, database, logger: silentLogger })
    expect(await runner.passed(ledger.position, 30_000)).toBe(true)
    const { total } = await unreadOf(database, user('bob'))
    await runner.stop()
    await database.close()
    return total
  }

  test('are kept from one start to the next', async () => {
    expect(await unreadAfterStart()).toBe(1)
    const database = await open()
    expect((await unreadOf(database, user('bob'))).total).toBe(1)
    await database.close()
    expect(discards()).toEqual([])
  })

  test('are for their owner only', async () => {
    await (await open()).close()
    expect(statSync(path()).mode & 0o777).toBe(0o700)
  })

  test('are thrown away when they do not open, and folded again', async () => {
    expect(await unreadAfterStart()).toBe(1)
    truncateSync(path('pglite', 'global', 'pg_control'), 100)
    expect(await unreadAfterStart()).toBe(1)
    expect(discards()).toEqual([expect.stringContaining('do not open')])
  })

  test('are thrown away when a table is damaged so that migrations fail', async () => {
    expect(await unreadAfterStart()).toBe(1)
    for (const file of readdirSync(path('pglite', 'base', '5'))) {
      if (/^1[6-9]\d{3}$/.test(file)) writeFileSync(path('pglite', 'base', '5', file), Buffer.alloc(8_192, 0xff))
    }
    expect(await unreadAfterStart()).toBe(1)
    expect(discards().length).toBe(1)
  })

  test('are thrown away when another version made their tables', async () => {
    expect(await unreadAfterStart()).toBe(1)
    const database = await open()
    await database.transaction(transaction =>
      transaction.execute(
        "update kysely_migration set name = '0001-read-models'; alter table conversation drop last_at",
      ),
    )
    await database.close()
    expect(await unreadAfterStart()).toBe(1)
    expect(discards()).toEqual([expect.stringContaining('made by another version')])
  })

  test('that cannot be written are refused with what to do', async () => {
    rmSync(path(), { recursive: true })
    writeFileSync(path(), '')
    await expect(open()).rejects.toThrow(/readmodels cannot be written.*Choose another DATA_DIR/)
  })

  test('are thrown away when the machine has restarted', async () => {
    writeFileSync(path('boot-id'), 'another start of the machine')
    expect(await unreadAfterStart()).toBe(1)
    expect(discards()).toEqual([expect.stringContaining('restarted')])
  })

  test('are thrown away when making them was never finished', async () => {
    rmSync(path('boot-id'))
    rmSync(path('pglite', 'PG_VERSION'))
    expect(await unreadAfterStart()).toBe(1)
    expect(discards()).toEqual([expect.stringContaining('never finished')])
  })

  test('belong to one process, which is known also when its number was given again', async () => {
    const database = await open()
    await expect(open()).rejects.toThrow('already')
    const held = JSON.parse(readFileSync(path('lock'), 'utf8'))
    expect(held).toEqual(ownerOf(process.pid))
    await database.close()
    const sleeper = spawn('sleep', ['600'])
    try {
      const another = ownerOf(sleeper.pid as number)
      writeFileSync(path('lock'), JSON.stringify(another))
      await expect(open()).rejects.toThrow(`in use by process ${another.pid}`)
      for (const gone of [
        { ...another, startedTicks: '1' },
        { ...another, bootId: 'x' },
        { ...another, pid: 4_194_304 },
      ]) {
        writeFileSync(path('lock'), JSON.stringify(gone))
        await (await open()).close()
      }
    } finally {
      sleeper.kill()
    }
    writeFileSync(path('lock'), '')
    await (await open()).close()
  })
})

describe('the session of the embedded database', () => {
  let opened: TestDatabase
  let database: Database
  const countAll = statement('test-count', 'select count(*)::int as count from blocklist')
  const add = statement(
    'test-add',
    "insert into blocklist (user_id, blocked_id, blocked_at, position) values ($1, $2, now(), '1')",
  )
  const count = async () => (await database.query<{ count: number }>(countAll))[0]?.count
  beforeAll(async () => {
    opened = await openTestDatabase('pglite')
    database = opened.database
  })
  afterAll(() => opened.dispose())

  test('shows nobody a transaction that is not over', async () => {
    const before = await count()
    const seen: Promise<number | undefined>[] = []
    const failed = database.transaction(async transaction => {
      await transaction.query(add, ['a', '1'])
      seen.push(count(), count())
      await transaction.query(add, ['a', '2'])
      throw new Error('no')
    })
    await expect(failed).rejects.toThrow('no')
    expect(await Promise.all(seen)).toEqual([before, before])
    await database.transaction(async transaction => {
      await transaction.query(add, ['a', '1'])
      seen.push(count())
    })
    expect(await seen.at(-1)).toBe((before ?? 0) + 1)
  })

  test('lets queries through between transactions, in order', async () => {
    const order: string[] = []
    const transactions = ['t1', 't2', 't3'].map(name =>
      database.transaction(async transaction => {
        order.push(`${name} begins`)
        await transaction.query(countAll)
        order.push(`${name} ends`)
      }),
    )
    const queries = [1, 2].map(async number => {
      await count()
      order.push(`query ${number}`)
    })
    await Promise.all([...transactions, ...queries])
    expect(order.filter(text => text.startsWith('t'))).toEqual(
      ['t1', 't2', 't3'].flatMap(name => [`${name} begins`, `${name} ends`]),
    )
    expect(order.indexOf('query 2')).toBeLessThan(order.indexOf('t3 ends'))
  })

  test('answers hundreds at once, each with their own', async () => {
    const echo = statement('test-echo', 'select $1::text as text')
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, index) => database.query<{ text: string }>(echo, [`number ${index}`])),
    )
    expect(answers.map(([row]) => row?.text)).toEqual(answers.map((_, index) => `number ${index}`))
  })

  test('survives statements and copies that fail', async () => {
    const bad = statement('test-bad', 'select 1 / $1::int as x')
    const wrong = database.transaction(transaction => transaction.copy('blocklist', ['user_id'], 'a\n'))
    const results = await Promise.allSettled([count(), database.query(bad, [0]), wrong, count()])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled'])
    expect((results[2] as PromiseRejectedResult).reason).toMatchObject({ code: '23502' })
    expect(await database.query(bad, [1])).toEqual([{ x: 1 }])
  })

  test('folds while others ask', async () => {
    const ledger = new Ledger()
    for (let number = 0; number < 3_000; number++) ledger.send(p2p('ada', 'bob'), 'ada')
    const folding = fold(database, ledger.events, [500, 1_000, 1_500, 2_000, 2_500])
    const counts: number[] = []
    let isOver = false
    const asking = (async () => {
      while (!isOver) counts.push((await unreadOf(database, user('bob'))).total)
    })()
    await folding
    isOver = true
    await asking
    for (const total of counts) expect(total % 500).toBe(0)
    expect((await unreadOf(database, user('bob'))).total).toBe(3_000)
  })
})
