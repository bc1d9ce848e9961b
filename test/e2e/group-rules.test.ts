// Owns the rules of groups that are easiest to lose between two rooms, over HTTP from end to end: presets, limits, roles and mutes
// that outlive what happens to their bearers, and what ends by itself.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectOk } from '../support/device.ts'
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

/** Asks over HTTP; whatever the status is. */
const ask = (player: Player, method: string, path: string, body?: object) =>
  service.api(method, path, { token: player.token, body })
const enter = async (...names: string[]) => (await scene.enter(...names)) as [Player, Player, Player]
const made = async (owner: Player, body: object) => {
  const group = expectOk(await ask(owner, 'POST', '/v1/groups', { name: 'Engines', ...body }))
  return { path: `/v1/groups/${group.groupId}`, conversationId: String(group.conversationId), ...group }
}
const groupRow = async (player: Player, path: string, position: string) =>
  expectOk(await ask(player, 'GET', `${path}?after=${position}`))
const notesOf = (player: Player) =>
  [...(player.device.replica.get('notifications')?.values() ?? [])].map(({ kind, state }) => ({ kind, state }))

const closed = {
  joinMode: 'approval',
  inviteMode: 'managers',
  inviteeConsent: 'required',
  editMode: 'managers',
  editExtensionMode: 'managers',
  muteAll: 'none',
  historyBeforeJoin: false,
  hideMemberProfiles: false,
  noFriendRequestsBetweenMembers: false,
  autoApprove: 'none',
  searchable: false,
  memberLimit: 200,
}
const meeting = { ...closed, joinMode: 'free', inviteMode: 'everyone', inviteeConsent: 'none', historyBeforeJoin: true }

test.each([
  [undefined, closed],
  ['public', closed],
  ['work', { ...closed, joinMode: 'nobody', inviteMode: 'everyone', inviteeConsent: 'none', editMode: 'everyone' }],
  ['meeting', meeting],
  ['community', { ...meeting, searchable: true, memberLimit: 5_000 }],
])('the preset %s has these modes and no other (R14)', async (preset, modes) => {
  const [ada] = await enter('ada')
  const { path, position } = await made(ada, preset === undefined ? {} : { preset })
  const row = await groupRow(ada, path, position)
  expect(Object.fromEntries(Object.keys(closed).map(mode => [mode, row[mode]]))).toEqual(modes)
})

test('the member limit does not go below the number of members (R26)', async () => {
  const [ada, bob, cyd] = await enter('ada', 'bob', 'cyd')
  const { path } = await made(ada, { inviteeConsent: 'none', memberIds: [bob.userId, cyd.userId] })
  expect(await ask(ada, 'PATCH', path, { memberLimit: 2 })).toMatchObject({
    body: { code: 'group.member-limit', memberCount: 3 },
  })
  expectOk(await ask(ada, 'PATCH', path, { memberLimit: 3 }))
})

test('an owner who is alone is told to dissolve the group; one who is not, to transfer it (R23)', async () => {
  const [ada, bob] = await enter('ada', 'bob')
  const { path } = await made(ada, { inviteeConsent: 'none' })
  const leave = async () => (await ask(ada, 'POST', `${path}/leave`)).body
  expect(await leave()).toMatchObject({ code: 'group.owner-cannot-leave', detail: expect.stringMatching(/Dissolve/) })
  expectOk(await ask(ada, 'POST', `${path}/members`, { userIds: [bob.userId] }))
  expect(await leave()).toMatchObject({ code: 'group.owner-cannot-leave', detail: expect.stringMatching(/Transfer/) })
})

