// Owns the HTTP server: puts operations, documentation, health and errors together. Does not listen and knows no configuration
// but what it is given. Must answer every request with JSON or a problem, whatever came in.

import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import fastify, { type FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { AdminKeys } from './admin-keys.ts'
import { asyncApiDocument } from './asyncapi.ts'
import { internalError, refuse } from './errors.ts'
import type { Execution } from './execution.ts'
import { type Readiness, registerHealth } from './health.ts'
import { answerParserError, bodyBytesMax, rawResponseOf, refusalOfHttpError, sendRefusal } from './http-errors.ts'
import { documentationOptions } from './openapi.ts'
import type { Operation } from './operation.ts'
import { registerRoutes } from './routes.ts'
import type { Tokens } from './tokens.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Id of the operation that the route serves. */
    operation?: string
    /** The route belongs to no operation and is open to everybody: health, documentation. */
    open?: boolean
  }
}

export interface ApiOptions {
  readonly operations: readonly Operation[]
  readonly execution: Execution
  readonly tokens: Tokens
  readonly adminKeys: AdminKeys
  readonly readiness: Readiness
  readonly registry: Registry
  readonly logger: Logger
  readonly version: string
  /** Where sockets are opened, as clients see it; for the documentation, when somebody reads it. */
  readonly socketUrl: () => string
  /** CORS_ORIGINS: origins whose pages may call; `*` for all, empty for none. */
  readonly corsOrigins: readonly string[] | '*'
  /** TRUST_PROXY: addresses or networks whose X-Forwarded-For is believed; undefined: nobody's. */
  readonly trustProxy?: readonly string[] | undefined
}

/** The name of a stream in a path, with room for percent-encoding of its colons. */
const pathPartCharactersMax = 240
/** A request must have arrived within this time. */
const requestMsMax = 30_000
const headerBytesMax = 16_384

const contentSecurity = {
  useDefaults: false,
  directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"], baseUri: ["'none'"], formAction: ["'none'"] },
}
/** The documentation page loads its own scripts and styles, and calls the server it came from. */
const documentationSecurity =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** Which methods a path has, for 405; asked only when no route was found. */
const methodsByPath = (operations: readonly Operation[]) => {
  const paths = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>()
  for (const { path, method } of operations) {
    const known = paths.get(path)
    if (known === undefined) {
      const pattern = new RegExp(`^${path.replaceAll('.', '\\.').replace(/:[A-Za-z]+/g, '[^/]+')}$`)
      paths.set(path, { pattern, methods: new Set([method]) })
    } else known.methods.add(method)
  }
  return (url: string): readonly string[] => {
    const path = url.split('?', 1)[0] ?? url
    const methods = new Set<string>()
    for (const entry of paths.values()) {
      if (entry.pattern.test(path)) for (const method of entry.methods) methods.add(method)
    }
    return [...methods].sort()
  }
}

const addErrorHandlers = (app: FastifyInstance, operations: readonly Operation[], logger: Logger) => {
  const methodsOf = methodsByPath(operations)
  app.setNotFoundHandler((request, reply) => {
    const methods = methodsOf(request.url)
    if (methods.length === 0) {
      return sendRefusal(reply, refuse('route.not-found', 'There is nothing at this path. See /docs.'))
    }
    reply.header('allow', methods.join(', '))
    return sendRefusal(reply, refuse('route.method-not-allowed', `This path takes ${methods.join(', ')}.`))
  })
  app.setErrorHandler((error, request, reply) => {
    const refusal = refusalOfHttpError(error)
    if (refusal === undefined)
      logger.error({ err: error, operation: request.routeOptions.config.operation }, 'request failed')
    return sendRefusal(reply, refusal ?? internalError)
  })
}

const createApp = ({ logger, trustProxy }: ApiOptions): FastifyInstance => {
  const app = fastify({
    logger: false,
    bodyLimit: bodyBytesMax,
    requestTimeout: requestMsMax,
    trustProxy: trustProxy === undefined ? false : [...trustProxy],
    // A server that shuts down finishes what it took; commands are refused by the node, as a problem.
    return503OnClosing: false,
    routerOptions: { maxParamLength: pathPartCharactersMax },
    // Without a host header Node would answer by itself, and not with a problem.
    http: { maxHeaderSize: headerBytesMax, requireHostHeader: false },
    frameworkErrors: (error, _request, reply) => {
      sendRefusal(reply, refusalOfHttpError(error) ?? internalError)
    },
    clientErrorHandler: answerParserError,
  })
  app.server.on('checkExpectation', (_request, response) => {
    const refusal = refuse('request.expectation-failed', 'The only expectation that is met is 100-continue.')
    response.socket?.end(rawResponseOf(refusal))
  })
  app.server.on('error', error => logger.error({ err: error }, 'http server'))
  return app as unknown as FastifyInstance
}

/** No route slips in without a word on who may call it. */
const guardRoutes = (app: FastifyInstance) =>
  app.addHook('onRoute', route => {
    const known = route.config?.operation !== undefined || route.config?.open === true
    if (route.url.startsWith('/v1') && !known) throw new Error(`${route.url} does not say who may call it`)
  })

/** The description of the socket, beside that of HTTP. */
const registerAsyncApi = (app: FastifyInstance, { operations, version, socketUrl }: ApiOptions) => {
  let text: string | undefined
  app.get('/docs/asyncapi.json', { schema: { hide: true }, config: { open: true } }, (_request, reply) => {
    text ??= JSON.stringify(asyncApiDocument({ operations, version, socketUrl: socketUrl() }))
    return reply.type('application/json; charset=utf-8').send(text)
  })
}

/** Builds the server; the caller listens, and closes it. */
export const buildApi = (options: ApiOptions): FastifyInstance => {
  const { operations, execution, tokens, adminKeys, corsOrigins, version, logger } = options
  const app = createApp(options)
  guardRoutes(app)
  addErrorHandlers(app, operations, logger)
  app.register(helmet, { contentSecurityPolicy: contentSecurity })
  registerHealth(app, options)
  if (corsOrigins === '*' || corsOrigins.length > 0) {
    app.register(cors, {
      origin: corsOrigins === '*' ? '*' : [...corsOrigins],
      methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
      allowedHeaders: ['authorization', 'content-type', 'idempotency-key'],
      exposedHeaders: ['retry-after', 'www-authenticate'],
      maxAge: corsSecondsMax,
    })
  }
  app.register(swagger, documentationOptions({ operations, version }))
  registerAsyncApi(app, options)
  app.register(swaggerUi, { routePrefix: '/docs', staticCSP: documentationSecurity })
  app.register(async scope => {
    scope.addHook('onSend', async (_request, reply) => {
      reply.header('cache-control', 'no-store')
    })
    registerRoutes(scope, { operations, execution, tokens, adminKeys })
  })
  return app
}

/** How long a browser may remember that it may call. */
const corsSecondsMax = 600
