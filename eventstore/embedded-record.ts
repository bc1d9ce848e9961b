// Owns how the embedded log looks on disk: the bytes of a record, its checksum, and the keys of log and index.
// A change here is a new format version (embedded-folder.ts). Never touches LMDB or files.

import { crc32 } from 'node:zlib'
import { CorruptLog, positionOf, type RecordedEvent } from './port.ts'

// checksum 4 | kind 1 | flags 1 | units of stream 2, type 2, command key 2, fingerprint 2 | revision 6 | position 8 | replaceable before 8
const headerBytes = 36
const recordKind = 1
const commandFlag = 1
const replaceableFlag = 2
const idUnits = 36
const revisionBytes = 6
const arenaBytes = 1_048_576
/** Arenas kept for the next batch; what a larger batch needs beyond them is left to the garbage collector. */
const arenasKeptMax = 16
/** Index values made at a time; they are used again and never given back: a batch bounds their number. */
const slabPositions = 1_024
const highUnit = 0x1_0000_0000

/** Orders the log's records by position: 8 bytes, the highest first. */
export const positionKey = {
  writeKey: (position: number, target: Buffer, start: number): number => {
    writeUint32(target, start, Math.floor(position / highUnit))
    writeUint32(target, start + 4, position % highUnit)
    return start + 8
  },
  readKey: (source: Buffer, start: number): number => bigEndian(source, start, 8),
}

/** The stream's name, a zero byte (which no name has), and the revision. */
export type RevisionKey = [stream: string, revision: number]

/** Orders the index by stream, then by revision. */
export const revisionKey = {
  writeKey: ([stream, revision]: RevisionKey, target: Buffer, start: number): number => {
    let at = start
    for (let index = 0; index < stream.length; index++) {
      const unit = stream.charCodeAt(index)
      if (unit > 127) {
        at = start + target.write(stream, start)
        break
      }
      target[at++] = unit
    }
    target[at] = 0
    writeUint16(target, at + 1, Math.floor(revision / highUnit))
    writeUint32(target, at + 3, revision % highUnit)
    return at + 1 + revisionBytes
  },
  readKey: (source: Buffer, start: number, end: number): RevisionKey => {
    const nameEnd = end - revisionBytes - 1
    return [Buffer.from(source.subarray(start, nameEnd)).toString(), bigEndian(source, nameEnd + 1, revisionBytes)]
  },
}

/** Beyond every revision a stream can reach. */
export const revisionBeyondAll = 2 ** 48 - 1

// Node's own write methods check their arguments at several times the cost of the writing.
const writeUint32 = (target: Buffer, start: number, value: number): void => {
  target[start] = value >>> 24
  target[start + 1] = value >>> 16
  target[start + 2] = value >>> 8
  target[start + 3] = value
}

const writeUint16 = (target: Buffer, start: number, value: number): void => {
  target[start] = value >>> 8
  target[start + 1] = value
}

const bigEndian = (source: Uint8Array, start: number, bytes: number): number => {
  let value = 0
  for (let index = start; index < start + bytes; index++) value = value * 256 + (source[index] ?? 0)
  return value
}

/** Writes records into memory that LMDB reads from another thread; it is used again only after `reset`. */
export class RecordWriter {
  private arenas: Buffer[] = [Buffer.allocUnsafeSlow(arenaBytes)]
  private arenaNumber = 0
  private used = 0
  private positions: Buffer[] = []
  private positionsUsed = 0

  /** Call when nothing that was written is needed any more. */
  reset(): void {
    this.arenas.length = Math.min(this.arenas.length, arenasKeptMax)
    this.arenaNumber = 0
    this.used = 0
    this.positionsUsed = 0
  }

  /** The index's value: the position of an event. */
  position(position: number): Buffer {
    if (this.positionsUsed === this.positions.length) {
      const slab = Buffer.allocUnsafeSlow(slabPositions * 8)
      for (let start = 0; start < slab.length; start += 8) this.positions.push(slab.subarray(start, start + 8))
    }
    const bytes = this.positions[this.positionsUsed++] as Buffer
    positionKey.writeKey(position, bytes, 0)
    return bytes
  }

