// Owns the case `rebuild`: all read models made anew on Postgres from a million events of the embedded log, by the command that
// an operator would use, while nothing else runs.

import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestPostgres } from '../../test/support/postgres.ts'
import { type Case, reported } from '../case.ts'
import { treeOf } from '../machine.ts'
import { openSeed, pairConversation, type SeededUser } from '../seed.ts'
import { measured } from '../stage.ts'

const users = 1_000
const eventsOfUser = 3
const events = 1_000_000
const conversations = users / 2
const copiedRows = 500_000
const root = fileURLToPath(new URL('../..', import.meta.url))

const seedLog = async (dataDir: string): Promise<void> => {
  const seed = await openSeed(dataDir)
  const people = await seed.users(users)
  const each = Math.floor((events - users * eventsOfUser) / conversations)
  for (let index = 0; index < conversations; index++) {
    const [one, other] = [people[index * 2] as SeededUser, people[index * 2 + 1] as SeededUser]
    await seed.messages(pairConversation(one, other), [one.userId, other.userId], each)
  }
  await seed.close()
}

interface Rebuilt {
  readonly events: number
  readonly seconds: number
}

/** Runs the command; what it says at its end is the measure. @throws Error with what it wrote */
const rebuildOnce = (dataDir: string, databaseUrl: string, onStart: (pid: number) => void): Promise<Rebuilt> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'projections/rebuild-command.ts', 'all'], {
      cwd: root,
      env: { PATH: process.env.PATH ?? '', DATA_DIR: dataDir, DATABASE_URL: databaseUrl },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let text = ''
    child.stderr.on('data', chunk => {
      text = (text + chunk).slice(-10_000)
    })
    onStart(child.pid as number)
    child.once('exit', code => {
      const found = /from (\d+) events in ([\d.]+) s/.exec(text)
      if (code === 0 && found !== null) resolve({ events: Number(found[1]), seconds: Number(found[2]) })
      else reject(new Error(`the rebuild ended with ${code}: ${text}`))
    })
  })

/** Bare COPY of as wide rows into a table with a primary key. */
const copyCeiling = (postgres: TestPostgres): number => {
  const folder = mkdtempSync(join(tmpdir(), 'ledgerline-copy-'))
  const file = join(folder, 'rows')
  const wire = 'x'.repeat(380)
  const lines = Array.from({ length: copiedRows }, (_, row) => `c${row % conversations}\t${row}\t${wire}\n`)
  writeFileSync(file, lines.join(''))
  const table = 'create table copied (conversation text, seq integer, wire text, primary key (conversation, seq))'
  postgres.run(postgres.createDatabase('bench_copy'), table)
  chmodSync(folder, 0o755)
  const startMs = performance.now()
  postgres.run(postgres.urlOf('bench_copy'), `\\copy copied from '${file}'`)
  const seconds = (performance.now() - startMs) / 1_000
  rmSync(folder, { recursive: true, force: true })
  return copiedRows / seconds
}

export const rebuildCase: Case = {
  name: 'rebuild',
  summary: 'all read models from 1 M events of the embedded log, on Postgres',
  databases: ['postgres'],
  run: async settings => {
    const postgres = settings.postgres
    if (postgres === undefined) throw new Error('this case needs Postgres')
    const dataDir = mkdtempSync(join(tmpdir(), 'ledgerline-bench-'))
    try {
      settings.say(`    writing ${events.toLocaleString('en-US')} events`)
      await seedLog(dataDir)
      const frame = {
        case: 'rebuild',
        variant: '1 M events',
        unit: 'events/s',
        greaterIsBetter: true,
        floor: 40_000,
        goal: 70_000,
        ceiling: copyCeiling(postgres),
        ceilingOf: 'bare COPY of as wide rows into a table with a primary key',
      }
      let databases = 0
      let command = 0
      const watched = { server: () => (command === 0 ? [] : treeOf(command)), postgres: postgres.pids, load: () => [] }
      const result = await reported(settings, frame, async () => {
        const { value, cpu, repeated } = await measured(settings, watched, () =>
          rebuildOnce(dataDir, postgres.createDatabase(`bench_rebuild_${++databases}`), pid => {
            command = pid
          }),
        )
        return { figure: value.events / value.seconds, cpu, also: { repeated } }
      })
      return [result]
    } finally {
      rmSync(dataDir, { recursive: true, force: true })
    }
  },
}
