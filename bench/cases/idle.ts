// Owns the case `idle`: what the server's memory is with nobody there, and how much 10,000 sockets that only wait add to it.

import { type Case, megabytes } from '../case.ts'
import { residentBytesOf } from '../machine.ts'
import type { Result } from '../report.ts'
import type { SeededUser } from '../seed.ts'
import { openStage, withCeiling } from '../stage.ts'

const sockets = 10_000
const settlePollMs = 2_000
const settleMsMax = 40_000
/** Sockets that are there before what each adds is looked at: what a server makes once, as V8's young generation, is then made. */
const socketsBefore = 2_000
const pause = (milliseconds: number) => new Promise(resolve => setTimeout(resolve, milliseconds))

/** Resident memory once it does not change any more: garbage of the way there goes with time. */
const settled = async (residentBytes: () => number): Promise<number> => {
  const untilMs = performance.now() + settleMsMax
  let before = residentBytes()
  for (;;) {
    await pause(settlePollMs)
    const now = residentBytes()
    if (Math.abs(now - before) < 1_000_000 || performance.now() > untilMs) return now
    before = now
  }
}

const perThousand = (before: number, after: number, added: number): number =>
  (megabytes(after - before) * 1_000) / added

/** The same sockets on a server of nothing but uWebSockets.js. */
const bareMemory = (): Promise<number> =>
  withCeiling(async (ceiling, load) => {
    const { port } = await ceiling.call('relay', { rowsOnResume: 0 })
    const devices = Array.from({ length: sockets }, (_, index) => ({ userId: `${index}`, token: `${index}` }))
    await load.call('connect', { port, devices: devices.slice(0, socketsBefore), atOnce: 64 })
    const before = await settled(() => residentBytesOf(ceiling.pid))
    await load.call('connect', { port, devices: devices.slice(socketsBefore), atOnce: 64 })
    const after = await settled(() => residentBytesOf(ceiling.pid))
    return perThousand(before, after, sockets - socketsBefore)
  })

export const idleCase: Case = {
  name: 'idle',
  summary: 'memory of the server alone, and with 10,000 sockets that only wait',
  run: async settings => {
    const bare = await bareMemory()
    const bases: number[] = []
    const added: number[] = []
    for (let run = 0; run < settings.runs; run++) {
      const { stage, seeded: devices } = await openStage(settings, seed => seed.users(sockets))
      try {
        await stage.whileStopped(async () => {})
        const base = await settled(stage.residentBytes)
        const connect = (some: readonly SeededUser[]) =>
          stage.load.call('connect', { port: stage.realtimePort, devices: some, atOnce: 64 })
        await connect(devices.slice(0, socketsBefore))
        const before = await settled(stage.residentBytes)
        await connect(devices.slice(socketsBefore))
        const full = await settled(stage.residentBytes)
        bases.push(megabytes(base))
        added.push(perThousand(before, full, sockets - socketsBefore))
        const [none, some, all] = [base, before, full].map(bytes => megabytes(bytes).toFixed(0))
        settings.say(
          `    run ${run + 1}: ${none} MB, with ${socketsBefore} sockets ${some} MB, with ${sockets} ${all} MB`,
        )
      } finally {
        await stage.end()
      }
    }
    const frame = { case: 'idle', database: settings.database, greaterIsBetter: false }
    const result = (runs: readonly number[], rest: Pick<Result, 'variant' | 'unit' | 'floor' | 'goal'>): Result => ({
      ...frame,
      ...rest,
      runs,
      median: runs.toSorted((one, other) => one - other)[Math.floor(runs.length / 2)] ?? Number.NaN,
    })
    return [
      result(bases, { variant: 'base memory', unit: 'MB', floor: 900, goal: 500 }),
      {
        ...result(added, { variant: '10,000 idle sockets', unit: 'MB per 1,000', floor: 8, goal: 4 }),
        ceiling: bare,
        ceilingOf: 'a server of nothing but uWebSockets.js',
      },
    ]
  },
}
