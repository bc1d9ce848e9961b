// Owns what a case is, and how its runs become a result.

import { median } from './histogram.ts'
import type { SendAnswer } from './load.ts'
import type { CpuUse } from './machine.ts'
import type { Result } from './report.ts'
import type { BenchSettings, Measured, Stage } from './stage.ts'

export interface Case {
  readonly name: string
  readonly summary: string
  /** Databases it makes sense on; both unless given. */
  readonly databases?: readonly BenchSettings['database'][]
  run(settings: BenchSettings): Promise<readonly Result[]>
}

/** What one run gave. */
export interface Run {
  readonly figure: number
  readonly p50Ms?: number
  readonly p99Ms?: number
  readonly cpu?: CpuUse
  readonly residentMb?: number
  readonly also?: Readonly<Record<string, number | string>>
}

export type ResultFrame = Omit<Result, 'runs' | 'median' | 'p50Ms' | 'p99Ms' | 'cpu' | 'residentMb' | 'database'>

const megabyte = 1_048_576
export const megabytes = (bytes: number): number => bytes / megabyte

/** Does the run as often as asked for, and reports the median one. */
export const reported = async (
  settings: BenchSettings,
  frame: ResultFrame,
  run: (index: number) => Promise<Run>,
  runs = settings.runs,
): Promise<Result> => {
  const done: Run[] = []
  for (let index = 0; index < runs; index++) {
    const one = await run(index)
    done.push(one)
    const times = one.p50Ms === undefined ? '' : `, p50 ${one.p50Ms.toFixed(2)} ms, p99 ${one.p99Ms?.toFixed(2)} ms`
    settings.say(`    ${frame.variant} run ${index + 1}: ${one.figure.toFixed(1)} ${frame.unit}${times}`)
  }
  const figures = done.map(({ figure }) => figure)
  const middle = median(figures)
  const nearest = done.toSorted((one, other) => Math.abs(one.figure - middle) - Math.abs(other.figure - middle))[0]
  const { figure: _figure, also, ...rest } = nearest as Run
  return {
    ...frame,
    database: settings.database,
    runs: figures,
    median: middle,
    ...rest,
    also: { ...frame.also, ...also },
  }
}

/** One closed-loop run of the load against the server. @throws Error when anything was refused */
export const sendRun = async (
  stage: Stage,
  slots: number,
  senders: number,
): Promise<Measured<SendAnswer> & { lagMs: number }> => {
  const { warmUpMs, runMs } = stage.settings
  const measured = await stage.measure(() => stage.load.call('send', { slots, senders, warmUpMs, forMs: runMs }))
  mustBeClean(measured.value)
  return { ...measured, lagMs: await stage.lagMs() }
}

export const mustBeClean = ({ errors, firstError }: SendAnswer): void => {
  if (errors > 0) throw new Error(`${errors} of the load's requests failed, the first: ${firstError}`)
}
