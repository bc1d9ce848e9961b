// Owns the messages to and from EventStoreDB, field by field: the client library's own classes cost a busy server more than all
// else that it does for a message. The numbers are those of EventStoreDB's streams.proto, shared.proto and status.proto.
// Must never store or return other bytes than it was given. What is not known here is skipped: servers add fields.

import protobuf from 'protobufjs/minimal.js'
import type { Position } from '../domain/ids.ts'
import { type LogItem, logStream, type ReadRequest, type Refusal } from './eventstoredb-line.ts'
import type { Appended, CommandMark, ExpectedRevision, NewEvent, RecordedEvent } from './port.ts'
import { Conflict, CorruptLog, positionBeforeAll, TooLarge, Unavailable, UnknownOutcome } from './port.ts'

const { Reader, Writer } = protobuf
type Reader = protobuf.Reader
type Writer = protobuf.Writer

/** A field's number with how it is written: as a number, or as bytes with their length before them. */
const numberField = (field: number): number => field << 3
const bytesField = (field: number): number => (field << 3) | 2

const empty = (writer: Writer, field: number): Writer => writer.uint32(bytesField(field)).uint32(0)

const identifier = (writer: Writer, field: number, stream: string): Writer =>
  writer.uint32(bytesField(field)).fork().uint32(bytesField(3)).string(stream).ldelim()

const entry = (writer: Writer, field: number, key: string, value: string): Writer =>
  writer.uint32(bytesField(field)).fork().uint32(bytesField(1)).string(key).uint32(bytesField(2)).string(value).ldelim()

/** A ReadReq: ids come as text, links are not followed, nothing is filtered. */
export const readRequest = (request: ReadRequest): Uint8Array => {
  const { stream, direction, limit } = request
  const writer = Writer.create().uint32(bytesField(1)).fork()
  if (stream === undefined) writeLogPlace(writer.uint32(bytesField(2)).fork(), request).ldelim()
  else writeStreamPlace(identifier(writer.uint32(bytesField(1)).fork(), 1, stream), request).ldelim()
  writer.uint32(numberField(3)).uint32(direction === 'forwards' ? 0 : 1)
  if (limit === 'for ever') empty(writer, 6)
  else writer.uint32(numberField(5)).uint32(limit)
  empty(writer, 8)
  empty(writer.uint32(bytesField(9)).fork(), 2).ldelim()
  return writer.ldelim().finish()
}

const writeStreamPlace = (writer: Writer, { from }: ReadRequest): Writer => {
  if (from === 'start') return empty(writer, 3)
  return from === 'end' ? empty(writer, 4) : writer.uint32(numberField(2)).uint64(from as number)
}

const writeLogPlace = (writer: Writer, { from }: ReadRequest): Writer => {
  if (from === 'start') return empty(writer, 2)
  if (from === 'end') return empty(writer, 3)
  const value = BigInt(`0x${from}`).toString()
  writer.uint32(bytesField(1)).fork()
  return writer.uint32(numberField(1)).uint64(value).uint32(numberField(2)).uint64(value).ldelim()
}

/** A BatchAppendReq: the whole append in one message, known by its number. */
export const appendRequest = (
  number: number,
  stream: string,
  events: readonly NewEvent[],
  expected: ExpectedRevision,
): Uint8Array => {
  const writer = Writer.create()
  writer.uint32(bytesField(1)).fork().uint32(bytesField(1)).fork()
  writer.uint32(numberField(1)).int64(1).uint32(numberField(2)).int64(number).ldelim().ldelim()
  identifier(writer.uint32(bytesField(2)).fork(), 1, stream)
  if (expected === 'none') empty(writer, 3)
  else writer.uint32(numberField(2)).uint64(expected)
  writer.ldelim()
  for (const event of events) writeEvent(writer.uint32(bytesField(3)).fork(), event).ldelim()
  return writer.uint32(numberField(4)).bool(true).finish()
}

const writeEvent = (writer: Writer, { id, type, text, command }: NewEvent): Writer => {
  writer.uint32(bytesField(1)).fork().uint32(bytesField(2)).string(id).ldelim()
  entry(writer, 2, 'type', type)
  entry(writer, 2, 'content-type', 'application/json')
  if (command !== undefined) {
    const { key, fingerprint } = command
    writer.uint32(bytesField(3)).string(JSON.stringify({ command: { key, fingerprint } }))
  }
  return writer.uint32(bytesField(4)).string(text)
}

/** A number of 64 bits in its halves: places of the log go beyond what a number of ours holds. */
interface Halves {
  readonly low: number
  readonly high: number
}

const numberOf = ({ low, high }: Halves): number => (high >>> 0) * 0x1_0000_0000 + (low >>> 0)
const hexOf = (half: number): string => (half >>> 0).toString(16).padStart(8, '0')
const positionFrom = ({ low, high }: Halves): Position => (hexOf(high) + hexOf(low)) as Position

/** Where the message that comes next ends. */
const endOf = (reader: Reader): number => reader.uint32() + reader.pos

/** Goes on to the field of that number within a message that has few others. @returns false when there is none */
const seek = (reader: Reader, end: number, tag: number): boolean => {
  while (reader.pos < end) {
    const found = reader.uint32()
    if (found === tag) return true
    reader.skipType(found & 7)
  }
  return false
}

