// Owns the case `latency`: 1,000 messages a second whatever the answers, so that a slow answer does not slow the load.

import { type Case, megabytes, mustBeClean, reported } from '../case.ts'
import { openStage, withCeiling } from '../stage.ts'
import { seedPairs } from './send.ts'

const perSecond = 1_000

export const latencyCase: Case = {
  name: 'latency',
  summary: 'time to the acknowledgement at 1,000 msg/s, open loop',
  run: async settings => {
    const single = await withCeiling(ceiling => ceiling.call('commit', { producers: 1, eventBytes: 516, forMs: 2_000 }))
    const { stage, seeded: devices } = await openStage(settings, seedPairs)
    try {
      await stage.load.call('connect', { port: stage.realtimePort, devices, atOnce: 50 })
      const frame = {
        case: 'latency',
        variant: '1,000 msg/s, p50',
        unit: 'ms',
        greaterIsBetter: false,
        floor: 4,
        goal: 2,
        ceiling: single.p50Ms,
        ceilingOf: 'one LMDB commit with flush',
      }
      const p50 = await reported(settings, frame, async () => {
        const args = { perSecond, warmUpMs: settings.warmUpMs, forMs: settings.runMs }
        const { value, cpu, repeated } = await stage.measure(() => stage.load.call('pace', args))
        mustBeClean(value)
        return {
          figure: value.p50Ms,
          p50Ms: value.p50Ms,
          p99Ms: value.p99Ms,
          cpu,
          residentMb: megabytes(stage.residentBytes()),
          also: {
            maxMs: value.maxMs,
            loadBehindMs: value.behindMs,
            sent: value.acks / value.seconds,
            skipped: value.skipped ?? 0,
            repeated,
          },
        }
      })
      const p99 = {
        variant: '1,000 msg/s, p99',
        floor: 20,
        goal: 5,
        median: p50.p99Ms ?? Number.NaN,
        ceiling: single.p99Ms,
      }
      return [p50, { ...p50, ...p99 }]
    } finally {
      await stage.end()
    }
  },
}
