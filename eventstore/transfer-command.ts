// Owns the two commands that move a log: `npm run export > log.ndjson` and `npm run import < log.ndjson`.
// The log is that of EVENTSTORE_URL, else the one in DATA_DIR, which a running service exports itself. Data goes over stdin
// and stdout, everything else to stderr.

import { once } from 'node:events'
import { pino } from 'pino'
import { askOwner, type Tell } from './control.ts'
import { openExistingEventStore, openForImport } from './open.ts'
import type { EventStore } from './port.ts'
import { exportWork, importLog } from './transfer.ts'

const standardError = 2
const usage = 'usage: transfer-command.ts export > log.ndjson | import < log.ndjson'

const report = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

const places = {
  eventstoreUrl: process.env.EVENTSTORE_URL || undefined,
  dataDir: process.env.DATA_DIR || './data',
  logger: pino({ level: 'warn' }, pino.destination({ dest: standardError, sync: true })),
}

const withStore = async <Store extends EventStore>(
  opening: Promise<Store>,
  work: (store: Store) => Promise<unknown>,
) => {
  const store = await opening
  try {
    await work(store)
  } finally {
    await store.close()
  }
}

/** Writes pieces as fast as they are taken. */
const show: Tell = async told => {
  const { piece, report: line } = told as { piece?: string; report?: string }
  if (line !== undefined) report(line)
  if (piece !== undefined && !process.stdout.write(Buffer.from(piece, 'base64'))) await once(process.stdout, 'drain')
}

const exportIt = async (): Promise<void> => {
  const { signal } = new AbortController()
  const { eventstoreUrl, dataDir } = places
  const asking = { dataDir, command: 'export', asked: {}, tell: show, signal }
  if (eventstoreUrl === undefined && (await askOwner(asking)) !== undefined) return
  await withStore(openExistingEventStore(places), store => exportWork(store)({}, show, signal))
}

const importIt = (): Promise<void> =>
  withStore(openForImport(places), store => importLog(store, process.stdin, { report, now: Date.now }))

/** Returns the exit code. */
const run = async (direction: string | undefined): Promise<number> => {
  if (direction !== 'export' && direction !== 'import') {
    report(usage)
    return 2
  }
  try {
    await (direction === 'export' ? exportIt() : importIt())
    return 0
  } catch (error) {
    report(`${direction} failed: ${(error as Error).message}`)
    return 1
  }
}

process.exitCode = await run(process.argv[2])
