// Owns the life of a group as its members see it: every change as a row, as a frame on each device concerned, and as a message
// in the conversation; whoever is out sees none of it.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { groupPresets } from '../../domain/group/attributes.ts'
import type { Row, ServerFrame } from '../support/replica.ts'
import { type Player, type Scene, setScene } from '../support/scene.ts'
import { startTestService, type TestService } from '../support/service.ts'

const slowMsMax = 300_000
const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

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

type Three = [Player, Player, Player]

/** A group of three, and what was said in it by the server. */
const three = async () => {
  const [ada, bob, cyd] = (await scene.enter('ada', 'bob', 'cyd')) as Three
  const { groupId, conversationId } = await scene.group(ada, bob, cyd)
  const bodies = (player: Player) => player.messages(conversationId).map(({ body }) => body)
  const groupOf = (player: Player) => player.device.replica.get('groups')?.get(groupId)
  return { ada, bob, cyd, groupId, conversationId, path: `/v1/groups/${groupId}`, bodies, groupOf }
}

const converged = async (...players: readonly Player[]) => expect(await scene.divergence(...players)).toEqual([])

const rolesOf = (rows: readonly Row[]) => Object.fromEntries(rows.map(({ userId, role }) => [userId, role]))

describe('creating a group', () => {
  test('puts everybody in, tells who could not be added, and says so in the conversation', async () => {
    const [ada, bob, cyd] = (await scene.enter('ada', 'bob', 'cyd')) as Three
    await cyd.do('blockUser', { userId: ada.userId })
    const memberIds = [bob.userId, cyd.userId, 'nobody', bob.userId, ada.userId]
    const made = await service.api('POST', '/v1/groups', {
      token: ada.token,
      body: { name: ' Engines ', inviteeConsent: 'none', memberIds },
    })
    expect(made.status).toBe(201)
    const { groupId } = made.body
    const conversationId = `group:${groupId}`
    expect(made.body).toEqual({
      groupId: expect.stringMatching(/^[0-9a-z]{26}$/),
      conversationId,
      added: [bob.userId],
      invited: [],
      failed: [
        { userId: cyd.userId, code: 'message.blocked' },
        { userId: 'nobody', code: 'user.not-found' },
      ],
      position: expect.any(String),
    })
    await scene.quiet(ada, bob, cyd)
    const row = {
      groupId,
      conversationId,
      ...groupPresets.public,
      inviteeConsent: 'none',
      name: 'Engines',
      ownerId: ada.userId,
      memberCount: 2,
      createdAt: expect.stringMatching(instant),
      dissolvedAt: null,
      myNickname: null,
      myExtension: '',
      myMutedUntil: null,
      myFollowedIds: [],
    }
    for (const [player, myRole] of [
      [ada, 'owner'],
      [bob, 'member'],
    ] as const) {
      expect(player.device.replica.get('groups')?.get(groupId)).toEqual({ ...row, myRole })
      expect(await player.get(`/v1/groups/${groupId}`)).toEqual({ ...row, myRole })
      const list = await player.get('/v1/groups')
      expect(list).toEqual({ items: [{ ...row, myRole }], next: null, cursor: expect.any(String) })
      expect(player.messages(conversationId)).toEqual([
        {
          conversationId,
          seq: 1,
          from: 'system',
          clientMessageId: expect.any(String),
          type: 'notification',
          body: { event: 'memberInvited', by: ada.userId, targets: [bob.userId] },
          at: expect.stringMatching(instant),
          countable: 0,
          position: expect.any(String),
        },
      ])
      // What the server says counts as unread for nobody.
      expect(player.row(conversationId)).toMatchObject({ lastSeq: 1, unread: 0, active: true })
    }
    expect(cyd.device.replica.get('groups')?.size ?? 0).toBe(0)
    await converged(ada, bob, cyd)
  })

  test.each([
    ['a limit below two', { name: 'x', memberLimit: 1 }, 400, 'request.invalid'],
    ['a limit above the largest', { name: 'x', memberLimit: 5_001 }, 400, 'request.invalid'],
    ['no name', { name: '  ' }, 400, 'request.invalid'],
    ['a role of its own', { name: 'x', myRole: 'owner' }, 400, 'request.invalid'],
  ])('with %s is refused', async (_what, body, status, code) => {
    const ada = await service.person('ada')
    expect(await service.api('POST', '/v1/groups', { token: ada.token, body })).toMatchObject({
      status,
      body: { code },
    })
  })

  test('with more members than its limit is refused, and nothing is made', async () => {
    const [ada, bob, cyd] = (await scene.enter('ada', 'bob', 'cyd')) as Three
    const body = { name: 'Small', inviteeConsent: 'none', memberLimit: 2, memberIds: [bob.userId, cyd.userId] }
    const full = await service.api('POST', '/v1/groups', { token: ada.token, body })
    expect(full).toMatchObject({ status: 409, body: { code: 'group.full', memberLimit: 2 } })
    await scene.quiet(ada)
    expect((await ada.get('/v1/groups')).items).toEqual([])
  })
})

