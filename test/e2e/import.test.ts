// Owns the proof that nobody ever takes a part of an imported log for the whole: an import that was killed leaves a log on which
// nothing starts, and what its refusal says to do works. As an operator does it, with processes, on both kinds of log.

import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCommand, startCommand } from '../support/command.ts'
import { wholeHistory } from '../support/convergence.ts'
import { createApi, expectOk, newMessageId, type SignedIn, signIn, signUp } from '../support/device.ts'
import { launchServerProcess } from '../support/server-process.ts'
import { StandIn } from '../support/stand-in-process.ts'

const slowMsMax = 300_000
const transfer = 'eventstore/transfer-command.ts'
const usual = { RATE_LIMITS: 'off', NODE_ENV: 'test' }

let folder: string
/** The log of a service in which two people talked, and their keys. */
let file: string
let ann: SignedIn
let conversationId: string
const texts = Array.from({ length: 40 }, (_, index) => `text ${index}`)

const serverOn = (environment: Readonly<Record<string, string>>) =>
  launchServerProcess({ environment: { ...usual, ...environment }, readyMsMax: slowMsMax })

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ledgerline-import-'))
  const from = { DATA_DIR: join(folder, 'from') }
  const server = await serverOn(from)
  await server.whenReady()
  for (const name of ['ann', 'bob']) await signUp(server.httpUrl, name)
  ann = await signIn(server.httpUrl, 'ann')
  const bob = await signIn(server.httpUrl, 'bob')
  conversationId = `p2p:${[ann.userId, bob.userId].toSorted().join(':')}`
  const api = createApi(server.httpUrl)
  for (const text of texts) {
    const body = { clientMessageId: newMessageId(), type: 'text', body: { text } }
    expectOk(await api('POST', `/v1/conversations/${conversationId}/messages`, { token: ann.accessToken, body }))
  }
  await server.terminate()
  const { out, code } = await runCommand(transfer, ['export'], from)
  expect(code).toBe(0)
  file = out
}, slowMsMax)
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Asks one time after the other. */
const until = async (ask: () => Promise<boolean>): Promise<void> => {
  const untilMs = performance.now() + slowMsMax
  while (!(await ask())) {
    if (performance.now() > untilMs) throw new Error('what was waited for did not come')
    await new Promise(resolve => setImmediate(resolve))
  }
}

/** Kills an import that has written some of the file, and has never seen the rest. */
const killInTheMiddle = async (environment: Readonly<Record<string, string>>, log: string) => {
  const importing = startCommand(transfer, ['import'], environment)
  const lines = file.split('\n')
  const [, account = '', , ...more] = lines
  // What is in the file may not be committed yet; it is once something later is there.
  importing.stdin.write(`${lines.slice(0, 3).join('\n')}\n`)
  await until(async () => (await readFile(log).catch(() => '')).includes(JSON.parse(account).stream))
  importing.stdin.write(`${more.slice(0, more.length / 2).join('\n')}\n`)
  await until(async () => (await readFile(log)).includes(`session-${ann.userId}`))
  importing.kill('SIGKILL')
  await once(importing, 'exit')
}

describe.each(['embedded', 'EventStoreDB'] as const)('an import into a log of the kind %s', kind => {
  let standIn: StandIn | undefined
  let environment: Readonly<Record<string, string>>
  let log: string
  beforeAll(async () => {
    const dataDir = join(folder, kind)
    // README: take the two keys along.
    await cp(join(folder, 'from/keys'), join(dataDir, 'keys'), { recursive: true })
    environment = { DATA_DIR: dataDir }
    log = join(dataDir, 'log/data.mdb')
    if (kind === 'embedded') return
    standIn = await StandIn.start()
    environment = { DATA_DIR: dataDir, EVENTSTORE_URL: standIn.url }
    log = join(standIn.dataDir, 'log.jsonl')
  })
  afterAll(() => standIn?.dispose())

  test(
    'that was killed is refused by everything that opens the log, until it is done again',
    async () => {
      await killInTheMiddle(environment, log)
      const refusal =
        /^.*: An import into .* was begun and not completed.* Run npm run import with the same file again.*$/m
      const server = await serverOn(environment)
      expect(await server.exited).toBe('1')
      expect(server.output()).toMatch(refusal)
      expect(server.output()).not.toContain('"level":50')
      for (const [script, words] of [
        [transfer, ['export']],
        ['api/admin-key-command.ts', ['list']],
        ['projections/rebuild-command.ts', ['all']],
      ] as const) {
        const { code, told, out } = await runCommand(script, words, environment)
        expect([code, out], script).toEqual([1, ''])
        expect(told, script).toMatch(refusal)
      }

      const other = file.replace(/"exportedAt":"[^"]*"/, '"exportedAt":"2026-01-01T00:00:00.000Z"')
      expect(await runCommand(transfer, ['import'], environment, other)).toMatchObject({
        code: 1,
        told: expect.stringMatching(/^import failed: the log holds a part of another export/m),
      })

      const again = await runCommand(transfer, ['import'], environment, file)
      expect(again, again.told).toMatchObject({
        code: 0,
        told: expect.stringMatching(/going on with the import[\s\S]*100 %\n$/),
      })
      const started = await serverOn(environment)
      await started.whenReady()
      const api = createApi(started.httpUrl)
      const get = async (path: string) => expectOk(await api('GET', path, { token: ann.accessToken }))
      expect(await api('GET', '/v1/sessions', { token: ann.accessToken })).toMatchObject({ status: 200 })
      const history = await wholeHistory(get, conversationId)
      expect(history.map(({ body }) => (body as { text: string }).text)).toEqual(texts)
      expect(await started.terminate()).toBe('0')

      expect(await runCommand(transfer, ['import'], environment, file)).toMatchObject({
        code: 1,
        told: expect.stringContaining('is not empty'),
      })
    },
    slowMsMax,
  )
})
