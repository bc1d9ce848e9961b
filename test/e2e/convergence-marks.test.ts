// Owns the cases of read marks and recalls in which unread goes wrong most easily: beyond the head, backwards, below the own
// beginning, and of messages that a device does not hold.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { between, type Player, type Scene, setScene } from '../support/scene.ts'
import { startTestService, type TestService } from '../support/service.ts'

const slowMsMax = 600_000
/** More than a sync brings of one conversation. */
const many = 130

let service: TestService
let scene: Scene

beforeAll(async () => {
  service = await startTestService()
  scene = await setScene(service)
}, slowMsMax)
afterAll(() => service?.stop(), slowMsMax)

const converged = async (...players: readonly Player[]) => {
  expect(await scene.divergence(...players)).toEqual([])
  expect(service.failures).toEqual([])
}

const pairWith = async (messages: number): Promise<[Player, Player, string]> => {
  const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
  const conversationId = between(ada, bob)
  if (messages > 0) await ada.sayMuch(conversationId, messages)
  await scene.quiet(ada, bob)
  return [ada, bob, conversationId]
}

describe('a read mark', () => {
  test('beyond the head stops there: what comes next is unread', async () => {
    const [ada, bob, conversationId] = await pairWith(3)
    await bob.do('markRead', { conversationId, seq: 1_000 })
    await scene.quiet(bob)
    expect(bob.row(conversationId)).toMatchObject({ readSeq: 3, unread: 0 })
    await ada.say(conversationId)
    await converged(ada, bob)
    expect(bob.row(conversationId)).toMatchObject({ readSeq: 3, unread: 1 })
  })

  test('never goes back', async () => {
    const [ada, bob, conversationId] = await pairWith(5)
    await bob.do('markRead', { conversationId, seq: 4 })
    await bob.do('markRead', { conversationId, seq: 2 })
    await converged(ada, bob)
    expect(bob.row(conversationId)).toMatchObject({ readSeq: 4, unread: 1 })
  })

  test('below the beginning of a membership makes nothing unread, not even for a moment', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const { groupId, conversationId } = await scene.group(ada)
    await ada.sayMuch(conversationId, 5)
    await ada.do('addMembers', { groupId, userIds: [bob.userId] })
    await scene.quiet(ada, bob)
    const unread: unknown[] = []
    const second = await bob.another('second')
    bob.devices.push(
      await service.connect(await service.signIn(bob.person, 'third'), {
        onFrame: () => unread.push(bob.row(conversationId)?.unread),
      }),
    )
    for (const seq of [1, 4, 5]) await bob.do('markRead', { conversationId, seq })
    await converged(ada, bob)
    expect(new Set(unread)).toEqual(new Set([0]))
    expect(second.replica.get('conversations')?.get(conversationId)).toMatchObject({ readSeq: 5, unread: 0 })
  })

  test('set while nothing has come since one is back does not open the gap', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const { groupId, conversationId } = await scene.group(ada, bob)
    await ada.sayMuch(conversationId, 3)
    await ada.do('removeMembers', { groupId, userIds: [bob.userId] })
    await scene.quiet(ada, bob)
    await ada.sayMuch(conversationId, 3)
    await Promise.all([
      ada.do('addMembers', { groupId, userIds: [bob.userId] }),
      bob.do('markRead', { conversationId, seq: 2 }),
      bob.do('clearConversations', { conversationIds: [conversationId], what: 'all' }),
    ])
    await converged(ada, bob)
  })

  test('set on one device reaches the others, and counts anew what they hold', async () => {
    const [ada, bob, conversationId] = await pairWith(6)
    const second = await bob.another('second')
    await bob.do('markRead', { conversationId, seq: 4 })
    await scene.quiet(bob)
    expect(second.replica.get('conversations')?.get(conversationId)).toMatchObject({ readSeq: 4, unread: 2 })
    await converged(ada, bob)
  })

  test('among messages that a device does not hold is asked about', async () => {
    const [ada, bob, conversationId] = await pairWith(many)
    const fresh = await bob.another('fresh')
    expect(fresh.state.messagesOf(conversationId)).toHaveLength(100)
    expect(fresh.replica.get('conversations')?.get(conversationId)).toMatchObject({ unread: many })
    await fresh.command('markRead', { conversationId, seq: 10 })
    await converged(ada, bob)
    expect(fresh.replica.get('conversations')?.get(conversationId)).toMatchObject({ unread: many - 10 })
  })

  test('of everything is one command', async () => {
    const [ada, bob, conversationId] = await pairWith(2)
    const { conversationId: inGroup } = await scene.group(ada, bob)
    await ada.sayMuch(inGroup, 3)
    await scene.quiet(ada, bob)
    expect(await bob.get('/v1/unread')).toEqual({ total: 5, byKind: { p2p: 2, group: 3 }, conversations: 2 })
    expect(await bob.do('readAllConversations', {})).toMatchObject({ read: 2, more: false })
    await converged(ada, bob)
    expect(bob.row(conversationId)).toMatchObject({ unread: 0, readSeq: 2 })
    expect(await bob.get('/v1/unread')).toEqual({ total: 0, byKind: { p2p: 0, group: 0 }, conversations: 0 })
  })
})

