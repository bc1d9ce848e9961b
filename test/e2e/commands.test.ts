// Owns the proof that the operator's commands work beside an embedded service that is running: it rebuilds its read models while
// it takes messages and answers queries, exports its log, and has keys made and revoked.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { keepsLastOnly } from '../../domain/ids.ts'
import { openEmbeddedStore } from '../../eventstore/embedded.ts'
import { readEventsMax } from '../../eventstore/port.ts'
import { importLog } from '../../eventstore/transfer.ts'
import { walkLog } from '../contract/fixture.ts'
import { runCommand } from '../support/command.ts'
import { type Device, expectOk } from '../support/device.ts'
import { whenReadable, whenToldOf } from '../support/quiet.ts'
import { allRows } from '../support/read-models.ts'
import { startServerProcess } from '../support/server-process.ts'
import { type Person, startTestService, type TestService } from '../support/service.ts'

const slowMsMax = 300_000

let service: TestService
let ada: Person
let bob: Person
let device: Device
let conversationId: string
beforeAll(async () => {
  service = await startTestService()
  ;[ada, bob] = (await service.people('ada', 'bob')) as [Person, Person]
  conversationId = `p2p:${[ada.userId, bob.userId].toSorted().join(':')}`
  device = await service.connect(ada)
  for (let round = 0; round < 10; round++) {
    await Promise.all(Array.from({ length: 100 }, (_, number) => device.say(conversationId, `${round}.${number}`)))
  }
}, slowMsMax)
afterAll(() => service?.stop(), slowMsMax)

const here = () => ({ DATA_DIR: service.dataDir })
const rebuildAll = () => runCommand('projections/rebuild-command.ts', ['all'], here())

/** Sends and asks without a pause until something is done. */
const busyUntil = async <Done>(work: Promise<Done>) => {
  let isDone = false
  const done = work.finally(() => {
    isDone = true
  })
  const counts = { sent: 0, answered: 0 }
  let position = ''
  const send = async () => {
    for (; !isDone; counts.sent++) ({ position } = await device.say(conversationId, `meanwhile ${counts.sent}`))
  }
  const query = async () => {
    for (; !isDone; counts.answered++) {
      const path = `/v1/conversations/${encodeURIComponent(conversationId)}`
      expect(expectOk(await service.api('GET', path, { token: bob.token }))).toMatchObject({ conversationId })
    }
  }
  await Promise.all([send(), query()])
  await whenReadable(service.api, ada.token, position)
  return { done: await done, ...counts }
}

test('all read models are rebuilt while messages are sent and queries answered', { timeout: slowMsMax }, async () => {
  await service.database.transaction(transaction => transaction.execute('delete from blocklist'))
  await service.database.transaction(transaction => transaction.execute('delete from session'))
  const { done, sent, answered } = await busyUntil(rebuildAll())
  expect(done).toMatchObject({ code: 0, told: expect.stringMatching(/\[#{30}\] 100 % .*\nrebuilt account, .* in \d/s) })
  expect(Math.min(sent, answered)).toBeGreaterThan(10)
  // The rows that were gone are there again: a device is listed.
  expect(expectOk(await service.api('GET', '/v1/sessions', { token: bob.token })).items).toHaveLength(1)
  const live = await allRows(service.database)
  expect(live.message?.length).toBe(1_000 + sent)
  expect((await rebuildAll()).code).toBe(0)
  expect(await allRows(service.database)).toEqual(live)
  expect(service.failures).toEqual([])
})

test('the log is exported as it was at the start, and another one made from it', { timeout: slowMsMax }, async () => {
  const group = await device.command('createGroup', {
    name: 'A group',
    inviteeConsent: 'none',
    memberIds: [bob.userId],
  })
  await whenToldOf(service.store, group.position)
  const exporting = runCommand('eventstore/transfer-command.ts', ['export'], here())
  const { done, sent } = await busyUntil(exporting)
  expect(done).toMatchObject({ code: 0, told: expect.stringContaining('100 %') })
  expect(sent).toBeGreaterThan(0)
  const { head } = JSON.parse(done.out.slice(0, done.out.indexOf('\n')))

  const folder = await mkdtemp(join(tmpdir(), 'ledgerline-imported-'))
  const imported = await openEmbeddedStore({ dataDir: folder })
  const input = (async function* () {
    yield Buffer.from(done.out)
  })()
  await importLog(imported, input, { report: () => undefined, now: Date.now })
  const kept = (stream: string) => !keepsLastOnly(stream)
  const facts = (await walkLog(imported, 'start')).filter(({ stream }) => kept(stream))
  const expected = (await walkLog(service.store, 'start')).filter(
    ({ stream, position }) => kept(stream) && position <= head,
  )
  expect(expected.length).toBeGreaterThan(readEventsMax)
  expect(facts.map(({ id, stream, revision, text }) => [id, stream, revision, text])).toEqual(
    expected.map(({ id, stream, revision, text }) => [id, stream, revision, text]),
  )
  const cursors = await imported.read('follower-notices', { from: 'end', direction: 'backwards', limit: 1 })
  expect(cursors).toMatchObject([{ type: 'FollowerAdvanced' }])
  await imported.close()
  await rm(folder, { recursive: true })
})

test('a key works from when the command has printed it until another one has revoked it', async () => {
  const adminKey = (...words: readonly string[]) => runCommand('api/admin-key-command.ts', words, here())
  const { code, out } = await adminKey('create', '--name', 'backend')
  expect(code).toBe(0)
  const call = () => service.api('GET', '/v1/admin/events?limit=1', { token: out.trim() })
  expect((await call()).status).toBe(200)
  const [, keyId = ''] = out.split('_')
  expect((await adminKey('list')).out).toContain(keyId)
  expect(await adminKey('revoke', keyId)).toMatchObject({ code: 0, told: `revoked ${keyId}\n` })
  expect(await call()).toMatchObject({ status: 401, body: { code: 'token.invalid' } })
  expect(await adminKey('revoke', keyId)).toMatchObject({ code: 1, told: expect.stringContaining('no such key') })
})

test('a wrong name is refused by whoever is asked', async () => {
  expect(await runCommand('projections/rebuild-command.ts', ['inboxes'], here())).toMatchObject({ code: 2 })
})

test('a service that was killed is in the way of neither a command nor the next service', {
  timeout: slowMsMax,
}, async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'ledgerline-killed-'))
  const environment = { DATA_DIR: dataDir, NODE_ENV: 'test' }
  const list = () => runCommand('api/admin-key-command.ts', ['list'], { DATA_DIR: dataDir })
  const first = await startServerProcess({ environment })
  await first.kill()
  expect(await list()).toMatchObject({ code: 0, told: '' })
  const second = await startServerProcess({ environment })
  expect(await list()).toMatchObject({ code: 0, told: '' })
  expect(second.output()).toContain('asked by a command')
  await second.stop()
  expect(await list()).toMatchObject({ code: 0, told: '' })
  await rm(dataDir, { recursive: true })
})
