// Owns how the parts are put together: opens the stores, then the roles asked for, and closes them in the opposite order.
// No rules of the product stand here.

import { join } from 'node:path'
import type { Logger } from 'pino'
import { whyEnded } from './api/account-access.ts'
import { adminKeyWork } from './api/admin-key-work.ts'
import { createAdminKeys } from './api/admin-keys.ts'
import { codeSendersOf, createCodeDelivery } from './api/codes/delivery.ts'
import { createDispatch, replyTextOf } from './api/dispatch.ts'
import { createExecution, type Execution } from './api/execution.ts'
import { checkGivenKeys, type Keys, loadKeys } from './api/keys.ts'
import { operations } from './api/operations.ts'
import { createPasswords } from './api/passwords.ts'
import { createRateLimits, networkOf } from './api/rate-limits.ts'
import { buildApi } from './api/server.ts'
import { portError, startStarting } from './api/starting.ts'
import { createTokens, type Tokens } from './api/tokens.ts'
import { type Config, isWhole, type Role } from './config.ts'
import type { Position, UserId } from './domain/ids.ts'
import { systemClock } from './eventstore/clock.ts'
import { openControl } from './eventstore/control.ts'
import { type Node, startNode } from './eventstore/node.ts'
import { openEventStore } from './eventstore/open.ts'
import { type EventStore, positionBeforeAll } from './eventstore/port.ts'
import { exportWork } from './eventstore/transfer.ts'
import { accountsFollower } from './followers/accounts.ts'
import { endFriendshipsOf, friendRequestExpiry } from './followers/friendships.ts'
import { groupRequestExpiry } from './followers/group-requests.ts'
import { noticesFollower } from './followers/notices.ts'
import { type RunningFollower, startFollower } from './followers/runner.ts'
import { startSchedule } from './followers/schedule.ts'
import { createRegistry } from './metrics.ts'
import packageJson from './package.json' with { type: 'json' }
import { type Database, openDatabase } from './projections/database.ts'
import { groupIdsOf } from './projections/group.ts'
import { requestGroupIdsOf } from './projections/group-request.ts'
import { allMembersOf } from './projections/member.ts'
import { sentMessage } from './projections/message.ts'
import { rebuildWork } from './projections/rebuild-work.ts'
import { type Runner, startRunner } from './projections/runner.ts'
import { readModelsVersion } from './projections/schema.ts'
import { openSignalLine, type SignalLine } from './projections/signals.ts'
import { syncOf } from './projections/sync.ts'
import { type Presence, startPresence } from './realtime/presence-signals.ts'
import { type Realtime, startRealtime } from './realtime/server.ts'
import { syncDocument } from './realtime/sync.ts'
import { createSyncTurns, type SyncTurns } from './realtime/sync-turns.ts'
import { readings } from './service-readings.ts'
import {
  type DatabaseWatch,
  hostText,
  once,
  prepareDataFolder,
  ReadModelsBehind,
  sayHow,
  socketUrl,
  unreadyParts,
  watchDatabase,
  watchFirstFold,
  whenNothingIsMissing,
} from './service-start.ts'

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
  /** Resolves once it may get traffic, as /readyz says, or is closed. */
  whenReady(): Promise<void>
  /** Stops taking requests, finishes what was accepted, closes sockets with 4503, flushes, releases everything. */
  close(): Promise<void>
}

/** How long a look-up of an old send waits for the read models. */
const lookUpMsMax = 2_000

/** What is opened is closed in the opposite order. */
type Closers = (() => Promise<void> | void)[]

interface Stores {
  readonly store: EventStore
  readonly keys: Keys
  readonly database: Database
  readonly watch: DatabaseWatch
  readonly runner: Runner
}

interface Parts extends Stores {
  readonly options: ServiceOptions
  readonly node: Node
  readonly tokens: Tokens
  readonly onError: (error: unknown, what: string) => void
  /** What stands before the position in every cursor. */
  readonly cursorPrefix: string
  readonly syncTurns: SyncTurns
  /** To the other nodes; undefined when there can be none, or none need be told. */
  readonly signalLine: SignalLine | undefined
  readonly presence: Presence
}

