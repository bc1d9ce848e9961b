// Owns the command that makes read models anew: `npm run rebuild -- <name>|all`. Progress goes to stderr. The service may go
// on meanwhile: on EventStoreDB and Postgres beside this process, with an embedded part it does the work itself.

import { pino } from 'pino'
import { type Config, readConfig } from '../config.ts'
import type { Position } from '../domain/ids.ts'
import { askOwner, type Tell } from '../eventstore/control.ts'
import { openExistingEventStore } from '../eventstore/open.ts'
import { openDatabase } from './database.ts'
import type { RebuildProgress, Rebuilt } from './rebuild.ts'
import { namesAsked, projectionNames, rebuildWork } from './rebuild-work.ts'

const barWidth = 30

const say = (text: string): void => {
  process.stderr.write(text)
}

const usage = `usage: npm run rebuild -- <name>|all\n  names: ${projectionNames.join(', ')}\n`

/** Positions are only compared elsewhere; as a share of the way they are good enough for a bar. */
const shareOf = (position: Position, target: Position): number => {
  const whole = Number(`0x${target}`)
  return whole === 0 ? 1 : Math.min(1, Number(`0x${position}`) / whole)
}

const barFrom = (startedMs: number): Tell => {
  return async told => {
    const { events, position, target } = told as RebuildProgress
    const share = shareOf(position, target)
    const perSecond = Math.round((events / Math.max(1, performance.now() - startedMs)) * 1_000)
    const bar = '#'.repeat(Math.round(share * barWidth)).padEnd(barWidth, '.')
    say(`\r[${bar}] ${Math.floor(share * 100)} %  ${events} events, ${perSecond}/s `)
  }
}

/** Does it in this process: nobody else has the folder, or nothing is in one. */
const here = async (config: Config, asked: readonly string[], tell: Tell, signal: AbortSignal): Promise<object> => {
  const standardError = 2
  const logger = pino({ level: 'warn' }, pino.destination({ dest: standardError, sync: true }))
  const { EVENTSTORE_URL: eventstoreUrl, DATABASE_URL: databaseUrl, DATA_DIR: dataDir } = config
  const store = await openExistingEventStore({ eventstoreUrl, dataDir, logger })
  try {
    const database = await openDatabase({ databaseUrl, dataDir, logger, signal })
    try {
      return await rebuildWork(database, store, logger)(asked, tell, signal)
    } finally {
      await database.close()
    }
  } finally {
    await store.close()
  }
}

/** Returns the exit code. */
const run = async (asked: readonly string[]): Promise<number> => {
  if (namesAsked(asked) === undefined) {
    say(usage)
    return 2
  }
  const interrupt = new AbortController()
  const { signal } = interrupt
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupt.abort(new Error('interrupted')))
  try {
    const config = readConfig(process.env)
    const { EVENTSTORE_URL: eventstoreUrl, DATABASE_URL: databaseUrl, DATA_DIR: dataDir } = config
    const tell = barFrom(performance.now())
    const isEmbedded = eventstoreUrl === undefined || databaseUrl === undefined
    const byOwner = isEmbedded ? await askOwner({ dataDir, command: 'rebuild', asked, tell, signal }) : undefined
    const done = (byOwner ?? (await here(config, asked, tell, signal))) as Rebuilt
    const perSecond = Math.round(done.events / done.seconds)
    say(
      `\nrebuilt ${done.tables.join(', ')} from ${done.events} events in ${done.seconds.toFixed(1)} s (${perSecond}/s)\n`,
    )
    return 0
  } catch (error) {
    say(`\nrebuild failed: ${(error as Error).message}\nThe read models are as they were.\n`)
    return 1
  }
}

process.exitCode = await run(process.argv.slice(2))
