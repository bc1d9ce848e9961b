// Owns the life of a stand-in for EventStoreDB as a test sees it: start, faults, kill, restart on the same port and data.
// Never leaves a process behind: kill it at the end of the test; the parent's own end is its end too.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Order, Security } from './eventstoredb-stand-in.ts'

const program = fileURLToPath(new URL('./eventstoredb-stand-in.ts', import.meta.url))

/** Between two looks at the log's file. */
const lookPauseMs = 5

interface Running {
  readonly child: ChildProcess
  readonly port: number
}

/** A stand-in server on loopback, with data of its own. */
export class StandIn {
  readonly dataDir: string
  private running: Running
  private lastNumber = 0

  private constructor(dataDir: string, running: Running) {
    this.dataDir = dataDir
    this.running = running
  }

  /** @param security it speaks TLS, and lets nobody in but the one named there */
  static async start(security?: Security): Promise<StandIn> {
    const dataDir = await mkdtemp(join(tmpdir(), 'ledgerline-stand-in-'))
    if (security) await writeFile(join(dataDir, 'security.json'), JSON.stringify(security))
    return new StandIn(dataDir, await run(dataDir, 0))
  }

  /** `127.0.0.1:2113` */
  get address(): string {
    return `127.0.0.1:${this.running.port}`
  }

  get url(): string {
    return `esdb://${this.address}?tls=false`
  }

  /** Carries out a fault; resolves when it is in force. The answer is that of `count-reads`. */
  async order(order: Order): Promise<number | undefined> {
    const number = ++this.lastNumber
    const { child } = this.running
    child.send({ number, order })
    for (;;) {
      const [message] = (await once(child, 'message')) as [{ number: number; answer?: number }]
      if (message.number === number) return message.answer
    }
  }

  /** SIGKILL, in the middle of whatever it does. */
  async kill(): Promise<void> {
    const { child } = this.running
    if (child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }

  /** Resolves when its log has an event of the stream, seen from outside: whether it answers or not. */
  async hasWritten(stream: string): Promise<void> {
    const path = join(this.dataDir, 'log.jsonl')
    const sought = `"stream":${JSON.stringify(stream)}`
    while (!(await readFile(path, 'utf8')).includes(sought)) await delay(lookPauseMs)
  }

  /** Throws its data away; only while it is dead. */
  removeLog(): Promise<void> {
    return rm(join(this.dataDir, 'log.jsonl'))
  }

  /** The same port and data as before. */
  async restart(): Promise<void> {
    await this.kill()
    this.running = await run(this.dataDir, this.running.port)
  }

  /** SIGSTOP: the kernel still accepts connections for it. */
  freeze(): void {
    this.running.child.kill('SIGSTOP')
  }

  thaw(): void {
    this.running.child.kill('SIGCONT')
  }

  /** Kills it and removes its data. */
  async dispose(): Promise<void> {
    await this.kill()
    await rm(this.dataDir, { recursive: true, force: true })
  }
}

const run = async (dataDir: string, port: number): Promise<Running> => {
  const child = fork(program, [dataDir, String(port)], { execArgv: ['--import', 'tsx'] })
  const failed = once(child, 'exit').then(([code]) => {
    throw new Error(`the stand-in ended with code ${code} at its start`)
  })
  const [message] = (await Promise.race([once(child, 'message'), failed])) as [{ port: number }]
  failed.catch(() => undefined)
  return { child, port: message.port }
}
