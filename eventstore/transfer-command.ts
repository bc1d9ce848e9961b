// Owns the two commands that move a log: `npm run export > log.ndjson` and `npm run import < log.ndjson`.
// The log is that of EVENTSTORE_URL, else the one in DATA_DIR. Data goes over stdin and stdout, everything else to stderr.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { pino } from 'pino'
import { openEventStore } from './open.ts'
import type { EventStore } from './port.ts'
import { exportLog, importLog, type TransferOptions } from './transfer.ts'

const standardError = 2
const usage = 'usage: transfer-command.ts export > log.ndjson | import < log.ndjson'

const options: TransferOptions = {
  report: line => {
    process.stderr.write(`${line}\n`)
  },
  now: () => Date.now(),
}

const transfer = async (direction: 'export' | 'import', store: EventStore): Promise<void> => {
  if (direction === 'export') await pipeline(Readable.from(exportLog(store, options)), process.stdout)
  else await importLog(store, process.stdin, options)
}

/** Returns the exit code. */
const run = async (direction: string | undefined): Promise<number> => {
  if (direction !== 'export' && direction !== 'import') {
    options.report(usage)
    return 2
  }
  const eventstoreUrl = process.env.EVENTSTORE_URL || undefined
  const dataDir = process.env.DATA_DIR || './data'
  let store: EventStore | undefined
  try {
    // Opening would make an empty log, and its export would look like a success.
    if (direction === 'export' && !eventstoreUrl && !existsSync(join(dataDir, 'log'))) {
      throw new Error(`there is no log in ${dataDir}; set DATA_DIR or EVENTSTORE_URL`)
    }
    store = await openEventStore({
      eventstoreUrl,
      dataDir,
      logger: pino({ level: 'warn' }, pino.destination({ dest: standardError, sync: true })),
    })
    await transfer(direction, store)
    return 0
  } catch (error) {
    options.report(`${direction} failed: ${(error as Error).message}`)
    return 1
  } finally {
    await store?.close()
  }
}

process.exitCode = await run(process.argv[2])
