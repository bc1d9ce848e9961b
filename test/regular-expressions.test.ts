// Owns the proof that no text can slow a regular expression of the product down: each is tried on long texts that almost match,
// and must be done with all of them in about the time that reading takes. One that tries every way to cut a text takes hours.

import { createContext, runInContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { operations } from '../api/operations.ts'
import { fieldsOf } from './support/operation-fields.ts'
import { readSources } from './support/sources.ts'

const product = readSources().filter(({ room }) => room !== 'test' && room !== 'bench')
const inFields = operations.flatMap(operation => fieldsOf(operation).flatMap(({ forms }) => forms))

/** Longer than a body. Twice the length is four times the work for one that is not linear. */
const charactersMax = 100_000
/** All texts of one take some ten milliseconds. */
const millisecondsMax = 3_000
const tries = 3

/** Texts made of what the expression speaks of, over and over, with an end that fits nothing. */
const hostileTexts = (pattern: string): readonly string[] => {
  const start = /^\^?((?:[A-Za-z0-9_:@ -]|\\[/.])*)/.exec(pattern)?.[1]?.replaceAll('\\', '') ?? ''
  const characters = new Set([...pattern.replaceAll(/\\./g, ''), ...'aA0 .-:/@,\t\n'])
  const pumps = [...characters, '\\', 'a.', 'a-', '0.', 'a0', ' a', 'aa.', '..', ', ', 'a@', '::', '/a']
  return [...new Set(['', start])].flatMap(prefix =>
    pumps.map(pump => `${prefix}${pump.repeat(charactersMax / pump.length)}\u0001`),
  )
}

/** Whether it is done in time with every text. A machine may stop for a while: it is slow if it is slow each time. */
const isFast = (source: string, flags: string, attempts = tries): boolean => {
  const pattern = new RegExp(source, flags)
  const context = createContext({ pattern, texts: hostileTexts(source) })
  for (let attempt = 0; attempt < attempts; attempt++) {
    try {
      runInContext('for (const text of texts) { pattern.lastIndex = 0; pattern.test(text) }', context, {
        timeout: millisecondsMax,
      })
      return true
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error
    }
  }
  return false
}

const literals = product.flatMap(({ path, regExps }) => regExps.map(text => [path, text] as const))
const patterns = [...new Set(inFields.flatMap(({ pattern }) => pattern ?? []))]

describe('a regular expression', () => {
  test.each(literals)('of %s is linear: %s', (_path, text) => {
    const [, source = '', flags = ''] = /^\/(.*)\/([a-z]*)$/.exec(text) ?? []
    expect(isFast(source, flags)).toBe(true)
  })

  test.each(patterns)('of a field is linear: %s', pattern => {
    expect(isFast(pattern, 'u')).toBe(true)
  })

  test('that is not linear is found', { timeout: 120_000 }, () => {
    for (const source of ['^(a+)+$', '\\s+$', '^(?:a|aa)+$', 'x*x*y']) expect(isFast(source, '', 1), source).toBe(false)
  })

  /** Made of texts of the product, never of what came in. */
  const makers: Readonly<Record<string, string>> = {
    'api/accounts.ts': 'the digits of a code; a field',
    'api/admin-audit.ts': 'the name of a stream; a field',
    'api/fields.ts': 'the id of a message; a field',
    'api/identities.ts': 'a user name; a field',
    'api/server.ts': 'the paths of the operations',
  }

  test('is made from text only where it is listed here', () => {
    const found = product.filter(({ code }) => /\bRegExp\(/.test(code)).map(({ path }) => path)
    expect(found).toEqual(Object.keys(makers))
  })
})
