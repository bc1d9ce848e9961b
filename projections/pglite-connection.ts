// Owns the wire between the Postgres driver and PGlite's worker thread: the driver talks its own protocol over messages
// instead of a socket, pipelined, so that prepared statements, types and errors are those of a real Postgres.
// One reply comes for each request, in order; a COPY's reply is read here, the rest belongs to the driver.

import { execFile } from 'node:child_process'
import { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import pg from 'pg'
import type { Logger } from 'pino'
import { DatabaseAway } from './database.ts'
import { copyStatement, sessionSettings, valueTypes } from './postgres.ts'

/** A folder that does not open in this time is taken for broken. */
const openMsMax = 60_000
/** How long an orderly end may take before the thread is stopped: its files are then opened by crash recovery. */
const closeMsMax = 10_000

/** What the worker is started with. */
export interface PGliteWorkerData {
  readonly folder: string
  readonly settings: readonly (readonly [name: string, value: string])[]
}

/** What it answers: `open` once, `bytes` for each request, `closed` as the last. */
export type PGliteReply = { readonly kind: 'open' | 'closed' } | { readonly kind: 'bytes'; readonly bytes: Uint8Array }

/**
 * Small: the operating system's cache does the work, one session needs little, and what is not on the disk after a crash
 * of the machine is thrown away anyway.
 */
const engineSettings: PGliteWorkerData['settings'] = [
  ['shared_buffers', '32MB'],
  ['max_connections', '4'],
  ['max_locks_per_transaction', '64'],
  ['wal_level', 'minimal'],
  ['max_wal_senders', '0'],
  ['wal_buffers', '1MB'],
  ['max_wal_size', '256MB'],
  ['full_page_writes', 'off'],
  ['synchronous_commit', 'off'],
  ['maintenance_work_mem', '16MB'],
]

export interface PGliteConnection {
  readonly client: pg.Client
  readonly copy: (table: string, columns: readonly string[], rows: Iterable<string>) => Promise<void>
  /** Requests sent and not answered. */
  readonly waiting: () => number
  /** Resolves when it is gone without having been closed; with what is wrong with its files, where it was given up for that. */
  readonly lost: Promise<string | undefined>
  /** Ends it because its files are damaged. */
  readonly giveUp: (damage: string) => void
  /** What everything fails with once it is gone. */
  readonly away: () => Error | undefined
  readonly close: () => Promise<void>
}

type ReplyTaker = (bytes: Uint8Array) => void

const messageOf = (kind: string, body: Buffer): Buffer[] => {
  const head = Buffer.alloc(5)
  head.write(kind, 0, 'latin1')
  head.writeInt32BE(body.length + 4, 1)
  return [head, body]
}

const copyRequest = (sql: string, rows: string): Uint8Array =>
  new Uint8Array(
    Buffer.concat([
      ...messageOf('Q', Buffer.from(`${sql}\0`)),
      ...messageOf('d', Buffer.from(rows)),
      ...messageOf('c', Buffer.alloc(0)),
    ]),
  )

/** The error in a reply, if there is one: fields of one letter and a text each. */
const errorIn = (reply: Buffer): (Error & { code?: string }) | undefined => {
  for (let at = 0; at + 5 <= reply.length; at += 1 + reply.readInt32BE(at + 1)) {
    if (reply[at] !== 0x45) continue
    const fields = reply.toString('utf8', at + 5, at + 1 + reply.readInt32BE(at + 1)).split('\0')
    const field = (letter: string) => fields.find(text => text.startsWith(letter))?.slice(1) ?? ''
    return Object.assign(new Error(field('M')), { code: field('C'), detail: field('D'), where: field('W') })
  }
  return undefined
}

/** What the driver takes for a socket. */
class WorkerSocket extends Duplex {
  private readonly send: (request: Uint8Array, take: ReplyTaker) => void

  constructor(send: (request: Uint8Array, take: ReplyTaker) => void) {
    super()
    this.send = send
  }

  connect(): this {
    process.nextTick(() => this.emit('connect'))
    return this
  }
  setNoDelay(): this {
    return this
  }
  setKeepAlive(): this {
    return this
  }
  ref(): this {
    return this
  }
  unref(): this {
    return this
  }

  override _read(): void {}
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.post([chunk])
    done()
  }
  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.post(chunks.map(({ chunk }) => chunk))
    done()
  }

  private post(chunks: Buffer[]): void {
    this.send(new Uint8Array(Buffer.concat(chunks)), bytes => {
      if (bytes.length > 0) this.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
    })
  }
}

