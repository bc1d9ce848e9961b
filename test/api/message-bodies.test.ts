// What a message of each type must hold (R59–R67): whatever is wrong is told once, by the name of the field; what is right
// comes through as it is.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseFields } from '../../api/field-errors.ts'
import { contentOf, sendBody, sendExamples } from '../../api/message-bodies.ts'
import { limits } from '../../domain/limits.ts'
import { anyContent, sentTypes } from '../support/message-samples.ts'

const errorsOf = (message: object): readonly (readonly [path: string, message: string])[] => {
  const parsed = parseFields(sendBody, message)
  return 'errors' in parsed ? parsed.errors.map(error => [error.path, error.message]) : []
}

type SentType = keyof typeof sendExamples

/** The sample of the type with other fields in its body; `undefined` takes one away. */
const withBody = (type: SentType, changed: object): object => {
  const body = { ...(sendExamples[type].body as object), ...changed }
  return {
    ...sendExamples[type],
    body: Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)),
  }
}

const needed = 'is needed'
const unstorable = 'holds a character that cannot be stored (U+0000 or half of a surrogate pair)'
const noUrl = 'is no http or https URL without a user name or password'
const nameAtMost = `at most ${limits.fileNameCharactersMax} characters`
const nested = (levels: number): unknown => JSON.parse(`${'{"a":'.repeat(levels - 1)}{}${'}'.repeat(levels - 1)}`)

describe.each(sentTypes)('a message of type %s', type => {
  it('is taken as the documentation shows it', () => {
    expect(errorsOf(sendExamples[type])).toEqual([])
  })

  it.each([
    ['no object', 'a text', 'must be an object'],
    ['a list', [], 'must be an object'],
    ['null', null, 'must be an object'],
    ['missing', undefined, needed],
  ])('has no body that is %s', (_what, body, message) => {
    expect(errorsOf({ ...sendExamples[type], body })).toEqual([['body', message]])
  })

  it('has no field of its own making, and none that only the server knows', () => {
    for (const name of ['seq', 'from', 'at', 'countable', 'flags', 'text', 'counts']) {
      expect(errorsOf({ ...sendExamples[type], [name]: 1 })).toEqual([[name, 'there is no such field']])
    }
    if (type !== 'custom')
      expect(errorsOf(withBody(type, { html: '<b>' }))).toEqual([['body.html', 'there is no such field']])
  })

  it.each([
    ['from 1', 0, 'at least 1'],
    ['up to its limit', limits.subTypeMax + 1, `at most ${limits.subTypeMax}`],
    ['whole', 1.5, 'must be a whole number'],
    ['a number', '7', 'must be a number'],
  ])('has a subType that is %s', (_what, subType, message) => {
    expect(errorsOf({ ...sendExamples[type], subType })).toEqual([['subType', message]])
    expect(errorsOf({ ...sendExamples[type], subType: limits.subTypeMax })).toEqual([])
  })

  it('is what was sent, however it was sent', () => {
    fc.assert(
      fc.property(anyContent(type), content => {
        const parsed = parseFields(sendBody, JSON.parse(JSON.stringify({ clientMessageId: 'key', ...content })))
        if ('errors' in parsed) throw new Error(JSON.stringify(parsed.errors))
        const taken = contentOf({ conversationId: 'p2p:a:b', ...parsed.data })
        expect(JSON.stringify(taken)).toBe(JSON.stringify(content))
      }),
      { numRuns: 100 },
    )
  })
})

