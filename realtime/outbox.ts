// Owns writing to one device's socket: frames in one write, waiting for a slow device, its end. Everything waiting is bounded.
// After the close no method of the uWS socket may be called: it throws. Where uWS tells of a dropped frame nothing may be
// called either: it is in the middle of its subscribers then, and a socket that goes away there takes the process with it.

import type { WebSocket } from 'uWebSockets.js'
import { type CloseName, closes } from '../domain/frames.ts'
import { byeFrame, syncBufferBytes, type Topic } from './protocol.ts'

/** A device that does not drain in this time is given up. */
const drainMsMax = 30_000
/** What uWS answers when a frame was dropped because too much waits. */
const dropped = 2

export class Outbox<Data> {
  readonly #ws: WebSocket<Data>
  /** Made when first needed: most sockets never wait, and there are many. */
  #draining: Set<() => void> | undefined
  #closed = false
  /** A frame is missing: nothing may come after it, so that the device resumes from the one before. */
  #isDropped = false

  constructor(ws: WebSocket<Data>) {
    this.#ws = ws
  }

  /** Nothing can be written any more. */
  get closed(): boolean {
    return this.#closed || this.#isDropped
  }

  subscribe(topic: Topic): void {
    if (!this.closed) this.#ws.subscribe(topic)
  }

  unsubscribe(topic: Topic): void {
    if (!this.closed) this.#ws.unsubscribe(topic)
  }

  /** Sends frames in one write. When one is dropped the socket is cut, and the rest with it. */
  send(frames: readonly string[]): void {
    if (this.closed || frames.length === 0) return
    const ws = this.#ws
    ws.cork(() => {
      for (const frame of frames) if (ws.send(frame) === dropped) return this.onDropped()
    })
  }

  /** @returns false when the socket is gone or the device does not drain */
  async sendAndDrain(frames: readonly string[]): Promise<boolean> {
    for (const frame of frames) {
      this.send([frame])
      if (this.closed) return false
      if (this.#ws.getBufferedAmount() > syncBufferBytes && !(await this.#drain())) return false
    }
    return !this.closed
  }

  /** Says goodbye and closes. */
  end(close: CloseName): void {
    if (this.closed) return
    const ws = this.#ws
    ws.cork(() => {
      if (ws.send(byeFrame(close, Math.random())) === dropped) this.onDropped()
      else ws.end(closes[close].code, closes[close].reason)
    })
  }

  /** Cuts at once, unsent bytes are lost: the device resumes by its cursor. */
  #cut(): void {
    if (!this.#closed) this.#ws.close()
  }

  /** uWS stops reading by itself then and ends the socket with its next event; this only makes sure. */
  onDropped(): void {
    if (this.closed) return
    this.#isDropped = true
    setImmediate(() => this.#cut())
  }

  onClose(): void {
    this.#closed = true
    this.#tellDrained()
  }

  onDrain(): void {
    if (!this.closed && this.#ws.getBufferedAmount() < syncBufferBytes) this.#tellDrained()
  }

  #tellDrained(): void {
    for (const tell of [...(this.#draining ?? [])]) tell()
  }

  async #drain(): Promise<boolean> {
    this.#draining ??= new Set()
    const draining = this.#draining
    const inTime = await new Promise<boolean>(resolve => {
      const finish = (drained: boolean) => {
        clearTimeout(timer)
        draining.delete(tell)
        resolve(drained)
      }
      const tell = () => finish(true)
      const timer = setTimeout(() => finish(false), drainMsMax)
      draining.add(tell)
    })
    if (!inTime) this.#cut()
    return inTime && !this.closed
  }
}
