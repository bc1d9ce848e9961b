// Owns what becomes of friend requests in the end, as both people see it on all their devices (R6, R7): taken back, refused, of
// one who is gone, over after seven days. In a file of its own, because days pass in it.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { limits } from '../../domain/limits.ts'
import { divergence } from '../support/convergence.ts'
import { expectOk, testPassword } from '../support/device.ts'
import type { ServerFrame } from '../support/replica.ts'
import { between, type Player, type Scene, setScene } from '../support/scene.ts'
import { startTestService, type TestService } from '../support/service.ts'

const slowMsMax = 300_000
/** The job runs once a minute. */
const expiredMsMax = 150_000

let service: TestService
let scene: Scene
beforeAll(async () => {
  service = await startTestService({ FRIENDS_MAX: '1' })
  scene = await setScene(service)
}, slowMsMax)
afterAll(async () => {
  await service?.stop()
  expect(service?.failures).toEqual([])
}, slowMsMax)

const pair = async () => (await scene.enter('ada', 'bob')) as [Player, Player]
const held = (player: Player, collection: string) => [...(player.device.replica.get(collection)?.values() ?? [])]
const converged = async (...players: Player[]) => expect(await scene.divergence(...players)).toEqual([])
const unread = async (player: Player) => [
  (await player.get('/v1/friend-requests')).unread,
  (await player.get('/v1/notifications')).unread,
]