it.each<[SentType, object, readonly [string, string]]>([
  ['text', { text: '' }, ['body.text', 'at least 1 characters']],
  ['text', { text: 'x'.repeat(5_001) }, ['body.text', 'at most 5000 characters']],
  ['tip', { text: undefined }, ['body.text', needed]],
  ['tip', { text: 'x'.repeat(5_001) }, ['body.text', 'at most 5000 characters']],
  ['tip', { text: '\ud800' }, ['body.text', unstorable]],
  ['tip', { url: 'https://example.com' }, ['body.url', 'there is no such field']],
  ['image', { url: undefined }, ['body.url', needed]],
  ['image', { width: undefined }, ['body.width', needed]],
  ['image', { height: 0 }, ['body.height', 'at least 1']],
  ['image', { width: limits.picturePixelsMax + 1 }, ['body.width', `at most ${limits.picturePixelsMax}`]],
  ['image', { width: 1.5 }, ['body.width', 'must be a whole number']],
  ['image', { sizeBytes: -1 }, ['body.sizeBytes', 'at least 0']],
  ['image', { sizeBytes: undefined }, ['body.sizeBytes', needed]],
  ['image', { md5: 'x'.repeat(32) }, ['body.md5', 'must be 32 hex digits']],
  ['image', { md5: null }, ['body.md5', 'must be a text']],
  ['image', { name: ' ' }, ['body.name', 'at least 1 characters']],
  ['image', { name: 'x'.repeat(limits.fileNameCharactersMax + 1) }, ['body.name', nameAtMost]],
  ['image', { name: 'two\nlines' }, ['body.name', 'holds a control character']],
  ['image', { thumbnailUrl: 'javascript:alert(1)' }, ['body.thumbnailUrl', noUrl]],
  ['audio', { durationMs: 0 }, ['body.durationMs', 'at least 1']],
  ['audio', { durationMs: undefined }, ['body.durationMs', needed]],
  ['audio', { durationMs: 86_400_001 }, ['body.durationMs', 'at most 86400000']],
  ['audio', { format: undefined }, ['body.format', needed]],
  ['audio', { format: 'x'.repeat(33) }, ['body.format', 'at most 32 characters']],
  ['audio', { width: 1 }, ['body.width', 'there is no such field']],
  ['video', { width: undefined }, ['body.width', needed]],
  ['video', { durationMs: '5' }, ['body.durationMs', 'must be a number']],
  ['video', { coverUrl: '/relative' }, ['body.coverUrl', noUrl]],
  ['file', { name: undefined }, ['body.name', needed]],
  ['file', { format: undefined }, ['body.format', needed]],
  ['file', { name: 'a\ud800' }, ['body.name', unstorable]],
  ['file', { sizeBytes: limits.attachmentBytesMax + 1 }, ['body.sizeBytes', `at most ${limits.attachmentBytesMax}`]],
  ['location', { title: undefined }, ['body.title', needed]],
  ['location', { title: 'x'.repeat(257) }, ['body.title', 'at most 256 characters']],
  ['location', { latitude: 90.000_001 }, ['body.latitude', 'at most 90']],
  ['location', { latitude: -91 }, ['body.latitude', 'at least -90']],
  ['location', { longitude: 180.000_001 }, ['body.longitude', 'at most 180']],
  ['location', { longitude: Number.POSITIVE_INFINITY }, ['body.longitude', 'must be a number']],
  ['location', { longitude: '5' }, ['body.longitude', 'must be a number']],
  ['location', { longitude: null }, ['body.longitude', 'must be a number']],
  ['custom', { text: 5 }, ['body.text', 'must be a text']],
  ['custom', { text: 'x'.repeat(501) }, ['body.text', 'at most 500 characters']],
  ['custom', { deep: ['\ud800'] }, ['body', unstorable]],
  ['custom', { deep: { '\udfff': 1 } }, ['body', unstorable]],
  ['custom', { deep: [{ a: 'x\0' }] }, ['body', unstorable]],
])('a message of type %s with a body changed by %j is refused', (type, changed, error) => {
  expect(errorsOf(withBody(type, changed))).toEqual([error])
})

it.each([
  'ftp://example.com/a',
  'file:///etc/passwd',
  'data:image/png;base64,AAAA',
  '//example.com/a',
  'http:example.com',
  'https://',
  'https://ada:secret@example.com/a',
  'https://ada@example.com/a',
  'https://:secret@example.com/a',
  'https://example.com\\@evil.example/a',
  ' https://example.com/a',
  'https://example.com/a b',
  'https://example.com/a\nb',
  'https://exa\u0001mple.com/',
  'https://[::1/a',
  'https://example.com:99999/',
])('media are not at %j', url => {
  expect(errorsOf(withBody('file', { url }))).toEqual([['body.url', noUrl]])
})