/** Starts what the configuration asks for; resolves when it listens. Everything opened is closed again when it fails. */
export const startService = async (options: ServiceOptions): Promise<Service> => {
  const closers: Closers = []
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

const has = (config: Config, role: Role): boolean => config.ROLES.includes(role)

const originsOf = ({ CORS_ORIGINS: origins }: Config) => (origins?.includes('*') ? '*' : origins)

/** Opens the log, the keys and the read models, waiting for what cannot be reached yet. */
const openStores = async (options: ServiceOptions, closers: Closers, wait: (what: string) => void): Promise<Stores> => {
  const { config, logger } = options
  const alone = isWhole(config)
  const given = { tokenSigningKey: config.TOKEN_SIGNING_KEY, identityHmacKey: config.IDENTITY_HMAC_KEY }
  checkGivenKeys(given)
  if (alone) prepareDataFolder(config.DATA_DIR)
  wait('the event log')
  const store = await openEventStore({
    eventstoreUrl: config.EVENTSTORE_URL,
    dataDir: config.DATA_DIR,
    logger,
    signal: options.signal,
  })
  closers.push(() => store.close())
  const keys = loadKeys({
    folder: alone ? join(config.DATA_DIR, 'keys') : undefined,
    ...given,
    // New keys beside a full log would make every account in it unreachable.
    mayMake: (await store.head()) === positionBeforeAll,
  })
  wait('the read models')
  const database = await openDatabase({
    databaseUrl: config.DATABASE_URL,
    dataDir: config.DATA_DIR,
    logger,
    signal: options.signal,
  })
  closers.push(() => database.close())
  const watch = watchDatabase(database)
  closers.push(() => watch.stop())
  const runner = await startRunner({
    store,
    database,
    logger,
    works: has(config, 'projections'),
    historyDays: config.HISTORY_DAYS,
  })
  closers.push(() => runner.stop())
  return { store, keys, database, watch, runner }
}

const openNode = async (
  { store, database, runner }: Stores,
  config: Config,
  onError: Parts['onError'],
): Promise<Node> =>
  startNode({
    store,
    clock: systemClock,
    readModelLagEvents: () => runner.lag().events,
    strangersMayChat: config.STRANGERS_MAY_CHAT === 'true',
    receiptGroupMembersMax: config.RECEIPT_GROUP_MEMBERS_MAX,
    lookUpSend: async (from, clientMessageId, after) => {
      if (!(await runner.passed(after, lookUpMsMax)))
        throw new ReadModelsBehind('The read models are behind. Try again in a moment.')
      return sentMessage(database, from, clientMessageId)
    },
    onError,
  })

/** What runs operations, for HTTP and for frames alike. */
const buildExecution = (parts: Parts, closers: Closers, realtimeUrl: () => string): Execution => {
  const { node, database, keys, tokens, runner, syncTurns, presence, onError } = parts
  const { config, logger } = parts.options
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
  const syncing = {
    readSnapshot: readSnapshot(database),
    cursorPrefix: parts.cursorPrefix,
    reached: node.whenSeen,
    syncTurns,
  }
  return createExecution({
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
        inviteNeedsApproval: config.INVITE_NEEDS_APPROVAL === 'on',
        friendsMax: config.FRIENDS_MAX,
        historyDays: config.HISTORY_DAYS,
        receiptGroupMembersMax: config.RECEIPT_GROUP_MEMBERS_MAX,
        version: packageJson.version,
        socketUrl: realtimeUrl,
      },
      presence: presence.of,
      sync: (userId, cursor) => syncDocument(syncing, userId, cursor),
    },
    passed: (position, timeoutMs) => runner.passed(position, timeoutMs),
    onError,
  })
}

const readSnapshot = (database: Database) => (userId: UserId, since: Position | null) => syncOf(database, userId, since)

const openRealtime = (parts: Parts, execution: Execution): Promise<Realtime> => {
  const { node, database, runner, tokens, cursorPrefix, syncTurns, signalLine, presence, onError } = parts
  const { config } = parts.options
  const dispatch = createDispatch({ operations, execution })
  // A hello costs at least what a query does; asked before the token is looked at.
  const admitHello = (address: string) => execution.admitAddress({ limit: 'queries' }, address)
  return startRealtime({
    node,
    host: config.HOST,
    port: config.REALTIME_PORT,
    cursorPrefix,
    dispatch: async (op, call, args) => replyTextOf(await dispatch(op, call, args)),
    authenticate: async (token, address) => admitHello(address) ?? tokens.authenticate(token),
    readSnapshot: readSnapshot(database),
    syncTurns,
    readMembers: (userId, groupId) => allMembersOf(database, userId, groupId),
    folded: (position, timeoutMs) => runner.passed(position, timeoutMs),
    signalLine,
    presence,
    allowedOrigins: originsOf(config) === '*' ? undefined : config.CORS_ORIGINS,
    trustProxy: config.TRUST_PROXY,
    networkOf,
    rateLimits: config.RATE_LIMITS === 'on',
    onError,
  })
}

/** To the other nodes, where there can be any: the embedded database belongs to one process. */
const openLine = async ({ config, logger }: ServiceOptions, closers: Closers): Promise<SignalLine | undefined> => {
  if (config.DATABASE_URL === undefined || !(has(config, 'api') || has(config, 'realtime'))) return undefined
  const line = await openSignalLine(config.DATABASE_URL, logger)
  closers.push(() => line.close())
  return line
}

/** Work that time brings about; where the read models are folded, since it goes by them. */
const startJobs = ({ node, database, runner, options, onError }: Parts, closers: Closers): void => {
  if (!has(options.config, 'projections')) return
  const passed = (position: Position, timeoutMs: number) => runner.passed(position, timeoutMs)
  const jobs = startSchedule(
    [friendRequestExpiry(node, database, passed), groupRequestExpiry(node, database, passed)],
    onError,
  )
  closers.push(() => jobs.stop())
}