describe('who comes in', () => {
  test('gets the group, and everybody the new count; a second time changes nothing', async () => {
    const { ada, bob, cyd, groupId, path, bodies, groupOf } = await three()
    const [dee] = (await scene.enter('dee')) as [Player]
    const body = { userIds: [dee.userId, bob.userId] }
    const added = await service.api('POST', `${path}/members`, { token: ada.token, body })
    expect(added).toMatchObject({ status: 200, body: { added: [dee.userId], failed: [] } })
    await scene.quiet(ada, bob, cyd, dee)
    for (const player of [ada, bob, cyd, dee]) {
      expect(groupOf(player)).toMatchObject({ memberCount: 4 })
      expect(bodies(player).at(-1)).toEqual({ event: 'memberInvited', by: ada.userId, targets: [dee.userId] })
    }
    const members = await dee.get(`${path}/members`)
    expect(members.items).toHaveLength(4)
    expect(members.items.at(-1)).toEqual({
      groupId,
      userId: dee.userId,
      nickname: null,
      extension: '',
      mutedUntil: null,
      role: 'member',
      joinedAt: expect.stringMatching(instant),
      invitedBy: ada.userId,
    })
    expect(rolesOf(members.items)).toMatchObject({ [ada.userId]: 'owner', [bob.userId]: 'member' })
    expect(members.items.find((row: Row) => row.userId === ada.userId)).not.toHaveProperty('invitedBy')
    const head = await service.store.head()
    expect((await service.api('POST', `${path}/members`, { token: ada.token, body })).body).toMatchObject({ added: [] })
    expect(await service.store.head()).toBe(head)
    await converged(ada, bob, cyd, dee)
  })
})

describe('who is kicked', () => {
  test('is told so, loses the group, and hears nothing later', async () => {
    const { ada, bob, cyd, groupId, conversationId, path } = await three()
    const frames: ServerFrame[] = []
    const second = await service.connect(await service.signIn(bob.person, 'second'), { onFrame: f => frames.push(f) })
    bob.devices.push(second)
    await scene.quiet(ada, bob)
    frames.length = 0
    const kicked = await service.api('POST', `${path}/members/remove`, {
      token: ada.token,
      body: { userIds: [bob.userId] },
    })
    expect(kicked).toMatchObject({ status: 200, body: { position: expect.any(String) } })
    await scene.quiet(ada, bob, cyd)
    await ada.say(conversationId, 'at last')
    await ada.do('addAdmin', { groupId, userId: cyd.userId })
    await scene.quiet(ada, bob, cyd)
    const ofGroup = frames.filter(({ collection }) => collection !== 'blocklist')
    const cursor = expect.stringContaining(kicked.body.position)
    const notification = {
      notificationId: expect.any(String),
      kind: 'removedFromGroup',
      groupId,
      by: ada.userId,
      at: expect.stringMatching(instant),
      position: kicked.body.position,
      state: 'none',
    }
    const set = { active: false, announcementPopup: 0 }
    expect(ofGroup).toEqual([
      { op: 'remove', collection: 'groups', cursor, id: groupId },
      { op: 'patch', collection: 'conversations', cursor, id: conversationId, set },
      { op: 'put', collection: 'notifications', cursor, value: notification },
    ])
    expect(await bob.get('/v1/notifications')).toMatchObject({ items: [notification], next: null, unread: 1 })
    for (const [method, of] of [
      ['GET', path],
      ['GET', `${path}/members`],
      ['POST', `${path}/leave`],
    ] as const) {
      expect(await service.api(method, of, { token: bob.token })).toMatchObject({
        status: 404,
        body: { code: 'group.not-found' },
      })
    }
    await expect(bob.say(conversationId)).rejects.toMatchObject({ code: 'conversation.not-found' })
    expect(cyd.messages(conversationId).map(({ body }) => body)).toEqual([
      { event: 'memberInvited', by: ada.userId, targets: [bob.userId, cyd.userId] },
      { event: 'memberRemoved', by: ada.userId, targets: [bob.userId] },
      { text: 'at last' },
      { event: 'adminAdded', by: ada.userId, targets: [cyd.userId] },
    ])
    await converged(ada, bob, cyd)
  })

  test('with others goes with all of them or none', async () => {
    const { ada, bob, cyd, groupId } = await three()
    const head = await service.store.head()
    const ask = (userIds: readonly string[]) => ada.do('removeMembers', { groupId, userIds })
    await expect(ask([bob.userId, ada.userId])).rejects.toMatchObject({ code: 'group.target-self' })
    await expect(ask([bob.userId, 'nobody'])).rejects.toMatchObject({ code: 'group.target-not-member' })
    expect(await service.store.head()).toBe(head)
    await ask([bob.userId, cyd.userId])
    await converged(ada, bob, cyd)
    expect(ada.device.replica.get('groups')?.get(groupId)).toMatchObject({ memberCount: 1 })
  })
})

