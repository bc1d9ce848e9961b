// Owns the case `send-eventstoredb`: the same sends as `send`, through a real EventStoreDB, against what its own client appends
// in the same run with as many in flight. Only when EVENTSTORE_URL names a server.

import { setTimeout as delay } from 'node:timers/promises'
import { closes } from '../../domain/frames.ts'
import { type Case, megabytes, mustBeClean, type Run, reported, sendRun } from '../case.ts'
import type { CommitAnswer } from '../ceiling.ts'
import type { DevicePlan } from '../load.ts'
import { whenQuiet } from '../machine.ts'
import type { Result } from '../report.ts'
import { type BenchSettings, eventstorePids, measured, openStage, type Stage, withCeiling } from '../stage.ts'
import { seedPairs, sockets } from './send.ts'

/** With the braces around it as long as one of our messages in the log. */
const eventBytes = 311
/** Messages in flight on each socket. */
const slotsOfVariants = [1, 4] as const
const floorPercent = 50
const goalPercent = 85
const behindRunsMax = 3
const readyPollMs = 200
const readyMsMax = 60_000

/** As the server tells it; "unknown" when its HTTP side does not answer. */
const versionOf = async (url: string): Promise<string> => {
  const { host } = new URL(url.replace(/^[a-z+]+:/, 'http:'))
  try {
    const response = await fetch(`http://${host}/info`, { signal: AbortSignal.timeout(3_000) })
    const info = (await response.json()) as { esVersion?: string; dbVersion?: string }
    return info.dbVersion ?? info.esVersion ?? 'unknown'
  } catch {
    return 'unknown'
  }
}

const whenReady = async (stage: Stage): Promise<void> => {
  const untilMs = performance.now() + readyMsMax
  while (!(await fetch(`${stage.server.httpUrl}/readyz`)).ok) {
    if (performance.now() > untilMs) throw new Error('the server does not catch up with its log')
    await delay(readyPollMs)
  }
}

/** A run in which the node fell behind its log, and so sent its devices away, is told of and made again. */
const currentRun = async (stage: Stage, devices: readonly DevicePlan[], slots: number) => {
  for (let timesBehind = 0; ; timesBehind++) {
    await stage.load.call('close', {})
    await whenReady(stage)
    // What follows the log besides the read models has all that the bare client wrote to get through first: none of the sends.
    await whenQuiet(readyMsMax)
    await stage.load.call('connect', { port: stage.realtimePort, devices, atOnce: 50 })
    try {
      // The server is new in every run, as the bare client is: both first get the time in which their code is compiled.
      mustBeClean(await stage.load.call('send', { slots, senders: sockets, warmUpMs: 0, forMs: stage.settings.runMs }))
      return { ...(await sendRun(stage, slots, sockets)), timesBehind }
    } catch (error) {
      if (timesBehind === behindRunsMax || !(error as Error).message.includes(closes.behind.reason)) throw error
      stage.settings.say('    the node was behind its log and sent its devices away: once more')
    }
  }
}

/** What the bare client appends by itself, by the rules of every run: warmed up as long, and again when others disturbed it. */
const bareAppends = (settings: BenchSettings, url: string, producers: number): Promise<CommitAnswer> =>
  withCeiling(async ceiling => {
    const args = { url, producers, eventBytes, forMs: settings.runMs }
    await ceiling.call('append', { ...args, forMs: settings.runMs + settings.warmUpMs })
    const watched = { server: () => [], load: () => [ceiling.pid], eventstore: eventstorePids(url) }
    return (await measured(settings, watched, () => ceiling.call('append', args))).value
  })

const oneRun = async (stage: Stage, url: string, devices: readonly DevicePlan[], slots: number): Promise<Run> => {
  await stage.load.call('close', {})
  // The bare client writes into the same log, faster than a node can hear all of it, which would send its devices away.
  const bare = await stage.whileStopped(() => bareAppends(stage.settings, url, sockets * slots))
  await stage.lagMs()
  const { value, cpu, repeated, lagMs, timesBehind } = await currentRun(stage, devices, slots)
  if (value.acks === 0) throw new Error('no message was acknowledged')
  const messagesPerSecond = value.acks / value.seconds
  return {
    figure: (messagesPerSecond / bare.perSecond) * 100,
    p50Ms: value.p50Ms,
    p99Ms: value.p99Ms,
    cpu,
    residentMb: megabytes(stage.residentBytes()),
    also: {
      messagesPerSecond,
      clientPerSecond: bare.perSecond,
      clientP50Ms: bare.p50Ms,
      lagMs,
      repeated,
      timesBehind,
    },
  }
}

export const sendEventStoreDbCase: Case = {
  name: 'send-eventstoredb',
  summary: 'the same sends through EventStoreDB, as a share of what its client appends (needs EVENTSTORE_URL)',
  run: async settings => {
    const url = settings.eventstoreUrl
    if (url === undefined) throw new Error('set EVENTSTORE_URL=esdb://… to a real server')
    const version = await versionOf(url)
    const { stage, seeded: devices } = await openStage(settings, seedPairs, { EVENTSTORE_URL: url })
    try {
      const results: Result[] = []
      for (const slots of slotsOfVariants) {
        const frame = {
          case: 'send-eventstoredb',
          variant: `EventStoreDB ${version}, ${slots} in flight per socket`,
          unit: "% of the client's rate",
          greaterIsBetter: true,
          floor: floorPercent,
          goal: goalPercent,
        }
        results.push(await reported(settings, frame, () => oneRun(stage, url, devices, slots)))
      }
      return results
    } finally {
      await stage.end()
    }
  },
}
