// Sending exactly once: a send is known by its sender and its clientMessageId, through whatever node, after whatever crash.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { blocklist } from '../../domain/blocklist/blocklist.ts'
import { group } from '../../domain/group/group.ts'
import {
  type ConversationId,
  type GroupId,
  groupConversationId,
  type Position,
  p2pConversationId,
  streamOf,
  type UserId,
} from '../../domain/ids.ts'
import { limits } from '../../domain/limits.ts'
import { UnknownOutcome } from '../../eventstore/port.ts'
import type { SendReply } from '../../eventstore/send.ts'
import type { SentMessage } from '../../eventstore/sends.ts'
import {
  answerLost,
  type FaultyStore,
  faultyStoreOver,
  openTestLog,
  requestLost,
  type TestLog,
  wholeStream,
} from '../support/faulty-store.ts'
import {
  beginAccount,
  caughtUp,
  type HandClock,
  handClock,
  messageIdAt,
  openAccount,
  startTestNode,
  type TestNode,
  turns,
} from '../support/test-node.ts'

const ann = 'ann' as UserId
const bob = 'bob' as UserId
const p2p = p2pConversationId(ann, bob)
const groupId = 'g1' as GroupId
const inGroup = groupConversationId(groupId)

let log: TestLog
let clock: HandClock
let store: FaultyStore
let node: TestNode
/** A second process at the same log, with a subscription of its own. */
let otherStore: FaultyStore
let other: TestNode
let lookUps: [UserId, string, Position][]
let found: SentMessage | undefined
let lag = 0

const dependencies = () => ({
  clock,
  delay: async () => {},
  readModelLagEvents: () => lag,
  lookUpSend: async (from: UserId, key: string, after: Position) => {
    lookUps.push([from, key, after])
    return found
  },
})

beforeEach(async () => {
  log = await openTestLog()
  clock = handClock()
  lookUps = []
  found = undefined
  lag = 0
  store = faultyStoreOver(log.store)
  otherStore = faultyStoreOver(log.store)
  node = await startTestNode(store, dependencies())
  other = await startTestNode(otherStore, dependencies())
  await openAccount(node, ann)
  await openAccount(node, bob)
  const at = clock.now()
  const create = {
    type: 'CreateGroup',
    groupId,
    name: 'G',
    inviteeConsent: 'none',
    memberIds: [bob],
    memberLimit: 10,
    inviteMode: 'managers',
  }
  await node.handle(group, streamOf.group(groupId), { ...create, by: ann, at } as never, {
    facts: { groupsCreated: 0 },
  })
  await caughtUp(other)
})
afterEach(async () => {
  for (const gates of [store, otherStore]) {
    gates.appendGate.open()
    gates.subscriptionGate.open()
  }
  await Promise.all([node.close(), other.close()])
  expect([...node.errors, ...other.errors]).toEqual([])
  await log.dispose()
})

const restart = async () => {
  await node.close()
  node = await startTestNode(store, dependencies())
}

const newKey = () => messageIdAt(clock.unixMs())
const send = (
  key: string,
  text = 'hello',
  conversationId: ConversationId = p2p,
  through: TestNode = node,
  from = ann,
) => through.send({ conversationId, from, clientMessageId: key, content: { type: 'text', body: { text } } })
const sent = async (outcome: ReturnType<typeof send>): Promise<SendReply> => {
  const reply = await outcome
  expect(reply).not.toHaveProperty('rejected')
  return reply as SendReply
}
const messages = async (conversationId: ConversationId = p2p) =>
  (await wholeStream(log.store, streamOf.conversation(conversationId))).map(
    event => event.data as { seq: number; clientMessageId: string; countable: number; at: string },
  )
const asRepeat = ({ seq, at, position }: SendReply) => ({ seq, at, position, repeated: true })

describe('a send', () => {
  test('is told its number, its time and its place', async () => {
    const reply = await sent(send(newKey()))
    const [event] = await wholeStream(log.store, streamOf.conversation(p2p))
    expect(reply).toEqual({ seq: 1, at: clock.now(), position: event?.position, repeated: false })
  })

  test('costs no read once its states are held', async () => {
    await send(newKey())
    store.reads.length = 0
    await sent(send(newKey()))
    expect(store.reads).toEqual([])
    expect(lookUps).toEqual([])
  })

  test.each([
    ['to one who blocked the sender', 'message.blocked', () => send(newKey(), 'x', p2p, node, bob)],
    ['to nobody', 'user.not-found', () => send(newKey(), 'x', p2pConversationId(ann, 'nobody' as UserId))],
    [
      'to an account that was never finished',
      'user.not-found',
      () => send(newKey(), 'x', p2pConversationId(ann, 'half' as UserId)),
    ],
    ['to oneself', 'message.to-self', () => send(newKey(), 'x', 'p2p:ann:ann' as ConversationId)],
    [
      'into a conversation of others',
      'conversation.not-found',
      () => send(newKey(), 'x', 'p2p:bob:cid' as ConversationId),
    ],
    ['into a group of others', 'conversation.not-found', () => send(newKey(), 'x', inGroup, node, 'cid' as UserId)],
    ['into no conversation', 'conversation.not-found', () => send(newKey(), 'x', 'nonsense' as ConversationId)],
  ])('%s is refused', async (_what, code, give) => {
    await beginAccount(node, 'half' as UserId)
    const block = { type: 'BlockUser', userId: ann, blockedId: bob, at: clock.now() } as const
    await node.handle(blocklist, streamOf.blocklist(ann), block, { facts: undefined })
    expect(await give()).toMatchObject({ rejected: code })
  })

  test('whose id is from the future is refused with the time of the server', async () => {
    const aheadMs = limits.clientClockAheadSecondsMax * 1_000
    expect(await send(messageIdAt(clock.unixMs() + aheadMs + 1))).toMatchObject({
      rejected: 'message.clock-ahead',
      data: { serverTime: clock.now() },
    })
    await sent(send(messageIdAt(clock.unixMs() + aheadMs)))
  })
})