describe('who leaves', () => {
  test('is not told, the others are', async () => {
    const { ada, bob, cyd, groupId, conversationId, bodies } = await three()
    await bob.do('leaveGroup', { groupId })
    await scene.quiet(ada, bob, cyd)
    expect(bob.device.replica.get('notifications')?.size ?? 0).toBe(0)
    expect(bodies(cyd).at(-1)).toEqual({ event: 'memberLeft', by: bob.userId, targets: [bob.userId] })
    expect(bob.row(conversationId)).toMatchObject({ active: false, lastSeq: 1 })
    await expect(ada.do('leaveGroup', { groupId })).rejects.toMatchObject({ code: 'group.owner-cannot-leave' })
    await converged(ada, bob, cyd)
  })
})

describe('roles', () => {
  test('are given by the owner, shown to all, and carry what they allow', async () => {
    const { ada, bob, cyd, groupId, path, bodies, groupOf } = await three()
    await bob.do('open', { collection: 'members', groupId })
    await ada.do('addAdmin', { groupId, userId: bob.userId })
    await scene.quiet(ada, bob, cyd)
    expect(groupOf(bob)).toMatchObject({ myRole: 'admin' })
    expect(groupOf(cyd)).toMatchObject({ myRole: 'member' })
    expect(rolesOf([...(bob.device.replica.get('members')?.values() ?? [])])).toEqual({
      [ada.userId]: 'owner',
      [bob.userId]: 'admin',
      [cyd.userId]: 'member',
    })
    expect((await cyd.get(`${path}/members?role=admin`)).items).toMatchObject([{ userId: bob.userId, role: 'admin' }])
    await bob.do('removeMembers', { groupId, userIds: [cyd.userId] })
    await ada.do('removeAdmin', { groupId, userId: bob.userId })
    await scene.quiet(ada, bob, cyd)
    expect(groupOf(bob)).toMatchObject({ myRole: 'member', memberCount: 2 })
    expect(bodies(bob).slice(1)).toEqual([
      { event: 'adminAdded', by: ada.userId, targets: [bob.userId] },
      { event: 'memberRemoved', by: bob.userId, targets: [cyd.userId] },
      { event: 'adminRemoved', by: ada.userId, targets: [bob.userId] },
    ])
    expect(rolesOf([...(bob.device.replica.get('members')?.values() ?? [])])).toEqual({
      [ada.userId]: 'owner',
      [bob.userId]: 'member',
    })
    await converged(ada, bob, cyd)
  })

  test.each([
    ['stays as a member', false],
    ['leaves in the same step', true],
  ])('of the owner go to another, who has them alone; the old one %s', async (_what, leave) => {
    const { ada, bob, cyd, groupId, bodies, groupOf } = await three()
    await ada.do('addAdmin', { groupId, userId: bob.userId })
    await ada.do('transferGroup', { groupId, to: bob.userId, leave })
    await scene.quiet(ada, bob, cyd)
    expect(groupOf(bob)).toMatchObject({ ownerId: bob.userId, myRole: 'owner', memberCount: leave ? 2 : 3 })
    expect(groupOf(cyd)).toMatchObject({ ownerId: bob.userId, myRole: 'member' })
    if (leave) expect(groupOf(ada)).toBeUndefined()
    else expect(groupOf(ada)).toMatchObject({ ownerId: bob.userId, myRole: 'member' })
    const left = { event: 'memberLeft', by: ada.userId, targets: [ada.userId] }
    expect(bodies(cyd).slice(2)).toEqual([
      { event: 'ownerTransferred', by: ada.userId, targets: [bob.userId] },
      ...(leave ? [left] : []),
    ])
    await expect(ada.do('dissolveGroup', { groupId })).rejects.toMatchObject({
      code: leave ? 'group.not-found' : 'group.not-owner',
    })
    await converged(ada, bob, cyd)
  })
})

