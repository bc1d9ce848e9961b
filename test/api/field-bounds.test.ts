// Owns the proof that whatever comes in has a bound: every text a length, every number a least and a most, every list a number of
// items, every object its fields. Told by the documentation, and kept by the schema, for every field of every operation.

import { describe, expect, it } from 'vitest'
import { parseFields } from '../../api/field-errors.ts'
import { bodyBytesMax } from '../../api/http-errors.ts'
import { operations } from '../../api/operations.ts'
import { exampleOf, type Field, fieldsOf, type JsonSchema, typeOf, withValue } from '../support/operation-fields.ts'

const rows = operations.map(operation => [operation.id, operation, fieldsOf(operation)] as const)

/** A class of characters counts for one, an escaped character too: what is left are quantifiers and text. */
const plain = (pattern: string): string => pattern.replaceAll(/\\./g, 'x').replaceAll(/\[(?:[^\]])*\]/g, 'x')
const isBoundedPattern = (pattern: string): boolean => /^\^.*\$$/.test(pattern) && !/[+*]|\{\d+,\}/.test(plain(pattern))

const isBounded = (schema: JsonSchema): boolean => {
  if (schema.enum !== undefined || schema.const !== undefined) return true
  switch (schema.type) {
    case 'string':
      return schema.maxLength !== undefined || (schema.pattern !== undefined && isBoundedPattern(schema.pattern))
    case 'integer':
    case 'number':
      return schema.minimum !== undefined && schema.maximum !== undefined
    case 'array':
      return schema.maxItems !== undefined && schema.items !== undefined
    case 'object':
      return schema.additionalProperties === false
    case 'boolean':
    case 'null':
      return true
    default:
      return false
  }
}

/** Of the type that the field is of, and as much of it as a body can carry. */
const tooMuchOf = (type: string | undefined, example: unknown): readonly unknown[] => {
  switch (type) {
    case 'string':
      return ['x', '0', '-', '.', ' ', 'a-', '\u{1F600}'].map(text => text.repeat(bodyBytesMax / 4))
    case 'integer':
    case 'number':
      return [1e300, -1e300, 2 ** 53, -(2 ** 53), Number.POSITIVE_INFINITY, Number.NaN]
    case 'array':
      return [Array(20_000).fill(Array.isArray(example) ? example[0] : 'x')]
    case 'object':
      return [Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`k${index}`, index]))]
    default:
      return []
  }
}

const valueAt = (args: unknown, path: Field['path']): unknown =>
  path.reduce<unknown>((value, step) => (value as Record<string | number, unknown> | undefined)?.[step], args)

describe.each(rows)('%s', (_id, operation, fields) => {
  it('tells a bound of every field', () => {
    const unbounded = fields.filter(({ forms }) => !forms.every(isBounded))
    expect(unbounded.map(({ path, forms }) => [path.join('.'), forms])).toEqual([])
  })

  it('keeps them', () => {
    const example = exampleOf(operation)
    for (const { path, forms } of fields) {
      const types = new Set(forms.map(typeOf))
      for (const type of types) {
        for (const value of tooMuchOf(type, valueAt(example, path))) {
          const parsed = parseFields(operation.args, withValue(example, path, value))
          expect('errors' in parsed, `${path.join('.')}: ${JSON.stringify(value)?.slice(0, 40)}`).toBe(true)
        }
      }
    }
  })
})

it('a bound of a pattern is known from none', () => {
  const bounded = ['^[0-9a-f]{16}$', '^[!-~]{1,64}$', '^a[+*]b$', '^(?:\\+1|x{2,3})$', '^\\d?$']
  const unbounded = ['^a+$', '^a*$', '^a{2,}$', 'a', '^(?:ab)*c$', '^\\d+$', '^[+]+$']
  expect([bounded.filter(isBoundedPattern), unbounded.filter(isBoundedPattern)]).toEqual([bounded, []])
})
