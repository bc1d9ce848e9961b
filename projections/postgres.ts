// Owns the connections to a real Postgres: a pool for queries, sessions of their own for the runner and a rebuild.
// Also owns how values come back, which PGlite shares: the driver, its types and settings are the same for both.

import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import type { Logger } from 'pino'
import type { Instant } from '../domain/ids.ts'
import {
  type Database,
  DatabaseBusy,
  type Parameter,
  type Queryable,
  type Session,
  type Statement,
  type Transaction,
} from './database.ts'
import type { Schema } from './schema.ts'

/** Connections that answer queries. */
const poolConnectionsMax = 10
const definitionConnectionsMax = 2
/** Queries that may wait for a connection; beyond that the caller answers 503. */
export const waitingQueriesMax = 5_000
/** How long a query may wait for a connection, and how long it may run. */
const connectMsMax = 5_000
const statementMsMax = 10_000

/**
 * Every statement here is a look-up by keys, so one plan serves all parameters and planning again would cost more than the
 * query; compiling plans to machine code costs more than any of them. The plan is always the same, index by index: it may
 * not depend on statistics, which PGlite never has and Postgres not yet after a rebuild.
 * A bitmap gives rows in no order: a page out of thousands would sort them all.
 */
export const sessionSettings: readonly (readonly [name: string, value: string])[] = [
  ['timezone', 'UTC'],
  ['datestyle', 'ISO'],
  ['jit', 'off'],
  ['plan_cache_mode', 'force_generic_plan'],
  ['enable_seqscan', 'off'],
  ['enable_hashjoin', 'off'],
  ['enable_mergejoin', 'off'],
  ['enable_bitmapscan', 'off'],
  ['random_page_cost', '1.1'],
]

/** `2026-11-23 08:15:30.12+00`, as Postgres writes it in UTC, to an Instant. */
export const instantOfTimestamp = (text: string): Instant => {
  const time = text.slice(11, -3)
  return `${text.slice(0, 10)}T${(time.length === 8 ? `${time}.` : time).padEnd(12, '0').slice(0, 12)}Z` as Instant
}