it.each([
  'http://example.com',
  'HTTPS://EXAMPLE.com:8443/a?sign=x%2Fy&e=1#part',
  'https://例え.jp/ファイル.pdf',
  // Whoever fetches it decides where it may lead; the server does not fetch.
  'http://10.0.0.1/a',
  `https://example.com/${'a'.repeat(limits.messageUrlCharactersMax - 20)}`,
])('media may be at %s, taken as it is', url => {
  const parsed = parseFields(sendBody, withBody('file', { url }))
  expect(parsed).toMatchObject({ data: { body: { url } } })
})

it('a URL that is too long is refused for that alone', () => {
  const url = `https://example.com/${'a'.repeat(limits.messageUrlCharactersMax)}`
  expect(errorsOf(withBody('file', { url }))).toEqual([['body.url', 'at most 2048 characters']])
})

it('the name of a file and the title of a place are trimmed and in one form', () => {
  const file = parseFields(sendBody, withBody('file', { name: ' Re\u0301sume\u0301.pdf ' }))
  expect(file).toMatchObject({ data: { body: { name: 'Résumé.pdf' } } })
})

describe('a custom message', () => {
  const custom = (body: unknown) => errorsOf({ ...sendExamples.custom, body })

  it('has a subType', () => {
    expect(errorsOf({ ...sendExamples.custom, subType: undefined })).toEqual([['subType', needed]])
  })

  it('may be as deep and as large as its limits, and no more', () => {
    expect(custom(nested(limits.customBodyLevelsMax))).toEqual([])
    expect(custom(nested(limits.customBodyLevelsMax + 1))).toEqual([['body', 'at most 32 levels deep']])
    expect(custom(nested(5_000))).toEqual([['body', 'at most 32 levels deep']])
    const whole = { a: 'é'.repeat((limits.customBodyBytesMax - '{"a":""}'.length) / 2) }
    expect(Buffer.byteLength(JSON.stringify(whole))).toBe(limits.customBodyBytesMax)
    expect(custom(whole)).toEqual([])
    expect(custom({ ...whole, b: 1 })).toEqual([['body', 'at most 16384 bytes as JSON']])
  })

  it('holds no number that would come back as another', () => {
    const beyond = 'holds a number beyond 2^53 - 1, which would not come back as it was sent: write it as a text'
    for (const text of ['1e999', '-1e999', '9007199254740993', '1234567890123456789']) {
      expect(custom(JSON.parse(`{"a":[${text}]}`))).toEqual([['body', beyond]])
    }
    expect(custom({ a: [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 5e-324, 0.1] })).toEqual([])
  })

  it('may have any keys, which mean nothing here', () => {
    const text = '{"__proto__":{"isAdmin":true},"constructor":{"prototype":{}},"toJSON":1,"b":1,"a":2,"1":3}'
    const parsed = parseFields(sendBody, { ...sendExamples.custom, body: JSON.parse(text) })
    if ('errors' in parsed) throw new Error(JSON.stringify(parsed.errors))
    expect(JSON.stringify(parsed.data.body)).toBe(JSON.stringify(JSON.parse(text)))
    expect(JSON.stringify(parsed.data.body)).toContain('"__proto__":{"isAdmin":true}')
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined()
  })
})

it.each([
  [{}, needed],
  [{ type: 'notification', body: { event: 'groupDissolved', by: 'ada' } }, undefined],
  [{ type: 'sticker', body: {} }, undefined],
  [{ type: ['text'], body: { text: 'x' } }, undefined],
  [{ type: '__proto__', body: { text: 'x' } }, undefined],
])('a message of no type that is sent is refused for its type: %j', (fields, message) => {
  const choices = 'must be one of text, image, audio, video, file, location, tip, custom'
  expect(errorsOf({ clientMessageId: 'key', ...fields })).toEqual([['type', message ?? choices]])
})
