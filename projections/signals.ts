// Owns the line between the nodes on one Postgres: short texts that every other node hears, by LISTEN and NOTIFY on one
// connection of its own. Losing a text is allowed, keeping anybody waiting is not: what cannot go now is dropped and counted.

import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import type { Logger } from 'pino'
import { connectionConfig } from './postgres.ts'

/** Bytes of one notification: Postgres takes less than 8,000. */
const notificationBytesMax = 7_900
/** Texts that may wait for the notification under way; more are dropped. */
export const waitingSignalsMax = 1_000
/** How long the connection may keep quiet before it is tried, and take to answer before it counts as lost. */
const silenceMsMax = 10_000
const answerMsMax = 5_000
/** Pauses between attempts to get a lost connection back: doubled each time, and never the same for two nodes. */
const pauseMsMin = 250
const pauseMsMax = 10_000

const channel = 'ledgerline_signals'
/** Nothing here is worth a flush of the disk. */
const listenStatement = `set synchronous_commit to off; listen ${channel}`
const notifyStatement = { name: 'signals', text: `select pg_notify('${channel}', t) from unnest($1::text[]) t` }

export interface SignalLine {
  /** Hands a text to the other nodes: one line without a line feed. Returns at once and never throws. */
  send(text: string): void
  /** Hears the texts of the others. */
  onText(listener: (text: string) => void): void
  readonly counters: { readonly sent: number; readonly heard: number; readonly dropped: number }
  /** False while the connection is lost: everything is dropped then. */
  readonly connected: boolean
  close(): Promise<void>
}

/** Texts in as few notifications as they fit in, each with its sender in the first line. */
const notificationsOf = (sender: string, texts: readonly string[]): string[] => {
  const notifications: string[] = []
  let notification = sender
  let bytes = notification.length
  for (const text of texts) {
    const size = Buffer.byteLength(text) + 1
    if (bytes + size > notificationBytesMax) {
      notifications.push(notification)
      notification = sender
      bytes = notification.length
    }
    notification += `\n${text}`
    bytes += size
  }
  notifications.push(notification)
  return notifications
}

class PostgresLine implements SignalLine {
  readonly counters = { sent: 0, heard: 0, dropped: 0 }
  readonly #databaseUrl: string
  readonly #logger: Logger
  /** Knows its own texts, which come back like everybody's. */
  readonly #name = randomUUID()
  readonly #listeners: ((text: string) => void)[] = []
  readonly #closing = new AbortController()
  #client: pg.Client | undefined
  #waiting: string[] = []
  #isSending = false
  #running: Promise<void> = Promise.resolve()

  constructor(databaseUrl: string, logger: Logger) {
    this.#databaseUrl = databaseUrl
    this.#logger = logger
  }

  get connected(): boolean {
    return this.#client !== undefined
  }

  onText(listener: (text: string) => void): void {
    this.#listeners.push(listener)
  }

  send(text: string): void {
    const fits = Buffer.byteLength(text) + this.#name.length < notificationBytesMax
    if (!this.connected || !fits || this.#waiting.length >= waitingSignalsMax) {
      this.counters.dropped++
      return
    }
    // All texts of a turn go out together, and so do those that come while they are under way.
    if (this.#waiting.push(text) === 1 && !this.#isSending) setImmediate(() => void this.#flush())
  }

  /** Keeps the connection until `close`; resolves once the first attempt has come to something. */
  start(): Promise<void> {
    return new Promise(resolve => {
      this.#running = this.#run(resolve)
    })
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  async #run(onFirst: () => void): Promise<void> {
    const { signal } = this.#closing
    let pauseMs = pauseMsMin
    while (!signal.aborted) {
      const client = new pg.Client({ ...connectionConfig(this.#databaseUrl), query_timeout: answerMsMax })
      try {
        await this.#listenOn(client)
        onFirst()
        pauseMs = pauseMsMin
        await this.#whileAlive(client)
      } catch (error) {
        this.#logger.warn({ error: (error as Error).message }, 'signals between nodes are lost until Postgres is back')
      }
      this.#client = undefined
      this.counters.dropped += this.#waiting.splice(0).length
      onFirst()
      await client.end().catch(() => {})
      if (signal.aborted) return
      await delay(pauseMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {})
      pauseMs = Math.min(pauseMs * 2, pauseMsMax)
    }
  }

  async #listenOn(client: pg.Client): Promise<void> {
    client.on('notification', ({ payload }) => this.#hear(payload ?? ''))
    // Whoever waits for the connection is told by its end.
    client.on('error', () => {})
    await client.connect()
    await client.query(listenStatement)
    this.#client = client
  }

  /** Resolves when the line is closed. @throws Error when the connection is lost, or does not answer */
  async #whileAlive(client: pg.Client): Promise<void> {
    const { signal } = this.#closing
    const lost = new Promise<never>((_, reject) => {
      client.once('end', () => reject(new Error('the connection was lost')))
    })
    // One that dies without a word would be listened to for ever.
    const asking = async () => {
      while (!signal.aborted) {
        await delay(silenceMsMax, undefined, { signal }).catch(() => {})
        if (!signal.aborted) await client.query('select 1')
      }
    }
    await Promise.race([lost, asking()])
  }

  async #flush(): Promise<void> {
    this.#isSending = true
    while (this.#waiting.length > 0 && this.#client !== undefined) {
      const texts = this.#waiting.splice(0)
      try {
        await this.#client.query({ ...notifyStatement, values: [notificationsOf(this.#name, texts)] })
        this.counters.sent += texts.length
      } catch {
        // A connection that is of no use any more says so by its end, or does not answer when it is asked.
        this.counters.dropped += texts.length
      }
    }
    this.#isSending = false
  }

  #hear(notification: string): void {
    const [sender, ...texts] = notification.split('\n')
    if (sender === this.#name) return
    this.counters.heard += texts.length
    for (const text of texts) for (const listener of this.#listeners) listener(text)
  }
}

/** Opens the line. A Postgres that is away keeps nobody waiting: the line comes up when it is back. */
export const openSignalLine = async (databaseUrl: string, logger: Logger): Promise<SignalLine> => {
  const line = new PostgresLine(databaseUrl, logger)
  await line.start()
  return line
}
