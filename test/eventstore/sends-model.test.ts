// Sending through two nodes at one log, whatever fails: every key that was told to be sent is in the log exactly once, with
// the number that was told, and the numbers of a conversation have no hole.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isRejection } from '../../domain/decider.ts'
import { type ConversationId, p2pConversationId, streamOf, type UserId } from '../../domain/ids.ts'
import type { SendReply } from '../../eventstore/send.ts'
import {
  type AppendFault,
  answerLost,
  beatenBy,
  faultyStoreOver,
  openTestLog,
  requestLost,
  type TestLog,
  unavailable,
  wholeStream,
} from '../support/faulty-store.ts'
import {
  handClock,
  messageIdAt,
  newEvent,
  openAccount,
  startTestNode,
  type TestNode,
  turns,
} from '../support/test-node.ts'

const conversationsMax = 2
const keysMax = 6

type Step =
  | { readonly do: 'send'; readonly key: number; readonly node: number }
  | { readonly do: 'fail'; readonly node: number; readonly how: number }
  | { readonly do: 'shut' | 'open' | 'restart' | 'evict'; readonly node: number }
  | { readonly do: 'hold' | 'release'; readonly node: number }
  | { readonly do: 'wait'; readonly turns: number }

const node = fc.integer({ min: 0, max: 1 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('send' as const), key: fc.nat(keysMax - 1), node }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('fail' as const), node, how: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('shut' as const, 'open' as const), node }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('hold' as const, 'release' as const), node }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('restart' as const, 'evict' as const), node }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), turns: fc.integer({ min: 1, max: 6 }) }) },
)

interface Place {
  readonly store: ReturnType<typeof faultyStoreOver>
  node: TestNode
}

let runs = 0

/** People and keys of one run, so that all runs share a log. */
const openRun = async (log: TestLog) => {
  const run = ++runs
  const clock = handClock()
  const startPlace = async (): Promise<Place> => {
    const store = faultyStoreOver(log.store)
    return { store, node: await startTestNode(store, { clock, delay: async () => {} }) }
  }
  const places = [await startPlace(), await startPlace()] as const
  const people = ['ann', 'bob', 'cid'].map(name => `${name}-${run}` as UserId) as [UserId, UserId, UserId]
  for (const userId of people) await openAccount(places[0].node, userId)
  const conversations = [p2pConversationId(people[0], people[1]), p2pConversationId(people[0], people[2])]
  const keys = Array.from({ length: keysMax }, () => messageIdAt(clock.unixMs()))
  const told = keys.map((): SendReply[] => [])
  const foreign = (conversationId: ConversationId) => async (): Promise<AppendFault> => {
    const seq = (await wholeStream(log.store, streamOf.conversation(conversationId))).length + 1
    const key = messageIdAt(clock.unixMs())
    const data = { conversationId, seq, from: people[0], clientMessageId: key, type: 'text', body: { text: 'theirs' } }
    return beatenBy(log.store, newEvent('MessageSent', { ...data, at: clock.now(), countable: seq }))
  }

  const send = async (key: number, at: number): Promise<boolean> => {
    const conversationId = conversations[key % conversationsMax] as ConversationId
    const content = { type: 'text', body: { text: `text ${key}` } } as const
    const command = { conversationId, from: people[0], clientMessageId: keys[key] as string, content }
    try {
      const reply = await (places[at] as Place).node.send(command)
      // Beaten too often: nothing happened, and the sender tries again.
      if (isRejection(reply)) {
        expect(reply.rejected).toBe('command.conflict')
        return false
      }
      told[key]?.push(reply)
      return true
    } catch {
      return false
    }
  }

  /** A fault of the next append to a conversation. */
  const fail = (at: number, how: number) => {
    const { store } = places[at] as Place
    const conversationId = conversations[how % conversationsMax] as ConversationId
    const beaten: AppendFault = async (call, append) => {
      const fault = await foreign(call.stream.slice('conversation-'.length) as ConversationId)()
      // Where the append expects less than there is, somebody was faster already.
      return fault(call, append).catch(() => append())
    }
    const fault = [answerLost, requestLost, unavailable, beaten][how] as AppendFault
    ;(store.faults as { fault: AppendFault; stream?: string }[]).push({
      fault,
      stream: streamOf.conversation(conversationId),
    })
  }

  return { places, conversations, keys, told, send, fail, startPlace }
}

const openGates = ({ store }: Place) => {
  store.subscriptionGate.open()
  store.appendGate.open()
}

const check = async (log: TestLog, steps: readonly Step[]) => {
  const run = await openRun(log)
  const underWay: Promise<unknown>[] = []
  for (const next of steps) {
    if (next.do === 'wait') await turns(next.turns)
    else if (next.do === 'send') underWay.push(run.send(next.key, next.node))
    else if (next.do === 'fail') run.fail(next.node, next.how)
    else if (next.do === 'evict') for (const id of run.conversations) evict(run.places[next.node] as Place, id)
    else await move(run.places[next.node] as Place, next.do)
  }
  for (const place of run.places) openGates(place)
  await Promise.all(underWay)
  // Whoever does not know tries again, through any node, until it is known.
  for (let key = 0; key < keysMax; key++) {
    for (let tries = 0; tries < 20 && !(await run.send(key, tries % 2)); tries++);
  }
  await verify(log, run)
  await Promise.all(run.places.map(place => place.node.close()))
}

const evict = ({ node: { states } }: Place, id: ConversationId) => states.evict(streamOf.conversation(id))

const move = async (place: Place, what: 'shut' | 'open' | 'hold' | 'release' | 'restart') => {
  if (what === 'shut') place.store.subscriptionGate.shut()
  else if (what === 'open') place.store.subscriptionGate.open()
  else if (what === 'hold') place.store.appendGate.shut()
  else if (what === 'release') place.store.appendGate.open()
  else {
    openGates(place)
    const { clock } = place.node
    await place.node.close()
    place.node = await startTestNode(place.store, { clock, delay: async () => {} })
  }
}

const verify = async (log: TestLog, run: Awaited<ReturnType<typeof openRun>>) => {
  const seen = new Map<string, { seq: number; position: string; conversationId: string }[]>()
  for (const conversationId of run.conversations) {
    const events = await wholeStream(log.store, streamOf.conversation(conversationId))
    const all = events.map(({ data, position }) => ({
      ...(data as { seq: number; clientMessageId: string }),
      position,
    }))
    expect(all.map(({ seq }) => seq)).toEqual(all.map((_, index) => index + 1))
    for (const { seq, clientMessageId, position } of all) {
      seen.set(clientMessageId, [...(seen.get(clientMessageId) ?? []), { seq, position, conversationId }])
    }
  }
  for (const [key, id] of run.keys.entries()) {
    const replies = run.told[key] as SendReply[]
    expect(seen.get(id)).toHaveLength(1)
    expect(replies.length).toBeGreaterThan(0)
    expect(new Set(replies.map(({ seq }) => seq))).toEqual(new Set([seen.get(id)?.[0]?.seq]))
  }
}

test('every key exactly once, numbers without a hole, whatever fails and in whatever order', async () => {
  const log = await openTestLog()
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), steps => check(log, steps)),
      { numRuns: 60 },
    )
  } finally {
    await log.dispose()
  }
}, 240_000)
