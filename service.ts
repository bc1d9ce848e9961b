// Owns how the parts are put together: opens the stores, then the roles asked for, and closes them in the opposite order.
// No rules of the product stand here.

import { accessSync, constants, mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { codeSendersOf, createCodeDelivery } from './api/codes/delivery.ts'
import { createDispatch } from './api/dispatch.ts'
import { createExecution } from './api/execution.ts'
import { loadKeys } from './api/keys.ts'
import { jsonTextOf } from './api/operation.ts'
import { operations } from './api/operations.ts'
import { createPasswords } from './api/passwords.ts'
import { createRateLimits } from './api/rate-limits.ts'
import { buildApi } from './api/server.ts'
import { portError, startStarting } from './api/starting.ts'
import { createTokens } from './api/tokens.ts'
import { type Config, ConfigError, type Role, roles } from './config.ts'
import type { UserId } from './domain/ids.ts'
import { systemClock } from './eventstore/clock.ts'
import { type Node, startNode } from './eventstore/node.ts'
import { openEventStore } from './eventstore/open.ts'
import { noticesFollower } from './followers/notices.ts'
import { startFollower } from './followers/runner.ts'
import { createRegistry } from './metrics.ts'
import { readModelsPosition } from './projections/checkpoint.ts'
import { type Database, openDatabase } from './projections/database.ts'
import { allMembersOf } from './projections/member.ts'
import { sentMessage } from './projections/message.ts'
import { startRunner } from './projections/runner.ts'
import { readModelsVersion } from './projections/schema.ts'
import { syncOf } from './projections/sync.ts'
import { type Realtime, startRealtime } from './realtime/server.ts'
import { syncDocument } from './realtime/sync.ts'
import { readings } from './service-readings.ts'

export interface ServiceOptions {
  readonly config: Config
  readonly logger: Logger
  /** Gives up starting. */
  readonly signal?: AbortSignal
}

export interface Service {
  readonly httpUrl: string
  /** Undefined without the role realtime. */
  readonly realtimeUrl: string | undefined
  /** Stops taking requests, finishes what was accepted, closes sockets with 4503, flushes, releases everything. */
  close(): Promise<void>
}

const { version } = createRequire(import.meta.url)('./package.json') as { version: string }

/** How long a look-up of an old send waits for the read models. */
const lookUpMsMax = 2_000

type Closer = () => Promise<void> | void

/** An old send cannot be looked up now; the caller answers 503. */
class ReadModelsBehind extends Error {
  readonly code = 'behind'
}

const once = (work: () => Promise<void>) => {
  let done: Promise<void> | undefined
  return () => {
    done ??= work()
    return done
  }
}

const hostText = (host: string) => {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return reachable.includes(':') ? `[${reachable}]` : reachable
}

const socketUrl = (host: string, port: number) => `ws://${hostText(host)}:${port}/v1/realtime`

/** Tells at the start what is embedded, where it is kept, and what a newcomer may want to know. */
const sayHow = (config: Config, logger: Logger) => {
  const log = config.EVENTSTORE_URL === undefined ? `embedded in ${config.DATA_DIR}` : 'EventStoreDB'
  const readModels = config.DATABASE_URL === undefined ? `embedded in ${config.DATA_DIR}` : 'Postgres'
  logger.info(`ledgerline ${version}: event log ${log}, read models ${readModels}, roles ${config.ROLES.join(', ')}`)
  logger.info('npm start -- --help tells all settings')
  if (config.RATE_LIMITS === 'off') logger.warn('rate limits are off: this is for load tests only')
}

/** Errors of a database that is not there yet; any other is for the operator to mend. */
const awayCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  '57P03',
  'database-away',
])
const databaseRetryMs = 1_000

/** Opens the database, waiting for one that cannot be reached yet. */
const patiently = async <Value>({ logger, signal }: ServiceOptions, open: () => Promise<Value>): Promise<Value> => {
  for (let tries = 1; ; tries++) {
    try {
      return await open()
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : ''
      if (!awayCodes.has(code) || signal?.aborted) throw error
      if (tries === 1)
        logger.warn({ code }, 'waiting for the database of the read models (DATABASE_URL): it cannot be reached')
      await new Promise(resolve => setTimeout(resolve, databaseRetryMs))
    }
  }
}

/** Makes the data folder. @throws ConfigError when it cannot be had, before anything else fails on it with less to say */
const prepareDataFolder = (folder: string): void => {
  try {
    mkdirSync(folder, { recursive: true })
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : error
    throw new ConfigError(
      `The data folder ${folder} cannot be written (${code}). Set DATA_DIR to a folder that this user may write.`,
    )
  }
}

interface Watch {
  readonly isAway: boolean
  stop(): void
}

/** Asks the read models' database now and then whether it is there, for readiness only. */
const watchDatabase = (database: Database): Watch => {
  let isAway = false
  let asking = false
  const ask = async () => {
    if (asking) return
    asking = true
    isAway = await readModelsPosition(database).then(
      () => false,
      () => true,
    )
    asking = false
  }
  const timer = setInterval(ask, databaseRetryMs)
  timer.unref()
  return {
    get isAway() {
      return isAway
    },
    stop: () => clearInterval(timer),
  }
}

const unreadyParts = (node: Node, watch: Watch): readonly string[] => [
  ...(node.behind ? ['the event log: this server is behind it'] : []),
  ...(watch.isAway ? ['the read models: their database cannot be reached'] : []),
]

