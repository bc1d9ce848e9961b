// Owns the tests of the small parts of the api: the table of errors, rate limits, keys, passwords, identities.

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  errorTable,
  frameErrorOf,
  isRefusal,
  problemOf,
  refusalOfError,
  refuse,
  requestCodes,
  retryAfterSecondsOf,
} from '../../api/errors.ts'
import { conversationId, idList, isStorable, name, pageLimit, text, userId, wholeNumber } from '../../api/fields.ts'
import { email, exactlyOne, identityOf, phone, userName } from '../../api/identities.ts'
import { KeyError, loadKeys } from '../../api/keys.ts'
import { createPasswords, hashesWaitingMax } from '../../api/passwords.ts'
import { createRateLimits, networkOf, rateLimits } from '../../api/rate-limits.ts'
import { rejectionCodes } from '../../domain/rejections.ts'
import { Overloaded } from '../../eventstore/handle.ts'
import { Behind } from '../../eventstore/node.ts'
import { Conflict, TooLarge, Unavailable, UnknownOutcome } from '../../eventstore/port.ts'
import { testKeys } from './fixture.ts'

describe('the table of errors', () => {
  it('has a row for every code, with a status of an error and a title', () => {
    expect(Object.keys(errorTable).sort()).toEqual([...rejectionCodes, ...requestCodes].sort())
    for (const [code, { status, title, retryable }] of Object.entries(errorTable)) {
      expect(status, code).toBeGreaterThanOrEqual(400)
      expect(status, code).toBeLessThan(600)
      expect(title, code).toMatch(/^[A-Z]/)
      if (status === 503 || status === 429) expect(retryable, code).toBe(true)
    }
  })

  it('gives a code no more than one meaning in HTTP and in frames', () => {
    const refusal = refuse('group.full', 'Add fewer.', { memberLimit: 3 })
    expect(problemOf(refusal)).toEqual({
      type: 'urn:ledgerline:problem:group.full',
      title: 'The group is full',
      status: 409,
      detail: 'Add fewer.',
      code: 'group.full',
      retryable: false,
      memberLimit: 3,
    })
    expect(frameErrorOf(refusal)).toEqual({
      code: 'group.full',
      title: 'The group is full',
      detail: 'Add fewer.',
      retryable: false,
      memberLimit: 3,
    })
  })

  it('never lets data of a rejection stand for a member of the problem', () => {
    const problem = problemOf(refuse('group.full', 'Add fewer.', { status: 200, code: 'x', type: 'y' }))
    expect(problem).toMatchObject({ status: 409, code: 'group.full', type: 'urn:ledgerline:problem:group.full' })
  })

  it('says when to come back with every 429 and 503', () => {
    for (const code of Object.keys(errorTable) as (keyof typeof errorTable)[]) {
      const { status } = errorTable[code]
      const seconds = retryAfterSecondsOf(refuse(code, ''))
      if (status === 503 || status === 429) expect(seconds, code).toBe(1)
      else expect(seconds, code).toBeUndefined()
    }
    expect(retryAfterSecondsOf(refuse('code.too-soon', '', { retryAfterSeconds: 41.2 }))).toBe(42)
  })

  it.each([
    [new Overloaded(), 'overloaded'],
    [new Unavailable('x'), 'store.unavailable'],
    [new UnknownOutcome('x'), 'outcome.unknown'],
    [new Behind(), 'projection.behind'],
    [new TooLarge('x'), 'request.too-large'],
    [new Conflict('s', 0, 1), 'command.conflict'],
    [Object.assign(new Error('x'), { code: 'ECONNREFUSED' }), 'store.unavailable'],
    [Object.assign(new Error('x'), { code: '57P01' }), 'store.unavailable'],
    [Object.assign(new Error('x'), { code: 'database-busy' }), 'overloaded'],
    [Object.assign(new Error('x'), { code: 'database-away' }), 'store.unavailable'],
    [Object.assign(new Error('x'), { code: 'invalid-cursor' }), 'request.invalid'],
  ])('knows what %s means', (error, code) => {
    expect(refusalOfError(error)?.rejected).toBe(code)
  })

  it('knows a bug when it sees one', () => {
    for (const bug of [
      new Error('x'),
      new TypeError('x'),
      'x',
      null,
      undefined,
      Object.assign(new Error(), { code: '42601' }),
    ]) {
      expect(refusalOfError(bug)).toBeUndefined()
    }
  })
})

