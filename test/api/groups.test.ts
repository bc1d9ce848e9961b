// Owns the tests of groups over HTTP: who may what, who is told what, and that strangers see nothing.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { limits } from '../../domain/limits.ts'
import { type Harness, startHarness, type TestUser, textOf } from './harness.ts'

let api: Harness
let ada: TestUser
let bob: TestUser
let eve: TestUser
beforeAll(async () => {
  api = await startHarness()
  ada = await api.user('ada')
  bob = await api.user('bob')
  eve = await api.user('eve')
})
afterAll(() => api.close())

const createGroup = (owner: TestUser, ...members: TestUser[]) =>
  api.ok('POST /v1/groups', {
    token: owner.token,
    body: { name: 'Group', inviteeConsent: 'none', memberIds: members.map(({ userId }) => userId) },
  })

describe('groups', () => {
  it('are made with those who can be added, and say who cannot', async () => {
    await api.ok(`PUT /v1/blocklist/${ada.userId}`, { token: eve.token })
    const made = await api.ok('POST /v1/groups', {
      token: ada.token,
      body: {
        name: ' Engines ',
        inviteeConsent: 'none',
        memberIds: [bob.userId, 'nobody', 'me', eve.userId, bob.userId],
      },
    })
    await api.ok(`DELETE /v1/blocklist/${ada.userId}`, { token: eve.token })
    expect(made).toMatchObject({
      added: [bob.userId],
      failed: [
        { userId: 'nobody', code: 'user.not-found' },
        { userId: eve.userId, code: 'message.blocked' },
      ],
      conversationId: `group:${made.groupId}`,
    })
    const group = await api.ok(`GET /v1/groups/${made.groupId}?after=${made.position}`, { token: bob.token })
    expect(group).toMatchObject({ name: 'Engines', ownerId: ada.userId, memberCount: 2, myRole: 'member' })
    expect((await api.ok('GET /v1/groups', { token: bob.token })).items).toContainEqual(group)
  })

  it('are so many of one who makes them, and of one who is given them; one that ends makes room (R14, R17)', async () => {
    const [max, giver] = [await api.user('max'), await api.user('giver')]
    const make = (by: TestUser) => api.ask('POST /v1/groups', { token: by.token, body: { name: 'One more' } })
    const made = await Promise.all(Array.from({ length: limits.groupsCreatedMax }, () => make(max)))
    const folded = async (answers: readonly { readonly body: { readonly position: string } }[]) => {
      const last = answers
        .map(({ body }) => body.position)
        .toSorted()
        .at(-1) as never
      expect(await api.runner.passed(last, 60_000)).toBe(true)
    }
    await folded(made)
    expect((await make(max)).body.code).toBe('group.created-limit')
    const { groupId } = await createGroup(giver, max)
    const give = () =>
      api.ask(`POST /v1/groups/${groupId}/transfer`, { token: giver.token, body: { to: max.userId, leave: false } })
    expect((await give()).body).toMatchObject({ code: 'group.owned-limit', userId: max.userId })
    await folded([await api.ask(`DELETE /v1/groups/${made[0]?.body.groupId}`, { token: max.token })])
    const given = await give()
    expect(given.status, JSON.stringify(given.body)).toBe(200)
    expect((await make(max)).status).toBe(201)
  })

  it('repeated under one key are one', async () => {
    const request = {
      token: ada.token,
      body: { name: 'Once', inviteeConsent: 'none', memberIds: [bob.userId] },
      key: 'group-1',
    }
    const [first, ...others] = await Promise.all([1, 2, 3].map(() => api.ok('POST /v1/groups', request)))
    for (const other of others) expect(other).toEqual(first)
    expect(await api.ok('POST /v1/groups', request)).toEqual(first)
    await api.refused('idempotency.mismatch', 'POST /v1/groups', { ...request, body: { name: 'Other' } })
    const bobs = await api.ok('POST /v1/groups', { ...request, token: bob.token, body: { name: 'Once' } })
    expect(bobs.groupId).not.toBe(first.groupId)
  })

  it('do not exist for those who are not in them', async () => {
    const { groupId, position } = await createGroup(ada, bob)
    const absent = 'g'.repeat(26)
    const calls: [string, object?][] = [
      ['GET /v1/groups/ID'],
      ['GET /v1/groups/ID/members'],
      ['DELETE /v1/groups/ID'],
      ['POST /v1/groups/ID/leave'],
      ['POST /v1/groups/ID/transfer', { to: bob.userId, leave: true }],
      ['POST /v1/groups/ID/members', { userIds: [bob.userId, 'nobody'] }],
      ['POST /v1/groups/ID/members/remove', { userIds: [bob.userId] }],
      [`PUT /v1/groups/ID/admins/${bob.userId}`],
      [`DELETE /v1/groups/ID/admins/${bob.userId}`],
      ['GET /v1/conversations/group:ID'],
      ['GET /v1/conversations/group:ID/messages'],
      ['POST /v1/conversations/group:ID/messages', textOf('hi')],
      ['POST /v1/conversations/group:ID/read', { seq: 1 }],
      ['PATCH /v1/conversations/group:ID', { pinned: true }],
      ['DELETE /v1/conversations/group:ID'],
      ['POST /v1/conversations/group:ID/messages/1/recall', {}],
    ]
    await api.ok(`GET /v1/groups/${groupId}?after=${position}`, { token: ada.token })
    for (const [route, body] of calls) {
      const answers = []
      for (const id of [groupId, absent]) {
        answers.push(await api.ask(route.replace('ID', id), { token: eve.token, ...(body && { body }) }))
      }
      const [there, not] = answers.map(({ status, body }) => ({ status, body }))
      expect(there, route).toEqual(not)
      expect(there?.status, route).toBe(404)
    }
  })

  it('change hands, members and admins by their rules', async () => {
    const { groupId } = await createGroup(ada)
    const added = await api.ok(`POST /v1/groups/${groupId}/members`, {
      token: ada.token,
      body: { userIds: [bob.userId, eve.userId, 'nobody', ada.userId] },
    })
    expect(added).toMatchObject({
      added: [bob.userId, eve.userId],
      failed: [{ userId: 'nobody', code: 'user.not-found' }],
    })
    await api.refused('group.not-allowed', `POST /v1/groups/${groupId}/members`, {
      token: bob.token,
      body: { userIds: ['nobody'] },
    })
    await api.refused('group.not-owner', `PUT /v1/groups/${groupId}/admins/me`, { token: bob.token })
    const { position } = await api.ok(`PUT /v1/groups/${groupId}/admins/${bob.userId}`, { token: ada.token })
    const admins = await api.ok(`GET /v1/groups/${groupId}/members?role=admin&after=${position}`, { token: eve.token })
    expect(admins.items).toMatchObject([{ userId: bob.userId, role: 'admin', invitedBy: ada.userId }])
    await api.refused('group.target-is-owner', `POST /v1/groups/${groupId}/members/remove`, {
      token: bob.token,
      body: { userIds: [eve.userId, ada.userId] },
    })
    await api.ok(`POST /v1/groups/${groupId}/members/remove`, { token: bob.token, body: { userIds: [eve.userId] } })
    await api.refused('group.owner-cannot-leave', `POST /v1/groups/${groupId}/leave`, { token: ada.token })
    await api.ok(`POST /v1/groups/${groupId}/transfer`, { token: ada.token, body: { to: bob.userId, leave: true } })
    const { position: end } = await api.ok(`DELETE /v1/groups/${groupId}`, { token: bob.token })
    await api.refused('group.dissolved', `POST /v1/groups/${groupId}/members`, {
      token: bob.token,
      body: { userIds: [ada.userId] },
    })
    const group = await api.ok(`GET /v1/groups/${groupId}?after=${end}`, { token: bob.token })
    expect(group.dissolvedAt).toEqual(expect.any(String))
    await api.refused('group.dissolved', `POST /v1/conversations/group:${groupId}/messages`, {
      token: bob.token,
      body: textOf('hi'),
    })
  })

  it('leave to one who was removed what was seen until then, and nothing else', async () => {
    const { groupId, conversationId } = await createGroup(ada, bob)
    const send = (text: string) =>
      api.ok(`POST /v1/conversations/${conversationId}/messages`, { token: ada.token, body: textOf(text) })
    await send('before')
    await api.ok(`POST /v1/groups/${groupId}/members/remove`, { token: ada.token, body: { userIds: [bob.userId] } })
    const { position } = await send('after')
    const history = `GET /v1/conversations/${conversationId}/messages`
    const texts = async (token: string) =>
      (await api.ok(`${history}?after=${position}`, { token })).items.flatMap(
        (message: { body: { text?: string } }) => message.body.text ?? [],
      )
    expect(await texts(ada.token)).toEqual(['before', 'after'])
    expect(await texts(bob.token)).toEqual(['before'])
    const row = await api.ok(`GET /v1/conversations/${conversationId}`, { token: bob.token })
    expect(row).toMatchObject({ active: false, lastMessage: { body: { text: 'before' } } })
    await api.ok(`POST /v1/conversations/${conversationId}/read`, { token: bob.token, body: { seq: 99 } })
    await api.refused('group.not-found', `GET /v1/groups/${groupId}`, { token: bob.token })
    await api.refused('group.not-found', `GET /v1/groups/${groupId}/members`, { token: bob.token })
    await api.refused('conversation.not-found', `POST /v1/conversations/${conversationId}/messages`, {
      token: bob.token,
      body: textOf('hi'),
    })
  })

  it('tell what changed since a cursor, in their list and in the notifications', async () => {
    const { groupId, position } = await createGroup(ada, bob)
    const since = `since=${api.node.store.logId}.1.${position}`
    const joined = await api.ok(`GET /v1/groups?${since}&after=${position}`, { token: bob.token })
    expect(joined.items).toMatchObject([{ groupId }])
    const end = await api.ok(`DELETE /v1/groups/${groupId}`, { token: ada.token })
    const after = `since=${joined.cursor}&after=${end.position}`
    expect(await api.ok(`GET /v1/groups?${after}`, { token: bob.token })).toMatchObject({
      items: [],
      removed: [groupId],
    })
    const { items } = await api.ok(`GET /v1/notifications?${after}`, { token: bob.token })
    expect(items).toMatchObject([{ kind: 'groupDissolved', groupId }])
    await api.refused('sync.too-old', 'GET /v1/groups?since=other.1.0000000000000000', { token: bob.token })
  })

  it.each([
    [{}, 'name'],
    [{ name: '' }, 'name'],
    [{ name: 'x', memberIds: 'me' }, 'memberIds'],
    [{ name: 'x', memberIds: ['$$'] }, 'memberIds.0'],
    [{ name: 'x', memberIds: Array(limits.groupTargetsPerCallMax + 1).fill('a') }, 'memberIds'],
    [{ name: 'x', memberLimit: 1 }, 'memberLimit'],
    [{ name: 'x', memberLimit: 1e9 }, 'memberLimit'],
    [{ name: 'x', memberLimit: '200' }, 'memberLimit'],
    [{ name: 'x', inviteMode: 'nobody' }, 'inviteMode'],
    [{ name: 'x', ownerId: 'somebody' }, 'ownerId'],
    [{ name: 'x', groupId: 'mine' }, 'groupId'],
  ])('are not made from %j', async (body, path) => {
    const refusal = await api.refused('request.invalid', 'POST /v1/groups', { token: ada.token, body })
    expect(refusal.errors.map((error: { path: string }) => error.path)).toContain(path)
  })
})