const integerOf = (text: string): number => {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} does not fit a number`)
  return value
}

const asText = (text: string): string => text
const parsers: ReadonlyMap<number, (text: string) => unknown> = new Map<number, (text: string) => unknown>([
  [pg.types.builtins.INT8, integerOf],
  [pg.types.builtins.TIMESTAMPTZ, instantOfTimestamp],
  [pg.types.builtins.JSON, asText],
  [pg.types.builtins.JSONB, asText],
])

/** How values come back, the same on both databases. */
export const valueTypes: pg.CustomTypesConfig = {
  getTypeParser: ((id: number, format?: 'text' | 'binary') =>
    (format !== 'binary' && parsers.get(id)) ||
    pg.types.getTypeParser(id, format as 'text')) as pg.CustomTypesConfig['getTypeParser'],
}

/** Errors of a server that is away or not ready yet; anything else will not get better by waiting. */
const awayCodes = new Set([
  ...[
    'ECONNREFUSED',
    'ECONNRESET',
    'ETIMEDOUT',
    'EPIPE',
    'EHOSTUNREACH',
    'ENETUNREACH',
    'ENOTFOUND',
    'EAI_AGAIN',
    'ENOENT',
  ],
  // Shutting down, crashed, starting up, too many connections.
  ...['57P01', '57P02', '57P03', '53300'],
  'database-away',
])

/** Whether the database cannot be reached now, and may be reached later. */
export const isAway = (error: unknown): boolean => {
  if (!(error instanceof Error)) return false
  const { code, errors } = error as Error & { code?: string; errors?: unknown[] }
  if (code !== undefined) return awayCodes.has(code) || code.startsWith('08')
  if (Array.isArray(errors)) return errors.some(isAway)
  return /connection terminated|connection timeout|timeout exceeded when trying to connect|not queryable|timeout expired/i.test(
    error.message,
  )
}

/** Damaged rows, a damaged index, a file of a table that is not there. */
const damageCodes: ReadonlySet<unknown> = new Set(['XX001', 'XX002', '58P01'])

/** Whether what the read models lie in is damaged: no waiting mends that, they are to be made anew. */
export const isDamage = (error: unknown): error is Error =>
  error instanceof Error && 'code' in error && damageCodes.has(error.code)

/** Whether a statement was about a table that is not there. */
export const isNoTable = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === '42P01'

const startOptions = sessionSettings.map(([name, value]) => `-c ${name}=${value}`).join(' ')

export const runStatement = async <Row extends object>(
  client: pg.ClientBase | pg.Pool,
  { name, text }: Statement,
  parameters?: readonly Parameter[],
): Promise<readonly Row[]> => (await client.query<Row>({ name, text, values: parameters as unknown[] })).rows

export const copyStatement = (table: string, columns: readonly string[]): string =>
  `copy "${table}" (${columns.join(', ')}) from stdin`

const transactionOn = (client: pg.ClientBase): Transaction => ({
  query: (statement, parameters) => runStatement(client, statement, parameters),
  execute: async sql => {
    await client.query(sql)
  },
  copy: async (table, columns, rows) => {
    await pipeline(Readable.from(rows), client.query(copyFrom(copyStatement(table, columns))))
  },
})

/** Begin, work, commit; roll back when the work throws. A connection that cannot even roll back is reported broken. */
const inTransaction = async <Result>(
  client: pg.ClientBase,
  work: (transaction: Transaction) => Promise<Result>,
  broken: (error: Error) => void,
): Promise<Result> => {
  try {
    await client.query('begin')
    const result = await work(transactionOn(client))
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback').catch(broken)
    throw error
  }
}

const sessionOn = (client: pg.Client): Session => {
  let failure: Error | undefined
  client.on('error', error => {
    failure = error
  })
  const whileAlive = (): pg.Client => {
    if (failure !== undefined) throw failure
    return client
  }
  return {
    query: async (statement, parameters) => runStatement(whileAlive(), statement, parameters),
    transaction: async work =>
      inTransaction(whileAlive(), work, error => {
        failure = error
      }),
    lost: new Promise(resolve => client.once('end', resolve)),
    release: () => client.end(),
  }
}

export const connectionConfig = (databaseUrl: string): pg.ClientConfig => ({
  connectionString: databaseUrl,
  options: startOptions,
  types: valueTypes,
  connectionTimeoutMillis: connectMsMax,
  keepAlive: true,
  application_name: 'ledgerline',
})

/** A swap of rebuilt tables met this query: one of both had to give way, or the table it meant was the old one. */
const swapCodes = new Set(['40P01', '42P01'])

/** Once more after a swap; a query changes nothing, so it may be repeated. */
const withRepeat = async <Result>(query: () => Promise<Result>): Promise<Result> => {
  try {
    return await query()
  } catch (error) {
    if (!swapCodes.has(String((error as { code?: unknown }).code))) throw error
    return query()
  }
}

/** Connects on the first query; a Postgres that is away shows there. */
export const openPostgres = (databaseUrl: string, logger: Logger): Database => {
  const config = connectionConfig(databaseUrl)
  const poolOf = (options: pg.PoolConfig): pg.Pool => {
    const made = new pg.Pool({ ...config, ...options })
    const lost = (error: Error) => logger.warn({ error: error.message }, 'a connection to Postgres was lost')
    // One that is lost while idle tells the pool; one that is lost in somebody's hands, between two queries, only itself.
    made.on('error', lost)
    made.on('connect', client => client.on('error', () => {}))
    return made
  }
  const pool = poolOf({ max: poolConnectionsMax, statement_timeout: statementMsMax })
  // Definitions may take as long as they must: no limit of time on these.
  const kysely = new Kysely<Schema>({
    dialect: new PostgresDialect({ pool: poolOf({ max: definitionConnectionsMax }) }),
  })
  const ready = () => {
    if (pool.waitingCount >= waitingQueriesMax)
      throw new DatabaseBusy(`${pool.waitingCount} queries are waiting already`)
  }
  const queries: Queryable = {
    query: async (statement, parameters) => {
      ready()
      return withRepeat(() => runStatement(pool, statement, parameters))
    },
  }
  return {
    kind: 'postgres',
    kysely,
    query: queries.query,
    transaction: async work => {
      ready()
      const client = await pool.connect()
      let failure: Error | undefined
      try {
        return await inTransaction(client, work, error => {
          failure = error
        })
      } finally {
        client.release(failure)
      }
    },
    session: async () => {
      const client = new pg.Client(config)
      const session = sessionOn(client)
      await client.connect()
      return session
    },
    close: async () => {
      await kysely.destroy()
      await pool.end()
    },
  }
}
