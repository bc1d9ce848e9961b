// Owns one device's socket: hello, sync, frames in, replies out, its end. Everything it holds is bounded.
// Writes through its outbox only, which knows when the socket is gone.

import type { WebSocket } from 'uWebSockets.js'
import type { CloseName } from '../domain/frames.ts'
import type { ConversationId, GroupId, Position, SessionId } from '../domain/ids.ts'
import type { Device, SocketContext, SocketData } from './context.ts'
import { FrameRate } from './frame-rate.ts'
import {
  closeOf,
  errorText,
  type Frame,
  frameOf,
  type Hello,
  helloOf,
  jsonOf,
  membersArgsOf,
  typingArgsOf,
} from './frames.ts'
import type { FollowedUser, LiveSocket } from './hub.ts'
import { Opened } from './opened.ts'
import { Outbox } from './outbox.ts'
import {
  frameBytesMax,
  framesPerSecondMax,
  helloBytesMax,
  membersTopic,
  pendingPerSocketMax,
  syncedFrame,
  type Topic,
  welcomeFrame,
} from './protocol.ts'
import {
  catchUpMsMax,
  isMuch,
  pieces,
  type Replay,
  readSince,
  replayFollowed,
  replaySnapshot,
  sinceOf,
  textsOf,
} from './sync.ts'
import type { SyncTurn } from './sync-turns.ts'

const nothing = () => {}

export class DeviceSocket implements LiveSocket {
  readonly #out: Outbox<SocketData>
  readonly #context: SocketContext
  readonly #address: string
  #helloTimer: NodeJS.Timeout | undefined
  /** Made when it first opens a collection: most sockets never do, and there are many. */
  #opened: Opened | undefined
  #phase: 'new' | 'hello' | 'live' = 'new'
  #device: Device | undefined
  #user: FollowedUser | undefined
  #openedAs = ''
  #replies: string[] = []
  #pending = 0
  #leaving = false
  readonly #rate: FrameRate
  /** While it waits for its turn to sync. */
  #giveUpTurn = nothing

  constructor(ws: WebSocket<SocketData>, address: string, context: SocketContext) {
    this.#out = new Outbox(ws)
    this.#context = context
    this.#address = address
    this.#rate = new FrameRate(context.node.clock.unixMs())
    this.#helloTimer = setTimeout(() => this.end('noHello'), context.helloMs)
  }

