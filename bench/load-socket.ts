// Owns one socket of the load: the cheapest WebSocket client that still takes part honestly. Frames are masked with a zero key
// (the server unmasks all the same), received bytes are walked frame by frame and never parsed as JSON.

import { connect, type Socket } from 'node:net'

/** One buffer for all sockets of the process: what is read is walked before the next read. */
const readBuffer = Buffer.allocUnsafe(256 * 1_024)
const handshakeEnd = Buffer.from('\r\n\r\n')

/** Gets each text frame as a range of bytes that is valid during the call only. */
export type OnFrame = (bytes: Buffer, start: number, end: number) => void

/** A frame of the client, masked with a zero key. */
export const frameOf = (text: string): Buffer => {
  const payload = Buffer.from(text)
  const extra = payload.length < 126 ? 0 : 2
  const frame = Buffer.alloc(2 + extra + 4 + payload.length)
  frame[0] = 0x81
  frame[1] = 0x80 | (extra === 0 ? payload.length : 126)
  if (extra === 2) frame.writeUInt16BE(payload.length, 2)
  payload.copy(frame, 6 + extra)
  return frame
}

/** Bytes of the frame that begins here, as far as can be told: at least those of its header. */
const bytesOf = (frame: Buffer): number => {
  if (frame.length < 2) return 2
  const short = frame[1] as number
  const header = short === 127 ? 10 : short === 126 ? 4 : 2
  if (frame.length < header) return header
  return header + (short === 127 ? frame.readUInt32BE(6) : short === 126 ? frame.readUInt16BE(2) : short)
}

export class LoadSocket {
  readonly #socket: Socket
  readonly #request: Buffer
  #held: Buffer | undefined
  #isOpen = false
  #closeReason = ''
  onFrame: OnFrame = () => {}
  onOpen: () => void = () => {}
  /** Gets the reason that the server gave; empty when the connection just ended. */
  onClose: (reason: string) => void = () => {}

  constructor(port: number) {
    this.#request = Buffer.from(
      `GET /v1/realtime HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    )
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (length: number) => {
          this.#take(readBuffer.subarray(0, length))
          return true
        },
      },
    })
    this.#socket.once('connect', () => this.#socket.write(this.#request))
    this.#socket.on('error', () => {})
    this.#socket.once('close', () => this.onClose(this.#closeReason))
  }

  /** The bytes must stay as they are unless everything was written at once. */
  write(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  /** Bytes that the kernel has not taken yet. */
  get waitingBytes(): number {
    return this.#socket.writableLength
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #take(read: Buffer): void {
    const from = this.#isOpen ? this.#complete(read) : this.#upgrade(read)
    if (from < 0) return
    const at = this.#walk(read, from)
    this.#held = at < read.length ? Buffer.from(read.subarray(at)) : undefined
  }

  /** Reads the answer to the upgrade. @returns where frames begin, -1 while it is not whole */
  #upgrade(read: Buffer): number {
    const before = this.#held?.length ?? 0
    const head = this.#held === undefined ? read : Buffer.concat([this.#held, read])
    const end = head.indexOf(handshakeEnd)
    if (end < 0) {
      this.#held = Buffer.from(head)
      return -1
    }
    if (head.toString('latin1', 9, 12) !== '101') throw new Error(`upgrade refused: ${head.toString('latin1', 0, end)}`)
    this.#isOpen = true
    this.#held = undefined
    this.onOpen()
    return end + handshakeEnd.length - before
  }

  /** Finishes the frame that was cut by the last read, copying no more than its rest. @returns where the next one begins */
  #complete(read: Buffer): number {
    let held = this.#held
    let from = 0
    while (held !== undefined) {
      const missing: number = bytesOf(held) - held.length
      if (missing <= 0) {
        this.#walk(held, 0)
        break
      }
      if (from === read.length) {
        this.#held = held
        return -1
      }
      const to: number = Math.min(read.length, from + missing)
      held = Buffer.concat([held, read.subarray(from, to)])
      from = to
    }
    this.#held = undefined
    return from
  }

  #walk(bytes: Buffer, from: number): number {
    let at = from
    while (at + 2 <= bytes.length) {
      const first = bytes[at] as number
      const short = bytes[at + 1] as number
      let start = at + 2
      let length = short
      if (short === 126) {
        if (at + 4 > bytes.length) break
        length = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)
        start = at + 4
      } else if (short === 127) {
        if (at + 10 > bytes.length) break
        length = bytes.readUInt32BE(at + 6)
        start = at + 10
      }
      if (start + length > bytes.length) break
      if (first === 0x81) this.onFrame(bytes, start, start + length)
      // A ping without an answer ends the connection.
      else if (first === 0x89) this.#socket.write(Buffer.from([0x8a, 0x80, 0, 0, 0, 0]))
      // After two bytes of a code.
      else if (first === 0x88) this.#closeReason = bytes.toString('utf8', start + 2, start + length)
      at = start + length
    }
    return at
  }
}
