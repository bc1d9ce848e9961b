// Owns the whole server in this process for tests: a data folder of its own, free ports, no rate limits, people made fast.
// Lends the log and the read models' database that the server has opened, for looking at what it wrote; never for writing.
// One service a test file: to start the read models costs seconds. On the Postgres of TEST_DATABASE_URL where there is one.

import { EventEmitter, once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { vi } from 'vitest'
import { type Config, readConfig } from '../../config.ts'
import type { EventStore } from '../../eventstore/port.ts'
import type { Database } from '../../projections/database.ts'
import type { Service } from '../../service.ts'
import { adminKeyIn } from './admin-key.ts'
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
import { whenReadable } from './quiet.ts'
import { createPostgresDatabase, postgresUrl } from './read-models.ts'

const codeMsMax = 45_000

type PostgresDatabase = Awaited<ReturnType<typeof createPostgresDatabase>>

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

/** A device, by its tokens or by whose first one it is. */
type Who = { readonly accessToken: string } | Person
type Connecting = Partial<Omit<ConnectOptions, 'realtimeUrl' | 'token'>>

const errorLevel = 50

interface Logged {
  readonly level: number
  readonly target?: string
  readonly code?: string
}

/** What the server logs: failures, and the codes that it would send. */
const listening = () => {
  const failures: string[] = []
  const codes = new EventEmitter()
  const write = (line: string) => {
    const logged = JSON.parse(line) as Logged
    if (logged.level >= errorLevel) failures.push(line)
    if (logged.code !== undefined && logged.target !== undefined) codes.emit(logged.target, logged.code)
  }
  return { failures, codes, logger: pino({ level: 'warn' }, { write }) }
}

let aheadMs = 0
const { now } = Date
vi.spyOn(Date, 'now').mockImplementation(() => now() + aheadMs)

/** What tests need of a server, however it runs. */
export type Reached = Pick<TestService, 'store' | 'api' | 'people' | 'person' | 'signIn' | 'connect' | 'adminKey'> &
  Partial<Pick<TestService, 'pass'>>

export class TestService {
  readonly dataDir: string
  readonly #config: Config
  readonly #postgres: PostgresDatabase | undefined
  readonly #log = listening()
  readonly #devices = new Set<Device>()
  #service: Service | undefined
  #names = 0

  constructor(dataDir: string, postgres: PostgresDatabase | undefined, environment: Readonly<Record<string, string>>) {
    this.dataDir = dataDir
    this.#postgres = postgres
    const usual = { HTTP_PORT: '0', REALTIME_PORT: '0', RATE_LIMITS: 'off', NODE_ENV: 'test' }
    this.#config = readConfig({ ...usual, DATABASE_URL: postgres?.url, ...environment, DATA_DIR: dataDir })
  }

  get httpUrl(): string {
    return this.#service?.httpUrl ?? ''
  }

  get realtimeUrl(): string {
    return this.#service?.realtimeUrl ?? ''
  }

  /** The event log as the server opened it. */
  get store(): EventStore {
    return opened.store as EventStore
  }

  /** The read models as the server opened them. */
  get database(): Database {
    return opened.database as Database
  }

  /** Lines of the log that tell of something that must not happen. */
  get failures(): readonly string[] {
    return this.#log.failures
  }

  readonly api: Api = (...call) => createApi(this.httpUrl)(...call)

  /** Makes users with one device each; the names are made unique. */
  people(...names: readonly string[]): Promise<Person[]> {
    return Promise.all(names.map(name => this.person(name)))
  }

  /** In the read models when this resolves, as is everything that others need to find of them. */
  async person(name: string): Promise<Person> {
    const signedUp = await signUp(this.httpUrl, `${name}.${++this.#names}`)
    const session = await signIn(this.httpUrl, signedUp.userName)
    await whenReadable(this.api, session.accessToken, session.position)
    return { ...signedUp, session, token: session.accessToken }
  }

  /** Signs another device in. */
  signIn({ userName }: SignedUp, deviceId?: string): Promise<SignedIn> {
    return signIn(this.httpUrl, userName, deviceId)
  }

  /** Makes a key of the app's own backend. */
  async adminKey(): Promise<string> {
    return adminKeyIn(this.store, [this.api])
  }

  /** Opens the socket of a device. */
  async connect(who: Who, options: Connecting = {}): Promise<Device> {
    const token = 'accessToken' in who ? who.accessToken : who.token
    const device = await connectDevice({ ...options, realtimeUrl: this.realtimeUrl, token })
    this.#devices.add(device)
    void device.closed.then(() => this.#devices.delete(device))
    return device
  }

  /** The code that is sent there because of `ask`. */
  async codeSentBy(target: string, ask: () => Promise<unknown>): Promise<string> {
    const sent = once(this.#log.codes, target, { signal: AbortSignal.timeout(codeMsMax) })
    await ask()
    const [code] = await sent
    return code
  }

  /** Moves the clock of this process on, the server's and its devices'. */
  pass(seconds: number): void {
    aheadMs += seconds * 1_000
  }

  async start(): Promise<void> {
    this.#service = await startService({ config: this.#config, logger: this.#log.logger })
  }

  /** Says goodbye for all devices that were connected here, stops the server in good order, and deletes everything. */
  async stop(): Promise<void> {
    await this.#halt()
    await this.#postgres?.drop()
    await rm(this.dataDir, { recursive: true, force: true })
  }

  /**
   * Stops and starts again on the same data.
   * @param whenGone what must have happened before it starts again
   */
  async restart(whenGone?: () => Promise<unknown>): Promise<void> {
    await this.#halt()
    await whenGone?.()
    await this.start()
  }

  async #halt(): Promise<void> {
    await Promise.all([...this.#devices].map(device => device.close()))
    await this.#service?.close()
  }
}

/** @param environment variables beside those that every test wants */
export const startTestService = async (environment: Readonly<Record<string, string>> = {}): Promise<TestService> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'ledgerline-service-'))
  const postgres = postgresUrl === undefined ? undefined : await createPostgresDatabase()
  const service = new TestService(dataDir, postgres, environment)
  await service.start()
  return service
}
