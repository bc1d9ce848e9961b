// Owns the stand-in for EventStoreDB: a process of its own that serves the client's protocol from a durable log, so that tests
// can kill, freeze and restart it. Takes orders from its parent for the faults that no signal makes (stand-in-process.ts).
// Run: tsx eventstoredb-stand-in.ts <data folder> <port, 0 for any>

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import grpc from '@eventstore/db-client/generated/streams_grpc_pb.js'
import type wire from '@eventstore/db-client/generated/streams_pb.js'
import type { ServerDuplexStream, ServerWritableStream } from '@grpc/grpc-js'
import { Server, ServerCredentials, status } from '@grpc/grpc-js'
import { InvalidPosition, type StandInEvent, StandInLog, type StandInRecord } from './stand-in-log.ts'
import { startProxy } from './stand-in-proxy.ts'
import * as speak from './stand-in-wire.ts'

type ReadCall = ServerWritableStream<InstanceType<typeof wire.ReadReq>, InstanceType<typeof wire.ReadResp>>
type AppendCall = ServerDuplexStream<
  InstanceType<typeof wire.BatchAppendReq>,
  InstanceType<typeof wire.BatchAppendResp>
>

/** What a parent may ask for; each is answered when it is done. */
export type Order =
  /** Nothing that comes is passed on, nothing is answered; what was withheld follows when it is over. */
  | { readonly name: 'deaf'; readonly on: boolean }
  /** Requests are carried out, connections live, but nobody gets an answer until it is over. */
  | { readonly name: 'mute'; readonly on: boolean }
  /** Every request is turned away as by a server that is starting. */
  | { readonly name: 'not-ready'; readonly on: boolean }
  /** Open subscriptions never bring anything again, and nobody is told. */
  | { readonly name: 'stall-subscriptions' }
  /** Every open call is ended in good order. */
  | { readonly name: 'end-calls' }
  /** The connections there are go dead without a word; new ones are well. */
  | { readonly name: 'strand' }
  /** Every connection is reset. */
  | { readonly name: 'reset' }
  /** Open calls that read, subscriptions among them. */
  | { readonly name: 'count-reads' }

const [dataDir = '', wantedPort = '0'] = process.argv.slice(2)
const log = new StandInLog(dataDir)
/** TLS and the one who is let in, where the parent has laid them down. */
export interface Security {
  readonly certificate: string
  readonly privateKey: string
  /** The header `authorization` of who may. */
  readonly authorization: string
}
const securityFile = join(dataDir, 'security.json')
const security: Security | undefined = existsSync(securityFile)
  ? JSON.parse(readFileSync(securityFile, 'utf8'))
  : undefined
const calls = new Set<ReadCall | AppendCall>()
const subscriptions = new Set<Subscription>()
const withheld: (() => void)[] = []
let isMute = false
let isReady = true

const say = (answer: () => void) => {
  if (isMute) withheld.push(answer)
  else answer()
}

const keep = (call: ReadCall | AppendCall) => {
  calls.add(call)
  const forget = () => calls.delete(call)
  call.on('cancelled', forget)
  call.on('close', forget)
  call.on('finish', forget)
  call.on('error', forget)
}

const mayCall = (call: ReadCall | AppendCall): boolean =>
  security === undefined || call.metadata.get('authorization')[0] === security.authorization

const failWith = (call: ReadCall | AppendCall, code: status, details: string) =>
  say(() => call.emit('error', Object.assign(new Error(details), { code, details })))

/** A subscription to the whole log: goes on from the log as fast as its client takes. */
class Subscription {
  private readonly call: ReadCall
  private next: number
  private isFull = false
  private wasBehind = true
  stalled = false

  constructor(call: ReadCall, next: number) {
    this.call = call
    this.next = next
    call.on('cancelled', () => subscriptions.delete(this))
    call.on('drain', () => {
      this.isFull = false
      this.pump()
    })
    call.write(speak.confirmationReply())
  }

