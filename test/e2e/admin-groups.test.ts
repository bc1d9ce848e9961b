// Owns what the app's own backend does to groups as their members see it: on every device, in the conversation, in what they are
// told, and in the log (R15–R17, R19, R21, R25, R40). Who may ask for it stands in the authorisation table.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ApiAnswer, expectOk } from '../support/device.ts'
import { type Player, type Scene, setScene } from '../support/scene.ts'
import { startTestService, type TestService } from '../support/service.ts'

const slowMsMax = 300_000

let service: TestService
let scene: Scene
let adminKey: string

beforeAll(async () => {
  service = await startTestService()
  scene = await setScene(service)
  adminKey = await service.adminKey()
}, slowMsMax)
afterAll(async () => {
  await service?.stop()
  expect(service?.failures).toEqual([])
}, slowMsMax)

const system = 'system'
/** A group of ada and bob that asks nobody in and whom nobody joins; cyd is outside. */
const stage = async () => {
  const [ada, bob, cyd] = (await scene.enter('ada', 'bob', 'cyd')) as [Player, Player, Player]
  const { groupId, conversationId } = await scene.group(ada, bob)
  await ada.do('updateGroup', { groupId, joinMode: 'nobody', inviteMode: 'managers', inviteeConsent: 'required' })
  const path = `/v1/admin/groups/${groupId}`
  const asApp = (method: string, more: string, body?: object, key?: string): Promise<ApiAnswer> =>
    service.api(method, `${path}${more}`, { token: adminKey, body, ...(key === undefined ? {} : { key }) })
  const lastBody = (player: Player) => player.messages(conversationId).at(-1)?.body
  const groupOf = (player: Player) => player.device.replica.get('groups')?.get(groupId)
  const toldTo = (player: Player) =>
    [...(player.device.replica.get('notifications')?.values() ?? [])].map(({ kind, by }) => ({ kind, by }))
  return { ada, bob, cyd, groupId, conversationId, path, asApp, lastBody, groupOf, toldTo }
}
const converged = async (...players: Player[]) => expect(await scene.divergence(...players)).toEqual([])

test('members are added without being asked, past every mode; a repeated call adds nobody twice', async () => {
  const { ada, bob, cyd, groupId, asApp, lastBody, groupOf } = await stage()
  const add = () => asApp('POST', '/members', { userIds: [cyd.userId, bob.userId, 'nobody'] }, 'once')
  const added = expectOk(await add())
  expect(added).toMatchObject({
    added: [cyd.userId],
    invited: [],
    failed: [{ userId: 'nobody', code: 'user.not-found' }],
  })
  expect(expectOk(await add())).toMatchObject({ position: added.position })
  await scene.quiet(ada, bob, cyd)
  for (const player of [ada, bob, cyd]) {
    expect(groupOf(player)).toMatchObject({ memberCount: 3 })
    expect(lastBody(player)).toEqual({ event: 'memberInvited', by: system, targets: [cyd.userId] })
  }
  const { items } = await ada.get(`/v1/groups/${groupId}/members`)
  expect(items.at(-1)).toEqual(expect.objectContaining({ userId: cyd.userId, role: 'member' }))
  expect(items.at(-1)).not.toHaveProperty('invitedBy')
  await converged(ada, bob, cyd)
})

test('there must be room for whom the app adds', async () => {
  const { ada, cyd, asApp, groupId } = await stage()
  await ada.do('updateGroup', { groupId, memberLimit: 2 })
  expect(await asApp('POST', '/members', { userIds: [cyd.userId] })).toMatchObject({
    status: 409,
    body: { code: 'group.full', memberLimit: 2 },
  })
})

