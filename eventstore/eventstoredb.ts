// Owns the wire to EventStoreDB / KurrentDB, and opens the event store on it: the only file that knows the client library.
// The library opens connections (url, TLS, credentials, discovery in a cluster); the calls on them are made here, from its own
// service definitions: its methods share one map of pending appends between all clients of a process, leave calls open, know
// no deadline, and do not give back the bytes of an event. Must never store or return other bytes than it was given.

import { EventStoreDBClient } from '@eventstore/db-client'
import shared from '@eventstore/db-client/generated/shared_pb.js'
import grpc from '@eventstore/db-client/generated/streams_grpc_pb.js'
import wire from '@eventstore/db-client/generated/streams_pb.js'
import type { AppendListener, CallError, Line, LogItem, ReadListener, ReadRequest } from './eventstoredb-line.ts'
import { createConnection, isAnswer, logStream, type Refusal } from './eventstoredb-line.ts'
import { type EventStoreDbTiming, eventStoreDbTiming, openStore } from './eventstoredb-store.ts'
import type { EventStoreDbLogger } from './eventstoredb-subscribe.ts'
import type { Appended, CommandMark, EventStore, ExpectedRevision, NewEvent, RecordedEvent } from './port.ts'
import { Conflict, CorruptLog, positionOf, TooLarge, Unavailable, UnknownOutcome } from './port.ts'

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
export const openEventStoreDb = async (options: EventStoreDbOptions): Promise<EventStore> => {
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
      return listenToRead(streams.read(readMessage(request), ...callArguments()), request, listener, keeper)
    },
    appends: listener => listenToAppends(streams.batchAppend(...callArguments()), listener, keeper),
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

