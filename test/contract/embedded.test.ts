// Owns the proof that the embedded event store keeps the contract. Each test has its own folder.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEmbeddedStore } from '../../eventstore/embedded.ts'
import { eventStoreContract } from './event-store.ts'

eventStoreContract('embedded', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'ledgerline-'))
  let store = await openEmbeddedStore({ dataDir })
  return {
    store,
    reopen: async () => {
      await store.close()
      store = await openEmbeddedStore({ dataDir })
      return store
    },
    dispose: async () => {
      await store.close()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
})
