// Owns how EventStoreDB keeps whether an import into it is complete: events in the log's own stream, which nobody else is shown.
// The last one counts. Nothing of an import is written before the first of them, and nothing after the last.

import { randomUUID } from 'node:crypto'
import type { Appender } from './eventstoredb-append.ts'
import { logStream } from './eventstoredb-line.ts'
import type { Reader } from './eventstoredb-read.ts'
import type { ImportSource, NewEvent } from './port.ts'

export interface ImportMarks {
  /** @throws Unavailable */
  unfinished(): Promise<ImportSource | undefined>
  /** @throws Unavailable, UnknownOutcome, Conflict when somebody else began or completed one meanwhile */
  mark(source: ImportSource | undefined): Promise<void>
}

/** The log's id is in the stream already: it comes first. */
export const createImportMarks = (reader: Reader, appender: Appender): ImportMarks => {
  const newest = async () => {
    const [event] = await reader.read(logStream, { from: 'end', direction: 'backwards', limit: 1 })
    return event
  }
  return {
    unfinished: async () => {
      const event = await newest()
      return event?.type === 'ImportBegun' ? (event.data as ImportSource) : undefined
    },
    mark: async source => {
      const event = await newest()
      await appender.append(logStream, [markOf(source)], event?.revision ?? 'none')
    },
  }
}

const markOf = (source: ImportSource | undefined): NewEvent => {
  const data = source ?? {}
  return { id: randomUUID(), type: source ? 'ImportBegun' : 'ImportCompleted', data, text: JSON.stringify(data) }
}
