// Owns how a command of the operator reaches the process that owns the data folder: a socket in that folder, one request a
// connection, lines of JSON both ways, all bounded. Only the folder's own user gets to it. Knows nothing of what is asked for.

import { rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join, relative } from 'node:path'
import type { Logger } from 'pino'
import { linesOf } from './lines.ts'

/** Tells whoever asked how it goes; resolves when there is room for more. */
export type Tell = (told: object) => Promise<void>

/** What a command asks for, done by the folder's owner or in the command's own process. Rejects with a message for people. */
export type Work = (asked: unknown, tell: Tell, signal: AbortSignal) => Promise<object>

export interface Control {
  /** Interrupts the work under way and answers nobody any more. */
  close(): Promise<void>
}

/** The socket cannot be made or used; the message says what to do. */
export class ControlError extends Error {
  readonly code = 'control'
}

type Answer = { readonly told: object } | { readonly done: object } | { readonly failed: string }

/** Most bytes in one line, of either side. */
const lineBytesMax = 262_144
/** Requests served at once. */
const connectionsMax = 8
/** How long a request may take to arrive. */
const requestMsMax = 10_000
/** Most bytes in the address of a socket; what the system cuts off would be another address. */
const addressBytesMax = 107
/** What nobody but the folder's own user gets. */
const forOthers = 0o177

const tooLong = () => new ControlError(`a line is longer than ${lineBytesMax} bytes`)

/** The shorter of the two ways to write it. @throws ControlError where both are too long */
const addressIn = (dataDir: string): string => {
  const whole = join(dataDir, 'control')
  const fromHere = relative(process.cwd(), whole)
  const address = fromHere.length < whole.length ? fromHere : whole
  if (Buffer.byteLength(address) <= addressBytesMax) return address
  throw new ControlError(
    `The path ${whole} has more than the ${addressBytesMax} bytes that the address of a socket may have. Choose a DATA_DIR with a shorter one, or start in that folder.`,
  )
}

const answerTo = async (socket: Socket, answer: Answer): Promise<void> => {
  if (socket.destroyed || socket.write(`${JSON.stringify(answer)}\n`)) return
  await new Promise<void>(resolve => {
    const go = () => {
      socket.off('drain', go).off('close', go)
      resolve()
    }
    socket.once('drain', go).once('close', go)
  })
}

const requestIn = (text: string): { command: string; asked: unknown } | undefined => {
  try {
    const { command, asked } = JSON.parse(text)
    return typeof command === 'string' ? { command, asked } : undefined
  } catch {
    return undefined
  }
}

/** One connection: its first line is the request; anything after it, and its end, end the work. */
const serve = async (socket: Socket, works: ReadonlyMap<string, Work>, logger: Logger): Promise<void> => {
  const gone = new AbortController()
  socket.on('close', () => gone.abort(new Error('whoever asked is gone'))).on('error', () => {})
  socket.setTimeout(requestMsMax, () => socket.destroy())
  const lines = linesOf(socket, lineBytesMax, tooLong)
  const first = await lines.next()
  if (first.done === true) return
  socket.setTimeout(0)
  lines.next().then(
    () => socket.destroy(),
    () => socket.destroy(),
  )
  const request = requestIn(first.value.text)
  const work = request && works.get(request.command)
  if (request === undefined || work === undefined) {
    await answerTo(socket, { failed: 'This service does not know what was asked for: is it of another version?' })
    return
  }
  const { command } = request
  logger.info({ command }, 'asked by a command of the operator')
  try {
    const done = await work(request.asked, told => answerTo(socket, { told }), gone.signal)
    await answerTo(socket, { done })
  } catch (error) {
    logger.warn({ err: error, command }, 'what was asked by a command of the operator failed')
    await answerTo(socket, { failed: (error as Error).message })
  }
}

const listening = (server: Server, address: string): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject).listen(address, () => {
      server.off('error', reject)
      resolve()
    })
  })

/**
 * Listens in a folder that this process owns: what lies there of an owner that was killed is nobody's.
 * @throws ControlError, or what the system says
 */
export const openControl = async (
  dataDir: string,
  works: Readonly<Record<string, Work>>,
  logger: Logger,
): Promise<Control> => {
  const address = addressIn(dataDir)
  const known = new Map(Object.entries(works))
  const sockets = new Map<Socket, Promise<void>>()
  const server = createServer(socket => {
    const served = serve(socket, known, logger)
      .catch(() => {})
      .finally(() => {
        sockets.delete(socket)
        socket.end()
      })
    sockets.set(socket, served)
  })
  server.maxConnections = connectionsMax
  rmSync(address, { force: true })
  // It is made with these rights: set afterwards, somebody could get in between.
  const before = process.umask(forOthers)
  const listens = listening(server, address)
  process.umask(before)
  await listens
  server.on('error', error => logger.error({ err: error }, 'the control socket'))
  return {
    close: async () => {
      const closed = new Promise(resolve => server.close(resolve))
      const served = [...sockets.values()]
      for (const socket of sockets.keys()) socket.destroy()
      await Promise.all(served)
      await closed
    },
  }
}

/** Connects to the owner of a folder; undefined when it has none that listens. */
const connected = (address: string): Promise<Socket | undefined> =>
  new Promise((resolve, reject) => {
    const socket = connect(address)
    socket.once('connect', () => resolve(socket))
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined)
      else reject(error)
    })
  })

export interface Asking {
  readonly dataDir: string
  readonly command: string
  readonly asked: unknown
  readonly tell: Tell
  readonly signal: AbortSignal
}

/**
 * Has the owner of the folder do it, and passes on what it tells.
 * @returns what it gave; undefined when no process that listens owns the folder: then the work is for the caller to do
 * @throws what the owner says, or the signal's reason
 */
export const askOwner = async ({ dataDir, command, asked, tell, signal }: Asking): Promise<object | undefined> => {
  const socket = await connected(addressIn(dataDir))
  if (socket === undefined) return undefined
  const ended = new ControlError('The service ended before it was done.')
  const leave = () => socket.destroy()
  signal.addEventListener('abort', leave)
  try {
    socket.write(`${JSON.stringify({ command, asked })}\n`)
    for await (const { text } of linesOf(socket, lineBytesMax, tooLong)) {
      const answer = JSON.parse(text) as Answer
      if ('done' in answer) return answer.done
      if ('failed' in answer) throw new ControlError(answer.failed)
      await tell(answer.told)
    }
    throw ended
  } catch (error) {
    signal.throwIfAborted()
    throw (error as NodeJS.ErrnoException).code === 'ECONNRESET' ? ended : error
  } finally {
    signal.removeEventListener('abort', leave)
    socket.destroy()
  }
}