describe('a friend request', () => {
  test('that is taken back waits nowhere, and calls for nobody', async () => {
    const [ada, bob] = await pair()
    await bob.another('second')
    await ada.do('requestFriend', { userId: bob.userId, message: 'hello' })
    await scene.quiet(ada, bob)
    expect(await unread(bob)).toEqual([1, 1])
    await ada.do('withdrawFriendRequest', { userId: bob.userId })
    await scene.quiet(ada, bob)
    for (const device of bob.devices) {
      expect([...device.state.collection('friendRequests').values()]).toMatchObject([{ state: 'withdrawn' }])
      expect([...device.state.collection('notifications').values()]).toMatchObject([{ state: 'withdrawn' }])
    }
    expect((await unread(bob))[0]).toBe(0)
    expect(held(ada, 'notifications')).toEqual([])
    await expect(bob.do('acceptFriendRequest', { userId: ada.userId })).rejects.toMatchObject({
      code: 'friend.request-not-found',
    })
    await converged(ada, bob)
  })

  test('that is rejected says so to the one who asked, with the reason', async () => {
    const [ada, bob] = await pair()
    await ada.do('requestFriend', { userId: bob.userId })
    await bob.do('rejectFriendRequest', { userId: ada.userId, reason: 'Who are you?' })
    await scene.quiet(ada, bob)
    const told = { kind: 'friendRequestResult', by: bob.userId, state: 'rejected', message: 'Who are you?' }
    expect(held(ada, 'notifications')).toMatchObject([told])
    expect(held(bob, 'notifications')).toMatchObject([{ kind: 'friendRequest', state: 'rejected' }])
    expect(await unread(ada)).toEqual([0, 1])
    await converged(ada, bob)
  })

  test('that is made again and again stays one, with the last of what was said', async () => {
    const [ada, bob] = await pair()
    for (let number = 1; number <= limits.friendRequestMessagesMax + 2; number++) {
      await ada.do('requestFriend', { userId: bob.userId, message: `${number}` })
    }
    await scene.quiet(ada, bob)
    const [row, ...more] = held(bob, 'friendRequests') as [{ messages: { text: string }[] }]
    expect(more).toEqual([])
    expect(row.messages.map(({ text }) => text)).toEqual(['3', '4', '5', '6', '7', '8', '9', '10', '11', '12'])
    expect(await unread(bob)).toEqual([1, 1])
    await converged(ada, bob)
  })

  test('is counted again when it is accepted, on both sides', async () => {
    const [ada, bob] = await pair()
    const [cyd, dee] = (await scene.enter('cyd', 'dee')) as [Player, Player]
    await ada.do('requestFriend', { userId: bob.userId })
    await cyd.do('requestFriend', { userId: bob.userId })
    await dee.do('requestFriend', { userId: ada.userId })
    await bob.do('acceptFriendRequest', { userId: ada.userId })
    await expect(bob.do('acceptFriendRequest', { userId: cyd.userId })).rejects.toMatchObject({ code: 'friend.limit' })
    await bob.do('deleteFriend', { userId: ada.userId })
    await ada.do('requestFriend', { userId: cyd.userId })
    await ada.do('acceptFriendRequest', { userId: dee.userId })
    await expect(cyd.do('acceptFriendRequest', { userId: ada.userId })).rejects.toMatchObject({
      code: 'friend.peer-limit',
    })
    await converged(ada, bob, cyd, dee)
  })

  test('cannot be made to oneself, to one who is not there, or to one whose account is closed', async () => {
    const [ada, bob] = await pair()
    const refused = (userId: string, code: string) =>
      expect(ada.do('requestFriend', { userId })).rejects.toMatchObject({ code })
    await refused('me', 'friend.self')
    await refused(ada.userId, 'friend.self')
    await refused('nobody-there', 'user.not-found')
    const { token } = bob
    const body = { password: testPassword }
    const { position } = expectOk(await service.api('DELETE', '/v1/users/me', { token, body }))
    await ada.readable(position)
    await refused(bob.userId, 'user.not-found')
    await converged(ada)
  })

  test('leaves what one writes down about the friend to the own devices', async () => {
    const [ada, bob] = await pair()
    const second = await ada.another('second')
    const frames: ServerFrame[] = []
    const watching = await service.connect(await service.signIn(bob.person, 'watching'), {
      onFrame: frame => frames.push(frame),
    })
    bob.devices.push(watching)
    await ada.do('requestFriend', { userId: bob.userId })
    await bob.do('acceptFriendRequest', { userId: ada.userId })
    await scene.quiet(ada, bob)
    const before = frames.filter(({ collection }) => collection === 'friends').length
    await ada.do('updateFriend', { userId: bob.userId, remark: 'Bobby', extension: '{}', starred: true })
    await scene.quiet(ada, bob)
    const noted = { userId: bob.userId, remark: 'Bobby', extension: '{}', starred: true }
    expect([...second.state.collection('friends').values()]).toMatchObject([noted])
    expect(frames.filter(({ collection }) => collection === 'friends')).toHaveLength(before)
    expect(JSON.stringify(frames)).not.toContain('Bobby')
    await converged(ada, bob)
  })

  test('that nobody answers is over after seven days, for both', { timeout: slowMsMax }, async () => {
    const [ada, bob] = await pair()
    await ada.do('requestFriend', { userId: bob.userId, message: 'hello' })
    await ada.say(between(ada, bob))
    await scene.quiet(ada, bob)
    const from = await service.store.head()
    service.pass(limits.friendRequestLifeSeconds)
    const signal = AbortSignal.timeout(expiredMsMax)
    let expiredAt = ''
    for await (const events of service.store.subscribe({ from, signal })) {
      const expired = events.findLast(
        ({ type, data }) => type === 'FriendRequestExpired' && (data as { from: string }).from === ada.userId,
      )
      expiredAt = expired?.position ?? ''
      if (expiredAt !== '') break
    }
    for (const player of [ada, bob]) {
      await player.device.whenPassed(expiredAt)
      expect(held(player, 'friendRequests')).toMatchObject([{ state: 'expired', endedAt: expect.any(String) }])
    }
    expect(held(bob, 'notifications')).toMatchObject([{ kind: 'friendRequest', state: 'expired' }])
    expect(held(ada, 'notifications')).toMatchObject([{ kind: 'friendRequestResult', state: 'expired' }])
    for (const { person, userId, device } of [ada, bob]) {
      const spare = await service.signIn(person, 'later')
      const token = spare.accessToken
      expectOk(await service.api('GET', `/v1/friends?after=${spare.position}`, { token }))
      expect((await service.api('GET', '/v1/friend-requests', { token })).body.unread).toBe(0)
      const found = await divergence(service, { userId, token, spare }, [{ name: person.userName, device }])
      expect(found).toEqual([])
    }
  })
})
