// Owns the one interface over the two databases that can hold the read models, and which of them is opened.
// Above this file nobody may know whether Postgres or the embedded database (PGlite) answers: same SQL, same types.

import { setTimeout } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import type { Logger } from 'pino'
import { migrate, remake } from './migrations.ts'
import { openPGlite } from './pglite.ts'
import { isAway, openPostgres } from './postgres.ts'
import type { Schema } from './schema.ts'

/** A prepared statement: the name stands for the text on every connection, so it must be unique. */
export interface Statement {
  readonly name: string
  readonly text: string
}

export const statement = (name: string, text: string): Statement => ({ name, text })

/** Arrays become Postgres arrays, Instants timestamptz. Objects are not taken: send JSON text. */
export type Parameter = string | number | boolean | null | readonly (string | number | boolean | null)[]

/** Whatever runs a prepared statement: the database, a session, a transaction. */
export interface Queryable {
  query<Row extends object>(statement: Statement, parameters?: readonly Parameter[]): Promise<readonly Row[]>
}

export interface Transaction extends Queryable {
  /** Several statements without parameters, not prepared: for definitions, never for values. */
  execute(sql: string): Promise<void>
  /** COPY in text format; every piece of `rows` is whole lines, each ended by a line feed (see copy-text.ts). */
  copy(table: string, columns: readonly string[], rows: Iterable<string>): Promise<void>
}

/** One connection of its own: settings and advisory locks last as long as it does. */
export interface Session extends Queryable {
  /** Commits when `work` resolves, rolls back when it throws. Read committed. */
  transaction<Result>(work: (transaction: Transaction) => Promise<Result>): Promise<Result>
  /** Resolves when the connection is gone: its locks are, and on PGlite so may be what was committed last. */
  readonly lost: Promise<void>
  release(): Promise<void>
}

export interface Database extends Queryable {
  readonly kind: 'postgres' | 'pglite'
  /** For definitions and cold queries. */
  readonly kysely: Kysely<Schema>
  transaction<Result>(work: (transaction: Transaction) => Promise<Result>): Promise<Result>
  /** On PGlite all sessions share its only connection, whose transactions take turns. */
  session(): Promise<Session>
  close(): Promise<void>
}

/** More queries wait than the database can take: the caller should answer 503. */
export class DatabaseBusy extends Error {
  readonly code = 'database-busy'
}

/** The database is closed, or its process is gone. */
export class DatabaseAway extends Error {
  readonly code = 'database-away'
}

export interface DatabaseOptions {
  /** A Postgres address; without it PGlite is opened in `<dataDir>/readmodels`. */
  readonly databaseUrl?: string | undefined
  readonly dataDir: string
  readonly logger: Logger
  /** Ends the wait for a Postgres that is away. */
  readonly signal?: AbortSignal | undefined
}

/** Pauses between attempts to reach a Postgres that is away at the start. */
const pauseMsMin = 250
const pauseMsMax = 5_000

/** Brings the tables up to date; makes them anew where some are lost. */
const prepare = async ({ kysely }: Database, logger: Logger): Promise<void> => {
  await migrate(kysely)
  const reason = await remake({ kysely })
  if (reason !== undefined) logger.warn({ reason }, 'read models made anew: rebuilding them from the log')
}

const prepareWhenThere = async (database: Database, { logger, signal }: DatabaseOptions): Promise<void> => {
  for (let pauseMs = pauseMsMin; ; pauseMs = Math.min(pauseMs * 2, pauseMsMax)) {
    try {
      return await prepare(database, logger)
    } catch (error) {
      if (!isAway(error) || signal?.aborted) throw error
      logger.warn({ error: (error as Error).message }, 'waiting for the Postgres of DATABASE_URL: it cannot be reached')
      await setTimeout(pauseMs, undefined, { signal })
    }
  }
}

/** Opens the read models' database and brings its tables up to date; waits for a Postgres that is away. */
export const openDatabase = async (options: DatabaseOptions): Promise<Database> => {
  if (options.databaseUrl === undefined) {
    const { dataDir, logger } = options
    return openPGlite({ dataDir, logger, prepare: database => prepare(database, logger) })
  }
  const database = openPostgres(options.databaseUrl, options.logger)
  try {
    await prepareWhenThere(database, options)
    return database
  } catch (error) {
    await database.close()
    throw error
  }
}
