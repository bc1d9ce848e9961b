// Owns how fast one socket may send frames, and when one that does not heed that is cut. Counts; does nothing by itself.

import { framesBurstMax, framesPerSecondMax, refusedFramesMax, typingBurstMax, typingPerSecondMax } from './protocol.ts'

/** So many at once, and so many a second for ever. */
class Bucket {
  readonly #burst: number
  readonly #perSecond: number
  #tokens: number
  #atMs: number

  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst
    this.#perSecond = perSecond
    this.#tokens = burst
    this.#atMs = nowMs
  }

  take(nowMs: number): boolean {
    // A clock that was set back gives nothing and takes nothing.
    const seconds = Math.max(0, nowMs - this.#atMs) / 1_000
    this.#tokens = Math.min(this.#burst, this.#tokens + seconds * this.#perSecond)
    this.#atMs = nowMs
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}

export class FrameRate {
  readonly #frames: Bucket
  readonly #typing: Bucket
  #refused = 0

  constructor(nowMs: number) {
    this.#frames = new Bucket(framesBurstMax, framesPerSecondMax, nowMs)
    this.#typing = new Bucket(typingBurstMax, typingPerSecondMax, nowMs)
  }

  /** Counts one frame. */
  take(nowMs: number): 'taken' | 'refused' | 'cut' {
    if (!this.#frames.take(nowMs)) return ++this.#refused > refusedFramesMax ? 'cut' : 'refused'
    // One who goes on sending twice as fast as allowed is cut in the end; one who slows down is forgiven.
    this.#refused = Math.max(0, this.#refused - 1)
    return 'taken'
  }

  /** Whether one more hint that somebody types may go out: each is sent to all members of a group. */
  takeTyping(nowMs: number): boolean {
    return this.#typing.take(nowMs)
  }
}
