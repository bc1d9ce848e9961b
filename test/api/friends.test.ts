// Owns the tests of friends and friend requests over HTTP (R6–R9): policies, answers, lists, the cap.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { friendship } from '../../domain/friendship/friendship.ts'
import { group } from '../../domain/group/group.ts'
import { type GroupId, streamOf, type UserId } from '../../domain/ids.ts'
import { limits } from '../../domain/limits.ts'
import { type Harness, p2p, startHarness, type TestUser, textOf } from './harness.ts'

let api: Harness
let ada: TestUser
let bob: TestUser
let cyd: TestUser
let number = 0
beforeAll(async () => {
  api = await startHarness()
})
afterAll(() => api.close())
beforeEach(async () => {
  number++
  ada = await api.user(`ada${number}`)
  bob = await api.user(`bob${number}`)
  cyd = await api.user(`cyd${number}`)
})
afterEach(() => {
  api.settings.friendsMax = 3
})

const ask = (from: TestUser, to: TestUser, more = {}) =>
  api.ok('POST /v1/friend-requests', { token: from.token, body: { userId: to.userId, ...more } })
const answer = (by: TestUser, from: TestUser, how: string, body?: object) =>
  api.ok(`POST /v1/friend-requests/${from.userId}/${how}`, { token: by.token, body })
const policy = (of: TestUser, friendPolicy: string) =>
  api.ok('PATCH /v1/users/me', { token: of.token, body: { friendPolicy } })
const friends = async (from: TestUser, to: TestUser) => {
  await ask(from, to)
  return answer(to, from, 'accept')
}
const get = (of: TestUser, path: string) => api.ok(`GET ${path}`, { token: of.token })
const refusedAs = (code: string, by: TestUser, route: string, body?: object) =>
  api.refused(code, route, { token: by.token, ...(body === undefined ? undefined : { body }) })

