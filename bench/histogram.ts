// Owns times of single operations in bounded memory: buckets that grow by 2 %, from 10 µs to 100 s.

const leastMs = 0.01
const growth = Math.log(1.02)
const bucketCount = 820

export class Histogram {
  readonly #counts = new Float64Array(bucketCount)
  count = 0
  maxMs = 0

  add(milliseconds: number): void {
    const bucket = milliseconds <= leastMs ? 0 : Math.ceil(Math.log(milliseconds / leastMs) / growth)
    const index = Math.min(bucketCount - 1, bucket)
    this.#counts[index] = (this.#counts[index] as number) + 1
    this.count++
    if (milliseconds > this.maxMs) this.maxMs = milliseconds
  }

  /** @param share 0.5 for the median */
  percentileMs(share: number): number {
    let left = this.count * share
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      left -= this.#counts[bucket] as number
      if (left <= 0) return Math.min(this.maxMs, leastMs * Math.exp(bucket * growth))
    }
    return this.maxMs
  }
}

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((one, other) => one - other)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}
