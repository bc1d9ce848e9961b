// Owns moving a whole log from one event store to another: as lines of JSON that keep every event's id, type, text, stream and order.
// Works through the port only. Never writes into a log that has events of its own, and never leaves a partial import unmarked.
// The file is a backup: it holds what the log holds, secrets and personal data included.

import type { Position } from '../domain/ids.ts'
import type { Work } from './control.ts'
import type { EventStore, ImportableStore, ImportSource, RecordedEvent } from './port.ts'
import { positionBeforeAll } from './port.ts'
import { cursorType, ImportWriter, incomplete, type Report } from './transfer-import.ts'
import {
  type ExportHeader,
  type ExportLine,
  eventLine,
  exportFormat,
  exportLines,
  parseLine,
} from './transfer-lines.ts'

/** Events in one page of an export: a page is held in memory, and an event may have a mebibyte. */
const pageEvents = 500
const progressIntervalMs = 1_000

export interface TransferOptions {
  readonly report: Report
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/**
 * The whole log as text, in pieces of complete lines: a header, every event in log order, a footer with their number.
 * Ends at the head it found at the start, whatever is written meanwhile. Back-pressure: a page is read when the piece before it was taken.
 * @throws Unavailable, CorruptLog
 */
export async function* exportLog(store: EventStore, options: TransferOptions): AsyncGenerator<string, void, void> {
  const head = await store.head()
  const exportedAt = new Date(options.now()).toISOString()
  yield lineOf({ format: exportFormat, logId: store.logId, head, exportedAt })
  const progress = createProgress('exported', head, options)
  let events = 0
  let from: Position | 'start' = 'start'
  for (;;) {
    const page: readonly RecordedEvent[] = await store.readAll({ from, direction: 'forwards', limit: pageEvents })
    const fresh = page.filter(event => event.position <= head && !(event.position === from))
    if (fresh.length > 0) yield fresh.map(eventLine).join('')
    events += fresh.length
    const last = page.at(-1)
    if (!last || page.length < pageEvents || last.position >= head) break
    from = last.position
    progress.at(events, from)
  }
  for await (const cursors of cursorsAfter(store, head)) {
    yield cursors.map(eventLine).join('')
    events += cursors.length
  }
  yield lineOf({ end: true, events })
  progress.done(events)
}

/**
 * Followers' cursors that were stored while the log was being read, and are gone from where they stood at the start. A follower
 * that is further now has done with everything in the export: that is what its cursor comes to mean in the new log.
 */
async function* cursorsAfter(store: EventStore, head: Position): AsyncGenerator<readonly RecordedEvent[], void, void> {
  if (head === positionBeforeAll) return
  for (let from = head; ; ) {
    const page = await store.readAll({ from, direction: 'forwards', limit: pageEvents })
    const cursors = page.filter(({ type, position }) => type === cursorType && position > from)
    if (cursors.length > 0) yield cursors
    const last = page.at(-1)
    if (!last || page.length < pageEvents) return
    from = last.position
  }
}

/**
 * Writes an export into an empty log and returns the number of events. Goes on where an earlier import of the same export ended:
 * the same ids at the same revisions are the same events. Until it is complete nobody else opens the log.
 * Revisions stay as they are; a stream that keeps only its last event starts anew at 0 with that one.
 * Followers' cursors are changed to the new log's positions.
 * @throws BadExport with the line's number; Unavailable, UnknownOutcome, Conflict: the log is then marked as incomplete
 */
export const importLog = async (
  store: ImportableStore,
  input: AsyncIterable<Uint8Array>,
  options: TransferOptions,
): Promise<number> => {
  const [oldest] = await store.readAll({ from: 'start', direction: 'forwards', limit: 1 })
  if (oldest && store.unfinishedImport === undefined)
    throw new Error(`the log ${store.logId} is not empty: an import needs a new log, for example another DATA_DIR`)
  const writer = new ImportWriter(store, options.report)
  let header: ExportHeader | undefined
  let footer: { readonly events: number } | undefined
  let progress: Progress | undefined
  let previous: Position = positionBeforeAll
  for await (const { text, number } of exportLines(input)) {
    if (!header && isBannerOfNpm(text)) continue
    const line: ExportLine = parseLine(text, number, { isFirst: !header, isAfterEnd: footer !== undefined, previous })
    if (line.kind === 'header') {
      header = line.header
      await begin(store, header, { ...options, isEmpty: oldest === undefined })
      progress = createProgress('imported', header.head, options)
    } else if (line.kind === 'footer') footer = line.footer
    else {
      previous = line.position
      await writer.add(line)
      progress?.at(writer.events, previous)
    }
  }
  await writer.finish()
  requireWhole(writer.events, header, footer)
  await store.markImport(undefined)
  progress?.done(writer.events)
  return writer.events
}

/** Marks the log before the first event, or finds that it was begun with the same export. */
const begin = async (
  store: ImportableStore,
  { logId, head, exportedAt }: ExportHeader,
  { isEmpty, report }: TransferOptions & { readonly isEmpty: boolean },
): Promise<void> => {
  const begun = store.unfinishedImport
  if (begun === undefined || isEmpty) {
    await store.markImport({ logId, head, exportedAt })
    report('import begun: nothing starts on this log until it is complete')
  } else if (begun.logId === logId && begun.head === head && begun.exportedAt === exportedAt) {
    report('going on with the import that was not completed')
  } else throw new Error(`the log holds a part of another export, ${partOf(begun)}: import that one, or take a new log`)
}

const partOf = ({ logId, exportedAt }: ImportSource): string => `that of the log ${logId} made at ${exportedAt}`

/** `npm run export > file` puts the name of the script above what the script prints, and empty lines around it. */
const isBannerOfNpm = (text: string): boolean => text === '' || text.startsWith('> ')

const requireWhole = (
  events: number,
  header: ExportHeader | undefined,
  footer: { events: number } | undefined,
): void => {
  if (!header) throw new Error('the input is empty')
  if (!footer) throw new Error(`the input ends too early, after ${events} events. ${incomplete}`)
  if (footer.events !== events) {
    throw new Error(`the input has ${events} of ${footer.events} events. ${incomplete}`)
  }
}

const lineOf = (value: object): string => `${JSON.stringify(value)}\n`

interface Progress {
  at(events: number, position: Position): void
  done(events: number): void
}

/** Positions may be places in a file, not counts; their ratio is good enough for a percentage. */
const createProgress = (verb: string, head: Position, { report, now }: TransferOptions): Progress => {
  const startedMs = now()
  let reportedMs = startedMs
  const rate = (events: number) => Math.round((events * 1_000) / Math.max(1, now() - startedMs))
  return {
    at: (events, position) => {
      if (now() - reportedMs < progressIntervalMs) return
      reportedMs = now()
      const percent = Math.floor((Number.parseInt(position, 16) * 100) / Math.max(1, Number.parseInt(head, 16)))
      report(`${verb} ${events} events, ${rate(events)} events/s, ${Math.min(percent, 99)} %`)
    },
    done: events => report(`${verb} ${events} events, ${rate(events)} events/s, 100 %`),
  }
}

/** Bytes of the export in one message to whoever asked for it. */
const toldBytesMax = 98_304

/** The export as the owner of the log does it for a command: `told` has pieces of it and how far it is. */
export const exportWork =
  (store: EventStore): Work =>
  async (_asked, tell, signal) => {
    // So few a second that nobody has to wait for them.
    const report: Report = line => void tell({ report: line })
    for await (const piece of exportLog(store, { report, now: Date.now })) {
      const bytes = Buffer.from(piece)
      for (let at = 0; at < bytes.length; at += toldBytesMax) {
        signal.throwIfAborted()
        await tell({ piece: bytes.toString('base64', at, at + toldBytesMax) })
      }
    }
    return {}
  }
