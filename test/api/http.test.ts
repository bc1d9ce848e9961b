// Owns the tests of the edge itself, with operations made for them: every bad input gets a problem, every answer its headers.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { OperationDependencies } from '../../api/dependencies.ts'
import { createDispatch } from '../../api/dispatch.ts'
import { refuse } from '../../api/errors.ts'
import { createExecution } from '../../api/execution.ts'
import { groupId, name, pageLimit, text } from '../../api/fields.ts'
import { bodyBytesMax } from '../../api/http-errors.ts'
import { type Call, type Operation, operation, rawJson } from '../../api/operation.ts'
import { createRateLimits } from '../../api/rate-limits.ts'
import { buildApi } from '../../api/server.ts'
import type { Tokens } from '../../api/tokens.ts'
import type { SessionId, UserId } from '../../domain/ids.ts'
import { Unavailable } from '../../eventstore/port.ts'
import { testKeys } from './fixture.ts'

const usual = { tag: 'test', summary: 'Test', rejections: [], example: { reply: {} }, reply: z.any() } as const

const echo = operation({
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

const page = operation({
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

const open = operation({
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

const operations: readonly Operation[] = [echo, page, open, fail]
const userId = 'ada' as UserId
const sessionId = 's1' as SessionId
const logged: string[] = []

const build = (
  options: { limits?: boolean; trustProxy?: string[]; corsOrigins?: string[]; operations?: readonly Operation[] } = {},
) => {
  const logger = pino({ level: 'trace' }, { write: line => logged.push(line) })
  const tokens = {
    authenticate: (token: string) =>
      token === 'good' ? { userId, sessionId } : refuse(token === 'old' ? 'token.expired' : 'token.invalid', 'no'),
  } as Tokens
  const rateLimits = createRateLimits({ on: options.limits ?? false, nowMs: () => 0 })
  const execution = createExecution({
    operationDependencies: { keys: testKeys(), rateLimits } as OperationDependencies,
    passed: async position => position < '0000000000000100',
    onError: error => logger.error({ err: error }, 'bug'),
  })
  const app = buildApi({
    operations: options.operations ?? operations,
    execution,
    tokens,
    readiness: () => waiting,
    registry: new Registry(),
    logger,
    version: '1.2.3',
    corsOrigins: options.corsOrigins ?? [],
    trustProxy: options.trustProxy,
  })
  return { app, execution, dispatch: createDispatch({ operations, execution }) }
}

let waiting: string[] = []
let app: FastifyInstance
let dispatch: ReturnType<typeof build>['dispatch']
beforeAll(async () => {
  ;({ app, dispatch } = build())
  await app.ready()
})
afterAll(() => app.close())

const auth = { authorization: 'Bearer good' }
const json = { ...auth, 'content-type': 'application/json' }
const post = (payload: string | Buffer, headers: Record<string, string> = json, url = '/v1/things/g1') =>
  app.inject({ method: 'POST', url, headers, payload })

/** Asserts that the reply is a whole problem. */
const problem = (
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

describe('a good request', () => {
  it('gets what the operation answers, fields of path, query and body in one', async () => {
    const reply = await post('{"name":" Ada "}', json, '/v1/things/g1?dry=yes')
    expect(reply.statusCode).toBe(201)
    expect(reply.json()).toEqual({
      args: { groupId: 'g1', dry: 'yes', name: 'Ada' },
      caller: { kind: 'user', userId, sessionId },
    })
    expect(reply.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(reply.headers['cache-control']).toBe('no-store')
    expect(reply.headers['x-content-type-options']).toBe('nosniff')
  })

  it('gets stored JSON as it is', async () => {
    const reply = await app.inject({ url: '/v1/things', headers: auth })
    expect(reply.body).toBe('{"limit":50,"raw":"as it is"}')
  })

  it('may have its key, which becomes the command’s own', async () => {
    const ask = (key: string, body: string) => post(body, { ...json, 'idempotency-key': key })
    const [one, same, other] = await Promise.all([
      ask('k1', '{"name":"a"}'),
      ask('k1', '{"name":"a "}'),
      ask('k1', '{"name":"b"}'),
    ])
    expect(one.json().command).toMatchObject({ caller: `user:${userId}`, key: 'k1' })
    expect(same.json().command).toEqual(one.json().command)
    expect(other.json().command.fingerprint).not.toBe(one.json().command.fingerprint)
  })

  it('may have an empty body where no field is needed', async () => {
    for (const headers of [{}, { 'content-type': 'application/json' }]) {
      expect((await app.inject({ method: 'POST', url: '/v1/open', headers })).statusCode).toBe(202)
    }
  })

  it('to an open operation is not asked for a token, nor judged by one', async () => {
    const reply = await app.inject({ method: 'POST', url: '/v1/open', headers: { authorization: 'Bearer old' } })
    expect(reply.json().caller).toBe('anonymous')
  })
})

describe('a bad body', () => {
  it.each([
    ['{"name":', 'not JSON'],
    ['', 'empty, though a field is needed'],
    ['null', 'null'],
    ['[]', 'a list'],
    ['"x"', 'a text'],
    ['7', 'a number'],
    ['{}', 'without a field'],
    ['{"name":7}', 'a number for a text'],
    ['{"name":{"$gt":""}}', 'an object for a text'],
    ['{"name":["a"]}', 'a list for a text'],
    ['{"name":null}', 'null for a text'],
    ['{"name":""}', 'an empty name'],
    ['{"name":"   "}', 'a blank name'],
    ['{"name":"12345678901"}', 'a long name'],
    ['{"name":"\\ud800"}', 'half a surrogate pair'],
    ['{"name":"a\\udc00b"}', 'the other half'],
    ['{"name":"a\\u0000b"}', 'a NUL'],
    ['{"name":"a\\u0007b"}', 'a control character'],
    [`{"name":"a","text":"${'x'.repeat(101)}"}`, 'a long text'],
    [`{"name":"a","inner":${'{"deep":'.repeat(5_000)}1${'}'.repeat(5_000)}}`, 'deep nesting'],
    [`${'['.repeat(30_000)}${']'.repeat(30_000)}`, 'deep lists'],
    ['[[[['.repeat(15_000), 'deep lists without end'],
    ['{"name":"a"}{', 'two of them'],
    ["{'name':'a'}", 'JavaScript'],
    ['{"name":"a",}', 'a comma too many'],
  ])('%s is refused (%s)', async (payload, _what) => {
    problem(await post(payload), 400, 'request.invalid')
  })

  it('names every field that is wrong, also those that do not exist', async () => {
    const reply = await post(
      '{"nme":"a","inner":{"deep":1,"depe":2},"ownerId":"x"}',
      json,
      '/v1/things/$$?dry=maybe&debug=1',
    )
    const body = problem(reply, 400, 'request.invalid')
    expect(body.errors.map((error: { path: string }) => error.path).sort()).toEqual([
      'debug',
      'dry',
      'groupId',
      'inner.deep',
      'inner.depe',
      'name',
      'nme',
      'ownerId',
    ])
    expect(body.detail).toContain('ownerId: there is no such field')
  })

  it('cannot poison a prototype', async () => {
    for (const payload of [
      '{"name":"a","__proto__":{"isAdmin":true}}',
      '{"name":"a","\\u005f_proto__":{"isAdmin":true}}',
      '{"name":"a","constructor":{"prototype":{"isAdmin":true}}}',
      '{"name":"a","inner":{"deep":"x","__proto__":{"isAdmin":true}}}',
    ]) {
      const body = problem(await post(payload), 400, 'request.invalid')
      expect(body.errors[0].path).toMatch(/(__proto__|constructor)$/)
    }
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined()
  })

  it('that is not UTF-8 is refused', async () => {
    problem(
      await post(Buffer.concat([Buffer.from('{"name":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')])),
      400,
      'request.invalid',
    )
  })

  it('of another type is refused', async () => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/xml',
      'nonsense',
      '',
    ]) {
      problem(await post('{"name":"a"}', { ...auth, 'content-type': type }), 415, 'request.unsupported-media-type')
    }
  })

  it('that is too large is refused', async () => {
    problem(await post(`{"name":"${'a'.repeat(bodyBytesMax)}"}`), 413, 'request.too-large')
  })

  it('where none is taken is refused, unless it is empty', async () => {
    const ask = (payload: string) => app.inject({ method: 'DELETE', url: '/v1/fail/refused', headers: json, payload })
    expect(problem(await ask('{"force":true}'), 400, 'request.invalid').errors[0].path).toBe('force')
    problem(await ask('{}'), 409, 'group.full')
  })
})

describe('a bad URL', () => {
  it.each([
    ['/v1/things/%E0%A4%A', 400, 'request.invalid'],
    ['/v1/things/%', 400, 'request.invalid'],
    ['/v1/things/..%2fx', 400, 'request.invalid'],
    ['/v1/things/%00', 400, 'request.invalid'],
    ['/v1/things/$$', 400, 'request.invalid'],
    [`/v1/things/${'a'.repeat(65)}`, 400, 'request.invalid'],
    [`/v1/things/${'a'.repeat(2_000)}`, 400, 'request.invalid'],
    ['/v1/nothing', 404, 'route.not-found'],
    ['/', 404, 'route.not-found'],
    ['/v1/../etc/passwd', 404, 'route.not-found'],
  ])('%s', async (url, status, code) => {
    problem(await post('{"name":"a"}', json, url), status, code)
  })

  it.each([
    'limit=-1',
    'limit=0',
    'limit=101',
    'limit=x',
    'limit=',
    'limit=1e9',
    'limit=1&limit=2',
    'limit[]=1',
    '__proto__=1',
    'after=x',
    'after=123',
  ])('with ?%s is refused', async query => {
    problem(await app.inject({ url: `/v1/things?${query}`, headers: auth }), 400, 'request.invalid')
  })

  it('with a method the path does not have says which it has', async () => {
    for (const [method, url, allow] of [
      ['DELETE', '/v1/things', 'GET'],
      ['GET', '/v1/things/g1', 'POST'],
      ['PUT', '/v1/fail/x?y=1', 'DELETE'],
    ] as const) {
      const reply = await app.inject({ method, url })
      problem(reply, 405, 'route.method-not-allowed')
      expect(reply.headers.allow).toBe(allow)
    }
  })
})

describe('a caller', () => {
  it.each([undefined, '', 'Bearer', 'Bearer ', 'Basic Z29vZA==', 'Bearer good extra', 'good', 'Bearer bad'])(
    'with the authorization %s is refused and told how',
    async authorization => {
      const headers = authorization === undefined ? {} : { authorization }
      const reply = await app.inject({ url: '/v1/things', headers })
      problem(reply, 401, 'token.invalid')
      expect(reply.headers['www-authenticate']).toMatch(/^Bearer /)
    },
  )

  it('with an expired token is told so', async () => {
    const reply = await app.inject({ url: '/v1/things', headers: { authorization: 'Bearer old' } })
    problem(reply, 401, 'token.expired')
    expect(reply.headers['www-authenticate']).toContain('token.expired')
  })

  it('is asked for a token before the body is read', async () => {
    problem(await post('{"name":', { 'content-type': 'application/json' }), 401, 'token.invalid')
  })

  it('with a bad key is refused', async () => {
    for (const key of ['', 'a b', 'ä', 'x'.repeat(65)]) {
      const body = problem(await post('{"name":"a"}', { ...json, 'idempotency-key': key }), 400, 'request.invalid')
      expect(body.errors[0].path).toBe('Idempotency-Key')
    }
  })

  it('who is too fast is told when to come back, also over frames, from one address', async () => {
    const limited = build({ limits: true })
    const ask = () => limited.app.inject({ method: 'POST', url: '/v1/open' })
    for (let index = 0; index < 10; index++) expect((await ask()).statusCode).toBe(202)
    const reply = await ask()
    problem(reply, 429, 'rate.limited')
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0)
    await limited.app.close()
  })

  it('is known by X-Forwarded-For only where a trusted proxy says so', async () => {
    const headers = { 'x-forwarded-for': '203.0.113.9' }
    const ask = (to: FastifyInstance) => to.inject({ method: 'POST', url: '/v1/open', headers })
    expect((await ask(app)).json().address).toBe('127.0.0.1')
    const proxied = build({ trustProxy: ['127.0.0.0/8'] })
    expect((await ask(proxied.app)).json().address).toBe('203.0.113.9')
    const others = build({ trustProxy: ['10.0.0.0/8'] })
    expect((await ask(others.app)).json().address).toBe('127.0.0.1')
    await Promise.all([proxied.app.close(), others.app.close()])
  })
})

describe('what an operation answers', () => {
  const ask = (what: string) => app.inject({ method: 'DELETE', url: `/v1/fail/${what}`, headers: auth })

  it('a rejection is a problem with its data', async () => {
    expect(problem(await ask('refused'), 409, 'group.full')).toMatchObject({ memberLimit: 3, retryable: false })
  })

  it('a store that is away is a 503 with Retry-After', async () => {
    const reply = await ask('away')
    expect(problem(reply, 503, 'store.unavailable').retryable).toBe(true)
    expect(reply.headers['retry-after']).toBe('1')
  })

  it('a bug is a 500 that says nothing of it, and a line in the log that does', async () => {
    logged.length = 0
    const reply = await ask('bug')
    problem(reply, 500, 'internal')
    expect(reply.body).not.toContain('secret')
    expect(logged.join()).toContain('secret of the implementation')
  })
})

describe('reading one’s own writes', () => {
  it('waits for the position, or says to come back', async () => {
    const ask = (after: string) => app.inject({ url: `/v1/things?after=${after}`, headers: auth })
    expect((await ask('00000000000000ff')).statusCode).toBe(200)
    const reply = await ask('0000000000000100')
    problem(reply, 503, 'projection.behind')
    expect(reply.headers['retry-after']).toBe('1')
  })
})

describe('a frame', () => {
  const call: Call = { caller: { kind: 'user', userId, sessionId }, address: '127.0.0.1' }

  it('runs the same operation on the same fields', async () => {
    expect(await dispatch('echo', call, { groupId: 'g1', name: ' Ada ' })).toEqual({
      ok: { args: { groupId: 'g1', name: 'Ada' }, caller: call.caller, command: undefined },
    })
    expect(await dispatch('page', call, { limit: 7 })).toEqual({ ok: rawJson('{"limit":7,"raw":"as it is"}') })
    expect(await dispatch('page', call, undefined)).toEqual({ ok: rawJson('{"limit":50,"raw":"as it is"}') })
  })

  it('gets the same errors as over HTTP', async () => {
    const viaHttp = async (url: string, options: object) => {
      const { type: _type, status: _status, ...rest } = (await app.inject({ url, headers: json, ...options })).json()
      return { error: rest }
    }
    expect(await dispatch('fail', call, { groupId: 'refused' })).toEqual(
      await viaHttp('/v1/fail/refused', { method: 'DELETE' }),
    )
    expect(await dispatch('fail', call, { groupId: 'away' })).toEqual(
      await viaHttp('/v1/fail/away', { method: 'DELETE' }),
    )
    expect(await dispatch('fail', call, { groupId: 'bug' })).toEqual(
      await viaHttp('/v1/fail/bug', { method: 'DELETE' }),
    )
    expect(await dispatch('page', call, { after: '0000000000000100' })).toEqual(
      await viaHttp('/v1/things?after=0000000000000100', {}),
    )
    expect(await dispatch('page', call, { limit: -1, x: 1 })).toEqual(await viaHttp('/v1/things?limit=-1&x=1', {}))
  })

  it.each([
    null,
    [],
    'x',
    7,
    { groupId: 'g1', name: 'a', __proto__x: 1 },
    JSON.parse('{"groupId":"g1","name":"a","__proto__":{"x":1}}'),
  ])('with wrong fields is refused %#', async args => {
    expect(await dispatch('echo', call, args)).toMatchObject({ error: { code: 'request.invalid' } })
  })

  it('can call neither what is not there nor what is not for frames nor what is not for the caller', async () => {
    for (const op of ['nothing', 'open', '__proto__', 'constructor', '']) {
      expect(await dispatch(op, call, {})).toMatchObject({ error: { code: 'operation.not-found' } })
    }
    expect(await dispatch('page', { ...call, caller: { kind: 'admin', keyId: 'k' } }, {})).toMatchObject({
      error: { code: 'caller.not-allowed' },
    })
    expect(await dispatch('page', { ...call, caller: { kind: 'anonymous' } }, {})).toMatchObject({
      error: { code: 'token.invalid' },
    })
  })

  it('has its key checked and fingerprinted like a header', async () => {
    const keyed = await dispatch('echo', { ...call, key: 'k1' }, { groupId: 'g1', name: 'a' })
    const reply = await post('{"name":"a"}', { ...json, 'idempotency-key': 'k1' })
    expect((keyed as { ok: { command: object } }).ok.command).toEqual(reply.json().command)
    expect(await dispatch('echo', { ...call, key: 'a b' }, { groupId: 'g1', name: 'a' })).toMatchObject({
      error: { code: 'request.invalid', errors: [{ path: 'key' }] },
    })
  })
})

describe('a table of operations', () => {
  it('cannot have one that does not say who may call it', async () => {
    for (const callers of [[], ['everybody']]) {
      const broken = { ...page, callers } as unknown as Operation
      const { app: refused } = build({ operations: [broken] })
      await expect(refused.ready()).rejects.toThrow(/does not say who may call it/)
    }
  })

  it('cannot be passed by', () => {
    const { app: other } = build()
    expect(() => other.get('/v1/secret', () => 'x')).toThrow(/does not say who may call it/)
  })
})

describe('operations of the machine', () => {
  it('say whether it lives, whether it is ready and what it waits for, and what it counts', async () => {
    expect((await app.inject('/healthz')).json()).toEqual({ status: 'ok' })
    expect((await app.inject('/readyz')).json()).toEqual({ status: 'ready' })
    waiting = ['read models', 'subscription']
    const reply = await app.inject('/readyz')
    expect(problem(reply, 503, 'store.unavailable').waitingFor).toEqual(waiting)
    expect(reply.headers['retry-after']).toBe('1')
    waiting = []
    await app.inject({ url: '/v1/things', headers: auth })
    expect((await app.inject('/metrics')).body).toMatch(
      /ledgerline_http_request_seconds_count\{operation="page",status="200"\} \d+/,
    )
  })

  it('allow other origins only when configured', async () => {
    const preflight = { origin: 'https://app.example', 'access-control-request-method': 'POST' }
    const ask = (to: FastifyInstance) => to.inject({ method: 'OPTIONS', url: '/v1/open', headers: preflight })
    expect((await ask(app)).headers['access-control-allow-origin']).toBeUndefined()
    const shared = build({ corsOrigins: ['https://app.example'] })
    const reply = await ask(shared.app)
    expect(reply.statusCode).toBe(204)
    expect(reply.headers['access-control-allow-origin']).toBe('https://app.example')
    const other = await shared.app.inject({ url: '/healthz', headers: { origin: 'https://evil.example' } })
    expect(other.headers['access-control-allow-origin']).not.toBe('https://evil.example')
    await shared.app.close()
  })
})

describe('over a real socket', () => {
  let port = 0
  let listening: FastifyInstance
  beforeAll(async () => {
    listening = build().app
    await listening.listen({ port: 0, host: '127.0.0.1' })
    port = (listening.server.address() as AddressInfo).port
  })
  afterAll(() => listening.close())

  const say = (text: string) =>
    new Promise<string>((resolve, reject) => {
      let answer = ''
      const socket = connect(port, '127.0.0.1', () => socket.write(text))
      socket.on('data', chunk => (answer += chunk))
      socket.on('close', () => resolve(answer))
      socket.on('error', reject)
    })

  const parsed = (answer: string) => {
    const [head = '', body = ''] = answer.split('\r\n\r\n')
    const [line = '', ...headers] = head.split('\r\n')
    return {
      statusCode: Number(line.split(' ')[1]),
      headers: Object.fromEntries(headers.map(h => [h.split(': ')[0]?.toLowerCase(), h.split(': ')[1]])),
      body,
    }
  }

  it.each([
    ['what is not HTTP', 'hello\r\n\r\n', 400, 'request.invalid'],
    ['a bad method', 'FETCH / HTTP/1.1\r\nhost: x\r\n\r\n', 400, 'request.invalid'],
    ['a bad header', 'GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n', 400, 'request.invalid'],
    [
      'two lengths',
      'POST /v1/open HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx',
      400,
      'request.invalid',
    ],
    [
      'headers without end',
      `GET / HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`,
      431,
      'request.headers-too-large',
    ],
    [
      'an expectation',
      'POST /v1/open HTTP/1.1\r\nhost: x\r\nexpect: wonders\r\nconnection: close\r\n\r\n',
      417,
      'request.expectation-failed',
    ],
    ['no host', 'GET /v1/nothing HTTP/1.1\r\nconnection: close\r\n\r\n', 404, 'route.not-found'],
    [
      'a method of another kind',
      'PROPFIND /v1/things HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
      405,
      'route.method-not-allowed',
    ],
    ['TRACE', 'TRACE /v1/things HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', 405, 'route.method-not-allowed'],
  ])('%s gets a problem', async (_what, request, status, code) => {
    problem(parsed(await say(request)), status, code)
  })

  it('a port that is taken is an error of listening', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await new Promise(resolve => taken.once('listening', resolve))
    const { app: other } = build()
    await expect(other.listen({ port: (taken.address() as AddressInfo).port, host: '127.0.0.1' })).rejects.toThrow(
      /EADDRINUSE/,
    )
    await other.close()
    taken.close()
  })
})
