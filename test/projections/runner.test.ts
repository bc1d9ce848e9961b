// The runner folds each event once, whatever fails when; it waits out what is away, says what it cannot fold, and gives way
// to another. Waits are for positions, never for time.

import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Position } from '../../domain/ids.ts'
import { positionBeforeAll } from '../../eventstore/port.ts'
import { loadCheckpoint } from '../../projections/checkpoint.ts'
import type { Database, Session, Statement } from '../../projections/database.ts'
import { type Runner, type RunnerOptions, startRunner, tellAgainMs } from '../../projections/runner.ts'
import { type GivenLog, givenLog } from '../support/given-log.ts'
import { Ledger, p2p } from '../support/ledger.ts'
import { ledgerOf, type Step } from '../support/random-ledger.ts'
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
import { whenTrue } from '../support/test-node.ts'

const waitMs = 30_000

/** The same ledger every time: numbers of a small generator. */
const bigLedger = (): Ledger => {
  let state = 1
  const next = (below: number) => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
  return ledgerOf(Array.from({ length: 2_500 }, (): Step => [next(100), next(1_000), next(1_000), next(1_000)]))
}

describe.each(databaseKinds)('the runner on %s', kind => {
  let opened: TestDatabase
  let database: Database
  let running: Runner[]
  let listener = () => {}
  let lines: { msg: string; [field: string]: unknown }[]
  beforeAll(async () => {
    opened = await openTestDatabase(kind)
    database = opened.database
  })
  afterAll(() => opened.dispose())
  beforeEach(async () => {
    await empty(database)
    running = []
    lines = []
  })
  afterEach(async () => {
    for (const runner of running) await runner.stop()
  })

  const start = async (store: GivenLog, options: Partial<RunnerOptions> = {}): Promise<Runner> => {
    const line = (text: string) => {
      lines.push(JSON.parse(text))
      listener()
    }
    const logger = pino({ level: 'debug' }, { write: line })
    const runner = await startRunner({ store, database, logger, beyondHeadMsMax: 200, ...options })
    running.push(runner)
    return runner
  }
  /** The first line of the log with these words, now or when it comes. */
  const told = (words: string) =>
    new Promise<(typeof lines)[0]>(resolve => {
      listener = () => {
        const found = lines.find(line => line.msg.includes(words))
        if (found !== undefined) resolve(found)
      }
      listener()
    })
  const caughtUp = async (runner: Runner, log: GivenLog) => {
    expect(await runner.passed(await log.head(), waitMs)).toBe(true)
  }
  /** The rows that plain folding of these events gives. */
  const rowsOf = async (events: Ledger['events']) => {
    await empty(database)
    await fold(database, events)
    return allRows(database)
  }

  test('folds what is in the log and what comes, and tells where it is', async () => {
    const { events } = bigLedger()
    const log = givenLog(testLogId, events.slice(0, 1_500))
    const runner = await start(log)
    await caughtUp(runner, log)
    log.add(events.slice(1_500))
    await caughtUp(runner, log)
    expect(runner.position()).toBe(await log.head())
    expect(runner.lag()).toEqual({ events: 0, seconds: 0 })
    expect(runner.counters).toMatchObject({ events: events.length, failures: 0 })
    expect(await loadCheckpoint(database)).toMatchObject({ position: runner.position(), log_id: testLogId })
    await runner.stop()
    const rows = await allRows(database)
    expect(rows).toEqual(await rowsOf(events))
  })

  test('answers who waits for a position that does not come with the deadline', async () => {
    const log = givenLog(testLogId, bigLedger().events.slice(0, 10))
    const runner = await start(log)
    await caughtUp(runner, log)
    expect(await runner.passed('ffffffffffffffff' as never, 30)).toBe(false)
    expect(await runner.passed(await log.head(), 0)).toBe(true)
  })

  test('counts each event once, however often it is stopped and started', async () => {
    const { events } = bigLedger()
    const log = givenLog(testLogId)
    for (let from = 0; from < events.length; from += 400) {
      const runner = await start(log)
      log.add(events.slice(from, from + 400))
      // Stopped in the middle of whatever it does.
      await runner.stop()
    }
    await caughtUp(await start(log), log)
    const rows = await allRows(database)
    await running.at(-1)?.stop()
    expect(rows).toEqual(await rowsOf(events))
  })

  test('folds what is in the log before it stops', async () => {
    const { events } = bigLedger()
    const log = givenLog(testLogId, events.slice(0, 10))
    const runner = await start(log)
    await caughtUp(runner, log)
    log.add(events.slice(10))
    await runner.stop()
    expect((await loadCheckpoint(database))?.position).toBe(await log.head())
  })

  test('counts each event once when transactions fail, before and after their commit', async () => {
    const { events } = bigLedger()
    let transactions = 0
    /** Every third transaction is lost, every fifth is committed and said to be lost. */
    const failing = (session: Session): Session => ({
      ...session,
      transaction: async work => {
        transactions++
        if (transactions % 3 === 0) {
          return session.transaction(async transaction => {
            await work(transaction)
            throw Object.assign(new Error('lost before the commit'), { code: 'ECONNRESET' })
          })
        }
        const result = await session.transaction(work)
        if (transactions % 5 === 0) throw Object.assign(new Error('lost after the commit'), { code: 'ECONNRESET' })
        return result
      },
    })
    const faulty: Database = { ...database, session: async () => failing(await database.session()) }
    const log = givenLog(testLogId, events)
    const runner = await start(log, { database: faulty })
    await caughtUp(runner, log)
    expect(runner.counters.failures).toBeGreaterThan(0)
    await runner.stop()
    expect(await allRows(database)).toEqual(await rowsOf(events))
  })

  test('names the event that it cannot fold, keeps all before it, and goes no further', async () => {
    const ledger = new Ledger()
    const chat = p2p('ada', 'bob')
    for (let number = 0; number < 5; number++) ledger.send(chat, 'ada')
    const again = { ...ledger.events[2], position: 'f000000000000000' } as (typeof ledger.events)[0]
    const log = givenLog(testLogId, [...ledger.events, again])
    const runner = await start(log)
    expect(await runner.passed(ledger.position, waitMs)).toBe(true)
    const line = await told('cannot be folded')
    expect(line).toMatchObject({
      position: again.position,
      type: 'MessageSent',
    })
    expect(runner.position()).toBe(ledger.position)
  })

  test('tells of an event that it cannot fold once in a while, and shows it until it is folded', async () => {
    const ledger = new Ledger()
    const chat = p2p('ada', 'bob')
    for (let number = 0; number < 5; number++) ledger.send(chat, 'ada')
    const again = { ...ledger.events[2], position: 'f000000000000000' } as (typeof ledger.events)[0]
    let nowMs = 0
    const runner = await start(givenLog(testLogId, [...ledger.events, again]), { nowMs: () => nowMs })
    await told('cannot be folded')
    const toldLines = () => lines.filter(({ msg }) => msg.includes('cannot be folded'))
    const { failures } = runner.counters
    await whenTrue(() => runner.counters.failures > failures + 1)
    expect(toldLines()).toMatchObject([{ projection: 'message', position: again.position, type: 'MessageSent' }])
    expect(lines.filter(({ msg }) => msg.includes('kept current'))).toHaveLength(2)
    expect(runner.stuck).toMatchObject({ projection: 'message', position: again.position, type: 'MessageSent' })
    nowMs += tellAgainMs
    await whenTrue(() => toldLines().length === 2)
    // What a version does that can fold it.
    await database.transaction(transaction =>
      transaction.execute(`delete from message where position = '${ledger.events[2]?.position}'`),
    )
    await whenTrue(() => runner.stuck === undefined)
    expect(await runner.passed(again.position, waitMs)).toBe(true)
  })

  test('waits for a log that is away', async () => {
    const { events } = bigLedger()
    const log = givenLog(testLogId, events.slice(0, 100))
    log.setAway(true)
    const runner = await start(log)
    log.setAway(false)
    await caughtUp(runner, log)
    log.setAway(true)
    log.setAway(false)
    log.add(events.slice(100, 200))
    await caughtUp(runner, log)
    await runner.stop()
    expect(await allRows(database)).toEqual(await rowsOf(events.slice(0, 200)))
  })

  test.each([
    ['another log', { logId: 'other-log', from: 0 }],
    ['a log that ends before', { logId: testLogId, from: 0 }],
  ])('starts over on %s', async (_what, { logId }) => {
    const { events } = bigLedger()
    await fold(database, events.slice(0, 300))
    const log = givenLog(logId, events.slice(0, 100))
    const runner = await start(log)
    await caughtUp(runner, log)
    await runner.stop()
    expect(await loadCheckpoint(database)).toMatchObject({ log_id: logId, position: events[99]?.position })
    expect(lines.map(line => line.msg).filter(text => text.includes('start over')).length).toBe(1)
    expect(await allRows(database)).toEqual(await rowsOf(events.slice(0, 100)))
  })

  test('does not start over on a log whose end is only told late', async () => {
    const { events } = bigLedger()
    await fold(database, events.slice(0, 300))
    const log = givenLog(testLogId, events.slice(0, 100))
    const runner = await start(log, { beyondHeadMsMax: waitMs })
    await told('looking again')
    log.add(events.slice(100, 400))
    await caughtUp(runner, log)
    expect(lines.filter(line => line.msg.includes('start over'))).toEqual([])
    await runner.stop()
    expect(await allRows(database)).toEqual(await rowsOf(events.slice(0, 400)))
  })

  test('starts over on rows of another version', async () => {
    const { events } = bigLedger()
    await fold(database, events.slice(0, 300))
    await database.transaction(transaction =>
      transaction.execute("update checkpoint set version = 0; delete from message; update account set name = 'old'"),
    )
    const log = givenLog(testLogId, events.slice(0, 300))
    const runner = await start(log)
    await caughtUp(runner, log)
    await runner.stop()
    expect(await allRows(database)).toEqual(await rowsOf(events.slice(0, 300)))
  })

  test('that only looks on follows the one that works', async () => {
    const { events } = bigLedger()
    const log = givenLog(testLogId, events.slice(0, 100))
    const looker = await start(log, { works: false })
    expect(await looker.passed(await log.head(), 20)).toBe(false)
    const worker = await start(log)
    await caughtUp(looker, log)
    expect([looker.isWorking, worker.isWorking]).toEqual([false, true])
    expect(looker.lag()).toEqual({ events: 0, seconds: 0 })
  })

  // PGlite belongs to one process: there is nobody to give way to.
  test.skipIf(kind === 'pglite')('stands by while another works, and takes over from it', async () => {
    const { events } = bigLedger()
    const log = givenLog(testLogId, events.slice(0, 1_000))
    const first = await start(log)
    await caughtUp(first, log)
    const second = await start(log, { database: await opened.again() })
    expect(await second.passed(await log.head(), waitMs)).toBe(true)
    expect([first.isWorking, second.isWorking]).toEqual([true, false])
    await first.stop()
    log.add(events.slice(1_000))
    await caughtUp(second, log)
    expect(second.isWorking).toBe(true)
    await second.stop()
    expect(await allRows(database)).toEqual(await rowsOf(events))
  })

  // The files of PGlite are its own matter: pglite-restart.test.ts.
  test.skipIf(kind === 'pglite').each([
    ['is not there', 'drop table message', 'tables are missing: message'],
    [
      'is not there, nor the place in the log',
      'drop table message, checkpoint',
      'tables are missing: checkpoint, message',
    ],
  ])('makes its tables anew when one %s, says so, and folds the whole log', async (_what, loss, reason) => {
    const { events } = bigLedger()
    const log = givenLog(testLogId, events.slice(0, 1_000))
    const runner = await start(log)
    await caughtUp(runner, log)
    await database.transaction(transaction => transaction.execute(loss))
    log.add(events.slice(1_000))
    expect(await told('made anew')).toMatchObject({ level: 40, reason })
    await caughtUp(runner, log)
    await runner.stop()
    expect(await allRows(database)).toEqual(await rowsOf(events))
  })

  // As above.
  test.skipIf(kind === 'pglite')('makes its tables anew when one is damaged, and once only', async () => {
    const { events } = bigLedger()
    const log = givenLog(testLogId, events.slice(0, 1_000))
    const runner = await start(log)
    await caughtUp(runner, log)
    // What Postgres says of a page that makes no sense, said by a trigger that goes with the table.
    const damage = () =>
      database.transaction(async transaction => {
        await transaction.execute(`create or replace function damaged() returns trigger language plpgsql
          as $$ begin raise exception 'invalid page in block 0' using errcode = 'XX001'; end $$`)
        await transaction.execute('create trigger damaged before insert on message execute function damaged()')
      })
    await damage()
    log.add(events.slice(1_000, 2_000))
    expect(await told('made anew')).toMatchObject({ reason: 'they are damaged: invalid page in block 0' })
    await caughtUp(runner, log)
    await damage()
    log.add(events.slice(2_000))
    await told('cannot be folded')
    expect(runner.stuck).toMatchObject({ projection: 'message' })
    await database.transaction(transaction => transaction.execute('drop function damaged cascade'))
    await caughtUp(runner, log)
    await runner.stop()
    expect(await allRows(database)).toEqual(await rowsOf(events))
  })

  // Only a server has connections that somebody can cut.
  test.skipIf(kind === 'pglite')('goes on after its connection was cut', async () => {
    const { events } = bigLedger()
    const log = givenLog(testLogId, events.slice(0, 500))
    const runner = await start(log)
    await caughtUp(runner, log)
    for (let from = 500; from < events.length; from += 500) {
      await database.query({
        name: 'cut',
        text: `select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and pid <> pg_backend_pid()`,
      })
      log.add(events.slice(from, from + 500))
      await caughtUp(runner, log)
    }
    await runner.stop()
    expect(await allRows(database)).toEqual(await rowsOf(events))
  })
})

test('one who stands by looks as soon as somebody waits for a position', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    const log = givenLog(testLogId, bigLedger().events)
    let looks = 0
    let position: Position = positionBeforeAll
    const query = async ({ name }: Statement) => {
      if (name === 'runner-lead') return [{ leads: false }]
      looks++
      return [{ position }]
    }
    const session = { query, lost: new Promise(() => {}), release: async () => {} }
    const database = { kind: 'postgres', query, session: async () => session } as unknown as Database
    const runner = await startRunner({ store: log, database, logger: silentLogger })
    await whenTrue(() => looks === 1)
    position = await log.head()
    // No time passes: only the asking itself can make it look again.
    expect(await runner.passed(position, waitMs)).toBe(true)
    expect(looks).toBe(2)
    await runner.stop()
  } finally {
    vi.useRealTimers()
  }
})
