// Owns a WebSocket client for tests, straight on TCP (RFC 6455): it can also do what a well-behaved client never does.
// Every wait is bounded. Knows nothing of the product's frames beyond that text frames hold JSON.

import { hash, randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'

/** One frame as it goes over the wire, from the client, so masked. */
export interface FrameOptions {
  /** 0 continuation, 1 text, 2 binary, 8 close, 9 ping, 10 pong. */
  readonly opcode: number
  readonly payload: Uint8Array
  /** False for all but the last part of a message. */
  readonly final?: boolean
  /** What the header says about the length; the payload's own unless given. */
  readonly declaredBytes?: number
  readonly masked?: boolean
}

export interface RawSocketOptions {
  readonly port: number
  readonly host?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface SocketClosed {
  /** 1006 when the connection ended without a close frame. */
  readonly code: number
  readonly reason: string
}

/** A frame of the server: JSON, always an object. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into frames of every form
export type ServerFrame = any

export interface RawSocket {
  sendText(text: string): void
  sendJson(value: unknown): void
  sendBinary(bytes: Uint8Array): void
  /** Writes bytes as they are; see `encodeFrame`. */
  sendFrame(raw: Uint8Array): void
  /** Writes bytes a few at a time, one piece each turn of the event loop. */
  sendSlowly(raw: Uint8Array, pieceBytes: number): Promise<void>
  /** The next JSON frame in order of arrival. @throws when none comes in time or the socket is closed */
  next(timeoutMs?: number): Promise<ServerFrame>
  /** Frames up to and including the first that fits; the others are given as well. */
  nextUntil(fits: (frame: ServerFrame) => boolean, timeoutMs?: number): Promise<readonly ServerFrame[]>
  /** Frames that have come and nobody has taken. */
  readonly waiting: readonly ServerFrame[]
  /** Stops reading from the connection, as a device that is too slow. */
  pause(): void
  resume(): void
  /** Says goodbye as RFC 6455 asks for. */
  close(code?: number): void
  /** Cuts the connection. */
  destroy(): void
  readonly closed: Promise<SocketClosed>
}

/** The server answered the upgrade with something else. */
export class UpgradeRefused extends Error {
  readonly status: number
  constructor(status: number, head: string) {
    super(`the upgrade was answered with ${status}: ${head}`)
    this.status = status
  }
}

const waitMsMax = 45_000
const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const connectionLost: SocketClosed = { code: 1006, reason: '' }

const lengthBytes = (bytes: number): Buffer => {
  if (bytes < 126) return Buffer.from([bytes])
  const header = Buffer.alloc(bytes < 65_536 ? 3 : 9)
  if (bytes < 65_536) {
    header[0] = 126
    header.writeUInt16BE(bytes, 1)
  } else {
    header[0] = 127
    header.writeBigUInt64BE(BigInt(bytes), 1)
  }
  return header
}

/** A client's frame, masked unless told otherwise. */
export const encodeFrame = ({ opcode, payload, final, declaredBytes, masked }: FrameOptions): Buffer => {
  const length = lengthBytes(declaredBytes ?? payload.length)
  const first = Buffer.from([(final === false ? 0 : 0x80) | opcode])
  if (masked === false) return Buffer.concat([first, length, payload])
  length[0] = (length[0] as number) | 0x80
  const mask = randomBytes(4)
  const body = Buffer.from(payload)
  for (let at = 0; at < body.length; at++) body[at] = (body[at] as number) ^ (mask[at % 4] as number)
  return Buffer.concat([first, length, mask, body])
}

interface Incoming {
  readonly final: boolean
  readonly opcode: number
  readonly payload: Buffer
}

/** Cuts what has come into frames; keeps the rest for later. */
const frameParser = () => {
  let chunks: Buffer[] = []
  let held = 0
  const whole = (): Buffer => {
    if (chunks.length > 1) chunks = [Buffer.concat(chunks)]
    return chunks[0] ?? Buffer.alloc(0)
  }
  const take = (): Incoming | undefined => {
    if (held < 2) return undefined
    const bytes = whole()
    const short = (bytes[1] as number) & 0x7f
    const headerBytes = short === 126 ? 4 : short === 127 ? 10 : 2
    if (held < headerBytes) return undefined
    const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short
    if (held < headerBytes + length) return undefined
    const first = bytes[0] as number
    const payload = bytes.subarray(headerBytes, headerBytes + length)
    chunks = [bytes.subarray(headerBytes + length)]
    held -= headerBytes + length
    return { final: (first & 0x80) !== 0, opcode: first & 0x0f, payload }
  }
  return {
    push: (chunk: Buffer): Incoming[] => {
      chunks.push(chunk)
      held += chunk.length
      const frames: Incoming[] = []
      for (let frame = take(); frame !== undefined; frame = take()) frames.push(frame)
      return frames
    },
  }
}

/** Sends the request of the upgrade and reads the head of the answer; gives what came after it. */
const upgrade = (socket: Socket, options: RawSocketOptions): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const key = randomBytes(16).toString('base64')
    const lines = [
      `GET ${options.path} HTTP/1.1`,
      `Host: ${options.host ?? '127.0.0.1'}:${options.port}`,
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Key: ${key}`,
      'Sec-WebSocket-Version: 13',
      ...Object.entries(options.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
    ]
    let received = Buffer.alloc(0)
    const finish = (act: () => void) => {
      clearTimeout(timer)
      socket.off('data', onData)
      socket.off('close', onClose)
      act()
    }
    const onData = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      const end = received.indexOf('\r\n\r\n')
      if (end < 0) return
      const head = received.subarray(0, end).toString('latin1')
      const status = Number(head.split(' ')[1])
      const accept = hash('sha1', key + guid, 'base64')
      if (status !== 101) return finish(() => reject(new UpgradeRefused(status, head)))
      if (!head.includes(accept)) return finish(() => reject(new Error('the upgrade was accepted with a wrong key')))
      finish(() => resolve(received.subarray(end + 4)))
    }
    const onClose = () => finish(() => reject(new UpgradeRefused(0, 'the connection was closed')))
    const timer = setTimeout(() => finish(() => reject(new Error('the upgrade was not answered'))), waitMsMax)
    socket.on('data', onData)
    socket.on('close', onClose)
    socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  })

/** Connects and upgrades. @throws UpgradeRefused */
export const openRawSocket = async (options: RawSocketOptions): Promise<RawSocket> => {
  const socket = connect({ port: options.port, host: options.host ?? '127.0.0.1', noDelay: true })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  // A reset is told by `close`; without a listener it would end the process.
  socket.on('error', () => {})
  try {
    return rawSocketOver(socket, await upgrade(socket, options))
  } catch (error) {
    socket.destroy()
    throw error
  }
}

const rawSocketOver = (socket: Socket, early: Buffer): RawSocket => {
  const parser = frameParser()
  const frames: ServerFrame[] = []
  let parts: Buffer[] = []
  let told: SocketClosed | undefined
  let isClosed = false
  let awaiting: (() => void) | undefined

  const onFrame = ({ opcode, payload, final }: Incoming) => {
    if (opcode === 8) {
      told = {
        code: payload.length >= 2 ? payload.readUInt16BE(0) : 1005,
        reason: payload.subarray(2).toString(),
      }
      socket.end(encodeFrame({ opcode: 8, payload }))
    } else if (opcode === 9) socket.write(encodeFrame({ opcode: 10, payload }))
    else if (opcode < 8) {
      parts.push(payload)
      if (!final) return
      frames.push(JSON.parse(Buffer.concat(parts).toString()))
      parts = []
      awaiting?.()
    }
  }
  const onData = (chunk: Buffer) => {
    for (const frame of parser.push(chunk)) onFrame(frame)
  }
  const closed = new Promise<SocketClosed>(resolve => {
    socket.on('close', () => {
      isClosed = true
      awaiting?.()
      resolve(told ?? connectionLost)
    })
  })
  socket.on('data', onData)
  if (early.length > 0) onData(early)

  const next = async (timeoutMs = waitMsMax): Promise<ServerFrame> => {
    if (frames.length === 0 && !isClosed) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, timeoutMs)
        awaiting = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      awaiting = undefined
    }
    const frame = frames.shift()
    if (frame !== undefined) return frame
    throw new Error(isClosed ? `the socket is closed: ${JSON.stringify(told ?? connectionLost)}` : 'no frame came')
  }

  return {
    sendText: text => socket.write(encodeFrame({ opcode: 1, payload: Buffer.from(text) })),
    sendJson: value => socket.write(encodeFrame({ opcode: 1, payload: Buffer.from(JSON.stringify(value)) })),
    sendBinary: bytes => socket.write(encodeFrame({ opcode: 2, payload: bytes })),
    sendFrame: raw => socket.write(raw),
    sendSlowly: async (raw, pieceBytes) => {
      for (let at = 0; at < raw.length && !isClosed; at += pieceBytes) {
        socket.write(raw.subarray(at, at + pieceBytes))
        await new Promise(resolve => setImmediate(resolve))
      }
    },
    next,
    nextUntil: async (fits, timeoutMs) => {
      const found: ServerFrame[] = []
      for (;;) {
        const frame = await next(timeoutMs)
        found.push(frame)
        if (fits(frame)) return found
      }
    },
    waiting: frames,
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    close: (code = 1000) => {
      const payload = Buffer.alloc(2)
      payload.writeUInt16BE(code)
      socket.write(encodeFrame({ opcode: 8, payload }))
    },
    destroy: () => socket.destroy(),
    closed,
  }
}