describe('a dissolved group', () => {
  test('is gone from the lists, can be read, and takes nothing more', async () => {
    const { ada, bob, cyd, groupId, conversationId, path, bodies, groupOf } = await three()
    await ada.say(conversationId, 'farewell')
    await service.api('DELETE', path, { token: ada.token })
    await scene.quiet(ada, bob, cyd)
    for (const player of [ada, bob, cyd]) {
      expect(groupOf(player)).toBeUndefined()
      expect((await player.get('/v1/groups')).items).toEqual([])
      expect(bodies(player).slice(1)).toEqual([{ text: 'farewell' }, { event: 'groupDissolved', by: ada.userId }])
      expect(await player.history(conversationId)).toHaveLength(3)
      await expect(player.say(conversationId)).rejects.toMatchObject({ code: 'group.dissolved' })
    }
    const told = { kind: 'groupDissolved', groupId, by: ada.userId }
    expect([...(bob.device.replica.get('notifications')?.values() ?? [])]).toMatchObject([told])
    expect(ada.device.replica.get('notifications')?.size ?? 0).toBe(0)
    expect(await bob.get(path)).toMatchObject({ groupId, dissolvedAt: expect.stringMatching(instant) })
    await expect(ada.do('addMembers', { groupId, userIds: [cyd.userId] })).rejects.toMatchObject({
      code: 'group.dissolved',
    })
    await converged(ada, bob, cyd)
  })
})

describe('the members of a group', () => {
  test('are live for a device that opened them, until it closes them or is out', async () => {
    const { ada, bob, cyd, groupId, path } = await three()
    const membersOf = (player: Player) => [...(player.device.replica.get('members')?.values() ?? [])]
    for (const player of [ada, bob]) expect(await player.do('open', { collection: 'members', groupId })).toEqual({})
    const { items } = await ada.get(`${path}/members`)
    expect(membersOf(bob)).toEqual(items)
    await bob.do('close', { collection: 'members', groupId })
    await ada.do('removeMembers', { groupId, userIds: [cyd.userId] })
    await scene.quiet(ada, bob, cyd)
    expect(membersOf(ada)).toHaveLength(2)
    expect(membersOf(bob)).toHaveLength(3)
    await bob.do('open', { collection: 'members', groupId })
    await ada.do('removeMembers', { groupId, userIds: [bob.userId] })
    await scene.quiet(ada, bob)
    expect(membersOf(bob)).toEqual([])
    await expect(bob.do('open', { collection: 'members', groupId })).rejects.toMatchObject({ code: 'group.not-found' })
  })

  test('can be opened by whoever has just made the group, or has just come in', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    for (let times = 0; times < 5; times++) {
      const { groupId } = await ada.do('createGroup', { name: 'Engines', preset: 'meeting' })
      expect(await ada.do('open', { collection: 'members', groupId })).toEqual({})
      await bob.do('joinGroup', { groupId })
      expect(await bob.do('open', { collection: 'members', groupId })).toEqual({})
      expect([...(bob.device.replica.get('members')?.keys() ?? [])]).toContain(`${groupId}#${bob.userId}`)
    }
  })

  test('are found by a part of their name, page by page', async () => {
    const { ada, bob, path } = await three()
    const found = await ada.get(`${path}/members?q=${bob.person.userName.slice(0, 4)}`)
    expect(found.items.map(({ userId }: Row) => userId)).toContain(bob.userId)
    const first = await ada.get(`${path}/members?limit=2`)
    expect(first.items).toHaveLength(2)
    const rest = await ada.get(`${path}/members?limit=2&cursor=${encodeURIComponent(first.next)}`)
    expect(rest).toMatchObject({ items: [{}], next: null })
  })
})
