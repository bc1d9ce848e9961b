// Owns the command that makes read models anew: `npm run rebuild -- <name>|all`. Progress goes to stderr.
// With EVENTSTORE_URL and DATABASE_URL the service may go on meanwhile; the embedded log and read models belong to one
// process, so for these the service must be stopped first.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { readConfig } from '../config.ts'
import type { Position } from '../domain/ids.ts'
import { openEventStore } from '../eventstore/open.ts'
import { type EventStore, Unavailable } from '../eventstore/port.ts'
import { type Database, openDatabase } from './database.ts'
import type { ProjectionName } from './projection.ts'
import { projections } from './projections.ts'
import { type RebuildProgress, rebuild } from './rebuild.ts'

const barWidth = 30
/** The bar is drawn at most so often. */
const drawMsMin = 100

const say = (text: string): void => {
  process.stderr.write(text)
}

const names = projections.map(projection => projection.name)
const usage = `usage: npm run rebuild -- <name>|all\n  names: ${names.join(', ')}\n`

/** Positions are only compared elsewhere; as a share of the way they are good enough for a bar. */
const shareOf = (position: Position, target: Position): number => {
  const whole = Number(`0x${target}`)
  return whole === 0 ? 1 : Math.min(1, Number(`0x${position}`) / whole)
}

const createBar = (startedMs: number) => {
  let drawnMs = 0
  return (progress: RebuildProgress): void => {
    const nowMs = performance.now()
    const share = shareOf(progress.position, progress.target)
    if (nowMs - drawnMs < drawMsMin && share < 1) return
    drawnMs = nowMs
    const filled = Math.round(share * barWidth)
    const perSecond = Math.round((progress.events / Math.max(1, nowMs - startedMs)) * 1_000)
    const bar = '#'.repeat(filled).padEnd(barWidth, '.')
    say(`\r[${bar}] ${Math.floor(share * 100)} %  ${progress.events} events, ${perSecond}/s `)
  }
}

const openStore = async (
  eventstoreUrl: string | undefined,
  dataDir: string,
  logger: pino.Logger,
): Promise<EventStore> => {
  if (eventstoreUrl === undefined && !existsSync(join(dataDir, 'log'))) {
    throw new Error(`there is no log in ${dataDir}; set DATA_DIR or EVENTSTORE_URL`)
  }
  try {
    return await openEventStore({ eventstoreUrl, dataDir, logger })
  } catch (error) {
    if (eventstoreUrl !== undefined || !(error instanceof Unavailable)) throw error
    throw new Error(
      `${error.message}\nThe embedded log belongs to one process: stop the service, run this again, start the service.`,
    )
  }
}

const isName = (name: string): name is ProjectionName => (names as readonly string[]).includes(name)

/** Returns the exit code. */
const run = async (asked: readonly string[]): Promise<number> => {
  const isAll = asked.length === 1 && asked[0] === 'all'
  if (asked.length === 0 || (!isAll && !asked.every(isName))) {
    say(usage)
    return 2
  }
  const standardError = 2
  const logger = pino({ level: 'warn' }, pino.destination({ dest: standardError, sync: true }))
  const abort = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort(new Error('interrupted')))
  let store: EventStore | undefined
  let database: Database | undefined
  try {
    const config = readConfig(process.env)
    store = await openStore(config.EVENTSTORE_URL, config.DATA_DIR, logger)
    const { signal } = abort
    database = await openDatabase({ databaseUrl: config.DATABASE_URL, dataDir: config.DATA_DIR, logger, signal })
    const onProgress = createBar(performance.now())
    const done = await rebuild(database, store, isAll ? 'all' : asked.filter(isName), { onProgress, signal, logger })
    const perSecond = Math.round(done.events / done.seconds)
    say(
      `\nrebuilt ${done.tables.join(', ')} from ${done.events} events in ${done.seconds.toFixed(1)} s (${perSecond}/s)\n`,
    )
    return 0
  } catch (error) {
    say(`\nrebuild failed: ${(error as Error).message}\nThe read models are as they were.\n`)
    return 1
  } finally {
    await database?.close()
    await store?.close()
  }
}

process.exitCode = await run(process.argv.slice(2))
