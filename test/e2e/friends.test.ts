// Owns what two people and their devices see of each other as friends: from the request to the end, live, after a break, and
// in a fresh sync; and that a block stands on its own beside all that (R6–R13).

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ServerFrame } from '../support/replica.ts'
import { between, type Player, type Scene, setScene } from '../support/scene.ts'
import { startTestService, type TestService } from '../support/service.ts'

const slowMsMax = 300_000

let service: TestService
let scene: Scene
beforeAll(async () => {
  service = await startTestService()
  scene = await setScene(service)
}, slowMsMax)
afterAll(async () => {
  await service?.stop()
  expect(service?.failures).toEqual([])
}, slowMsMax)

const pair = async () => (await scene.enter('ada', 'bob')) as [Player, Player]
const held = (player: Player, collection: string) => [...(player.device.replica.get(collection)?.values() ?? [])]
const converged = async (...players: Player[]) => expect(await scene.divergence(...players)).toEqual([])
const befriend = async (ada: Player, bob: Player) => {
  await ada.do('requestFriend', { userId: bob.userId })
  return bob.do('acceptFriendRequest', { userId: ada.userId })
}

describe('two people', () => {
  test('become friends on all their devices, and see each other there', async () => {
    const [ada, bob] = await pair()
    await bob.another('second')
    expect(await ada.do('requestFriend', { userId: bob.userId, message: 'It is me' })).toMatchObject({
      state: 'requested',
    })
    await scene.quiet(ada, bob)
    const asked = { direction: 'incoming', userId: ada.userId, state: 'pending', messages: [{ text: 'It is me' }] }
    for (const device of bob.devices) {
      expect([...device.state.collection('friendRequests').values()]).toMatchObject([asked])
    }
    await bob.do('acceptFriendRequest', { userId: ada.userId })
    await scene.quiet(ada, bob)
    expect(held(ada, 'friends')).toMatchObject([{ userId: bob.userId, starred: false }])
    expect(held(ada, 'users')).toContainEqual(expect.objectContaining({ userId: bob.userId, name: expect.any(String) }))
    expect(held(ada, 'notifications')).toMatchObject([{ kind: 'friendRequestResult', state: 'accepted' }])
    expect(held(bob, 'friendRequests')).toMatchObject([{ state: 'accepted', endedAt: expect.any(String) }])
    await converged(ada, bob)
  })

  test('catch up after a break on what became of their requests', async () => {
    const [ada, bob] = await pair()
    const [cyd] = (await scene.enter('cyd')) as [Player]
    await befriend(ada, cyd)
    await ada.do('requestFriend', { userId: bob.userId })
    await scene.quiet(ada, bob, cyd)
    await ada.off()
    await bob.do('rejectFriendRequest', { userId: ada.userId, reason: 'not now' })
    await cyd.do('deleteFriend', { userId: ada.userId })
    await ada.back()
    await scene.quiet(ada, bob, cyd)
    expect(held(ada, 'friendRequests').find(({ userId }) => userId === bob.userId)).toMatchObject({
      state: 'rejected',
      reason: 'not now',
    })
    expect(held(ada, 'friends')).toEqual([])
    await converged(ada, bob, cyd)
  })

  test('hear of a changed name while they are friends, whether or not they have written', async () => {
    const [ada, bob] = await pair()
    await befriend(ada, bob)
    await bob.do('updateOwnUser', { name: 'Bob the Second' })
    await scene.quiet(ada, bob)
    const named = (name: string) => expect.objectContaining({ userId: bob.userId, name })
    expect(held(ada, 'users')).toContainEqual(named('Bob the Second'))
    await ada.do('deleteFriend', { userId: bob.userId })
    await bob.do('updateOwnUser', { name: 'Bob the Third' })
    await scene.quiet(ada, bob)
    expect(held(ada, 'users').map(({ userId }) => userId)).not.toContain(bob.userId)
    await converged(ada, bob)
    // Who writes first and parts later keeps what they see of each other.
    await befriend(ada, bob)
    await ada.say(between(ada, bob))
    await ada.do('deleteFriend', { userId: bob.userId })
    await bob.do('updateOwnUser', { name: 'Bob the Fourth' })
    await scene.quiet(ada, bob)
    expect(held(ada, 'users')).toContainEqual(named('Bob the Fourth'))
    await converged(ada, bob)
  })

  test('who part can still write to each other, and keep what was written (R8)', async () => {
    const [ada, bob] = await pair()
    await befriend(ada, bob)
    const conversationId = between(ada, bob)
    await ada.say(conversationId, 'before')
    await bob.do('deleteFriend', { userId: ada.userId })
    await ada.say(conversationId, 'after')
    await scene.quiet(ada, bob)
    expect(held(ada, 'friends')).toEqual([])
    expect(bob.messages(conversationId).map(({ body }) => body)).toEqual([{ text: 'before' }, { text: 'after' }])
    await converged(ada, bob)
  })

  test('have their own marks of what they have seen, on all devices', async () => {
    const [ada, bob] = await pair()
    await ada.do('requestFriend', { userId: bob.userId })
    await scene.quiet(ada, bob)
    expect((await bob.get('/v1/friend-requests')).unread).toBe(1)
    await bob.do('readFriendRequests', {})
    await bob.do('readNotifications', { upTo: String(held(bob, 'notifications')[0]?.position) })
    await scene.quiet(ada, bob)
    expect((await bob.get('/v1/friend-requests')).unread).toBe(0)
    expect((await bob.get('/v1/notifications')).unread).toBe(0)
    await ada.do('requestFriend', { userId: bob.userId, message: 'once more' })
    await scene.quiet(ada, bob)
    expect((await bob.get('/v1/friend-requests')).unread).toBe(1)
    await converged(ada, bob)
  })
})

