// Owns one device's socket: hello, sync, frames in, replies out, its end. Everything it holds is bounded.
// After `closed` is set no method of the uWS socket may be called: it throws.

import type { WebSocket } from 'uWebSockets.js'
import { z } from 'zod'
import { isRejection, type Rejection } from '../domain/decider.ts'
import type { ConversationId, GroupId, Position, SessionId, UserId } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import type { Node } from '../eventstore/node.ts'
import type { FollowedUser, Hub, LiveSocket } from './hub.ts'
import {
  byeFrame,
  type CloseName,
  type CursorPrefix,
  closes,
  frameIdCharactersMax,
  framesBurstMax,
  framesPerSecondMax,
  helloBytesMax,
  helloMsMax,
  idleSecondsMax,
  membersTopic,
  openGroupsMax,
  pendingPerSocketMax,
  refusedFramesMax,
  syncBufferBytes,
  syncedFrame,
  type Topic,
} from './protocol.ts'
import { pieces, type ReadSnapshot, type Replay, readSince, replayFollowed, replaySnapshot, sinceOf } from './sync.ts'

export interface Device {
  readonly userId: UserId
  readonly sessionId: SessionId
}

export interface SocketCall {
  readonly caller: { readonly kind: 'user' } & Device
  readonly address: string
  readonly key?: string | undefined
}

/** Runs an operation of the API. @returns `"ok":…` or `"error":…`, the part of the reply after its id, as JSON text */
export type Dispatch = (op: string, call: SocketCall, args: unknown) => Promise<string>

export interface SocketContext {
  readonly node: Node
  readonly hub: Hub
  readonly cursorPrefix: CursorPrefix
  readonly dispatch: Dispatch
  readonly authenticate: (token: string) => Promise<Device | Rejection>
  readonly readSnapshot: ReadSnapshot
  /** All rows of a group's members with the position they are of; undefined when the user may not see them. */
  readonly readMembers: (
    userId: UserId,
    groupId: GroupId,
  ) => Promise<{ position: Position; items: readonly string[] } | undefined>
  /** Tells the other devices that somebody types; false when there is no such conversation for the user. */
  readonly typing: (from: UserId, conversationId: ConversationId) => boolean | Promise<boolean>
  readonly replySoon: (socket: DeviceSocket) => void
  readonly rateLimits: boolean
  readonly counters: RealtimeCounters
  readonly onError: (error: unknown, what: string) => void
}

export interface RealtimeCounters {
  framesIn: number
  framesOut: number
  dropped: number
  sockets: number
  syncs: number
  resumes: number
}

/** What uWS keeps with a socket. */
export interface SocketData {
  device: DeviceSocket
  readonly address: string
  /** Whether it no longer counts among those that have not said hello. */
  greeted: boolean
}

const helloSchema = z.strictObject({
  op: z.literal('hello'),
  id: z.string().max(frameIdCharactersMax).optional(),
  args: z.strictObject({ token: z.string().max(2_048), cursor: z.string().max(128).optional() }),
})

const frameSchema = z.strictObject({
  op: z.string().max(64),
  id: z.string().max(frameIdCharactersMax).optional(),
  key: z.string().min(1).max(64).optional(),
  args: z.record(z.string(), z.unknown()).default({}),
})
type Frame = z.infer<typeof frameSchema>

const membersArgs = z.strictObject({ collection: z.literal('members'), groupId: z.string().max(64) })
const typingArgs = z.strictObject({ conversationId: z.string().max(160) })

const decoder = new TextDecoder('utf-8', { fatal: true })

/** How long a device's sync may wait for the live events to reach its snapshot. */
const catchUpMsMax = 2_000
/** A sync that a device does not drain in this time is given up. */
const drainMsMax = 30_000
/** Frames left to replay at which the rest is sent in one turn. */
const lastReplayFramesMax = 200

const errorText = (code: string, title: string, detail: string, retryable: boolean): string =>
  `"error":${JSON.stringify({ code, title, detail, retryable })}`

export class DeviceSocket implements LiveSocket {
  readonly #ws: WebSocket<SocketData>
  readonly #context: SocketContext
  readonly #address: string
  readonly #helloTimer: NodeJS.Timeout
  readonly #opened = new Set<GroupId>()
  #phase: 'new' | 'hello' | 'live' | 'closed' = 'new'
  #device: Device | undefined
  #user: FollowedUser | undefined
  #replies: string[] = []
  #pending = 0
  #refused = 0
  #tokens = framesBurstMax
  #tokensAtMs: number
  #drained: (() => void) | undefined

