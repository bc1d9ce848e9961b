// Owns the case `send`: 250 pairs on 500 sockets write to each other in a closed loop. A message counts once it is durable and
// acknowledged; as many must have reached the peer's socket, and the read models must not be left behind.

import { type Case, megabytes, reported, sendRun } from '../case.ts'
import type { DevicePlan } from '../load.ts'
import type { Seed, SeededUser } from '../seed.ts'
import { pairConversation } from '../seed.ts'
import { openStage, withCeiling } from '../stage.ts'

export const sockets = 500
const eventBytes = 516
const connectAtOnce = 50
const variants = [
  { slots: 1, floor: 6_000, goal: 15_000 },
  { slots: 4, floor: 9_000, goal: 25_000 },
] as const

/** Devices in pairs, each with the other as its conversation. */
export const pairsOf = (users: readonly SeededUser[]): DevicePlan[] =>
  users.map((user, index) => {
    const peer = users[index % 2 === 0 ? index + 1 : index - 1] as SeededUser
    return { ...user, conversationId: pairConversation(user, peer) }
  })

export const seedPairs = async (seed: Seed): Promise<DevicePlan[]> => pairsOf(await seed.users(sockets))

/** What the parts do by themselves with as many messages in flight. */
export const sendCeilings = (slots: number, forMs: number): Promise<{ commits: number; relayed: number }> =>
  withCeiling(async (ceiling, load) => {
    const { port } = await ceiling.call('relay', { rowsOnResume: 0 })
    const devices = Array.from({ length: sockets }, (_, index) => {
      const conversationId = `pair-${Math.floor(index / 2)}`
      return { userId: `user-${index}`, token: conversationId, conversationId }
    })
    await load.call('connect', { port, devices, atOnce: connectAtOnce })
    const { acks, seconds } = await load.call('send', { slots, senders: sockets, warmUpMs: 1_000, forMs })
    await load.call('close', {})
    const { perSecond } = await ceiling.call('commit', { producers: sockets * slots, eventBytes, forMs })
    return { commits: perSecond, relayed: acks / seconds }
  })

export const sendCase: Case = {
  name: 'send',
  summary: '1:1 text over 500 sockets, durable acknowledgement and delivery',
  run: async settings => {
    const { stage, seeded: devices } = await openStage(settings, seedPairs)
    try {
      await stage.load.call('connect', { port: stage.realtimePort, devices, atOnce: connectAtOnce })
      const results = []
      for (const { slots, floor, goal } of variants) {
        const { commits, relayed } = await sendCeilings(slots, settings.runMs / 2)
        const frame = {
          case: 'send',
          variant: `${slots} in flight per socket`,
          unit: 'msg/s',
          greaterIsBetter: true,
          floor,
          goal,
          ceiling: commits,
          ceilingOf: 'LMDB group commit of one 516 B record each',
          also: { relayCeiling: relayed },
        }
        const result = await reported(settings, frame, async () => {
          const { value, cpu, repeated, lagMs } = await sendRun(stage, slots, sockets)
          const figure = value.acks / value.seconds
          const deliveredShare = value.deliveries / value.acks
          const cpuMicroseconds = ((cpu.server + cpu.postgres) * 1e6) / figure
          return {
            figure,
            p50Ms: value.p50Ms,
            p99Ms: value.p99Ms,
            cpu,
            residentMb: megabytes(stage.residentBytes()),
            also: { lagMs, deliveredShare, cpuMicroseconds, repeated },
          }
        })
        results.push(result)
      }
      return results
    } finally {
      await stage.end()
    }
  },
}
