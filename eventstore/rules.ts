// Owns the checks that hold for every adapter before it does anything: what an append or a read may ask for.
// Never reads or writes a log. A breach is a programming error (TypeError); only size is an answer of the port (TooLarge).

import type { Position } from '../domain/ids.ts'
import type { ExpectedRevision, NewEvent, ReadAllOptions, ReadOptions } from './port.ts'
import { appendBytesMax, readEventsMax, TooLarge } from './port.ts'

/** Most UTF-8 bytes in the name of a stream: it must fit an LMDB key together with a revision. */
export const streamBytesMax = 1_024
/** Most UTF-16 units in an event's type, and in the key and the fingerprint of its command mark. */
export const eventWordUnitsMax = 1_024
/** JSON punctuation and field names around the values of a stored command mark. */
const commandMarkBytes = 32
/** Most names of event types remembered as checked; a product has some hundreds. */
const checkedTypesMax = 10_000

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const zeroUuid = '00000000-0000-0000-0000-000000000000'
// Half a surrogate pair has no UTF-8 form, so it would not come back as it was given.
const unprintable = /[\p{Cc}\p{Surrogate}]/u
const positionPattern = /^[0-9a-f]{16}$/
const checkedTypes = new Set<string>()

/** @throws TypeError for a name no log can hold */
export const requireStream = (stream: string): void => {
  if (typeof stream !== 'string' || stream === '') throw new TypeError('a stream needs a name')
  if (unprintable.test(stream)) throw new TypeError(`the stream name ${JSON.stringify(stream)} has control characters`)
  if (stream.length * 3 > streamBytesMax && Buffer.byteLength(stream) > streamBytesMax) {
    throw new TypeError(`the stream name ${stream.slice(0, 40)}… is longer than ${streamBytesMax} bytes`)
  }
}

/** @throws TypeError for anything but `none` or a revision */
export const requireExpected = (expected: ExpectedRevision): void => {
  if (expected !== 'none' && !(Number.isSafeInteger(expected) && expected >= 0)) {
    throw new TypeError(`an expected revision is a number from 0 or 'none', not ${String(expected)}`)
  }
}

/**
 * Checks the events of one append.
 * @throws TypeError for an empty list, an id that is no UUID, a bad type; TooLarge beyond appendBytesMax
 */
export const requireEvents = (events: readonly NewEvent[]): void => {
  if (events.length === 0) throw new TypeError('an append needs at least one event')
  let bytesAtMost = 0
  for (const event of events) {
    if (typeof event.id !== 'string' || !uuidPattern.test(event.id) || event.id === zeroUuid) {
      throw new TypeError(`the event id ${JSON.stringify(event.id)} is not a UUID in lower-case text form`)
    }
    if (!checkedTypes.has(event.type)) requireType(event.type)
    if (typeof event.text !== 'string' || event.text === '') throw new TypeError(`event ${event.id} has no text`)
    if (event.command) requireWords(event.id, event.command.key, event.command.fingerprint)
    bytesAtMost += unitsOf(event) * 3
  }
  if (bytesAtMost > appendBytesMax) requireSize(events)
}

/** @throws TypeError for a bad stream, start or limit */
export const requireRead = (stream: string, { from, limit }: ReadOptions): void => {
  requireStream(stream)
  if (from !== 'start' && from !== 'end' && !(Number.isSafeInteger(from) && from >= 0)) {
    throw new TypeError(`a read starts at a revision from 0, 'start' or 'end', not at ${String(from)}`)
  }
  requireLimit(limit)
}

/** @throws TypeError for a bad start or limit */
export const requireReadAll = ({ from, limit }: ReadAllOptions): void => {
  if (from !== 'end') requirePosition(from)
  requireLimit(limit)
}

/** @throws TypeError for anything but a position or `start` */
export const requirePosition = (position: Position | 'start'): void => {
  if (position !== 'start' && !(typeof position === 'string' && positionPattern.test(position))) {
    throw new TypeError(`a position is 16 lower-case hex digits, not ${JSON.stringify(position)}`)
  }
}

/** UTF-8 bytes an event takes of appendBytesMax: type, text and command mark. */
export const bytesOfEvent = (event: NewEvent): number =>
  Buffer.byteLength(event.type) +
  Buffer.byteLength(event.text) +
  (event.command
    ? commandMarkBytes + Buffer.byteLength(event.command.key) + Buffer.byteLength(event.command.fingerprint)
    : 0)

/** UTF-16 units of the same: cheap to know, and at most three bytes each. */
export const unitsOf = (event: NewEvent): number =>
  event.type.length +
  event.text.length +
  (event.command ? commandMarkBytes + event.command.key.length + event.command.fingerprint.length : 0)

const requireSize = (events: readonly NewEvent[]): void => {
  const bytes = events.reduce((sum, event) => sum + bytesOfEvent(event), 0)
  if (bytes > appendBytesMax) {
    throw new TooLarge(`an append of ${bytes} bytes is larger than the ${appendBytesMax} that one append may have`)
  }
}

const requireType = (type: string): void => {
  if (typeof type !== 'string' || type === '' || type.length > eventWordUnitsMax || unprintable.test(type)) {
    throw new TypeError(`${JSON.stringify(type)} is not a type of event`)
  }
  if (checkedTypes.size < checkedTypesMax) checkedTypes.add(type)
}

const requireWords = (id: string, ...words: readonly string[]): void => {
  for (const word of words) {
    if (typeof word !== 'string' || word.length > eventWordUnitsMax) {
      throw new TypeError(`the command mark of event ${id} is not two texts of at most ${eventWordUnitsMax} units`)
    }
  }
}

const requireLimit = (limit: number): void => {
  if (!(Number.isInteger(limit) && limit >= 1 && limit <= readEventsMax)) {
    throw new TypeError(`a read returns 1 to ${readEventsMax} events, not ${limit}`)
  }
}
