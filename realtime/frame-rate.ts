// Owns how fast one socket may send frames, and when one that does not heed that is cut. Counts; does nothing by itself.

import { framesBurstMax, framesPerSecondMax, refusedFramesMax } from './protocol.ts'

export class FrameRate {
  #tokens: number = framesBurstMax
  #atMs: number
  #refused = 0

  constructor(nowMs: number) {
    this.#atMs = nowMs
  }

  /** Counts one frame. */
  take(nowMs: number): 'taken' | 'refused' | 'cut' {
    // A clock that was set back gives nothing and takes nothing.
    const seconds = Math.max(0, nowMs - this.#atMs) / 1_000
    this.#tokens = Math.min(framesBurstMax, this.#tokens + seconds * framesPerSecondMax)
    this.#atMs = nowMs
    if (this.#tokens < 1) return ++this.#refused > refusedFramesMax ? 'cut' : 'refused'
    this.#tokens--
    // One who goes on sending twice as fast as allowed is cut in the end; one who slows down is forgiven.
    this.#refused = Math.max(0, this.#refused - 1)
    return 'taken'
  }
}
