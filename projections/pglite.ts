// Owns the embedded database seen from the main thread: its folder, its worker, and who may use its only session when.
// PGlite never flushes to the disk, so its folder is a cache: whatever is doubtful about it, it is thrown away and folded
// again from the log. Nothing may trust it after the machine restarted.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, uptime } from 'node:os'
import { join } from 'node:path'
import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely'
import type { Logger } from 'pino'
import { isRunning, ownerIn, ownerOf, whenLeft } from '../eventstore/process-owner.ts'
import { type Database, DatabaseBusy, type Transaction } from './database.ts'
import { connectPGlite, makePGlite, type PGliteConnection } from './pglite-connection.ts'
import { type OpenedPGlite, restarting } from './pglite-restart.ts'
import { isDamage, runStatement, waitingQueriesMax } from './postgres.ts'
import type { Schema } from './schema.ts'

/** Transactions that may wait for their turn: the runner's, a rebuild's, a migration's. */
const waitingTransactionsMax = 100

export interface PGliteOptions {
  readonly dataDir: string
  readonly logger: Logger
  /** Brings the tables up to date; a database it fails on is thrown away. */
  readonly prepare: (database: Database) => Promise<void>
}

interface ReadModelFolder {
  /** PGlite's own files. */
  readonly files: string
  readonly discard: (reason: string) => void
  readonly isMade: () => boolean
  readonly markMade: () => void
  readonly release: () => void
}

/** Changes with every start of the machine; without /proc, from the time it has been up, to the minute. */
const bootId = (): string => {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return `${hostname()}-${Math.round((Date.now() / 1000 - uptime()) / 60)}`
  }
}

const foldersHeld = new Set<string>()

const lockOf = (folder: string): string => join(folder, 'lock')

/** PGlite has no lock of its own, and two processes in one folder destroy it. */
const takeLock = (folder: string): void => {
  const path = lockOf(folder)
  if (foldersHeld.has(folder)) throw new Error(`the read models in ${folder} are open in this process already`)
  const owner = ownerIn(path)
  if (owner.pid !== process.pid && isRunning(owner)) {
    throw new FolderRefused(
      `${folder} is in use by process ${owner.pid}. Stop that process first, or give this one another DATA_DIR.`,
    )
  }
  writeFileSync(path, JSON.stringify(ownerOf(process.pid)))
  foldersHeld.add(folder)
}

/** The folder of the read models cannot be had; the message says what to do. */
class FolderRefused extends Error {
  readonly code = 'folder'
}

/** @throws FolderRefused when it is in use or cannot be written */
const requireFolder = (folder: string): void => {
  try {
    // PGlite's own files may be written by anybody who gets to them.
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    takeLock(folder)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === undefined || error instanceof FolderRefused) throw error
    throw new FolderRefused(`${folder} cannot be written: ${message}. Choose another DATA_DIR.`, { cause: error })
  }
}

const takeReadModelFolder = async (dataDir: string, logger: Logger): Promise<ReadModelFolder> => {
  const folder = join(dataDir, 'readmodels')
  const files = join(folder, 'pglite')
  const mark = join(folder, 'boot-id')
  const boot = bootId()
  await whenLeft(lockOf(folder))
  requireFolder(folder)
  const discard = (reason: string) => {
    if (existsSync(files))
      logger.warn({ folder: files, reason }, 'embedded read models discarded: rebuilding them from the log')
    rmSync(mark, { force: true })
    rmSync(files, { recursive: true, force: true })
  }
  if (!existsSync(mark)) discard('they were never finished')
  else if (readFileSync(mark, 'utf8') !== boot) discard('the machine has restarted since they were written')
  return {
    files,
    discard,
    isMade: () => existsSync(mark),
    markMade: () => writeFileSync(mark, boot),
    release: () => {
      rmSync(lockOf(folder), { force: true })
      foldersHeld.delete(folder)
    },
  }
}

interface Turns {
  /** Runs now, or after the transaction under way. */
  readonly query: <Result>(run: () => Promise<Result>) => Promise<Result>
  /** Resolves when nobody else is in a transaction; call the result to let the next one in. */
  readonly transaction: () => Promise<() => void>
}

/**
 * One session: statements run in the order they were sent, so single queries need no turn, save that they must not slip
 * into somebody's transaction. A query waits for one transaction at most.
 */
