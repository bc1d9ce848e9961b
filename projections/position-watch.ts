// Owns waiting for a position: who waits until the read models have passed which event, each with a deadline.
// The process that folds tells it; any other looks at the checkpoint, often while somebody waits and rarely otherwise.

import type { Position } from '../domain/ids.ts'
import { positionBeforeAll } from '../eventstore/port.ts'

/** How often a process that does not fold looks at the checkpoint: while somebody waits, and else. */
const pollWaitingMs = 20
const pollIdleMs = 1_000
/** Callers that may wait at once; one more is answered at once with "not yet". */
export const waitingForPositionMax = 10_000

export interface PositionWatch {
  readonly position: Position
  readonly waiting: number
  /** The read models are here now. Positions only grow, save when they start over. */
  advance(position: Position): void
  /** True once the read models have passed the position, false when they have not within the time. */
  passed(position: Position, timeoutMs: number): Promise<boolean>
  /** Looks at the checkpoint by itself until `stop`. */
  poll(read: () => Promise<Position>): void
  /** Answers everybody who waits with "not yet" and looks no more. */
  stop(): void
}

interface Waiter {
  readonly position: Position
  readonly answer: (passed: boolean) => void
}

export const createPositionWatch = (onWaiting: () => void = () => {}): PositionWatch => {
  let position = positionBeforeAll
  let isStopped = false
  let timer: NodeJS.Timeout | undefined
  let lookSoon = () => {}
  const waiters = new Set<Waiter>()
  const advance = (to: Position) => {
    position = to
    for (const waiter of waiters) if (waiter.position <= to) waiter.answer(true)
  }
  return {
    get position() {
      return position
    },
    get waiting() {
      return waiters.size
    },
    advance,
    passed: (wanted, timeoutMs) => {
      if (wanted <= position) return Promise.resolve(true)
      if (isStopped || timeoutMs <= 0 || waiters.size >= waitingForPositionMax) return Promise.resolve(false)
      return new Promise(resolve => {
        const deadline = setTimeout(() => waiter.answer(false), timeoutMs)
        const waiter: Waiter = {
          position: wanted,
          answer: passed => {
            clearTimeout(deadline)
            waiters.delete(waiter)
            resolve(passed)
          },
        }
        waiters.add(waiter)
        onWaiting()
        lookSoon()
      })
    },
    poll: read => {
      let isLooking = false
      const schedule = () => {
        clearTimeout(timer)
        if (!isStopped) timer = setTimeout(look, waiters.size > 0 ? pollWaitingMs : pollIdleMs)
      }
      const look = async () => {
        if (isLooking) return
        isLooking = true
        try {
          advance(await read())
        } catch {
          // The database is away: whoever waits is answered by the deadline.
        } finally {
          isLooking = false
          schedule()
        }
      }
      lookSoon = () => {
        if (!isLooking) schedule()
      }
      void look()
    },
    stop: () => {
      isStopped = true
      clearTimeout(timer)
      for (const waiter of waiters) waiter.answer(false)
    },
  }
}
