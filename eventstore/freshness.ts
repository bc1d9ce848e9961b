// Owns the knowledge of how old what this process knows of the log can be: it asks for the head again and again and sees when
// the subscription has passed it. Bounded, and never waits for an answer: a log that does not answer is one we are behind.

import type { Position } from '../domain/ids.ts'
import type { Clock } from './clock.ts'

/** How often the head is asked for, and how long the subscription may lag behind it before the node stops deciding. */
export const headIntervalMs = 500
export const behindMsMax = 1_000
/** Heads asked for that the subscription has not passed yet, and askings without an answer. */
const askedMax = 8
const askingsMax = 4

export interface Freshness {
  readonly behind: boolean
  /** The subscription ended for good: nothing new will ever be known. */
  end(): void
  close(): void
}

export interface FreshnessDependencies {
  readonly clock: Clock
  readonly head: () => Promise<Position>
  /** Of the newest event that the subscription has brought. */
  readonly position: () => Position
  /** Called when it falls behind (true) and when it has caught up (false). */
  readonly onChange: (behind: boolean) => void
}

/** Starts to watch. */
export const watchFreshness = ({ clock, head, position, onChange }: FreshnessDependencies): Freshness => {
  let behind = false
  let ended = false
  let closed = false
  let askings = 0
  const asked: { readonly head: Position; readonly askedMs: number }[] = []
  /** What is known is at least as new as the log was then. */
  let currentAsOfMs = clock.unixMs()
  let tickedMs = currentAsOfMs

  const judge = () => {
    for (let oldest = asked[0]; oldest !== undefined && position() >= oldest.head; oldest = asked[0]) {
      currentAsOfMs = oldest.askedMs
      asked.shift()
    }
    const now = ended || clock.unixMs() - currentAsOfMs > headIntervalMs + behindMsMax
    if (now === behind || closed) return
    behind = now
    onChange(behind)
  }

  const ask = async () => {
    const askedMs = clock.unixMs()
    askings++
    try {
      const newest = await head()
      if (askedMs > (asked.at(-1)?.askedMs ?? currentAsOfMs)) asked.push({ head: newest, askedMs })
      if (asked.length > askedMax) asked.shift()
    } catch {
      // The log is away: the time that passes tells.
    } finally {
      askings--
    }
    judge()
  }

  const tick = () => {
    // In a time in which this process stood still nobody asked: that is no lag of the subscription.
    const stoodStillMs = clock.unixMs() - tickedMs - headIntervalMs
    if (stoodStillMs > 0) currentAsOfMs += stoodStillMs
    tickedMs = clock.unixMs()
    judge()
    if (askings < askingsMax) void ask()
  }

  const ticker = setInterval(tick, headIntervalMs)
  void ask()

  return {
    get behind() {
      return behind
    },
    end: () => {
      ended = true
      judge()
    },
    close: () => {
      closed = true
      clearInterval(ticker)
    },
  }
}
