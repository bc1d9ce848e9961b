// Owns announcements as the members see them (R40): the list, the message in the conversation, and the alert until a pop-up was
// seen, on every device and over HTTP.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Player, type Scene, setScene } from '../support/scene.ts'
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

const converged = async (...players: readonly Player[]) => expect(await scene.divergence(...players)).toEqual([])

const three = async () => {
  const [ada, bob, cyd] = (await scene.enter('ada', 'bob', 'cyd')) as [Player, Player, Player]
  const { groupId, conversationId } = await scene.group(ada, bob)
  const publish = async (text: string, popup = true) =>
    String((await ada.do('publishAnnouncement', { groupId, text, popup })).announcementId)
  const alertOf = (player: Player) => player.row(conversationId)?.announcementAlert
  return { ada, bob, cyd, groupId, conversationId, publish, alertOf }
}

test('a pop-up alerts every member but its author until it was seen, on all devices', async () => {
  const { ada, bob, groupId, conversationId, publish, alertOf } = await three()
  await bob.another('second')
  const announcementId = await publish('At nine.')
  await converged(ada, bob)
  expect([alertOf(ada), alertOf(bob)]).toEqual([false, true])
  const { items } = await bob.get(`/v1/groups/${groupId}/announcements`)
  const row = { groupId, announcementId, number: 1, text: 'At nine.', popup: true, by: ada.userId }
  expect(items).toEqual([{ ...row, at: expect.any(String) }])
  expect(bob.messages(conversationId).at(-1)?.body).toEqual({
    event: 'announcementPublished',
    by: ada.userId,
    announcementId,
    popup: true,
  })
  await bob.do('seeAnnouncement', { groupId, announcementId })
  await converged(ada, bob)
  expect(alertOf(bob)).toBe(false)
  await publish('By the way.', false)
  await converged(ada, bob)
  expect(alertOf(bob)).toBe(false)
})

test('deleting a pop-up ends its alert, and leaves that of one before it', async () => {
  const { ada, bob, groupId, publish, alertOf } = await three()
  const first = await publish('One.')
  const second = await publish('Two.')
  await ada.do('deleteAnnouncement', { groupId, announcementId: second })
  await converged(ada, bob)
  expect(alertOf(bob)).toBe(true)
  await ada.do('deleteAnnouncement', { groupId, announcementId: first })
  await converged(ada, bob)
  expect(alertOf(bob)).toBe(false)
  expect((await bob.get(`/v1/groups/${groupId}/announcements`)).items).toEqual([])
  const see = bob.do('seeAnnouncement', { groupId, announcementId: first })
  await expect(see).rejects.toMatchObject({ code: 'announcement.not-found' })
})

test('those who join are not alerted to what was there, nor those who left to what comes', async () => {
  const { ada, bob, cyd, groupId, conversationId, publish, alertOf } = await three()
  await publish('Old.')
  await ada.do('addMembers', { groupId, userIds: [cyd.userId] })
  await converged(ada, bob, cyd)
  expect([alertOf(bob), alertOf(cyd)]).toEqual([true, false])
  await bob.do('leaveGroup', { groupId })
  await publish('New.')
  await converged(ada, bob, cyd)
  expect([alertOf(bob), alertOf(cyd)]).toEqual([false, true])
  expect(bob.row(conversationId)).toMatchObject({ active: false, announcementPopup: 0 })
  const list = await service.api('GET', `/v1/groups/${groupId}/announcements`, { token: bob.token })
  expect(list.body.code).toBe('group.not-found')
})

test('a conversation that was deleted comes back with its alert', async () => {
  const { ada, bob, conversationId, publish, alertOf } = await three()
  await publish('At nine.')
  await scene.quiet(ada, bob)
  await bob.do('deleteConversation', { conversationId, messages: true })
  await scene.quiet(ada, bob)
  expect(bob.row(conversationId)).toBeUndefined()
  await publish('At ten.')
  await converged(ada, bob)
  expect(alertOf(bob)).toBe(true)
})