describe('asking (R6)', () => {
  it('waits for the other one, and shows on both sides', async () => {
    const asked = await ask(ada, bob, { message: 'It is me', source: { kind: 'search' } })
    expect(asked).toMatchObject({ state: 'requested' })
    const row = {
      messages: [{ text: 'It is me' }],
      source: { kind: 'search' },
      state: 'pending',
      position: asked.position,
    }
    const mine = await get(ada, `/v1/friend-requests?after=${asked.position}`)
    expect(mine).toMatchObject({
      items: [{ userId: bob.userId, direction: 'outgoing', ...row }],
      next: null,
      unread: 0,
    })
    const theirs = await get(bob, '/v1/friend-requests?direction=incoming&state=pending')
    expect(theirs).toMatchObject({ items: [{ userId: ada.userId, direction: 'incoming', ...row }], unread: 1 })
    expect(await get(bob, '/v1/friend-requests?direction=outgoing')).toMatchObject({ items: [], unread: 1 })
    expect(await get(bob, '/v1/notifications?state=pending')).toMatchObject({
      items: [{ kind: 'friendRequest', by: ada.userId, message: 'It is me', state: 'pending' }],
      unread: 1,
    })
    const read = await api.ok('POST /v1/friend-requests/read', { token: bob.token })
    expect(await get(bob, `/v1/friend-requests?after=${read.position}`)).toMatchObject({ items: [{}], unread: 0 })
    const again = await ask(ada, bob, { message: 'Please' })
    const after = await get(bob, `/v1/friend-requests?after=${again.position}`)
    expect(after).toMatchObject({ items: [{ messages: [{ text: 'It is me' }, { text: 'Please' }] }], unread: 1 })
  })

  it('goes by what the one who is asked wants', async () => {
    await policy(bob, 'anyone')
    expect(await ask(ada, bob)).toMatchObject({ state: 'friends' })
    await policy(cyd, 'nobody')
    await refusedAs('friend.refused', ada, 'POST /v1/friend-requests', { userId: cyd.userId })
    expect(await ask(cyd, ada)).toMatchObject({ state: 'requested' })
    expect(await ask(ada, cyd)).toMatchObject({ state: 'friends' })
  })

  it('is refused to the blocked in the very words of one who takes nobody (R10)', async () => {
    await api.ok(`PUT /v1/blocklist/${ada.userId}`, { token: bob.token })
    const blocked = await refusedAs('friend.refused', ada, 'POST /v1/friend-requests', { userId: bob.userId })
    await policy(cyd, 'nobody')
    expect(await refusedAs('friend.refused', ada, 'POST /v1/friend-requests', { userId: cyd.userId })).toEqual(blocked)
    await api.ok(`DELETE /v1/blocklist/${ada.userId}`, { token: bob.token })
    // What was refused does not come later.
    const { position } = await ask(ada, bob, { message: 'now' })
    const { items } = await get(bob, `/v1/friend-requests?after=${position}`)
    expect(items).toMatchObject([{ messages: [{ text: 'now' }] }])
  })

  it('of a friend is refused and changes nothing, but under the key of the first one', async () => {
    await policy(bob, 'anyone')
    const request = { token: ada.token, body: { userId: bob.userId }, key: 'first' }
    const first = await api.ok('POST /v1/friend-requests', request)
    expect(first).toMatchObject({ state: 'friends' })
    const before = await api.node.store.head()
    await refusedAs('friend.already-friends', ada, 'POST /v1/friend-requests', { userId: bob.userId })
    await refusedAs('friend.already-friends', bob, 'POST /v1/friend-requests', { userId: ada.userId })
    await api.refused('friend.already-friends', 'POST /v1/friend-requests', { ...request, key: 'second' })
    expect(await api.ok('POST /v1/friend-requests', request)).toEqual(first)
    expect(await api.node.store.head()).toBe(before)
    await api.ok(`DELETE /v1/friends/${bob.userId}`, { token: ada.token })
    expect(await ask(ada, bob)).toMatchObject({ state: 'friends' })
  })

  it('waits of so many at most, and makes room as soon as one is taken back', async () => {
    const by = ada.userId as UserId
    const facts = { friendsMax: 3, ownFriends: 0, peerFriends: 0, ownRequests: 0, peerIsLive: true, isBlocked: false }
    const others = Array.from(
      { length: limits.friendRequestsPendingPerUserMax - 2 },
      (_, index) => `w${number}-${index}`,
    )
    for (const other of others as unknown as UserId[]) {
      const command = { type: 'RequestFriend', by, userId: other, requestId: other, at: api.clock.now() } as const
      const known = { ...facts, peerPolicy: 'approval', group: undefined } as const
      await api.node.handle(friendship, streamOf.friendship(by, other), command, { facts: known })
    }
    expect(await api.runner.passed(api.node.position, 30_000)).toBe(true)
    const [dee, eve] = [await api.user(`dee${number}`), await api.user(`eve${number}`)]
    const asked = await Promise.all(
      [bob, cyd, dee, eve].map(async user => {
        const answer = await api.ask('POST /v1/friend-requests', { token: ada.token, body: { userId: user.userId } })
        return { user, outcome: answer.body.code ?? answer.body.state }
      }),
    )
    const those = (outcome: string) => asked.filter(one => one.outcome === outcome).map(({ user }) => user)
    const [waiting, ...alsoWaiting] = those('requested') as [TestUser]
    const [refused, ...alsoRefused] = those('friend.request-limit') as [TestUser, TestUser]
    expect([alsoWaiting.length, alsoRefused.length]).toEqual([1, 1])
    expect(await ask(ada, waiting, { message: 'still waiting' })).toMatchObject({ state: 'requested' })
    await api.ok(`DELETE /v1/friend-requests/${waiting.userId}`, { token: ada.token })
    expect(await ask(ada, refused)).toMatchObject({ state: 'requested' })
    await refusedAs('friend.request-limit', ada, 'POST /v1/friend-requests', { userId: alsoRefused[0]?.userId })
    // Who is asked by as many as there are is not kept from asking.
    expect(await ask(bob, eve)).toMatchObject({ state: 'requested' })
    expect((await get(ada, '/v1/server')).limits).toMatchObject({ friendRequestsPendingPerUserMax: 100 })
  })

  it('is once for every key', async () => {
    const body = { userId: bob.userId, message: 'x' }
    const first = await api.ok('POST /v1/friend-requests', { token: ada.token, body, key: 'k' })
    expect(await api.ok('POST /v1/friend-requests', { token: ada.token, body, key: 'k' })).toEqual(first)
    const { items } = await get(ada, `/v1/friend-requests?after=${first.position}`)
    expect(items[0].messages).toHaveLength(1)
  })

  it.each([
    [{}, 'userId'],
    [{ userId: 'x', message: '' }, 'message'],
    [{ userId: 'x', message: 'x'.repeat(256) }, 'message'],
    [{ userId: 'x', source: { kind: 'group' } }, 'source.groupId'],
    [{ userId: 'x', source: { kind: 'card', groupId: 'g' } }, 'source.groupId'],
    [{ userId: 'x', source: { kind: 'elsewhere' } }, 'source.kind'],
  ])('refuses %j for its %s', async (body, path) => {
    expect((await refusedAs('request.invalid', ada, 'POST /v1/friend-requests', body)).errors[0].path).toBe(path)
  })

  it('by way of a group is for its members, and not for plain ones where it says so (R46)', async () => {
    const groupId = `group${number}` as GroupId
    const memberIds = [bob.userId, cyd.userId] as UserId[]
    const consent = { inviteeConsent: 'none', requestId: 'r' } as const
    const chosen = { groupId, name: 'G', memberIds, ...consent, noFriendRequestsBetweenMembers: true }
    const command = { type: 'CreateGroup', ...chosen, by: ada.userId as UserId, at: api.clock.now() } as const
    await api.node.handle(group, streamOf.group(groupId), command, { facts: { groupsCreated: 0 } })
    const source = { kind: 'group', groupId }
    await refusedAs('friend.group-forbids', bob, 'POST /v1/friend-requests', { userId: cyd.userId, source })
    await refusedAs('group.not-found', bob, 'POST /v1/friend-requests', {
      userId: cyd.userId,
      source: { kind: 'group', groupId: 'none' },
    })
    expect(await ask(ada, bob, { source })).toMatchObject({ state: 'requested' })
  })
})