const createTurns = (sent: () => number): Turns => {
  let isTaken = false
  let queries: (() => void)[] = []
  const transactions: (() => void)[] = []
  const leave = () => {
    const ready = queries
    queries = []
    for (const start of ready) start()
    const next = transactions.shift()
    if (next === undefined) isTaken = false
    else next()
  }
  return {
    query: run => {
      const waiting = queries.length + sent()
      if (waiting >= waitingQueriesMax)
        return Promise.reject(new DatabaseBusy(`${waiting} queries are waiting already`))
      if (!isTaken) return run()
      return new Promise((resolve, reject) => {
        queries.push(() => run().then(resolve, reject))
      })
    },
    transaction: async () => {
      if (transactions.length >= waitingTransactionsMax) {
        throw new DatabaseBusy(`${transactions.length} transactions are waiting already`)
      }
      if (isTaken) await new Promise<void>(resolve => transactions.push(resolve))
      isTaken = true
      return leave
    },
  }
}

/** Whatever the driver makes of a connection that is gone: it is away. Files that turn out to be damaged are given up at once. */
const asked = async <Answer>(connection: PGliteConnection, answer: Promise<Answer>): Promise<Answer> => {
  try {
    return await answer
  } catch (error) {
    if (isDamage(error)) connection.giveUp(`they are damaged: ${error.message}`)
    throw connection.away() ?? error
  }
}

const kyselyOver = (connection: PGliteConnection, turns: Turns): Kysely<Schema> => {
  const pool: PostgresPool = {
    connect: async () => {
      const leave = await turns.transaction()
      return {
        query: (sql: string, parameters: readonly unknown[]) =>
          asked(connection, connection.client.query(sql, [...parameters])),
        release: leave,
      } as unknown as PostgresPoolClient
    },
    end: async () => {},
  }
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
}

/** Lives as long as its worker thread does. */
const databaseOver = (connection: PGliteConnection): Database => {
  const { client } = connection
  const turns = createTurns(connection.waiting)
  const inside: Transaction = {
    query: (statement, parameters) => asked(connection, runStatement(client, statement, parameters)),
    execute: async sql => {
      await asked(connection, client.query(sql))
    },
    copy: (table, columns, rows) => asked(connection, connection.copy(table, columns, rows)),
  }
  const transaction = async <Result>(work: (transaction: Transaction) => Promise<Result>): Promise<Result> => {
    const leave = await turns.transaction()
    try {
      await inside.execute('begin')
      const result = await work(inside)
      await inside.execute('commit')
      return result
    } catch (error) {
      await client.query('rollback').catch(() => {})
      throw error
    } finally {
      leave()
    }
  }
  const query: Database['query'] = (statement, parameters) =>
    turns.query(() => asked(connection, runStatement(client, statement, parameters)))
  let closing: Promise<void> | undefined
  return {
    kind: 'pglite',
    kysely: kyselyOver(connection, turns),
    query,
    transaction,
    session: async () => ({ query, transaction, lost: connection.lost.then(() => undefined), release: async () => {} }),
    close: () => {
      closing ??= turns.transaction().then(() => connection.close())
      return closing
    },
  }
}

const openFolder = async (folder: ReadModelFolder, { logger, prepare }: PGliteOptions): Promise<OpenedPGlite> => {
  if (!folder.isMade()) {
    await makePGlite(folder.files)
    folder.markMade()
  }
  const connection = await connectPGlite(folder.files, logger)
  const database = databaseOver(connection)
  try {
    await prepare(database)
    return { database, lost: connection.lost, end: connection.close }
  } catch (error) {
    await connection.close()
    throw error
  }
}

/** Opens what lies in the folder, or makes it anew when it cannot be trusted. */
const openOrMake = async (folder: ReadModelFolder, options: PGliteOptions): Promise<OpenedPGlite> => {
  if (folder.isMade()) {
    try {
      return await openFolder(folder, options)
    } catch (error) {
      folder.discard(`they do not open: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return await openFolder(folder, options)
}

/** Opens the embedded read models, or makes them anew when they cannot be trusted; starts them again when they crash. */
export const openPGlite = async (options: PGliteOptions): Promise<Database> => {
  const folder = await takeReadModelFolder(options.dataDir, options.logger)
  try {
    const reopen = (doubt: string | undefined): Promise<OpenedPGlite> => {
      if (doubt !== undefined) folder.discard(doubt)
      return openOrMake(folder, options)
    }
    return restarting({
      first: await openOrMake(folder, options),
      reopen,
      release: folder.release,
      logger: options.logger,
    })
  } catch (error) {
    folder.release()
    throw error
  }
}
