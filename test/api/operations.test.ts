// Owns the tests of the table of operations as a whole, and of the documentation made from it: examples work, statuses are told.

import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AdminKeys } from '../../api/admin-keys.ts'
import type { OperationDependencies } from '../../api/dependencies.ts'
import { errorTable } from '../../api/errors.ts'
import { createExecution } from '../../api/execution.ts'
import { noFields } from '../../api/fields.ts'
import { codesOf } from '../../api/openapi.ts'
import { formsOf } from '../../api/operation.ts'
import { operations } from '../../api/operations.ts'
import { createRateLimits } from '../../api/rate-limits.ts'
import { buildApi } from '../../api/server.ts'
import type { Tokens } from '../../api/tokens.ts'
import { groupParties, permissions } from '../../domain/group/permissions.ts'
import { tableRows } from '../support/readme.ts'
import { testKeys } from './fixture.ts'

let app: FastifyInstance
// biome-ignore lint/suspicious/noExplicitAny: a test reads a document of any form
let document: any
beforeAll(async () => {
  const rateLimits = createRateLimits({ on: false, nowMs: () => 0 })
  app = buildApi({
    operations,
    execution: createExecution({
      operationDependencies: { keys: testKeys(), rateLimits } as OperationDependencies,
      passed: async () => true,
      onError: () => undefined,
    }),
    tokens: {} as Tokens,
    adminKeys: {} as AdminKeys,
    readiness: () => [],
    registry: new Registry(),
    logger: pino({ level: 'silent' }),
    version: '1.2.3',
    socketUrl: () => 'ws://127.0.0.1:8081/v1/realtime',
    corsOrigins: [],
  })
  await app.ready()
  document = (await app.inject('/docs/json')).json()
})
afterAll(() => app.close())

describe.each(operations.map(operation => [operation.id, operation] as const))('%s', (_id, operation) => {
  it('says who may call it', () => {
    expect(operation.callers.length).toBeGreaterThan(0)
  })

  it('names every part of its path as a field, and no field twice', () => {
    const inPath = [...operation.path.matchAll(/:([A-Za-z]+)/g)].map(match => match[1])
    expect(Object.keys(operation.params.shape).sort()).toEqual(inPath.sort())
    for (const form of formsOf(operation.body ?? noFields)) {
      const names = [operation.params, operation.query, form].flatMap(fields => Object.keys(fields.shape))
      expect(new Set(names).size).toBe(names.length)
    }
  })

  it('has an example that its own schemas take', () => {
    const { params = {}, query = {}, body: usual = {}, moreBodies = [], reply } = operation.example
    expect(operation.params.safeParse(params).error).toBeUndefined()
    expect(operation.query.safeParse(query).error).toBeUndefined()
    for (const body of [usual, ...moreBodies]) {
      if (operation.body !== undefined) expect(operation.body.safeParse(body).error).toBeUndefined()
      expect(operation.args.safeParse({ ...params, ...query, ...(body as object) }).error).toBeUndefined()
    }
    expect(operation.reply.safeParse(reply).error).toBeUndefined()
  })

  it('refuses a field that it does not have', () => {
    const { params = {}, query = {}, body = {} } = operation.example
    const outcome = operation.args.safeParse({ ...params, ...query, ...(body as object), isAdmin: true })
    expect(outcome.error?.issues).toMatchObject([{ code: 'unrecognized_keys', keys: ['isAdmin'] }])
  })

  it('is documented, with every status it can answer', () => {
    const path = operation.path.replace(/:([A-Za-z]+)/g, '{$1}')
    const described = document.paths[path]?.[operation.method.toLowerCase()]
    expect(described?.operationId).toBe(operation.id)
    expect(described.summary).toEqual(expect.any(String))
    const statuses = new Set([operation.status, ...codesOf(operation).map(code => errorTable[code].status)])
    expect(Object.keys(described.responses).map(Number).sort()).toEqual([...statuses].sort())
    for (const code of codesOf(operation)) {
      const { description, content } = described.responses[errorTable[code].status]
      expect(description).toContain(`\`${code}\``)
      expect(content['application/problem+json'].schema.properties.code).toBeDefined()
    }
    const schemes = { anonymous: 'none', user: 'accessToken', admin: 'adminKey' } as const
    const isOpen = operation.callers.includes('anonymous')
    expect(described.security).toEqual(isOpen ? [] : operation.callers.map(kind => ({ [schemes[kind]]: [] })))
    if (operation.method !== 'GET') {
      expect(described.parameters.map((p: { name: string }) => p.name)).toContain('idempotency-key')
      expect(described.responses[413] && described.responses[415]).toBeDefined()
    } else {
      expect(described.parameters.map((p: { name: string }) => p.name)).toContain('after')
    }
  })

  it('is documented with examples where generators look for them', () => {
    const path = operation.path.replace(/:([A-Za-z]+)/g, '{$1}')
    const described = document.paths[path][operation.method.toLowerCase()]
    const shown = described.responses[operation.status].content['application/json'].schema.examples
    expect(shown).toEqual([operation.example.reply])
    if (operation.body !== undefined) {
      const media = described.requestBody.content['application/json']
      const { body, moreBodies = [] } = operation.example
      const shown = Object.values(media.examples ?? {}).map(named => (named as { value: unknown }).value)
      const found = media.example === undefined ? (media.schema.examples ?? shown) : [media.example]
      expect(found).toEqual([body, ...moreBodies])
    }
    for (const [name, value] of Object.entries({ ...operation.example.params, ...operation.example.query })) {
      const parameter = described.parameters.find((p: { name: string }) => p.name === name)
      expect(parameter.example ?? parameter.schema.examples?.[0] ?? parameter.schema.example).toEqual(value)
    }
  })
})

