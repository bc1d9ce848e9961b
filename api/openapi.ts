// Owns the OpenAPI 3.1 description of the operations: made from the very schemas that check requests, each status with its codes,
// each operation with an example that a test runs through its schemas.

import type { SwaggerOptions } from '@fastify/swagger'
import type { FastifySchema } from 'fastify'
import { jsonSchemaTransform } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { type ErrorCode, errorTable } from './errors.ts'
import { groupsDescription } from './group-permissions.ts'
import { problemType } from './http-errors.ts'
import type { CallerKind, Operation, OperationExample } from './operation.ts'

const errorCodes = Object.keys(errorTable) as [ErrorCode, ...ErrorCode[]]

/** The body of every error. */
export const problem = z
  .looseObject({
    type: z.string(),
    title: z.string().meta({ description: 'The same for every occurrence of the code.' }),
    status: z.int(),
    detail: z.string().meta({ description: 'What was wrong this time, and what to do.' }),
    code: z.enum(errorCodes),
    retryable: z.boolean().meta({ description: 'Whether the very same request may succeed later.' }),
    retryAfterSeconds: z.int().optional(),
    errors: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .optional()
      .meta({ description: 'With `request.invalid`: the wrong fields.' }),
  })
  .meta({ description: 'RFC 9457, with a code.' })

const keyHeader = z.object({
  'idempotency-key': z
    .string()
    .min(1)
    .max(64)
    .optional()
    .meta({ description: 'The same key of the same caller: nothing happens twice, and the answer is the first one.' }),
})

/** Every code that an operation can be refused with. */
export const codesOf = (operation: Operation): readonly ErrorCode[] => {
  const codes = new Set<ErrorCode>(['request.invalid', ...operation.rejections])
  if (!operation.callers.includes('anonymous')) {
    for (const code of ['token.invalid', 'token.expired', 'session.ended', 'caller.not-allowed'] as const)
      codes.add(code)
    if (operation.callers.includes('user')) codes.add('account.banned')
  }
  if (operation.method === 'GET') codes.add('projection.behind')
  else {
    for (const code of ['idempotency.mismatch', 'command.conflict', 'outcome.unknown'] as const) codes.add(code)
    for (const code of ['request.too-large', 'request.unsupported-media-type'] as const) codes.add(code)
  }
  for (const code of ['rate.limited', 'internal', 'overloaded', 'store.unavailable', 'projection.behind'] as const)
    codes.add(code)
  return [...codes]
}

const responsesOf = (operation: Operation): Record<number, unknown> => {
  const byStatus = new Map<number, ErrorCode[]>()
  for (const code of codesOf(operation)) {
    const { status } = errorTable[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  const responses: Record<number, unknown> = {
    [operation.status]: { description: 'Done', content: { 'application/json': { schema: operation.reply } } },
  }
  for (const [status, codes] of [...byStatus].sort(([one], [other]) => one - other)) {
    const description = codes.map(code => `\`${code}\` ${errorTable[code].title}`).join(' · ')
    responses[status] = { description, content: { [problemType]: { schema: problem } } }
  }
  return responses
}

/** One way of the several is enough. */
const securityOf = (callers: readonly CallerKind[]): readonly object[] => {
  if (callers.includes('anonymous')) return []
  const schemes = { anonymous: undefined, user: { accessToken: [] }, admin: { adminKey: [] } } as const
  return callers.flatMap(kind => schemes[kind] ?? [])
}

/** What a route says of itself; only the documentation reads it. */
export const schemaOf = (operation: Operation): FastifySchema => {
  const { id, tag, summary, description, params, query, body, method, callers } = operation
  const has = (fields: z.ZodObject) => Object.keys(fields.shape).length > 0
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? undefined : { description }),
    security: securityOf(callers),
    ...(has(params) ? { params } : undefined),
    ...(has(query) ? { querystring: query } : undefined),
    ...(body === undefined ? undefined : { body }),
    ...(method === 'GET' ? undefined : { headers: keyHeader }),
    response: responsesOf(operation),
  } as FastifySchema
}

interface JsonSchema {
  properties?: Record<string, JsonSchema>
  examples?: unknown[]
  content?: Record<string, { schema: JsonSchema }>
}

const bodiesOf = ({ body, moreBodies = [] }: OperationExample): unknown[] => [body, ...moreBodies]

/** Puts the operation's example where readers and generators look for it. */
const withExamples = (schema: Record<string, unknown>, { example, status }: Operation): void => {
  const fill = (fields: unknown, values: Readonly<Record<string, unknown>> | undefined) => {
    const properties = (fields as JsonSchema | undefined)?.properties ?? {}
    for (const [name, value] of Object.entries(values ?? {})) {
      const property = properties[name]
      if (property !== undefined) properties[name] = { ...property, examples: [value] }
    }
  }
  fill(schema.params, example.params)
  fill(schema.querystring, example.query)
  if (schema.body !== undefined && example.body !== undefined) (schema.body as JsonSchema).examples = bodiesOf(example)
  const done = (schema.response as Record<string, JsonSchema>)[status]?.content?.['application/json']
  if (done !== undefined) done.schema.examples = [example.reply]
}

interface DocumentationOptions {
  readonly operations: readonly Operation[]
  readonly version: string
}

/** What is to be said of all operations of a tag. */
const tagDescriptions: Readonly<Record<string, string>> = { groups: groupsDescription }

/** In the order of the operations. */
const tagsOf = (operations: readonly Operation[]) =>
  [...new Set(operations.map(({ tag }) => tag))].map(name => {
    const description = tagDescriptions[name]
    return description === undefined ? { name } : { name, description }
  })

/** Options of @fastify/swagger. */
export const documentationOptions = ({ operations, version }: DocumentationOptions): SwaggerOptions => {
  const byId = new Map(operations.map(operation => [operation.id, operation]))
  return {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Ledgerline', version, description: introduction, license: { name: 'Apache-2.0' } },
      servers: [{ url: '/' }],
      tags: tagsOf(operations),
      components: {
        securitySchemes: {
          accessToken: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description: 'From `POST /v1/sessions`.',
          },
          adminKey: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'adm_<keyId>_<secret>',
            description:
              "For the app's own backend, made by the operator: `npm run admin-key -- create --name backend`.",
          },
        },
      },
    },
    transform: document => {
      const transformed = jsonSchemaTransform(document as never) as { schema: Record<string, unknown>; url: string }
      const operation = byId.get((document.schema as { operationId?: string } | undefined)?.operationId ?? '')
      if (operation !== undefined) withExamples(transformed.schema, operation)
      return transformed as never
    },
  }
}

const introduction = `An instant-messaging core in which every action is an event.

Every command answers with a \`position\`; any query with \`?after=<position>\` holds at least everything up to it.
Every POST, PUT, PATCH and DELETE takes an \`Idempotency-Key\`. Errors are \`application/problem+json\` with a \`code\`.
The socket is described in [/docs/asyncapi.json](/docs/asyncapi.json) (AsyncAPI 3). Unknown fields are refused. Ids are opaque. \`me\` stands for the caller wherever a user id may stand.`
