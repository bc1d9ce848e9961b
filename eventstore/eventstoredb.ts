// Owns the wire to EventStoreDB / KurrentDB, and opens the event store on it: the only file that knows the client library.
// The library opens connections (url, TLS, credentials, discovery in a cluster); the calls on them are made here: its
// methods share one map of pending appends between all clients of a process, leave calls open, know no deadline, and do not give
// back the bytes of an event. What is said in the calls is eventstoredb-wire.ts.

import { EventStoreDBClient } from '@eventstore/db-client'
import grpc from '@eventstore/db-client/generated/streams_grpc_pb.js'
import type { AppendListener, CallError, Line, ReadListener, ReadRequest } from './eventstoredb-line.ts'
import { createConnection, isAnswer } from './eventstoredb-line.ts'
import { type EventStoreDbTiming, eventStoreDbTiming, openStore } from './eventstoredb-store.ts'
import type { EventStoreDbLogger } from './eventstoredb-subscribe.ts'
import { appendReply, appendRequest, readReply, readRequest } from './eventstoredb-wire.ts'
import type { ExpectedRevision, ImportableStore, NewEvent } from './port.ts'
import { Unavailable } from './port.ts'

export interface EventStoreDbOptions {
  /** Connection string: esdb://host:2113?tls=false, esdb+discover://…, credentials and TLS as the client library documents. */
  readonly url: string
  readonly logger?: EventStoreDbLogger
  /** Ends the wait for a server that cannot be reached. */
  readonly signal?: AbortSignal
  readonly timing?: Partial<EventStoreDbTiming>
}

const nowhere: EventStoreDbLogger = { info: () => undefined, error: () => undefined }

/**
 * Opens the log. Waits for a server that cannot be reached, and says so once.
 * @throws Unavailable when the signal ends the wait, and for a bad url
 */
export const openEventStoreDb = async (options: EventStoreDbOptions): Promise<ImportableStore> => {
  requireUrl(options.url)
  const timing = { ...eventStoreDbTiming, ...options.timing }
  const connection = createConnection(() => makeLine(options.url), timing.silentMs)
  return openStore(connection, { logger: options.logger ?? nowhere, timing, signal: options.signal })
}

/** Here and at once: later a bad url would look like a server that cannot be reached. */
const requireUrl = (url: string): void => {
  try {
    EventStoreDBClient.connectionString(url)
  } catch (cause) {
    throw new Unavailable(`EVENTSTORE_URL cannot be understood: ${(cause as Error).message}`, { cause })
  }
}

const readMethod = '/event_store.client.streams.Streams/Read'
const appendMethod = '/event_store.client.streams.Streams/BatchAppend'
/** Messages are made and read by us (eventstoredb-wire.ts). */
const written = (bytes: Uint8Array): Buffer => bytes as Buffer
const received = (bytes: Buffer): Uint8Array => bytes

type StreamsClient = InstanceType<typeof grpc.StreamsClient>
type CallArguments = [metadata: Parameters<StreamsClient['batchAppend']>[0] & object, options: object]

/** What we use of the library's client: protected in its types. */
interface Library {
  execute(
    of: typeof grpc.StreamsClient,
    name: string,
    act: (on: StreamsClient) => Promise<StreamsClient>,
  ): Promise<StreamsClient>
  callArguments(base: object, call: { deadline: number }): CallArguments
}

const makeLine = async (url: string): Promise<Line> => {
  const library = EventStoreDBClient.connectionString(url) as unknown as Library
  const streams = await library.execute(grpc.StreamsClient, 'streams', async client => client)
  const callArguments = () => library.callArguments({}, { deadline: Number.POSITIVE_INFINITY })
  const calls = new Set<{ cancel(): void }>()
  // The first question since the last word from the server, and that word.
  let askedAtMs = Number.NEGATIVE_INFINITY
  let heardAtMs = Number.NEGATIVE_INFINITY
  const keeper: CallKeeper = {
    calls,
    asked: () => {
      if (askedAtMs <= heardAtMs) askedAtMs = performance.now()
    },
    heard: () => {
      heardAtMs = performance.now()
    },
  }
  return {
    read: (request, listener) => {
      keeper.asked()
      const bytes = readRequest(request)
      const call = streams.makeServerStreamRequest(readMethod, written, received, bytes, ...callArguments())
      return listenToRead(call, request, listener, keeper)
    },
    appends: listener => {
      const call = streams.makeBidiStreamRequest(appendMethod, written, received, ...callArguments())
      return listenToAppends(call, listener, keeper)
    },
    silentForMs: () => (askedAtMs > heardAtMs ? performance.now() - askedAtMs : 0),
    cancelCalls: () => {
      for (const call of calls) call.cancel()
    },
    close: () => streams.close(),
  }
}

interface CallKeeper {
  readonly calls: Set<{ cancel(): void }>
  readonly asked: () => void
  readonly heard: () => void
}

/** A call of grpc-js whose messages are bytes. */
interface ByteCall {
  on(event: 'data', listener: (reply: Uint8Array) => void): unknown
  on(event: 'error', listener: (error: CallError) => void): unknown
  on(event: 'end' | 'metadata', listener: () => void): unknown
  pause(): void
  resume(): void
  cancel(): void
}

/** Hears a call out: every reply, then once how it ended. Returns what ends it without another word. */
const listen = (
  call: ByteCall,
  { calls, heard }: CallKeeper,
  onReply: (reply: Uint8Array) => void,
  onEnd: (error: CallError | undefined) => void,
): (() => void) => {
  const end = (error: CallError | undefined) => {
    if (error === undefined || isAnswer(error)) heard()
    if (calls.delete(call)) onEnd(error)
  }
  calls.add(call)
  call.on('metadata', heard)
  call.on('data', reply => {
    heard()
    if (!calls.has(call)) return
    try {
      onReply(reply)
    } catch (error) {
      end(error as Error)
      call.cancel()
    }
  })
  call.on('error', end)
  call.on('end', () => end(undefined))
  return () => {
    calls.delete(call)
    call.cancel()
  }
}

const listenToRead = (call: ByteCall, request: ReadRequest, listener: ReadListener, keeper: CallKeeper) => {
  const onReply = (bytes: Uint8Array) => {
    const said = readReply(bytes, request.stream)
    if (said === 'confirmed') listener.confirmed?.()
    else if (said !== undefined) listener.item(said)
  }
  const cancel = listen(call, keeper, onReply, error => {
    if (error === undefined) listener.ended()
    else listener.failed(error)
  })
  return { pause: () => call.pause(), resume: () => call.resume(), cancel }
}

const listenToAppends = (
  call: ByteCall & { write(bytes: Uint8Array): unknown },
  listener: AppendListener,
  keeper: CallKeeper,
) => {
  const onReply = (bytes: Uint8Array) => {
    const { number, outcome } = appendReply(bytes)
    listener.answered(number, outcome)
  }
  listen(call, keeper, onReply, error => listener.failed(error ?? new Error('EventStoreDB ended the call')))
  return {
    send: (number: number, stream: string, events: readonly NewEvent[], expected: ExpectedRevision) => {
      keeper.asked()
      call.write(appendRequest(number, stream, events, expected))
    },
    cancel: () => call.cancel(),
  }
}
