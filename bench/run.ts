// npm run bench [-- case…] [--database pglite|postgres] [--runs 3] [--seconds 8] [--patience 20] [--profile]
//
// Measures what the project publishes. Each case runs the real server (main.ts) as a process of its own on a fresh folder with
// durable settings, and the load in other processes; RATE_LIMITS=off. Each runs on PGlite and on a Postgres of its own, three
// times, and gives the median, p50 and p99, the CPU of server, Postgres and load, memory, the raw ceiling measured in the same
// run, and the ratio. Each waits a while (--patience, in seconds) for others on the machine to be quiet; a run in which they took
// more than 8 % of it is repeated, at most twice. One JSON line for each.
// EVENTSTORE_URL=esdb://… adds the case `send-eventstoredb`.

import { mkdtempSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { postgresBinaries, startPostgres, type TestPostgres } from '../test/support/postgres.ts'
import type { Case } from './case.ts'
import { commandsCase } from './cases/commands.ts'
import { connectCase, resumeCase } from './cases/connect.ts'
import { cpuPerSendCase } from './cases/cpu-per-send.ts'
import { friendsCase } from './cases/friends.ts'
import { groupCase } from './cases/group.ts'
import { historyCase } from './cases/history.ts'
import { idleCase } from './cases/idle.ts'
import { largeGroupCase } from './cases/large-group.ts'
import { latencyCase } from './cases/latency.ts'
import { listsCase } from './cases/lists.ts'
import { rebuildCase } from './cases/rebuild.ts'
import { sendCase } from './cases/send.ts'
import { sendEventStoreDbCase } from './cases/send-eventstoredb.ts'
import { machineText } from './machine.ts'
import { topFunctions } from './profile.ts'
import { jsonLine, type Result, tableOf } from './report.ts'
import { type BenchSettings, profilesIn } from './stage.ts'

const cases: readonly Case[] = [
  sendCase,
  latencyCase,
  sendEventStoreDbCase,
  groupCase,
  largeGroupCase,
  idleCase,
  historyCase,
  listsCase,
  friendsCase,
  commandsCase,
  connectCase,
  resumeCase,
  rebuildCase,
  cpuPerSendCase,
]

const options = {
  database: { type: 'string', multiple: true },
  runs: { type: 'string', default: '3' },
  seconds: { type: 'string', default: '8' },
  patience: { type: 'string', default: '20' },
  profile: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

const usage =
  'npm run bench [-- case…] [--database pglite|postgres] [--runs 3] [--seconds 8] [--patience 20] [--profile]'

const wholeNumber = (text: string, name: string): number => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > 1_000)
    throw new Error(`--${name} must be a number from 1 to 1,000`)
  return value
}

const chosen = (names: readonly string[]): readonly Case[] => {
  const unknown = names.filter(name => !cases.some(one => one.name === name))
  if (unknown.length > 0)
    throw new Error(`no such case: ${unknown.join(', ')}. There are ${cases.map(({ name }) => name).join(', ')}`)
  const byDefault = cases.filter(({ name }) => name !== 'send-eventstoredb' || process.env.EVENTSTORE_URL !== undefined)
  return names.length === 0 ? byDefault : cases.filter(({ name }) => names.includes(name))
}

const runCase = async (one: Case, settings: BenchSettings): Promise<readonly Result[]> => {
  console.log(`\n${one.name} on ${settings.database}: ${one.summary}`)
  const results = await one.run(settings)
  for (const result of results) console.log(jsonLine(result))
  if (settings.profileFolder !== undefined) {
    for (const file of profilesIn(settings.profileFolder)) console.log(topFunctions(file))
  }
  return results
}

const main = async (): Promise<void> => {
  const { values, positionals } = parseArgs({ options, allowPositionals: true })
  if (values.help) {
    console.log(`${usage}\n`)
    for (const { name, summary } of cases) console.log(`  ${name.padEnd(18)} ${summary}`)
    return
  }
  const todo = chosen(positionals)
  const databases = (values.database ?? ['pglite', 'postgres']) as BenchSettings['database'][]
  const usesPostgres = databases.includes('postgres')
  if (usesPostgres && postgresBinaries() === undefined)
    throw new Error('Postgres is not installed: apt-get install postgresql')
  console.log(`${machineText()}; ${cpus().length} CPUs are shared by server and load`)
  const postgres: TestPostgres | undefined = usesPostgres ? await startPostgres() : undefined
  const results: Result[] = []
  for (const one of todo) {
    for (const database of databases) {
      if (one.databases !== undefined && !one.databases.includes(database)) continue
      const settings: BenchSettings = {
        database,
        postgres: database === 'postgres' ? postgres : undefined,
        runs: wholeNumber(values.runs, 'runs'),
        runMs: wholeNumber(values.seconds, 'seconds') * 1_000,
        warmUpMs: 2_000,
        patienceMs: wholeNumber(values.patience, 'patience') * 1_000,
        profileFolder: values.profile ? mkdtempSync(join(tmpdir(), 'ledgerline-profile-')) : undefined,
        eventstoreUrl: process.env.EVENTSTORE_URL,
        say: text => console.log(text),
      }
      results.push(...(await runCase(one, settings)))
    }
  }
  await postgres?.stop()
  console.log(`\n${tableOf(results)}`)
}

// Servers and databases that were started end with us.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))

main().then(
  () => process.exit(0),
  error => {
    console.error(error)
    process.exit(1)
  },
)