describe('rate limits', () => {
  const build = (bucketsMax?: number) => {
    let nowMs = 0
    const limits = createRateLimits({ on: true, nowMs: () => nowMs, ...(bucketsMax && { bucketsMax }) })
    return { limits, pass: (ms: number) => (nowMs += ms) }
  }
  const { burst, perMinute } = rateLimits.signIn.target

  it('let a burst through, then one after the other', () => {
    const { limits, pass } = build()
    for (let index = 0; index < burst; index++) expect(limits.take('signIn', 'target', 'x')).toBeUndefined()
    const refusal = limits.take('signIn', 'target', 'x')
    expect(refusal?.rejected).toBe('rate.limited')
    const seconds = refusal?.data?.retryAfterSeconds as number
    expect(seconds).toBe(60 / perMinute)
    pass(seconds * 1_000)
    expect(limits.take('signIn', 'target', 'x')).toBeUndefined()
    expect(limits.take('signIn', 'target', 'x')?.rejected).toBe('rate.limited')
  })

  it('hold for each subject, class and scope apart', () => {
    const { limits } = build()
    for (let index = 0; index <= burst; index++) limits.take('signIn', 'target', 'x')
    expect(limits.take('signIn', 'target', 'x')?.rejected).toBe('rate.limited')
    expect(limits.take('signIn', 'target', 'y')).toBeUndefined()
    expect(limits.take('signIn', 'address', 'x')).toBeUndefined()
    expect(limits.take('codes', 'target', 'x')).toBeUndefined()
  })

  it('never let more through however the time is cut', () => {
    const { limits, pass } = build()
    let through = 0
    for (let index = 0; index < 6_000; index++) {
      if (limits.take('signIn', 'target', 'x') === undefined) through++
      pass(10)
    }
    expect(through).toBeLessThanOrEqual(burst + perMinute)
    expect(through).toBeGreaterThanOrEqual(burst + perMinute - 1)
  })

  it('hold a bounded number of buckets, and keep one that is empty', () => {
    const { limits, pass } = build(10)
    for (let index = 0; index <= burst; index++) limits.take('signIn', 'target', 'attacked')
    for (let index = 0; index < 1_000; index++) {
      limits.take('signIn', 'target', `other ${index}`)
      pass(1)
    }
    expect(limits.take('signIn', 'target', 'attacked')?.rejected).toBe('rate.limited')
  })

  it('can be off', () => {
    const limits = createRateLimits({ on: false, nowMs: () => 0 })
    for (let index = 0; index < 1_000; index++) expect(limits.take('codes', 'target', 'x')).toBeUndefined()
  })

  it('take a network of IPv6 for one address', () => {
    expect(networkOf('192.0.2.1')).toBe('192.0.2.1')
    expect(networkOf('::ffff:192.0.2.1')).toBe('192.0.2.1')
    expect(networkOf('2001:db8:1:2:3:4:5:6')).toBe(networkOf('2001:0DB8:1:2::9'))
    expect(networkOf('2001:db8::1')).toBe('2001:db8:0:0::/64')
    expect(networkOf('2001:db8:1:3::')).not.toBe(networkOf('2001:db8:1:2::'))
    expect(networkOf('::1')).toBe('0:0:0:0::/64')
    expect(networkOf('fe80::1%eth0')).toBe('fe80:0:0:0::/64')
  })
})

