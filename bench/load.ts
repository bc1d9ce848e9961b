// Owns the load process: opens sockets, sends as told, counts. The bench tells it what to do over IPC, one thing at a time.
// Knows nothing of what is measured; only counts what came in a window of time.

import { Histogram } from './histogram.ts'
import { Caller } from './load-caller.ts'
import { Getter } from './load-getter.ts'
import { Sender, slotsMax, type Tally } from './load-sender.ts'

export interface DevicePlan {
  readonly userId: string
  readonly token: string
  readonly conversationId?: string | undefined
  readonly cursor?: string | undefined
}

export interface CallPlan {
  readonly token: string
  /** JSON texts of whole frames, each with the id `0`. */
  readonly frames: readonly string[]
}

/** What a load process can be told; each names its arguments and its answer. */
export interface LoadCommands {
  /** Opens devices, so many at a time. */
  connect: { args: { port: number; devices: readonly DevicePlan[]; atOnce: number }; answer: ConnectAnswer }
  /** Closed loop: so many in flight on each of the first `senders` devices. */
  send: { args: { slots: number; senders: number; warmUpMs: number; forMs: number }; answer: SendAnswer }
  /** Open loop: so many messages a second over all devices, whatever the answers. */
  pace: { args: { perSecond: number; warmUpMs: number; forMs: number }; answer: SendAnswer }
  /** So many messages from each device, ten in flight. */
  burst: { args: { each: number }; answer: object }
  /** HTTP GETs over so many kept connections; paths in turn. */
  get: {
    args: { url: string; token: string; paths: readonly string[]; connections: number; warmUpMs: number; forMs: number }
    answer: SendAnswer
  }
  /** Closed loop: each device calls its frames in turn, one in flight. */
  call: {
    args: { port: number; devices: readonly CallPlan[]; warmUpMs: number; forMs: number }
    answer: SendAnswer
  }
  /** Cuts every socket. */
  close: { args: object; answer: object }
}

export interface ConnectAnswer {
  readonly seconds: number
  readonly cursors: readonly string[]
  readonly p50Ms: number
  readonly p99Ms: number
  /** Row and put frames of all syncs. */
  readonly rowFrames: number
}

export interface SendAnswer {
  readonly acks: number
  readonly deliveries: number
  readonly errors: number
  readonly firstError: string
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Messages of the open loop that were not sent, because a device had slotsMax without an answer. */
  readonly skipped?: number
  /** How far the open loop fell behind its own plan, at most. */
  readonly behindMs: number
}

const outstandingMsMax = 10_000
const pause = (milliseconds: number) => new Promise<void>(resolve => setTimeout(resolve, milliseconds))

const tally: Tally = { acks: 0, deliveries: 0, errors: 0, firstError: '', onAck: () => {} }
let senders: Sender[] = []
/** Where each of the open loop's messages may go: devices that have a conversation. */
let talkers: Sender[] = []