  constructor(ws: WebSocket<SocketData>, address: string, context: SocketContext) {
    this.#ws = ws
    this.#context = context
    this.#address = address
    this.#tokensAtMs = context.node.clock.unixMs()
    this.#helloTimer = setTimeout(() => this.end('noHello'), helloMsMax)
  }

  get sessionId(): SessionId {
    return (this.#device?.sessionId ?? '') as SessionId
  }

  get live(): boolean {
    return this.#phase === 'live'
  }

  /** Until its hello. */
  get unauthenticated(): boolean {
    return this.#phase === 'new'
  }

  subscribe(topic: Topic): void {
    if (this.#phase !== 'closed') this.#ws.subscribe(topic)
  }

  unsubscribe(topic: Topic): void {
    if (this.#phase === 'closed') return
    this.#ws.unsubscribe(topic)
    if (topic.startsWith('m:')) this.#opened.delete(topic.slice(2) as GroupId)
  }

  /** Says goodbye and closes. */
  end(close: CloseName): void {
    if (this.#phase === 'closed') return
    const ws = this.#ws
    const frame = byeFrame(close)
    ws.cork(() => {
      ws.send(frame)
      ws.end(closes[close].code, closes[close].reason)
    })
  }

  /** Cuts at once, unsent bytes are lost: the device resumes by its cursor. */
  cut(): void {
    if (this.#phase !== 'closed') this.#ws.close()
  }

  onClose(): void {
    this.#phase = 'closed'
    clearTimeout(this.#helloTimer)
    this.#replies = []
    this.#drained?.()
    if (this.#user !== undefined) this.#context.hub.detach(this.#user, this)
  }

  onDrain(): void {
    if (this.#phase !== 'closed' && this.#ws.getBufferedAmount() < syncBufferBytes) this.#drained?.()
  }

  onMessage(message: ArrayBuffer, isBinary: boolean): void {
    this.#context.counters.framesIn++
    if (this.#phase === 'closed') return
    if (isBinary) return this.#bad('Send text frames: JSON in UTF-8.')
    if (this.#phase === 'new' && message.byteLength > helloBytesMax) {
      return this.#bad(`The first frame is a hello of at most ${helloBytesMax} bytes.`)
    }
    let parsed: unknown
    try {
      parsed = JSON.parse(decoder.decode(message))
    } catch {
      return this.#bad('The frame is not JSON in UTF-8.')
    }
    if (this.#phase === 'new') return this.#onHello(parsed)
    const frame = frameSchema.safeParse(parsed)
    if (!frame.success) return this.#bad('A frame is {op, id?, key?, args} and nothing else.')
    if (this.#phase !== 'live') {
      return this.#replyTo(
        frame.data,
        errorText('sync.under-way', 'Not yet', 'Wait for `synced` before the first command.', true),
      )
    }
    if (!this.#admit()) return this.#refuse(frame.data)
    this.#refused = 0
    this.#onFrame(frame.data)
  }

  /** Writes everything that waits, in one piece. */
  flush(): void {
    const replies = this.#replies
    this.#replies = []
    if (this.#phase === 'closed' || replies.length === 0) return
    const ws = this.#ws
    ws.cork(() => {
      for (const reply of replies) ws.send(reply)
    })
  }

  #bad(detail: string): void {
    this.#ws.send(`{${errorText('frame.invalid', 'Bad frame', detail, false)}}`)
    this.end('badFrame')
  }

  #admit(): boolean {
    if (!this.#context.rateLimits) return true
    const nowMs = this.#context.node.clock.unixMs()
    this.#tokens = Math.min(framesBurstMax, this.#tokens + ((nowMs - this.#tokensAtMs) / 1_000) * framesPerSecondMax)
    this.#tokensAtMs = nowMs
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }

  #refuse(frame: Frame): void {
    if (++this.#refused > refusedFramesMax) return this.end('tooFast')
    const detail = `At most ${framesPerSecondMax} frames a second. Wait a moment.`
    this.#replyTo(frame, errorText('rate.limited', 'Too fast', detail, true))
  }

  #replyTo(frame: { readonly id?: string | undefined }, part: string): void {
    if (frame.id === undefined || this.#phase === 'closed') return
    this.#context.counters.framesOut++
    this.#replies.push(`{"re":${JSON.stringify(frame.id)},${part}}`)
    if (this.#replies.length === 1) this.#context.replySoon(this)
  }

  #onFrame(frame: Frame): void {
    switch (frame.op) {
      case 'hello':
        return this.#replyTo(frame, errorText('frame.invalid', 'Already greeted', 'Send hello once, first.', false))
      case 'typing':
        return this.#onTyping(frame)
      case 'open':
      case 'close':
        return this.#onOpenOrClose(frame)
      default:
        return this.#onCommand(frame)
    }
  }

  #onCommand(frame: Frame): void {
    if (this.#pending >= pendingPerSocketMax) {
      return this.#replyTo(
        frame,
        errorText('overloaded', 'Too much at once', 'Wait for replies before sending more.', true),
      )
    }
    this.#pending++
    const caller = { kind: 'user', ...(this.#device as Device) } as const
    this.#context.dispatch(frame.op, { caller, address: this.#address, key: frame.key }, frame.args).then(
      part => {
        this.#pending--
        this.#replyTo(frame, part)
      },
      error => {
        this.#pending--
        this.#context.onError(error, `frame ${frame.op}`)
        this.#replyTo(frame, errorText('internal', 'Internal error', 'Try again; it was logged.', true))
      },
    )
  }

  #onTyping(frame: Frame): void {
    const args = typingArgs.safeParse(frame.args)
    const device = this.#device
    if (!args.success || device === undefined) return
    Promise.resolve(this.#context.typing(device.userId, args.data.conversationId as ConversationId)).catch(error =>
      this.#context.onError(error, 'typing'),
    )
  }

  #onOpenOrClose(frame: Frame): void {
    const args = membersArgs.safeParse(frame.args)
    if (!args.success) {
      return this.#replyTo(
        frame,
        errorText('request.invalid', 'Invalid request', 'args: {collection: "members", groupId}.', false),
      )
    }
    const groupId = args.data.groupId as GroupId
    if (frame.op === 'close') {
      this.unsubscribe(membersTopic(groupId))
      return this.#replyTo(frame, '"ok":{}')
    }
    if (this.#opened.size >= openGroupsMax && !this.#opened.has(groupId)) {
      return this.#replyTo(
        frame,
        errorText('open.limit', 'Too many open', `Close one of the ${openGroupsMax} open groups.`, false),
      )
    }
    this.#openMembers(frame, groupId).catch(error => {
      this.#context.onError(error, 'open members')
      this.#replyTo(frame, errorText('internal', 'Internal error', 'Try again; it was logged.', true))
    })
  }

  async #openMembers(frame: Frame, groupId: GroupId): Promise<void> {
    const { hub, readMembers } = this.#context
    const device = this.#device as Device
    const found = await readMembers(device.userId, groupId)
    if (found === undefined) {
      const detail = 'There is no such group for you. Check the id, or whether you are still a member.'
      return this.#replyTo(frame, errorText('group.not-found', 'Group not found', detail, false))
    }
    await hub.whenRouted(found.position, catchUpMsMax)
    if (this.#phase !== 'live') return
    const topic = membersTopic(groupId)
    const later = hub.ring.entriesFrom(found.position, [topic])
    const frames = later.flatMap(entry =>
      entry.actions.flatMap(action => (action.do === 'publish' && action.topic === topic ? [action.frame] : [])),
    )
    // Still a member now? The topic of the group says so in log order.
    if (this.#user?.topics.has(`g:${groupId}`) !== true) {
      return this.#replyTo(frame, errorText('group.not-found', 'Group not found', 'You are no longer a member.', false))
    }
    this.#opened.add(groupId)
    const rows = pieces({ collection: 'members' as never, items: found.items, removed: [] })
    this.#send([...rows, ...frames])
    this.#ws.subscribe(topic)
    this.#replyTo(frame, '"ok":{}')
  }

  #onHello(parsed: unknown): void {
    const hello = helloSchema.safeParse(parsed)
    if (!hello.success) return this.#bad('The first frame is {op: "hello", id?, args: {token, cursor?}}.')
    this.#phase = 'hello'
    clearTimeout(this.#helloTimer)
    this.#greet(hello.data).catch(error => {
      this.#context.onError(error, 'hello')
      this.end('internal')
    })
  }

  async #greet(hello: z.infer<typeof helloSchema>): Promise<void> {
    const { node, hub, authenticate } = this.#context
    if (node.behind) return this.end('behind')
    const device = await authenticate(hello.args.token)
    if (this.#phase === 'closed') return
    if (isRejection(device)) return this.end(device.rejected === 'token.expired' ? 'tokenExpired' : 'ended')
    this.#device = device
    const since = sinceOf(hello.args.cursor, this.#context.cursorPrefix, hub.position)
    const known = hub.followed(device.userId)
    const replay = since === null || known === undefined ? undefined : replayFollowed(hub, known, since)
    if (replay === undefined) return this.#syncFromRows(hello.id, device, since)
    this.#context.counters.resumes++
    this.#welcome(hello.id, device, false)
    await this.#joinLive(replay)
  }

  async #syncFromRows(id: string | undefined, device: Device, since: Position | null): Promise<void> {
    const { hub, readSnapshot, counters } = this.#context
    counters.syncs++
    const { snapshot, reset } = await readSince(readSnapshot, device.userId, since)
    if (!(await hub.whenRouted(snapshot.position, catchUpMsMax))) return this.end('behind')
    if (this.#phase === 'closed') return
    this.#welcome(id, device, reset)
    const replay = replaySnapshot(hub, device.userId, snapshot)
    if (replay === undefined) return this.end('behind')
    // Attached from here on: a session that ends during the sync is cut like a live one.
    this.#attach(replay.user)
    for (const collection of snapshot.collections) {
      for (const piece of pieces(collection)) if (!(await this.#sendAndDrain([piece]))) return
    }
    await this.#joinLive(replay)
  }

  #welcome(id: string | undefined, device: Device, reset: boolean): void {
    const ok = {
      userId: device.userId,
      sessionId: device.sessionId,
      serverTime: this.#context.node.clock.now(),
      reset,
      heartbeatSeconds: idleSecondsMax,
      limits: { framesPerSecondMax, framesBurstMax, pendingPerSocketMax, textCharactersMax: limits.textCharactersMax },
    }
    this.#send([`{"re":${JSON.stringify(id ?? null)},"ok":${JSON.stringify(ok)}}`])
  }

  #attach(user: FollowedUser): void {
    if (this.#user !== undefined) return
    for (const other of [...user.sockets]) if (other.sessionId === this.sessionId) other.end('replaced')
    this.#user = user
    this.#context.hub.attach(user, this)
  }

  /** Sends what was routed meanwhile, in pieces while it is much; the rest and the subscriptions in one turn. */
  async #joinLive(replay: Replay): Promise<void> {
    this.#attach(replay.user)
    let frames = replay.next()
    while (frames.length > lastReplayFramesMax) {
      if (!(await this.#sendAndDrain(frames))) return
      frames = replay.next()
    }
    // The session may have ended while rows were read: its event was routed before this socket was attached.
    const device = this.#device as Device
    const valid = await this.#context.node.sessionIsValid(device.userId, device.sessionId)
    if (this.#isClosed()) return
    if (!valid) return this.end('ended')
    frames.push(...replay.next())
    this.#send([...frames, syncedFrame(this.#context.cursorPrefix + this.#context.hub.position)])
    for (const topic of replay.user.topics) this.#ws.subscribe(topic)
    this.#ws.subscribe('all')
    this.#phase = 'live'
  }

  #isClosed(): boolean {
    return this.#phase === 'closed'
  }

  #send(frames: readonly string[]): void {
    if (this.#phase === 'closed') return
    const ws = this.#ws
    this.#context.counters.framesOut += frames.length
    ws.cork(() => {
      for (const frame of frames) if (ws.send(frame) === 2) return
    })
  }

  /** @returns false when the socket is gone or the device does not drain */
  async #sendAndDrain(frames: readonly string[]): Promise<boolean> {
    for (const frame of frames) {
      this.#send([frame])
      if (this.#isClosed()) return false
      if (this.#ws.getBufferedAmount() > syncBufferBytes && !(await this.#drain())) return false
    }
    return true
  }

  async #drain(): Promise<boolean> {
    const inTime = await new Promise<boolean>(resolve => {
      const timer = setTimeout(() => resolve(false), drainMsMax)
      this.#drained = () => {
        clearTimeout(timer)
        resolve(true)
      }
    })
    this.#drained = undefined
    if (this.#isClosed()) return false
    if (!inTime) this.cut()
    return inTime
  }
}
