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
  /** Everything up to here is in the read models, as far as this process knows. */
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

class Watch implements PositionWatch {
  position = positionBeforeAll
  readonly #onWaiting: () => void
  readonly #waiters = new Set<Waiter>()
  #isStopped = false
  #isLooking = false
  #read: (() => Promise<Position>) | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(onWaiting: () => void) {
    this.#onWaiting = onWaiting
  }

  get waiting(): number {
    return this.#waiters.size
  }

  advance(position: Position): void {
    this.position = position
    for (const waiter of this.#waiters) if (waiter.position <= position) waiter.answer(true)
  }

  passed(wanted: Position, timeoutMs: number): Promise<boolean> {
    if (wanted <= this.position) return Promise.resolve(true)
    if (this.#isStopped || timeoutMs <= 0 || this.#waiters.size >= waitingForPositionMax) return Promise.resolve(false)
    return new Promise(resolve => {
      const deadline = setTimeout(() => waiter.answer(false), timeoutMs)
      const waiter: Waiter = {
        position: wanted,
        answer: passed => {
          clearTimeout(deadline)
          this.#waiters.delete(waiter)
          resolve(passed)
        },
      }
      this.#waiters.add(waiter)
      this.#onWaiting()
      this.#schedule()
    })
  }

  poll(read: () => Promise<Position>): void {
    this.#read = read
    void this.#look(read)
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
    for (const waiter of this.#waiters) waiter.answer(false)
  }

  #schedule(): void {
    const read = this.#read
    if (read === undefined || this.#isStopped || this.#isLooking) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#look(read), this.#waiters.size > 0 ? pollWaitingMs : pollIdleMs)
  }

  async #look(read: () => Promise<Position>): Promise<void> {
    this.#isLooking = true
    try {
      this.advance(await read())
    } catch {
      // The database is away: whoever waits is answered by the deadline.
    } finally {
      this.#isLooking = false
      this.#schedule()
    }
  }
}

export const createPositionWatch = (onWaiting: () => void = () => {}): PositionWatch => new Watch(onWaiting)
