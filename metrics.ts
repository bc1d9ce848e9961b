// Owns what /metrics shows: gauges and counters read from what the parts count anyway, when they are asked for.

import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'

/** A number that some part of the server keeps. */
export interface Reading {
  readonly name: string
  readonly help: string
  /** One value, or one a label. Undefined while the part is not there. */
  readonly read: () => number | Readonly<Record<string, number>> | undefined
}

/** A registry with Node's own metrics (event loop lag among them) and the given readings. */
export const createRegistry = (readings: readonly Reading[]): Registry => {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'ledgerline_' })
  for (const { name, help, read } of readings) {
    new Gauge({
      name: `ledgerline_${name}`,
      help,
      labelNames: ['part'] as const,
      registers: [registry],
      collect() {
        const value = read()
        if (value === undefined) return
        if (typeof value === 'number') this.set(value)
        else for (const [part, number] of Object.entries(value)) this.set({ part }, number)
      },
    })
  }
  return registry
}
