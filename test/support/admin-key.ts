// Owns how tests get a key of the app's own backend: written into the log, as `npm run admin-key` does from another process, and
// known to every server that is asked with it.

import { vi } from 'vitest'
import { adminKeysOver, createAdminKey } from '../../api/admin-keys.ts'
import { isRejection } from '../../domain/decider.ts'
import { systemClock } from '../../eventstore/clock.ts'
import type { EventStore } from '../../eventstore/port.ts'
import type { Api } from './device.ts'

const raise = (error: unknown) => {
  throw error
}

const knownMsMax = 45_000

/** Makes a key in a log that is open. @param apis of the servers that follow it */
export const adminKeyIn = async (store: EventStore, apis: readonly Api[]): Promise<string> => {
  const made = await createAdminKey(adminKeysOver(store, systemClock, raise), 'backend')
  if (isRejection(made)) throw new Error(made.detail)
  const { key: token } = made
  for (const api of apis) {
    const isKnown = async () => (await api('GET', '/v1/admin/events?limit=1', { token })).status === 200
    await vi.waitUntil(isKnown, { timeout: knownMsMax })
  }
  return token
}
