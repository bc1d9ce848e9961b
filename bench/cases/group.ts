// Owns the case `group`: a room of 100, everybody online on one socket each, so many sends in flight in all of it.
// What is counted are the deliveries to members other than the sender.

import { type Case, megabytes, reported, sendRun } from '../case.ts'
import { openStage, withCeiling } from '../stage.ts'

const members = 100
const variants = [
  { senders: 10, floor: 200_000, goal: 380_000 },
  { senders: 80, floor: 500_000, goal: 1_000_000 },
] as const

/** Bare publishing to a room of the same size by the same load. */
const publishCeiling = (senders: number, forMs: number): Promise<number> =>
  withCeiling(async (ceiling, load) => {
    const { port } = await ceiling.call('relay', { rowsOnResume: 0 })
    const devices = Array.from({ length: members }, (_, index) => ({
      userId: `user-${index}`,
      token: 'room',
      conversationId: 'room',
    }))
    await load.call('connect', { port, devices, atOnce: 20 })
    const { deliveries, seconds } = await load.call('send', { slots: 1, senders, warmUpMs: 1_000, forMs })
    return deliveries / seconds
  })

export const groupCase: Case = {
  name: 'group',
  summary: 'a group of 100 online, deliveries to the others',
  run: async settings => {
    const { stage, seeded: devices } = await openStage(settings, async seed => {
      const users = await seed.users(members)
      const conversationId = await seed.group(users)
      return users.map(user => ({ ...user, conversationId }))
    })
    try {
      await stage.load.call('connect', { port: stage.realtimePort, devices, atOnce: 20 })
      const results = []
      for (const { senders, floor, goal } of variants) {
        const frame = {
          case: 'group',
          variant: `${senders} in flight`,
          unit: 'deliveries/s',
          greaterIsBetter: true,
          floor,
          goal,
          ceiling: await publishCeiling(senders, settings.runMs / 2),
          ceilingOf: 'bare uWebSockets.js publish, nothing stored',
        }
        const result = await reported(settings, frame, async () => {
          const { value, cpu, repeated, lagMs } = await sendRun(stage, 1, senders)
          const sent = value.acks / value.seconds
          return {
            figure: value.deliveries / value.seconds,
            p50Ms: value.p50Ms,
            p99Ms: value.p99Ms,
            cpu,
            residentMb: megabytes(stage.residentBytes()),
            also: { sent, deliveredShare: value.deliveries / (value.acks * (members - 1)), lagMs, repeated },
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
