// Owns the HTTP load: kept connections, one request in flight on each, prebuilt requests, answers cut by Content-Length only.

import { connect, type Socket } from 'node:net'
import type { Tally } from './load-sender.ts'

const headEnd = Buffer.from('\r\n\r\n')
const lengthField = /content-length: (\d+)/i

export interface GetterOptions {
  readonly url: string
  readonly token: string
  /** Asked for in turn. */
  readonly paths: readonly string[]
  readonly tally: Tally
}

export class Getter {
  readonly #requests: readonly Buffer[]
  readonly #port: number
  readonly #tally: Tally
  readonly #sockets: Socket[] = []
  #next = 0
  #isRunning = true

  constructor({ url, token, paths, tally }: GetterOptions) {
    const { host, port } = new URL(url)
    this.#port = Number(port)
    this.#tally = tally
    this.#requests = paths.map(path =>
      Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\n\r\n`),
    )
  }

  start(connections: number): void {
    for (let index = 0; index < connections; index++) this.#open()
  }

  stop(): void {
    this.#isRunning = false
    for (const socket of this.#sockets) socket.destroy()
  }

  #open(): void {
    const socket = connect({ host: '127.0.0.1', port: this.#port, noDelay: true })
    let sentAtMs = 0
    /** Bytes of the body that have still to come; negative while the head is not whole. */
    let missing = -1
    let held: Buffer = Buffer.alloc(0)
    const send = () => {
      if (!this.#isRunning) return
      sentAtMs = performance.now()
      missing = -1
      socket.write(this.#requests[this.#next++ % this.#requests.length] as Buffer)
    }
    const done = () => {
      this.#tally.onAck(performance.now() - sentAtMs)
      this.#tally.acks++
      send()
    }
    const onHead = (bytes: Buffer) => {
      held = held.length === 0 ? bytes : Buffer.concat([held, bytes])
      const end = held.indexOf(headEnd)
      if (end < 0) return
      const head = held.toString('latin1', 0, end)
      if (!head.startsWith('HTTP/1.1 200')) this.#fail(head.slice(0, 200))
      missing = Number(lengthField.exec(head)?.[1] ?? 0) - (held.length - end - headEnd.length)
      held = Buffer.alloc(0)
      if (missing === 0) done()
    }
    socket.on('connect', send)
    socket.on('data', bytes => {
      if (missing < 0) return onHead(bytes)
      missing -= bytes.length
      if (missing === 0) done()
    })
    socket.on('error', error => this.#fail(String(error)))
    this.#sockets.push(socket)
  }

  #fail(text: string): void {
    if (!this.#isRunning) return
    this.#tally.errors++
    if (this.#tally.firstError === '') this.#tally.firstError = text
  }
}
