// Owns the front door of the stand-in for EventStoreDB: a TCP proxy that can be deaf (it accepts, and passes nothing on) and
// can reset or strand what is connected. What went into a deaf proxy is passed on when it hears again, as a network would.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Proxy {
  readonly port: number
  deaf(isDeaf: boolean): void
  /** Nothing passes on the connections there are, ever again, and nobody is told; new ones are well. */
  strand(): void
  /** Ends every connection with a TCP reset. */
  reset(): void
}

/** Listens on loopback and passes everything on to a port there. */
export const startProxy = async (port: number, targetPort: number): Promise<Proxy> => {
  const sockets = new Set<Socket>()
  let isDeaf = false

  const keep = (socket: Socket, other: Socket) => {
    sockets.add(socket)
    socket.setNoDelay(true)
    // Either side's end is the end of both; a reset is no news here.
    socket.on('error', () => undefined)
    socket.on('close', () => {
      sockets.delete(socket)
      other.destroy()
    })
    socket.on('data', chunk => {
      if (!other.write(chunk)) {
        socket.pause()
        other.once('drain', () => !isDeaf && sockets.has(socket) && socket.resume())
      }
    })
    if (isDeaf) socket.pause()
  }

  const server = createServer(client => {
    const target = connect(targetPort, '127.0.0.1')
    keep(client, target)
    keep(target, client)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    deaf: wanted => {
      isDeaf = wanted
      for (const socket of sockets) {
        if (isDeaf) socket.pause()
        else socket.resume()
      }
    },
    strand: () => {
      for (const socket of sockets) socket.pause()
      sockets.clear()
    },
    reset: () => {
      for (const socket of sockets) socket.resetAndDestroy()
    },
  }
}
