// Owns work that time brings about and no event: each job looks now and then for what is due, and gives commands like anybody
// else. A job must bear being done twice and by two servers at once; what is refused by then needs nobody.

import { schedule } from 'node-cron'
import type { Position } from '../domain/ids.ts'

/** What is done before the read models are looked at again, and how often in one run; the next run goes on. */
const sliceItemsMax = 200
const slicesMax = 50
/** How long a run waits until the read models have seen a slice. */
const seenMsMax = 10_000

export interface Job {
  readonly name: string
  /** As cron has it. */
  readonly when: string
  /** Does what is due. @returns how much that was */
  readonly run: () => Promise<number>
}

export interface Sweep<Item> {
  /** What is due by the read models, at most so much. */
  readonly due: (limit: number) => Promise<readonly Item[]>
  /** Does it. @returns where it stands in the log */
  readonly end: (item: Item) => Promise<Position>
  /** Whether the read models passed the position within the time. */
  readonly passed: (position: Position, timeoutMs: number) => Promise<boolean>
}

/** Does all that is due, slice by slice, each after the read models have seen the one before. @returns how much that was */
export const sweep = async <Item>({ due, end, passed }: Sweep<Item>): Promise<number> => {
  let total = 0
  for (let slice = 0; slice < slicesMax; slice++) {
    const items = await due(sliceItemsMax)
    const positions = await Promise.all(items.map(end))
    total += items.length
    const last = positions.toSorted().at(-1)
    if (last === undefined || items.length < sliceItemsMax || !(await passed(last, seenMsMax))) break
  }
  return total
}

export interface Schedule {
  /** Starts nothing more, and waits for what runs. */
  stop(): Promise<void>
}

/** Runs the jobs at their times, none twice at once. */
export const startSchedule = (jobs: readonly Job[], onError: (error: unknown, what: string) => void): Schedule => {
  const running = new Set<Promise<void>>()
  const tasks = jobs.map(({ name, when, run }) =>
    schedule(
      when,
      () => {
        const work = run()
          .then(() => {})
          .catch(error => onError(error, `the job ${name}`))
          .finally(() => running.delete(work))
        running.add(work)
        return work
      },
      { noOverlap: true },
    ),
  )
  return {
    stop: async () => {
      for (const task of tasks) await task.destroy()
      await Promise.all(running)
    },
  }
}
