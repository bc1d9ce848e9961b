// The command as an operator runs it: on a stopped embedded service, where nobody answers, and wrongly spelt.

import { rmSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openEmbeddedStore } from '../../eventstore/embedded.ts'
import { openDatabase } from '../../projections/database.ts'
import { conversationOf } from '../../projections/inbox.ts'
import { runCommand } from '../support/command.ts'
import { Ledger, p2p, user } from '../support/ledger.ts'
import { embeddedDataDir, silentLogger } from '../support/read-models.ts'

let dataDir: string
beforeEach(async () => {
  dataDir = await embeddedDataDir()
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

const run = async (parameters: readonly string[]) => {
  const { code, told } = await runCommand('projections/rebuild-command.ts', parameters, { DATA_DIR: dataDir })
  return { code, output: told }
}

const fillLog = async () => {
  const store = await openEmbeddedStore({ dataDir })
  const ledger = new Ledger()
  for (let number = 0; number < 50; number++) ledger.send(p2p('ada', 'bob'), 'ada')
  for (const { id, type, data, text, stream, revision } of ledger.events) {
    await store.append(stream, [{ id, type, data, text }], revision === 0 ? 'none' : revision - 1)
  }
  return store
}

test('makes read models from the log of a stopped service, and says how it went', async () => {
  await (await fillLog()).close()
  const { code, output } = await run(['all'])
  expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining('from 50 events') })
  expect(output).toContain('100 %')
  const database = await openDatabase({ dataDir, logger: silentLogger })
  expect(await conversationOf(database, user('bob'), p2p('ada', 'bob'))).toMatchObject({ unread: 50, lastSeq: 50 })
  await database.close()
  expect((await run(['conversation', 'inbox'])).code).toBe(0)
})

test('says what to do when the folder is in use and nobody answers', async () => {
  const store = await fillLog()
  const { code, output } = await run(['all'])
  expect(code).toBe(1)
  expect(output).toContain('try again in a moment')
  await store.close()
})

test('makes no log where there is none, and knows the names', async () => {
  expect(await run(['all'])).toMatchObject({ code: 1, output: expect.stringContaining('there is no log') })
  expect(await run(['all', 'inbox'])).toMatchObject({ code: 2, output: expect.stringContaining('usage') })
  expect(await run(['inboxes'])).toMatchObject({
    code: 2,
    output: expect.stringContaining('message, inbox, conversation'),
  })
  expect((await run([])).code).toBe(2)
})
