// Owns the cases in which devices, lists and read models come apart most easily: membership that comes and goes, lists that
// forget and remember, marks that are set too far or too early, recalls of what is no longer held.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { between, type Player, type Scene, setScene } from '../support/scene.ts'
import { startTestService, type TestService } from '../support/service.ts'

const slowMsMax = 600_000

let service: TestService
let scene: Scene

beforeAll(async () => {
  service = await startTestService()
  scene = await setScene(service)
}, slowMsMax)
afterAll(() => service?.stop(), slowMsMax)

const seqsOf = (rows: readonly { readonly seq?: unknown }[]): number[] => rows.map(({ seq }) => Number(seq))
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)
const nothing: readonly string[] = []

const converged = async (...players: readonly Player[]) => {
  expect(await scene.divergence(...players)).toEqual(nothing)
  expect(service.failures).toEqual([])
}

describe('a membership', () => {
  test('that ended at 100 and began again at 200 shows neither 101 to 199 nor loses 1 to 100', async () => {
    const [ada, bob, cyd] = (await scene.enter('ada', 'bob', 'cyd')) as [Player, Player, Player]
    const { groupId, conversationId } = await scene.group(ada, bob, cyd)
    // The first message tells that they are in; the others are said.
    await ada.sayMuch(conversationId, 99)
    await scene.quiet(bob)
    expect(seqsOf(bob.messages(conversationId))).toEqual(range(1, 100))
    await ada.do('removeMembers', { groupId, userIds: [bob.userId] })
    await scene.quiet(ada)
    await ada.sayMuch(conversationId, 98)
    await ada.do('addMembers', { groupId, userIds: [bob.userId] })
    await scene.quiet(ada, bob)
    await ada.sayMuch(conversationId, 5)
    await scene.quiet(ada, bob)

    // 101 tells of the end, 200 of the new beginning.
    const visible = [...range(1, 100), ...range(200, 205)]
    expect(seqsOf(bob.messages(conversationId))).toEqual(visible)
    expect(seqsOf(await bob.history(conversationId))).toEqual(visible)
    expect(bob.messages(conversationId).find(({ seq }) => seq === 200)).toMatchObject({
      type: 'notification',
      body: { event: 'memberInvited', by: ada.userId, targets: [bob.userId] },
    })
    expect(bob.row(conversationId)).toMatchObject({ lastSeq: 205, readSeq: 199, unread: 5, active: true })
    const path = `/v1/conversations/${encodeURIComponent(conversationId)}/messages`
    const before = await bob.get(`${path}?before=202&limit=4`)
    expect(seqsOf(before.items)).toEqual([99, 100, 200, 201])
    expect(before).toMatchObject({ hasMoreBefore: true, hasMoreAfter: true })
    const after = await bob.get(`${path}?after=98&limit=4`)
    expect(seqsOf(after.items)).toEqual([99, 100, 200, 201])
    expect(seqsOf((await bob.get(`${path}?after=150&limit=1`)).items)).toEqual([200])
    await expect(bob.do('recallMessage', { conversationId, seq: 150 })).rejects.toMatchObject({
      code: 'message.not-found',
    })
    await converged(ada, bob, cyd)
  })

  test('begins with what comes after it, and nothing before it is unread', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const { groupId, conversationId } = await scene.group(ada)
    await ada.sayMuch(conversationId, 7)
    await ada.do('addMembers', { groupId, userIds: [bob.userId] })
    await scene.quiet(ada, bob)
    expect(seqsOf(bob.messages(conversationId))).toEqual([8])
    expect(seqsOf(await bob.history(conversationId))).toEqual([8])
    expect(bob.row(conversationId)).toMatchObject({ lastSeq: 8, readSeq: 7, unread: 0 })
    await ada.say(conversationId)
    await scene.quiet(ada, bob)
    expect(bob.row(conversationId)).toMatchObject({ lastSeq: 9, readSeq: 7, unread: 1 })
    await converged(ada, bob)
  })

  test('that ends leaves the conversation as it was then, and nothing later comes', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const { groupId, conversationId } = await scene.group(ada, bob)
    const said = await ada.say(conversationId, 'the last thing')
    await bob.do('leaveGroup', { groupId })
    await scene.quiet(ada, bob)
    await ada.say(conversationId, 'among ourselves')
    await scene.quiet(ada, bob)
    expect(bob.row(conversationId)).toMatchObject({ lastSeq: said.seq, unread: 1, active: false })
    expect(seqsOf(bob.messages(conversationId))).toEqual([1, said.seq])
    expect(seqsOf(await bob.history(conversationId))).toEqual([1, said.seq])
    expect(bob.device.replica.get('groups')?.has(groupId)).toBe(false)
    await bob.do('markRead', { conversationId, seq: said.seq })
    await converged(ada, bob)
    expect(bob.row(conversationId)).toMatchObject({ unread: 0 })
  })

  test('that ended does not keep a recalled message alive', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const { groupId, conversationId } = await scene.group(ada, bob)
    const first = await ada.say(conversationId, 'a secret')
    const last = await ada.say(conversationId, 'another secret')
    await ada.do('removeMembers', { groupId, userIds: [bob.userId] })
    await scene.quiet(ada, bob)
    const later = await ada.say(conversationId, 'not for bob')
    await ada.do('recallMessage', { conversationId, seq: later.seq })
    await ada.do('recallMessage', { conversationId, seq: first.seq })
    await ada.do('recallMessage', { conversationId, seq: last.seq })
    await scene.quiet(ada, bob)
    expect(bob.messages(conversationId).map(({ body }) => body)).toEqual([expect.anything(), {}, {}])
    expect(bob.row(conversationId)).toMatchObject({ unread: 0, lastMessage: { seq: last.seq, body: {} } })
    await converged(ada, bob)
  })

  test('that began again without a message since shows the recall of what was seen last', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const { groupId, conversationId } = await scene.group(ada, bob)
    const last = await ada.say(conversationId, 'a secret')
    await ada.do('removeMembers', { groupId, userIds: [bob.userId] })
    await scene.quiet(ada, bob)
    // Its message tells of the invitation; what was seen last lies before the gap until it comes.
    await Promise.all([
      ada.do('addMembers', { groupId, userIds: [bob.userId] }),
      ada.do('recallMessage', { conversationId, seq: last.seq }),
    ])
    await converged(ada, bob)
    expect(bob.messages(conversationId).find(({ seq }) => seq === last.seq)).toMatchObject({ body: {} })
  })
})