const program = new URL('./pglite-worker.js', import.meta.url)

const dataFor = (folder: string): PGliteWorkerData => ({ folder, settings: [...engineSettings, ...sessionSettings] })

const startWorker = async (folder: string): Promise<Worker> => {
  const worker = new Worker(program, { execArgv: [], workerData: dataFor(folder), name: 'pglite' })
  let timer: NodeJS.Timeout | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${openMsMax} ms`)), openMsMax)
      worker.once('message', () => resolve())
      worker.once('error', reject)
      worker.once('exit', code => reject(new Error(`its thread ended with code ${code}`)))
    })
    for (const event of ['message', 'error', 'exit']) worker.removeAllListeners(event)
    return worker
  } catch (error) {
    await worker.terminate()
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** Makes a new database, in a process of its own: making one takes memory that a thread would leave behind in this one. */
export const makePGlite = async (folder: string): Promise<void> => {
  await promisify(execFile)(process.execPath, [fileURLToPath(program), JSON.stringify(dataFor(folder))], {
    timeout: openMsMax,
  })
}

/** The driver, talking to what it takes for a socket: pipelined, since nothing else uses the line. */
const clientOver = (socket: WorkerSocket): pg.Client =>
  new pg.Client({
    stream: () => socket,
    pipeline: true,
    types: valueTypes,
    user: 'postgres',
    database: 'postgres',
    host: 'pglite',
    port: 5432,
    password: '',
    ssl: false,
  } as unknown as pg.ClientConfig)

/** Starts PGlite on a folder and connects the driver to it. */
export const connectPGlite = async (folder: string, logger: Logger): Promise<PGliteConnection> => {
  const worker = await startWorker(folder)
  let takers: { take: ReplyTaker; fail: (error: Error) => void }[] = []
  let away: Error | undefined
  let closed: (() => void) | undefined
  let tellLost = (_damage?: string) => {}
  const lost = new Promise<string | undefined>(resolve => {
    tellLost = resolve
  })
  const send = (request: Uint8Array, take: ReplyTaker, fail: (error: Error) => void) => {
    if (away !== undefined) return fail(away)
    takers.push({ take, fail })
    worker.postMessage(request, [request.buffer as ArrayBuffer])
  }
  const socket = new WorkerSocket((request, take) => send(request, take, error => socket.destroy(error)))
  const lose = (error: Error, damage?: string) => {
    if (away !== undefined) return
    away = new DatabaseAway(`the embedded database is gone: ${error.message}`)
    if (closed === undefined) {
      logger.error({ error: error.message }, 'the embedded database is gone: starting it again')
      tellLost(damage)
    }
    const waiting = takers
    takers = []
    for (const { fail } of waiting) fail(away)
    socket.destroy(closed === undefined ? away : undefined)
    closed?.()
  }
  worker.on('message', (reply: PGliteReply) => {
    if (reply.kind === 'bytes') takers.shift()?.take(reply.bytes)
    else lose(new Error('it was closed'))
  })
  worker.on('error', lose)
  worker.on('exit', code => lose(new Error(`its thread ended with code ${code}`)))
  const client = clientOver(socket)
  client.on('error', () => {})
  await client.connect()
  const copy: PGliteConnection['copy'] = (table, columns, rows) =>
    new Promise((resolve, reject) => {
      const take: ReplyTaker = bytes => {
        const error = errorIn(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
        if (error === undefined) resolve()
        else reject(error)
      }
      send(copyRequest(copyStatement(table, columns), [...rows].join('')), take, reject)
    })
  const close = async () => {
    if (away === undefined) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, closeMsMax)
        closed = () => {
          clearTimeout(timer)
          resolve()
        }
        worker.postMessage('close')
      })
    }
    await worker.terminate()
  }
  const giveUp = (damage: string) => lose(new Error(damage), damage)
  return { client, copy, waiting: () => takers.length, lost, giveUp, away: () => away, close }
}
