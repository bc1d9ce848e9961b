// Owns how many snapshots this node reads and holds at once when many devices come back at the same time. Who cannot be
// served soon is told so; nobody waits without an end. Never touches a snapshot itself.

/**
 * Snapshots read at once: fewer than the connections of the read models, so that queries find one. On paper: a snapshot has
 * at most 100 messages of each of 100 conversations. A usual message is 350 bytes of JSON, so a busy device's snapshot is
 * 3.5 MB, and most are a hundredth of that; the largest possible, 5,000 characters of two bytes in each message, is 100 MB.
 * While it is read, the answer of the database stands beside it: eight of busy devices take 60 MB.
 */
export const syncsReadingMax = 8
/** Bytes of snapshots that may be held for devices that are still taking them; no further one is read meanwhile. */
export const syncBytesHeldMax = 256 * 1024 * 1024
/** Devices that may wait for their turn, and how long. */
export const syncsWaitingMax = 10_000
export const syncWaitMsMax = 10_000
/** A device has this time for its snapshot, and a second more for each of so many bytes. */
const takeMsMin = 30_000
const takeBytesPerSecondMin = 8 * 1024

/** Too many wait already, or it took too long: the caller comes back later. */
export class TooManySyncs extends Error {
  readonly code = 'overloaded'
}

export interface SyncTurn {
  /** The snapshot was read; from here on it is held. @returns milliseconds in which it must be taken */
  hold(texts: Iterable<string>): number
  /** Nothing is read or held any more. */
  leave(): void
}

export interface WaitingTurn {
  /** Undefined: it will not come. */
  readonly turn: Promise<SyncTurn | undefined>
  /** Nobody waits any more. */
  giveUp(): void
}

export interface SyncTurns {
  wait(): WaitingTurn
  readonly reading: number
  readonly heldBytes: number
  readonly waiting: number
  readonly refused: number
}

/** Texts in memory: two bytes a character at most. */
const bytesOf = (texts: Iterable<string>): number => {
  let bytes = 0
  for (const { length } of texts) bytes += 2 * length
  return bytes
}

export const createSyncTurns = (
  readingMax: number = syncsReadingMax,
  bytesMax: number = syncBytesHeldMax,
  waitingMax: number = syncsWaitingMax,
  waitMs: number = syncWaitMsMax,
): SyncTurns => {
  const waiting = new Set<(turn: SyncTurn | undefined) => void>()
  let reading = 0
  let heldBytes = 0
  let refused = 0

  const isFree = () => reading < readingMax && heldBytes < bytesMax

  const next = () => {
    for (const begin of waiting) {
      if (!isFree()) return
      begin(turnOf())
    }
  }

  const turnOf = (): SyncTurn => {
    let phase: 'reading' | 'holding' | 'left' = 'reading'
    let bytes = 0
    reading++
    return {
      hold: texts => {
        if (phase !== 'reading') return 0
        phase = 'holding'
        bytes = bytesOf(texts)
        reading--
        heldBytes += bytes
        next()
        return takeMsMin + (bytes / takeBytesPerSecondMin) * 1_000
      },
      leave: () => {
        if (phase === 'reading') reading--
        if (phase === 'holding') heldBytes -= bytes
        if (phase !== 'left') {
          phase = 'left'
          next()
        }
      },
    }
  }

  const wait = (): WaitingTurn => {
    if (waiting.size === 0 && isFree()) return { turn: Promise.resolve(turnOf()), giveUp: () => {} }
    if (waiting.size >= waitingMax) {
      refused++
      return { turn: Promise.resolve(undefined), giveUp: () => {} }
    }
    let giveUp = () => {}
    const turn = new Promise<SyncTurn | undefined>(resolve => {
      const finish = (given: SyncTurn | undefined) => {
        clearTimeout(timer)
        waiting.delete(finish)
        resolve(given)
      }
      const timer = setTimeout(() => {
        refused++
        finish(undefined)
      }, waitMs)
      giveUp = () => finish(undefined)
      waiting.add(finish)
    })
    return { turn, giveUp }
  }

  return {
    wait,
    get reading() {
      return reading
    },
    get heldBytes() {
      return heldBytes
    },
    get waiting() {
      return waiting.size
    },
    get refused() {
      return refused
    },
  }
}
