// Owns random input to whatever takes a text apart: tokens, admin keys, cursors, headers, bytes that should be HTTP. Whatever
// comes, it is refused in words or means what it was made to mean; nothing throws, and the server lives.

import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAdminKeys } from '../../api/admin-keys.ts'
import { positionOfCursor } from '../../api/cursors.ts'
import { createTokens, sessionEnded } from '../../api/tokens.ts'
import { cursorKey, cursorText, InvalidCursor } from '../../projections/page.ts'
import { readModelsVersion } from '../../projections/schema.ts'
import { build } from './edge-fixture.ts'
import { testKeys } from './fixture.ts'

const principal = { userId: 'ada.lovelace' as never, sessionId: '01k2b2j9h5k3n7p1s4v8y6dwqr' as never }

/** A text with some of it changed, cut out, doubled or moved. */
const mutated = (text: string): fc.Arbitrary<string> => {
  const place = fc.nat({ max: text.length })
  const character = fc.constantFrom(...'.-_=aZ09 \0\u00e9\u{1F600}', '..', 'e30', '__proto__')
  const change = fc.record({ at: place, length: fc.nat({ max: 5 }), put: fc.oneof(fc.constant(''), character) })
  return fc
    .array(change, { minLength: 1, maxLength: 4 })
    .map(changes =>
      changes.reduce((sofar, { at, length, put }) => sofar.slice(0, at) + put + sofar.slice(at + length), text),
    )
}

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 3_000 }),
  fc
    .array(fc.constantFrom('.', 'e30', 'eyJhbGciOiJub25lIn0', '{}', 'null', '-', '1'), { maxLength: 12 })
    .map(parts => parts.join('.')),
)

describe('tokens', () => {
  const now = Date.parse('2026-11-23T08:00:00.000Z')
  const tokens = createTokens({
    keys: testKeys(),
    clock: { unixMs: () => now, now: () => new Date(now).toISOString() as never },
    sessionIsValid: () => true,
    whyEnded: () => sessionEnded,
  })

  it('for access are refused unless they say what they were made to say', async () => {
    const { accessToken, refreshToken } = await tokens.issue(principal, 3)
    const others = fc.oneof(anyText, mutated(accessToken), mutated(refreshToken))
    await fc.assert(
      fc.asyncProperty(others, async token => {
        const outcome = await tokens.authenticate(token)
        if (token === accessToken) expect(outcome).toEqual(principal)
        else expect(outcome).toMatchObject({ rejected: 'token.invalid' })
      }),
      { numRuns: 2_000 },
    )
  })

  it('for refreshing are refused unless they are as they were made', async () => {
    const { accessToken, refreshToken } = await tokens.issue(principal, 3)
    const others = fc.oneof(anyText, mutated(refreshToken), mutated(accessToken))
    fc.assert(
      fc.property(others, token => {
        const outcome = tokens.openRefreshToken(token)
        if (token === refreshToken) expect(outcome).toEqual({ ...principal, generation: 3 })
        else expect(outcome).toMatchObject({ rejected: 'token.invalid' })
      }),
      { numRuns: 5_000 },
    )
  })

  it('of the backend are refused unless they are as they were made', () => {
    const keyId = '01k2b2j9h5k3n7p1s4v8y6dwqr'
    const held = new Map([[keyId, { name: 'x', hash: 'h'.repeat(43), createdAt: 'y' }]])
    const keys = createAdminKeys({ load: () => ({ state: { keys: held } }) as never })
    fc.assert(
      fc.property(fc.oneof(anyText, mutated(`adm_${keyId}_${'A'.repeat(43)}`)), key => {
        expect(keys.authenticate(key)).toMatchObject({ rejected: 'token.invalid' })
      }),
      { numRuns: 5_000 },
    )
  })
})

