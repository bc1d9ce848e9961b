// Owns what HTTP answers while the server is still starting: alive, but not ready, and what it waits for.
// Holds the port from the first moment on, so that a port in use is known before anything is opened.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { errorTable, problemOf, refuse } from './errors.ts'
import { problemType } from './http-errors.ts'

export interface StartingServer {
  readonly port: number
  close(): Promise<void>
}

/** The port cannot be had; the message says what to do. */
export class PortError extends Error {
  readonly code = 'port'
}

/** Of a host that is none of this machine's. */
const noAddressCodes: ReadonlySet<unknown> = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EADDRNOTAVAIL', 'EINVAL'])

/** Why a server cannot listen, in words that say what to do. */
export const portError = (error: unknown, host: string, port: number, variable: string): PortError => {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const where = `Port ${port} on ${host}`
  const other = `set ${variable} to another port`
  if (code === 'EADDRINUSE')
    return new PortError(`${where} is in use by another program. Stop that program, or ${other}.`)
  if (code === 'EACCES') return new PortError(`${where} may not be opened by this user: ${other}, above 1023.`)
  if (noAddressCodes.has(code)) {
    return new PortError(`${host} is no address of this machine (${code}). Set HOST to one, or to 0.0.0.0 for all.`)
  }
  return new PortError(`${where} cannot be opened (${code ?? error}): ${other}.`)
}

/** Answers until `close`: /healthz that the process lives, everything else 503 with what is waited for. @throws PortError */
export const startStarting = (
  host: string,
  port: number,
  waitingFor: () => readonly string[],
): Promise<StartingServer> => {
  const server = createServer((request, response) => {
    const alive = request.url === '/healthz'
    const refusal = refuse('store.unavailable', `Starting. Waiting for: ${waitingFor().join(', ')}.`, {
      waitingFor: waitingFor(),
    })
    const status = alive ? 200 : errorTable[refusal.rejected].status
    response.writeHead(status, {
      'content-type': alive ? 'application/json' : problemType,
      connection: 'close',
      ...(alive ? undefined : { 'retry-after': '1' }),
    })
    response.end(JSON.stringify(alive ? { status: 'ok' } : problemOf(refusal)))
  })
  return new Promise((resolve, reject) => {
    server.once('error', error => reject(portError(error, host, port, 'HTTP_PORT')))
    server.listen(port, host, () => {
      resolve({
        port: (server.address() as AddressInfo).port,
        close: () =>
          new Promise(done => {
            server.close(() => done())
            server.closeAllConnections()
          }),
      })
    })
  })
}
