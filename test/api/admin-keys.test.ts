// Owns the tests of the keys of the app's own backend: which text is one, what it may call, and the command that makes them.

import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createAdminKey, listAdminKeys, revokeAdminKey } from '../../api/admin-keys.ts'
import { loadKeys } from '../../api/keys.ts'
import { streamOf } from '../../domain/ids.ts'
import { openEmbeddedStore } from '../../eventstore/embedded.ts'
import type { EventStore } from '../../eventstore/port.ts'
import { runCommand } from '../support/command.ts'
import { build, goodAdminKey, problem } from './edge-fixture.ts'
import { type Harness, startHarness } from './harness.ts'

const secondsMax = 60_000

let harness: Harness
beforeAll(async () => {
  harness = await startHarness()
}, secondsMax)
afterAll(() => harness?.close(), secondsMax)

const made = async (name = 'backend'): Promise<string> => {
  const outcome = await createAdminKey(harness.node, name)
  if (!('key' in outcome)) throw new Error(outcome.detail)
  return outcome.key
}
const idOf = (key: string) => key.split('_')[1] ?? ''

describe('an admin key', () => {
  it('works until it is revoked', async () => {
    const key = await made()
    await harness.ok('GET /v1/admin/events', { token: key })
    expect(await revokeAdminKey(harness.node, idOf(key))).toBeUndefined()
    await harness.refused('token.invalid', 'GET /v1/admin/events', { token: key })
    expect(await revokeAdminKey(harness.node, idOf(key))).toMatchObject({ rejected: 'admin-key.not-found' })
  })

  it('is the whole of it, of this server, as it was shown', async () => {
    const [key, other] = [await made(), await made()]
    const [keyId, secret] = [idOf(key), key.slice(31)]
    expect(key).toBe(`adm_${keyId}_${secret}`)
    const wrong = [
      'adm_',
      `adm_${keyId}`,
      `adm_${keyId}_`,
      `adm_${keyId}_${secret.slice(1)}`,
      `adm_${keyId}_${secret}x`,
      `ADM_${keyId}_${secret}`,
      `adm_${idOf(other)}_${secret}`,
      `adm_${keyId}_${other.slice(31)}`,
      `adm_${'0'.repeat(26)}_${secret}`,
      `adm_${keyId}_${'-'.repeat(43)}`,
      `adm_constructor_${secret}`,
      `adm_${'x'.repeat(5_000)}`,
    ]
    for (const token of wrong) await harness.refused('token.invalid', 'GET /v1/admin/events', { token })
  })

  it('is nowhere in the log, and its hash in no audit', async () => {
    const key = await made('to be looked for')
    const events = await harness.node.store.read(streamOf.adminKey(), { from: 'end', direction: 'backwards', limit: 1 })
    expect(events[0]).toMatchObject({ type: 'AdminKeyCreated', data: { name: 'to be looked for' } })
    expect(events[0]?.text).not.toContain(key.slice(31))
    const page = await harness.ok(`GET /v1/admin/streams/${streamOf.adminKey()}?limit=500`, { token: key })
    expect(page.items.at(-1)).toMatchObject({ type: 'AdminKeyCreated', data: { name: 'to be looked for' } })
    expect(JSON.stringify(page)).not.toContain((events[0] as { data: { hash?: string } }).data.hash)
  })

  it('is listed while it works', async () => {
    const key = await made('listed')
    expect((await listAdminKeys(harness.node)).at(-1)).toMatchObject({ keyId: idOf(key), name: 'listed' })
    await revokeAdminKey(harness.node, idOf(key))
    expect((await listAdminKeys(harness.node)).map(({ keyId }) => keyId)).not.toContain(idOf(key))
  })

  it('calls nothing of users, and users nothing of it', async () => {
    const { app } = build()
    const asAdmin = { authorization: `Bearer ${goodAdminKey}`, 'content-type': 'application/json' }
    const call = { method: 'POST', payload: '{}' } as const
    problem(await app.inject({ ...call, url: '/v1/things/g1', headers: asAdmin }), 403, 'caller.not-allowed')
    const asUser = { ...asAdmin, authorization: 'Bearer good' }
    problem(await app.inject({ ...call, url: '/v1/admin/things', headers: asUser }), 403, 'caller.not-allowed')
    problem(await app.inject({ method: 'POST', url: '/v1/admin/things' }), 401, 'token.invalid')
  })

  it('is who a repeated command is known by', async () => {
    const { app } = build()
    const headers = { authorization: `Bearer ${goodAdminKey}`, 'idempotency-key': 'k' }
    const { caller, command } = (await app.inject({ method: 'POST', url: '/v1/admin/things', headers })).json()
    expect(caller).toEqual({ kind: 'admin', keyId: 'k1' })
    expect(command).toMatchObject({ caller: 'admin:k1', key: 'k' })
  })

  it('may not be used faster than its class says', async () => {
    const { app } = build({ limits: true })
    const headers = { authorization: `Bearer ${goodAdminKey}` }
    const statuses = new Set<number>()
    for (let call = 0; call <= 2_000; call++) {
      statuses.add((await app.inject({ method: 'POST', url: '/v1/admin/things', headers })).statusCode)
    }
    expect([...statuses]).toEqual([200, 429])
  })
})

describe('npm run admin-key', () => {
  let dataDir: string
  let store: EventStore | undefined
  beforeEach(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'ledgerline-admin-key-'))
  })
  afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

  const run = (...words: readonly string[]) => runCommand('api/admin-key-command.ts', words, { DATA_DIR: dataDir })
  const makeLog = async () => {
    store = await openEmbeddedStore({ dataDir })
    await store.close()
  }

  it('prints a new key alone, lists it and revokes it', { timeout: secondsMax }, async () => {
    await makeLog()
    const { code, out, told } = await run('create', '--name', 'The backend')
    expect({ code, out, told }).toMatchObject({ code: 0, told: expect.stringContaining('never shown again') })
    expect(out).toMatch(/^adm_[0-9a-z]{26}_[A-Za-z0-9_-]{43}\n$/)
    const listed = await run('list')
    expect(listed).toMatchObject({ code: 0, told: '' })
    expect(listed.out).toMatch(new RegExp(`^${idOf(out)}  \\d{4}-\\S+Z  The backend\n$`))
    expect(await run('revoke', idOf(out))).toMatchObject({ code: 0, out: '' })
    expect(await run('list')).toMatchObject({ code: 0, out: '' })
    const again = await run('revoke', idOf(out))
    expect(again).toMatchObject({ code: 1, told: expect.stringContaining('no such key') })
  })

  it('makes the keys of the service before the first event of its log', { timeout: secondsMax }, async () => {
    await makeLog()
    expect((await run('create', '--name', 'first')).code).toBe(0)
    // The service finds them: it makes none beside a log with events.
    expect(() => loadKeys({ folder: join(dataDir, 'keys'), mayMake: false })).not.toThrow()
  })

  it('says how it is used, and makes no log where there is none', { timeout: secondsMax }, async () => {
    const wrong = [
      [],
      ['create'],
      ['create', '--name', ''],
      ['list', 'all'],
      ['revoke'],
      ['list', '--name', 'a'],
      ['--x'],
    ]
    for (const words of wrong) expect(await run(...words)).toMatchObject({ code: 2, out: '' })
    expect(await run('list')).toMatchObject({ code: 1, told: expect.stringContaining('there is no log') })
    expect(existsSync(join(dataDir, 'log'))).toBe(false)
  })
})
