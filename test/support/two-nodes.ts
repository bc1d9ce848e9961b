// Owns two whole servers, each a process of its own, on one event log (the stand-in) and one Postgres with the same keys; and
// a way to look at both as one, where each call goes to the next of them. Never leaves a process behind once stopped.

import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEventStore } from '../../eventstore/open.ts'
import type { EventStore } from '../../eventstore/port.ts'
import { adminKeyIn } from './admin-key.ts'
import { type ConnectOptions, connectDevice, createApi, type Device, signIn, signUp } from './device.ts'
import { startPostgres, type TestPostgres } from './postgres.ts'
import { silentLogger } from './read-models.ts'
import { type ServerProcess, startServerProcess } from './server-process.ts'
import type { Person, Reached } from './service.ts'
import { StandIn } from './stand-in-process.ts'

const readyMsMax = 300_000

export interface Node {
  readonly environment: Readonly<Record<string, string>>
  /** Another one after it was killed and started again. */
  process: ServerProcess
}

const keys = () => {
  const { privateKey } = generateKeyPairSync('ed25519')
  return {
    TOKEN_SIGNING_KEY: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    IDENTITY_HMAC_KEY: randomBytes(32).toString('base64'),
  }
}

export const startNode = async (environment: Readonly<Record<string, string>>): Promise<Node> => ({
  environment,
  process: await startServerProcess({ environment, readyMsMax }),
})

/** Opens a device's socket on one of them. */
export const connectTo = (
  { process }: Node,
  { accessToken }: { readonly accessToken: string },
  options: Partial<ConnectOptions> = {},
): Promise<Device> => connectDevice({ ...options, realtimeUrl: process.realtimeUrl, token: accessToken })

export class TwoNodes {
  readonly a: Node
  readonly b: Node
  readonly #folder: string
  readonly #log: StandIn
  readonly #postgres: TestPostgres
  #store: EventStore | undefined
  #turn = 0
  #names = 0

  private constructor(folder: string, log: StandIn, postgres: TestPostgres, nodes: readonly [Node, Node]) {
    this.#folder = folder
    this.#log = log
    this.#postgres = postgres
    ;[this.a, this.b] = nodes
  }

  static async start(): Promise<TwoNodes> {
    const folder = await mkdtemp(join(tmpdir(), 'ledgerline-two-nodes-'))
    const log = await StandIn.start()
    const postgres = await startPostgres()
    const shared = {
      ...keys(),
      EVENTSTORE_URL: log.url,
      DATABASE_URL: postgres.createDatabase('two_nodes'),
      RATE_LIMITS: 'off',
      NODE_ENV: 'test',
    }
    const nodes = ['a', 'b'].map(name => startNode({ ...shared, DATA_DIR: join(folder, name) }))
    return new TwoNodes(folder, log, postgres, (await Promise.all(nodes)) as [Node, Node])
  }

  /** Both as one service. */
  async asOne(): Promise<Reached> {
    this.#store ??= await openEventStore({ eventstoreUrl: this.#log.url, dataDir: '', logger: silentLogger })
    const next = (): Node => (++this.#turn % 2 === 0 ? this.a : this.b)
    const httpUrl = () => next().process.httpUrl
    const person = async (name: string): Promise<Person> => {
      const signedUp = await signUp(httpUrl(), `${name}.${++this.#names}`)
      const session = await signIn(httpUrl(), signedUp.userName)
      return { ...signedUp, session, token: session.accessToken }
    }
    const store = this.#store
    return {
      store,
      adminKey: () =>
        adminKeyIn(
          store,
          [this.a, this.b].map(({ process }) => createApi(process.httpUrl)),
        ),
      api: (...call) => createApi(httpUrl())(...call),
      connect: (who, options) =>
        connectTo(next(), { accessToken: 'accessToken' in who ? who.accessToken : who.token }, options),
      signIn: ({ userName }, deviceId) => signIn(httpUrl(), userName, deviceId),
      person,
      people: (...names) => Promise.all(names.map(person)),
    }
  }

  async stop(): Promise<void> {
    await this.#store?.close()
    await Promise.all([this.a, this.b].map(({ process }) => process.stop()))
    await this.#postgres.stop()
    await this.#log.dispose()
    await rm(this.#folder, { recursive: true, force: true })
  }
}