describe('what is said of groups', () => {
  it('holds every cell of the table of permissions', () => {
    const { description } = document.tags.find(({ name }: { name: string }) => name === 'groups')
    const rows = tableRows(description)
    expect(rows.map(([action]) => action)).toEqual(Object.keys(permissions))
    const cells = Object.values(permissions).map(row => groupParties.map(party => row[party]))
    const grantOf = new Map(cells.flatMap((row, at) => row.map((grant, column) => [rows[at]?.[column + 2], grant])))
    expect(rows.map(row => row.slice(2).map(text => grantOf.get(text)))).toEqual(cells)
    for (const [, what] of rows) expect(what).toMatch(/\w/)
  })

  it('stands with its operations', () => {
    expect(document.tags.map(({ name }: { name: string }) => name)).toEqual([
      ...new Set(operations.map(({ tag }) => tag)),
    ])
  })
})

describe('the table', () => {
  it('has no two operations of one name or route', () => {
    expect(new Set(operations.map(({ id }) => id)).size).toBe(operations.length)
    expect(new Set(operations.map(({ method, path }) => `${method} ${path}`)).size).toBe(operations.length)
  })

  it('has every operation of the contract that this version serves', () => {
    const routes = operations.map(({ method, path }) => `${method} ${path.replace(/:[A-Za-z]+/g, ':')}`).sort()
    expect(routes).toMatchInlineSnapshot(`
      [
        "DELETE /v1/admin/accounts/:/ban",
        "DELETE /v1/admin/accounts/:/sessions",
        "DELETE /v1/admin/accounts/:/sessions/:",
        "DELETE /v1/admin/groups/:",
        "DELETE /v1/admin/groups/:/admins/:",
        "DELETE /v1/admin/groups/:/announcements/:",
        "DELETE /v1/blocklist/:",
        "DELETE /v1/conversations/:",
        "DELETE /v1/friend-requests/:",
        "DELETE /v1/friends/:",
        "DELETE /v1/groups/:",
        "DELETE /v1/groups/:/admins/:",
        "DELETE /v1/groups/:/announcements/:",
        "DELETE /v1/groups/:/applications/me",
        "DELETE /v1/groups/:/followed-members/:",
        "DELETE /v1/groups/:/invitations/:",
        "DELETE /v1/sessions/:",
        "DELETE /v1/sessions/current",
        "DELETE /v1/users/me",
        "GET /v1/admin/accounts/:",
        "GET /v1/admin/events",
        "GET /v1/admin/streams/:",
        "GET /v1/blocklist",
        "GET /v1/blocklist/check",
        "GET /v1/conversations",
        "GET /v1/conversations/:",
        "GET /v1/conversations/:/messages",
        "GET /v1/conversations/:/messages/:/receipts",
        "GET /v1/friend-requests",
        "GET /v1/friends",
        "GET /v1/friends/:",
        "GET /v1/group-invitations",
        "GET /v1/groups",
        "GET /v1/groups/:",
        "GET /v1/groups/:/announcements",
        "GET /v1/groups/:/applications",
        "GET /v1/groups/:/join-question",
        "GET /v1/groups/:/members",
        "GET /v1/groups/:/members/:",
        "GET /v1/groups/search",
        "GET /v1/notifications",
        "GET /v1/presence",
        "GET /v1/server",
        "GET /v1/sessions",
        "GET /v1/sync",
        "GET /v1/unread",
        "GET /v1/users",
        "GET /v1/users/:",
        "GET /v1/users/me",
        "GET /v1/users/search",
        "PATCH /v1/admin/groups/:",
        "PATCH /v1/admin/groups/:/members/:",
        "PATCH /v1/conversations/:",
        "PATCH /v1/friends/:",
        "PATCH /v1/groups/:",
        "PATCH /v1/groups/:/members/:",
        "PATCH /v1/users/me",
        "POST /v1/accounts",
        "POST /v1/admin/accounts",
        "POST /v1/admin/accounts/:/sessions",
        "POST /v1/admin/groups/:/announcements",
        "POST /v1/admin/groups/:/members",
        "POST /v1/admin/groups/:/members/remove",
        "POST /v1/admin/groups/:/transfer",
        "POST /v1/codes",
        "POST /v1/conversations/:/messages",
        "POST /v1/conversations/:/messages/:/recall",
        "POST /v1/conversations/:/read",
        "POST /v1/conversations/:/receipts",
        "POST /v1/conversations/clear",
        "POST /v1/conversations/read-all",
        "POST /v1/friend-requests",
        "POST /v1/friend-requests/:/accept",
        "POST /v1/friend-requests/:/reject",
        "POST /v1/friend-requests/read",
        "POST /v1/group-invitations/:/accept",
        "POST /v1/group-invitations/:/reject",
        "POST /v1/groups",
        "POST /v1/groups/:/announcements",
        "POST /v1/groups/:/announcements/:/seen",
        "POST /v1/groups/:/applications/:/approve",
        "POST /v1/groups/:/applications/:/reject",
        "POST /v1/groups/:/join",
        "POST /v1/groups/:/leave",
        "POST /v1/groups/:/members",
        "POST /v1/groups/:/members/remove",
        "POST /v1/groups/:/transfer",
        "POST /v1/notifications/read",
        "POST /v1/password-resets",
        "POST /v1/sessions",
        "POST /v1/sessions/refresh",
        "PUT /v1/admin/accounts/:/ban",
        "PUT /v1/admin/groups/:/admins/:",
        "PUT /v1/admin/groups/:/mute-all",
        "PUT /v1/blocklist/:",
        "PUT /v1/groups/:/admins/:",
        "PUT /v1/groups/:/followed-members/:",
        "PUT /v1/groups/:/join-question",
        "PUT /v1/groups/:/mute-all",
        "PUT /v1/users/me/identities/:",
        "PUT /v1/users/me/password",
      ]
    `)
  })
})

describe('the documentation', () => {
  it('is OpenAPI 3.1 and a page that may load its own parts', async () => {
    expect(document.openapi).toMatch(/^3\.1\./)
    expect(document.info).toMatchObject({ title: 'Ledgerline', version: '1.2.3' })
    const page = await app.inject('/docs/')
    expect(page.statusCode).toBe(200)
    const policy = String(page.headers['content-security-policy'])
    expect(policy).toContain("script-src 'self'")
    const parts = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(match => match[1] as string)
    expect(parts.length).toBeGreaterThan(2)
    for (const part of parts) {
      const url = new URL(part, 'http://x/docs/').pathname
      expect((await app.inject(url)).statusCode, url).toBe(200)
    }
    // A script inside the page would be refused by the policy.
    expect(page.body).not.toMatch(/<script(?![^>]*src=)[^>]*>\s*\S/)
  })

  it('has no reference that leads nowhere', () => {
    const text = JSON.stringify(document)
    for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)) {
      expect(document.components.schemas[name as string], name).toBeDefined()
    }
  })
})
