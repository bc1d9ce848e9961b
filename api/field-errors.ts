// Owns how wrong fields are told of: in one voice for every operation, over HTTP and as frames. What a schema says itself stands;
// what it leaves to its library is worded here. Must never repeat what was sent: it may be a password.

import type { z } from 'zod'
import type { FieldError } from './errors.ts'

const kinds: Readonly<Record<string, string>> = {
  string: 'must be a text',
  number: 'must be a number',
  int: 'must be a whole number',
  boolean: 'must be true or false',
  array: 'must be a list',
  object: 'must be an object',
}

const units: Readonly<Record<string, string>> = { string: 'character', array: 'item' }

/** `at most 5 items`; of a number the bound alone. */
const bounded = (which: 'at least' | 'at most', bound: number | bigint, origin: string): string => {
  const unit = units[origin]
  return unit === undefined ? `${which} ${bound}` : `${which} ${bound} ${unit}${Number(bound) === 1 ? '' : 's'}`
}

const said = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

const oneOf = (values: readonly unknown[]): string => {
  const choices = values.map(said).join(', ')
  return values.length === 1 ? `must be ${choices}` : `must be one of ${choices}`
}

/** Of the field that decides which others there are. */
const discriminated = ({ input, discriminator, options }: z.core.$ZodRawIssue): string =>
  (input as Readonly<Record<string, unknown>>)[discriminator as string] === undefined
    ? 'is needed'
    : oneOf(options as readonly unknown[])

/** What to do about an issue that its schema has no words for. */
const messageOf = (issue: z.core.$ZodRawIssue): string => {
  if (issue.input === undefined) return 'is needed'
  switch (issue.code) {
    case 'invalid_type':
      return kinds[issue.expected] ?? 'is of another kind'
    case 'invalid_value':
      return oneOf(issue.values)
    case 'too_small':
      return bounded('at least', issue.minimum, issue.origin)
    case 'too_big':
      return bounded('at most', issue.maximum, issue.origin)
    case 'invalid_format':
      return issue.format === 'datetime' ? 'is no time of RFC 3339' : 'has another form'
    case 'invalid_union':
      if (issue.discriminator !== undefined && 'options' in issue) return discriminated(issue)
      return [...new Set(issue.errors.flat().map(({ message }) => message))].join(', or ')
    default:
      return 'is not valid'
  }
}

/** A field that does not exist is named by its path. */
const errorsOf = (issues: readonly z.core.$ZodIssue[]): readonly FieldError[] =>
  issues.flatMap(issue => {
    const path = issue.path.map(String)
    return issue.code === 'unrecognized_keys'
      ? issue.keys.map(key => ({ path: [...path, key].join('.'), message: 'there is no such field' }))
      : [{ path: path.join('.'), message: issue.message }]
  })

/** The value as the schema makes it, or what is wrong with it, field by field. */
export const parseFields = <Output>(
  schema: z.ZodType<Output>,
  value: unknown,
): { readonly data: Output } | { readonly errors: readonly FieldError[] } => {
  const parsed = schema.safeParse(value, { error: messageOf })
  return parsed.success ? { data: parsed.data } : { errors: errorsOf(parsed.error.issues) }
}
