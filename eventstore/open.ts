// Owns the choice of the event log: EventStoreDB where a url says so, else the embedded one in the data folder.
// The only place that knows both adapters; the other adapter's client is not even loaded.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { EmbeddedLogger } from './embedded.ts'
import { openEmbeddedStore } from './embedded.ts'
import type { EventStoreDbLogger } from './eventstoredb-subscribe.ts'
import { type EventStore, Unavailable } from './port.ts'

export interface EventStoreOptions {
  /** `esdb://…`; absent for the embedded log. */
  readonly eventstoreUrl?: string | undefined
  readonly dataDir: string
  readonly logger: EmbeddedLogger & EventStoreDbLogger
  /** Ends the wait for a server that cannot be reached. */
  readonly signal?: AbortSignal | undefined
}

/** Opens the event log that the configuration names. @throws Unavailable, CorruptLog */
export const openEventStore = async (options: EventStoreOptions): Promise<EventStore> => {
  const { eventstoreUrl, dataDir, logger, signal } = options
  if (!eventstoreUrl) return openEmbeddedStore({ dataDir, logger })
  const { openEventStoreDb } = await import('./eventstoredb.ts')
  return openEventStoreDb({ url: eventstoreUrl, logger, ...(signal && { signal }) })
}

/**
 * Opens a log for a command of the operator. Makes none: that of a wrong folder would be empty, and look like a success.
 * @throws Unavailable, CorruptLog, or an Error that says what to do
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
