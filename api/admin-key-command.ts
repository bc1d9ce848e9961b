// Owns the command for the keys of the app's own backend: `npm run admin-key -- create --name <name> | list | revoke <keyId>`.
// A new key stands alone on standard output, once; everything else that is said goes to standard error.

import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { pino } from 'pino'
import { type Config, isWhole, readConfig } from '../config.ts'
import { systemClock } from '../eventstore/clock.ts'
import { askOwner, type Tell } from '../eventstore/control.ts'
import { openExistingEventStore } from '../eventstore/open.ts'
import { type EventStore, positionBeforeAll } from '../eventstore/port.ts'
import { type AdminKeyDone, adminKeyAsked, adminKeyWork } from './admin-key-work.ts'
import { adminKeysOver } from './admin-keys.ts'
import { loadKeys } from './keys.ts'

const standardError = 2
const usage = 'usage: npm run admin-key -- create --name <name> | list | revoke <keyId>'
const logger = pino({ level: 'warn' }, pino.destination({ dest: standardError, sync: true }))

const say = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

/** What the words of the command line ask for; undefined when they make no sense. */
const askedBy = (words: readonly string[]): object | undefined => {
  try {
    const options = { name: { type: 'string' } } as const
    const { values, positionals } = parseArgs({ args: [...words], options, allowPositionals: true })
    const [verb, keyId, ...rest] = positionals
    const fields = { do: verb, ...values, ...(keyId === undefined ? undefined : { keyId }) }
    return rest.length > 0 ? undefined : adminKeyAsked.safeParse(fields).data
  } catch {
    return undefined
  }
}

/** The keys of the service are made only beside an empty log, so nothing may be its first event before them. */
const makeKeys = async (config: Config, store: EventStore): Promise<void> => {
  if ((await store.head()) !== positionBeforeAll) return
  loadKeys({
    folder: isWhole(config) ? join(config.DATA_DIR, 'keys') : undefined,
    tokenSigningKey: config.TOKEN_SIGNING_KEY,
    identityHmacKey: config.IDENTITY_HMAC_KEY,
    mayMake: true,
  })
}

/** Nothing is told on the way. */
const tell: Tell = async () => {}

/** Does it in this process: no other one has the folder, or the log is in none. */
const here = async (config: Config, asked: object, signal: AbortSignal): Promise<object> => {
  const { EVENTSTORE_URL: eventstoreUrl, DATA_DIR: dataDir } = config
  const store = await openExistingEventStore({ eventstoreUrl, dataDir, logger })
  try {
    await makeKeys(config, store)
    const onError = (error: unknown) => logger.error({ err: error }, 'failed')
    return await adminKeyWork(adminKeysOver(store, systemClock, onError))(asked, tell, signal)
  } finally {
    await store.close()
  }
}

/** Returns the exit code. */
const run = async (asked: object | undefined): Promise<number> => {
  if (asked === undefined) {
    say(usage)
    return 2
  }
  try {
    const config = readConfig(process.env)
    const { EVENTSTORE_URL: eventstoreUrl, DATA_DIR: dataDir } = config
    const { signal } = new AbortController()
    const asking = { dataDir, command: 'admin-key', asked, tell, signal }
    const byOwner = eventstoreUrl === undefined ? await askOwner(asking) : undefined
    const { lines, said } = (byOwner ?? (await here(config, asked, signal))) as AdminKeyDone
    for (const line of lines) process.stdout.write(`${line}\n`)
    if (said !== undefined) say(said)
    return 0
  } catch (error) {
    say(`admin-key failed: ${(error as Error).message}`)
    return 1
  }
}

process.exitCode = await run(askedBy(process.argv.slice(2)))
