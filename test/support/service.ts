// Owns the whole server in this process for tests: a data folder of its own, free ports, no rate limits, people made fast.
// Lends the log and the read models' database that the server has opened, for looking at what it wrote; never for writing.
// One service a test file: to start the read models costs seconds. On the Postgres of TEST_DATABASE_URL where there is one.

import { EventEmitter, once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { vi } from 'vitest'
import { readConfig } from '../../config.ts'
import type { EventStore } from '../../eventstore/port.ts'
import type { Database } from '../../projections/database.ts'
import type { Service } from '../../service.ts'
import {
  type Api,
  type ConnectOptions,
  connectDevice,
  createApi,
  type Device,
  type SignedIn,
  type SignedUp,
  signIn,
  signUp,
} from './device.ts'
import { createPostgresDatabase, postgresUrl } from './read-models.ts'

const codeMsMax = 15_000

interface Opened {
  store: EventStore | undefined
  database: Database | undefined
}

const opened: Opened = { store: undefined, database: undefined }

// The real ones, remembered as they are opened.
vi.doMock('../../eventstore/open.ts', async importOriginal => {
  const real = await importOriginal<typeof import('../../eventstore/open.ts')>()
  const openEventStore: typeof real.openEventStore = async options => {
    opened.store = await real.openEventStore(options)
    return opened.store
  }
  return { ...real, openEventStore }
})
vi.doMock('../../projections/database.ts', async importOriginal => {
  const real = await importOriginal<typeof import('../../projections/database.ts')>()
  const openDatabase: typeof real.openDatabase = async options => {
    opened.database = await real.openDatabase(options)
    return opened.database
  }
  return { ...real, openDatabase }
})
const { startService } = await import('../../service.ts')

/** A user with one device signed in. */
export interface Person extends SignedUp {
  readonly session: SignedIn
  /** The access token of that device. */
  readonly token: string
}

export interface TestService {
  readonly httpUrl: string
  readonly realtimeUrl: string
  readonly api: Api
  readonly dataDir: string
  /** The event log as the server opened it. */
  readonly store: EventStore
  /** The read models as the server opened them. */
  readonly database: Database
  /** Lines that tell of something that must not happen. */
  readonly failures: readonly string[]
  /** Makes users with one device each; the names are made unique. */
  people(...names: readonly string[]): Promise<Person[]>
  person(name: string): Promise<Person>
  /** Signs another device in. */
  signIn(person: SignedUp, deviceId?: string): Promise<SignedIn>
  /** Opens the socket of a device. */
  connect(
    who: { readonly accessToken: string } | Person,
    options?: Partial<Omit<ConnectOptions, 'realtimeUrl' | 'token'>>,
  ): Promise<Device>
  /** The next code that is sent there after `ask` was called. */
  codeSentBy(target: string, ask: () => Promise<unknown>): Promise<string>
  /** Stops it in good order and starts it again on the same data. */
  restart(): Promise<void>
  stop(): Promise<void>
}

interface Logged {
  readonly level: number
  readonly target?: string
  readonly code?: string
}

const errorLevel = 50

const tokenOf = (who: { readonly accessToken: string } | Person): string =>
  'accessToken' in who ? who.accessToken : who.token

/** Every device that was opened, so that none outlives its service. */
const connecting = (urlOf: () => string) => {
  const devices = new Set<Device>()
  return {
    connect: async (who: Parameters<TestService['connect']>[0], options: Parameters<TestService['connect']>[1]) => {
      const device = await connectDevice({ ...options, realtimeUrl: urlOf(), token: tokenOf(who) })
      devices.add(device)
      void device.closed.then(() => devices.delete(device))
      return device
    },
    closeAll: async () => {
      await Promise.all([...devices].map(device => device.close()))
    },
  }
}

/** @param environment variables beside those that every test wants */
export const startTestService = async (environment: Readonly<Record<string, string>> = {}): Promise<TestService> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'ledgerline-service-'))
  const postgres = postgresUrl === undefined ? undefined : await createPostgresDatabase()
  const failures: string[] = []
  const codes = new EventEmitter()
  const logger = pino(
    { level: 'warn' },
    {
      write: (line: string) => {
        const logged = JSON.parse(line) as Logged
        if (logged.level >= errorLevel) failures.push(line)
        if (logged.code !== undefined && logged.target !== undefined) codes.emit(logged.target, logged.code)
      },
    },
  )
  const config = readConfig({
    DATA_DIR: dataDir,
    HTTP_PORT: '0',
    REALTIME_PORT: '0',
    RATE_LIMITS: 'off',
    NODE_ENV: 'test',
    DATABASE_URL: postgres?.url,
    ...environment,
  })
  let service: Service = await startService({ config, logger })
  let names = 0
  const { connect, closeAll } = connecting(() => service.realtimeUrl as string)

  const person = async (name: string): Promise<Person> => {
    const signedUp = await signUp(service.httpUrl, `${name}.${++names}`)
    const session = await signIn(service.httpUrl, signedUp.userName)
    return { ...signedUp, session, token: session.accessToken }
  }

  return {
    get httpUrl() {
      return service.httpUrl
    },
    get realtimeUrl() {
      return service.realtimeUrl as string
    },
    api: (...call) => createApi(service.httpUrl)(...call),
    dataDir,
    get store() {
      return opened.store as EventStore
    },
    get database() {
      return opened.database as Database
    },
    failures,
    person,
    people: (...wanted) => Promise.all(wanted.map(person)),
    signIn: (who, deviceId) => signIn(service.httpUrl, who.userName, deviceId),
    connect,
    codeSentBy: async (target, ask) => {
      const sent = once(codes, target, { signal: AbortSignal.timeout(codeMsMax) })
      await ask()
      const [code] = await sent
      return code
    },
    restart: async () => {
      await closeAll()
      await service.close()
      service = await startService({ config, logger })
    },
    stop: async () => {
      await closeAll()
      await service.close()
      await postgres?.drop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}
