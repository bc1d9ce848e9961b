// Owns a device of the load that calls operations by frames: prebuilt ones in turn, one in flight, answers told apart from other
// frames by their first bytes only.

import type { Tally } from './load-sender.ts'
import { frameOf, LoadSocket } from './load-socket.ts'

const letter = { e: 0x65, r: 0x72, s: 0x73, y: 0x79 }
/** Where `"ok"` or `"error"` begins in a reply to a frame whose id is one character. */
const outcomeAt = 11

export interface CallerOptions {
  readonly port: number
  readonly token: string
  /** JSON texts of whole frames, each with the id `0`. */
  readonly frames: readonly string[]
  readonly tally: Tally
}

export class Caller {
  readonly #socket: LoadSocket
  readonly #frames: readonly Buffer[]
  readonly #tally: Tally
  #next = 0
  #sentAtMs = 0
  #isRunning = false
  #openedResolve: () => void = () => {}
  readonly synced: Promise<void>

  constructor({ port, token, frames, tally }: CallerOptions) {
    this.#tally = tally
    this.#frames = frames.map(frameOf)
    this.#socket = new LoadSocket(port)
    this.synced = new Promise((resolve, reject) => {
      this.#openedResolve = resolve
      this.#socket.onClose = () => {
        if (this.#isRunning) this.#fail('the socket closed')
        reject(new Error('the socket closed before it was in sync'))
      }
    })
    this.#socket.onOpen = () => this.#socket.write(frameOf(`{"op":"hello","id":"h","args":{"token":"${token}"}}`))
    this.#socket.onFrame = (bytes, start, end) => this.#onFrame(bytes, start, end)
  }

  start(): void {
    this.#isRunning = true
    this.#call()
  }

  stop(): void {
    this.#isRunning = false
  }

  destroy(): void {
    this.#isRunning = false
    this.#socket.destroy()
  }

  #call(): void {
    this.#sentAtMs = performance.now()
    this.#socket.write(this.#frames[this.#next++ % this.#frames.length] as Buffer)
  }

  #onFrame(bytes: Buffer, start: number, end: number): void {
    if (bytes[start + 2] === letter.r && bytes[start + 3] === letter.e) {
      if (!this.#isRunning) return
      if (bytes[start + outcomeAt] === letter.e) this.#fail(bytes.toString('utf8', start, end))
      this.#tally.acks++
      this.#tally.onAck(performance.now() - this.#sentAtMs)
      this.#call()
    } else if (bytes[start + 7] === letter.s && bytes[start + 8] === letter.y) this.#openedResolve()
  }

  #fail(text: string): void {
    this.#tally.errors++
    if (this.#tally.firstError === '') this.#tally.firstError = text
  }
}
