// Owns the cases of coming online: `connect`, many devices with a token each that the server has never seen, nothing to sync;
// and `resume`, one device at a time that comes back to 100 messages, from the ring and from the read models.

import { type Case, megabytes, reported } from '../case.ts'
import type { DevicePlan } from '../load.ts'
import type { Seed, SeededUser } from '../seed.ts'
import { pairConversation } from '../seed.ts'
import { openStage, type Stage, withCeiling } from '../stage.ts'

const opens = 5_000
const atOnce = 64
const returning = 100
const waitingMessages = 100

const bareOpens = (): Promise<number> =>
  withCeiling(async (ceiling, load) => {
    const { port } = await ceiling.call('relay', { rowsOnResume: 0 })
    const devices = Array.from({ length: opens }, (_, index) => ({ userId: `${index}`, token: `${index}` }))
    const { seconds } = await load.call('connect', { port, devices, atOnce })
    return opens / seconds
  })

export const connectCase: Case = {
  name: 'connect',
  summary: 'sockets opened a second, hello with distinct tokens to synced, empty sync',
  run: async settings => {
    const ceiling = await bareOpens()
    // Each run, and each repetition, needs tokens that the server has not verified yet.
    const { stage, seeded: users } = await openStage(settings, seed => seed.users(opens * settings.runs * 3))
    let used = 0
    try {
      const frame = {
        case: 'connect',
        variant: `${opens} distinct tokens, ${atOnce} at once`,
        unit: 'opens/s',
        greaterIsBetter: true,
        floor: 2_000,
        goal: 5_000,
        ceiling,
        ceilingOf: 'opening on a server of nothing but uWebSockets.js',
      }
      const result = await reported(settings, frame, async () => {
        const { value, cpu, repeated } = await stage.measure(async () => {
          await stage.load.call('close', {})
          const devices = users.slice(used, used + opens)
          used = (used + opens) % users.length
          return stage.load.call('connect', { port: stage.realtimePort, devices, atOnce })
        })
        const residentMb = megabytes(stage.residentBytes())
        await stage.load.call('close', {})
        return {
          figure: opens / value.seconds,
          p50Ms: value.p50Ms,
          p99Ms: value.p99Ms,
          cpu,
          residentMb,
          also: { repeated },
        }
      })
      return [result]
    } finally {
      await stage.end()
    }
  },
}

interface Returning {
  readonly plan: DevicePlan
  readonly sender: DevicePlan
}

const seedReturning = async (seed: Seed): Promise<Returning[]> => {
  const users = await seed.users(returning * 2)
  return Array.from({ length: returning }, (_, index) => {
    const [away, peer] = [users[index * 2] as SeededUser, users[index * 2 + 1] as SeededUser]
    return { plan: away, sender: { ...peer, conversationId: pairConversation(away, peer) } }
  })
}

/** Every device was there once, and while it was away its peer wrote 100 messages. */
const leaveMessages = async (stage: Stage, pairs: readonly Returning[]): Promise<DevicePlan[]> => {
  const port = stage.realtimePort
  const { cursors } = await stage.load.call('connect', { port, devices: pairs.map(({ plan }) => plan), atOnce: 10 })
  await stage.load.call('close', {})
  await stage.load.call('connect', { port, devices: pairs.map(({ sender }) => sender), atOnce: 10 })
  await stage.load.call('burst', { each: waitingMessages })
  await stage.load.call('close', {})
  await stage.lagMs()
  return pairs.map(({ plan }, index) => ({ ...plan, cursor: cursors[index] }))
}

const bareResume = (): Promise<number> =>
  withCeiling(async (ceiling, load) => {
    const { port } = await ceiling.call('relay', { rowsOnResume: waitingMessages })
    const devices = Array.from({ length: returning }, (_, index) => ({ userId: '', token: `${index}`, cursor: 'some' }))
    return (await load.call('connect', { port, devices, atOnce: 1 })).p50Ms
  })

export const resumeCase: Case = {
  name: 'resume',
  summary: 'a device returns to 100 messages: hello to synced',
  run: async settings => {
    const ceiling = await bareResume()
    const { stage, seeded: pairs } = await openStage(settings, seedReturning)
    try {
      const devices = await leaveMessages(stage, pairs)
      const frame = {
        case: 'resume',
        unit: 'ms',
        greaterIsBetter: false,
        floor: 10,
        goal: 5,
        ceiling,
        ceilingOf: 'bare frames',
      }
      const measure = (variant: string, before: () => Promise<void>) =>
        reported(settings, { ...frame, variant: `${waitingMessages} messages, ${variant}, p50` }, async () => {
          await before()
          const args = { port: stage.realtimePort, devices, atOnce: 1 }
          const { value, cpu, repeated } = await stage.measure(() => stage.load.call('connect', args))
          await stage.load.call('close', {})
          const framesEach = value.rowFrames / returning
          return { figure: value.p50Ms, p50Ms: value.p50Ms, p99Ms: value.p99Ms, cpu, also: { framesEach, repeated } }
        })
      const fromRing = await measure('from the ring', async () => {})
      // A server that has just started has nothing in its ring.
      const fromRows = await measure('from the read models', () => stage.whileStopped(async () => {}))
      return [fromRing, fromRows]
    } finally {
      await stage.end()
    }
  },
}
