// Owns a whole api for tests: the embedded log, a node, PGlite read models, the real table of operations, a clock that can be
// moved, and codes caught instead of sent. Every answer is held against what its operation declares.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { expect } from 'vitest'
import { whyEnded } from '../../api/account-access.ts'
import { createAdminKeys } from '../../api/admin-keys.ts'
import { type CodeMessage, createCodeDelivery } from '../../api/codes/delivery.ts'
import type { ApiSettings } from '../../api/dependencies.ts'
import { createDispatch, type Dispatch } from '../../api/dispatch.ts'
import { createExecution } from '../../api/execution.ts'
import { codesOf } from '../../api/openapi.ts'
import type { Operation } from '../../api/operation.ts'
import { operations } from '../../api/operations.ts'
import { createPasswords } from '../../api/passwords.ts'
import { createRateLimits } from '../../api/rate-limits.ts'
import { buildApi } from '../../api/server.ts'
import { createTokens, type Tokens } from '../../api/tokens.ts'
import { type Clock, instantOf } from '../../eventstore/clock.ts'
import { openEmbeddedStore } from '../../eventstore/embedded.ts'
import { type Node, startNode } from '../../eventstore/node.ts'
import { type Database, openDatabase } from '../../projections/database.ts'
import { sentMessage } from '../../projections/message.ts'
import { type Runner, startRunner } from '../../projections/runner.ts'
import { type FaultyStore, faultyStoreOver } from '../support/faulty-store.ts'
import { testKeys } from './fixture.ts'

export interface AskOptions {
  readonly token?: string | undefined
  readonly body?: unknown
  readonly key?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every form
  readonly body: any
}

export interface TestUser {
  readonly userId: string
  readonly userName: string
  readonly sessionId: string
  readonly token: string
  readonly refreshToken: string
}

export interface Harness {
  readonly app: FastifyInstance
  readonly node: Node
  /** What the log is to do wrong next. */
  readonly faults: FaultyStore['faults']
  readonly database: Database
  readonly runner: Runner
  readonly tokens: Tokens
  readonly dispatch: Dispatch
  readonly clock: Clock & { pass(seconds: number): void }
  /** What would have been sent, the newest last. */
  readonly sent: CodeMessage[]
  /** Resolves once what was to be sent so far is among them. */
  delivered(): Promise<void>
  readonly logged: string[]
  /** May be changed while it runs. */
  readonly settings: { -readonly [Name in keyof ApiSettings]: ApiSettings[Name] } & { rateLimits: boolean }
  /** Calls a route: `ask('GET /v1/users/me', {token})`. */
  ask(route: string, options?: AskOptions): Promise<Answer>
  /** The same, and the answer must be a success. @returns its body */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every form
  ok(route: string, options?: AskOptions): Promise<any>
  /** The same, and the answer must be this refusal. @returns its body */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every form
  refused(code: string, route: string, options?: AskOptions): Promise<any>
  /** Asks for a code and gives what was sent. */
  code(purpose: string, target: string): Promise<string>
  user(name: string, deviceId?: string): Promise<TestUser>
  signIn(userName: string, deviceId?: string): Promise<TestUser>
  close(): Promise<void>
}

export const testPassword = 'correct horse battery'

const bySpecificity = [...operations].sort((one, other) => one.path.split(':').length - other.path.split(':').length)

const operationOf = (method: string, path: string): Operation | undefined =>
  bySpecificity.find(
    operation =>
      operation.method === method && new RegExp(`^${operation.path.replace(/:[A-Za-z]+/g, '[^/]+')}$`).test(path),
  )

/** An answer must be what its operation says in the documentation, no field more, no code else. */
const holdAgainst = (operation: Operation, answer: Answer) => {
  if (answer.status === operation.status) {
    const declared = operation.reply.safeParse(answer.body)
    expect(declared.error, `${operation.id}: ${JSON.stringify(answer.body)}`).toBeUndefined()
    expect(declared.data, `${operation.id} answers fields it does not declare`).toEqual(answer.body)
    return
  }
  expect(answer.headers['content-type'], JSON.stringify(answer.body)).toMatch(/^application\/problem\+json/)
  expect(codesOf(operation), `${operation.id} does not declare ${answer.body.code}`).toContain(answer.body.code)
}

const movableClock = () => {
  let aheadMs = 0
  return {
    unixMs: () => Date.now() + aheadMs,
    now: () => instantOf(Date.now() + aheadMs),
    /** Moves only when it is told to. */
    passedMs: () => aheadMs,
    pass: (seconds: number) => {
      aheadMs += seconds * 1_000
    },
  }
}

const openStores = async (clock: Clock, logged: string[]) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'ledgerline-api-'))
  const logger = pino({ level: 'warn' }, { write: line => logged.push(line) })
  const log = await openEmbeddedStore({ dataDir, logger })
  const store = faultyStoreOver(log)
  const database = await openDatabase({ dataDir, logger })
  const runner = await startRunner({ store, database, logger })
  const node = await startNode({
    store,
    clock,
    lookUpSend: async (from, id, after) =>
      (await runner.passed(after, 5_000)) ? sentMessage(database, from, id) : undefined,
    readModelLagEvents: () => runner.lag().events,
    onError: error => logger.error({ err: error }, 'node'),
  })
  const close = async () => {
    await node.close()
    await runner.stop()
    await database.close()
    await log.close()
    await rm(dataDir, { recursive: true, force: true })
  }
  return { store, database, runner, node, logger, close }
}

