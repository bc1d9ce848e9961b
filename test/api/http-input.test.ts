// Owns the tests of what comes in over HTTP: every bad input gets a problem, and no good one does.

import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bodyBytesMax } from '../../api/http-errors.ts'
import { auth, build, json, poster, problem, sessionId, userId } from './edge-fixture.ts'

let app: FastifyInstance
beforeAll(async () => {
  app = build().app
  await app.ready()
})
afterAll(() => app.close())
const post = poster(() => app)

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