describe('a recall', () => {
  test('of an unread message takes it from the count, of a read one does not', async () => {
    const [ada, bob, conversationId] = await pairWith(3)
    await bob.do('markRead', { conversationId, seq: 1 })
    await ada.do('recallMessage', { conversationId, seq: 1 })
    await scene.quiet(ada, bob)
    expect(bob.row(conversationId)).toMatchObject({ unread: 2 })
    await ada.do('recallMessage', { conversationId, seq: 2 })
    await converged(ada, bob)
    expect(bob.row(conversationId)).toMatchObject({ unread: 1 })
    expect(bob.messages(conversationId)[1]).toMatchObject({
      seq: 2,
      from: ada.userId,
      body: {},
      recalled: { by: ada.userId },
    })
  })

  test('of the last message shows in the list', async () => {
    const [ada, bob, conversationId] = await pairWith(2)
    await ada.do('recallMessage', { conversationId, seq: 2, reason: 'wrong window' })
    await scene.quiet(ada, bob)
    for (const { device } of [ada, bob]) {
      expect(device.replica.get('conversations')?.get(conversationId)).toMatchObject({
        lastSeq: 2,
        lastMessage: { seq: 2, body: {}, recalled: { by: ada.userId, reason: 'wrong window' } },
      })
    }
    await converged(ada, bob)
  })

  test('of the last message does not bring it back to a list from which it was cleared', async () => {
    const [ada, bob, conversationId] = await pairWith(2)
    await bob.do('clearConversations', { conversationIds: [conversationId], what: 'all' })
    await ada.do('recallMessage', { conversationId, seq: 2 })
    await converged(ada, bob)
    expect(bob.row(conversationId)).toMatchObject({ lastMessage: null, lastSeq: 2, unread: 0 })
    expect(bob.messages(conversationId)).toEqual([])
  })

  test('of an unread message that a device does not hold counts once, also when it comes again', async () => {
    const [ada, bob, conversationId] = await pairWith(many)
    const unreadOf = (device: Player['device']) => device.replica.get('conversations')?.get(conversationId)?.unread
    const live = await bob.another('live')
    expect(live.state.messagesOf(conversationId).some(({ seq }) => seq === 5)).toBe(false)
    const { position } = await ada.do('recallMessage', { conversationId, seq: 5 })
    await live.whenPassed(position)
    await bob.readable(position)
    // One whose rows are of the recall already, and one that has just heard of it: both stop at this very event.
    const late = await service.connect(bob.spare)
    for (const device of [live, late]) {
      await device.close()
      expect(device.cursor.endsWith(position)).toBe(true)
      const again = await service.connect(bob.spare, { replica: device.state })
      await again.waitFor(({ settled }) => settled)
      expect(unreadOf(again)).toBe(many - 1)
      await again.close()
    }
    bob.devices.pop()
    await converged(ada, bob)
  })

  test('of a message with the own data of the app takes that as well', async () => {
    const [ada, bob, conversationId] = await pairWith(0)
    const args = { conversationId, clientMessageId: 'one', type: 'text', body: { text: 'hello' }, ext: '{"color":1}' }
    await ada.do('sendMessage', args)
    await ada.do('recallMessage', { conversationId, seq: 1 })
    await converged(ada, bob)
    expect(JSON.stringify(await bob.history(conversationId))).not.toContain('color')
    expect(JSON.stringify(bob.messages(conversationId))).not.toContain('color')
  })
})