describe('answering (R7)', () => {
  it('makes friends, and tells the one who asked', async () => {
    const { position } = await friends(ada, bob)
    const note = { starred: false, since: expect.any(String) }
    expect(await get(ada, `/v1/friends?after=${position}`)).toEqual({
      items: [{ userId: bob.userId, ...note }],
      next: null,
      cursor: expect.any(String),
    })
    expect(await get(bob, `/v1/friends/${ada.userId}`)).toEqual({ userId: ada.userId, ...note })
    expect(await get(ada, '/v1/notifications')).toMatchObject({
      items: [{ kind: 'friendRequestResult', by: bob.userId, state: 'accepted', endedAt: expect.any(String) }],
    })
    expect(await get(bob, '/v1/notifications')).toMatchObject({ items: [{ kind: 'friendRequest', state: 'accepted' }] })
    expect(await get(bob, '/v1/friend-requests?state=accepted')).toMatchObject({ items: [{}], unread: 0 })
    await answer(bob, ada, 'accept')
    await refusedAs('friend.request-ended', bob, `POST /v1/friend-requests/${ada.userId}/reject`, {})
  })

  it('of a request that never was is impossible', async () => {
    await refusedAs('friend.request-not-found', bob, `POST /v1/friend-requests/${ada.userId}/accept`)
    await ask(ada, bob)
    await refusedAs('friend.request-not-found', ada, `POST /v1/friend-requests/${bob.userId}/accept`)
    await refusedAs('friend.request-not-found', cyd, `POST /v1/friend-requests/${ada.userId}/accept`)
    expect(await get(ada, '/v1/friends')).toMatchObject({ items: [], next: null })
  })

  it('can be a no with a reason, and the one who asked can take it back', async () => {
    await ask(ada, bob)
    const no = await answer(bob, ada, 'reject', { reason: 'Who are you?' })
    expect(await get(ada, `/v1/friend-requests?after=${no.position}`)).toMatchObject({
      items: [{ state: 'rejected', reason: 'Who are you?', endedAt: expect.any(String) }],
    })
    await ask(ada, cyd)
    const back = await api.ok(`DELETE /v1/friend-requests/${cyd.userId}`, { token: ada.token })
    expect(await get(cyd, `/v1/friend-requests?after=${back.position}`)).toMatchObject({
      items: [{ state: 'withdrawn' }],
      unread: 0,
    })
    await refusedAs('friend.request-not-found', cyd, `POST /v1/friend-requests/${ada.userId}/accept`)
  })

  it('comes too late after seven days', async () => {
    await ask(ada, bob)
    api.clock.pass(7 * 86_400)
    ada = await api.signIn(ada.userName, 'late')
    bob = await api.signIn(bob.userName, 'late')
    await refusedAs('friend.request-ended', bob, `POST /v1/friend-requests/${ada.userId}/accept`)
    expect(await ask(ada, bob)).toMatchObject({ state: 'requested' })
    await answer(bob, ada, 'accept')
  })
})