/** What a ReadResp says; undefined: nothing that concerns who reads events. */
export const readReply = (bytes: Uint8Array, askedFor: string | undefined): LogItem | 'confirmed' | undefined => {
  const reader = Reader.create(bytes)
  let said: LogItem | 'confirmed' | undefined
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (tag === bytesField(1)) {
      const end = endOf(reader)
      if (seek(reader, end, bytesField(1))) said = itemOf(readRecord(reader), askedFor)
      reader.pos = end
    } else {
      if (tag === bytesField(2)) said = 'confirmed'
      reader.skipType(tag & 7)
    }
  }
  return said
}

/** A RecordedEvent as it was sent. */
interface WireRecord {
  id: string
  stream: string
  type: string
  text: string
  metadata: string
  revision: number
  position: Position
}

const readRecord = (reader: Reader): WireRecord => {
  const record: WireRecord = {
    id: '',
    stream: '',
    type: '',
    text: '',
    metadata: '',
    revision: 0,
    position: positionBeforeAll,
  }
  const end = endOf(reader)
  while (reader.pos < end) {
    const tag = reader.uint32()
    switch (tag) {
      case bytesField(1):
        record.id = readInner(reader, bytesField(2))
        break
      case bytesField(2):
        record.stream = readInner(reader, bytesField(3))
        break
      case numberField(3):
        record.revision = numberOf(reader.uint64())
        break
      case numberField(5):
        record.position = positionFrom(reader.uint64())
        break
      case bytesField(6):
        record.type = readType(reader) ?? record.type
        break
      case bytesField(7):
        record.metadata = reader.string()
        break
      case bytesField(8):
        record.text = reader.string()
        break
      default:
        reader.skipType(tag & 7)
    }
  }
  return record
}

/** The text of the one field that is asked of a message. */
const readInner = (reader: Reader, tag: number): string => {
  const end = endOf(reader)
  const text = seek(reader, end, tag) ? reader.string() : ''
  reader.pos = end
  return text
}

/** The type, if the entry of the metadata map is the one that tells it. */
const readType = (reader: Reader): string | undefined => {
  const end = endOf(reader)
  const isType = seek(reader, end, bytesField(1)) && reader.string() === 'type'
  const type = isType && seek(reader, end, bytesField(2)) ? reader.string() : undefined
  reader.pos = end
  return type
}

/** A record's event, unless it is the database's own or the log's id, not asked for by name. */
const itemOf = (record: WireRecord, askedFor: string | undefined): LogItem => {
  const { id, stream, type, text, metadata, revision, position } = record
  const isOwn = stream === logStream && askedFor !== logStream
  if (isOwn || stream.startsWith('$') || type.startsWith('$')) return { position }
  try {
    const data: object = JSON.parse(text)
    const event: RecordedEvent = { id, type, data, text, stream, revision, position }
    if (metadata === '') return { position, event }
    const { command } = JSON.parse(metadata) as { command?: CommandMark }
    return { position, event: command === undefined ? event : { ...event, command } }
  } catch (error) {
    const what = `event ${revision} of ${stream} in EventStoreDB`
    throw new CorruptLog(`${what} is not JSON: was it written by something else?`, { cause: error })
  }
}

export interface AppendReply {
  /** The append's own. */
  readonly number: number
  readonly outcome: Appended | Refusal
}

/** What a BatchAppendResp says. */
export const appendReply = (bytes: Uint8Array): AppendReply => {
  const reader = Reader.create(bytes)
  let number = Number.NaN
  let outcome: Appended | Refusal | undefined
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (tag === bytesField(1)) number = readNumber(reader)
    else if (tag === bytesField(2)) outcome = readRefusal(reader)
    else if (tag === bytesField(3)) outcome = readSuccess(reader)
    else reader.skipType(tag & 7)
  }
  return { number, outcome: outcome ?? refusalOf({ name: '', said: '', details: new Uint8Array() }) }
}

/** The number that was sent as the lower half of the append's id. */
const readNumber = (reader: Reader): number => {
  const end = endOf(reader)
  let number = Number.NaN
  if (seek(reader, end, bytesField(1)) && seek(reader, endOf(reader), numberField(2))) number = numberOf(reader.int64())
  reader.pos = end
  return number
}

const readSuccess = (reader: Reader): Appended | undefined => {
  const end = endOf(reader)
  let revision = 0
  let position: Position | undefined
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === numberField(1)) revision = numberOf(reader.uint64())
    else if (tag === bytesField(3)) {
      const positionEnd = endOf(reader)
      position = seek(reader, positionEnd, numberField(1)) ? positionFrom(reader.uint64()) : positionBeforeAll
      reader.pos = positionEnd
    } else reader.skipType(tag & 7)
  }
  return position && { revision, position }
}

interface WireStatus {
  /** Of the kind of error: a message of its own, with these bytes. */
  name: string
  said: string
  details: Uint8Array
}

const readRefusal = (reader: Reader): Refusal => {
  const status: WireStatus = { name: '', said: '', details: new Uint8Array() }
  const end = endOf(reader)
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === bytesField(2)) status.said = reader.string()
    else if (tag === bytesField(3)) readDetails(reader, status)
    else reader.skipType(tag & 7)
  }
  return refusalOf(status)
}

const readDetails = (reader: Reader, status: WireStatus): void => {
  const end = endOf(reader)
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === bytesField(1)) status.name = reader.string().replace(/^.*\//, '')
    else if (tag === bytesField(2)) status.details = reader.bytes()
    else reader.skipType(tag & 7)
  }
}

const refusalOf = ({ name, said: words, details }: WireStatus): Refusal => {
  const said = words || name
  switch (name) {
    case 'event_store.client.WrongExpectedVersion': {
      const reader = Reader.create(details)
      const actual = seek(reader, reader.len, numberField(1)) ? numberOf(reader.uint64()) : 'none'
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