describe('keys', () => {
  const folders: string[] = []
  const folder = () => {
    const made = mkdtempSync(join(tmpdir(), 'ledgerline-keys-'))
    folders.push(made)
    return join(made, 'keys')
  }
  afterEach(() => {
    for (const made of folders.splice(0)) rmSync(made, { recursive: true })
  })

  it('are made once beside an empty log, for the owner only, and found again', () => {
    const path = folder()
    const first = loadKeys({ folder: path, mayMake: true })
    for (const file of ['token-signing.pem', 'identity-hmac.key']) {
      expect(statSync(join(path, file)).mode & 0o777).toBe(0o600)
    }
    const again = loadKeys({ folder: path, mayMake: false })
    expect(again.identityHmac('email', 'a@b.c')).toBe(first.identityHmac('email', 'a@b.c'))
    expect(again.signing.publicKey.equals(first.signing.publicKey)).toBe(true)
    expect(loadKeys({ folder: folder(), mayMake: true }).identityHmac('email', 'a@b.c')).not.toBe(
      first.identityHmac('email', 'a@b.c'),
    )
  })

  it('that cannot be read are named with what to do', () => {
    const path = folder()
    writeFileSync(path, 'no folder')
    expect(() => loadKeys({ folder: path, mayMake: true })).toThrow(
      /^\/.*token-signing\.pem cannot be read: .*This user/,
    )
  })

  it('are never made anew beside a log that has events', () => {
    expect(() => loadKeys({ folder: folder(), mayMake: false })).toThrow(/missing.*backup/s)
  })

  it('must come from the environment where there is no folder', () => {
    expect(() => loadKeys({ mayMake: true })).toThrow(/TOKEN_SIGNING_KEY/)
  })

  it('are refused when they are placeholders, too short or of another kind', () => {
    const path = folder()
    loadKeys({ folder: path, mayMake: true })
    const pem = readFileSync(join(path, 'token-signing.pem'), 'utf8')
    const withSecret = (identityHmacKey: string) => () =>
      loadKeys({ tokenSigningKey: pem, identityHmacKey, mayMake: false })
    for (const secret of [
      '',
      'changeme',
      '00'.repeat(32),
      'a'.repeat(64),
      Buffer.alloc(31, 'abcdefghij').toString('base64'),
    ]) {
      expect(withSecret(secret), secret).toThrow(KeyError)
    }
    expect(withSecret(Buffer.from('0123456789abcdefghijklmnopqrstuv').toString('hex'))).not.toThrow()
    expect(() => loadKeys({ folder: path, tokenSigningKey: 'nonsense', mayMake: false })).toThrow(KeyError)
    writeFileSync(join(path, 'identity-hmac.key'), '')
    expect(() => loadKeys({ folder: path, mayMake: true })).toThrow(KeyError)
  })

  it('are another for each use', () => {
    const keys = testKeys()
    const values = [
      keys.identityHmac('email', 'x'),
      keys.identityHmac('phone', 'x'),
      keys.codeHash('x', 'login', '123456'),
      keys.codeHash('x', 'reset', '123456'),
      keys.refreshMac('x').toString('hex'),
      keys.fingerprint('x'),
    ]
    expect(new Set(values).size).toBe(values.length)
    expect(testKeys('other').identityHmac('email', 'x')).not.toBe(values[0])
  })
})

describe('passwords', () => {
  it('are argon2id with the settings promised, and salted', async () => {
    const passwords = createPasswords()
    const [one, other] = await Promise.all([passwords.hash('correct horse'), passwords.hash('correct horse')])
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(one).not.toBe(other)
    expect(await passwords.check(one, 'correct horse')).toBe(true)
    expect(await passwords.check(one, 'correct hors')).toBe(false)
  })

  it('of nobody are never right, not even the one that is hashed for them', async () => {
    const passwords = createPasswords()
    expect(await passwords.check(null, 'x')).toBe(false)
    expect(await passwords.check(null, '-'.repeat(1_000))).toBe(false)
  })

  it('are refused as overload when too many wait', async () => {
    const passwords = createPasswords()
    const outcomes = await Promise.allSettled(
      Array.from({ length: hashesWaitingMax + 10 }, () => passwords.check(null, 'x')),
    )
    const refused = outcomes.filter(outcome => outcome.status === 'rejected')
    expect(refused).toHaveLength(8)
    expect(refused.every(outcome => outcome.reason instanceof Overloaded)).toBe(true)
  })
})

