// Owns what a group's settings do to its people, as they see it on their devices: attributes, mutes, names, what one may read.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
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

const three = async () => {
  const [ada, bob, cyd] = (await scene.enter('ada', 'bob', 'cyd')) as [Player, Player, Player]
  return { ada, bob, cyd, ...(await scene.group(ada, bob, cyd)) }
}
const groupOf = (player: Player, groupId: string) => player.device.replica.get('groups')?.get(groupId)
const lastBody = (player: Player, conversationId: string) => player.messages(conversationId).at(-1)?.body
const converged = async (...players: Player[]) => expect(await scene.divergence(...players)).toEqual([])

describe('what a group is set to', () => {
  test('is chosen when it is created, on top of a preset (R14, R18)', async () => {
    const [ada] = (await scene.enter('ada')) as [Player]
    const made = await ada.do('createGroup', { name: 'Forum', preset: 'community', introduction: 'All welcome' })
    await scene.quiet(ada)
    expect(groupOf(ada, made.groupId)).toMatchObject({
      name: 'Forum',
      introduction: 'All welcome',
      joinMode: 'free',
      inviteeConsent: 'none',
      historyBeforeJoin: true,
      searchable: true,
      memberLimit: 5_000,
      muteAll: 'none',
    })
  })

  test('changes on every device, and the conversation is told only of what changed (R37)', async () => {
    const { ada, bob, cyd, groupId, conversationId } = await three()
    const changed = { name: 'Engines', announcement: 'Meeting on Monday', extension: '{"a":1}' }
    await ada.do('updateGroup', { groupId, joinMode: 'approval', ...changed })
    await scene.quiet(ada, bob, cyd)
    for (const player of [ada, bob, cyd]) {
      expect(groupOf(player, groupId)).toMatchObject(changed)
      expect(lastBody(player, conversationId)).toEqual({
        event: 'groupUpdated',
        by: ada.userId,
        changed,
      })
    }
    await converged(ada, bob, cyd)
  })

  test('is the app’s to change past the roles, its own extension too', async () => {
    const { ada, bob, cyd, groupId, conversationId } = await three()
    const body = { appExtension: 'gold', hideMemberProfiles: true }
    const path = `/v1/admin/groups/${groupId}`
    expect(await service.api('PATCH', path, { token: adminKey, body })).toMatchObject({ status: 200 })
    await scene.quiet(ada, bob, cyd)
    expect(groupOf(cyd, groupId)).toMatchObject(body)
    expect(lastBody(cyd, conversationId)).toEqual({ event: 'groupUpdated', by: 'system', changed: body })
    await converged(ada, bob, cyd)
  })

  test('lets it be found by the beginning of its name, only while it allows that', async () => {
    const [ada, dee] = (await scene.enter('ada', 'dee')) as [Player, Player]
    const { groupId } = await ada.do('createGroup', { name: 'Zeppelins of old', introduction: 'Airships' })
    const found = async () => (await dee.get('/v1/groups/search?q=zEPP')).items
    await ada.readable((await ada.do('updateGroup', { groupId, searchable: true })).position)
    expect(await found()).toEqual([
      {
        groupId,
        name: 'Zeppelins of old',
        avatarUrl: '',
        introduction: 'Airships',
        memberCount: 1,
        memberLimit: 200,
        joinMode: 'approval',
      },
    ])
    expect((await dee.get('/v1/groups/search?q=eppelins')).items).toEqual([])
    await ada.readable((await ada.do('updateGroup', { groupId, searchable: false })).position)
    expect(await found()).toEqual([])
    await ada.do('updateGroup', { groupId, searchable: true })
    await ada.readable((await ada.do('dissolveGroup', { groupId })).position)
    expect(await found()).toEqual([])
  })
})

