// Owns what STRANGERS_MAY_CHAT=false means: only friends write to each other, and what they have written stays when they part (R8).

import { afterAll, beforeAll, expect, test } from 'vitest'
import { between, type Player, type Scene, setScene } from '../support/scene.ts'
import { startTestService, type TestService } from '../support/service.ts'

const slowMsMax = 300_000

let service: TestService
let scene: Scene
beforeAll(async () => {
  service = await startTestService({ STRANGERS_MAY_CHAT: 'false' })
  scene = await setScene(service)
}, slowMsMax)
afterAll(async () => {
  await service?.stop()
  expect(service?.failures).toEqual([])
}, slowMsMax)

test('strangers cannot write to each other, friends can, and no longer once they part', async () => {
  const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
  const conversationId = between(ada, bob)
  await expect(ada.say(conversationId)).rejects.toMatchObject({ code: 'message.not-friends' })
  await ada.do('requestFriend', { userId: bob.userId })
  await expect(bob.say(conversationId)).rejects.toMatchObject({ code: 'message.not-friends' })
  await bob.do('acceptFriendRequest', { userId: ada.userId })
  await ada.say(conversationId, 'as friends')
  await bob.do('deleteFriend', { userId: ada.userId })
  await expect(ada.say(conversationId)).rejects.toMatchObject({ code: 'message.not-friends' })
  await expect(bob.say(conversationId)).rejects.toMatchObject({ code: 'message.not-friends' })
  await scene.quiet(ada, bob)
  expect((await ada.history(conversationId)).map(({ body }) => body)).toEqual([{ text: 'as friends' }])
  expect(await scene.divergence(ada, bob)).toEqual([])
})

test('in groups nobody has to be friends', async () => {
  const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
  const { conversationId } = await scene.group(ada, bob)
  await bob.say(conversationId, 'hello')
  await scene.quiet(ada, bob)
  expect(ada.messages(conversationId).at(-1)).toMatchObject({ body: { text: 'hello' } })
})