describe('identities', () => {
  it.each([
    [phone, '+49 1512 3456789', '+4915123456789'],
    [phone, '+86 138-0013-8000', '+8613800138000'],
    [email, '  Ada.Lovelace@Example.ORG ', 'ada.lovelace@example.org'],
    [userName, 'Ada.Lovelace', 'ada.lovelace'],
  ])('are brought into one form %#', (schema, given, form) => {
    expect((schema as z.ZodType).parse(given)).toBe(form)
  })

  it.each([
    [phone, '13800138000'],
    [phone, '+1'],
    [phone, '+49 1512 3456789 and more'],
    [phone, '+49 1512 3456789 ext. 5'],
    [phone, '+49 (0)'],
    [phone, ''],
    [phone, 'a'.repeat(100)],
    [email, 'ada'],
    [email, 'ada@'],
    [email, 'a@b@c.d'],
    [email, 'ada@example.org\r\nBcc: eve@example.org'],
    [email, 'Ada <ada@example.org>'],
    [email, `${'a'.repeat(250)}@b.cd`],
    [userName, 'ab'],
    [userName, 'a'.repeat(33)],
    [userName, 'ada lovelace'],
    [userName, 'adа'],
    [userName, ''],
  ])('that are none are refused %#', (schema, given) => {
    expect((schema as z.ZodType).safeParse(given).success, given).toBe(false)
  })

  it('stand alone', () => {
    const schema = z
      .object({ phone: z.string().optional(), email: z.string().optional() })
      .superRefine(exactlyOne('phone', 'email'))
    expect(schema.safeParse({}).success).toBe(false)
    expect(schema.safeParse({ phone: 'x', email: 'y' }).success).toBe(false)
    expect(schema.safeParse({ email: 'y' }).success).toBe(true)
    expect(identityOf({ email: 'y' })).toEqual({ kind: 'email', value: 'y' })
  })
})

describe('fields', () => {
  it('count characters, not units of UTF-16', () => {
    expect(text(1, 3).safeParse('😀😀😀').success).toBe(true)
    expect(text(1, 3).safeParse('😀😀😀😀').success).toBe(false)
    expect(text(1, 3).safeParse('').success).toBe(false)
  })

  it('refuse what cannot be stored', () => {
    for (const bad of ['\ud800', 'a\udc00b', '\0', 'x\0']) {
      expect(isStorable(bad)).toBe(false)
      expect(text(0, 10).safeParse(bad).success).toBe(false)
      expect(name(10).safeParse(bad).success).toBe(false)
    }
    expect(isStorable('😀')).toBe(true)
  })

  it('trim and compose names, and leave texts alone', () => {
    expect(name(10).parse('  e\u0301 ')).toBe('é')
    expect(text(1, 10).parse('  e\u0301 ')).toBe('  e\u0301 ')
    for (const bad of ['', '   ', 'a\nb', 'a\tb', 'a'.repeat(11)]) expect(name(10).safeParse(bad).success).toBe(false)
  })

  it('take numbers and lists as URLs and as frames write them', () => {
    for (const value of ['7', 7]) expect(wholeNumber(1).parse(value)).toBe(7)
    for (const value of ['-1', '0', '', '7.5', '1e3', ' 7', '9'.repeat(16), true, null, ['7']]) {
      expect(wholeNumber(1).safeParse(value).success, String(value)).toBe(false)
    }
    expect(idList(3).parse('a,b')).toEqual(idList(3).parse(['a', 'b']))
    for (const value of ['', ',', 'a,,b', 'a,b,c,d', [], 'a b']) expect(idList(3).safeParse(value).success).toBe(false)
    expect([pageLimit().parse(undefined), pageLimit().parse('100')]).toEqual([50, 100])
  })

  it('know ids', () => {
    for (const bad of ['', '$$', '../x', 'a/b', 'system', 'search', 'a'.repeat(65), 'ä']) {
      expect(userId.safeParse(bad).success, bad).toBe(false)
    }
    expect(userId.safeParse('me').success).toBe(true)
    for (const bad of [
      '',
      'p2p:a',
      'p2p:a:b:c',
      'p2p::b',
      'group:',
      'group:$$',
      'group:../x',
      'x:a',
      `group:${'a'.repeat(65)}`,
    ]) {
      expect(conversationId.safeParse(bad).success, bad).toBe(false)
    }
  })

  it('know a refusal', () => {
    expect(isRefusal(refuse('internal', ''))).toBe(true)
    for (const value of [undefined, null, {}, 'rejected', { position: 'x' }]) expect(isRefusal(value)).toBe(false)
  })
})