describe('a block (R10)', () => {
  test('stands beside friendship: who is blocked gets nowhere, and what was refused never comes', async () => {
    const [ada, bob] = await pair()
    const frames: ServerFrame[] = []
    await befriend(ada, bob)
    const conversationId = between(ada, bob)
    await ada.say(conversationId, 'before')
    await scene.quiet(ada, bob)
    const watching = await service.connect(await service.signIn(bob.person, 'watching'), {
      onFrame: frame => frames.push(frame),
    })
    bob.devices.push(watching)
    await bob.do('blockUser', { userId: ada.userId })
    expect(held(bob, 'friends')).toMatchObject([{ userId: ada.userId }])
    await expect(ada.say(conversationId, 'refused')).rejects.toMatchObject({ code: 'message.blocked' })
    ada.device.sendFrame({ op: 'typing', args: { conversationId } })
    const { failed } = await ada.do('createGroup', { name: 'A group', memberIds: [bob.userId] })
    expect(failed).toMatchObject([{ userId: bob.userId }])
    await bob.do('deleteFriend', { userId: ada.userId })
    await expect(ada.do('requestFriend', { userId: bob.userId })).rejects.toMatchObject({ code: 'friend.refused' })
    // The other way round everything goes on.
    await bob.say(conversationId, 'one way')
    await bob.do('unblockUser', { userId: ada.userId })
    await ada.say(conversationId, 'after')
    await scene.quiet(ada, bob)
    expect(bob.messages(conversationId).map(({ body }) => body)).toEqual([
      { text: 'before' },
      { text: 'one way' },
      { text: 'after' },
    ])
    expect(frames.filter(({ op }) => op === 'typing')).toEqual([])
    expect(held(bob, 'friendRequests')).toMatchObject([{ state: 'accepted' }])
    // Ada's devices were told of nothing but what both do anyway.
    expect(held(ada, 'blocklist')).toEqual([])
    await converged(ada, bob)
  })
})
