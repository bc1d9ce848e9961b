// Owns how a process is told from every other one, so that a folder can name its owner and that owner can be known to be gone.
// A process number alone says little: it is given again, in a container at every start.

import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

export interface ProcessOwner {
  readonly pid: number
  /** Differs after each start of the machine; empty where the system does not tell. */
  readonly bootId: string
  /** When it started, in the system's own unit. */
  readonly startedTicks: string
}

const readIfThere = (file: string): string | undefined => {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // No such process, or a system that does not tell.
    return undefined
  }
}

const bootId = (): string => readIfThere('/proc/sys/kernel/random/boot_id')?.trim() ?? ''

/** Undefined when there is no such process. */
const startedTicks = (pid: number): string | undefined => {
  const stat = readIfThere(`/proc/${pid}/stat`)
  // The second field is the program's name in brackets, and it may hold anything.
  if (stat !== undefined) return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  if (bootId() !== '') return undefined
  try {
    process.kill(pid, 0)
    return ''
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? '' : undefined
  }
}

export const ownerOf = (pid: number): ProcessOwner => ({ pid, bootId: bootId(), startedTicks: startedTicks(pid) ?? '' })

/** Whether that very process still runs. */
export const isRunning = (owner: Partial<ProcessOwner>): boolean =>
  typeof owner.pid === 'number' &&
  owner.bootId === bootId() &&
  startedTicks(owner.pid) !== undefined &&
  startedTicks(owner.pid) === owner.startedTicks

/** How long a process that was killed may take to be gone: with much memory, a second or so. */
const endingMsMax = 3_000
const endingPollMs = 50

/** What a file says of its owner; nothing when it is not there, or whoever wrote it ended in the middle of that. */
export const ownerIn = (file: string): Partial<ProcessOwner> => {
  try {
    return (JSON.parse(readIfThere(file) ?? '{}') as Partial<ProcessOwner> | null) ?? {}
  } catch {
    return {}
  }
}

/** Gives another process that owns a folder, by that file in it, a moment to be gone: whoever starts a server again is that quick. */
export const whenLeft = async (file: string): Promise<void> => {
  const owner = ownerIn(file)
  const endMs = performance.now() + endingMsMax
  while (owner.pid !== process.pid && isRunning(owner) && performance.now() < endMs) await delay(endingPollMs)
}
