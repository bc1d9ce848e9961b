// Owns chance: a generator that gives the same numbers for the same seed, so that a run can be done again.

export interface Random {
  /** 0 ≤ x < 1 */
  next(): number
  /** least … most, whole */
  between(least: number, most: number): number
  pick<Item>(items: readonly Item[]): Item
  chance(share: number): boolean
  /** A generator of its own, so that one actor's choices do not depend on how others interleave. */
  fork(): Random
}

/** Mulberry32: small, and good enough to choose actions. */
export const createRandom = (seed: number): Random => {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
  const between = (least: number, most: number) => least + Math.floor(next() * (most - least + 1))
  return {
    next,
    between,
    pick: items => items[between(0, items.length - 1)] as never,
    chance: share => next() < share,
    fork: () => createRandom(between(0, 0xffff_ffff)),
  }
}
