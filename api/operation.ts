// Owns what an operation of the surface is: one entry serves HTTP, socket frames and the documentation.
// Every operation says who may call it; there is no default.

import { z } from 'zod'
import type { SessionId, UserId } from '../domain/ids.ts'
import type { CommandKey } from '../eventstore/handle.ts'
import type { OperationDependencies } from './dependencies.ts'
import type { ErrorCode, Refusal } from './errors.ts'
import { noFields, position } from './fields.ts'
import type { LimitClass } from './rate-limits.ts'

interface Callers {
  readonly anonymous: { readonly kind: 'anonymous' }
  readonly user: { readonly kind: 'user'; readonly userId: UserId; readonly sessionId: SessionId }
  readonly admin: { readonly kind: 'admin'; readonly keyId: string }
}

export type CallerKind = keyof Callers
export type Caller = Callers[CallerKind]
export const callerKinds: readonly CallerKind[] = ['anonymous', 'user', 'admin']

/** Who asks, from where, and under which idempotency key. */
export interface Call<Kind extends CallerKind = CallerKind> {
  readonly caller: Callers[Kind]
  /** The client's address, for limits. */
  readonly address: string
  /** `Idempotency-Key`, or a frame's `key`. */
  readonly key?: string | undefined
  /** Made from `key` by whoever runs the operation: the key with its caller and a fingerprint of what is asked. */
  readonly command?: CommandKey | undefined
}

/** JSON text that is passed through unparsed: stored rows, pages of messages, a sync. */
export interface RawJson {
  readonly jsonText: string
}

export const rawJson = (jsonText: string): RawJson => ({ jsonText })

export const isRawJson = (value: unknown): value is RawJson =>
  typeof value === 'object' && value !== null && 'jsonText' in value

/** The JSON text of what an operation answered. */
export const jsonTextOf = (value: unknown): string => (isRawJson(value) ? value.jsonText : JSON.stringify(value))

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** Values that are valid, for the documentation; a test runs them through the schemas. */
export interface OperationExample {
  readonly params?: Readonly<Record<string, unknown>>
  readonly query?: Readonly<Record<string, unknown>>
  readonly body?: unknown
  /** Bodies of other forms. */
  readonly moreBodies?: readonly unknown[]
  readonly reply: unknown
}

type Fields = z.ZodObject
/** Fields of which one decides what the others are: one form for each of its values. */
type Forms = z.ZodDiscriminatedUnion<readonly [Fields, ...Fields[]]>
type Answer = object | Refusal
type ValuesOf<Schema> = Schema extends Fields | Forms ? z.output<Schema> : unknown

/** An operation as its resource declares it. */
export interface OperationDefinition<
  Kinds extends readonly CallerKind[],
  Params extends Fields,
  Query extends Fields,
  Body extends Fields | Forms,
> {
  /** operationId, and `op` of a frame. */
  readonly id: string
  readonly method: Method
  /** Of Fastify: `/v1/groups/:groupId`. */
  readonly path: string
  readonly tag: string
  readonly summary: string
  readonly description?: string
  /** Who may call it. */
  readonly callers: Kinds
  /** Whether it may be called by a socket frame. */
  readonly frame: boolean
  readonly limit: LimitClass
  readonly status: 200 | 201 | 202
  readonly params?: Params
  readonly query?: Query
  readonly body?: Body
  readonly reply: z.ZodType
  /** What it can refuse with, besides what every operation of its kind can. */
  readonly rejections: readonly ErrorCode[]
  readonly example: OperationExample
  /** All fields of path, query and body come in one object. */
  readonly run: (
    dependencies: OperationDependencies,
    call: Call<Kinds[number]>,
    args: ValuesOf<Params> & ValuesOf<Query> & ValuesOf<Body>,
  ) => Answer | Promise<Answer>
}

/** An operation as the server and the dispatcher use it. */
export interface Operation
  extends Omit<OperationDefinition<readonly CallerKind[], Fields, Fields, Fields | Forms>, 'run'> {
  readonly params: Fields
  readonly query: Fields
  /** Path, query and body as one strict object: what a frame's `args` must be. */
  readonly args: Fields | Forms
  readonly run: (dependencies: OperationDependencies, call: Call, args: unknown) => Answer | Promise<Answer>
}

/** Every query may wait for the caller's own writes. */
const withAfter = (query: Fields): Fields =>
  'after' in query.shape ? query : query.extend({ after: position.optional() })

/** Every form that the fields may have. */
export const formsOf = (fields: Fields | Forms): readonly Fields[] =>
  fields instanceof z.ZodObject ? [fields] : fields.options

/** Extending the body keeps its checks between fields. */
const withShape = (body: Fields | Forms, shape: z.ZodRawShape): Fields | Forms => {
  const [first, ...others] = formsOf(body).map(form => form.safeExtend(shape)) as [Fields, ...Fields[]]
  return body instanceof z.ZodObject ? first : z.discriminatedUnion(body.def.discriminator, [first, ...others])
}

/** Declares an operation; types of the fields flow into `run`. */
export const operation = <
  const Kinds extends readonly CallerKind[],
  Params extends Fields = typeof noFields,
  Query extends Fields = typeof noFields,
  Body extends Fields | Forms = typeof noFields,
>(
  definition: OperationDefinition<Kinds, Params, Query, Body>,
): Operation => {
  const params: Fields = definition.params ?? noFields
  const query: Fields =
    definition.method === 'GET' ? withAfter(definition.query ?? noFields) : (definition.query ?? noFields)
  const args = withShape(definition.body ?? noFields, { ...params.shape, ...query.shape })
  const run = definition.run as Operation['run']
  return { ...definition, params, query, args, run } as Operation
}

/** The caller's own id where `me` stands. */
export const self = (call: Call<'user'>, userId: string): UserId =>
  userId === 'me' ? call.caller.userId : (userId as UserId)