  pump(): void {
    if (this.stalled || isMute || this.isFull || this.call.cancelled) return
    while (this.next < log.records.length) {
      this.wasBehind = true
      const record = log.records[this.next++] as StandInRecord
      if (!this.call.write(speak.eventReply(record))) {
        this.isFull = true
        return
      }
    }
    if (this.wasBehind) this.call.write(speak.caughtUpReply())
    this.wasBehind = false
  }
}

const read = (call: ReadCall): void => {
  keep(call)
  if (!mayCall(call)) return void failWith(call, status.UNAUTHENTICATED, 'UnAuthenticated')
  if (!isReady) return void failWith(call, status.UNAVAILABLE, 'Server Is Not Ready')
  const { stream, from, direction, count } = speak.readQuestion(call.request)
  try {
    if (count === undefined) {
      const subscription = new Subscription(call, log.indexAfter(from))
      subscriptions.add(subscription)
      subscription.pump()
      return
    }
    const page =
      stream === undefined ? log.readAll(from, direction, count) : log.readStream(stream, from, direction, count)
    say(() => {
      if (page === undefined) call.write(speak.streamNotFoundReply(stream ?? ''))
      for (const record of page ?? []) call.write(speak.eventReply(record))
      call.end()
    })
  } catch (error) {
    if (!(error instanceof InvalidPosition)) throw error
    // The real server uses other words for pages than for subscriptions.
    if (count === undefined) failWith(call, status.INVALID_ARGUMENT, 'Trying to read from an invalid position.')
    else failWith(call, status.UNKNOWN, 'Unexpected ReadAllResult: InvalidPosition')
  }
}

const batchAppend = (call: AppendCall): void => {
  keep(call)
  if (!mayCall(call)) return void failWith(call, status.UNAUTHENTICATED, 'UnAuthenticated')
  const begun = new Map<string, { readonly question: speak.AppendQuestion | undefined; events: StandInEvent[] }>()
  call.on('data', (request: InstanceType<typeof wire.BatchAppendReq>) => {
    const key = Buffer.from(request.getCorrelationId()?.serializeBinary() ?? []).toString('hex')
    const append = begun.get(key) ?? { question: speak.appendQuestion(request), events: [] }
    begun.set(key, append)
    append.events.push(...speak.proposedEvents(request))
    if (!request.getIsFinal()) return
    begun.delete(key)
    if (!isReady) return say(() => call.write(speak.notReadyReply(request)))
    const { question, events } = append
    const outcome = question && log.append(question.stream, events, question.expected)
    say(() => call.write(speak.appendReply(request, question?.expected, outcome)))
    for (const subscription of subscriptions) subscription.pump()
  })
  call.on('end', () => call.end())
}

const carryOut = (order: Order, proxy: Awaited<ReturnType<typeof startProxy>>): number | undefined => {
  switch (order.name) {
    case 'deaf':
      proxy.deaf(order.on)
      return
    case 'mute':
      isMute = order.on
      if (!isMute) for (const answer of withheld.splice(0)) answer()
      for (const subscription of subscriptions) subscription.pump()
      return
    case 'not-ready':
      isReady = !order.on
      return
    case 'stall-subscriptions':
      for (const subscription of subscriptions) subscription.stalled = true
      return
    case 'end-calls':
      for (const call of calls) call.end()
      return
    case 'strand':
      proxy.strand()
      return
    case 'reset':
      proxy.reset()
      return
    case 'count-reads':
      return [...calls].filter(call => 'request' in call).length
  }
}

const server = new Server()
server.addService(grpc.StreamsService, { read, batchAppend })
const credentials = security
  ? ServerCredentials.createSsl(null, [
      { private_key: Buffer.from(security.privateKey), cert_chain: Buffer.from(security.certificate) },
    ])
  : ServerCredentials.createInsecure()
server.bindAsync('127.0.0.1:0', credentials, async (error, innerPort) => {
  if (error) throw error
  const proxy = await startProxy(Number(wantedPort), innerPort)
  process.on('message', ({ number, order }: { number: number; order: Order }) => {
    process.send?.({ number, answer: carryOut(order, proxy) })
  })
  // A parent that is gone leaves no stand-in behind.
  process.on('disconnect', () => process.exit())
  process.send?.({ port: proxy.port })
})
