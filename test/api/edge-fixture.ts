// Owns a server with operations made for tests of the edge itself, and how such tests ask it.

import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { expect } from 'vitest'
import { z } from 'zod'
import type { AdminKeys } from '../../api/admin-keys.ts'
import type { OperationDependencies } from '../../api/dependencies.ts'
import { createDispatch } from '../../api/dispatch.ts'
import { refuse } from '../../api/errors.ts'
import { createExecution } from '../../api/execution.ts'
import { groupId, name, pageLimit, text } from '../../api/fields.ts'
import { type Operation, operation, rawJson } from '../../api/operation.ts'
import { createRateLimits } from '../../api/rate-limits.ts'
import { buildApi } from '../../api/server.ts'
import type { Tokens } from '../../api/tokens.ts'
import { reject } from '../../domain/decider.ts'
import type { SessionId, UserId } from '../../domain/ids.ts'
import type { Node } from '../../eventstore/node.ts'
import { Unavailable } from '../../eventstore/port.ts'
import { testKeys } from './fixture.ts'

const usual = { tag: 'test', summary: 'Test', rejections: [], example: { reply: {} }, reply: z.any() } as const

export const echo = operation({
  ...usual,
  id: 'echo',
  method: 'POST',
  path: '/v1/things/:groupId',
  callers: ['user'],
  frame: true,
  limit: 'commands',
  status: 201,
  params: z.strictObject({ groupId }),
  query: z.strictObject({ dry: z.enum(['yes', 'no']).optional() }),
  body: z.strictObject({
    name: name(10),
    text: text(0, 100).optional(),
    inner: z.strictObject({ deep: z.string() }).optional(),
  }),
  run: (_dependencies, call, args) => ({ args, caller: call.caller, command: call.command }),
})

export const page = operation({
  ...usual,
  id: 'page',
  method: 'GET',
  path: '/v1/things',
  callers: ['user'],
  frame: true,
  limit: 'queries',
  status: 200,
  query: z.strictObject({ limit: pageLimit() }),
  run: (_dependencies, _call, args) => rawJson(`{"limit":${args.limit},"raw":"as it is"}`),
})

export const open = operation({
  ...usual,
  id: 'open',
  method: 'POST',
  path: '/v1/open',
  callers: ['anonymous'],
  frame: false,
  limit: 'codes',
  status: 202,
  body: z.strictObject({}),
  run: (_dependencies, call) => ({ caller: call.caller.kind, address: call.address }),
})

const failures: Record<string, () => unknown> = {
  bug: () => {
    throw new Error('secret of the implementation')
  },
  away: () => {
    throw new Unavailable('x')
  },
  refused: () => refuse('group.full', 'Add fewer.', { memberLimit: 3 }),
}
const fail = operation({
  ...usual,
  id: 'fail',
  method: 'DELETE',
  path: '/v1/fail/:groupId',
  callers: ['user'],
  frame: true,
  limit: 'commands',
  status: 200,
  params: z.strictObject({ groupId }),
  run: (_dependencies, _call, args) => failures[args.groupId]?.() as object,
})

const backend = operation({
  ...usual,
  id: 'backend',
  method: 'POST',
  path: '/v1/admin/things',
  callers: ['admin'],
  frame: false,
  limit: 'admin',
  status: 200,
  run: (_dependencies, call) => ({ caller: call.caller, command: call.command }),
})

const operations: readonly Operation[] = [echo, page, open, fail, backend]
export const userId = 'ada' as UserId
export const sessionId = 's1' as SessionId
export const logged: string[] = []

/** What the operations know of the node; tests change it. */
export const node = { behind: false } as { behind: boolean } & Node

/** What the server says it waits for; tests change it. */
export const waiting: string[] = []

/** Builds a server whose only valid token is `good`; `old` has expired. */
export const build = (
  options: { limits?: boolean; trustProxy?: string[]; corsOrigins?: string[]; operations?: readonly Operation[] } = {},
) => {
  const logger = pino({ level: 'trace' }, { write: line => logged.push(line) })
  const tokens = {
    authenticate: (token: string) =>
      token === 'good' ? { userId, sessionId } : refuse(token === 'old' ? 'token.expired' : 'token.invalid', 'no'),
  } as Tokens
  const adminKeys: AdminKeys = {
    authenticate: key => (key === goodAdminKey ? { keyId: 'k1' } : reject('token.invalid', 'no')),
  }
  const rateLimits = createRateLimits({ on: options.limits ?? false, nowMs: () => 0 })
  const execution = createExecution({
    operationDependencies: { keys: testKeys(), rateLimits, node } as OperationDependencies,
    passed: async position => position < '0000000000000100',
    onError: error => logger.error({ err: error }, 'bug'),
  })
  const app = buildApi({
    operations: options.operations ?? operations,
    execution,
    tokens,
    adminKeys,
    readiness: () => waiting,
    registry: new Registry(),
    logger,
    version: '1.2.3',
    socketUrl: () => 'ws://127.0.0.1:8081/v1/realtime',
    corsOrigins: options.corsOrigins ?? [],
    trustProxy: options.trustProxy,
  })
  return { app, execution, dispatch: createDispatch({ operations, execution }) }
}

/** The only admin key that works. */
export const goodAdminKey = 'adm_good'

export const auth = { authorization: 'Bearer good' }
export const json = { ...auth, 'content-type': 'application/json' }

/** Posts to the operation `echo`. */
export const poster =
  (app: () => FastifyInstance) =>
  (payload: string | Buffer, headers: Record<string, string> = json, url = '/v1/things/g1') =>
    app().inject({ method: 'POST', url, headers, payload })

/** Asserts that the reply is a whole problem. */
export const problem = (
  reply: { statusCode: number; headers: Record<string, unknown>; body: string },
  status: number,
  code: string,
) => {
  const body = JSON.parse(reply.body)
  expect({ status: reply.statusCode, code: body.code }, reply.body).toEqual({ status, code })
  expect(reply.headers['content-type']).toMatch(/^application\/problem\+json/)
  expect(body).toMatchObject({ status, type: `urn:ledgerline:problem:${code}` })
  expect(body.title).toEqual(expect.any(String))
  expect(body.detail).toEqual(expect.any(String))
  return body
}
