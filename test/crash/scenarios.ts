// Owns what is done to the server in each scenario, and what it runs on. Each fault leaves everything running again.

import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { postgresBinaries, startPostgres } from '../support/postgres.ts'
import { StandIn } from '../support/stand-in-process.ts'
import type { Random } from './random.ts'

/** What a fault may do to the server. */
export interface Victim {
  /** SIGKILL, then the same server again; `between` runs while it is dead. */
  crash(between?: () => Promise<void> | void): Promise<void>
  /** Whether the process has ended by itself, which no fault may cause. */
  mustLive(): void
  /** Resolves once a send was answered with this code. */
  whenRefused(code: string, timeoutMs: number): Promise<void>
  /** Sends one message from a device that does nothing else. @throws Error when it is not acknowledged in time */
  mustSend(timeoutMs: number): Promise<void>
}

export interface Scenario {
  /** What it ran on; kept when something failed, unless it is a disk of its own. */
  readonly dataDir: string
  readonly environment: Readonly<Record<string, string>>
  /** One round. */
  fault(victim: Victim, random: Random): Promise<string>
  end(keep: boolean): Promise<void>
}

/** A scenario cannot run here; the message says why. */
export class CannotRun extends Error {}

const freezeMs = 10_000
const mebibyte = 1_048_576
const diskMebibytes = 320
const recoverMsMax = 60_000
/** A send that nothing stands in the way of. */
const sendMsMax = 5_000

const withFolder = () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'ledgerline-crash-'))
  const remove = (keep: boolean) => {
    if (!keep) rmSync(dataDir, { recursive: true, force: true })
  }
  return { dataDir, remove }
}

const kill = async (): Promise<Scenario> => {
  const { dataDir, remove } = withFolder()
  return {
    dataDir,
    environment: { DATA_DIR: dataDir },
    fault: async victim => {
      await victim.crash()
      return 'killed'
    },
    end: async keep => remove(keep),
  }
}

const readModelsDeleted = async (): Promise<Scenario> => {
  const { dataDir, remove } = withFolder()
  return {
    dataDir,
    environment: { DATA_DIR: dataDir },
    fault: async victim => {
      await victim.crash(() => rmSync(join(dataDir, 'readmodels'), { recursive: true, force: true }))
      return 'killed, read models deleted'
    },
    end: async keep => remove(keep),
  }
}

const eventStoreDb = async (): Promise<Scenario> => {
  const { dataDir, remove } = withFolder()
  const standIn = await StandIn.start()
  const faults: readonly ((victim: Victim) => Promise<string>)[] = [
    async () => {
      await standIn.kill()
      await pause(500)
      await standIn.restart()
      return 'event store killed'
    },
    async () => {
      await standIn.order({ name: 'reset' })
      return 'connections of the event store reset'
    },
    async () => {
      standIn.freeze()
      await pause(freezeMs)
      standIn.thaw()
      return 'event store frozen for 10 s'
    },
    async victim => {
      await victim.crash()
      return 'server killed'
    },
  ]
  let round = 0
  return {
    dataDir,
    environment: { DATA_DIR: dataDir, EVENTSTORE_URL: standIn.url },
    fault: async victim => {
      const done = await (faults[round++ % faults.length] as (victim: Victim) => Promise<string>)(victim)
      victim.mustLive()
      await victim.mustSend(recoverMsMax)
      return done
    },
    end: async keep => {
      await standIn.dispose()
      remove(keep)
    },
  }
}

const postgres = async (): Promise<Scenario> => {
  if (postgresBinaries() === undefined) throw new CannotRun('Postgres is not installed: apt-get install postgresql')
  const { dataDir, remove } = withFolder()
  const database = await startPostgres()
  return {
    dataDir,
    environment: { DATA_DIR: dataDir, DATABASE_URL: database.url },
    fault: async (victim, random) => {
      const mode = random.pick(['fast', 'immediate'] as const)
      const downMs = random.between(100, 4_000)
      const crashes = random.chance(0.3)
      // Makes sure that the one who sends without Postgres is connected before.
      await victim.mustSend(recoverMsMax)
      database.halt(mode)
      await pause(downMs)
      // Messages go on without Postgres.
      await victim.mustSend(sendMsMax)
      if (crashes) await victim.crash(() => database.resume())
      else database.resume()
      victim.mustLive()
      return `Postgres stopped (${mode}) for ${downMs} ms${crashes ? ', server killed meanwhile' : ''}`
    },
    end: async keep => {
      await database.stop()
      remove(keep)
    },
  }
}

/** Writes until the disk takes no more. */
const fill = (path: string): void => {
  const file = openSync(path, 'w')
  const block = Buffer.alloc(mebibyte / 4)
  try {
    for (;;) writeSync(file, block)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    closeSync(file)
  }
}

const diskFull = async (): Promise<Scenario> => {
  const { dataDir, remove } = withFolder()
  const disk = join(dataDir, 'disk')
  mkdirSync(disk)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskMebibytes}m`, 'tmpfs', disk], { stdio: 'pipe' })
  } catch (error) {
    remove(false)
    throw new CannotRun(`a small disk cannot be mounted here (${(error as Error).message.split('\n')[0]}): run as root`)
  }
  const filler = join(disk, 'filler')
  const unmount = () => {
    execFileSync('umount', ['-l', disk])
    remove(false)
  }
  return {
    dataDir,
    environment: { DATA_DIR: join(disk, 'data') },
    fault: async (victim, random) => {
      fill(filler)
      await victim.whenRefused('store.unavailable', recoverMsMax)
      // A part that has just been freed by somebody else must not hide that it is full.
      const crashes = random.chance(0.3)
      if (crashes) await victim.crash(() => rmSync(filler))
      else rmSync(filler)
      victim.mustLive()
      await victim.mustSend(recoverMsMax)
      return `disk full until the log refused${crashes ? ', server killed meanwhile' : ''}`
    },
    end: async () => unmount(),
  }
}

/** By the name they are asked for. */
export const scenarios: Readonly<Record<string, () => Promise<Scenario>>> = {
  kill,
  'read-models-deleted': readModelsDeleted,
  eventstoredb: eventStoreDb,
  postgres,
  'disk-full': diskFull,
}
