// Owns what the kernel says about processes and the machine: CPU time, memory, and how much of the CPU others took.
// Linux only: reads /proc. A process counts with all its threads and its living children.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { cpus } from 'node:os'

const ticksPerSecond = 100
/** A run is disturbed when others took more than this share of the whole machine. */
export const othersShareMax = 0.08

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // Processes end while we look.
    return undefined
  }
}

interface ProcessTimes {
  readonly parent: number
  readonly seconds: number
  /** Of children that have ended. */
  readonly endedSeconds: number
}

const timesOf = (pid: number): ProcessTimes | undefined => {
  const text = read(`/proc/${pid}/stat`)
  if (text === undefined) return undefined
  // The name may hold spaces and brackets; the fields after it do not.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const secondsAt = (at: number) => (Number(fields[at]) + Number(fields[at + 1])) / ticksPerSecond
  return { parent: Number(fields[1]), seconds: secondsAt(11), endedSeconds: secondsAt(13) }
}

/** The process and everything below it. */
export const treeOf = (pid: number): number[] => {
  const parents = new Map<number, number[]>()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const times = timesOf(Number(entry))
    if (times === undefined) continue
    const siblings = parents.get(times.parent)
    if (siblings === undefined) parents.set(times.parent, [Number(entry)])
    else siblings.push(Number(entry))
  }
  const found = [pid]
  for (const id of found) found.push(...(parents.get(id) ?? []))
  return found
}

const listening = '0A'

/** The processes of this machine that listen on a port, as far as we may look. */
export const listenersOn = (port: number): number[] => {
  const lines = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap(path => (read(path) ?? '').split('\n').slice(1))
  const sockets = new Set<string>()
  for (const line of lines) {
    const fields = line.trim().split(/\s+/)
    const isOurs = fields[3] === listening && Number.parseInt(fields[1]?.split(':')[1] ?? '', 16) === port
    if (isOurs) sockets.add(`socket:[${fields[9]}]`)
  }
  const holds = (pid: string): boolean => {
    try {
      return readdirSync(`/proc/${pid}/fd`).some(fd => sockets.has(readlinkSync(`/proc/${pid}/fd/${fd}`)))
    } catch {
      return false
    }
  }
  const pids = readdirSync('/proc').filter(entry => /^\d+$/.test(entry))
  return sockets.size === 0 ? [] : pids.filter(holds).map(Number)
}

/** CPU seconds used so far by these processes together. */
export const cpuSecondsOf = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => sum + (timesOf(pid)?.seconds ?? 0), 0)

/** Resident memory in bytes. */
export const residentBytesOf = (pid: number): number => {
  const kib = /VmRSS:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`) ?? '')?.[1]
  return Number(kib ?? 0) * 1_024
}

const machineSeconds = (): { busy: number; stolen: number } => {
  const fields = (read('/proc/stat') ?? '').split('\n', 1)[0]?.trim().split(/\s+/).slice(1).map(Number) ?? []
  const [user = 0, nice = 0, system = 0, , , , , stolen = 0] = fields
  return { busy: (user + nice + system) / ticksPerSecond, stolen: stolen / ticksPerSecond }
}

/** Whose CPU is told apart; each gives the ids of its processes at the time of asking. */
export interface Watched {
  readonly server: () => readonly number[]
  readonly postgres?: () => readonly number[]
  readonly eventstore?: () => readonly number[]
  readonly load: () => readonly number[]
}

export interface CpuUse {
  readonly seconds: number
  /** In CPUs: 1 is one core kept busy. */
  readonly server: number
  readonly postgres: number
  readonly eventstore: number
  readonly load: number
  readonly others: number
  /** The whole machine's share that others took, time stolen by the host included. */
  readonly othersShare: number
}

/** Starts measuring; the function it gives ends it. */
export const startMeter = (watched: Watched): (() => CpuUse) => {
  const groups = () => ({
    server: watched.server(),
    postgres: watched.postgres?.() ?? [],
    eventstore: watched.eventstore?.() ?? [],
    load: [process.pid, ...watched.load()],
  })
  const before = groups()
  const startMs = performance.now()
  const machineBefore = machineSeconds()
  // A server that was a command of its own and has ended leaves its time with us.
  const ended = () => timesOf(process.pid)?.endedSeconds ?? 0
  const endedBefore = ended()
  const usedBefore = new Map(Object.values(before).flatMap(pids => pids.map(pid => [pid, cpuSecondsOf([pid])])))
  return () => {
    const seconds = (performance.now() - startMs) / 1_000
    const machine = machineSeconds()
    const after = groups()
    const used = (pids: readonly number[]) =>
      pids.reduce((sum, pid) => sum + cpuSecondsOf([pid]) - (usedBefore.get(pid) ?? 0), 0) / seconds
    const server = used(after.server) + (ended() - endedBefore) / seconds
    const [postgres, eventstore, load] = [used(after.postgres), used(after.eventstore), used(after.load)]
    const busy = (machine.busy - machineBefore.busy) / seconds
    const stolen = (machine.stolen - machineBefore.stolen) / seconds
    const others = Math.max(0, busy - server - postgres - eventstore - load) + stolen
    return { seconds, server, postgres, eventstore, load, others, othersShare: others / cpus().length }
  }
}

const quietSampleMs = 500

/** Resolves when the machine has been quiet for a moment, or when the patience is at its end. Nothing of ours may run then. */
export const whenQuiet = async (patienceMs: number): Promise<void> => {
  const untilMs = performance.now() + patienceMs
  for (;;) {
    const before = machineSeconds()
    const startMs = performance.now()
    await new Promise(resolve => setTimeout(resolve, quietSampleMs))
    const after = machineSeconds()
    const seconds = (performance.now() - startMs) / 1_000
    const share = (after.busy + after.stolen - before.busy - before.stolen) / seconds / cpus().length
    if (share <= othersShareMax || performance.now() > untilMs) return
  }
}

/** What the figures were measured on. */
export const machineText = (): string => {
  const model = cpus()[0]?.model.trim() ?? 'unknown CPU'
  return `${cpus().length} × ${model}, Node ${process.versions.node}, Linux ${read('/proc/sys/kernel/osrelease')?.trim()}`
}
