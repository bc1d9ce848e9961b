// Owns the two sources of the unrepeatable: time and ids. Everything else gets them as arguments, so that tests and replays
// are deterministic.

import { hash, randomFillSync, randomUUID } from 'node:crypto'
import { base32Of, type Instant, unixMsOfUuidV7, uuidV7Bytes } from '../domain/ids.ts'

export interface Clock {
  unixMs(): number
  now(): Instant
}

let formattedMs = -1
let formatted = '' as Instant

/** The wall clock. The text of one millisecond is made once: the hot path asks thousands of times a second. */
export const systemClock: Clock = {
  unixMs: () => Date.now(),
  now: () => {
    const unixMs = Date.now()
    if (unixMs !== formattedMs) {
      formattedMs = unixMs
      formatted = instantOf(unixMs)
    }
    return formatted
  },
}

export const instantOf = (unixMs: number): Instant => new Date(unixMs).toISOString() as Instant

/** A fresh server-made id: UUIDv7 as 26 base-32 digits, ordered by time. */
export const newId = (clock: Clock): string => base32Of(uuidV7Bytes(clock.unixMs(), randomFillSync(new Uint8Array(10))))

/**
 * The id that one command of one caller makes, the same at every repeat, so that a retry after a crash finds what it made.
 * Carries the time of a UUIDv7 key, so such ids are ordered by time as well.
 */
export const derivedId = (caller: string, key: string): string => {
  const digest = hash('sha256', `${caller}\n${key}`, 'buffer')
  const unixMs = unixMsOfUuidV7(key) ?? digest.readUIntBE(10, 5)
  return base32Of(uuidV7Bytes(unixMs, digest))
}

/** A random event id. */
export const randomEventId = (): string => randomUUID()

/** The id of event number `index` of the command known by `seed`: a UUID of version 8 (RFC 9562, 5.8) made from its hash. */
export const eventIdOf = (seed: string, index: number): string => {
  const hex = hash('sha1', `${seed}\n${index}`, 'hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** A short fingerprint of text: equal texts have equal ones; used to tell a repeated command from another under its key. */
export const fingerprintOf = (text: string): string => hash('sha1', text, 'base64url').slice(0, 16)
