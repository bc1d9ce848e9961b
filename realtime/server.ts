// Owns the uWebSockets.js server: listening, the upgrade, topics, slow devices, draining. The only file that talks to uWS.
// Every option is given explicitly: a wrong one aborts the process instead of throwing.

import uWS from 'uWebSockets.js'
import type { Position } from '../domain/ids.ts'
import type { Node } from '../eventstore/node.ts'
import type { SignalLine } from '../projections/signals.ts'
import { createClientAddress } from './client-address.ts'
import type { Dispatch, RealtimeCounters, SocketContext, SocketData } from './context.ts'
import { createHub, type Hub } from './hub.ts'
import { Newcomers, newcomersPerNetworkMax } from './newcomers.ts'
import type { Presence } from './presence-signals.ts'
import {
  atFrame,
  atIntervalMs,
  type CursorPrefix,
  frameBytesMax,
  helloMsMax,
  idleSecondsMax,
  socketBufferBytesMax,
} from './protocol.ts'
import { createSignals } from './signals.ts'
import { DeviceSocket } from './socket.ts'
import type { ReadSnapshot } from './sync.ts'
import type { SyncTurns } from './sync-turns.ts'

/** Sockets of one process; more are refused with 503. */
export const socketsMax = 200_000
/** A frame that is too large is told so; one far too large ends the connection before it has come. */
const payloadBytesMax = 2 * frameBytesMax
/** Sockets closed at a time while draining, the pause between, and the slices in which all must be closed. */
const drainSliceSockets = 200
const drainPauseMs = 50
const drainSlicesMax = 100
/** Pauses in which the commands that are under way may still be answered. */
const drainAnswersMax = 100

export interface RealtimeOptions {
  readonly node: Node
  readonly host: string
  readonly port: number
  readonly cursorPrefix: CursorPrefix
  readonly dispatch: Dispatch
  readonly authenticate: SocketContext['authenticate']
  readonly readSnapshot: ReadSnapshot
  /** Shared with GET /v1/sync. */
  readonly syncTurns: SyncTurns
  readonly readMembers: SocketContext['readMembers']
  readonly folded: SocketContext['folded']
  /** To the other nodes; undefined when there can be none. */
  readonly signalLine: SignalLine | undefined
  readonly presence: Presence
  /** Origins that browsers may connect from; undefined: any. */
  readonly allowedOrigins: readonly string[] | undefined
  /** TRUST_PROXY: addresses or networks whose X-Forwarded-For is believed; undefined: nobody's. */
  readonly trustProxy?: readonly string[] | undefined
  /** What counts as one address, for limits. */
  readonly networkOf: (address: string) => string
  readonly rateLimits: boolean
  /** For tests: less time for a hello. */
  readonly helloMs?: number
  readonly onError: (error: unknown, what: string) => void
}

export interface Realtime {
  readonly port: number
  readonly hub: Hub
  readonly counters: RealtimeCounters
  /** Stops listening, closes the sockets in slices with 4503, then whatever is left. */
  close(): Promise<void>
}

/** The port cannot be had; the message says what to do. */
export class ListenError extends Error {
  readonly code = 'port'
}

const delay = (milliseconds: number) => new Promise<void>(resolve => setTimeout(resolve, milliseconds))

