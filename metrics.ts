// Owns what /metrics shows: gauges and counters read from what the parts count anyway, when they are asked for.

import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'

/** A number that some part of the server keeps. */
export interface Reading {
  /** A counter only grows while the process lives, and begins at 0 with it; its published name ends with `_total`. */
  readonly kind: 'counter' | 'gauge'
  readonly name: string
  readonly help: string
  /** One value, or one a label. Undefined while the part is not there. */
  readonly read: () => number | Readonly<Record<string, number>> | undefined
}

/** A registry with Node's own metrics (event loop lag among them) and the given readings. */
export const createRegistry = (readings: readonly Reading[]): Registry => {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'ledgerline_' })
  for (const reading of readings) publish(reading, registry)
  return registry
}

const publish = ({ kind, name, help, read }: Reading, registry: Registry): void => {
  const collect = () => {
    const value = read()
    metric.reset()
    if (value === undefined) return
    if (typeof value === 'number') metric.inc(value)
    else for (const [part, number] of Object.entries(value)) metric.inc({ part }, number)
  }
  const published = { help, labelNames: ['part'] as const, registers: [registry], collect }
  const metric =
    kind === 'counter'
      ? new Counter({ name: `ledgerline_${name}_total`, ...published })
      : new Gauge({ name: `ledgerline_${name}`, ...published })
}