describe('a group without a message', () => {
  test('is in no list until its first one', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const { groupId, conversationId } = await scene.group(ada)
    expect(ada.device.replica.get('groups')?.has(groupId)).toBe(true)
    expect(ada.row(conversationId)).toBeUndefined()
    expect((await ada.get('/v1/conversations')).items).toEqual([])
    await converged(ada)
    await ada.say(conversationId)
    await scene.quiet(ada)
    expect(ada.row(conversationId)).toMatchObject({ lastSeq: 1, unread: 0, active: true, pinnedAt: null })
    await ada.do('addMembers', { groupId, userIds: [bob.userId] })
    await converged(ada, bob)
  })

  test('comes as it was pinned', async () => {
    const [ada] = (await scene.enter('ada')) as [Player]
    const { conversationId } = await scene.group(ada)
    await ada.do('updateConversation', { conversationId, pinned: true })
    await scene.quiet(ada)
    expect(ada.row(conversationId)).toBeUndefined()
    await ada.say(conversationId)
    await converged(ada)
    expect(ada.row(conversationId)?.pinnedAt).toMatch(/Z$/)
  })
})

describe('the first message between two', () => {
  test('gives both sides the other person and the conversation, before the message itself', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const conversationId = between(ada, bob)
    await ada.say(conversationId, 'hello')
    await scene.quiet(ada, bob)
    for (const [me, other] of [
      [ada, bob],
      [bob, ada],
    ] as const) {
      const { userId, userName } = other.person
      expect(me.device.replica.get('users')?.get(userId)).toEqual({ userId, userName, name: userName })
      expect(me.row(conversationId)).toMatchObject({
        kind: 'p2p',
        lastSeq: 1,
        unread: me === bob ? 1 : 0,
        readSeq: 0,
        clearedSeq: 0,
        pinnedAt: null,
        active: true,
        lastMessage: { seq: 1, body: { text: 'hello' } },
      })
    }
    await converged(ada, bob)
  })
})

