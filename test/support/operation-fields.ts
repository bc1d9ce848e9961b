// Owns the walk over every field that an operation takes, nested ones too, as its JSON Schema tells them: for tests that go over
// all operations and all their fields. Reads the schemas; knows no operation by name.

import { z } from 'zod'
import type { Operation } from '../../api/operation.ts'
import type { Arguments } from './operation-request.ts'

export const places = ['params', 'query', 'body'] as const
export type Place = (typeof places)[number]

/** The part of JSON Schema that the schemas of operations use. */
export interface JsonSchema {
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly JsonSchema[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly additionalProperties?: unknown
  readonly items?: JsonSchema
  readonly maxItems?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly format?: string
}

export interface Field {
  readonly place: Place
  /** From the arguments down: names of fields, and 0 for the first item of a list. */
  readonly path: readonly (string | number)[]
  /** The forms it may have. */
  readonly forms: readonly JsonSchema[]
}

const formsOf = (schema: JsonSchema): readonly JsonSchema[] => schema.anyOf?.flatMap(formsOf) ?? [schema]

const below = (place: Place, path: Field['path'], schema: JsonSchema): readonly Field[] => {
  const forms = formsOf(schema)
  const inner = forms.flatMap(({ properties = {}, items }) => [
    ...Object.entries(properties).flatMap(([name, property]) => below(place, [...path, name], property)),
    ...(items === undefined ? [] : below(place, [...path, 0], items)),
  ])
  return [{ place, path, forms }, ...inner]
}

/** Every field of path, query and body, at every depth. */
export const fieldsOf = (operation: Operation): readonly Field[] =>
  places.flatMap(place => {
    const schema = operation[place]
    if (schema === undefined) return []
    const { properties = {} } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema
    return Object.entries(properties).flatMap(([name, property]) => below(place, [name], property))
  })

/** The type of JSON that a form is of. */
export const typeOf = ({ type, enum: values, const: value }: JsonSchema): string | undefined =>
  type ?? (values === undefined && value === undefined ? undefined : typeof (value ?? values?.[0]))

/** All fields of the example, as a frame carries them. */
export const exampleOf = ({ example: { params, query, body } }: Operation): Arguments => ({
  ...params,
  ...query,
  ...(body as object | undefined),
})

/** A copy of the arguments with another value at the place; what leads there is made where it is missing. */
export const withValue = (args: Arguments, [first, ...rest]: Field['path'], value: unknown): Arguments => {
  const put = (holder: unknown, path: Field['path']): unknown => {
    const [step, ...further] = path
    if (step === undefined) return value
    if (typeof step === 'number') return [put(Array.isArray(holder) ? holder[step] : undefined, further)]
    const inner = typeof holder === 'object' && holder !== null ? (holder as Arguments) : {}
    return { ...inner, [step]: put(inner[step], further) }
  }
  return { ...args, [first as string]: put(args[first as string], rest) }
}