test('who was kicked while muted comes back muted (R21)', async () => {
  const [ada, bob] = await enter('ada', 'bob')
  const { path, conversationId } = await made(ada, { preset: 'meeting', memberIds: [bob.userId] })
  expectOk(await ask(ada, 'PATCH', `${path}/members/${bob.userId}`, { mutedUntil: 'forever' }))
  expectOk(await ask(ada, 'POST', `${path}/members/remove`, { userIds: [bob.userId] }))
  const { position } = expectOk(await ask(bob, 'POST', `${path}/join`, {}))
  expect(await groupRow(bob, path, position)).toMatchObject({ myRole: 'member', myMutedUntil: 'forever' })
  await expect(bob.say(conversationId)).rejects.toMatchObject({ code: 'group.muted' })
})

test('an admin who was muted is owner with a voice, and admin no longer (R17)', async () => {
  const [ada, bob] = await enter('ada', 'bob')
  const { path, conversationId } = await made(ada, { inviteeConsent: 'none', memberIds: [bob.userId] })
  expectOk(await ask(ada, 'PUT', `${path}/admins/${bob.userId}`))
  expectOk(await ask(ada, 'PATCH', `${path}/members/${bob.userId}`, { mutedUntil: 'forever' }))
  const { position } = expectOk(await ask(ada, 'POST', `${path}/transfer`, { to: bob.userId, leave: false }))
  expect(await groupRow(bob, path, position)).toMatchObject({ myRole: 'owner', myMutedUntil: null })
  const list = async (role: string) =>
    expectOk(await ask(ada, 'GET', `${path}/members?role=${role}&after=${position}`)).items.map(
      ({ userId }: { userId: string }) => userId,
    )
  expect([await list('owner'), await list('admin'), await list('member')]).toEqual([[bob.userId], [], [ada.userId]])
  await bob.say(conversationId)
})

test('members are searched by role and name, page by page (R48)', async () => {
  const [ada, ...others] = await scene.enter('ada', 'kim', 'kim', 'kim', 'lou')
  const memberIds = others.map(({ userId }) => userId)
  const { path } = await made(ada as Player, { inviteeConsent: 'none', memberIds })
  const [kim] = others as [Player]
  const { position } = expectOk(await ask(ada as Player, 'PUT', `${path}/admins/${kim.userId}`))
  const found: string[] = []
  let next: string | null = null
  do {
    const cursor: string = next === null ? '' : `&cursor=${encodeURIComponent(next)}`
    const query = `role=member&q=KIM&limit=1&after=${position}${cursor}`
    const page = expectOk(await ask(ada as Player, 'GET', `${path}/members?${query}`))
    expect(page.items.length).toBeLessThanOrEqual(1)
    found.push(...page.items.map(({ userId }: { userId: string }) => userId))
    next = page.next
  } while (next !== null)
  expect(found.toSorted()).toEqual(memberIds.slice(1, 3).toSorted())
})

test('members may not ask each other for friendship where the group says so; its owner and admins may (R46)', async () => {
  const [ada, bob, cyd] = await enter('ada', 'bob', 'cyd')
  const [dee] = await enter('dee')
  const memberIds = [bob.userId, cyd.userId, dee.userId]
  const { path, groupId } = await made(ada, { inviteeConsent: 'none', noFriendRequestsBetweenMembers: true, memberIds })
  expectOk(await ask(ada, 'PUT', `${path}/admins/${bob.userId}`))
  const request = (player: Player, whom: Player) =>
    ask(player, 'POST', '/v1/friend-requests', { userId: whom.userId, source: { kind: 'group', groupId } })
  expect((await request(cyd, dee)).status).toBe(403)
  for (const player of [ada, bob]) expect((await request(player, dee)).status).toBe(201)
})

test('whom nobody had to let in has the same record in the log, decided by nobody (R45)', async () => {
  const [ada, bob] = await enter('ada', 'bob')
  const { path, groupId } = await made(ada, { autoApprove: 'all' })
  expect(expectOk(await ask(bob, 'POST', `${path}/join`, { message: 'Hello.' }))).toMatchObject({ state: 'joined' })
  const key = await service.adminKey()
  const { items } = expectOk(await service.api('GET', `/v1/admin/streams/group-${groupId}`, { token: key }))
  const record = items.map(({ type, data }: { type: string; data: object }) => ({ type, ...data }))
  expect(record.slice(1)).toMatchObject([
    { type: 'ApplicationMade', userId: bob.userId },
    { type: 'ApplicationApproved', userId: bob.userId, decidedBy: 'auto', by: 'system' },
    { type: 'MembersAdded', userIds: [bob.userId], via: 'application' },
  ])
})