describe('a repeated send', () => {
  test('gets the first reply', async () => {
    const key = newKey()
    const first = await sent(send(key))
    clock.advance(1_000)
    expect(await send(key)).toEqual(asRepeat(first))
    expect(await messages()).toHaveLength(1)
  })

  test('gets the first reply while the first one is under way', async () => {
    const key = newKey()
    const [first, ...repeats] = await Promise.all([send(key), send(key), send(key)])
    expect(repeats).toEqual([asRepeat(first as SendReply), asRepeat(first as SendReply)])
    expect(await messages()).toHaveLength(1)
  })

  test('with another text is refused, also while the first one is under way', async () => {
    const key = newKey()
    const [, meanwhile] = await Promise.all([send(key), send(key, 'other')])
    expect(meanwhile).toMatchObject({ rejected: 'idempotency.mismatch' })
    expect(await send(key, 'other')).toMatchObject({ rejected: 'idempotency.mismatch' })
    expect(await messages()).toHaveLength(1)
  })

  test('into another conversation is refused', async () => {
    const key = newKey()
    await sent(send(key))
    expect(await send(key, 'hello', inGroup)).toMatchObject({ rejected: 'idempotency.mismatch' })
    expect(await messages(inGroup)).toEqual([])
  })

  test('of another sender is another message', async () => {
    const key = newKey()
    await Promise.all([sent(send(key)), sent(send(key, 'hello', p2p, node, bob))])
    expect((await messages()).map(({ seq }) => seq)).toEqual([1, 2])
  })

  test('of what was refused is decided again, and another text on its own', async () => {
    const key = newKey()
    const nobodys = p2pConversationId(ann, 'nobody' as UserId)
    const outcomes = await Promise.all([send(key, 'x', nobodys), send(key, 'x', nobodys), send(key, 'x')])
    expect(outcomes).toMatchObject([{ rejected: 'user.not-found' }, { rejected: 'user.not-found' }, { seq: 1 }])
    await openAccount(node, 'nobody' as UserId)
    expect(await send(newKey(), 'x', nobodys)).toMatchObject({ seq: 1 })
  })

  test('gets the first reply after a restart', async () => {
    const keys = [newKey(), newKey(), newKey()]
    const first = await Promise.all(keys.map(key => sent(send(key))))
    await restart()
    const again = await Promise.all(keys.map(key => send(key)))
    expect(again.map(reply => (reply as SendReply).seq)).toEqual(first.map(({ seq }) => seq))
    expect(again).toMatchObject(Array(3).fill({ repeated: true, at: first[0]?.at }))
    expect([await messages(), lookUps]).toEqual([expect.objectContaining({ length: 3 }), []])
  })

  test('after an outcome nobody knew finds what landed, or lands now', async () => {
    const [landed, lost] = [newKey(), newKey()]
    store.faults.push({ fault: answerLost }, ...Array.from({ length: 6 }, () => ({ fault: requestLost })))
    await expect(send(landed)).rejects.toThrow(UnknownOutcome)
    expect(await send(landed)).toMatchObject({ seq: 1, repeated: true })
    store.faults.push(...Array.from({ length: 7 }, () => ({ fault: requestLost })))
    await expect(send(lost)).rejects.toThrow(UnknownOutcome)
    expect(await send(lost)).toMatchObject({ seq: 2, repeated: false })
    expect(await messages()).toHaveLength(2)
  })
})

describe('a send repeated through another node', () => {
  test('is known there once its subscription has brought it', async () => {
    const key = newKey()
    const first = await sent(send(key))
    await caughtUp(other)
    expect(await send(key, 'hello', p2p, other)).toEqual(asRepeat(first))
  })

  test('waits for the subscription when the conversation must be read first', async () => {
    otherStore.subscriptionGate.shut()
    const key = newKey()
    const first = await sent(send(key))
    let reply: unknown
    const repeat = send(key, 'hello', p2p, other).then(outcome => {
      reply = outcome
    })
    await turns()
    expect(reply).toBeUndefined()
    otherStore.subscriptionGate.open()
    await repeat
    expect(reply).toEqual(asRepeat(first))
    expect(await messages()).toHaveLength(1)
  })

  test('does not happen twice on a head that is out of date', async () => {
    await sent(send(newKey()))
    await caughtUp(other)
    await sent(send(newKey(), 'so that it is held there', p2p, other))
    await caughtUp(node)
    otherStore.subscriptionGate.shut()
    const key = newKey()
    const first = await sent(send(key))
    const [repeat, next] = await Promise.all([send(key, 'hello', p2p, other), send(newKey(), 'next', p2p, other)])
    expect(repeat).toMatchObject({ seq: first.seq, position: first.position })
    expect(next).toMatchObject({ seq: first.seq + 1 })
    expect((await messages()).map(({ seq }) => seq)).toEqual([1, 2, 3, 4])
  })

  test('with another text is refused also on a head that is out of date', async () => {
    await sent(send(newKey(), 'first', p2p, other))
    await caughtUp(node)
    otherStore.subscriptionGate.shut()
    const key = newKey()
    await sent(send(key))
    expect(await send(key, 'another text', p2p, other)).toMatchObject({ rejected: 'idempotency.mismatch' })
    expect(await messages()).toHaveLength(2)
  })
})
