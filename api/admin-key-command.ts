// Owns the command for the keys of the app's own backend: `npm run admin-key -- create --name <name> | list | revoke <keyId>`.
// A new key stands alone on standard output, once; everything else goes to standard error.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { pino } from 'pino'
import { type Config, readConfig, roles } from '../config.ts'
import { isRejection, type Rejection } from '../domain/decider.ts'
import { limits } from '../domain/limits.ts'
import { systemClock } from '../eventstore/clock.ts'
import { openEventStore } from '../eventstore/open.ts'
import { type EventStore, positionBeforeAll } from '../eventstore/port.ts'
import {
  type AdminKeyDependencies,
  adminKeysOver,
  createAdminKey,
  listAdminKeys,
  revokeAdminKey,
} from './admin-keys.ts'
import { name as nameField } from './fields.ts'
import { loadKeys } from './keys.ts'

type Asked =
  | { readonly do: 'create'; readonly name: string }
  | { readonly do: 'list' }
  | { readonly do: 'revoke'; readonly keyId: string }

const standardError = 2
const usage = 'usage: npm run admin-key -- create --name <name> | list | revoke <keyId>\n'
const logger = pino({ level: 'warn' }, pino.destination({ dest: standardError, sync: true }))

const say = (text: string): void => {
  process.stderr.write(text)
}

/** What the words of the command line ask for; undefined when they make no sense. */
const askedBy = (words: readonly string[]): Asked | undefined => {
  try {
    const { values, positionals } = parseArgs({
      args: [...words],
      options: { name: { type: 'string' } },
      allowPositionals: true,
    })
    const [verb, ...rest] = positionals
    const name = nameField(limits.adminKeyNameCharactersMax).safeParse(values.name)
    const [keyId] = rest
    if (verb === 'create' && rest.length === 0 && name.success) return { do: 'create', name: name.data }
    if (values.name !== undefined) return undefined
    if (verb === 'list' && rest.length === 0) return { do: 'list' }
    return verb === 'revoke' && rest.length === 1 && keyId !== undefined ? { do: 'revoke', keyId } : undefined
  } catch {
    return undefined
  }
}

const orThrow = <Value>(outcome: Value | Rejection): Value => {
  if (isRejection(outcome)) throw new Error(outcome.detail)
  return outcome
}

const carryOut = async (asked: Asked, dependencies: AdminKeyDependencies): Promise<void> => {
  switch (asked.do) {
    case 'create': {
      const { key } = orThrow(await createAdminKey(dependencies, asked.name))
      process.stdout.write(`${key}\n`)
      return say('Keep it in a safe place: it is never shown again.\n')
    }
    case 'list':
      for (const { keyId, name, createdAt } of await listAdminKeys(dependencies)) {
        process.stdout.write(`${keyId}  ${createdAt}  ${name}\n`)
      }
      return
    case 'revoke':
      orThrow(await revokeAdminKey(dependencies, asked.keyId))
      return say(`revoked ${asked.keyId}\n`)
  }
}

const openStore = async (config: Config): Promise<EventStore> => {
  const { EVENTSTORE_URL: eventstoreUrl, DATA_DIR: dataDir } = config
  if (eventstoreUrl === undefined && !existsSync(join(dataDir, 'log'))) {
    throw new Error(`there is no log in ${dataDir}; start the service once, or set DATA_DIR or EVENTSTORE_URL`)
  }
  return openEventStore({ eventstoreUrl, dataDir, logger })
}

/** The keys of the service are made only beside an empty log, so nothing may be its first event before them. */
const makeKeys = async (config: Config, store: EventStore): Promise<void> => {
  if ((await store.head()) !== positionBeforeAll) return
  loadKeys({
    folder: config.ROLES.length === roles.length ? join(config.DATA_DIR, 'keys') : undefined,
    tokenSigningKey: config.TOKEN_SIGNING_KEY,
    identityHmacKey: config.IDENTITY_HMAC_KEY,
    mayMake: true,
  })
}

/** Returns the exit code. */
const run = async (asked: Asked | undefined): Promise<number> => {
  if (asked === undefined) {
    say(usage)
    return 2
  }
  let store: EventStore | undefined
  try {
    const config = readConfig(process.env)
    store = await openStore(config)
    await makeKeys(config, store)
    await carryOut(
      asked,
      adminKeysOver(store, systemClock, error => logger.error({ err: error }, 'failed')),
    )
    return 0
  } catch (error) {
    say(`admin-key failed: ${(error as Error).message}\n`)
    return 1
  } finally {
    await store?.close()
  }
}

process.exitCode = await run(askedBy(process.argv.slice(2)))