describe('what nobody answered', () => {
  test('ends with the group, for all who were told of it (R16)', async () => {
    const [ada, bob, cyd] = await enter('ada', 'bob', 'cyd')
    const { path } = await made(ada, { memberIds: [bob.userId] })
    expectOk(await ask(cyd, 'POST', `${path}/join`, {}))
    expectOk(await ask(ada, 'DELETE', path))
    expect(await scene.divergence(ada, bob, cyd)).toEqual([])
    expect(notesOf(ada)).toEqual([{ kind: 'groupApplication', state: 'expired' }])
    expect(notesOf(bob)).toEqual([{ kind: 'groupInvitation', state: 'expired' }])
    expect(notesOf(cyd)).toEqual([{ kind: 'groupApplicationExpired', state: 'none' }])
  })
})

test('a dissolved group is read by those who were in it, each as far as they were, and by nobody else (R16)', async () => {
  const [ada, bob, cyd] = await enter('ada', 'bob', 'cyd')
  const [dee] = await enter('dee')
  const memberIds = [bob.userId, cyd.userId]
  const group = { inviteeConsent: 'none', searchable: true, joinMode: 'free', historyBeforeJoin: true, memberIds }
  const { path, conversationId, groupId } = await made(ada, { ...group, name: 'Lost Engines' })
  expectOk(await ask(ada, 'POST', `${path}/announcements`, { text: 'Welcome.', popup: true }))
  await ada.say(conversationId, 'early')
  expectOk(await ask(ada, 'POST', `${path}/members/remove`, { userIds: [cyd.userId] }))
  await scene.quiet(ada, bob, cyd)
  await ada.say(conversationId, 'late')
  expectOk(await ask(ada, 'DELETE', path))
  await scene.quiet(ada, bob, cyd, dee)

  const textsOf = async (player: Player) =>
    (await player.history(conversationId)).flatMap(({ body }) => (body as { text?: string }).text ?? [])
  for (const player of [ada, bob]) expect(await textsOf(player)).toEqual(['early', 'late'])
  expect(await textsOf(cyd)).toEqual(['early'])

  const nothing = { groupId: 'nogroup', conversationId: 'group:nogroup' }
  for (const [method, pathOf, body] of [
    ['GET', (at: typeof nothing) => `/v1/conversations/${at.conversationId}`],
    ['GET', (at: typeof nothing) => `/v1/conversations/${at.conversationId}/messages`],
    ['GET', (at: typeof nothing) => `/v1/groups/${at.groupId}`],
    ['GET', (at: typeof nothing) => `/v1/groups/${at.groupId}/members`],
    ['GET', (at: typeof nothing) => `/v1/groups/${at.groupId}/announcements`],
    ['POST', (at: typeof nothing) => `/v1/conversations/${at.conversationId}/read`, { seq: 1 }],
  ] as const) {
    const refused = await ask(dee, method, pathOf({ groupId: String(groupId), conversationId }), body)
    expect(refused.status, pathOf(nothing)).toBe(404)
    expect(refused.body).toEqual((await ask(dee, method, pathOf(nothing), body)).body)
  }
  expect(expectOk(await ask(dee, 'GET', '/v1/groups/search?q=lost%20engines')).items).toEqual([])
  expect((await ask(dee, 'POST', `${path}/join`, {})).body.code).toMatch(/^group\.(dissolved|not-found)$/)
  expect(expectOk(await ask(dee, 'GET', '/v1/conversations')).items).toEqual([])
})