/** Starts what the configuration asks for; resolves when it is ready. Everything opened is closed again when it fails. */
export const startService = async (options: ServiceOptions): Promise<Service> => {
  const closers: Closer[] = []
  const closeAll = async () => {
    for (const close of closers.splice(0).reverse()) await close()
  }
  try {
    return await start(options, closers, closeAll)
  } catch (error) {
    await closeAll()
    throw error
  }
}

const start = async (options: ServiceOptions, closers: Closer[], closeAll: () => Promise<void>): Promise<Service> => {
  const { config, logger } = options
  const has = (role: Role) => config.ROLES.includes(role)
  const onError = (error: unknown, what: string) => logger.error({ err: error }, `failed: ${what}`)
  let waitingFor: readonly string[] = ['the event log']
  const starting = await startStarting(config.HOST, config.HTTP_PORT, () => waitingFor)
  const endStarting = once(() => starting.close())
  closers.push(endStarting)
  sayHow(config, logger)
  const alone = config.ROLES.length === roles.length
  if (alone) prepareDataFolder(config.DATA_DIR)

  const keys = loadKeys({
    folder: alone ? join(config.DATA_DIR, 'keys') : undefined,
    tokenSigningKey: config.TOKEN_SIGNING_KEY,
    identityHmacKey: config.IDENTITY_HMAC_KEY,
    mayMake: true,
  })
  const store = await openEventStore({
    eventstoreUrl: config.EVENTSTORE_URL,
    dataDir: config.DATA_DIR,
    logger,
    signal: options.signal,
  })
  closers.push(() => store.close())

  waitingFor = ['the read models']
  const database = await patiently(options, () =>
    openDatabase({ databaseUrl: config.DATABASE_URL, dataDir: config.DATA_DIR, logger }),
  )
  closers.push(() => database.close())
  const watch = watchDatabase(database)
  closers.push(() => watch.stop())
  const runner = await startRunner({ store, database, logger, works: has('projections') })
  closers.push(() => runner.stop())

  const node = await startNode({
    store,
    clock: systemClock,
    readModelLagEvents: () => runner.lag().events,
    lookUpSend: async (from, clientMessageId, after) => {
      if (!(await runner.passed(after, lookUpMsMax)))
        throw new ReadModelsBehind('The read models are behind. Try again in a moment.')
      return sentMessage(database, from, clientMessageId)
    },
    onError,
  })
  closers.push(() => node.close())

  const followers = has('projections') ? [startFollower(node, noticesFollower(node), onError)] : []
  for (const follower of followers) closers.push(() => follower.stop())

  const tokens = createTokens({ keys, clock: systemClock, sessionIsValid: node.sessionIsValid })
  const codes = createCodeDelivery(
    codeSendersOf({
      smtpUrl: config.SMTP_URL,
      mailFrom: config.MAIL_FROM,
      smsUrl: config.SMS_URL,
      smsBodyTemplate: config.SMS_BODY_TEMPLATE,
      smsAuthorization: config.SMS_AUTHORIZATION,
      production: config.NODE_ENV === 'production',
      logger,
    }),
    logger,
  )
  closers.push(() => codes.close())
  const cursorPrefix = `${store.logId}.${readModelsVersion}.`
  const readSnapshot = (userId: UserId, since: Parameters<typeof syncOf>[2]) => syncOf(database, userId, since)
  let realtime: Realtime | undefined
  const execution = createExecution({
    operationDependencies: {
      node,
      database,
      keys,
      tokens,
      passwords: createPasswords(),
      codes,
      rateLimits: createRateLimits({ on: config.RATE_LIMITS === 'on', nowMs: () => performance.now() }),
      settings: {
        devicePolicy: config.DEVICE_POLICY,
        userNameSignUp: config.USER_NAME_SIGN_UP === 'on',
        version,
        socketUrl: () => config.PUBLIC_REALTIME_URL ?? socketUrl(config.HOST, realtime?.port ?? config.REALTIME_PORT),
      },
      sync: (userId, cursor) => syncDocument(readSnapshot, cursorPrefix, node.position, userId, cursor),
    },
    passed: (position, timeoutMs) => runner.passed(position, timeoutMs),
    onError,
  })
  const dispatch = createDispatch({ operations, execution })
  if (has('realtime')) {
    realtime = await startRealtime({
      node,
      host: config.HOST,
      port: config.REALTIME_PORT,
      cursorPrefix,
      dispatch: async (op, call, args) => {
        const reply = await dispatch(op, call, args)
        return 'ok' in reply ? `"ok":${jsonTextOf(reply.ok)}` : `"error":${JSON.stringify(reply.error)}`
      },
      authenticate: async token => tokens.authenticate(token),
      readSnapshot,
      readMembers: (userId, groupId) => allMembersOf(database, userId, groupId),
      allowedOrigins: config.CORS_ORIGINS,
      rateLimits: config.RATE_LIMITS === 'on',
      onError,
    })
    closers.push(() => realtime?.close())
  }

  let draining = false
  const api = buildApi({
    operations: has('api') ? operations : [],
    execution,
    tokens,
    readiness: () => (draining ? ['the shutdown'] : unreadyParts(node, watch)),
    registry: createRegistry(readings({ node, runner, realtime, followers })),
    logger,
    version,
    corsOrigins: config.CORS_ORIGINS ?? [],
    trustProxy: config.TRUST_PROXY,
  })
  await endStarting()
  await api.listen({ host: config.HOST, port: starting.port }).catch(error => {
    throw portError(error, config.HOST, starting.port, 'HTTP_PORT')
  })
  closers.push(() => api.close())

  return {
    httpUrl: `http://${hostText(config.HOST)}:${starting.port}`,
    realtimeUrl: realtime && socketUrl(config.HOST, realtime.port),
    close: () => {
      draining = true
      return closeAll()
    },
  }
}
