// Owns the rule that whatever people do, in whatever order, on however many devices: what a device holds is a fresh snapshot,
// the lists over HTTP say the same, and the read models are what the log folds to.
// CONVERGENCE_SEED repeats a sequence, CONVERGENCE_RUNS says how many there are, CONVERGENCE_COMMANDS how long they are.

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RecordedEvent } from '../../eventstore/port.ts'
import { rebuild } from '../../projections/rebuild.ts'
import { whenReadable } from '../support/quiet.ts'
import { commandSequence, together } from '../support/random-commands.ts'
import { RandomPeople } from '../support/random-people.ts'
import { allRows, empty, fold, openTestDatabase } from '../support/read-models.ts'
import { type Person, startTestService, type TestService } from '../support/service.ts'

const seed = Number(process.env.CONVERGENCE_SEED ?? Date.now() % 2 ** 31)
const numRuns = Number(process.env.CONVERGENCE_RUNS ?? 4)
const commandsMost = Number(process.env.CONVERGENCE_COMMANDS ?? 160)

const slowMsMax = 600_000

let service: TestService
let nobody: Person
let adminKey: string

beforeAll(async () => {
  service = await startTestService({ INVITE_NEEDS_APPROVAL: 'on' })
  adminKey = await service.adminKey()
}, slowMsMax)
afterAll(() => service?.stop(), slowMsMax)

/** Every event of the log as it stands. */
const wholeLog = async (): Promise<RecordedEvent[]> => {
  const head = await service.store.head()
  const events: RecordedEvent[] = []
  for await (const batch of service.store.subscribe({ from: 'start', signal: AbortSignal.timeout(slowMsMax) })) {
    events.push(...batch)
    if ((events.at(-1)?.position ?? head) >= head) break
  }
  return events
}

describe('whatever people do', () => {
  test(`their devices are fresh snapshots in the end (seed ${seed})`, { timeout: slowMsMax }, async () => {
    const property = fc.asyncProperty(commandSequence(commandsMost), async commands => {
      // Time passes in a run: one for all runs would have a token that is over.
      nobody = await service.person('nobody')
      const people = await RandomPeople.arrive(service, { nobody, adminKey })
      await people.begin()
      for (const step of together(commands)) await people.step(step)
      expect(await people.divergence()).toEqual([])
      await people.leave()
      expect(service.failures).toEqual([])
    })
    // The sequence is told as it was: to make it shorter would take as long as all runs together.
    await fc.assert(property, { seed, numRuns, endOnFailure: true })
  })

  test('the read models are what the log folds to, and making them anew changes nothing', {
    timeout: slowMsMax,
  }, async () => {
    const events = await wholeLog()
    const { token } = nobody
    await whenReadable(service.api, token, String(events.at(-1)?.position))
    const rows = await allRows(service.database)
    const folded = await openTestDatabase('pglite')
    try {
      await empty(folded.database)
      await fold(folded.database, events)
      expect(rows).toEqual(await allRows(folded.database))
    } finally {
      await folded.dispose()
    }
    await rebuild(service.database, service.store, 'all')
    expect(await allRows(service.database)).toEqual(rows)
    expect(await service.api('GET', '/v1/users/me', { token })).toMatchObject({ status: 200 })
  })
})
