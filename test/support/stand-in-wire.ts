// Owns how the stand-in for EventStoreDB speaks: the client's own service definitions, from the server's side.
// Knows requests and replies, not the log's rules.

import shared from '@eventstore/db-client/generated/shared_pb.js'
import status from '@eventstore/db-client/generated/status_pb.js'
import wire from '@eventstore/db-client/generated/streams_pb.js'
import anyMessage from 'google-protobuf/google/protobuf/any_pb.js'
import emptyMessage from 'google-protobuf/google/protobuf/empty_pb.js'
import type { AppendOutcome, StandInEvent, StandInRecord } from './stand-in-log.ts'

type BatchAppendReq = InstanceType<typeof wire.BatchAppendReq>
type BatchAppendResp = InstanceType<typeof wire.BatchAppendResp>
type ReadReq = InstanceType<typeof wire.ReadReq>
type ReadResp = InstanceType<typeof wire.ReadResp>

export interface ReadQuestion {
  /** Undefined for the whole log. */
  readonly stream: string | undefined
  readonly from: number | 'start' | 'end'
  readonly direction: 'forwards' | 'backwards'
  /** Undefined for a subscription. */
  readonly count: number | undefined
}

export const readQuestion = (request: ReadReq): ReadQuestion => {
  const options = request.getOptions() ?? new wire.ReadReq.Options()
  const stream = options.getStream()
  return {
    stream: stream && nameOf(stream.getStreamIdentifier()),
    from: placeOf(options),
    direction: options.getReadDirection() === 0 ? 'forwards' : 'backwards',
    count: options.hasSubscription() ? undefined : Number(options.getCount()),
  }
}

const nameOf = (identifier: InstanceType<typeof shared.StreamIdentifier> | undefined): string =>
  Buffer.from(identifier?.getStreamName_asU8() ?? []).toString()

const placeOf = (options: InstanceType<typeof wire.ReadReq.Options>): number | 'start' | 'end' => {
  const place = options.getStream() ?? options.getAll()
  if (place?.hasStart()) return 'start'
  if (place?.hasEnd()) return 'end'
  const position = options.getAll()?.getPosition()?.getCommitPosition()
  return Number(position ?? options.getStream()?.getRevision())
}

const bytes = (base64: string): Uint8Array => Uint8Array.from(Buffer.from(base64, 'base64'))

export const eventReply = (record: StandInRecord): ReadResp => {
  const event = new wire.ReadResp.ReadEvent.RecordedEvent()
    .setId(new shared.UUID().setString(record.id))
    .setStreamIdentifier(new shared.StreamIdentifier().setStreamName(Uint8Array.from(Buffer.from(record.stream))))
    .setStreamRevision(String(record.revision))
    .setCommitPosition(String(record.position))
    .setPreparePosition(String(record.position))
    .setData(bytes(record.data))
    .setCustomMetadata(bytes(record.metadata))
  event.getMetadataMap().set('type', record.type)
  event.getMetadataMap().set('content-type', record.isJson ? 'application/json' : 'application/octet-stream')
  const read = new wire.ReadResp.ReadEvent().setEvent(event).setCommitPosition(String(record.position))
  return new wire.ReadResp().setEvent(read)
}

export const streamNotFoundReply = (stream: string): ReadResp => {
  const identifier = new shared.StreamIdentifier().setStreamName(Uint8Array.from(Buffer.from(stream)))
  return new wire.ReadResp().setStreamNotFound(new wire.ReadResp.StreamNotFound().setStreamIdentifier(identifier))
}

export const confirmationReply = (): ReadResp =>
  new wire.ReadResp().setConfirmation(new wire.ReadResp.SubscriptionConfirmation().setSubscriptionId('stand-in'))

export const caughtUpReply = (): ReadResp => new wire.ReadResp().setCaughtUp(new wire.ReadResp.CaughtUp())

export interface AppendQuestion {
  readonly stream: string
  /** Undefined when the stream must not exist. */
  readonly expected: number | undefined
}

/** What the first message of an append says; undefined for what the stand-in does not know (`any`). */
export const appendQuestion = (request: BatchAppendReq): AppendQuestion | undefined => {
  const options = request.getOptions()
  if (options === undefined || options.hasAny() || options.hasStreamExists()) return undefined
  const expected = options.hasNoStream() ? undefined : Number(options.getStreamPosition())
  return { stream: nameOf(options.getStreamIdentifier()), expected }
}

export const proposedEvents = (request: BatchAppendReq): StandInEvent[] =>
  request.getProposedMessagesList().map(message => ({
    id: message.getId()?.getString() ?? '',
    type: message.getMetadataMap().get('type') ?? '',
    isJson: message.getMetadataMap().get('content-type') === 'application/json',
    data: Buffer.from(message.getData_asU8()).toString('base64'),
    metadata: Buffer.from(message.getCustomMetadata_asU8()).toString('base64'),
  }))

/** The answer to an append; `undefined` as an outcome is a request the server cannot read. */
export const appendReply = (
  request: BatchAppendReq,
  expected: number | undefined,
  outcome: AppendOutcome | undefined,
): BatchAppendResp => {
  const reply = new wire.BatchAppendResp().setCorrelationId(request.getCorrelationId())
  switch (outcome?.kind) {
    case 'written': {
      const place = String(outcome.position)
      const position = new shared.AllStreamPosition().setCommitPosition(place).setPreparePosition(place)
      const success = new wire.BatchAppendResp.Success().setCurrentRevision(String(outcome.revision))
      return reply.setSuccess(success.setPosition(position))
    }
    case 'wrong-version':
      return reply.setError(errorOf('WrongExpectedVersion', wrongVersion(expected, outcome.actual)))
    case 'too-large':
      return reply.setError(errorOf('MaximumAppendSizeExceeded', new shared.MaximumAppendSizeExceeded()))
    case undefined:
      return reply.setError(errorOf('BadRequest', new shared.BadRequest()))
  }
}

const wrongVersion = (expected: number | undefined, actual: number | undefined) => {
  const details = new shared.WrongExpectedVersion()
  const empty = new emptyMessage.Empty()
  if (expected === undefined) details.setExpectedNoStream(empty)
  else details.setExpectedStreamPosition(String(expected))
  return actual === undefined ? details.setCurrentNoStream(empty) : details.setCurrentStreamRevision(String(actual))
}

const errorOf = (name: string, details: { serializeBinary(): Uint8Array }) => {
  const packed = new anyMessage.Any()
  packed.pack(details.serializeBinary(), `event_store.client.${name}`)
  return new status.Status().setMessage(name).setDetails(packed)
}

/** The words of a server that is starting: not handled, nothing written. */
export const notReadyReply = (request: BatchAppendReq): BatchAppendResp => {
  const details = new anyMessage.Any()
  details.pack(new Uint8Array(), 'google.protobuf.Empty')
  const error = new status.Status().setMessage('Server Is Not Ready').setDetails(details)
  return new wire.BatchAppendResp().setCorrelationId(request.getCorrelationId()).setError(error)
}