describe('cursors', () => {
  const logId = 'q7f3k2m9x1c5v8b4'
  const types = fc.array(fc.constantFrom('string', 'number', 'instant'), { minLength: 1, maxLength: 3 })
  const value = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.integer(),
    fc.double(),
    fc.maxSafeInteger(),
    fc.constantFrom('2026-02-31T00:00:00.000Z', '0000-01-01T00:00:00.000Z', '2026-01-01T24:00:00.000Z'),
    fc.date({ noInvalidDate: true }).map(date => date.toISOString()),
    fc.anything({ maxDepth: 2 }),
  )
  const text = fc.oneof(
    anyText,
    fc.array(value, { maxLength: 4 }).map(key => cursorText(key as never)),
  )

  it('of pages hold what their list sorts by, or are refused', () => {
    fc.assert(
      fc.property(text, types, (cursor, wanted) => {
        let key: ReturnType<typeof cursorKey>
        try {
          key = cursorKey(cursor, wanted as never)
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidCursor)
          return
        }
        expect(key).toHaveLength(wanted.length)
        for (const [index, type] of wanted.entries()) {
          const part = key[index] as string
          if (type === 'number') expect(Math.abs(Number(part))).toBeLessThan(2 ** 31)
          else expect(part.includes('\0')).toBe(false)
          // A day that the calendar does not have is none to the database either.
          if (type === 'instant') expect(new Date(part).toISOString() === part && part >= '0001').toBe(true)
        }
      }),
      { numRuns: 5_000 },
    )
  })

  it('of pages come back as they went', () => {
    const part = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 20 }).map(one => ['string', one.replaceAll('\0', '')] as const),
      fc.integer({ min: 1 - 2 ** 31 }).map(one => ['number', one] as const),
      fc
        .date({ noInvalidDate: true, min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z') })
        .map(one => ['instant', one.toISOString()] as const),
    )
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 3 }), parts => {
        const key = parts.map(([, one]) => one)
        const wanted = parts.map(([type]) => type)
        expect(cursorKey(cursorText(key), wanted)).toEqual(key)
      }),
    )
  })

  it('of changes are of this log and these read models, or of none', () => {
    const cursor = `${logId}.${readModelsVersion}.00000000000004d2`
    fc.assert(
      fc.property(fc.oneof(anyText, mutated(cursor)), shown => {
        const position = positionOfCursor(logId, shown)
        if (position === undefined) return
        expect(shown).toBe(`${logId}.${readModelsVersion}.${position}`)
        expect(position).toMatch(/^[0-9a-f]{16}$/)
      }),
      { numRuns: 5_000 },
    )
  })
})

describe('requests', () => {
  let built: ReturnType<typeof build>
  let port = 0
  beforeAll(async () => {
    built = build({ trustProxy: ['127.0.0.0/8'] })
    await built.app.listen({ port: 0, host: '127.0.0.1' })
    port = (built.app.server.address() as AddressInfo).port
  })
  afterAll(() => built.app.close())

  const names = [
    'authorization',
    'idempotency-key',
    'content-type',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded-proto',
    'x-http-method-override',
    'origin',
    'accept',
    'accept-encoding',
    'cookie',
    'if-none-match',
    'range',
    'referer',
    '__proto__',
    'constructor',
  ] as const
  const printable = fc.string({ unit: fc.constantFrom(...'aA0 ,;=:/."*%-_()<>\\\u00e9\u00ff\t'), maxLength: 60 })
  const said = fc.oneof(
    printable,
    fc.constantFrom('Bearer good', 'Bearer adm_', '127.0.0.1, unknown', '::1', 'application/json', 'bytes=0-1', 'null'),
  )
  const headers = fc.array(fc.tuple(fc.constantFrom(...names), said), { maxLength: 6 })

  /** All that the server says until it closes. */
  const exchange = (bytes: Buffer | string) =>
    new Promise<string>((resolve, reject) => {
      let answer = ''
      const socket = connect(port, '127.0.0.1', () => socket.end(bytes))
      socket.setEncoding('latin1')
      socket.on('data', chunk => (answer += chunk))
      socket.on('close', () => resolve(answer))
      // It may have closed before everything was written.
      socket.on('error', error =>
        (error as NodeJS.ErrnoException).code === 'ECONNREFUSED' ? reject(error) : undefined,
      )
    })
  const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? 0)
  const lives = async () => expect((await built.app.inject('/healthz')).statusCode).toBe(200)

  it('with any headers are answered by what is wrong with them', async () => {
    await fc.assert(
      fc.asyncProperty(headers, fc.constantFrom('GET /v1/things', 'POST /v1/things/g1'), async (fields, route) => {
        const lines = fields.map(([name, value]) => `${name}: ${value.trim()}`)
        const head = [`${route} HTTP/1.1`, 'host: x', 'connection: close', ...lines]
        const answer = await exchange(Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'))
        expect(statusOf(answer), answer).toBeGreaterThanOrEqual(200)
        expect(statusOf(answer), answer).toBeLessThan(500)
        if (statusOf(answer) >= 400) expect(answer).toMatch(/content-type: application\/problem\+json/i)
      }),
      { numRuns: 300 },
    )
    await lives()
  })

  it('of any bytes are answered with a problem, or not at all', async () => {
    const request =
      'POST /v1/things/g1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer good\r\ncontent-length: 12\r\n\r\n{"name":"a"}'
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map(array => Buffer.from(array)),
      mutated(request).map(text => Buffer.from(text)),
    )
    await fc.assert(
      fc.asyncProperty(bytes, async sent => {
        const answer = await exchange(sent)
        if (answer !== '') expect(statusOf(answer), answer).toBeGreaterThanOrEqual(200)
        expect(statusOf(answer), answer).toBeLessThan(500)
      }),
      { numRuns: 300 },
    )
    await lives()
  })
})