const startFollowers = (
  { node, database, runner, options, onError }: Parts,
  closers: Closers,
): readonly RunningFollower[] => {
  if (!has(options.config, 'projections')) return []
  const accounts = accountsFollower({
    node,
    folded: async position => {
      if (!(await runner.passed(position, lookUpMsMax))) throw new ReadModelsBehind('The read models are behind.')
    },
    groupIdsOf: async userId => [
      ...((await groupIdsOf(database, userId))?.groupIds ?? []),
      ...(await requestGroupIdsOf(database, userId)),
    ],
    endFriendships: userId => endFriendshipsOf(node, database, userId),
  })
  const followers = [noticesFollower(node), accounts].map(follower => startFollower(node, follower, onError))
  for (const follower of followers) closers.push(() => follower.stop())
  return followers
}

/** Where a part is embedded this process owns the folder, so what commands of the operator ask for is done here. */
const takeCommands = async ({ options, store, database, node }: Parts, closers: Closers): Promise<void> => {
  const { config, logger } = options
  if (config.EVENTSTORE_URL !== undefined && config.DATABASE_URL !== undefined) return
  const works = {
    export: exportWork(store),
    rebuild: rebuildWork(database, store, logger),
    'admin-key': adminKeyWork(node),
  }
  try {
    const control = await openControl(config.DATA_DIR, works, logger)
    closers.push(() => control.close())
  } catch (error) {
    logger.warn({ err: error }, 'npm run rebuild, export and admin-key cannot reach this service')
  }
}

const start = async (options: ServiceOptions, closers: Closers, closeAll: () => Promise<void>): Promise<Service> => {
  const { config, logger } = options
  const onError = (error: unknown, what: string) => logger.error({ err: error }, `failed: ${what}`)
  let waitingFor = ['the start']
  const starting = await startStarting(config.HOST, config.HTTP_PORT, () => waitingFor)
  const endStarting = once(() => starting.close())
  closers.push(endStarting)
  sayHow(config, logger, packageJson.version)

  const stores = await openStores(options, closers, what => {
    waitingFor = [what]
  })
  const node = await openNode(stores, config, onError)
  closers.push(() => node.close())
  node.onBehind(behind => {
    if (behind) logger.warn({ position: node.position }, 'this node is behind the event log: it sends its devices away')
    else logger.warn({ position: node.position }, 'this node has caught up with the event log')
  })
  const tokens = createTokens({
    keys: stores.keys,
    clock: systemClock,
    sessionIsValid: node.sessionIsValid,
    whyEnded: userId => whyEnded(node, userId),
  })
  const cursorPrefix = `${stores.store.logId}.${readModelsVersion}.`
  const signalLine = await openLine(options, closers)
  const presence = startPresence({ clock: systemClock, line: signalLine })
  closers.push(() => presence.close())
  const syncTurns = createSyncTurns()
  const parts: Parts = { ...stores, options, node, tokens, onError, cursorPrefix, syncTurns, signalLine, presence }
  const followers = startFollowers(parts, closers)
  startJobs(parts, closers)

  let realtime: Realtime | undefined
  const realtimeUrl = () => config.PUBLIC_REALTIME_URL ?? socketUrl(config.HOST, realtime?.port ?? config.REALTIME_PORT)
  const execution = buildExecution(parts, closers, realtimeUrl)
  if (has(config, 'realtime')) {
    realtime = await openRealtime(parts, execution)
    closers.push(() => realtime?.close())
  }

  const firstFold = watchFirstFold(stores.runner, node.position)
  const draining = new AbortController()
  const missing = () => unreadyParts({ ...stores, node, followers, firstFold })
  const api = buildApi({
    operations: has(config, 'api') ? operations : [],
    execution,
    tokens,
    adminKeys: createAdminKeys(node),
    readiness: () => (draining.signal.aborted ? ['the shutdown'] : missing()),
    registry: createRegistry(readings({ node, runner: stores.runner, realtime, signalLine, syncTurns, followers })),
    logger,
    version: packageJson.version,
    socketUrl: realtimeUrl,
    corsOrigins: originsOf(config) ?? [],
    trustProxy: config.TRUST_PROXY,
  })
  await endStarting()
  await api.listen({ host: config.HOST, port: starting.port }).catch(error => {
    throw portError(error, config.HOST, starting.port, 'HTTP_PORT')
  })
  closers.push(() => api.close())
  await takeCommands(parts, closers)
  return {
    httpUrl: `http://${hostText(config.HOST)}:${starting.port}`,
    realtimeUrl: realtime && socketUrl(config.HOST, realtime.port),
    whenReady: () => whenNothingIsMissing(missing, logger, draining.signal),
    close: () => {
      draining.abort()
      return closeAll()
    },
  }
}
