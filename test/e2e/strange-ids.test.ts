// Owns the proof that an id is a name and nothing else: people whom the app calls by words that every object answers to are
// friends, write, and manage a group like everybody, and their devices converge.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { expectOk, type SignedIn } from '../support/device.ts'
import { between, Player, type Scene, setScene } from '../support/scene.ts'
import { startTestService, type TestService } from '../support/service.ts'

const slowMsMax = 300_000

let service: TestService
let scene: Scene
let key: string
beforeAll(async () => {
  service = await startTestService()
  scene = await setScene(service)
  key = await service.adminKey()
}, slowMsMax)
afterAll(async () => {
  await service?.stop()
  expect(service?.failures).toEqual([])
}, slowMsMax)

const enterAs = async (userId: string): Promise<Player> => {
  const asApp = async (path: string, body: object) =>
    expectOk(await service.api('POST', `/v1/admin/accounts${path}`, { token: key, body }))
  const { position } = await asApp('', { userId, name: userId })
  const deviceOf = (deviceId: string): Promise<SignedIn> =>
    asApp(`/${userId}/sessions`, { device: { deviceId, platform: 'web', name: deviceId } })
  const [session, spare] = [await deviceOf('one'), await deviceOf('spare')]
  const person = { userId, userName: userId, position, session, token: session.accessToken }
  return new Player(service, person, spare, await service.connect(session))
}

test('people of strange names are people like all others', { timeout: slowMsMax }, async () => {
  const [proto, maker, text] = [await enterAs('__proto__'), await enterAs('constructor'), await enterAs('toString')]
  const [ada] = (await scene.enter('ada')) as [Player]
  const all = [proto, maker, text, ada]

  const befriend = async (one: Player, other: Player) => {
    await one.do('requestFriend', { userId: other.userId, message: 'It is me' })
    await other.do('acceptFriendRequest', { userId: one.userId })
  }
  await befriend(proto, maker)
  await maker.do('updateFriend', { userId: proto.userId, remark: 'The first', starred: true })
  await proto.do('deleteFriend', { userId: maker.userId })
  await befriend(proto, maker)
  await befriend(ada, text)
  await maker.do('blockUser', { userId: text.userId })

  const { groupId, conversationId } = await scene.group(maker, proto, text, ada)
  await maker.do('addAdmin', { groupId, userId: proto.userId })
  await proto.do('updateMember', { groupId, userId: text.userId, mutedUntil: 'forever' })
  await text.do('updateMember', { groupId, userId: 'me', nickname: 'valueOf' })
  await text.do('followMember', { groupId, userId: proto.userId })
  await expect(text.say(conversationId)).rejects.toMatchObject({ code: 'group.muted' })
  const { seq } = await proto.say(conversationId, 'to all')
  await maker.do('recallMessage', { conversationId, seq })
  await ada.say(between(ada, proto), 'to one')
  await proto.do('markRead', { conversationId: between(ada, proto), seq: 1 })
  await maker.do('transferGroup', { groupId, to: proto.userId, leave: true })

  expect(await scene.divergence(...all)).toEqual([])
  const friends = (player: Player) => player.get('/v1/friends').then(({ items }) => items)
  expect(await friends(maker)).toMatchObject([{ userId: '__proto__', remark: 'The first', starred: true }])
  const [unnoted] = await friends(proto)
  expect(unnoted).toMatchObject({ userId: 'constructor', starred: false })
  expect(unnoted).not.toHaveProperty('remark', expect.anything())
  const members = await ada.get(`/v1/groups/${groupId}/members`)
  const roles = members.items.map(({ userId, role, nickname }: Record<string, unknown>) => [userId, role, nickname])
  expect(roles.toSorted()).toEqual(
    [
      ['__proto__', 'owner', null],
      ['toString', 'member', 'valueOf'],
      [ada.userId, 'member', null],
    ].toSorted(),
  )
  const { items } = await ada.get('/v1/users?ids=__proto__,constructor,toString,hasOwnProperty')
  expect(items.map(({ name }: { name: string }) => name).toSorted()).toEqual(['__proto__', 'constructor', 'toString'])
  await service.restart()
  expectOk(await service.api('GET', '/v1/friends/constructor', { token: proto.token }))
})
