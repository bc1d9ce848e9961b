// Owns the proof that the event store on EventStoreDB keeps the contract: against the stand-in always, and against a real server
// where EVENTSTORE_URL names one. The log is shared by all tests and, on a real server, with whatever was there before.

import { afterAll, beforeAll } from 'vitest'
import { openEventStoreDb } from '../../eventstore/eventstoredb.ts'
import { StandIn } from '../support/stand-in-process.ts'
import { eventStoreContract } from './event-store.ts'

let standIn: StandIn

beforeAll(async () => {
  standIn = await StandIn.start()
})

afterAll(() => standIn.dispose())

/** @param restart what happens to the server between closing and opening again */
const fixtureOn = async (url: string, restart: () => Promise<void>) => {
  let store = await openEventStoreDb({ url })
  return {
    store,
    reopen: async () => {
      await store.close()
      await restart()
      store = await openEventStoreDb({ url })
      return store
    },
    dispose: () => store.close(),
  }
}

eventStoreContract('EventStoreDB (stand-in)', () => fixtureOn(standIn.url, () => standIn.restart()))

const realUrl = process.env.EVENTSTORE_URL
if (realUrl) eventStoreContract('EventStoreDB (real)', () => fixtureOn(realUrl, async () => undefined))
