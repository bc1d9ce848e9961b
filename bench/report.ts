// Owns how results are told: one JSON line for each, and a table at the end.

import type { CpuUse } from './machine.ts'

export interface Result {
  readonly case: string
  readonly variant: string
  readonly database: string
  readonly unit: string
  /** Of each run. */
  readonly runs: readonly number[]
  readonly median: number
  readonly p50Ms?: number
  readonly p99Ms?: number
  /** In CPUs, of the run nearest the median. */
  readonly cpu?: CpuUse
  readonly residentMb?: number
  /** What the bare parts do, measured in the same run, and what it is. */
  readonly ceiling?: number
  readonly ceilingOf?: string
  readonly floor?: number
  readonly goal?: number
  /** Whether a greater figure is the better one. */
  readonly greaterIsBetter: boolean
  /** Whatever else is worth knowing. */
  readonly also?: Readonly<Record<string, number | string>>
}

const round = (value: number): number => {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return Number(value.toFixed(digits))
}

const rounded = (value: unknown): unknown => {
  if (typeof value === 'number') return round(value)
  if (Array.isArray(value)) return value.map(rounded)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, rounded(field)]))
}

/** How a result stands to what was asked for. */
export const verdictOf = ({ median, floor, goal, greaterIsBetter }: Result): string => {
  const reaches = (mark: number | undefined) =>
    mark !== undefined && (greaterIsBetter ? median >= mark : median <= mark)
  if (floor === undefined && goal === undefined) return ''
  if (reaches(goal)) return 'goal'
  return reaches(floor) ? 'floor' : 'BELOW'
}

/** The line for machines. */
export const jsonLine = (result: Result): string => {
  const { median, ceiling } = result
  const ratio = ceiling === undefined ? undefined : median / ceiling
  return JSON.stringify(rounded({ ...result, ratio, verdict: verdictOf(result) }))
}

const number = (value: number | undefined): string =>
  value === undefined || Number.isNaN(value) ? '' : round(value).toLocaleString('en-US')

const columns: readonly (readonly [string, (result: Result) => string])[] = [
  ['case', result => result.case],
  ['variant', result => result.variant],
  ['database', result => result.database],
  ['median', result => number(result.median)],
  ['unit', result => result.unit],
  ['p50 ms', result => number(result.p50Ms)],
  ['p99 ms', result => number(result.p99Ms)],
  ['server CPU', result => number(result.cpu?.server)],
  ['Postgres CPU', result => number(result.cpu?.postgres)],
  ['load CPU', result => number(result.cpu?.load)],
  ['others CPU', result => number(result.cpu?.others)],
  ['RSS MB', result => number(result.residentMb)],
  ['ceiling', result => number(result.ceiling)],
  ['of it', ({ median, ceiling }) => (ceiling === undefined ? '' : `${number((median / ceiling) * 100)} %`)],
  ['floor', result => number(result.floor)],
  ['goal', result => number(result.goal)],
  ['', verdictOf],
]

/** The table for people. */
export const tableOf = (results: readonly Result[]): string => {
  const rows = [columns.map(([title]) => title), ...results.map(result => columns.map(([, cell]) => cell(result)))]
  const widths = columns.map((_, column) => Math.max(3, ...rows.map(row => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) => `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`
  const [head = [], ...body] = rows
  return [line(head), `|${widths.map(width => '-'.repeat(width + 2)).join('|')}|`, ...body.map(line)].join('\n')
}
