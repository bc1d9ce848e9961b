// Owns the proof that a service outlives its embedded database: while that is gone queries are refused with 503, messages go on,
// and by itself everything is there again.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { crashThread } from '../support/pglite-threads.ts'

const { expectOk } = await import('../support/device.ts')
const { whenReadable } = await import('../support/quiet.ts')
const { startTestService } = await import('../support/service.ts')

const slowMsMax = 300_000

let service: Awaited<ReturnType<typeof startTestService>>
beforeAll(async () => {
  service = await startTestService()
}, slowMsMax)
afterAll(() => service?.stop(), slowMsMax)

// Not on a Postgres: that is no part of the process.
test.skipIf(process.env.TEST_DATABASE_URL)('messages go on, queries come back', { timeout: slowMsMax }, async () => {
  const [ada, bob] = await service.people('ada', 'bob')
  if (ada === undefined || bob === undefined) throw new Error('nobody is there')
  const conversationId = `p2p:${[ada.userId, bob.userId].toSorted().join(':')}`
  const [device, other] = await Promise.all([service.connect(ada), service.connect(bob)])
  await device.say(conversationId, 'before')
  const list = () => service.api('GET', '/v1/conversations', { token: bob.token })

  await crashThread()
  expect(await list()).toMatchObject({ status: 503, body: { code: 'store.unavailable', retryable: true } })
  const { position } = await device.say(conversationId, 'meanwhile')
  await other.whenPassed(position)
  expect(other.state.messagesOf(conversationId).map(({ body }) => body)).toEqual([
    { text: 'before' },
    { text: 'meanwhile' },
  ])

  await expect.poll(async () => (await list()).status, { timeout: slowMsMax }).toBe(200)
  await whenReadable(service.api, bob.token, position)
  expect(expectOk(await list()).items).toMatchObject([{ conversationId, lastSeq: 2, unread: 2 }])
  expect(service.failures).toHaveLength(1)
  expect(service.failures[0]).toContain('the embedded database is gone: starting it again')
})
