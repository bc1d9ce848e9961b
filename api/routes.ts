// Owns how an operation becomes an HTTP route: who calls, which fields, which status. Deny by default: a route that does not
// say who may call it cannot be registered.

import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type AdminKeys, isAdminKey } from './admin-keys.ts'
import { type FieldError, invalid, isRefusal, type Refusal } from './errors.ts'
import { type Execution, idempotencyKeyPattern, noToken } from './execution.ts'
import { parseFields } from './field-errors.ts'
import { noFields } from './fields.ts'
import { RequestRefused, sendRefusal } from './http-errors.ts'
import { schemaOf } from './openapi.ts'
import { type Call, callerKinds, jsonTextOf, type Operation } from './operation.ts'
import type { Tokens } from './tokens.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who calls; set before the body is read. */
    call: Call | null
  }
}

export interface RouteDependencies {
  readonly operations: readonly Operation[]
  readonly execution: Execution
  readonly tokens: Tokens
  readonly adminKeys: AdminKeys
}

const jsonType = 'application/json; charset=utf-8'
const bearer = /^Bearer +([!-~]+) *$/i

/** JSON in UTF-8 or nothing at all. Depth costs nothing: the parser of V8 does not recurse. */
const addJsonParser = (app: FastifyInstance) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    if (body.length === 0) return done(null, undefined)
    if (!isUtf8(body)) return done(refused('the body is not UTF-8'))
    let value: unknown
    try {
      value = JSON.parse(body.toString('utf8'))
    } catch {
      return done(refused('the body is not JSON'))
    }
    done(null, value)
  })
}

const refused = (message: string) => new RequestRefused(invalid([{ path: '', message }]))

/** Who calls. An operation open to everybody does not look at tokens: an outdated one must not keep anybody from signing in. */
const callOf = async (
  operation: Operation,
  { tokens, adminKeys }: RouteDependencies,
  request: FastifyRequest,
): Promise<Call | Refusal> => {
  const address = request.ip
  const header = request.headers['idempotency-key']
  const key = typeof header === 'string' && operation.method !== 'GET' ? header : undefined
  if (key !== undefined && !idempotencyKeyPattern.test(key)) {
    return invalid([{ path: 'Idempotency-Key', message: '1 to 64 printable characters without spaces' }])
  }
  if (operation.callers.includes('anonymous')) return { caller: { kind: 'anonymous' }, address, key }
  const token = bearer.exec(request.headers.authorization ?? '')?.[1]
  if (token === undefined) return noToken
  if (isAdminKey(token)) {
    const admin = await adminKeys.authenticate(token)
    return isRefusal(admin) ? admin : { caller: { kind: 'admin', ...admin }, address, key }
  }
  const principal = await tokens.authenticate(token)
  return isRefusal(principal) ? principal : { caller: { kind: 'user', ...principal }, address, key }
}

/** The fields of path, query and body, each checked where it stands, all errors told at once. */
const argsOf = (operation: Operation, request: FastifyRequest): object => {
  const errors: FieldError[] = []
  const args: object = {}
  const take = (schema: Operation['args'], value: unknown) => {
    const parsed = parseFields(schema, value)
    if ('errors' in parsed) errors.push(...parsed.errors)
    else Object.assign(args, parsed.data)
  }
  take(operation.params, request.params)
  take(operation.query, request.query)
  if (operation.body !== undefined) take(operation.body, request.body === undefined ? {} : request.body)
  else if (request.body !== undefined) take(noFields, request.body)
  return errors.length === 0 ? args : invalid(errors)
}

const checkCallers = (operation: Operation) => {
  const { callers } = operation
  if (callers.length === 0 || callers.some(kind => !callerKinds.includes(kind))) {
    throw new Error(`operation ${operation.id} does not say who may call it`)
  }
}

const answer = (reply: FastifyReply, operation: Operation, value: unknown) =>
  isRefusal(value) ? sendRefusal(reply, value) : reply.code(operation.status).type(jsonType).send(jsonTextOf(value))

/** Registers one route for each operation. */
export const registerRoutes = (app: FastifyInstance, dependencies: RouteDependencies): void => {
  const { operations, execution } = dependencies
  addJsonParser(app)
  // Fields are checked once, in argsOf; the schemas of the routes are for the documentation.
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => data => JSON.stringify(data))
  app.decorateRequest('call', null)
  for (const operation of operations) {
    checkCallers(operation)
    app.route({
      method: operation.method,
      url: operation.path,
      schema: schemaOf(operation),
      config: { operation: operation.id },
      onRequest: async (request, reply) => {
        const tooMany = execution.admitAddress(operation, request.ip)
        if (tooMany !== undefined) return sendRefusal(reply, tooMany)
        const call = await callOf(operation, dependencies, request)
        if (isRefusal(call)) return sendRefusal(reply, call)
        const refusal = execution.admitCaller(operation, call)
        if (refusal !== undefined) return sendRefusal(reply, refusal)
        request.call = call
      },
      handler: async (request, reply) => {
        const args = argsOf(operation, request)
        if (isRefusal(args)) return sendRefusal(reply, args)
        return answer(reply, operation, await execution.run(operation, request.call as Call, args))
      },
    })
  }
}
