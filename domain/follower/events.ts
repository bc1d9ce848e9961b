// Owns the cursor of a follower: the last event it is done with. The stream keeps only its newest event.

import type { Instant, Position } from '../ids.ts'

export type FollowerAdvanced = {
  readonly type: 'FollowerAdvanced'
  readonly data: { readonly name: string; readonly position: Position; readonly at: Instant }
}

export type FollowerEvent = FollowerAdvanced
