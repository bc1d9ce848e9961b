// Owns what an operator's machines ask: is the process alive, may it get traffic, what does it count.

import type { FastifyInstance } from 'fastify'
import { Histogram, type Registry } from 'prom-client'
import { refuse } from './errors.ts'
import { sendRefusal } from './http-errors.ts'

/** What this process still waits for before it should get traffic; empty: nothing. */
export type Readiness = () => readonly string[]

export interface HealthDependencies {
  readonly readiness: Readiness
  readonly registry: Registry
}

/** Liveness, readiness, and metrics in Prometheus' format, with the time of each request by operation and status. */
export const registerHealth = (app: FastifyInstance, { readiness, registry }: HealthDependencies): void => {
  const durations = new Histogram({
    name: 'ledgerline_http_request_seconds',
    help: 'Time from the request to the end of the reply, by operation and status',
    labelNames: ['operation', 'status'] as const,
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [registry],
  })
  app.addHook('onResponse', (request, reply, done) => {
    const { operation } = request.routeOptions.config
    durations.observe({ operation: operation ?? 'none', status: String(reply.statusCode) }, reply.elapsedTime / 1_000)
    done()
  })
  app.register(async scope => addHealthRoutes(scope, { readiness, registry }))
}

const addHealthRoutes = (app: FastifyInstance, { readiness, registry }: HealthDependencies) => {
  app.get('/healthz', { schema: { hide: true }, config: { open: true } }, () => ({ status: 'ok' }))
  app.get('/readyz', { schema: { hide: true }, config: { open: true } }, (_request, reply) => {
    const waitingFor = readiness()
    if (waitingFor.length === 0) return reply.send({ status: 'ready' })
    return sendRefusal(reply, refuse('store.unavailable', `Waiting for: ${waitingFor.join(', ')}.`, { waitingFor }))
  })
  app.get('/metrics', { schema: { hide: true }, config: { open: true } }, async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  )
}
