// Owns the choice of the event log: EventStoreDB where a url says so, else the embedded one in the data folder.
// The only place that knows both adapters; the other adapter's client is not even loaded.

import type { EmbeddedLogger } from './embedded.ts'
import { openEmbeddedStore } from './embedded.ts'
import type { EventStoreDbLogger } from './eventstoredb-subscribe.ts'
import type { EventStore } from './port.ts'

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
