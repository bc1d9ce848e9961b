// Owns a real socket server over a real log, with everything behind it faked: who is who, what a command does, what the rows are.
// For tests of sockets; what the product does behind them is tested elsewhere.

import { reject } from '../../domain/decider.ts'
import type { ConversationId, GroupId, Position, SessionId, UserId } from '../../domain/ids.ts'
import type { Dispatch, SocketCall } from '../../realtime/context.ts'
import { startPresence } from '../../realtime/presence-signals.ts'
import { type Realtime, type RealtimeOptions, startRealtime } from '../../realtime/server.ts'
import type { SyncSnapshot } from '../../realtime/sync.ts'
import { createSyncTurns } from '../../realtime/sync-turns.ts'
import { type FaultyStore, faultyStoreOver, openTestLog, type TestLog } from './faulty-store.ts'
import { openRawSocket, type RawSocket, type RawSocketOptions, type ServerFrame } from './raw-socket.ts'
import { ann, bob, cid, prefix } from './routing.ts'
import {
  caughtUp,
  type HandClock,
  handClock,
  messageIdAt,
  openAccount,
  openSession,
  startTestNode,
  type TestNode,
  whenTrue,
} from './test-node.ts'

export interface LiveServer {
  readonly log: TestLog
  readonly store: FaultyStore
  readonly node: TestNode
  readonly clock: HandClock
  readonly realtime: Realtime
  /** What the socket server could not help. */
  readonly errors: unknown[]
  /** Snapshots that were read: since when, null for the whole. */
  readonly snapshots: (Position | null)[]
  readonly calls: { readonly op: string; readonly call: SocketCall; readonly args: unknown }[]
  /** What a command does; replies with its name unless told otherwise. */
  dispatch: Dispatch
  /** What the rows are; none, as of now, unless told otherwise. */
  snapshot: (userId: UserId, since: Position | null) => Promise<SyncSnapshot>
  members: RealtimeOptions['readMembers']
  /** Whether the read models pass a position in time; they do unless told otherwise. */
  folded: RealtimeOptions['folded']
  connect(options?: Partial<RawSocketOptions>): Promise<RawSocket>
  /** Connects and greets as a device of a user; `frames` are all up to `synced`. */
  device(
    userId: UserId,
    sessionId: string,
    cursor?: string,
  ): Promise<{ socket: RawSocket; frames: readonly ServerFrame[] }>
  /** Sends a message into the log. */
  say(from: UserId, conversationId: ConversationId, text?: string): Promise<{ seq: number; position: Position }>
  /** Everything in the log was routed. */
  routed(): Promise<void>
  close(): Promise<void>
}

export const hello = (token: string, cursor?: string) => ({
  op: 'hello',
  id: 'hello',
  args: { token, ...(cursor === undefined ? undefined : { cursor }) },
})

/** A server with ann, bob and cid, and a session `<name>-1` and `<name>-2` of each; tokens are `<user>/<session>`. */
export const openLiveServer = async (options: Partial<RealtimeOptions> = {}): Promise<LiveServer> => {
  const log = await openTestLog()
  const store = faultyStoreOver(log.store)
  const clock = handClock()
  const node = await startTestNode(store, { clock })
  const errors: unknown[] = []
  for (const userId of [ann, bob, cid]) {
    await openAccount(node, userId)
    for (const index of [1, 2]) await openSession(node, userId, `${userId}-${index}`)
  }
  await caughtUp(node)
  const sockets: RawSocket[] = []
  const presence = startPresence({ clock, line: undefined })
  const realtime = await startRealtime({
    node,
    host: '127.0.0.1',
    port: 0,
    cursorPrefix: prefix,
    dispatch: (op, call, args) => {
      server.calls.push({ op, call, args })
      return server.dispatch(op, call, args)
    },
    authenticate: async token => {
      const [userId, sessionId] = token.split('/')
      if (token === 'too-often') return { rejected: 'rate.limited' }
      if (token === 'expired') return reject('token.expired', 'The token has expired.')
      if (sessionId === undefined) return reject('token.invalid', 'The token is not one.')
      return { userId: userId as UserId, sessionId: sessionId as SessionId }
    },
    readSnapshot: (userId, since) => {
      server.snapshots.push(since)
      return server.snapshot(userId, since)
    },
    readMembers: (userId: UserId, groupId: GroupId) => server.members(userId, groupId),
    folded: (position, timeoutMs) => server.folded(position, timeoutMs),
    signalLine: undefined,
    presence,
    syncTurns: createSyncTurns(),
    allowedOrigins: undefined,
    networkOf: address => address,
    rateLimits: true,
    onError: error => errors.push(error),
    ...options,
  })
  const server: LiveServer = {
    log,
    store,
    node,
    clock,
    realtime,
    errors,
    snapshots: [],
    calls: [],
    dispatch: async op => `"ok":${JSON.stringify({ op })}`,
    snapshot: async () => ({
      position: node.position,
      tooOld: false,
      collections: [],
      groupIds: [],
      peerIds: [],
      hidden: [],
      lastSeen: [],
    }),
    members: async () => undefined,
    folded: async () => true,
    connect: async more => {
      const socket = await openRawSocket({ port: realtime.port, path: '/v1/realtime', ...more })
      sockets.push(socket)
      return socket
    },
    device: async (userId, sessionId, cursor) => {
      const socket = await server.connect()
      socket.sendJson(hello(`${userId}/${sessionId}`, cursor))
      return { socket, frames: await socket.nextUntil(frame => frame.op === 'synced') }
    },
    say: async (from, conversationId, text = 'hello') => {
      const clientMessageId = messageIdAt(clock.unixMs())
      const content = { type: 'text', body: { text } } as const
      return (await node.send({ conversationId, from, clientMessageId, content })) as never
    },
    routed: async () => {
      const head = await log.store.head()
      await whenTrue(() => realtime.hub.position >= head)
    },
    close: async () => {
      await realtime.close()
      presence.close()
      for (const socket of sockets) socket.destroy()
      store.subscriptionGate.open()
      await node.close()
      await log.dispose()
    },
  }
  return server
}
