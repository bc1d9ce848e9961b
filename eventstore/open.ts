// Owns the choice of the event log: EventStoreDB where a url says so, else the embedded one in the data folder.
// The only place that knows both adapters; the other adapter's client is not even loaded.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { EmbeddedLogger } from './embedded.ts'
import { openEmbeddedStore } from './embedded.ts'
import type { EventStoreDbLogger } from './eventstoredb-subscribe.ts'
import { type EventStore, type ImportableStore, Unavailable } from './port.ts'

export interface EventStoreOptions {
  /** `esdb://…`; absent for the embedded log. */
  readonly eventstoreUrl?: string | undefined
  readonly dataDir: string
  readonly logger: EmbeddedLogger & EventStoreDbLogger
  /** Ends the wait for a server that cannot be reached. */
  readonly signal?: AbortSignal | undefined
}

/** The log holds a part of an export only; the message says what to do. */
export class UnfinishedImport extends Error {
  readonly code = 'unfinished-import'
}

const unfinishedImport = ({ eventstoreUrl, dataDir }: EventStoreOptions): string => {
  const [place, end] = eventstoreUrl
    ? ['the EventStoreDB of EVENTSTORE_URL', 'take an EventStoreDB without data']
    : [join(dataDir, 'log'), `delete ${join(dataDir, 'log')}`]
  return `An import into ${place} was begun and not completed, so only a part of the log is there. Run npm run import with the same file again: it goes on where it ended. To give it up, ${end}.`
}

/** Opens the event log that the configuration names. @throws Unavailable, CorruptLog, UnfinishedImport */
export const openEventStore = async (options: EventStoreOptions): Promise<EventStore> => {
  const store = await openForImport(options)
  if (store.unfinishedImport === undefined) return store
  await store.close()
  throw new UnfinishedImport(unfinishedImport(options))
}

/** The same for an import, which may go on with one that was not completed. @throws Unavailable, CorruptLog */
export const openForImport = async (options: EventStoreOptions): Promise<ImportableStore> => {
  const { eventstoreUrl, dataDir, logger, signal } = options
  if (!eventstoreUrl) return openEmbeddedStore({ dataDir, logger })
  const { openEventStoreDb } = await import('./eventstoredb.ts')
  return openEventStoreDb({ url: eventstoreUrl, logger, ...(signal && { signal }) })
}

/**
 * Opens a log for a command of the operator. Makes none: that of a wrong folder would be empty, and look like a success.
 * @throws Unavailable, CorruptLog, UnfinishedImport, or an Error that says what to do
 */
export const openExistingEventStore = async (options: EventStoreOptions): Promise<EventStore> => {
  const { eventstoreUrl, dataDir } = options
  if (!eventstoreUrl && !existsSync(join(dataDir, 'log'))) {
    throw new Error(`there is no log in ${dataDir}; set DATA_DIR or EVENTSTORE_URL`)
  }
  try {
    return await openEventStore(options)
  } catch (error) {
    if (eventstoreUrl || !(error instanceof Unavailable)) throw error
    throw new Error(`${error.message}\nNo service answers there: if one is just starting, try again in a moment.`)
  }
}
