// Owns whose turn it is to decide and append: an event store has so many appends under way at once, and whoever comes later
// waits here, undecided, so that what comes meanwhile for the same stream joins one append. Must never lose who waits, and lets
// them go in the order they came.

/** So many turns at once. */
export interface Turns {
  /** Undefined: it is one's turn already. */
  take(): Promise<void> | undefined
  /** Ends a turn: the next one's begins. */
  end(): void
}

/** @param atOnce turns taken at the same time */
export const createTurns = (atOnce: number): Turns => {
  let taken = 0
  const waiting: (() => void)[] = []

  return {
    take: () => {
      if (taken >= atOnce) return new Promise(resolve => waiting.push(resolve))
      taken++
      return undefined
    },
    end: () => {
      const next = waiting.shift()
      if (next === undefined) taken--
      else next()
    },
  }
}