  get sessionId(): SessionId {
    return (this.#device?.sessionId ?? '') as SessionId
  }

  get openedAs(): string {
    return this.#openedAs
  }

  get live(): boolean {
    return this.#phase === 'live' && !this.#out.closed
  }

  /** Until its hello. */
  get unauthenticated(): boolean {
    return this.#phase === 'new'
  }

  subscribe(topic: Topic): void {
    this.#out.subscribe(topic)
  }

  unsubscribe(topic: Topic): void {
    this.#out.unsubscribe(topic)
    if (topic.startsWith('m:')) this.#opened?.forget(topic.slice(2) as GroupId)
  }

  /** Says what is left to say, then goodbye, and closes. */
  end(close: CloseName): void {
    this.flush()
    this.#out.end(close)
  }

  /** Takes nothing more, and says goodbye once what it accepted is answered. */
  leave(): void {
    this.#leaving = true
    this.#leaveWhenDone()
  }

  #leaveWhenDone(): void {
    if (this.#leaving && this.#pending === 0) this.end('draining')
  }

  /** A frame was dropped because the device is too slow. */
  onDropped(): void {
    this.#out.onDropped()
  }

  onClose(): void {
    clearTimeout(this.#helloTimer)
    this.#replies = []
    this.#giveUpTurn()
    this.#out.onClose()
    if (this.#user === undefined) return
    this.#context.hub.detach(this.#user, this)
    this.#context.presence.went(this.#user.userId)
  }

  onDrain(): void {
    this.#out.onDrain()
  }

  onMessage(message: ArrayBuffer, isBinary: boolean) {
    this.#context.counters.framesIn++
    if (this.#out.closed || this.#leaving) return
    if (message.byteLength > frameBytesMax) return this.#tooLarge()
    if (isBinary) return this.#bad('Send text frames: JSON in UTF-8.')
    if (this.#phase === 'new' && message.byteLength > helloBytesMax) {
      return this.#bad(`The first frame is a hello of at most ${helloBytesMax} bytes.`)
    }
    let json: unknown
    try {
      json = jsonOf(message)
    } catch {
      return this.#bad('The frame is not JSON in UTF-8.')
    }
    if (this.#phase === 'new') return this.#onHello(json)
    const frame = frameOf(json)
    if (frame === undefined) return this.#bad('A frame is {op, id?, key?, args} and nothing else.')
    if (!this.#admit(frame)) return
    if (this.#phase === 'live') return this.#onFrame(frame)
    const detail = 'Wait for `synced` before the first command.'
    this.#replyTo(frame, errorText('sync.under-way', detail))
  }

  /** Writes everything that waits, in one piece. */
  flush(): void {
    const replies = this.#replies
    this.#replies = []
    this.#out.send(replies)
  }

  #tooLarge(): void {
    const detail = `A frame has at most ${frameBytesMax} bytes.`
    this.#giveUp(errorText('request.too-large', detail), 'tooLarge')
  }

  #bad(detail: string): void {
    this.#giveUp(errorText('frame.invalid', detail), 'badFrame')
  }

  /** A frame that nobody can answer under its id. */
  #giveUp(part: string, close: CloseName): void {
    this.flush()
    this.#send([`{${part}}`])
    this.end(close)
  }

  /** Counts a frame; one that is too fast is answered so, and in the end cut. */
  #admit(frame: Frame): boolean {
    if (!this.#context.rateLimits) return true
    const outcome = this.#rate.take(this.#context.node.clock.unixMs())
    if (outcome === 'cut') this.end('tooFast')
    if (outcome === 'refused') {
      const detail = `At most ${framesPerSecondMax} frames a second. Wait a moment.`
      this.#replyTo(frame, errorText('rate.limited', detail))
    }
    return outcome === 'taken'
  }

  #replyTo(frame: Frame, part: string) {
    if (frame.id === undefined || this.#out.closed) return
    this.#context.counters.framesOut++
    this.#replies.push(`{"re":${JSON.stringify(frame.id)},${part}}`)
    if (this.#replies.length === 1) this.#context.replySoon(this)
  }

  #onFrame(frame: Frame) {
    switch (frame.op) {
      case 'hello':
        return this.#replyTo(frame, errorText('frame.invalid', 'Send hello once, first.'))
      case 'typing':
        return this.#onTyping(frame)
      case 'open':
      case 'close':
        return this.#onOpenOrClose(frame)
      default: {
        const { dispatch } = this.#context
        const caller = { kind: 'user', ...(this.#device as Device) } as const
        this.#work(frame, () => dispatch(frame.op, { caller, address: this.#address, key: frame.key }, frame.args))
      }
    }
  }

  /** Works on a frame and replies with what comes of it; undefined: nobody is there any more. */
  #work(frame: Frame, work: () => Promise<string | undefined>) {
    if (this.#pending >= pendingPerSocketMax) {
      const detail = 'Wait for replies before sending more.'
      return this.#replyTo(frame, errorText('overloaded', detail))
    }
    this.#pending++
    work().then(
      part => {
        this.#pending--
        if (part !== undefined) this.#replyTo(frame, part)
        this.#leaveWhenDone()
      },
      error => {
        this.#pending--
        this.#context.onError(error, `frame ${frame.op}`)
        this.#replyTo(frame, errorText('internal', 'Something went wrong on the server. It has been logged.'))
        this.#leaveWhenDone()
      },
    )
  }

  #onTyping(frame: Frame) {
    const args = typingArgsOf(frame.args)
    const { node, rateLimits, signals } = this.#context
    const device = this.#device
    if (args === undefined || device === undefined) return
    if (rateLimits && !this.#rate.takeTyping(node.clock.unixMs())) return
    this.#work(frame, async () => {
      await signals.typing(device.userId, args.conversationId as ConversationId)
      return undefined
    })
  }

  #onOpenOrClose(frame: Frame) {
    const args = membersArgsOf(frame.args)
    if (args === undefined) {
      const detail = 'args: {collection: "members", groupId}.'
      return this.#replyTo(frame, errorText('request.invalid', detail))
    }
    const groupId = args.groupId as GroupId
    const { userId } = this.#device as Device
    const { topics } = this.#user as FollowedUser
    if (frame.op === 'open') {
      const socket = {
        userId,
        topics,
        send: (frames: readonly string[]) => this.#send(frames),
        sendAndDrain: (frames: readonly string[]) => this.#sendAndDrain(frames),
        subscribe: (topic: Topic) => this.subscribe(topic),
      }
      this.#opened ??= new Opened(this.#context)
      const opened = this.#opened
      return this.#work(frame, () => opened.open(socket, groupId))
    }
    this.unsubscribe(membersTopic(groupId))
    this.#replyTo(frame, '"ok":{}')
  }

  #onHello(json: unknown) {
    const hello = helloOf(json)
    if (hello === undefined) return this.#bad('The first frame is {op: "hello", id?, args: {token, cursor?}}.')
    this.#phase = 'hello'
    clearTimeout(this.#helloTimer)
    this.#helloTimer = undefined
    this.#greet(hello).catch(error => {
      this.#context.onError(error, 'hello')
      this.end('internal')
    })
  }