test('the owner changes, and who was the owner can be removed then; each is told', async () => {
  const { ada, bob, asApp, lastBody, groupOf, toldTo } = await stage()
  const remove = () => asApp('POST', '/members/remove', { userIds: [ada.userId] })
  expect((await remove()).body.code).toBe('group.target-is-owner')
  expectOk(await asApp('POST', '/transfer', { to: bob.userId }))
  await scene.quiet(ada, bob)
  expect(groupOf(ada)).toMatchObject({ ownerId: bob.userId, myRole: 'member' })
  expect(groupOf(bob)).toMatchObject({ ownerId: bob.userId, myRole: 'owner' })
  expect(lastBody(ada)).toEqual({ event: 'ownerTransferred', by: system, targets: [bob.userId] })
  expect(toldTo(bob)).toEqual([{ kind: 'groupOwnerTransferred', by: system }])
  expectOk(await remove())
  await scene.quiet(ada, bob)
  expect(groupOf(ada)).toBeUndefined()
  expect(toldTo(ada)).toEqual([
    { kind: 'groupOwnershipLost', by: system },
    { kind: 'removedFromGroup', by: system },
  ])
  expect(lastBody(bob)).toEqual({ event: 'memberRemoved', by: system, targets: [ada.userId] })
  await converged(ada, bob)
})

test('an admin is made and unmade, and muted in between', async () => {
  const { ada, bob, asApp, conversationId, lastBody, groupOf, toldTo } = await stage()
  expectOk(await asApp('PUT', `/admins/${bob.userId}`))
  expectOk(await asApp('PATCH', `/members/${bob.userId}`, { mutedUntil: 'forever' }))
  await expect(bob.say(conversationId)).rejects.toMatchObject({ code: 'group.muted' })
  await scene.quiet(ada, bob)
  expect(groupOf(bob)).toMatchObject({ myRole: 'admin', myMutedUntil: 'forever' })
  expect(lastBody(ada)).toEqual({
    event: 'memberMuted',
    by: system,
    targets: [bob.userId],
    changed: { mutedUntil: 'forever' },
  })
  expectOk(await asApp('PATCH', `/members/${bob.userId}`, { mutedUntil: null }))
  await bob.say(conversationId)
  expectOk(await asApp('DELETE', `/admins/${bob.userId}`))
  await scene.quiet(ada, bob)
  expect(groupOf(bob)).toMatchObject({ myRole: 'member', myMutedUntil: null })
  expect(toldTo(bob)).toEqual([
    { kind: 'groupAdminAdded', by: system },
    { kind: 'groupAdminRemoved', by: system },
  ])
  await converged(ada, bob)
})

test('an announcement alerts everybody, the owner too, until it is deleted', async () => {
  const { ada, bob, groupId, conversationId, asApp, lastBody } = await stage()
  const { announcementId } = expectOk(await asApp('POST', '/announcements', { text: 'At nine.', popup: true }))
  await converged(ada, bob)
  const alerts = () => [ada, bob].map(player => player.row(conversationId)?.announcementAlert)
  expect(alerts()).toEqual([true, true])
  expect(lastBody(bob)).toEqual({ event: 'announcementPublished', by: system, announcementId, popup: true })
  await bob.do('seeAnnouncement', { groupId, announcementId })
  await converged(ada, bob)
  expect(alerts()).toEqual([true, false])
  expectOk(await asApp('DELETE', `/announcements/${announcementId}`))
  await converged(ada, bob)
  expect(alerts()).toEqual([false, false])
})

test('a group is dissolved, its owner is told so like everybody, and the log says who did it all', async () => {
  const { ada, bob, groupId, asApp, toldTo, groupOf } = await stage()
  const { position } = expectOk(await asApp('DELETE', ''))
  await scene.quiet(ada, bob)
  for (const player of [ada, bob]) {
    expect(groupOf(player)).toBeUndefined()
    expect(toldTo(player)).toEqual([{ kind: 'groupDissolved', by: system }])
  }
  const stream = await service.api('GET', `/v1/admin/streams/group-${groupId}`, { token: adminKey })
  expect(expectOk(stream).items.at(-1)).toMatchObject({ type: 'GroupDissolved', position, data: { by: system } })
  expect((await asApp('POST', '/transfer', { to: bob.userId })).body.code).toBe('group.dissolved')
  await converged(ada, bob)
})

test.each([
  ['POST', '/members', { userIds: [] }, 400],
  ['POST', '/members', { userIds: ['me'] }, 400],
  ['POST', '/transfer', { to: 'system' }, 400],
  ['PATCH', '/members/somebody', { nickname: 'Nick' }, 400],
  ['PATCH', '/members/somebody', { mutedUntil: 'soon' }, 400],
])('what makes no sense is refused: %s %s %j', async (method, path, body, status) => {
  expect((await service.api(method, `/v1/admin/groups/g${path}`, { token: adminKey, body })).status).toBe(status)
})
