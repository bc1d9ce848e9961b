// Sends that are older than what is remembered, sends that are held back, and the server's own messages.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { group } from '../../domain/group/group.ts'
import {
  type ConversationId,
  type GroupId,
  groupConversationId,
  type Position,
  p2pConversationId,
  streamOf,
  systemUserId,
  type UserId,
} from '../../domain/ids.ts'
import { Overloaded } from '../../eventstore/handle.ts'
import { heldBackSendsMax, holdBackLagEvents, holdBackMsMax, type SendReply } from '../../eventstore/send.ts'
import { contentHashOf, type SentMessage, sendKeyAgeMsMax } from '../../eventstore/sends.ts'
import { type FaultyStore, faultyStoreOver, openTestLog, type TestLog, wholeStream } from '../support/faulty-store.ts'
import {
  caughtUp,
  type HandClock,
  handClock,
  messageIdAt,
  newEvent,
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

describe('a send whose key is older than what is remembered', () => {
  const dayMs = 86_400_000
  let oldKey: string
  let oldest: SendReply

  beforeEach(async () => {
    oldKey = newKey()
    oldest = await sent(send(oldKey))
    await Promise.all(Array.from({ length: 1_100 }, (_, index) => send(newKey(), `text ${index}`)))
    clock.advance(dayMs)
    await restart()
  })

  test('is looked up in read models that have passed everything forgotten', async () => {
    const { seq, at, position } = oldest
    found = {
      conversationId: p2p,
      seq,
      at,
      position,
      contentHash: contentHashOf({ type: 'text', body: { text: 'hello' } }),
    }
    expect(await send(oldKey)).toEqual(asRepeat(oldest))
    expect(lookUps).toEqual([[ann, oldKey, node.recentSends.forgotten]])
    // Everything that is not remembered lies at or before it.
    const keys = (await messages()).map(({ clientMessageId }) => clientMessageId)
    const positions = (await wholeStream(log.store, streamOf.conversation(p2p))).map(event => event.position)
    const unknown = positions.filter((_, index) => node.recentSends.find(ann, keys[index] as string) === undefined)
    expect(unknown.length).toBeGreaterThan(0)
    for (const unknownPosition of unknown) expect(unknownPosition <= node.recentSends.forgotten).toBe(true)
  })

  test('with another text is refused', async () => {
    const { seq, at, position } = oldest
    found = { conversationId: p2p, seq, at, position, contentHash: 1 }
    expect(await send(oldKey)).toMatchObject({ rejected: 'idempotency.mismatch' })
  })

  test('lands when the read models do not know it', async () => {
    const unsent = messageIdAt(clock.unixMs() - dayMs)
    expect(await send(unsent)).toMatchObject({ seq: 1_102, repeated: false })
    expect(lookUps).toHaveLength(1)
    expect(await send(unsent)).toMatchObject({ seq: 1_102, repeated: true })
    expect(lookUps).toHaveLength(1)
  })

  test('is not looked up when it was made just now', async () => {
    await sent(send(newKey()))
    expect(lookUps).toEqual([])
  })

  test('is always looked up when it does not tell its age', async () => {
    await sent(send('an id of another form'))
    expect(lookUps).toHaveLength(1)
  })

  test('fails when the look-up fails, and nothing is sent', async () => {
    await node.close()
    node = await startTestNode(store, {
      ...dependencies(),
      lookUpSend: async () => {
        throw new Error('the read models are behind')
      },
    })
    await expect(send(oldKey)).rejects.toThrow('behind')
    expect(await messages()).toHaveLength(1_101)
  })
})

test('an id that does not tell its age needs no look-up while nothing is forgotten', async () => {
  await sent(send('an id of another form'))
  expect(await send('an id of another form')).toMatchObject({ repeated: true })
  expect(lookUps).toEqual([])
})

test('many at once get numbers without a hole', async () => {
  await Promise.all(
    Array.from({ length: 700 }, (_, index) => sent(send(newKey(), `${index}`, p2p, index % 2 ? node : other))),
  )
  const all = await messages()
  expect(all.map(({ seq }) => seq)).toEqual(Array.from({ length: 700 }, (_, index) => index + 1))
  expect(all.map(({ countable }) => countable)).toEqual(all.map(({ seq }) => seq))
})

describe('sends are held back while the read models lag too far', () => {
  test('and go on when these have caught up', async () => {
    lag = holdBackLagEvents + 1
    const replies = Array.from({ length: 100 }, () => send(newKey()))
    await turns()
    expect(await messages()).toEqual([])
    lag = holdBackLagEvents
    await Promise.all(replies.map(sent))
  })

  test('for a bounded time', async () => {
    lag = holdBackLagEvents + 1
    const reply = send(newKey())
    await turns()
    clock.advance(holdBackMsMax + 1)
    await expect(reply).rejects.toThrow(Overloaded)
    expect(await messages()).toEqual([])
  })

  test('in a bounded number', async () => {
    lag = holdBackLagEvents + 1
    const waiting = Promise.allSettled(Array.from({ length: heldBackSendsMax }, (_, index) => send(`key ${index}`)))
    await turns()
    await expect(send(newKey())).rejects.toThrow(Overloaded)
    clock.advance(holdBackMsMax + 1)
    await waiting
    lag = 0
    await sent(send(newKey()))
  })
})

describe('a notification', () => {
  const notify = (sourceId: string, event: 'ownerTransferred' | 'adminAdded' = 'adminAdded', sourceAt = clock.now()) =>
    node.notify({ conversationId: inGroup, sourceId, sourceAt, body: { event, by: ann, targets: [bob] } })

  test('is written once for its source', async () => {
    const outcomes = await Promise.all([notify('e1'), notify('e1'), notify('e2')])
    expect(outcomes).toMatchObject([
      { seq: 1, repeated: false },
      { seq: 1, repeated: true },
      { seq: 2, repeated: false },
    ])
    await restart()
    expect(await notify('e1')).toMatchObject({ seq: 1, repeated: true })
    expect((await messages(inGroup)).map(({ countable }) => countable)).toEqual([0, 0])
  })

  test('stands as it was written, also when it would be put otherwise today', async () => {
    await notify('e1')
    expect(await notify('e1', 'ownerTransferred')).toMatchObject({ seq: 1, repeated: true })
  })

  test('of an old event is looked up by the age of the event', async () => {
    await Promise.all(Array.from({ length: 1_100 }, (_, index) => send(newKey(), `text ${index}`)))
    const oldAt = clock.now()
    clock.advance(sendKeyAgeMsMax * 2)
    await restart()
    found = { conversationId: inGroup, seq: 7, at: oldAt, position: '0000000000000001' as Position, contentHash: 0 }
    expect(await notify('e1', 'adminAdded', oldAt)).toMatchObject({ seq: 7, repeated: true })
    expect(lookUps).toEqual([[systemUserId, 'e1', node.recentSends.forgotten]])
    expect(await notify('e2')).toMatchObject({ seq: 1, repeated: false })
    expect(lookUps).toHaveLength(1)
  })
})

test('an event of the log that nobody appended through a node is known as well', async () => {
  const data = { conversationId: p2p, seq: 1, from: ann, clientMessageId: 'k', type: 'text', body: { text: 'hello' } }
  const event = newEvent('MessageSent', { ...data, at: clock.now(), countable: 1 })
  const { position } = await log.store.append(streamOf.conversation(p2p), [event], 'none')
  await caughtUp(node)
  expect(await send('k')).toEqual({ seq: 1, at: clock.now(), position, repeated: true })
})