  async #greet(hello: Hello): Promise<void> {
    const { node, hub, authenticate, cursorPrefix } = this.#context
    if (node.behind) return this.end('behind')
    const device = await authenticate(hello.args.token, this.#address)
    if ('rejected' in device) return this.end(closeOf(device.rejected))
    this.#device = device
    const { cursor } = hello.args
    const since = await sinceOf(cursor, cursorPrefix, hub.whenRouted)
    if (this.#out.closed) return
    const user = hub.followed(device.userId)
    const replay = since === null || user === undefined ? undefined : replayFollowed(hub, user, since)
    if (replay === undefined) return this.#syncFromRows(hello.id, device, since)
    this.#context.counters.resumes++
    this.#welcome(hello.id, device, false)
    await this.#joinLive(replay)
  }

  async #syncFromRows(id: string | undefined, device: Device, since: Position | null): Promise<void> {
    const { turn: waiting, giveUp } = this.#context.syncTurns.wait()
    this.#giveUpTurn = giveUp
    const turn = await waiting
    this.#giveUpTurn = nothing
    try {
      if (turn === undefined) this.end('busy')
      else if (!this.#out.closed) await this.#syncInTurn(turn, id, device, since)
    } finally {
      turn?.leave()
    }
  }

  async #syncInTurn(turn: SyncTurn, id: string | undefined, device: Device, since: Position | null): Promise<void> {
    const { hub, node, readSnapshot, counters } = this.#context
    counters.syncs++
    // Whatever keeps the rows from being read passes: the device comes back later.
    const read = await readSince(readSnapshot, device.userId, since).catch(error => {
      this.#context.onError(error, 'the rows of a sync')
      return undefined
    })
    if (read === undefined) return this.end('behind')
    const { snapshot, reset } = read
    const takenByMs = node.clock.unixMs() + turn.hold(textsOf(snapshot))
    const isRouted = await hub.whenRouted(snapshot.position, catchUpMsMax)
    if (this.#out.closed) return
    const replay = isRouted ? replaySnapshot(hub, device.userId, snapshot) : undefined
    // Before the welcome: a device that is told to start over drops what it holds.
    if (replay === undefined) return this.end('behind')
    this.#welcome(id, device, reset)
    // Attached from here on: a session that ends during the sync is cut like a live one.
    this.#attach(replay.user)
    for (const collection of snapshot.collections) {
      for (const piece of pieces(collection)) {
        if (!(await this.#sendAndDrain([piece]))) return
        if (node.clock.unixMs() > takenByMs) return this.end('busy')
      }
    }
    turn.leave()
    await this.#joinLive(replay)
  }

  #welcome(id: string | undefined, device: Device, reset: boolean): void {
    this.#send([welcomeFrame(id ?? null, device, this.#context.node.clock.now(), reset)])
  }

  #attach(user: FollowedUser): void {
    if (this.#user !== undefined || this.#out.closed) return
    this.#openedAs = this.#context.signals.opened(user, this.sessionId)
    this.#user = user
    this.#context.hub.attach(user, this)
    this.#context.presence.came(user.userId)
  }

  /** Sends what was routed meanwhile, in pieces while it is much; the rest and the subscriptions in one turn. */
  async #joinLive(replay: Replay): Promise<void> {
    this.#attach(replay.user)
    let frames = replay.next()
    while (frames !== undefined && isMuch(frames)) {
      if (!(await this.#sendAndDrain(frames))) return
      frames = replay.next()
    }
    // The session may have ended while rows were read: its event was routed before this socket was attached.
    const device = this.#device as Device
    const valid = await this.#context.node.sessionIsValid(device.userId, device.sessionId)
    if (this.#out.closed) return
    if (!valid) return this.end('ended')
    const last = replay.next()
    if (frames === undefined || last === undefined) return this.end('behind')
    this.#send([...frames, ...last, syncedFrame(this.#context.cursorPrefix + this.#context.hub.position)])
    for (const topic of replay.user.topics) this.subscribe(topic)
    this.subscribe('all')
    this.#phase = 'live'
  }

  #send(frames: readonly string[]): void {
    this.#context.counters.framesOut += frames.length
    this.#out.send(frames)
  }

  #sendAndDrain(frames: readonly string[]): Promise<boolean> {
    this.#context.counters.framesOut += frames.length
    return this.#out.sendAndDrain(frames)
  }
}
