// Owns running the real server as a process of its own, for tests and benches that must kill it or measure it.
// Ready is what `/readyz` says. Keeps what the server wrote, so that a failure can be explained.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { freePort } from './free-port.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** The flags for node and the program that `npm start` runs: what is tested and measured is what is run. */
const { scripts } = createRequire(import.meta.url)('../../package.json') as { scripts: { start: string } }
const startWords = scripts.start.split(' ').slice(1)
const readyMsMax = 60_000
const readyPollMs = 20
const stopMsMax = 60_000
const outputCharactersMax = 200_000

export interface ServerProcessOptions {
  /** Variables of the server; ports are free ones unless given. */
  readonly environment: Readonly<Record<string, string>>
  /** For node, before the script: `--cpu-prof`. */
  readonly nodeOptions?: readonly string[]
  /** For the server, after the script: `--help`. */
  readonly parameters?: readonly string[]
  readonly readyMsMax?: number
}

export interface ServerProcess {
  readonly pid: number
  /** `http://127.0.0.1:8080` */
  readonly httpUrl: string
  /** `ws://127.0.0.1:8081/v1/realtime` */
  readonly realtimeUrl: string
  /** What it has written so far, bounded, the newest last. */
  output(): string
  /** Resolves with code or signal once the process is gone. */
  readonly exited: Promise<string>
  /** SIGTERM, and SIGKILL when that takes too long. */
  stop(): Promise<void>
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
}

/** The server did not come up; the message ends with what it wrote. */
export class ServerNotReady extends Error {}

const captured = (child: ChildProcess): (() => string) => {
  let text = ''
  const take = (chunk: Buffer) => {
    text = (text + chunk).slice(-outputCharactersMax)
  }
  child.stdout?.on('data', take)
  child.stderr?.on('data', take)
  return () => text
}

const isReady = async (httpUrl: string): Promise<boolean> => {
  try {
    const response = await fetch(`${httpUrl}/readyz`, { signal: AbortSignal.timeout(5_000) })
    await response.arrayBuffer()
    return response.status === 200
  } catch {
    // It does not listen yet.
    return false
  }
}

const whenReady = async (httpUrl: string, gone: Promise<string>, timeoutMs: number): Promise<void> => {
  const untilMs = Date.now() + timeoutMs
  let ended: string | undefined
  void gone.then(how => {
    ended = how
  })
  while (!(await isReady(httpUrl))) {
    if (ended !== undefined) throw new Error(`the server ended (${ended}) before it was ready`)
    if (Date.now() > untilMs) throw new Error(`not ready within ${timeoutMs} ms`)
    await new Promise(resolve => setTimeout(resolve, readyPollMs))
  }
}

/** A server that may never get ready. */
export interface LaunchedProcess extends ServerProcess {
  /** Resolves when `/readyz` says so. @throws ServerNotReady, and the process is gone */
  whenReady(): Promise<void>
  /** SIGTERM; resolves with code or signal. */
  terminate(): Promise<string>
}

/** Starts the program that `npm run build` made of `main.ts`. */
export const launchServerProcess = async (options: ServerProcessOptions): Promise<LaunchedProcess> => {
  const environment: Record<string, string> = {
    PATH: process.env.PATH ?? '',
    HTTP_PORT: String(await freePort()),
    REALTIME_PORT: String(await freePort()),
    ...options.environment,
  }
  const { nodeOptions = [], parameters = [] } = options
  const child = spawn(process.execPath, [...nodeOptions, ...startWords, ...parameters], {
    cwd: root,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = captured(child)
  const killNow = () => {
    child.kill('SIGKILL')
  }
  // Whoever started it must not leave it behind.
  process.on('exit', killNow)
  // Not at its exit: what it wrote last may still be on its way.
  const gone = once(child, 'close').then(([code, signal]) => {
    process.off('exit', killNow)
    return String(signal ?? code)
  })
  const kill = async () => {
    killNow()
    await gone
  }
  const terminate = async () => {
    child.kill('SIGTERM')
    const timer = setTimeout(killNow, stopMsMax)
    const how = await gone
    clearTimeout(timer)
    return how
  }
  const httpUrl = `http://127.0.0.1:${environment.HTTP_PORT}`
  const realtimeUrl = `ws://127.0.0.1:${environment.REALTIME_PORT}/v1/realtime`
  return {
    pid: child.pid as number,
    httpUrl,
    realtimeUrl,
    output,
    exited: gone,
    stop: async () => {
      await terminate()
    },
    kill,
    terminate,
    whenReady: async () => {
      try {
        await whenReady(httpUrl, gone, options.readyMsMax ?? readyMsMax)
      } catch (error) {
        await kill()
        throw new ServerNotReady(`${(error as Error).message}\n${output()}`)
      }
    },
  }
}

/** Starts `main.ts` and resolves when it is ready. @throws ServerNotReady */
export const startServerProcess = async (options: ServerProcessOptions): Promise<ServerProcess> => {
  const launched = await launchServerProcess(options)
  await launched.whenReady()
  return launched
}
