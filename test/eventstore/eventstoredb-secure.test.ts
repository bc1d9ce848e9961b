// How the adapter speaks TLS and says who it is, both by the connection string alone; and what it says where that does not do.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openEventStoreDb } from '../../eventstore/eventstoredb.ts'
import { Unavailable } from '../../eventstore/port.ts'
import { failureOf, newEvents, readStream, recorded } from '../contract/fixture.ts'
import { makeCertificate } from '../support/certificate.ts'
import { StandIn } from '../support/stand-in-process.ts'
import { shortTiming } from '../support/stand-in-store.ts'

const waitMs = 60_000

let server: StandIn
let caFile: string
let otherCaFile: string
beforeAll(async () => {
  const authorization = `Basic ${Buffer.from('ops:s3cret').toString('base64')}`
  const made = makeCertificate()
  server = await StandIn.start({ ...made, authorization })
  caFile = join(server.dataDir, 'ca.pem')
  otherCaFile = join(server.dataDir, 'other.pem')
  await writeFile(caFile, made.certificate)
  await writeFile(otherCaFile, makeCertificate().certificate)
}, waitMs)
afterAll(() => server?.dispose())

const urlOf = (password: string, file: string) => `esdb://ops:${password}@${server.address}?tls=true&tlsCAFile=${file}`

test(
  'appends, reads and follows over TLS as whom the connection string names',
  async () => {
    const store = await openEventStoreDb({ url: urlOf('s3cret', caFile), timing: shortTiming })
    const events = newEvents(3)
    expect(await store.append('account-a', events, 'none')).toMatchObject({ revision: 2 })
    const expected = events.map((event, index) => recorded(event, 'account-a', index))
    expect(await readStream(store, 'account-a')).toEqual(expected)
    const stopping = new AbortController()
    const seen: unknown[] = []
    for await (const batch of store.subscribe({ from: 'start', signal: stopping.signal })) {
      seen.push(...batch)
      if (seen.length >= 3) stopping.abort()
    }
    expect(seen).toEqual(expected)
    await store.close()
  },
  waitMs,
)

test.each([
  ['a wrong password', () => urlOf('guess', caFile), /UnAuthenticated/],
  ['an unknown authority', () => urlOf('s3cret', otherCaFile), /certificate/],
])(
  'with %s it waits, says so in one line that names no secret, and can be ended',
  async (_what, url, reason) => {
    const stopping = new AbortController()
    const told: { message: string; reason: string }[] = []
    let isTold = () => {}
    const telling = new Promise<void>(resolve => {
      isTold = resolve
    })
    const logger = {
      info: () => undefined,
      error: (fields: object, message: string) => {
        told.push({ message, reason: (fields as { error: string }).error })
        isTold()
      },
    }
    const opening = failureOf(() =>
      openEventStoreDb({ url: url(), logger, signal: stopping.signal, timing: shortTiming }),
    )
    await telling
    // Whoever is let in is served meanwhile, and the other one tries on.
    const store = await openEventStoreDb({ url: urlOf('s3cret', caFile), timing: shortTiming })
    for (let round = 0; round < 50; round++) await store.head()
    await store.close()
    stopping.abort()
    const failure = await opening
    expect(failure).toBeInstanceOf(Unavailable)
    expect(told).toEqual([
      { message: 'EventStoreDB cannot be reached yet; waiting for it', reason: expect.stringMatching(reason) },
    ])
    expect(JSON.stringify(told)).not.toMatch(/guess|s3cret/)
  },
  waitMs,
)

test('with a file of an authority that is not there it says so at once', async () => {
  const failure = await failureOf(() => openEventStoreDb({ url: urlOf('s3cret', '/nowhere/ca.pem') }))
  expect(failure).toBeInstanceOf(Unavailable)
  expect((failure as Error).message).toMatch(/^EVENTSTORE_URL cannot be understood: /)
})
