// Owns the proof that no field can be given something of another kind: for every operation, over HTTP and as a frame, whatever
// stands where something else is expected is refused with a problem that names the field, and leaves nothing behind.
// And that what is of the right kind, however strange, is never more than the server can bear.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAdminKey } from '../../api/admin-keys.ts'
import { example } from '../../api/fields.ts'
import type { Call, Operation } from '../../api/operation.ts'
import { operations } from '../../api/operations.ts'
import { cursorText } from '../../projections/page.ts'
import { exampleOf, type Field, fieldsOf, type JsonSchema, typeOf, withValue } from '../support/operation-fields.ts'
import { type Arguments, requestOf } from '../support/operation-request.ts'
import { type Harness, p2p, startHarness, type TestUser, textOf } from './harness.ts'

const slowMsMax = 600_000

let api: Harness
let ada: TestUser
let bob: TestUser
let adminKey: string
/** What the examples name, and what of it is really there. */
let real: readonly (readonly [string, string])[]

beforeAll(async () => {
  api = await startHarness()
  ada = await api.user('ada')
  bob = await api.user('bob')
  const other = await api.signIn('ada', 'another device')
  const made = await createAdminKey(api.node, 'backend')
  adminKey = 'key' in made ? made.key : ''
  const group = { name: 'A group', memberIds: [bob.userId], preset: 'work' }
  const { groupId, position } = await api.ok('POST /v1/groups', { token: ada.token, body: group })
  expect(await api.runner.passed(position, 30_000)).toBe(true)
  const conversationId = p2p(ada, bob)
  await api.ok(`POST /v1/conversations/${conversationId}/messages`, { token: ada.token, body: textOf('hello') })
  await api.ok(`POST /v1/conversations/group:${groupId}/messages`, { token: ada.token, body: textOf('hello') })
  real = [
    [example.conversationId, conversationId],
    [example.groupConversationId, `group:${groupId}`],
    [example.groupId, groupId],
    [example.userId, ada.userId],
    [example.otherUserId, bob.userId],
    [example.sessionId, other.sessionId],
  ]
}, slowMsMax)
afterAll(() => api?.close(), slowMsMax)

/** The example of an operation, of people and groups that are there. */
const argumentsOf = (operation: Operation): Arguments =>
  JSON.parse(real.reduce((text, [told, there]) => text.replaceAll(told, there), JSON.stringify(exampleOf(operation))))

const tokenFor = ({ callers }: Operation): string | undefined => {
  if (callers.includes('anonymous')) return undefined
  return callers.includes('user') ? ada.token : adminKey
}

