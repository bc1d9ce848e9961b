// Owns a Postgres for tests and benches: a cluster of its own in a temporary folder, on a free port, thrown away at the end.
// Runs as the user `postgres` when we are root, because Postgres refuses root. Durable settings, as in production.

import { execFileSync, spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'

const startSecondsMax = 30

export interface TestPostgres {
  readonly url: string
  /** Stops the server without warning its clients (immediate shutdown, as a crash) or after they were cut (fast). */
  halt(mode?: 'fast' | 'immediate'): void
  /** Starts it again after `halt`, on the same port with the same data. */
  resume(): void
  /** `halt` and `resume` in one. */
  restart(): void
  /** Ids of the server's processes now: one for each connection and the server's own. */
  pids(): readonly number[]
  /** An empty database; gives its URL. */
  createDatabase(name: string): string
  urlOf(database: string): string
  /** Runs SQL, or a command of psql, on a database. @throws Error with what psql wrote */
  run(url: string, command: string): void
  /** Stops it and deletes everything. */
  stop(): Promise<void>
}

/** The folder of the server's binaries; undefined when Postgres is not installed. */
export const postgresBinaries = (): string | undefined => {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root) ? readdirSync(root).sort((one, other) => Number(other) - Number(one)) : []
  return [...versions.map(version => join(root, version, 'bin')), '/usr/local/bin', '/usr/bin'].find(
    folder => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'pg_ctl')),
  )
}

const isRoot = () => process.getuid?.() === 0

/** Who the cluster belongs to: `postgres` for root, else whoever we are. */
const owner = (): { uid: number; gid: number } | undefined => {
  if (!isRoot()) return undefined
  const idOf = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }).trim())
  return { uid: idOf('-u'), gid: idOf('-g') }
}

/** @throws Error with what the program wrote */
const run = (program: string, parameters: readonly string[], as: ReturnType<typeof owner>, folder: string) => {
  const { status, stdout, stderr, error } = spawnSync(program, parameters, { ...as, cwd: folder, encoding: 'utf8' })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`${program} ${parameters.join(' ')} ended with ${status}: ${stderr}${stdout}`)
}

/** Processes whose parent is `parent`, and that parent itself. */
const withChildren = (parent: number): number[] => {
  const children = readdirSync('/proc').flatMap(entry => {
    if (!/^\d+$/.test(entry)) return []
    try {
      const text = readFileSync(`/proc/${entry}/stat`, 'utf8')
      const parentId = Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1])
      return parentId === parent ? [Number(entry)] : []
    } catch {
      // It ended while we looked.
      return []
    }
  })
  return [parent, ...children]
}

/** Makes and starts a cluster. @throws Error when Postgres is not installed or does not start */
export const startPostgres = async (): Promise<TestPostgres> => {
  const binaries = postgresBinaries()
  if (binaries === undefined) throw new Error('Postgres is not installed: apt-get install postgresql')
  const as = owner()
  const folder = mkdtempSync(join(tmpdir(), 'ledgerline-postgres-'))
  const data = join(folder, 'data')
  mkdirSync(data, { mode: 0o700 })
  if (as !== undefined) for (const path of [folder, data]) chownSync(path, as.uid, as.gid)
  run(join(binaries, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C'], as, folder)
  const port = await freePort()
  const control = join(binaries, 'pg_ctl')
  const settings = `-p ${port} -k ${folder} -c listen_addresses=127.0.0.1 -c max_connections=100`
  const start = ['-D', data, '-l', join(folder, 'log'), '-o', settings, '-t', String(startSecondsMax), '-w', 'start']
  const resume = () => run(control, start, as, folder)
  const halt = (mode: 'fast' | 'immediate' = 'fast') => run(control, ['-D', data, '-m', mode, '-w', 'stop'], as, folder)
  resume()
  const urlOf = (database: string) => `postgres://postgres@127.0.0.1:${port}/${database}`
  const stop = async () => {
    process.off('exit', stopNow)
    stopNow()
  }
  const stopNow = () => {
    spawnSync(control, ['-D', data, '-m', 'immediate', 'stop'], { ...as, cwd: folder })
    rmSync(folder, { recursive: true, force: true })
  }
  // A test that throws must not leave a server behind.
  process.on('exit', stopNow)
  return {
    url: urlOf('postgres'),
    halt,
    resume,
    restart: () => {
      halt('immediate')
      resume()
    },
    pids: () => withChildren(Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0])),
    createDatabase: name => {
      const parameters = ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres', name]
      run(join(binaries, 'createdb'), parameters, as, folder)
      return urlOf(name)
    },
    urlOf,
    run: (url, command) =>
      run(join(binaries, 'psql'), ['-q', '-v', 'ON_ERROR_STOP=1', '-d', url, '-c', command], as, folder),
    stop,
  }
}
