// Owns a device for tests: a socket that says hello, keeps a replica by the rules of api.md, and runs commands.
// Also the HTTP helpers of those tests. Every wait is bounded; a socket that closes fails what waits on it.

import { randomBytes } from 'node:crypto'
import { uuidV7Bytes } from '../../domain/ids.ts'
import { openRawSocket, type RawSocket, type SocketClosed } from './raw-socket.ts'
import { Replica, type Row, type ServerFrame } from './replica.ts'
import { wrongIn } from './server-frames.ts'

const waitMsMax = 45_000
/** A device listens as long as its socket lives; this only bounds one wait of the helper below it. */
const listenMsMax = 2_000_000_000

export interface ApiAnswer {
  readonly status: number
  readonly headers: Headers
  /** The parsed body; undefined when there is none. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every form
  readonly body: any
}

export interface ApiOptions {
  readonly token?: string | undefined
  readonly body?: unknown
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Calls the HTTP API of one server: `api('POST', '/v1/groups', {token, body})`. Never throws for a status. */
export type Api = (method: string, path: string, options?: ApiOptions) => Promise<ApiAnswer>

/** @param baseUrl `http://127.0.0.1:8080` */
export const createApi =
  (baseUrl: string): Api =>
  async (method, path, { token, body, key, headers } = {}) => {
    const response = await fetch(`${baseUrl}${path}`, {
      method,
      headers: {
        ...(token === undefined ? undefined : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? undefined : { 'content-type': 'application/json' }),
        ...(key === undefined ? undefined : { 'idempotency-key': key }),
        ...headers,
      },
      ...(body === undefined ? undefined : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(waitMsMax),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
  }

/** The body of an answer that must have gone well. @throws Error with the problem otherwise */
export const expectOk = ({ status, body }: ApiAnswer): ApiAnswer['body'] => {
  if (status >= 200 && status < 300) return body
  throw new Error(`answered ${status}: ${JSON.stringify(body)}`)
}

export const testPassword = 'correct horse battery'

export interface SignedUp {
  readonly userId: string
  readonly userName: string
  readonly position: string
}

/** Makes an account with a user name. @param name also the user name */
export const signUp = async (baseUrl: string, name: string): Promise<SignedUp> => {
  const body = { userName: name, password: testPassword, name }
  const { userId, position } = expectOk(await createApi(baseUrl)('POST', '/v1/accounts', { body }))
  return { userId, userName: name, position }
}

export interface SignedIn {
  readonly userId: string
  readonly sessionId: string
  readonly accessToken: string
  readonly refreshToken: string
  readonly position: string
}

/** Opens a session for a device; the same deviceId again replaces its session. */
export const signIn = async (baseUrl: string, userName: string, deviceId = 'device-1'): Promise<SignedIn> => {
  const device = { deviceId, platform: 'linux', name: deviceId }
  const body = { by: 'password', userName, password: testPassword, device }
  return expectOk(await createApi(baseUrl)('POST', '/v1/sessions', { body }))
}

/** A UUIDv7 of now, the fast form of a clientMessageId. */
export const newMessageId = (): string => {
  const hex = Buffer.from(uuidV7Bytes(Date.now(), randomBytes(10))).toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** The server refused a command, for good or for now. */
export class CommandError extends Error {
  readonly code: string
  readonly retryable: boolean
  readonly error: Row
  constructor(error: Row) {
    super(`${error.code}: ${error.detail}`)
    this.code = String(error.code)
    this.retryable = error.retryable === true
    this.error = error
  }
}

/** The socket went away; whether what was under way happened is not known. */
export class DeviceClosed extends Error {
  readonly closed: SocketClosed
  constructor(closed: SocketClosed) {
    super(`the socket closed: ${closed.code} ${closed.reason}`)
    this.closed = closed
  }
}

export interface Welcome {
  readonly userId: string
  readonly sessionId: string
  readonly serverTime: string
  readonly reset: boolean
}

export interface Device {
  readonly welcome: Welcome
  /** The collections held: `replica.get('messages')?.get('p2p:a:b#1')`. */
  readonly replica: ReadonlyMap<string, ReadonlyMap<string, Row>>
  /** What to hand to `connectDevice` to go on where this one stopped. */
  readonly state: Replica
  readonly cursor: string
  readonly closed: Promise<SocketClosed>
  /** The last `bye` of the server. */
  readonly bye: ServerFrame | undefined
  /** Runs an operation. @throws CommandError, DeviceClosed */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into replies of every form
  command(op: string, args: object, key?: string): Promise<any>
  /** Sends a text with a fresh clientMessageId. */
  say(conversationId: string, text: string): Promise<{ seq: number; at: string; position: string }>
  /** Resolves once the cursor has reached the position: for events that reach this device. */
  whenPassed(position: string): Promise<void>
  /** Resolves once it holds; looked at after every frame. @throws Error after 15 s */
  waitFor(predicate: (device: Device) => boolean, what?: string): Promise<void>
  /** No question about unread is open. */
  readonly settled: boolean
  /** Sends anything; for frames without a reply. */
  sendFrame(frame: object): void
  pause(): void
  resume(): void
  /** Says goodbye. */
  close(): Promise<void>
  /** Cuts the connection. */
  destroy(): void
}

export interface ConnectOptions {
  /** As `GET /v1/server` tells it: `ws://host:port/v1/realtime`. */
  readonly realtimeUrl: string
  readonly token: string
  /** Goes on from here; the replica's own cursor unless given. */
  readonly cursor?: string
  readonly replica?: Replica
  /** Of the request that opens the socket. */
  readonly headers?: Readonly<Record<string, string>>
  /** Sees every frame after it was applied. */
  readonly onFrame?: (frame: ServerFrame) => void
}

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

const positionOf = (cursor: string): string => cursor.slice(cursor.lastIndexOf('.') + 1)

class TestDevice implements Device {
  readonly #socket: RawSocket
  readonly #onFrame: ((frame: ServerFrame) => void) | undefined
  readonly #pending = new Map<string, Waiting>()
  readonly #listeners = new Set<() => void>()
  /** Conversations whose unread was asked for, and whether something came meanwhile that makes the answer stale. */
  readonly #asked = new Map<string, boolean>()
  #closed: SocketClosed | undefined
  #nextId = 1
  #isSynced = false
  state: Replica
  bye: ServerFrame | undefined
  welcome: Welcome = { userId: '', sessionId: '', serverTime: '', reset: false }

  constructor(socket: RawSocket, options: ConnectOptions) {
    this.#socket = socket
    this.#onFrame = options.onFrame
    this.state = new Replica({ userId: '' })
    void socket.closed.then(closed => {
      this.#closed ??= closed
      for (const { reject } of this.#pending.values()) reject(new DeviceClosed(closed))
      this.#pending.clear()
      for (const listener of [...this.#listeners]) listener()
    })
  }

  get replica(): ReadonlyMap<string, ReadonlyMap<string, Row>> {
    return this.state.collections
  }

  get cursor(): string {
    return this.state.cursor
  }

  get closed(): Promise<SocketClosed> {
    return this.#socket.closed
  }

  get settled(): boolean {
    return this.#asked.size === 0
  }

  get synced(): boolean {
    return this.#isSynced
  }

  async greet({ token, cursor, replica }: ConnectOptions): Promise<void> {
    const from = cursor ?? (replica?.cursor || undefined)
    const hello = this.command('hello', { token, ...(from === undefined ? undefined : { cursor: from }) })
    this.#listen(replica)
    this.welcome = (await hello) as unknown as Welcome
    await this.waitFor(() => this.#isSynced, 'synced')
  }

  /** Reads frames as long as there are any. The replica exists before the first row: the reply to hello comes first. */
  #listen(replica: Replica | undefined): void {
    const read = async () => {
      for (;;) {
        const frame = (await this.#socket.next(listenMsMax)) as ServerFrame
        const wrong = wrongIn(frame)
        // Whoever waits on this device is told by its end.
        if (wrong !== undefined) return this.#giveUp(wrong)
        if (frame.re !== undefined) this.#onReply(frame, replica)
        else this.#take(frame)
        this.#onFrame?.(frame)
        for (const listener of [...this.#listeners]) listener()
      }
    }
    // Ends by the closing of the socket, which `closed` tells.
    read().catch(() => {})
  }

  #giveUp(reason: string): void {
    this.#closed = { code: 0, reason }
    for (const { reject } of this.#pending.values()) reject(new DeviceClosed(this.#closed))
    this.#pending.clear()
    this.#socket.destroy()
  }

  #onReply(frame: ServerFrame, replica: Replica | undefined): void {
    const id = String(frame.re)
    const waiting = this.#pending.get(id)
    this.#pending.delete(id)
    const ok = frame.ok as Row | undefined
    if (ok?.reset !== undefined && id === '1') this.#begin(ok as unknown as Welcome, replica)
    if (frame.error !== undefined) waiting?.reject(new CommandError(frame.error as Row))
    else waiting?.resolve(frame.ok)
  }

  #begin({ userId, reset }: Welcome, replica: Replica | undefined): void {
    const onUnknownUnread = (conversationId: string) => this.#ask(conversationId)
    this.state = replica?.clone({ userId, onUnknownUnread }) ?? new Replica({ userId, onUnknownUnread })
    if (reset) this.state.reset()
  }

  #take(frame: ServerFrame): void {
    if (frame.op === 'bye') this.bye = frame
    if (frame.op === 'synced') this.#isSynced = true
    const touched = frame.value?.conversationId ?? frame.id?.split('#')[0]
    if (typeof touched === 'string' && this.#asked.has(touched)) this.#asked.set(touched, true)
    this.state.apply(frame)
  }

  /** Asks until no frame of the conversation came between question and answer. */
  #ask(conversationId: string): void {
    if (this.#asked.has(conversationId)) return
    this.#asked.set(conversationId, false)
    const ask = async () => {
      // During the sync no command may be sent.
      await this.waitFor(() => this.#isSynced, 'synced')
      for (;;) {
        this.#asked.set(conversationId, false)
        const row = await this.#absoluteRow(conversationId)
        if (row === undefined || this.#asked.get(conversationId) === true) continue
        this.state.settle(row)
        return
      }
    }
    ask()
      // A closed socket ends the question: the next sync brings the row. A vanished conversation has no unread.
      .catch(() => {})
      .finally(() => {
        this.#asked.delete(conversationId)
        for (const listener of [...this.#listeners]) listener()
      })
  }

  /** Undefined while the read models are behind what this device has seen. */
  async #absoluteRow(conversationId: string): Promise<Row | undefined> {
    try {
      return await this.command('getConversation', { conversationId, after: positionOf(this.cursor) })
    } catch (error) {
      if (error instanceof CommandError && error.code === 'projection.behind') return undefined
      throw error
    }
  }

  command(op: string, args: object, key?: string): Promise<Row> {
    if (this.#closed !== undefined) return Promise.reject(new DeviceClosed(this.#closed))
    const id = String(this.#nextId++)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id)
        reject(new Error(`no reply to ${op} within ${waitMsMax} ms`))
      }, waitMsMax)
      const settle =
        <Value>(act: (value: Value) => void) =>
        (value: Value) => {
          clearTimeout(timer)
          act(value)
        }
      this.#pending.set(id, { resolve: settle(resolve as (value: unknown) => void), reject: settle(reject) })
      this.#socket.sendJson({ op, id, ...(key === undefined ? undefined : { key }), args })
    })
  }

  async say(conversationId: string, text: string): Promise<{ seq: number; at: string; position: string }> {
    const args = { conversationId, clientMessageId: newMessageId(), type: 'text', body: { text } }
    return (await this.command('sendMessage', args)) as never
  }

  whenPassed(position: string): Promise<void> {
    return this.waitFor(() => this.#isSynced && positionOf(this.cursor) >= position, `position ${position}`)
  }

  waitFor(predicate: (device: Device) => boolean, what = 'what was waited for'): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (act: () => void) => {
        clearTimeout(timer)
        this.#listeners.delete(look)
        act()
      }
      const look = () => {
        try {
          if (predicate(this)) return finish(resolve)
        } catch (error) {
          return finish(() => reject(error))
        }
        const closed = this.#closed
        if (closed !== undefined) finish(() => reject(new DeviceClosed(closed)))
      }
      const late = () => finish(() => reject(new Error(`${what} did not come within ${waitMsMax} ms`)))
      const timer = setTimeout(late, waitMsMax)
      this.#listeners.add(look)
      look()
    })
  }

  sendFrame(frame: object): void {
    this.#socket.sendJson(frame)
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  async close(): Promise<void> {
    if (this.#closed !== undefined) return
    this.#socket.close()
    await this.#socket.closed
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

/** Connects, says hello, and resolves once the replica is in sync. @throws CommandError, DeviceClosed */
export const connectDevice = async (options: ConnectOptions): Promise<Device> => {
  const { realtimeUrl, headers = {} } = options
  const { hostname, port, pathname } = new URL(realtimeUrl)
  const socket = await openRawSocket({ host: hostname, port: Number(port), path: pathname, headers })
  const device = new TestDevice(socket, options)
  try {
    await device.greet(options)
  } catch (error) {
    device.destroy()
    throw error
  }
  return device
}
