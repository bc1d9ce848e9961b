// Owns holding what a server sends against what the documentation says of it: each frame, and each row in it, field by field.

import { isDeepStrictEqual } from 'node:util'
import type { z } from 'zod'
import { rowSchemaOf } from '../../api/asyncapi.ts'
import { operations } from '../../api/operations.ts'
import { serverFrames } from '../../domain/frames.ts'
import { collections, openCollections } from '../../domain/rows.ts'
import type { Row, ServerFrame } from './replica.ts'

const rowSchemas = new Map<string, z.ZodObject>(
  [...collections, ...openCollections].map(collection => [collection, rowSchemaOf(operations, collection)]),
)
const partialSchemas = new Map([...rowSchemas].map(([collection, schema]) => [collection, schema.partial()]))

const schemaOf = (frame: ServerFrame): z.ZodType | undefined => {
  if (frame.op !== undefined) return (serverFrames as Readonly<Record<string, z.ZodType>>)[frame.op]
  if (frame.error !== undefined) return serverFrames.refused
  return (frame.ok as Row | undefined)?.heartbeatSeconds === undefined ? serverFrames.done : serverFrames.welcome
}

/** What is wrong with a value; a field that the schema does not have is wrong as well. */
const wrongWith = (schema: z.ZodType | undefined, value: unknown): string | undefined => {
  const parsed = schema?.safeParse(value)
  if (parsed?.success === true && isDeepStrictEqual(parsed.data, value)) return undefined
  return `${JSON.stringify(value).slice(0, 500)} is not as documented: ${parsed?.error?.message ?? 'other fields'}`
}

/** What is wrong with a frame of the server; undefined: nothing. */
export const wrongIn = (frame: ServerFrame): string | undefined => {
  const wrong = wrongWith(schemaOf(frame), frame)
  if (wrong !== undefined) return wrong
  const rows = frame.op === 'put' ? [frame.value] : (frame.items ?? [])
  const collection = String(frame.collection)
  for (const row of rows) {
    const found = wrongWith(rowSchemas.get(collection), row)
    if (found !== undefined) return found
  }
  return frame.op === 'patch' ? wrongWith(partialSchemas.get(collection), frame.set) : undefined
}