describe('one who is muted (R21)', () => {
  test('reads, recalls and hears, but does not write until it ends', async () => {
    const { ada, bob, cyd, groupId, conversationId } = await three()
    const { seq } = await bob.say(conversationId, 'too loud')
    await ada.do('updateMember', { groupId, userId: bob.userId, mutedUntil: '2999-01-01T00:00:00Z' })
    await expect(bob.say(conversationId)).rejects.toMatchObject({
      code: 'group.muted',
      error: expect.objectContaining({ until: '2999-01-01T00:00:00.000Z' }),
    })
    await bob.do('recallMessage', { conversationId, seq })
    await ada.say(conversationId, 'quiet now')
    await scene.quiet(ada, bob, cyd)
    expect(groupOf(bob, groupId)).toMatchObject({ myMutedUntil: '2999-01-01T00:00:00.000Z' })
    expect(groupOf(cyd, groupId)).toMatchObject({ myMutedUntil: null })
    expect(bob.messages(conversationId).map(({ body }) => body)).toContainEqual({ text: 'quiet now' })
    expect(cyd.messages(conversationId).map(({ body }) => body)).toContainEqual({
      event: 'memberMuted',
      by: ada.userId,
      targets: [bob.userId],
      changed: { mutedUntil: '2999-01-01T00:00:00.000Z' },
    })
    await ada.do('updateMember', { groupId, userId: bob.userId, mutedUntil: null })
    await bob.say(conversationId, 'thank you')
    await converged(ada, bob, cyd)
  })

  test('is so still after leaving and coming back', async () => {
    const { ada, bob, groupId, conversationId } = await three()
    await ada.do('updateMember', { groupId, userId: bob.userId, mutedUntil: 'forever' })
    await bob.do('leaveGroup', { groupId })
    await ada.do('addMembers', { groupId, userIds: [bob.userId] })
    await scene.quiet(ada, bob)
    expect(groupOf(bob, groupId)).toMatchObject({ myMutedUntil: 'forever' })
    await expect(bob.say(conversationId)).rejects.toMatchObject({ code: 'group.muted' })
    await converged(ada, bob)
  })
})

describe('a group that is muted (R42)', () => {
  test('hears its owner and admins; the server’s notifications come all the same', async () => {
    const { ada, bob, cyd, groupId, conversationId } = await three()
    await ada.do('setMuteAll', { groupId, mode: 'members' })
    await expect(bob.say(conversationId)).rejects.toMatchObject({ code: 'group.all-muted' })
    await ada.say(conversationId, 'listen')
    await scene.quiet(ada, bob, cyd)
    expect(groupOf(bob, groupId)).toMatchObject({ muteAll: 'members' })
    expect(bob.messages(conversationId).map(({ body }) => body)).toContainEqual({
      event: 'muteAllChanged',
      by: ada.userId,
      changed: { muteAll: 'members' },
    })
    await converged(ada, bob, cyd)
  })

  test('hears nobody when the app says so, until the app ends it', async () => {
    const { ada, groupId, conversationId } = await three()
    const path = `/v1/admin/groups/${groupId}/mute-all`
    await service.api('PUT', path, { token: adminKey, body: { mode: 'everyone' } })
    await expect(ada.say(conversationId)).rejects.toMatchObject({ code: 'group.all-muted' })
    await expect(ada.do('setMuteAll', { groupId, mode: 'none' })).rejects.toMatchObject({ code: 'group.not-allowed' })
    await service.api('PUT', path, { token: adminKey, body: { mode: 'none' } })
    await ada.say(conversationId)
  })
})

describe('a member in a group', () => {
  test('has a name there, live for those who look at the members (R28)', async () => {
    const { ada, bob, cyd, groupId } = await three()
    await cyd.device.command('open', { collection: 'members', groupId })
    await bob.do('updateMember', { groupId, userId: 'me', nickname: 'Bobby', extension: 'x' })
    await bob.do('followMember', { groupId, userId: ada.userId })
    await scene.quiet(ada, bob, cyd)
    const row = cyd.device.replica.get('members')?.get(`${groupId}#${bob.userId}`)
    expect(row).toMatchObject({ nickname: 'Bobby', extension: 'x' })
    expect(row).not.toHaveProperty('followedIds')
    expect(groupOf(bob, groupId)).toMatchObject({ myNickname: 'Bobby', myExtension: 'x', myFollowedIds: [ada.userId] })
    expect((await cyd.get(`/v1/groups/${groupId}/members?q=bobb`)).items.map(({ userId }: Player) => userId)).toEqual([
      bob.userId,
    ])
    expect(await cyd.get(`/v1/groups/${groupId}/members/${bob.userId}`)).toMatchObject({
      nickname: 'Bobby',
      user: { userId: bob.userId, name: bob.person.userName },
    })
    await converged(ada, bob, cyd)
  })

  test('shows plain members no more than the group lets be seen (R46)', async () => {
    const { ada, bob, cyd, groupId } = await three()
    const avatarUrl = 'https://example.org/bob.png'
    await bob.do('updateOwnUser', { avatarUrl, signature: 'Away' })
    await ada.do('addAdmin', { groupId, userId: cyd.userId })
    await ada.do('updateGroup', { groupId, hideMemberProfiles: true })
    const [dee] = (await scene.enter('dee')) as [Player]
    await ada.readable((await ada.do('addMembers', { groupId, userIds: [dee.userId] })).position)
    const path = `/v1/groups/${groupId}/members`
    const seenBy = async (player: Player) => (await player.get(`${path}/${bob.userId}`)).user
    expect(await seenBy(dee)).toEqual({ userId: bob.userId, avatarUrl })
    for (const player of [ada, cyd, bob]) expect(await seenBy(player)).toMatchObject({ signature: 'Away' })
    const named = encodeURIComponent(String(bob.person.userName))
    expect((await dee.get(`${path}?q=${named}`)).items).toEqual([])
    expect((await cyd.get(`${path}?q=${named}`)).items).toHaveLength(1)
  })
})