/** Hears a call out: every reply, then once how it ended. Returns what ends it without another word. */
const listen = <Reply>(
  call: {
    on(event: 'data', listener: (reply: Reply) => void): unknown
    on(event: 'error', listener: (error: CallError) => void): unknown
    on(event: 'end' | 'metadata', listener: () => void): unknown
    cancel(): void
  },
  { calls, heard }: CallKeeper,
  onReply: (reply: Reply) => void,
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

const listenToRead = (
  call: ReturnType<StreamsClient['read']>,
  request: ReadRequest,
  listener: ReadListener,
  keeper: CallKeeper,
) => {
  const onReply = (reply: InstanceType<typeof wire.ReadResp>) => {
    if (reply.hasConfirmation()) listener.confirmed?.()
    const record = reply.getEvent()?.getEvent()
    if (record !== undefined) listener.item(itemOf(record, request.stream))
  }
  const cancel = listen(call, keeper, onReply, error => {
    if (error === undefined) listener.ended()
    else listener.failed(error)
  })
  return { pause: () => call.pause(), resume: () => call.resume(), cancel }
}

const listenToAppends = (
  call: ReturnType<StreamsClient['batchAppend']>,
  listener: AppendListener,
  keeper: CallKeeper,
) => {
  const onReply = (reply: InstanceType<typeof wire.BatchAppendResp>) => {
    const number = reply.getCorrelationId()?.getStructured()?.getLeastSignificantBits()
    listener.answered(Number(number), outcomeOf(reply))
  }
  listen(call, keeper, onReply, error => listener.failed(error ?? new Error('EventStoreDB ended the call')))
  return {
    send: (number: number, stream: string, events: readonly NewEvent[], expected: ExpectedRevision) => {
      keeper.asked()
      call.write(appendMessage(number, stream, events, expected))
    },
    cancel: () => call.cancel(),
  }
}

const nothing = new shared.Empty()

const readMessage = ({ stream, from, direction, limit }: ReadRequest) => {
  const options = new wire.ReadReq.Options()
  if (stream === undefined) options.setAll(allOptions(from))
  else options.setStream(streamOptions(stream, from))
  if (limit === 'for ever') options.setSubscription(new wire.ReadReq.Options.SubscriptionOptions())
  else options.setCount(String(limit))
  options.setReadDirection(direction === 'forwards' ? 0 : 1)
  options.setNoFilter(nothing)
  options.setUuidOption(new wire.ReadReq.Options.UUIDOption().setString(nothing))
  return new wire.ReadReq().setOptions(options)
}

const allOptions = (from: ReadRequest['from']) => {
  const options = new wire.ReadReq.Options.AllOptions()
  if (from === 'start') return options.setStart(nothing)
  if (from === 'end') return options.setEnd(nothing)
  const value = BigInt(`0x${from}`).toString()
  const position = new wire.ReadReq.Options.Position()
  return options.setPosition(position.setCommitPosition(value).setPreparePosition(value))
}

const streamOptions = (stream: string, from: ReadRequest['from']) => {
  const options = new wire.ReadReq.Options.StreamOptions().setStreamIdentifier(identifierOf(stream))
  if (from === 'start') return options.setStart(nothing)
  return from === 'end' ? options.setEnd(nothing) : options.setRevision(String(from))
}

const bytesOf = (text: string): Uint8Array => {
  const buffer = Buffer.from(text)
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()

const identifierOf = (stream: string) => new shared.StreamIdentifier().setStreamName(bytesOf(stream))

/** The option `no_stream` (field 3, empty), from its bytes: the class of its value is in a package that is not ours to import. */
const noStreamBytes = Uint8Array.of(0x1a, 0x00)

const appendMessage = (number: number, stream: string, events: readonly NewEvent[], expected: ExpectedRevision) => {
  const options =
    expected === 'none'
      ? wire.BatchAppendReq.Options.deserializeBinary(noStreamBytes)
      : new wire.BatchAppendReq.Options().setStreamPosition(String(expected))
  options.setStreamIdentifier(identifierOf(stream))
  const correlation = new shared.UUID.Structured().setMostSignificantBits('1').setLeastSignificantBits(String(number))
  return new wire.BatchAppendReq()
    .setCorrelationId(new shared.UUID().setStructured(correlation))
    .setOptions(options)
    .setProposedMessagesList(events.map(proposedMessage))
    .setIsFinal(true)
}

const proposedMessage = ({ id, type, text, command }: NewEvent) => {
  const message = new wire.BatchAppendReq.ProposedMessage()
    .setId(new shared.UUID().setString(id))
    .setData(bytesOf(text))
  const words = message.getMetadataMap()
  words.set('type', type)
  words.set('content-type', 'application/json')
  if (command !== undefined) {
    const { key, fingerprint } = command
    message.setCustomMetadata(bytesOf(JSON.stringify({ command: { key, fingerprint } })))
  }
  return message
}

const outcomeOf = (reply: InstanceType<typeof wire.BatchAppendResp>): Appended | Refusal => {
  const success = reply.getSuccess()
  const position = success?.getPosition()?.getCommitPosition()
  if (success === undefined || position === undefined) return refusalOf(reply)
  return { revision: Number(success.getCurrentRevision()), position: positionOf(BigInt(position)) }
}

const refusalOf = (reply: InstanceType<typeof wire.BatchAppendResp>): Refusal => {
  const status = reply.getError()
  const details = status?.getDetails()
  const name = details?.getTypeName() ?? ''
  const said = status?.getMessage() || name
  switch (name) {
    case 'event_store.client.WrongExpectedVersion': {
      const wrong = details?.unpack(shared.WrongExpectedVersion.deserializeBinary, name)
      const actual = wrong?.hasCurrentStreamRevision() ? Number(wrong.getCurrentStreamRevision()) : 'none'
      return (stream, expected) => new Conflict(stream, expected, actual)
    }
    case 'event_store.client.MaximumAppendSizeExceeded':
      return stream => new TooLarge(`the append to ${stream} is larger than EventStoreDB is set up to take`)
    case 'event_store.client.AccessDenied':
    case 'event_store.client.BadRequest':
    case 'event_store.client.StreamDeleted':
      return stream => new Unavailable(`EventStoreDB refused the append to ${stream}: ${said}`)
    default:
      // Not handled at all: the server is starting, busy, or looking for a leader.
      if (/^Server Is |^No leader/.test(said)) return () => new Unavailable(`EventStoreDB says: ${said}`)
      return stream => new UnknownOutcome(`EventStoreDB does not know what became of the append to ${stream}: ${said}`)
  }
}

/** A record as the server sent it; with its event unless it is the database's own or the log's id, not asked for by name. */
const itemOf = (
  record: InstanceType<typeof wire.ReadResp.ReadEvent.RecordedEvent>,
  askedFor: string | undefined,
): LogItem => {
  const position = positionOf(BigInt(record.getCommitPosition()))
  const stream = textOf(record.getStreamIdentifier()?.getStreamName_asU8() ?? new Uint8Array())
  const type = record.getMetadataMap().get('type') ?? ''
  const isOwn = stream === logStream && askedFor !== logStream
  if (isOwn || stream.startsWith('$') || type.startsWith('$')) return { position }
  const id = record.getId()?.getString() ?? ''
  const text = textOf(record.getData_asU8())
  const revision = Number(record.getStreamRevision())
  const metadata = record.getCustomMetadata_asU8()
  try {
    const data: object = JSON.parse(text)
    const event: RecordedEvent = { id, type, data, text, stream, revision, position }
    if (metadata.length === 0) return { position, event }
    const { command } = JSON.parse(textOf(metadata)) as { command?: CommandMark }
    return { position, event: command === undefined ? event : { ...event, command } }
  } catch (error) {
    const what = `event ${revision} of ${stream} in EventStoreDB`
    throw new CorruptLog(`${what} is not JSON: was it written by something else?`, { cause: error })
  }
}