  /** The log's value: the whole event with its checksum. */
  record(event: RecordedEvent, { position, replaceableBefore, isReplaceable }: RecordPlace): Buffer {
    const { command } = event
    const words = command
      ? event.id + event.stream + event.type + command.key + command.fingerprint
      : event.id + event.stream + event.type
    const arena = this.room(headerBytes + (words.length + event.text.length) * 3)
    const start = this.used
    const end = start + headerBytes + arena.write(words + event.text, start + headerBytes)
    writeUint32(arena, start, 0)
    arena[start + 4] = recordKind
    arena[start + 5] = (command ? commandFlag : 0) | (isReplaceable ? replaceableFlag : 0)
    writeUint16(arena, start + 6, event.stream.length)
    writeUint16(arena, start + 8, event.type.length)
    writeUint16(arena, start + 10, command ? command.key.length : 0)
    writeUint16(arena, start + 12, command ? command.fingerprint.length : 0)
    writeUint16(arena, start + 14, Math.floor(event.revision / highUnit))
    writeUint32(arena, start + 16, event.revision % highUnit)
    positionKey.writeKey(position, arena, start + 20)
    positionKey.writeKey(replaceableBefore, arena, start + 28)
    const record = arena.subarray(start, end)
    writeUint32(arena, start, crc32(record))
    this.used = end
    return record
  }

  private room(bytes: number): Buffer {
    let arena = this.arenas[this.arenaNumber] as Buffer
    if (this.used + bytes <= arena.length) return arena
    this.arenaNumber++
    this.used = 0
    arena = this.arenas[this.arenaNumber] ?? Buffer.allocUnsafeSlow(0)
    if (arena.length < bytes) {
      arena = Buffer.allocUnsafeSlow(Math.max(arenaBytes, bytes))
      this.arenas[this.arenaNumber] = arena
    }
    return arena
  }
}

/** The position in an index value. */
export const positionIn = (bytes: Uint8Array): number => bigEndian(bytes, 0, 8)

/** Where a record stands, and what tells whether records before it are missing that should be there. */
export interface RecordPlace {
  readonly position: number
  /** Events of streams that keep only their last event, of which most are gone, before this one in the log. */
  readonly replaceableBefore: number
  /** Is this one of them? */
  readonly isReplaceable: boolean
}

/** Stands before the first record. */
export const placeBeforeAll: RecordPlace = { position: 0, replaceableBefore: 0, isReplaceable: false }

/** Are all events between two neighbours in the log such as may be gone? */
export const areNeighbours = (older: RecordPlace, newer: RecordPlace): boolean =>
  newer.position - older.position - 1 ===
  newer.replaceableBefore - older.replaceableBefore - Number(older.isReplaceable)

/**
 * The bytes of a record, after its checksum and its place were verified.
 * @param bytes a private copy: the checksum's field is overwritten
 * @param file where the record came from, for the error message
 */
export const verifiedRecord = (bytes: Uint8Array, position: number, file: string): Buffer => {
  const record = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const stored = record.length >= headerBytes + idUnits ? record.readUInt32BE(0) : undefined
  if (stored !== undefined) record.writeUInt32BE(0, 0)
  if (stored === undefined || crc32(record) !== stored) {
    throw new CorruptLog(corruption(file, `the record at position ${positionOf(position)} does not match its checksum`))
  }
  if (record[4] !== recordKind || bigEndian(record, 20, 8) !== position) {
    throw new CorruptLog(corruption(file, `the record at position ${positionOf(position)} belongs to another place`))
  }
  return record
}

/** The event in a verified record. */
export const eventIn = (record: Buffer): RecordedEvent => {
  const words = record.toString('utf8', headerBytes)
  const streamEnd = idUnits + record.readUInt16BE(6)
  const typeEnd = streamEnd + record.readUInt16BE(8)
  const keyEnd = typeEnd + record.readUInt16BE(10)
  const fingerprintEnd = keyEnd + record.readUInt16BE(12)
  const text = words.slice(fingerprintEnd)
  const event = {
    id: words.slice(0, idUnits),
    type: words.slice(streamEnd, typeEnd),
    data: JSON.parse(text) as object,
    text,
    stream: words.slice(idUnits, streamEnd),
    revision: bigEndian(record, 14, revisionBytes),
    position: positionOf(bigEndian(record, 20, 8)),
  }
  if (!((record[5] ?? 0) & commandFlag)) return event
  return { ...event, command: { key: words.slice(typeEnd, keyEnd), fingerprint: words.slice(keyEnd, fingerprintEnd) } }
}

/** The place in a verified record. */
export const placeIn = (record: Buffer): RecordPlace => ({
  position: bigEndian(record, 20, 8),
  replaceableBefore: bigEndian(record, 28, 8),
  isReplaceable: ((record[5] ?? 0) & replaceableFlag) !== 0,
})

/** Stream and revision in a verified record, without the cost of its data. */
export const streamPlaceIn = (record: Buffer): { stream: string; revision: number } => ({
  stream: record.toString('utf8', headerBytes).slice(idUnits, idUnits + record.readUInt16BE(6)),
  revision: bigEndian(record, 14, revisionBytes),
})

/** What is wrong with which file, and what to do about it: the same advice wherever damage is found. */
export const corruption = (file: string, what: string): string =>
  `${file}: ${what}. Stop the service, then restore this folder from a backup, ` +
  'or move it away to start with an empty log. Nothing was changed.'