describe('a group that lets newcomers read what was said before (R31)', () => {
  test('shows them all of it; what counts as unread begins when they come', async () => {
    const { ada, bob, cyd, groupId, conversationId } = await three()
    await ada.say(conversationId, 'before')
    await ada.do('updateGroup', { groupId, historyBeforeJoin: true })
    const [dee] = (await scene.enter('dee')) as [Player]
    await ada.do('addMembers', { groupId, userIds: [dee.userId] })
    await scene.quiet(ada, bob, cyd, dee)
    expect(dee.row(conversationId)).toMatchObject({ unread: 0, active: true })
    await ada.say(conversationId, 'after')
    await scene.quiet(dee)
    expect(dee.row(conversationId)).toMatchObject({ unread: 1 })
    expect((await dee.history(conversationId)).map(({ body }) => (body as { text?: string }).text)).toContain('before')
    await converged(ada, bob, cyd, dee)
  })

  test('gives those who come back what was said while they were away, each message once', async () => {
    const { ada, bob, groupId, conversationId } = await three()
    await ada.say(conversationId, 'one')
    await bob.do('leaveGroup', { groupId })
    await ada.say(conversationId, 'two')
    await ada.do('updateGroup', { groupId, historyBeforeJoin: true })
    await ada.do('addMembers', { groupId, userIds: [bob.userId] })
    await scene.quiet(ada, bob)
    const texts = async () =>
      (await bob.history(conversationId)).flatMap(({ body }) => (body as { text?: string }).text ?? [])
    expect(await texts()).toEqual(['one', 'two'])
    await ada.do('removeMembers', { groupId, userIds: [bob.userId] })
    await ada.say(conversationId, 'three')
    await ada.do('updateGroup', { groupId, historyBeforeJoin: false })
    await ada.do('addMembers', { groupId, userIds: [bob.userId] })
    await ada.say(conversationId, 'four')
    await scene.quiet(ada, bob)
    expect(await texts()).toEqual(['one', 'two', 'four'])
    const seqs = (await bob.history(conversationId)).map(({ seq }) => seq)
    expect(new Set(seqs).size).toBe(seqs.length)
    await converged(ada, bob)
  })
})

describe('of a conversation one can want to hear less (R30, R84)', () => {
  test('which counts as before, but not in the total', async () => {
    const { ada, bob, groupId, conversationId } = await three()
    await bob.do('updateConversation', { conversationId, reminder: 'none' })
    await ada.say(conversationId)
    await scene.quiet(ada, bob)
    expect(bob.row(conversationId)).toMatchObject({ unread: 1, reminder: 'none', doNotDisturb: false })
    expect(await bob.get('/v1/unread')).toMatchObject({ total: 0, conversations: 0 })
    await bob.do('updateConversation', { conversationId, reminder: 'admins', pinned: true })
    await scene.quiet(bob)
    expect(bob.row(conversationId)).toMatchObject({ reminder: 'admins', pinnedAt: expect.any(String) })
    expect(await bob.get('/v1/unread')).toMatchObject({ total: 1 })
    await bob.do('leaveGroup', { groupId })
    await ada.do('addMembers', { groupId, userIds: [bob.userId] })
    await ada.say(conversationId)
    await scene.quiet(ada, bob)
    expect(bob.row(conversationId)).toMatchObject({ reminder: 'admins' })
    await converged(ada, bob)
  })

  test('with two people the level of a group’s reminder means nothing', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const conversationId = `p2p:${[ada.userId, bob.userId].toSorted().join(':')}`
    await ada.say(conversationId)
    await expect(bob.do('updateConversation', { conversationId, reminder: 'none' })).rejects.toMatchObject({
      code: 'request.invalid',
    })
    await bob.do('updateConversation', { conversationId, doNotDisturb: true })
    await scene.quiet(ada, bob)
    expect(bob.row(conversationId)).toMatchObject({ doNotDisturb: true, unread: 1 })
    expect(await bob.get('/v1/unread')).toMatchObject({ total: 0 })
    await converged(ada, bob)
  })
})
