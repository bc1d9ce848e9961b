// Owns the tests of the edge itself: callers, limits, frames, answers, the table, and what Node's own parser refuses.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Call, type Operation, rawJson } from '../../api/operation.ts'
import { rateLimits } from '../../api/rate-limits.ts'
import { auth, build, json, logged, node, page, poster, problem, sessionId, userId, waiting } from './edge-fixture.ts'

let app: FastifyInstance
let dispatch: ReturnType<typeof build>['dispatch']
beforeAll(async () => {
  ;({ app, dispatch } = build())
  await app.ready()
})
afterAll(() => app.close())
const post = poster(() => app)

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
    for (let index = 0; index < rateLimits.codes.address.burst; index++) expect((await ask()).statusCode).toBe(202)
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

describe('a server that is behind the log', () => {
  it('answers nobody whose session it cannot vouch for, over HTTP and frames', async () => {
    node.behind = true
    problem(await app.inject({ url: '/v1/things', headers: auth }), 503, 'projection.behind')
    const caller = { kind: 'user', userId, sessionId } as const
    expect(await dispatch('page', { caller, address: '127.0.0.1' }, {})).toMatchObject({
      error: { code: 'projection.behind', retryable: true },
    })
    node.behind = false
    expect((await app.inject({ url: '/v1/things', headers: auth })).statusCode).toBe(200)
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
    waiting.push('read models', 'subscription')
    const reply = await app.inject('/readyz')
    expect(problem(reply, 503, 'store.unavailable').waitingFor).toEqual(waiting)
    expect(reply.headers['retry-after']).toBe('1')
    waiting.length = 0
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
