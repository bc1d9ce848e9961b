// Owns the raw ceilings: what the parts can do by themselves, on this machine, in the same run. A server of nothing but
// uWebSockets.js that speaks just enough of the protocol for the same load, a bare LMDB group commit, a fixed text by Fastify.

import uWS from 'uWebSockets.js'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AppendResult, EventStoreDBClient, jsonEvent } from '@eventstore/db-client'
import fastify from 'fastify'
import { open } from 'lmdb'
import { Histogram } from './histogram.ts'

/** What the ceiling process can be told. */
export interface CeilingCommands {
  /** Relays every message to a topic and to its sender, nothing stored. Pairs: the topic is the conversation. */
  relay: { args: { rowsOnResume: number }; answer: { port: number } }
  /** Group commits of LMDB, flushed to the disk, with so many producers. */
  commit: { args: { producers: number; eventBytes: number; forMs: number }; answer: CommitAnswer }
  /** Appends of one event each by the bare client of EventStoreDB, one in flight for each producer's own stream. */
  append: { args: { url: string; producers: number; eventBytes: number; forMs: number }; answer: CommitAnswer }
  /** A fixed text of so many bytes through Fastify. */
  page: { args: { bytes: number }; answer: { port: number } }
}

export interface CommitAnswer {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

interface Peer {
  conversationId: string
}

const idField = '"id":"'
const conversationField = '"conversationId":"'
const cursor = 'ceiling.1.0000000000000001'

const messageFrame = (conversationId: string, seq: number): string =>
  `{"op":"put","collection":"messages","cursor":"0123456789abcdef01234567.1.00000000000000ff","value":{"conversationId":"${conversationId}","seq":${seq},"from":"somebody-else-0123456789ab","clientMessageId":"01940000-0000-7000-8000-000000000000","type":"text","body":{"text":"sixty characters of text, which is about what people write."},"at":"2026-11-23T08:15:30.123Z","countable":${seq},"position":"00000000000000ff"}}`

const relay = ({ rowsOnResume }: CeilingCommands['relay']['args']): Promise<{ port: number }> => {
  const app = uWS.App()
  let seq = 0
  let dirty: { ws: uWS.WebSocket<Peer>; replies: string[] }[] = []
  const repliesOf = new Map<uWS.WebSocket<Peer>, string[]>()
  const flush = () => {
    const turn = dirty
    dirty = []
    repliesOf.clear()
    for (const { ws, replies } of turn) ws.cork(() => replies.forEach(reply => void ws.send(reply)))
  }
  const reply = (ws: uWS.WebSocket<Peer>, text: string) => {
    const known = repliesOf.get(ws)
    if (known !== undefined) return known.push(text)
    const replies = [text]
    repliesOf.set(ws, replies)
    if (dirty.push({ ws, replies }) === 1) setImmediate(flush)
    return 1
  }
  const hello = (ws: uWS.WebSocket<Peer>, text: string) =>
    ws.cork(() => {
      ws.send('{"re":"h","ok":{}}')
      if (text.includes('"cursor"')) for (let row = 1; row <= rowsOnResume; row++) ws.send(messageFrame('p2p:a:b', row))
      ws.send(`{"op":"synced","cursor":"${cursor}"}`)
      // For a ceiling the token is the topic to listen to.
      ws.subscribe(/"token":"([^"]*)"/.exec(text)?.[1] ?? '')
    })
  app.ws<Peer>('/v1/realtime', {
    maxBackpressure: 64 * 1024 * 1024,
    idleTimeout: 120,
    message: (ws, message) => {
      const text = Buffer.from(message).toString('latin1')
      if (text.startsWith('{"op":"hello"')) {
        hello(ws, text)
        return
      }
      const conversationAt = text.indexOf(conversationField) + conversationField.length
      const conversationId = text.slice(conversationAt, text.indexOf('"', conversationAt))
      const idAt = text.indexOf(idField) + idField.length
      app.publish(conversationId, messageFrame(conversationId, ++seq))
      reply(
        ws,
        `{"re":"${text[idAt]}","ok":{"seq":${seq},"at":"2026-11-23T08:15:30.123Z","position":"00000000000000ff"}}`,
      )
    },
  })
  return new Promise(resolve => {
    app.listen('127.0.0.1', 0, token => resolve({ port: uWS.us_socket_local_port(token) }))
  })
}

/** One commit in flight; what comes meanwhile goes into the next one, as in the server. */
const commit = async ({ producers, eventBytes, forMs }: CeilingCommands['commit']['args']): Promise<CommitAnswer> => {
  const folder = mkdtempSync(join(tmpdir(), 'ledgerline-ceiling-'))
  const log = open<Buffer, number>({ path: join(folder, 'log.mdb'), encoding: 'binary', keyEncoding: 'uint32' })
  const event = Buffer.alloc(eventBytes, 'x')
  const times = new Histogram()
  const untilMs = performance.now() + forMs
  let position = 0
  let waiting = producers
  while (performance.now() < untilMs) {
    const startMs = performance.now()
    const count = waiting
    let last: Promise<boolean> | undefined
    for (let index = 0; index < count; index++) last = log.put(++position, event)
    await last
    await log.flushed
    for (let index = 0; index < count; index++) times.add(performance.now() - startMs)
    waiting = producers
  }
  await log.close()
  rmSync(folder, { recursive: true, force: true })
  return { perSecond: position / (forMs / 1_000), p50Ms: times.percentileMs(0.5), p99Ms: times.percentileMs(0.99) }
}

const append = async ({ url, producers, eventBytes, forMs }: CeilingCommands['append']['args']) => {
  const client = EventStoreDBClient.connectionString`${url}`
  const data = { text: 'x'.repeat(eventBytes) }
  const times = new Histogram()
  const untilMs = performance.now() + forMs
  const produce = async (producer: number) => {
    const stream = `bench-${process.pid}-${Date.now()}-${producer}`
    let expectedRevision: bigint | 'no_stream' = 'no_stream'
    while (performance.now() < untilMs) {
      const startMs = performance.now()
      const event = jsonEvent({ type: 'Bench', data })
      const appended: AppendResult = await client.appendToStream(stream, event, { expectedRevision })
      expectedRevision = appended.nextExpectedRevision
      times.add(performance.now() - startMs)
    }
  }
  await Promise.all(Array.from({ length: producers }, (_, producer) => produce(producer)))
  return { perSecond: times.count / (forMs / 1_000), p50Ms: times.percentileMs(0.5), p99Ms: times.percentileMs(0.99) }
}

const page = async ({ bytes }: CeilingCommands['page']['args']): Promise<{ port: number }> => {
  const app = fastify()
  const text = `{"items":["${'x'.repeat(Math.max(0, bytes - 14))}"]}`
  app.get('/page', (_request, reply) => reply.type('application/json; charset=utf-8').send(text))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const address = app.server.address()
  return { port: typeof address === 'object' && address !== null ? address.port : 0 }
}

const commands: {
  [Name in keyof CeilingCommands]: (args: CeilingCommands[Name]['args']) => Promise<CeilingCommands[Name]['answer']>
} = { relay, commit, append, page }

process.on('message', ({ name, args }: { name: keyof CeilingCommands; args: never }) => {
  commands[name](args).then(
    answer => process.send?.({ answer }),
    error => process.send?.({ error: String(error?.stack ?? error) }),
  )
})
process.on('disconnect', () => process.exit(0))
process.send?.({ answer: 'ready' })
