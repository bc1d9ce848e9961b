// Owns the lines of an exported log: how an event is written, how a line is read back byte for byte, what a bad line is.
// Never touches a log.

import type { Position } from '../domain/ids.ts'
import { type Line, linesOf } from './lines.ts'
import type { CommandMark, NewEvent, RecordedEvent } from './port.ts'
import { appendBytesMax } from './port.ts'
import { requireEvents, requirePosition, requireStream } from './rules.ts'

export const exportFormat = 'ledgerline-log-1'
/** Most bytes in a line: an event's text may double when its quotes have to be escaped, plus its other fields. */
const lineBytesMax = 2 * appendBytesMax + 65_536

export interface ExportHeader {
  readonly format: string
  readonly logId: string
  /** Position of the last event of the export, in the exported log. */
  readonly head: Position
  readonly exportedAt: string
}

export interface ExportedEvent {
  readonly kind: 'event'
  /** The line's number, for error messages. */
  readonly number: number
  readonly stream: string
  readonly revision: number
  /** In the exported log. */
  readonly position: Position
  readonly event: NewEvent
}

export type ExportLine =
  | { readonly kind: 'header'; readonly header: ExportHeader }
  | { readonly kind: 'footer'; readonly footer: { readonly events: number } }
  | ExportedEvent

/** A line that no export has. */
export class BadExport extends Error {
  readonly line: number
  constructor(line: number, message: string, options?: { readonly cause?: unknown }) {
    super(`line ${line}: ${message}`, options)
    this.line = line
  }
}

/**
 * One event as one line. The data stands last and exactly as it was stored, so that a reader of lines can use it
 * and an import can cut it out again; text with line breaks of its own is quoted instead.
 */
export const eventLine = ({ stream, revision, position, id, type, text, command }: RecordedEvent): string => {
  const fields = JSON.stringify({ stream, revision, position, id, type, command })
  const isOneLine = !text.includes('\n') && !text.includes('\r')
  return `${fields.slice(0, -1)},${isOneLine ? `"data":${text}` : `"text":${JSON.stringify(text)}`}}\n`
}

const dataField = '"data":'

export interface LinePlace {
  readonly isFirst: boolean
  readonly isAfterEnd: boolean
  /** Position of the event before; positions only grow. */
  readonly previous: Position
}

/** Reads one line. @throws BadExport */
export const parseLine = (text: string, number: number, place: LinePlace): ExportLine => {
  const fields = fieldsOf(text, number)
  if (place.isFirst) return { kind: 'header', header: headerIn(fields, number) }
  if (place.isAfterEnd) throw new BadExport(number, 'there is more after the end of the export')
  if (fields.end === true) {
    if (!isCount(fields.events)) throw new BadExport(number, 'the last line does not say how many events there are')
    return { kind: 'footer', footer: { events: fields.events } }
  }
  const line = eventIn(fields, text, number)
  if (line.position <= place.previous) {
    throw new BadExport(number, `the event at ${line.position} comes after the one at ${place.previous}`)
  }
  return line
}

const fieldsOf = (text: string, number: number): Record<string, unknown> => {
  try {
    const value: unknown = JSON.parse(text)
    if (isObject(value)) return value
  } catch (cause) {
    throw new BadExport(number, `this is not JSON (${(cause as Error).message})`, { cause })
  }
  throw new BadExport(number, 'this is not a JSON object')
}

const headerIn = (fields: Record<string, unknown>, number: number): ExportHeader => {
  const { format, logId, head, exportedAt } = fields
  if (format !== exportFormat) {
    throw new BadExport(number, `this is not an export of format ${exportFormat} but ${JSON.stringify(format)}`)
  }
  if (typeof logId !== 'string' || typeof head !== 'string') throw new BadExport(number, 'the header is incomplete')
  return { format, logId, head: head as Position, exportedAt: String(exportedAt) }
}

const eventIn = (fields: Record<string, unknown>, line: string, number: number): ExportedEvent => {
  const { stream, revision, position, id, type, command, text } = fields
  // A quote inside a JSON string is escaped, so the first such field name is the real one.
  const eventText =
    typeof text === 'string' ? text : line.slice(line.indexOf(dataField) + dataField.length, line.lastIndexOf('}'))
  const eventData = parsedOrUndefined(eventText)
  if (!isCount(revision)) throw new BadExport(number, 'the revision is not a number from 0')
  if (!isObject(eventData)) throw new BadExport(number, 'the data is not an object at the end of the line')
  if (command !== undefined && !isObject(command)) throw new BadExport(number, 'the command mark is not an object')
  const event = {
    id: id as string,
    type: type as string,
    data: eventData,
    text: eventText,
    ...(command !== undefined && { command: { key: command.key, fingerprint: command.fingerprint } as CommandMark }),
  }
  try {
    requireStream(stream as string)
    requirePosition(position as Position)
    requireEvents([event])
  } catch (cause) {
    throw new BadExport(number, (cause as Error).message, { cause })
  }
  return { kind: 'event', number, stream: stream as string, revision, position: position as Position, event }
}

const parsedOrUndefined = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** The lines of an export. @throws BadExport for a line beyond lineBytesMax */
export const exportLines = (input: AsyncIterable<Uint8Array>): AsyncGenerator<Line, void, void> =>
  linesOf(input, lineBytesMax, line => new BadExport(line, `the line is longer than ${lineBytesMax} bytes`))