const connectAll = async ({ port, devices, atOnce }: LoadCommands['connect']['args']): Promise<ConnectAnswer> => {
  const startMs = performance.now()
  const times = new Histogram()
  const opened: Sender[] = []
  let next = 0
  const work = async () => {
    for (let index = next++; index < devices.length; index = next++) {
      const device = devices[index] as DevicePlan
      const sender = new Sender({ port, tally, ...device })
      opened[index] = sender
      await sender.synced
      times.add(sender.syncMs)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  senders = [...senders, ...opened]
  talkers = [...talkers, ...opened.filter((_, index) => devices[index]?.conversationId !== undefined)]
  return {
    seconds: (performance.now() - startMs) / 1_000,
    cursors: opened.map(({ cursor }) => cursor),
    p50Ms: times.percentileMs(0.5),
    p99Ms: times.percentileMs(0.99),
    rowFrames: opened.reduce((sum, { rowFrames }) => sum + rowFrames, 0),
  }
}

/** Starts the load, and counts what comes between the warm-up and the end of the window; what fails counts from the start on. */
const counted = async (
  start: () => void,
  warmUpMs: number,
  forMs: number,
  behind: () => number = () => 0,
): Promise<SendAnswer> => {
  tally.errors = 0
  tally.firstError = ''
  start()
  await pause(warmUpMs)
  const times = new Histogram()
  const acks = tally.acks
  const deliveries = tally.deliveries
  const startMs = performance.now()
  tally.onAck = latencyMs => times.add(latencyMs)
  await pause(forMs)
  tally.onAck = () => {}
  const seconds = (performance.now() - startMs) / 1_000
  return {
    acks: tally.acks - acks,
    deliveries: tally.deliveries - deliveries,
    errors: tally.errors,
    firstError: tally.firstError,
    seconds,
    p50Ms: times.percentileMs(0.5),
    p99Ms: times.percentileMs(0.99),
    maxMs: times.maxMs,
    behindMs: behind(),
  }
}

const outstanding = async (): Promise<void> => {
  const untilMs = performance.now() + outstandingMsMax
  while (senders.some(({ inFlight }) => inFlight > 0) && performance.now() < untilMs) await pause(10)
}

const sendClosed = async ({ slots, senders: count, warmUpMs, forMs }: LoadCommands['send']['args']) => {
  const active = talkers.slice(0, count)
  const start = () => {
    for (const sender of active) sender.start(slots, true)
  }
  const answer = await counted(start, warmUpMs, forMs)
  for (const sender of active) sender.stop()
  await outstanding()
  return answer
}

const sendPaced = async ({ perSecond, warmUpMs, forMs }: LoadCommands['pace']['args']) => {
  const start = () => {
    for (const sender of talkers) sender.start(slotsMax, false)
  }
  const startMs = performance.now()
  let sent = 0
  let turn = 0
  let skipped = 0
  let behindMs = 0
  const timer = setInterval(() => {
    const elapsedMs = performance.now() - startMs
    const due = Math.floor((elapsedMs * perSecond) / 1_000)
    behindMs = Math.max(behindMs, ((due - sent) * 1_000) / perSecond)
    for (; sent < due; sent++) {
      if (talkers[turn++ % talkers.length]?.sendOne() !== true) skipped++
    }
  }, 1)
  const answer = await counted(start, warmUpMs, forMs, () => behindMs)
  clearInterval(timer)
  for (const sender of talkers) sender.stop()
  await outstanding()
  return { ...answer, skipped }
}

const sendBurst = async ({ each }: LoadCommands['burst']['args']): Promise<object> => {
  const acked = tally.acks + each * talkers.length
  for (const sender of talkers) sender.start(10, false)
  const left = new Map(talkers.map(sender => [sender, each]))
  while (left.size > 0) {
    for (const [sender, count] of left) {
      let rest = count
      while (rest > 0 && sender.sendOne()) rest--
      if (rest === 0) left.delete(sender)
      else left.set(sender, rest)
    }
    await pause(1)
  }
  await outstanding()
  if (tally.acks !== acked) throw new Error(`${acked - tally.acks} messages were refused: ${tally.firstError}`)
  return {}
}

const getPages = async ({ url, token, paths, connections, warmUpMs, forMs }: LoadCommands['get']['args']) => {
  const getter = new Getter({ url, token, paths, tally })
  const answer = await counted(() => getter.start(connections), warmUpMs, forMs)
  getter.stop()
  return answer
}

const callAll = async ({ port, devices, warmUpMs, forMs }: LoadCommands['call']['args']) => {
  const callers = devices.map(device => new Caller({ port, tally, ...device }))
  await Promise.all(callers.map(({ synced }) => synced))
  const start = () => {
    for (const caller of callers) caller.start()
  }
  const answer = await counted(start, warmUpMs, forMs)
  for (const caller of callers) caller.destroy()
  return answer
}

const closeAll = async (): Promise<object> => {
  for (const sender of senders) sender.destroy()
  senders = []
  talkers = []
  await pause(50)
  return {}
}

const commands: {
  [Name in keyof LoadCommands]: (args: LoadCommands[Name]['args']) => Promise<LoadCommands[Name]['answer']>
} = {
  connect: connectAll,
  send: sendClosed,
  pace: sendPaced,
  burst: sendBurst,
  get: getPages,
  call: callAll,
  close: closeAll,
}

process.on('message', ({ name, args }: { name: keyof LoadCommands; args: never }) => {
  commands[name](args).then(
    answer => process.send?.({ answer }),
    error => process.send?.({ error: String(error?.stack ?? error) }),
  )
})
process.on('disconnect', () => process.exit(0))
process.send?.({ answer: 'ready' })
