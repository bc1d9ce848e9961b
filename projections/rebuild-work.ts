// Owns a rebuild as a command of the operator asks for it: which names there are, what is told on the way and at the end.
// The same in the process that serves and in the command's own.

import type { Logger } from 'pino'
import type { Work } from '../eventstore/control.ts'
import type { EventStore } from '../eventstore/port.ts'
import type { Database } from './database.ts'
import type { ProjectionName } from './projection.ts'
import { projections } from './projections.ts'
import { RebuildRefused, rebuild } from './rebuild.ts'

export const projectionNames: readonly ProjectionName[] = projections.map(({ name }) => name)

/** Progress is told at most so often. */
const tellMsMin = 100

/** What a command may ask for: all, or some by their names. Undefined: neither. */
export const namesAsked = (asked: unknown): readonly ProjectionName[] | 'all' | undefined => {
  if (!Array.isArray(asked) || asked.length === 0) return undefined
  if (asked.length === 1 && asked[0] === 'all') return 'all'
  const known: readonly unknown[] = projectionNames
  return asked.every(name => known.includes(name)) ? asked : undefined
}

/** What `told` is: a RebuildProgress; what it ends with: a Rebuilt. */
export const rebuildWork =
  (database: Database, store: EventStore, logger: Logger): Work =>
  async (asked, tell, signal) => {
    const names = namesAsked(asked)
    if (names === undefined) throw new RebuildRefused('There are no such read models.')
    let toldMs = Number.NEGATIVE_INFINITY
    return rebuild(database, store, names, {
      logger,
      signal,
      onProgress: progress => {
        const nowMs = performance.now()
        if (nowMs - toldMs < tellMsMin && progress.position < progress.target) return
        toldMs = nowMs
        void tell(progress)
      },
    })
  }
