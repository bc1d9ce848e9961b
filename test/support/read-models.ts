// Owns the databases that tests of the read models run on: PGlite always, Postgres where TEST_DATABASE_URL says so, and in it
// a database of its own for each test file. Also owns looking at all rows at once.

import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { pino } from 'pino'
import { positionBeforeAll, type RecordedEvent } from '../../eventstore/port.ts'
import { advanceCheckpoint } from '../../projections/checkpoint.ts'
import { type Database, openDatabase } from '../../projections/database.ts'
import { applyEvents, projections } from '../../projections/projections.ts'
import { readModelsVersion } from '../../projections/schema.ts'

export const silentLogger = pino({ level: 'silent' })
export const testLogId = 'test-log'

/** Where a Postgres to test on is, if there is one. */
export const postgresUrl = process.env.TEST_DATABASE_URL

/** Kinds of database to run on, for `describe.each`. */
export const databaseKinds: readonly ('pglite' | 'postgres')[] =
  postgresUrl === undefined ? ['pglite'] : ['pglite', 'postgres']

export interface TestDatabase {
  readonly database: Database
  /** Opens the same database once more, as another process would. Postgres only. */
  readonly again: () => Promise<Database>
  readonly dispose: () => Promise<void>
}

const withAdmin = async (sql: string): Promise<void> => {
  const admin = new pg.Client({ connectionString: postgresUrl })
  await admin.connect()
  await admin.query(sql)
  await admin.end()
}

/** An empty database in the Postgres to test on. */
export const createPostgresDatabase = async (): Promise<{ readonly url: string; drop(): Promise<void> }> => {
  const name = `test_${process.pid}_${Math.random().toString(36).slice(2)}`
  await withAdmin(`create database ${name}`)
  const url = new URL(postgresUrl as string)
  url.pathname = `/${name}`
  return { url: url.href, drop: () => withAdmin(`drop database ${name} with (force)`) }
}

const templateOf = (): string => {
  const made = createHash('sha256')
  for (const file of ['../../projections/migrations.ts', '../../package-lock.json']) {
    made.update(readFileSync(new URL(file, import.meta.url)))
  }
  return join(tmpdir(), `read-models-template-${made.digest('hex').slice(0, 16)}`)
}

/** A data folder with an empty PGlite in it: copied from one that is made once, because making one takes seconds. */
export const embeddedDataDir = async (): Promise<string> => {
  const template = templateOf()
  if (!existsSync(template)) {
    const making = mkdtempSync(`${template}-`)
    const database = await openDatabase({ dataDir: making, logger: silentLogger })
    await database.close()
    try {
      renameSync(making, template)
    } catch {
      // Another test process was faster.
      rmSync(making, { recursive: true, force: true })
    }
  }
  const dataDir = mkdtempSync(join(tmpdir(), 'read-models-'))
  cpSync(template, dataDir, { recursive: true })
  return dataDir
}

/** An empty database of this kind. */
export const openTestDatabase = async (kind: 'pglite' | 'postgres'): Promise<TestDatabase> => {
  if (kind === 'pglite') {
    const dataDir = await embeddedDataDir()
    const database = await openDatabase({ dataDir, logger: silentLogger })
    const dispose = async () => {
      await database.close()
      rmSync(dataDir, { recursive: true, force: true })
    }
    return { database, again: () => Promise.reject(new Error('PGlite belongs to one process')), dispose }
  }
  const { url, drop } = await createPostgresDatabase()
  const opened: Database[] = []
  const open = async () => {
    const database = await openDatabase({ databaseUrl: url, dataDir: tmpdir(), logger: silentLogger })
    opened.push(database)
    return database
  }
  const dispose = async () => {
    for (const database of opened) await database.close()
    await drop()
  }
  return { database: await open(), again: open, dispose }
}

const tables = projections.flatMap(projection => projection.tables)

/** Empties everything: by deleting, because truncating makes new files, which takes longer than most tests. */
export const empty = (database: Database): Promise<void> =>
  database.transaction(async transaction => {
    await transaction.execute(tables.map(table => `delete from "${table}"`).join('; '))
    await transaction.execute(
      `insert into checkpoint (id, log_id, version, position)
       values (1, '${testLogId}', ${readModelsVersion}, '${positionBeforeAll}')
       on conflict (id) do update set position = excluded.position, log_id = excluded.log_id, version = excluded.version,
         purged_before = null, purged_position = null, history_before = null`,
    )
  })

/** Folds events, in batches cut where `cuts` says (numbers of events), each in a transaction of its own. */
export const fold = async (
  database: Database,
  events: readonly RecordedEvent[],
  cuts: readonly number[] = [],
): Promise<void> => {
  const edges = [...new Set([0, ...cuts, events.length])]
    .filter(edge => edge <= events.length)
    .toSorted((a, b) => a - b)
  for (const [index, start] of edges.entries()) {
    const batch = events.slice(start, edges[index + 1])
    const last = batch.at(-1)
    if (index === edges.length - 1 || last === undefined) continue
    await database.transaction(async transaction => {
      await applyEvents(transaction, batch)
      await advanceCheckpoint(transaction, last.position)
    })
  }
}

/** Every row of every table, in an order of its own. */
export const allRows = async (
  database: Database,
  schema = 'public',
): Promise<Readonly<Record<string, readonly string[]>>> => {
  const found: Record<string, readonly string[]> = {}
  for (const table of tables) {
    const rows = await database.query<{ row: string }>({
      name: `rows-${schema}-${table}`,
      text: `select t::text as row from ${schema}."${table}" t order by 1`,
    })
    found[table] = rows.map(({ row }) => row)
  }
  return found
}
