// Owns one sending device of the load: so many messages in flight, the next one as soon as one is acknowledged.
// A message is a prebuilt frame in which only the slot's digit and the clientMessageId are written anew.

import { frameOf, LoadSocket } from './load-socket.ts'

const hex = '0123456789abcdef'
const digits = Uint8Array.from(hex, digit => digit.charCodeAt(0))
const quote = 0x22
const letter = { colon: 0x3a, m: 0x6d, o: 0x6f, p: 0x70, r: 0x72, s: 0x73, u: 0x75, y: 0x79 }
const fromField = Buffer.from('"from":"')
/** A slot is one character of a frame's id, from `0` on. */
const firstSlotCode = 48
/** Messages that one sender can have in flight. */
export const slotsMax = 40
const idPlaceholder = '00000000-0000-7000-8000-000000000000'

/** What all senders of the process count together. */
export interface Tally {
  /** Acknowledged sends. */
  acks: number
  /** Message frames that came to a socket other than the sender's. */
  deliveries: number
  errors: number
  firstError: string
  onAck: (latencyMs: number) => void
}

export interface SenderOptions {
  readonly port: number
  readonly token: string
  readonly userId: string
  readonly cursor?: string | undefined
  /** Where it sends to; undefined for a device that only listens. */
  readonly conversationId?: string | undefined
  readonly tally: Tally
}

export const sendText = 'sixty characters of text, which is about what people write.'

/** Distinct for every process and sender; the last 12 digits of the ids it makes. */
let madeIds = Math.floor(Math.random() * 0xffff) * 0x1_0000_0000

export class Sender {
  readonly #socket: LoadSocket
  readonly #tally: Tally
  readonly #template: Buffer
  readonly #idAt: number
  readonly #slotAt: number
  readonly #userId: Buffer
  #frames: Buffer
  #sentAtMs = new Float64Array(1)
  #freeSlots: number[] = []
  #isRunning = false
  #openedResolve: () => void = () => {}
  #syncedAtMs = 0
  #helloAtMs = 0
  #rowFrames = 0
  #fromAt = 4
  #cursor = ''
  inFlight = 0
  /** Keeps the slots full by itself; otherwise somebody calls `sendOne`. */
  closedLoop = true
  /** Resolves once it is in sync; rejects when it is closed before. */
  readonly synced: Promise<void>

  /** Why the server closed the socket. */
  #closedFor: string | undefined