const askOver = async (operation: Operation, url: string, body: unknown) => {
  const token = tokenFor(operation)
  const reply = await api.app.inject({
    method: operation.method,
    url,
    headers: {
      ...(token === undefined ? undefined : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? undefined : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? undefined : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  return { status: reply.statusCode, type: String(reply.headers['content-type']), body: reply.json() }
}

const overHttp = (operation: Operation, args: Arguments) => {
  const { path, body } = requestOf(operation, args)
  return askOver(operation, path, body)
}

const asFrame = (operation: Operation, args: unknown) => {
  const caller = { kind: 'user', userId: ada.userId, sessionId: ada.sessionId } as never
  const call: Call = { caller, address: '127.0.0.1' }
  return api.dispatch(operation.id, call, args)
}

const hostileObjects: readonly object[] = [
  { $ne: '' },
  { $gt: '' },
  { $where: 'sleep(1000)' },
  { length: 3 },
  { toString: 'x' },
  { constructor: { name: 'x' } },
  JSON.parse('{"__proto__":{"isAdmin":true}}'),
  {},
]

/** By the type of JSON that each is of. */
const confusing: Readonly<Record<string, readonly unknown[]>> = {
  object: hostileObjects,
  array: [[], ['x'], [['x']], [{ $ne: null }], [null]],
  number: [0.5, -0.5, 1e300],
  integer: [7, 0, -1],
  boolean: [true, false],
  null: [null],
  string: ['', 'x', '__proto__', 'NaN', '[object Object]'],
}

/** A number of a URL comes as text, and so does a list; whoever sends such a text means it. */
const alsoTaken: Readonly<Record<string, readonly string[]>> = {
  integer: ['number'],
  number: ['integer'],
  array: ['string'],
}

/** What is of no form that the field may have. */
const confusionsOf = ({ forms, place }: Field): readonly unknown[] => {
  const types = new Set(forms.map(form => typeOf(form) ?? ''))
  for (const type of [...types]) {
    if (type === 'array' && place !== 'query') continue
    if (type !== 'integer') for (const also of alsoTaken[type] ?? []) types.add(also)
  }
  return Object.entries(confusing).flatMap(([type, values]) => (types.has(type) ? [] : values))
}

const isAbove = ({ path }: Field, told: string): boolean => {
  const own = path.join('.')
  return told === own || told.startsWith(`${own}.`) || own.startsWith(`${told}.`) || told === ''
}

const rows = operations.map(operation => [operation.id, operation] as const)

describe('something of another kind', () => {
  it.each(rows)('is refused in every field of the body of %s', { timeout: slowMsMax }, async (_id, operation) => {
    const args = argumentsOf(operation)
    const head = await api.node.store.head()
    for (const field of fieldsOf(operation).filter(({ place }) => place === 'body')) {
      for (const value of confusionsOf(field)) {
        const { status, type, body } = await overHttp(operation, withValue(args, field.path, value))
        const what = `${field.path.join('.')}: ${JSON.stringify(value)} ${JSON.stringify(body)}`
        expect({ status, code: body.code }, what).toEqual({ status: 400, code: 'request.invalid' })
        expect(type, what).toMatch(/^application\/problem\+json/)
        expect(
          body.errors.some(({ path }: { path: string }) => isAbove(field, path)),
          what,
        ).toBe(true)
      }
    }
    for (const body of ['[]', '"x"', '7', 'true', 'null', '[[{}]]']) {
      if (operation.method === 'GET') break
      const { path } = requestOf(operation, args)
      expect(await askOver(operation, path, body), body).toMatchObject({
        status: 400,
        body: { code: 'request.invalid' },
      })
    }
    expect(await api.node.store.head()).toBe(head)
  })

  it.each(rows.filter(([, { frame }]) => frame))('is refused in every field of a frame %s', async (_id, operation) => {
    const args = argumentsOf(operation)
    const head = await api.node.store.head()
    for (const field of fieldsOf(operation)) {
      for (const value of confusionsOf(field)) {
        const reply = await asFrame(operation, withValue(args, field.path, value))
        const what = `${field.path.join('.')}: ${JSON.stringify(value)}`
        expect(reply, what).toMatchObject({ error: { code: 'request.invalid', retryable: false } })
        const errors = 'error' in reply ? (reply.error.errors as { path: string }[]) : []
        expect(
          errors.some(({ path }) => isAbove(field, path)),
          what,
        ).toBe(true)
      }
    }
    for (const whole of [[], [args], 'x', 7, true, [[]]]) {
      expect(await asFrame(operation, whole)).toMatchObject({ error: { code: 'request.invalid' } })
    }
    expect(await api.node.store.head()).toBe(head)
  })

  it.each(rows)('is refused in the query of %s', async (_id, operation) => {
    const { path, body } = requestOf(operation, argumentsOf(operation))
    const [bare = ''] = path.split('?')
    const head = await api.node.store.head()
    const named = fieldsOf(operation).filter(field => field.place === 'query' && field.path.length === 1)
    const ofNames = named.flatMap(({ path: [name], forms }) => [
      `${name}[]=x`,
      `${name}[0]=x`,
      `${name}[$ne]=x`,
      `${name}[__proto__][x]=1`,
      `${name}.length=1`,
      `${name}%00=x`,
      ...(forms.some(form => typeOf(form) === 'array') ? [] : [`${name}=1&${name}=1`, `${name}=&${name}=1`]),
      ...(forms.every(form => ['integer', 'boolean'].includes(typeOf(form) ?? ''))
        ? ['x', '', '1e1', '0x1', ' 1', '1 ', '1.0', '٣', 'NaN', 'Infinity', '99999999999999999999', 'null', '[1]'].map(
            value => `${name}=${encodeURIComponent(value)}`,
          )
        : []),
    ])
    const ofNone = ['__proto__=1', '__proto__[isAdmin]=1', 'constructor=1', 'constructor[prototype][x]=1', 'isAdmin=1']
    for (const query of [...ofNames, ...ofNone]) {
      const answer = await askOver(operation, `${bare}?${query}`, body)
      expect({ status: answer.status, code: answer.body.code }, `${query} ${JSON.stringify(answer.body)}`).toEqual({
        status: 400,
        code: 'request.invalid',
      })
    }
    expect(await api.node.store.head()).toBe(head)
    expect(({} as { isAdmin?: unknown }).isAdmin).toBeUndefined()
  })

  it.each(rows)('is refused in the path of %s', async (_id, operation) => {
    const args = argumentsOf(operation)
    const head = await api.node.store.head()
    for (const { path } of fieldsOf(operation).filter(field => field.place === 'params')) {
      for (const value of [
        '[object Object]',
        '{"$ne":""}',
        '$$',
        '../x',
        '..%2fx',
        '%00',
        'a b',
        "';--",
        '\u202e',
        '~',
      ]) {
        const { status, body } = await overHttp(operation, withValue(args, path, value))
        const what = `${path.join('.')}: ${value} ${JSON.stringify(body)}`
        expect({ status, code: body.code }, what).toEqual({ status: 400, code: 'request.invalid' })
      }
    }
    expect(await api.node.store.head()).toBe(head)
  })
})

/** Words that every object answers to, names of files, and the ends of what a name may be. */
const strangeIds = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '.', '..', '-', '_', '0', 'a'.repeat(64)]
const strangeTimes = [
  '0000-01-01T00:00:00Z',
  '0000-01-01T00:00:00+23:59',
  '0001-01-01T00:00:00Z',
  '1969-12-31T23:59:59.999Z',
  '2024-02-29T23:59:59.999999999Z',
  '9999-12-31T23:59:59.999Z',
  '9999-12-31T23:59:59-23:59',
]
const strangeTexts = [
  'null',
  "'; drop table message; --",
  '%_\\',
  '\\x00',
  '\u202e',
  '\u{10FFFF}',
  '\ufeff',
  '<b>',
  '{{code}}',
]
const cursors = [
  [],
  [1],
  [''],
  [null],
  [Number.MAX_SAFE_INTEGER],
  [Number.MIN_SAFE_INTEGER],
  [2 ** 31],
  ['\ud800'],
  ['2026-02-31T00:00:00.000Z', 'x'],
  ['0000-01-01T00:00:00.000Z', 'x'],
  ['9999-12-31T23:59:59.999Z', 'x'],
  ['zzz', 'x'],
  ['ffffffffffffffff', 'x'],
  [2 ** 31, '2026-01-01T00:00:00.000Z', 'x'],
  [Number.MAX_SAFE_INTEGER, '2026-01-01T00:00:00.000Z', 'x'],
  [Number.MIN_SAFE_INTEGER, '0000-01-01T00:00:00.000Z', 'x'],
  [1, '2026-02-31T24:00:00.000Z', 'x'],
  [1, '2026-06-31T00:00:00.000Z', "'"],
].map(key => cursorText(key as never))

const strangeTextsOf = ({ maxLength, format, pattern = '' }: JsonSchema): readonly string[] => {
  if (format === 'date-time') return strangeTimes
  if (format === 'date') return ['0000-01-01', '0001-01-01', '9999-12-31', '2024-02-29']
  if (pattern.includes('p2p:')) return strangeIds.flatMap(id => [`group:${id}`, `p2p:${id}:${id}`, `p2p:${id}:b`])
  if (pattern.includes('#]')) return [...cursors, `${api.node.store.logId}.1.ffffffffffffffff`, 'x.1.0000000000000000']
  if (pattern.includes('_.-]')) return strangeIds
  if (pattern.includes('[A-Za-z]+-'))
    return [...strangeIds.map(id => `account-${id}`), 'x-$all', '__proto__-x', 'follower-x']
  if (maxLength === undefined) return []
  return [...strangeTexts, 'x'.repeat(maxLength), '\u{1F600}'.repeat(maxLength), "'".repeat(maxLength)]
}

const strangeOf = (form: JsonSchema): readonly unknown[] => {
  const { minimum = 0, maximum = 0 } = form
  switch (typeOf(form)) {
    case 'integer':
      return [minimum, maximum, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 49].filter(n => n >= minimum && n <= maximum)
    case 'string':
      return form.enum ?? strangeTextsOf(form)
    default:
      return []
  }
}

describe('something strange of the right kind', () => {
  it.each(rows)('is answered by %s', { timeout: slowMsMax }, async (_id, operation) => {
    const args = argumentsOf(operation)
    const before = api.logged.length
    for (const field of fieldsOf(operation)) {
      for (const value of field.forms.flatMap(strangeOf)) {
        // In a URL a number of sixteen digits is a position, and is waited for.
        if (field.path[0] === 'after' && String(value).length === 16) continue
        const strange = withValue(args, field.path, value)
        const { status, body } = await overHttp(operation, strange)
        expect(status, `${field.path.join('.')}: ${value} ${JSON.stringify(body)}`).toBeLessThan(500)
        if (!operation.frame) continue
        const reply = await asFrame(operation, strange)
        expect(reply, `${field.path.join('.')}: ${value}`).not.toMatchObject({ error: { code: 'internal' } })
      }
    }
    expect(api.logged.slice(before).filter(line => line.includes('"level":50'))).toEqual([])
    expect(await api.runner.passed(await api.node.store.head(), 30_000)).toBe(true)
  })
})
