// Owns the last routed events of this node, so that a device can resume, or join after its snapshot, without a read.
// Bounded by bytes and age; an index by topic makes a resume cost what it returns, not what the ring holds.

import type { Position } from '../domain/ids.ts'
import type { Action } from './actions.ts'
import { type Topic, userTopic } from './protocol.ts'

/** Bytes of frames that the ring may hold; at full load this is less than ringAgeMs. */
export const ringBytesMax = 128 * 1024 * 1024
/** Events stay at least so long while they fit. */
export const ringAgeMs = 90_000

export interface RingEntry {
  readonly index: number
  readonly position: Position
  readonly actions: readonly Action[]
  readonly topics: readonly Topic[]
  readonly bytes: number
  readonly atMs: number
}

export interface Ring {
  push(position: Position, actions: readonly Action[]): void
  /** Whether every event from `position` on (inclusive) is here. */
  covers(position: Position): boolean
  /** Whether every event after `position` (exclusive) is here. */
  coversAfter(position: Position): boolean
  /** Forgets everything up to a position. */
  clear(position: Position): void
  /** Entries at or after `position` that touch one of the topics, in log order. */
  entriesFrom(position: Position, topics: Iterable<Topic>): readonly RingEntry[]
  readonly bytes: number
  readonly size: number
}

interface TopicEntries {
  items: RingEntry[]
  first: number
}

/** Memory of an entry beside its text. */
const entryOverheadBytes = 300

/** The topics under which an action is found again. */
const topicsOfAction = (action: Action): readonly Topic[] => {
  switch (action.do) {
    case 'publish':
      return [action.topic]
    case 'message':
      return action.topics
    case 'recall':
    case 'popup':
      return [action.topic]
    default:
      return [userTopic(action.userId)]
  }
}

const bytesOfAction = (action: Action): number => {
  if (action.do !== 'either') return 'frame' in action ? action.frame.length + 50 : 100
  return [...action.newer, ...action.nothingNewer].reduce((bytes, one) => bytes + bytesOfAction(one), 100)
}

/** First index at or after `first` whose position is not below `position`. */
const lowerBound = (items: readonly RingEntry[], first: number, position: Position): number => {
  let low = first
  let high = items.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((items[middle] as RingEntry).position < position) low = middle + 1
    else high = middle
  }
  return low
}

/** @param start position up to which the node never routed anything */
export const createRing = (
  start: Position,
  unixMs: () => number,
  bytesMax: number = ringBytesMax,
  ageMs: number = ringAgeMs,
): Ring => {
  const byTopic = new Map<Topic, TopicEntries>()
  const all: TopicEntries = { items: [], first: 0 }
  let forgotten = start
  let bytes = 0
  let nextIndex = 0

  const dropFirst = (entries: TopicEntries) => {
    entries.first++
    if (entries.first > 1_024 && entries.first > entries.items.length / 2) {
      entries.items = entries.items.slice(entries.first)
      entries.first = 0
    }
  }

  const evict = (nowMs: number) => {
    for (;;) {
      const oldest = all.items[all.first]
      if (oldest === undefined || (bytes <= bytesMax && nowMs - oldest.atMs <= ageMs)) return
      dropFirst(all)
      bytes -= oldest.bytes
      forgotten = oldest.position
      for (const topic of oldest.topics) {
        const entries = byTopic.get(topic)
        if (entries === undefined) continue
        dropFirst(entries)
        if (entries.first === entries.items.length) byTopic.delete(topic)
      }
    }
  }

  return {
    push: (position, actions) => {
      if (actions.length === 0) return
      const [only] = actions
      const topics =
        actions.length === 1 && only !== undefined
          ? topicsOfAction(only)
          : [...new Set(actions.flatMap(topicsOfAction))]
      let size = entryOverheadBytes
      for (const action of actions) size += bytesOfAction(action)
      const entry = { index: nextIndex++, position, actions, topics, bytes: size, atMs: unixMs() }
      all.items.push(entry)
      bytes += size
      for (const topic of topics) {
        const entries = byTopic.get(topic)
        if (entries === undefined) byTopic.set(topic, { items: [entry], first: 0 })
        else entries.items.push(entry)
      }
      evict(entry.atMs)
    },
    covers: position => position > forgotten,
    coversAfter: position => position >= forgotten,
    clear: position => {
      byTopic.clear()
      all.items = []
      all.first = 0
      bytes = 0
      forgotten = position
    },
    entriesFrom: (position, topics) => {
      const found = new Set<RingEntry>()
      for (const topic of topics) {
        const entries = byTopic.get(topic)
        if (entries === undefined) continue
        for (let at = lowerBound(entries.items, entries.first, position); at < entries.items.length; at++) {
          found.add(entries.items[at] as RingEntry)
        }
      }
      return [...found].sort((one, other) => one.index - other.index)
    },
    get bytes() {
      return bytes
    },
    get size() {
      return all.items.length - all.first
    },
  }
}