/** Starts an api of its own. */
export const startHarness = async (): Promise<Harness> => {
  const clock = movableClock()
  const logged: string[] = []
  const sent: CodeMessage[] = []
  const { store, database, runner, node, logger, close } = await openStores(clock, logged)
  const keys = testKeys()
  const tokens = createTokens({
    keys,
    clock,
    sessionIsValid: node.sessionIsValid,
    whyEnded: userId => whyEnded(node, userId),
  })
  const catching = { send: async (message: CodeMessage) => void sent.push(message), close: () => undefined }
  const codes = createCodeDelivery({ sms: catching, email: catching }, logger)
  const settings: Harness['settings'] = {
    devicePolicy: 'many',
    userNameSignUp: true,
    inviteNeedsApproval: false,
    friendsMax: 3,
    historyDays: 365,
    receiptGroupMembersMax: 100,
    version: '0.0.0',
    socketUrl: () => 'ws://127.0.0.1:1/v1/realtime',
    rateLimits: false,
  }
  const limits = createRateLimits({ on: true, nowMs: clock.passedMs })
  const execution = createExecution({
    operationDependencies: {
      node,
      database,
      keys,
      tokens,
      passwords: createPasswords(),
      codes,
      rateLimits: { on: true, take: (...subject) => (settings.rateLimits ? limits.take(...subject) : undefined) },
      settings,
      presence: userId => ({ userId, online: false, since: null, at: clock.now() }),
      sync: async (userId, since) => `{"reset":${since === undefined},"rows":[],"cursor":"${userId}"}`,
    },
    passed: (position, timeoutMs) => runner.passed(position, timeoutMs),
    onError: error => logger.error({ err: error }, 'bug'),
  })
  const app = buildApi({
    operations,
    execution,
    tokens,
    adminKeys: createAdminKeys(node),
    readiness: () => [],
    registry: new Registry(),
    logger,
    version: '0.0.0',
    socketUrl: () => 'ws://127.0.0.1:8081/v1/realtime',
    corsOrigins: [],
  })

  const ask: Harness['ask'] = async (route, { token, body, key, headers } = {}) => {
    const [method = '', url = ''] = route.split(' ')
    const reply = await app.inject({
      method: method as 'GET',
      url,
      headers: {
        ...(token === undefined ? undefined : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? undefined : { 'content-type': 'application/json' }),
        ...(key === undefined ? undefined : { 'idempotency-key': key }),
        ...headers,
      },
      ...(body === undefined ? undefined : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const answer = { status: reply.statusCode, headers: reply.headers, body: reply.json() }
    const operation = operationOf(method, new URL(url, 'http://x').pathname)
    if (operation !== undefined) holdAgainst(operation, answer)
    return answer
  }

  const ok: Harness['ok'] = async (route, askOptions) => {
    const answer = await ask(route, askOptions)
    expect(answer.status, `${route}: ${JSON.stringify(answer.body)}`).toBeLessThan(300)
    return answer.body
  }

  const refused: Harness['refused'] = async (code, route, askOptions) => {
    const answer = await ask(route, askOptions)
    expect(answer.body.code, `${route}: ${JSON.stringify(answer.body)}`).toBe(code)
    return answer.body
  }

  const signIn: Harness['signIn'] = async (userName, deviceId = 'device-1') => {
    const device = { deviceId, platform: 'linux', name: deviceId }
    const body = { by: 'password', userName, password: testPassword, device }
    const { userId, sessionId, accessToken: token, refreshToken, position } = await ok('POST /v1/sessions', { body })
    expect(await runner.passed(position, 30_000)).toBe(true)
    return { userId, userName, sessionId, token, refreshToken }
  }

  return {
    app,
    node,
    faults: store.faults,
    database,
    runner,
    tokens,
    dispatch: createDispatch({ operations, execution }),
    clock,
    sent,
    delivered: () => codes.settled(),
    logged,
    settings,
    ask,
    ok,
    refused,
    code: async (purpose, target) => {
      const channel = target.includes('@') ? 'email' : 'sms'
      await ok('POST /v1/codes', { body: { channel, target, purpose } })
      await codes.settled()
      return sent.at(-1)?.code ?? ''
    },
    user: async (name, deviceId) => {
      await ok('POST /v1/accounts', { body: { userName: name, password: testPassword, name } })
      return signIn(name, deviceId)
    },
    signIn,
    close: async () => {
      await app.close()
      await codes.close()
      await close()
      expect(
        logged.filter(line => line.includes('"level":50')),
        'errors in the log',
      ).toEqual([])
    },
  }
}

/** The conversation of two users. */
export const p2p = (one: TestUser, other: TestUser) => `p2p:${[one.userId, other.userId].sort().join(':')}`

let number = 0
/** The body of a text message, under a fresh id unless one is given. */
export const textOf = (text: string, clientMessageId = `m${number++}`) => ({
  clientMessageId,
  type: 'text',
  body: { text },
})
