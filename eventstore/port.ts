// Owns what the rest of the product may ask of an event log, and the errors it may answer with.
// Adapters implement it (embedded.ts, eventstoredb.ts); one contract suite holds them to the same words.

import type { Position } from '../domain/ids.ts'

/** An event before it is in the log. `text` is the JSON text of `data`, made once by the caller and stored as it is. */
export interface NewEvent {
  /** A UUID in lower-case text form. The same id at the same exact revision is the same event, for ever. */
  readonly id: string
  readonly type: string
  readonly data: object
  readonly text: string
  /** What the command that caused the event is known by (handle.ts); absent for messages, which carry their own key. */
  readonly command?: CommandMark
}

/** How a repeated command is recognised: its key for the caller, and a fingerprint of what it asked for. */
export interface CommandMark {
  readonly key: string
  readonly fingerprint: string
}

/** An event in the log. Frozen by agreement: subscribers share one object, nobody changes it. */
export interface RecordedEvent extends NewEvent {
  readonly stream: string
  /** Number in its stream, from 0. */
  readonly revision: number
  readonly position: Position
}

/** The revision the stream's last event must have, or `none` when the stream must not exist. There is no `any`. */
export type ExpectedRevision = number | 'none'

export interface Appended {
  /** Revision of the last event of the append. */
  readonly revision: number
  /** Position of the last event of the append. */
  readonly position: Position
}

export interface ReadOptions {
  /** First revision to return (inclusive); `end` is the newest event. */
  readonly from: number | 'start' | 'end'
  readonly direction: 'forwards' | 'backwards'
  /** 1 … readEventsMax. */
  readonly limit: number
}

export interface ReadAllOptions {
  /** First position to return (inclusive); `end` is the newest event. Any position may stand here, also one between events. */
  readonly from: Position | 'start' | 'end'
  readonly direction: 'forwards' | 'backwards'
  /** 1 … readEventsMax. */
  readonly limit: number
}

export interface EventStore {
  /** Random, made with the log; a position means nothing in another log. */
  readonly logId: string
  /**
   * How many appends a caller does well to have under way: more would only wait inside, where nothing can join them any more.
   * Infinity where all that wait are written together.
   */
  readonly appendsAtOnce: number
  /**
   * Appends all events or none. Durable when it resolves; subscribers hear only after that point is reached.
   * Repeating an append with the same ids and the same `expected` gives the original result, however old it is.
   * At most appendBytesMax over type + data + metadata. An empty list is a programming error and throws.
   * @throws Conflict, Unavailable, UnknownOutcome, TooLarge
   */
  append(stream: string, events: readonly NewEvent[], expected: ExpectedRevision): Promise<Appended>
  /** A bounded page of one stream; empty for a stream that does not exist. @throws Unavailable, CorruptLog */
  read(stream: string, options: ReadOptions): Promise<readonly RecordedEvent[]>
  /** A bounded page of the whole log in log order (or its reverse). @throws Unavailable, CorruptLog */
  readAll(options: ReadAllOptions): Promise<readonly RecordedEvent[]>
  /**
   * Every event after `from` (exclusive), in log order, in batches of at most subscriptionBatchEventsMax, each event once,
   * for ever: a lost connection is mended inside. Ends when the signal aborts. Back-pressure: nothing is fetched beyond a
   * bounded buffer while the consumer works.
   */
  subscribe(options: { from: Position | 'start'; signal: AbortSignal }): AsyncIterable<readonly RecordedEvent[]>
  /** Position of the newest event; `0000000000000000` for an empty log. @throws Unavailable */
  head(): Promise<Position>
  close(): Promise<void>
}

/** The export that an import takes: enough to know the same one again. */
export interface ImportSource {
  readonly logId: string
  readonly head: Position
  readonly exportedAt: string
}

/** A log as an import has it. While one is not complete nobody else may use the log (open.ts): it would be taken for the whole. */
export interface ImportableStore extends EventStore {
  /** Found when the log was opened; undefined when no import is unfinished. */
  readonly unfinishedImport: ImportSource | undefined
  /** Says durably that an import of this export has begun or, without one, that it is complete. @throws Unavailable, UnknownOutcome, Conflict */
  markImport(source: ImportSource | undefined): Promise<void>
}

export const positionBeforeAll = '0000000000000000' as Position

/** A position from the log's own number: 16 lower-case hex digits. */
export const positionOf = (value: bigint | number): Position => value.toString(16).padStart(16, '0') as Position

interface StoreErrorOptions {
  readonly cause?: unknown
}

/** The stream is not at the expected revision; nothing was written. */
export class Conflict extends Error {
  readonly code = 'conflict'
  readonly stream: string
  readonly expected: ExpectedRevision
  readonly actual: ExpectedRevision
  constructor(stream: string, expected: ExpectedRevision, actual: ExpectedRevision) {
    super(`stream ${stream} is at ${actual}, not at ${expected}`)
    this.stream = stream
    this.expected = expected
    this.actual = actual
  }
}

/** The log cannot be reached or cannot write; nothing was written by this call. */
export class Unavailable extends Error {
  readonly code = 'unavailable'
  constructor(message: string, options?: StoreErrorOptions) {
    super(message, options)
  }
}

/** Nobody knows whether the append happened. Ask again with the same ids and the same expected revision. */
export class UnknownOutcome extends Error {
  readonly code = 'unknown-outcome'
  constructor(message: string, options?: StoreErrorOptions) {
    super(message, options)
  }
}

/** The append is larger than appendBytesMax; nothing was written. */
export class TooLarge extends Error {
  readonly code = 'too-large'
  constructor(message: string) {
    super(message)
  }
}

/** What is stored cannot be read back as it was written. The message says which file and what to do. */
export class CorruptLog extends Error {
  readonly code = 'corrupt-log'
  constructor(message: string, options?: StoreErrorOptions) {
    super(message, options)
  }
}

/** Most events one read may return. */
export const readEventsMax = 1_000
/** Most events in one batch of a subscription. */
export const subscriptionBatchEventsMax = 1_000
/** Most bytes in one append: EventStoreDB's own default limit over type + data + metadata of all its events. */
export const appendBytesMax = 1_048_576
