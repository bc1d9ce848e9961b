// What a group's conversation says about the group: one message an event, in the order of the events, never twice.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { NotificationBody } from '../../domain/conversation/events.ts'
import { type GroupCommand, group } from '../../domain/group/group.ts'
import {
  type GroupId,
  groupConversationId,
  type Position,
  streamOf,
  systemUserId,
  type UserId,
} from '../../domain/ids.ts'
import { sendKeyAgeMsMax } from '../../eventstore/sends.ts'
import { noticesFollower } from '../../followers/notices.ts'
import { type RunningFollower, startFollower } from '../../followers/runner.ts'
import {
  answerLost,
  type FaultyStore,
  faultyStoreOver,
  openTestLog,
  type TestLog,
  wholeStream,
} from '../support/faulty-store.ts'
import { type HandClock, handClock, startTestNode, type TestNode, turns, whenTrue } from '../support/test-node.ts'

const [ann, bob, cid] = ['ann', 'bob', 'cid'] as unknown as [UserId, UserId, UserId]
const groupId = 'g1' as GroupId

let log: TestLog
let clock: HandClock
let store: FaultyStore
let node: TestNode
let follower: RunningFollower | undefined
let errors: unknown[]
let lookUps: string[]

const startNode = async () => {
  store = faultyStoreOver(log.store)
  node = await startTestNode(store, {
    clock,
    delay: async () => {},
    lookUpSend: async (_from, key) => {
      lookUps.push(key)
      // The later it was asked, the sooner it answers.
      await turns(20 - (lookUps.length % 20))
      return undefined
    },
  })
}
beforeEach(async () => {
  log = await openTestLog()
  clock = handClock()
  errors = []
  lookUps = []
  await startNode()
})
afterEach(async () => {
  await follower?.stop()
  follower = undefined
  await node.close()
  expect(node.errors).toEqual([])
  await log.dispose()
})

const follow = () => {
  follower = startFollower(node, noticesFollower(node), error => errors.push(error))
}
const run = (command: Partial<GroupCommand> & { type: string }, id = groupId) =>
  node.handle(group, streamOf.group(id), { by: ann, at: clock.now(), ...command } as never, {
    facts: { groupsCreated: 0 },
  })
const create = (memberIds: readonly UserId[] = [bob], id = groupId) =>
  run(
    {
      type: 'CreateGroup',
      groupId: id,
      name: 'G',
      inviteeConsent: 'none',
      memberIds,
      memberLimit: 200,
      inviteMode: 'managers',
    },
    id,
  )
const said = async (id = groupId) =>
  (await wholeStream(log.store, streamOf.conversation(groupConversationId(id)))).map(event => {
    const { from, body, seq, clientMessageId } = event.data as {
      from: UserId
      body: NotificationBody
      seq: number
      clientMessageId: string
    }
    expect(from).toBe(systemUserId)
    return { seq, clientMessageId, ...body }
  })
const whenSaid = async (count: number, id = groupId) => {
  const stream = streamOf.conversation(groupConversationId(id))
  await whenTrue(() => (node.states.peek<{ lastSeq: number }>(stream)?.state.lastSeq ?? 0) >= count)
  return said(id)
}

test('every event of a group is told once, with who and whom', async () => {
  follow()
  await create([bob])
  await run({ type: 'AddMembers', userIds: [cid] } as never)
  await run({ type: 'AddAdmin', userId: cid } as never)
  await run({ type: 'RemoveAdmin', userId: cid } as never)
  await run({ type: 'RemoveMembers', userIds: [cid] } as never)
  await run({ type: 'TransferGroup', to: bob, leave: true, ownsMost: false } as never)
  await run({ type: 'DissolveGroup', by: bob } as never)
  const all = await whenSaid(8)
  expect(all.map(({ event, by, targets }) => ({ event, by, targets }))).toEqual([
    { event: 'memberInvited', by: ann, targets: [bob] },
    { event: 'memberInvited', by: ann, targets: [cid] },
    { event: 'adminAdded', by: ann, targets: [cid] },
    { event: 'adminRemoved', by: ann, targets: [cid] },
    { event: 'memberRemoved', by: ann, targets: [cid] },
    { event: 'ownerTransferred', by: ann, targets: [bob] },
    { event: 'memberLeft', by: ann, targets: [ann] },
    { event: 'groupDissolved', by: bob, targets: undefined },
  ])
  const events = await wholeStream(log.store, streamOf.group(groupId))
  expect(all.map(({ clientMessageId }) => clientMessageId)).toEqual(events.map(({ id }) => id))
})

test('a group of one has nobody to tell', async () => {
  follow()
  await create([])
  await run({ type: 'AddMembers', userIds: [bob] } as never)
  expect(await whenSaid(1)).toMatchObject([{ event: 'memberInvited', targets: [bob] }])
})

test('a replay of the whole log says nothing twice', async () => {
  follow()
  await create([bob])
  await run({ type: 'AddMembers', userIds: [cid] } as never)
  const before = await whenSaid(2)
  await follower?.stop()
  const again = noticesFollower(node)
  const replayed: Position[] = []
  follower = startFollower(
    node,
    {
      name: 'again',
      react: async events => {
        const did = await again.react(events)
        replayed.push(...events.map(({ position }) => position))
        return did
      },
    },
    error => errors.push(error),
  )
  const head = await log.store.head()
  await whenTrue(() => (replayed.at(-1) ?? '') >= head)
  expect([await said(), errors]).toEqual([before, []])
})

test('a notification whose answer was lost is written once', async () => {
  const stream = streamOf.conversation(groupConversationId(groupId))
  store.faults.push({ fault: answerLost, stream }, { fault: answerLost, stream })
  follow()
  await create([bob])
  await run({ type: 'AddMembers', userIds: [cid] } as never)
  expect((await whenSaid(2)).map(({ seq }) => seq)).toEqual([1, 2])
})

describe('after a long absence', () => {
  test('the events of one group are told in their order, although each must be looked up', async () => {
    await create([bob])
    for (let index = 0; index < 100; index++) {
      await run({ type: index % 2 === 0 ? 'AddAdmin' : 'RemoveAdmin', userId: bob } as never)
    }
    await create([bob], 'g2' as GroupId)
    // Enough messages that memory no longer reaches back to those events.
    const filler = { conversationId: groupConversationId('g3' as GroupId), sourceAt: clock.now() } as const
    const body = { event: 'adminAdded', by: ann, targets: [bob] } as const
    for (let index = 0; index < 1_200; index += 100) {
      await Promise.all(
        Array.from({ length: 100 }, (_, at) => node.notify({ ...filler, sourceId: `f${index + at}`, body })),
      )
    }
    clock.advance(sendKeyAgeMsMax * 2)
    await node.close()
    await startNode()
    follow()
    const all = await whenSaid(101)
    expect(lookUps.length).toBeGreaterThan(100)
    const events = await wholeStream(log.store, streamOf.group(groupId))
    expect(all.map(({ clientMessageId }) => clientMessageId)).toEqual(events.map(({ id }) => id))
    expect(await whenSaid(1, 'g2' as GroupId)).toHaveLength(1)
  })
})