  constructor(options: SenderOptions) {
    this.#tally = options.tally
    this.#userId = Buffer.from(options.userId)
    const body = `"type":"text","body":{"text":"${sendText}"}`
    const args = `"conversationId":"${options.conversationId ?? ''}","clientMessageId":"${idPlaceholder}",${body}`
    this.#template = frameOf(`{"op":"sendMessage","id":"0","args":{${args}}}`)
    this.#idAt = this.#template.indexOf(idPlaceholder)
    this.#slotAt = this.#template.indexOf('"id":"0"') + 6
    this.#frames = this.#template
    this.#socket = new LoadSocket(options.port)
    const cursor = options.cursor === undefined ? '' : `,"cursor":"${options.cursor}"`
    const hello = frameOf(`{"op":"hello","id":"h","args":{"token":"${options.token}"${cursor}}}`)
    this.synced = new Promise((resolve, reject) => {
      this.#openedResolve = resolve
      this.#socket.onClose = reason => {
        this.#closedFor = reason
        if (this.#isRunning) this.#fail(`the socket closed ${reason}`)
        reject(new Error('the socket closed before it was in sync'))
      }
    })
    this.#socket.onOpen = () => {
      this.#helloAtMs = performance.now()
      this.#socket.write(hello)
    }
    this.#socket.onFrame = (bytes, start, end) => this.#onFrame(bytes, start, end)
  }

  /** Milliseconds from hello to synced. */
  get syncMs(): number {
    return this.#syncedAtMs - this.#helloAtMs
  }

  /** Row and put frames that came before synced. */
  get rowFrames(): number {
    return this.#rowFrames
  }

  /** Of `synced`. */
  get cursor(): string {
    return this.#cursor
  }

  /** @param slots messages in flight, at most slotsMax */
  start(slots: number, closedLoop: boolean): void {
    if (this.#closedFor !== undefined) {
      this.#fail(`the socket closed ${this.#closedFor}`)
      return
    }
    this.#sentAtMs = new Float64Array(slots)
    this.#freeSlots = Array.from({ length: slots }, (_, slot) => slot)
    this.#frames = Buffer.concat(Array.from({ length: slots }, () => this.#template))
    this.#isRunning = true
    this.closedLoop = closedLoop
    if (closedLoop) this.#send(slots)
  }

  stop(): void {
    this.#isRunning = false
  }

  destroy(): void {
    this.#isRunning = false
    this.#socket.destroy()
  }

  /** @returns false when no slot is free */
  sendOne(): boolean {
    if (this.#freeSlots.length === 0) return false
    this.#send(1)
    return true
  }

  /** So many messages in one write. */
  #send(count: number): void {
    const length = this.#template.length
    const nowMs = performance.now()
    const unixMs = Date.now()
    for (let index = 0; index < count; index++) {
      const slot = this.#freeSlots.pop() as number
      this.#sentAtMs[slot] = nowMs
      this.#frames[index * length + this.#slotAt] = firstSlotCode + slot
      this.#writeId(index * length + this.#idAt, unixMs)
    }
    this.inFlight += count
    this.#socket.write(this.#frames.subarray(0, count * length))
    // While the kernel has not taken these bytes they must not change.
    if (this.#socket.waitingBytes > 0) this.#frames = Buffer.from(this.#frames)
  }

  #writeId(at: number, unixMs: number): void {
    let rest = unixMs
    for (let place = 12; place >= 0; place--) {
      if (place === 8) continue
      this.#frames[at + place] = digits[rest % 16] as number
      rest = Math.floor(rest / 16)
    }
    let made = ++madeIds
    for (let place = 35; place >= 24; place--) {
      this.#frames[at + place] = digits[made % 16] as number
      made = Math.floor(made / 16)
    }
  }

  #onFrame(bytes: Buffer, start: number, end: number): void {
    // Replies begin {"re":"…  and all other frames {"op":"…
    if (bytes[start + 2] === letter.r) this.#onReply(bytes, start, end)
    else if (bytes[start + 7] === letter.s && bytes[start + 8] === letter.y) this.#onSynced(bytes, start, end)
    else if (this.#syncedAtMs === 0) this.#rowFrames++
    else if (bytes[start + 7] === letter.p && bytes[start + 8] === letter.u) this.#onPut(bytes, start, end)
  }

  #onSynced(bytes: Buffer, start: number, end: number): void {
    const text = bytes.toString('latin1', start, end)
    this.#cursor = /"cursor":"([^"]+)"/.exec(text)?.[1] ?? ''
    this.#syncedAtMs = performance.now()
    this.#openedResolve()
  }

  #onReply(bytes: Buffer, start: number, end: number): void {
    const slot = (bytes[start + 7] as number) - firstSlotCode
    if (slot < 0 || slot >= slotsMax) {
      if (bytes.toString('latin1', start, end).includes('"error"')) this.#fail(bytes.toString('utf8', start, end))
      return
    }
    this.inFlight--
    this.#freeSlots.push(slot)
    if (bytes[start + 11] === letter.o) {
      this.#tally.acks++
      this.#tally.onAck(performance.now() - (this.#sentAtMs[slot] as number))
    } else this.#fail(bytes.toString('utf8', start, end))
    // What came together is answered together.
    if (this.closedLoop && this.#isRunning && this.#freeSlots.length === 1) queueMicrotask(() => this.#sendMore())
  }

  #sendMore(): void {
    if (this.#isRunning && this.#freeSlots.length > 0) this.#send(this.#freeSlots.length)
  }

  #fail(text: string): void {
    this.#tally.errors++
    if (this.#tally.firstError === '') this.#tally.firstError = text
  }

  /** A message counts as delivered when another one has sent it. */
  #onPut(bytes: Buffer, start: number, end: number): void {
    let at = start + this.#fromAt
    if (bytes[at - 1] !== quote || bytes[at - 2] !== letter.colon || bytes[at - 4] !== letter.m) {
      // The place moves when seq grows by a digit.
      at = bytes.indexOf(fromField, start + 60) + fromField.length
      if (at < fromField.length || at >= end) return
      this.#fromAt = at - start
    }
    const id = this.#userId
    for (let index = id.length - 1; index >= 0; index--) {
      if (bytes[at + index] !== id[index]) {
        this.#tally.deliveries++
        return
      }
    }
  }
}
