// Owns which connection to EventStoreDB is in use: makes a line when one is needed, gives it up when it fails or falls silent,
// and says what a failed call means. Must never make lines faster than the named pause, and never call an append "not written"
// that may have been.

import { setTimeout as delay } from 'node:timers/promises'
import type { Position } from '../domain/ids.ts'
import type { Appended, ExpectedRevision, NewEvent, RecordedEvent } from './port.ts'
import { CorruptLog, Unavailable, UnknownOutcome } from './port.ts'

/** What a page or a subscription asks for. */
export interface ReadRequest {
  /** Absent: the whole log. */
  readonly stream?: string
  /** Revision or position; of the log, forwards it is inclusive, backwards and in a subscription exclusive. */
  readonly from: number | Position | 'start' | 'end'
  readonly direction: 'forwards' | 'backwards'
  readonly limit: number | 'for ever'
}

/** One event as the server sent it. */
export interface LogItem {
  readonly position: Position
  /** Absent for what the database keeps for itself. */
  readonly event?: RecordedEvent
}

export interface ReadListener {
  /** A subscription stands. */
  readonly confirmed?: () => void
  readonly item: (item: LogItem) => void
  readonly ended: () => void
  readonly failed: (error: CallError) => void
}

export interface ReadCall {
  pause(): void
  resume(): void
  /** Nothing more is heard of it. */
  cancel(): void
}

/** Makes the error that a refused append ends with. */
export type Refusal = (stream: string, expected: ExpectedRevision) => Error

export interface AppendListener {
  readonly answered: (number: number, outcome: Appended | Refusal) => void
  readonly failed: (error: CallError) => void
}

export interface AppendCall {
  send(number: number, stream: string, events: readonly NewEvent[], expected: ExpectedRevision): void
  /** Ends the call; the listener hears of it as of a failure. */
  cancel(): void
}

/** One connection to the server (of a cluster: to its leader). */
export interface Line {
  read(request: ReadRequest, listener: ReadListener): ReadCall
  appends(listener: AppendListener): AppendCall
  /** How long it has been asked without hearing anything at all; 0 while nothing is asked or answers come. */
  silentForMs(): number
  /** Ends every call on it; each listener hears of it as of a failure. */
  cancelCalls(): void
  /** Lets go of the socket once the calls on it have ended. */
  close(): void
}

/** An error of gRPC. */
export interface CallError extends Error {
  readonly code?: number
  readonly details?: string
  readonly metadata?: { get(key: string): readonly unknown[] }
}

export interface Connection {
  /** The line in use, made if there is none. @throws Unavailable */
  line(): Promise<Line>
  /** Tells of a call that failed: if it says that the line is no good, the next call takes another. */
  failed(line: Line, error: CallError): void
  /** Tells of a call without an answer: if the line has been silent too long altogether, everything on it ends. */
  unanswered(line: Line): void
  /** Ends everything on the line in use. */
  close(): Promise<void>
}

/** Holds the id of the log; made by the first who opens it, and shown to nobody. */
export const logStream = 'ledgerline-log'
/** Shortest time between the making of two lines: a server that refuses must not be knocked at thousands of times a second. */
export const reconnectPauseMs = 100
/** Longest time to wait for a line to be made: name resolution, and discovery in a cluster. */
const connectDeadlineMs = 5_000
/** Longest time that close() waits for a line that is being made. */
const closeDeadlineMs = 1_000

/**
 * @param connect makes a line; its socket is opened by the first call
 * @param silentMsMax longest silence of a line that is asked; a dead socket is found out long before its keepalive would
 */
export const createConnection = (connect: () => Promise<Line>, silentMsMax: number): Connection => {
  const givenUp = new WeakSet<Line>()
  let current: Promise<Line> | undefined
  let madeAtMs = Number.NEGATIVE_INFINITY
  let closed = false

  const make = (): Promise<Line> => {
    madeAtMs = performance.now()
    const late = () => new Error(`no answer within ${connectDeadlineMs} ms`)
    const making = withDeadline(connect(), connectDeadlineMs, late).catch((error: Error) => {
      if (current === making) current = undefined
      throw new Unavailable(`EventStoreDB was not found: ${error.message}`, { cause: error })
    })
    return making
  }

  const giveUp = (line: Line) => {
    if (givenUp.has(line)) return
    givenUp.add(line)
    current = undefined
    line.close()
  }

  return {
    line: async () => {
      if (closed) throw new Unavailable('the event store is closed')
      if (current === undefined && performance.now() - madeAtMs < reconnectPauseMs) {
        throw new Unavailable('the connection to EventStoreDB was lost a moment ago')
      }
      current ??= make()
      return current
    },
    failed: (line, error) => {
      if (endsTheLine(error)) giveUp(line)
    },
    unanswered: line => {
      if (line.silentForMs() < silentMsMax) return
      giveUp(line)
      line.cancelCalls()
    },
    close: async () => {
      closed = true
      const end = (line: Line) => {
        line.cancelCalls()
        giveUp(line)
      }
      const ended = current?.then(end, () => undefined)
      await Promise.race([ended, delay(closeDeadlineMs, undefined, { ref: false })])
    },
  }
}

/** Settles as the promise does, or rejects when the time is over; a later rejection of the promise is nobody's. */
const withDeadline = <Value>(promise: Promise<Value>, deadlineMs: number, late: () => Error): Promise<Value> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), deadlineMs)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })

const grpcCancelled = 1
const grpcUnknown = 2
const grpcInvalidArgument = 3
const grpcUnavailable = 14
/** What grpc-js says of a call that never got a connection: nothing of it was sent. */
const neverSent = /No connection established|Channel closed before call started|Name resolution failed/
const invalidPosition = /invalid ?position/i

/** Whether the server itself has said so, and not the connection to it. */
export const isAnswer = (error: CallError): boolean => error.code !== grpcUnavailable && error.code !== grpcCancelled

/** Whether another line is worth a try: the server is gone, or is no longer the leader. */
const endsTheLine = (error: CallError): boolean =>
  error.code === grpcUnavailable || error.metadata?.get('exception')[0] === 'not-leader'

/** Whether the server refused to read from that place of the log: no event begins there. */
export const isInvalidPosition = (error: CallError): boolean =>
  (error.code === grpcInvalidArgument || error.code === grpcUnknown) && invalidPosition.test(error.details ?? '')

/** Only this adapter cancels, a whole line at a time: when it has been silent too long, and when the store is closed. */
const wordsOf = (error: CallError): string =>
  error.code === grpcCancelled ? 'the connection was given up' : error.details || error.message

/** What a failed call means for the appends that were on it. */
export const appendFailure = (error: CallError): Unavailable | UnknownOutcome => {
  const words = wordsOf(error)
  return neverSent.test(words)
    ? new Unavailable(`EventStoreDB cannot be reached: ${words}`, { cause: error })
    : new UnknownOutcome(`the connection to EventStoreDB was lost before the answer: ${words}`, { cause: error })
}

/** What a failed call means for the read that it was. */
export const readFailure = (error: CallError): Unavailable | CorruptLog =>
  error instanceof CorruptLog
    ? error
    : new Unavailable(`the read from EventStoreDB failed: ${wordsOf(error)}`, { cause: error })
