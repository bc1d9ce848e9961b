// Owns arithmetic on instants, for rules that compare times. It never reads a clock: every instant comes in as an argument.

import type { Instant } from './ids.ts'

/** The instant so many seconds later. */
export const instantPlusSeconds = (instant: Instant, seconds: number): Instant =>
  new Date(Date.parse(instant) + seconds * 1_000).toISOString() as Instant

/** Seconds from one instant to another; negative when `to` is the earlier one. */
export const secondsBetween = (from: Instant, to: Instant): number => (Date.parse(to) - Date.parse(from)) / 1_000