/** Starts the server; resolves when it listens. @throws ListenError when the port is taken */
export const startRealtime = async (options: RealtimeOptions): Promise<Realtime> => {
  const { node } = options
  const app = uWS.App()
  const counters: RealtimeCounters = { framesIn: 0, framesOut: 0, dropped: 0, sockets: 0, syncs: 0, resumes: 0 }
  const open = new Set<DeviceSocket>()
  const addressOf = createClientAddress(options.trustProxy)
  const newcomers = new Newcomers(options.rateLimits ? newcomersPerNetworkMax : Number.POSITIVE_INFINITY)

  const publish = (topic: string, frame: string) => {
    counters.framesOut++
    app.publish(topic, frame)
  }
  const hub = createHub({ node, cursorPrefix: options.cursorPrefix, publish, onError: options.onError })

  let dirty: DeviceSocket[] = []
  const flush = () => {
    const sockets = dirty
    dirty = []
    for (const socket of sockets) socket.flush()
  }

  const context: SocketContext = {
    ...options,
    hub,
    counters,
    helloMs: options.helloMs ?? helloMsMax,
    // All replies of a turn go out together, after its published frames: one write a socket.
    replySoon: socket => {
      if (dirty.push(socket) === 1) setImmediate(flush)
    },
    signals: createSignals({ node, hub, publish, line: options.signalLine }),
  }

  app.ws<SocketData>('/v1/realtime', {
    maxPayloadLength: payloadBytesMax,
    idleTimeout: idleSecondsMax,
    maxBackpressure: socketBufferBytesMax,
    closeOnBackpressureLimit: true as never,
    sendPingsAutomatically: true,
    compression: uWS.DISABLED,
    maxLifetime: 0,
    upgrade: (response, request, upgradeContext) => {
      const origin = request.getHeader('origin')
      if (options.allowedOrigins !== undefined && origin !== '' && !options.allowedOrigins.includes(origin)) {
        response.writeStatus('403 Forbidden').end('This origin may not connect.')
        return
      }
      const remote = Buffer.from(response.getRemoteAddressAsText()).toString()
      const address = addressOf(remote, request.getHeader('x-forwarded-for'))
      const network = options.networkOf(address)
      const refused = open.size >= socketsMax ? 'all' : newcomers.refuses(network)
      if (refused !== undefined) {
        const status = refused === 'all' ? '503 Service Unavailable' : '429 Too Many Requests'
        response.writeStatus(status).writeHeader('retry-after', '5').end('Too many connections.')
        return
      }
      response.upgrade(
        { address, network } as SocketData,
        request.getHeader('sec-websocket-key'),
        request.getHeader('sec-websocket-protocol'),
        request.getHeader('sec-websocket-extensions'),
        upgradeContext,
      )
    },
    open: ws => {
      const data = ws.getUserData()
      newcomers.came(data.network)
      data.greeted = false
      data.device = new DeviceSocket(ws, data.address, context)
      open.add(data.device)
      counters.sockets = open.size
    },
    message: (ws, message, isBinary) => {
      const data = ws.getUserData()
      data.device.onMessage(message, isBinary)
      if (!data.greeted && !data.device.unauthenticated) {
        data.greeted = true
        newcomers.settled(data.network)
      }
    },
    drain: ws => ws.getUserData().device.onDrain(),
    dropped: ws => {
      counters.dropped++
      ws.getUserData().device.onDropped()
    },
    close: ws => {
      const data = ws.getUserData()
      const { device } = data
      if (!data.greeted) newcomers.settled(data.network)
      data.greeted = true
      device.onClose()
      open.delete(device)
      counters.sockets = open.size
    },
  })
  app.any('/*', response => {
    response.writeStatus('426 Upgrade Required').end('Connect by WebSocket to /v1/realtime.')
  })

  const listening = await listen(app, options.host, options.port)
  const port = uWS.us_socket_local_port(listening)

  let lastAt: Position = hub.position
  const atTimer = setInterval(() => {
    if (hub.position === lastAt) return
    lastAt = hub.position
    app.publish('all', atFrame(options.cursorPrefix + hub.position))
  }, atIntervalMs)
  atTimer.unref()

  node.onBehind(behind => {
    if (behind) for (const socket of [...open]) socket.end('behind')
  })

  const stop = async () => {
    clearInterval(atTimer)
    // A native pointer that nobody checks: once only.
    uWS.us_listen_socket_close(listening)
    const leaving = [...open]
    const slice = Math.max(drainSliceSockets, Math.ceil(leaving.length / drainSlicesMax))
    for (let from = 0; from < leaving.length; from += slice) {
      for (const socket of leaving.slice(from, from + slice)) socket.leave()
      await delay(drainPauseMs)
    }
    for (let pauses = 0; open.size > 0 && pauses < drainAnswersMax; pauses++) await delay(drainPauseMs)
    for (const socket of [...open]) socket.end('draining')
    hub.close()
    // What was said last is still on its way: closing now could take it back.
    if (leaving.length > 0) await delay(drainPauseMs)
    app.close()
  }
  let stopped: Promise<void> | undefined
  const close = () => {
    stopped ??= stop()
    return stopped
  }

  return {
    port,
    hub,
    counters,
    close,
  }
}

/** LIBUS_LISTEN_EXCLUSIVE_PORT; the enum of the package's types does not exist at run time. */
const exclusivePort = 1 as uWS.ListenOptions

/** The form with host and options, which the package's types leave out. */
type ListenExclusively = (
  host: string,
  port: number,
  options: uWS.ListenOptions,
  callback: (token: uWS.us_listen_socket | false) => void,
) => void

const listen = (app: uWS.TemplatedApp, host: string, port: number): Promise<uWS.us_listen_socket> =>
  new Promise((resolve, reject) => {
    const listenExclusively = app.listen.bind(app) as unknown as ListenExclusively
    // Exclusive: without it a second server on the same port would silently share it.
    listenExclusively(host, port, exclusivePort, token => {
      if (token) resolve(token)
      else
        reject(
          new ListenError(
            `Port ${port} on ${host} cannot be opened. Stop the program that uses it, or set REALTIME_PORT to another port.`,
          ),
        )
    })
  })
