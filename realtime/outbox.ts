// Owns writing to one device's socket: frames in one write, waiting for a slow device, its end. Everything waiting is bounded.
// After `closed` no method of the uWS socket may be called: it throws.

import type { WebSocket } from 'uWebSockets.js'
import { byeFrame, type CloseName, closes, syncBufferBytes, type Topic } from './protocol.ts'

/** A device that does not drain in this time is given up. */
const drainMsMax = 30_000
/** What uWS answers when a frame was dropped because too much waits; the socket is cut then. */
const dropped = 2

export class Outbox<Data> {
  readonly #ws: WebSocket<Data>
  readonly #draining = new Set<() => void>()
  #closed = false

  constructor(ws: WebSocket<Data>) {
    this.#ws = ws
  }

  get closed(): boolean {
    return this.#closed
  }

  subscribe(topic: Topic): void {
    if (!this.#closed) this.#ws.subscribe(topic)
  }

  unsubscribe(topic: Topic): void {
    if (!this.#closed) this.#ws.unsubscribe(topic)
  }

  /** Sends frames in one write. When one is dropped the socket is cut, and the rest with it. */
  send(frames: readonly string[]): void {
    if (this.#closed) return
    const ws = this.#ws
    ws.cork(() => {
      for (const frame of frames) if (ws.send(frame) === dropped) return this.cut()
    })
  }

  /** @returns false when the socket is gone or the device does not drain */
  async sendAndDrain(frames: readonly string[]): Promise<boolean> {
    for (const frame of frames) {
      this.send([frame])
      if (this.#closed) return false
      if (this.#ws.getBufferedAmount() > syncBufferBytes && !(await this.#drain())) return false
    }
    return !this.#closed
  }

  /** Says goodbye and closes. */
  end(close: CloseName): void {
    if (this.#closed) return
    const ws = this.#ws
    ws.cork(() => {
      if (ws.send(byeFrame(close)) === dropped) this.cut()
      else ws.end(closes[close].code, closes[close].reason)
    })
  }

  /** Cuts at once, unsent bytes are lost: the device resumes by its cursor. */
  cut(): void {
    if (!this.#closed) this.#ws.close()
  }

  onClose(): void {
    this.#closed = true
    this.#tellDrained()
  }

  onDrain(): void {
    if (!this.#closed && this.#ws.getBufferedAmount() < syncBufferBytes) this.#tellDrained()
  }

  #tellDrained(): void {
    for (const tell of [...this.#draining]) tell()
  }

  async #drain(): Promise<boolean> {
    const inTime = await new Promise<boolean>(resolve => {
      const finish = (drained: boolean) => {
        clearTimeout(timer)
        this.#draining.delete(tell)
        resolve(drained)
      }
      const tell = () => finish(true)
      const timer = setTimeout(() => finish(false), drainMsMax)
      this.#draining.add(tell)
    })
    if (!inTime) this.cut()
    return inTime && !this.#closed
  }
}
