// Owns the case `cpu-per-send`: the server's CPU for one message must not depend on how long the conversation is, nor on how
// many members of the group are away. Sends come at a fixed pace, so that batches are alike.

import { type Case, mustBeClean, reported } from '../case.ts'
import { median } from '../histogram.ts'
import type { Result } from '../report.ts'
import type { Seed, SeededUser } from '../seed.ts'
import { pairConversation } from '../seed.ts'
import { type BenchSettings, openStage } from '../stage.ts'

const perSecond = 1_000
/** ± around the middle of the three. */
const floorPercent = 30
const goalPercent = 20

type Fill = (seed: Seed) => Promise<{ userId: string; token: string; conversationId: string }>

const conversationOf =
  (count: number): Fill =>
  async seed => {
    const [one, other] = (await seed.users(2)) as [SeededUser, SeededUser]
    const conversationId = pairConversation(one, other)
    await seed.messages(conversationId, [one.userId, other.userId], count)
    return { ...one, conversationId }
  }

const roomOf =
  (members: number): Fill =>
  async seed => {
    const users = await seed.users(members)
    return { ...(users[0] as SeededUser), conversationId: await seed.group(users) }
  }

/** CPU of server and database for one message, the idle CPU taken off. */
const cpuOf = async (settings: BenchSettings, variant: string, fill: Fill): Promise<Result> => {
  const { stage, seeded: device } = await openStage(settings, fill)
  try {
    await stage.load.call('connect', { port: stage.realtimePort, devices: [device], atOnce: 1 })
    const idle = await stage.measure(() => new Promise(resolve => setTimeout(resolve, 3_000)))
    const idleCpu = idle.cpu.server + idle.cpu.postgres
    const frame = { case: 'cpu-per-send', variant, unit: 'µs CPU', greaterIsBetter: false }
    return await reported(settings, frame, async () => {
      const args = { perSecond, warmUpMs: settings.warmUpMs, forMs: settings.runMs }
      const { value, cpu, repeated } = await stage.measure(() => stage.load.call('pace', args))
      mustBeClean(value)
      const figure = ((cpu.server + cpu.postgres - idleCpu) * 1e6) / (value.acks / value.seconds)
      return {
        figure,
        p50Ms: value.p50Ms,
        p99Ms: value.p99Ms,
        cpu,
        also: { idleCpu, skipped: value.skipped ?? 0, repeated },
      }
    })
  } finally {
    await stage.end()
  }
}

const flatness = (settings: BenchSettings, variant: string, results: readonly Result[]): Result => {
  const figures = results.map(result => result.median)
  const middle = median(figures)
  const worst = Math.max(...figures.map(figure => (Math.abs(figure - middle) / middle) * 100))
  return {
    case: 'cpu-per-send',
    variant,
    database: settings.database,
    unit: '± % of the middle one',
    runs: figures,
    median: worst,
    floor: floorPercent,
    goal: goalPercent,
    greaterIsBetter: false,
  }
}

export const cpuPerSendCase: Case = {
  name: 'cpu-per-send',
  summary: 'CPU for one message at 1 k, 100 k, 1 M in the conversation, and 10, 1,000, 5,000 offline members',
  run: async settings => {
    const lengths: Result[] = []
    for (const count of [1_000, 100_000, 1_000_000]) {
      lengths.push(await cpuOf(settings, `${count.toLocaleString('en-US')} messages`, conversationOf(count)))
    }
    const rooms: Result[] = []
    for (const members of [10, 1_000, 5_000]) {
      rooms.push(await cpuOf(settings, `${members.toLocaleString('en-US')} members offline`, roomOf(members)))
    }
    return [
      ...lengths,
      flatness(settings, 'flat over the length', lengths),
      ...rooms,
      flatness(settings, 'flat over the members', rooms),
    ]
  },
}