describe('a changed profile (R3)', () => {
  test('reaches all own devices and those who hold the row, public fields only, and nobody else', async () => {
    const [ada, bob, eve] = (await scene.enter('ada', 'bob', 'eve')) as [Player, Player, Player]
    await ada.say(between(ada, bob), 'hello')
    await scene.quiet(ada, bob, eve)
    await ada.device.command('updateOwnUser', { name: 'Countess', signature: 'away', friendPolicy: 'nobody' })
    await scene.quiet(ada, bob, eve)
    const { userId, userName } = ada.person
    const seen = { userId, userName, name: 'Countess', signature: 'away' }
    expect(bob.device.replica.get('users')?.get(userId)).toEqual(seen)
    expect(ada.device.replica.get('users')?.get(userId)).toMatchObject({ ...seen, friendPolicy: 'nobody' })
    expect(eve.device.replica.get('users')?.has(userId)).toBe(false)
    await converged(ada, bob, eve)
  })
})

describe('a deleted conversation', () => {
  test.each([
    ['with its messages', true],
    ['without its messages', false],
  ])('%s comes back with its next message', async (_how, messages) => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const conversationId = between(ada, bob)
    await ada.sayMuch(conversationId, 3)
    await scene.quiet(bob)
    await bob.do('updateConversation', { conversationId, pinned: true })
    await bob.do('deleteConversation', { conversationId, messages })
    await scene.quiet(bob)
    expect(bob.row(conversationId)).toBeUndefined()
    expect(await bob.get('/v1/unread')).toMatchObject({ total: 0, conversations: 0 })
    await converged(ada, bob)
    await ada.say(conversationId, 'still there?')
    await scene.quiet(ada, bob)
    expect(bob.row(conversationId)).toMatchObject({
      lastSeq: 4,
      unread: 1,
      readSeq: 3,
      clearedSeq: messages ? 3 : 0,
      pinnedAt: null,
      lastMessage: { seq: 4 },
    })
    expect(seqsOf(await bob.history(conversationId))).toEqual(messages ? [4] : [1, 2, 3, 4])
    expect(seqsOf(await ada.history(conversationId))).toEqual([1, 2, 3, 4])
    await converged(ada, bob)
  })

  test('that is cleared while it is away comes back cleared', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const conversationId = between(ada, bob)
    await ada.sayMuch(conversationId, 3)
    await bob.do('deleteConversation', { conversationId })
    await bob.do('clearConversations', { conversationIds: [conversationId], what: 'all' })
    await ada.say(conversationId)
    await converged(ada, bob)
    expect(bob.row(conversationId)).toMatchObject({ clearedSeq: 3, lastSeq: 4, unread: 1 })
    expect(seqsOf(bob.messages(conversationId))).toEqual([4])
  })

  test('comes back on a device that was off meanwhile', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const conversationId = between(ada, bob)
    await ada.sayMuch(conversationId, 3)
    await scene.quiet(ada, bob)
    const second = await bob.another('second')
    await second.close()
    await bob.do('deleteConversation', { conversationId })
    await ada.say(conversationId)
    bob.devices[1] = await service.connect(await service.signIn(bob.person, 'third'), { replica: second.state })
    expect(bob.devices[1].welcome.reset).toBe(false)
    await converged(ada, bob)
  })
})

describe('clearing', () => {
  test('takes what is there from all own devices, and nothing from the other side', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const conversationId = between(ada, bob)
    const second = await bob.another('second')
    await ada.sayMuch(conversationId, 3)
    await scene.quiet(ada, bob)
    await bob.do('clearConversations', { conversationIds: [conversationId], what: 'all' })
    await scene.quiet(ada, bob)
    for (const device of [bob.device, second]) {
      expect(device.replica.get('conversations')?.get(conversationId)).toMatchObject({
        clearedSeq: 3,
        readSeq: 3,
        unread: 0,
        lastSeq: 3,
        lastMessage: null,
      })
      expect(device.state.messagesOf(conversationId)).toEqual([])
    }
    await ada.say(conversationId, 'anew')
    await scene.quiet(ada, bob)
    expect(bob.row(conversationId)).toMatchObject({ clearedSeq: 3, unread: 1, lastSeq: 4, lastMessage: { seq: 4 } })
    expect(seqsOf(await bob.history(conversationId))).toEqual([4])
    expect(seqsOf(await ada.history(conversationId))).toEqual([1, 2, 3, 4])
    await converged(ada, bob)
  })
})