describe('friends', () => {
  it('can be written down about, found by it, and seen by nobody else (R9)', async () => {
    await friends(ada, bob)
    await friends(ada, cyd)
    const noted = await api.ok(`PATCH /v1/friends/${bob.userId}`, {
      token: ada.token,
      body: { remark: 'Bobby Tables', extension: '{"a":1}', starred: true },
    })
    const found = await get(ada, `/v1/friends?q=tab&after=${noted.position}`)
    expect(found.items).toEqual([
      { userId: bob.userId, since: expect.any(String), remark: 'Bobby Tables', extension: '{"a":1}', starred: true },
    ])
    expect((await get(ada, `/v1/friends?q=${cyd.userId}`)).items).toMatchObject([{ userId: cyd.userId }])
    expect((await get(bob, '/v1/friends')).items).toMatchObject([{ userId: ada.userId, starred: false }])
    const away = await api.ok(`PATCH /v1/friends/${bob.userId}`, { token: ada.token, body: { remark: null } })
    expect(await get(ada, `/v1/friends/${bob.userId}?after=${away.position}`)).not.toHaveProperty('remark')
    await refusedAs('friend.not-found', bob, `PATCH /v1/friends/${cyd.userId}`, { starred: true })
  })

  it('tell what changed since a cursor', async () => {
    const { position } = await friends(ada, bob)
    const since = `since=${api.node.store.logId}.1.${position}`
    const first = await get(ada, `/v1/friends?${since}&after=${position}`)
    expect(first).toMatchObject({ items: [{ userId: bob.userId }], removed: [], cursor: expect.any(String) })
    const gone = await api.ok(`DELETE /v1/friends/${bob.userId}`, { token: ada.token })
    expect(await get(ada, `/v1/friends?since=${first.cursor}&after=${gone.position}`)).toMatchObject({
      items: [],
      removed: [bob.userId],
    })
    expect(await get(bob, '/v1/friends')).toMatchObject({ items: [], next: null })
    expect(await get(ada, `/v1/friend-requests?${since}`)).toMatchObject({ items: [{ userId: bob.userId }] })
    for (const filter of ['q=x', 'cursor=x'])
      await refusedAs('request.invalid', ada, `GET /v1/friends?${since}&${filter}`)
    await refusedAs('request.invalid', ada, `GET /v1/friend-requests?${since}&state=pending`)
    await refusedAs('sync.too-old', ada, 'GET /v1/friends?since=other.1.0000000000000000')
  })

  it('who part can still write to each other (R8)', async () => {
    await friends(ada, bob)
    const said = () =>
      api.ok(`POST /v1/conversations/${p2p(ada, bob)}/messages`, { token: bob.token, body: textOf('still here') })
    await said()
    await api.ok(`DELETE /v1/friends/${bob.userId}`, { token: ada.token })
    const { position } = await said()
    expect((await get(ada, `/v1/conversations?after=${position}`)).items).toMatchObject([{ lastSeq: 2 }])
    expect(await api.ok(`DELETE /v1/friends/${bob.userId}`, { token: ada.token })).toMatchObject({})
  })

  it('are counted on both sides, when asking and when answering (R6)', async () => {
    api.settings.friendsMax = 1
    await ask(cyd, ada)
    await friends(ada, bob)
    await refusedAs('friend.limit', ada, 'POST /v1/friend-requests', { userId: cyd.userId })
    await refusedAs('friend.peer-limit', cyd, 'POST /v1/friend-requests', { userId: bob.userId })
    await refusedAs('friend.limit', ada, `POST /v1/friend-requests/${cyd.userId}/accept`)
    expect(await get(ada, '/v1/server')).toMatchObject({ limits: { friendsMax: 1 } })
    await api.ok(`DELETE /v1/friends/${bob.userId}`, { token: ada.token })
    await answer(ada, cyd, 'accept')
  })

  it('never become more than the cap, however many answer at once', async () => {
    const others = await Promise.all(Array.from({ length: 6 }, (_, index) => api.user(`o${number}-${index}`)))
    await Promise.all(others.map(other => ask(other, ada)))
    const answers = await Promise.all(
      others.map(other => api.ask(`POST /v1/friend-requests/${other.userId}/accept`, { token: ada.token })),
    )
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 200, 200, 409, 409, 409])
    const last = answers
      .flatMap(({ body }) => body.position ?? [])
      .toSorted()
      .at(-1)
    expect((await get(ada, `/v1/friends?after=${last}`)).items).toHaveLength(3)
  })
})
