// Owns how people come into a group, as those who ask, those who are asked and those who decide see it: over HTTP, on every
// device, and in the group's conversation (R19, R20, R22).

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { limits } from '../../domain/limits.ts'
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
const notesOf = (player: Player) =>
  [...(player.device.replica.get('notifications')?.values() ?? [])]
    .toSorted((one, other) => (String(one.position) < String(other.position) ? -1 : 1))
    .map(({ kind, state, by }) => ({ kind, state, by }))
const groupsOf = (player: Player) => [...(player.device.replica.get('groups')?.keys() ?? [])]

/** A group that asks first whom it takes, with its owner alone. */
const alone = async (...names: readonly string[]) => {
  const players = await scene.enter(...names)
  const [owner] = players as [Player]
  const { groupId, conversationId } = await owner.do('createGroup', { name: 'Engines', memberIds: [] })
  return { players, owner, groupId: String(groupId), conversationId: String(conversationId) }
}

describe('an invitation', () => {
  test('made at the creation lets in who accepts, and nobody before', async () => {
    const [ada, bob, cyd] = (await scene.enter('ada', 'bob', 'cyd')) as [Player, Player, Player]
    const memberIds = [bob.userId, cyd.userId, 'nobody']
    const made = await ada.do('createGroup', { name: 'Engines', memberIds })
    expect(made).toMatchObject({
      added: [],
      invited: [bob.userId, cyd.userId],
      failed: [{ userId: 'nobody', code: 'user.not-found' }],
    })
    const groupId = String(made.groupId)
    await bob.readable(String(made.position))
    expect((await bob.get('/v1/group-invitations')).items).toMatchObject([
      { groupId, groupName: 'Engines', by: ada.userId },
    ])
    expect((await service.api('GET', `/v1/groups/${groupId}`, { token: bob.token })).body.code).toBe('group.not-found')
    await scene.quiet(ada, bob, cyd)
    expect(notesOf(bob)).toEqual([{ kind: 'groupInvitation', state: 'pending', by: ada.userId }])
    expect(groupsOf(bob)).toEqual([])

    const accepted = await bob.do('acceptGroupInvitation', { groupId })
    const rejected = await cyd.do('rejectGroupInvitation', { groupId })
    await converged(ada, bob, cyd)
    await ada.readable(String(rejected.position))
    expect(groupsOf(bob)).toEqual([groupId])
    expect(groupsOf(cyd)).toEqual([])
    expect(notesOf(bob)).toEqual([{ kind: 'groupInvitation', state: 'accepted', by: ada.userId }])
    expect(notesOf(cyd)).toEqual([{ kind: 'groupInvitation', state: 'rejected', by: ada.userId }])
    expect(notesOf(ada)).toEqual([
      { kind: 'groupInvitationAccepted', state: 'none', by: bob.userId },
      { kind: 'groupInvitationRejected', state: 'none', by: cyd.userId },
    ])
    expect((await bob.get('/v1/group-invitations')).items).toEqual([])
    for (const player of [ada, bob]) {
      expect(player.messages(String(made.conversationId)).map(({ body }) => body)).toEqual([
        { event: 'memberJoined', by: ada.userId, targets: [bob.userId], via: 'invitation' },
      ])
    }
    const again = await bob.do('acceptGroupInvitation', { groupId })
    expect(String(again.position) >= String(accepted.position)).toBe(true)
  })

  test('made again changes the open one; taken back it is gone', async () => {
    const { players, owner, groupId } = await alone('ada', 'bob')
    const [, bob] = players as [Player, Player]
    const invite = (message: string) => owner.do('addMembers', { groupId, userIds: [bob.userId], message })
    expect(await invite('Come.')).toMatchObject({ added: [], invited: [bob.userId], failed: [] })
    const { position } = await invite('Do come.')
    await bob.readable(String(position))
    const { items } = await bob.get('/v1/group-invitations')
    expect(items).toMatchObject([{ groupId, message: 'Do come.' }])
    await scene.quiet(owner, bob)
    expect(bob.device.replica.get('notifications')?.get(items[0].requestId)).toMatchObject({ message: 'Do come.' })
    await owner.do('recallGroupInvitation', { groupId, userId: bob.userId })
    await converged(owner, bob)
    expect(notesOf(bob)).toEqual([{ kind: 'groupInvitation', state: 'withdrawn', by: owner.userId }])
    await expect(bob.do('acceptGroupInvitation', { groupId })).rejects.toMatchObject({ code: 'invitation.not-found' })
  })

  test('does not reach one who blocks the inviter, and ends with the group', async () => {
    const { players, owner, groupId } = await alone('ada', 'bob', 'cyd')
    const [, bob, cyd] = players as [Player, Player, Player]
    await cyd.do('blockUser', { userId: owner.userId })
    expect(await owner.do('addMembers', { groupId, userIds: [bob.userId, cyd.userId] })).toMatchObject({
      invited: [bob.userId],
      failed: [{ userId: cyd.userId, code: 'message.blocked' }],
    })
    await owner.do('dissolveGroup', { groupId })
    await converged(owner, bob, cyd)
    expect(notesOf(bob)).toEqual([{ kind: 'groupInvitation', state: 'expired', by: owner.userId }])
    expect(notesOf(cyd)).toEqual([])
  })
})

describe('an application', () => {
  test('is told to the owner and the admins; the first decision wins', async () => {
    const { players, owner, groupId } = await alone('ada', 'bob', 'cyd')
    const [, bob, cyd] = players as [Player, Player, Player]
    await owner.do('addMembers', { groupId, userIds: [bob.userId] })
    await bob.do('acceptGroupInvitation', { groupId })
    await owner.do('addAdmin', { groupId, userId: bob.userId })
    expect(await cyd.do('joinGroup', { groupId, message: 'Please.' })).toMatchObject({ state: 'applied' })
    await scene.quiet(owner, bob, cyd)
    const pending = { kind: 'groupApplication', state: 'pending', by: cyd.userId }
    for (const player of [owner, bob]) expect(notesOf(player)).toContainEqual(pending)
    const { items } = await bob.get(`/v1/groups/${groupId}/applications`)
    expect(items).toMatchObject([{ groupId, userId: cyd.userId, message: 'Please.' }])

    await bob.do('approveGroupApplication', { groupId, userId: cyd.userId })
    await expect(owner.do('rejectGroupApplication', { groupId, userId: cyd.userId })).rejects.toMatchObject({
      code: 'application.not-pending',
    })
    await converged(owner, bob, cyd)
    for (const player of [owner, bob]) expect(notesOf(player)).toContainEqual({ ...pending, state: 'accepted' })
    expect(notesOf(cyd)).toEqual([{ kind: 'groupApplicationAccepted', state: 'none', by: bob.userId }])
    expect(groupsOf(cyd)).toEqual([groupId])
    await expect(cyd.do('joinGroup', { groupId })).rejects.toMatchObject({ code: 'group.already-member' })
  })

  test('is turned away with a reason, or taken back; one who is blocked finds no group', async () => {
    const { players, owner, groupId } = await alone('ada', 'bob', 'cyd')
    const [, bob, cyd] = players as [Player, Player, Player]
    await bob.do('joinGroup', { groupId })
    await owner.do('rejectGroupApplication', { groupId, userId: bob.userId, reason: 'Not now.' })
    await cyd.do('joinGroup', { groupId })
    await cyd.do('withdrawGroupApplication', { groupId })
    await converged(owner, bob, cyd)
    expect(notesOf(owner)).toEqual([
      { kind: 'groupApplication', state: 'rejected', by: bob.userId },
      { kind: 'groupApplication', state: 'withdrawn', by: cyd.userId },
    ])
    expect([...(bob.device.replica.get('notifications')?.values() ?? [])]).toMatchObject([
      { kind: 'groupApplicationRejected', message: 'Not now.', by: owner.userId },
    ])
    await owner.do('blockUser', { userId: bob.userId })
    await expect(bob.do('joinGroup', { groupId })).rejects.toMatchObject({ code: 'group.not-found' })
  })
})

describe('a group that takes people by itself', () => {
  test('lets anybody in where it is free, and says how', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const { groupId, conversationId } = await ada.do('createGroup', { name: 'Open', preset: 'meeting' })
    expect(await bob.do('joinGroup', { groupId })).toMatchObject({ state: 'joined' })
    await converged(ada, bob)
    expect(ada.messages(String(conversationId)).map(({ body }) => body)).toEqual([
      { event: 'memberJoined', by: bob.userId, targets: [bob.userId], via: 'free' },
    ])
    await ada.do('updateGroup', { groupId, joinMode: 'nobody' })
    await bob.do('leaveGroup', { groupId })
    await expect(bob.do('joinGroup', { groupId })).rejects.toMatchObject({ code: 'group.not-found' })
  })

  test("lets the owner's friends in where it says so (R45)", async () => {
    const [ada, bob, cyd] = (await scene.enter('ada', 'bob', 'cyd')) as [Player, Player, Player]
    const { groupId } = await ada.do('createGroup', { name: 'Friends', autoApprove: 'friendsOfOwner' })
    await ada.do('requestFriend', { userId: bob.userId })
    await bob.do('acceptFriendRequest', { userId: ada.userId })
    expect(await bob.do('joinGroup', { groupId })).toMatchObject({ state: 'joined' })
    expect(await cyd.do('joinGroup', { groupId })).toMatchObject({ state: 'applied' })
    await converged(ada, bob, cyd)
    expect(notesOf(bob)).toContainEqual({ kind: 'groupApplicationAccepted', state: 'none', by: 'system' })
  })

  test('asks its questions: answers are for the managers alone, and tries are counted (R43)', async () => {
    const [ada, bob, cyd] = (await scene.enter('ada', 'bob', 'cyd')) as [Player, Player, Player]
    const { groupId } = await ada.do('createGroup', { name: 'Riddles', joinMode: 'question' })
    const questions = [
      { text: 'Who wrote the first program?', answers: ['Ada', 'Lovelace'], score: 2 },
      { text: 'For which engine?', answers: ['Analytical'], score: 1 },
    ]
    await ada.do('setJoinQuestion', { groupId, questions, minimumScore: 3 })
    const path = `/v1/groups/${groupId}/join-question`
    expect(await ada.get(path)).toEqual({ questions, minimumScore: 3 })
    const asked = { questions: questions.map(({ text, score }) => ({ text, score })), minimumScore: 3 }
    expect(await bob.get(path)).toEqual(asked)

    await expect(bob.do('joinGroup', { groupId })).rejects.toMatchObject({ code: 'group.answers-missing' })
    for (const triesLeft of [4, 3, 2, 1]) {
      const refused = bob.do('joinGroup', { groupId, answer: 'Babbage' })
      await expect(refused).rejects.toMatchObject({ code: 'group.wrong-answer', error: { triesLeft } })
    }
    expect(await bob.do('joinGroup', { groupId, answer: [' lovelace', 'ANALYTICAL '] })).toMatchObject({
      state: 'joined',
    })
    expect(await bob.get(path)).toEqual(asked)

    // Neither another key nor several at once give more tries.
    const tries = Array.from({ length: 9 }, () => cyd.do('joinGroup', { groupId, answer: ['Babbage'] }))
    const codes = (await Promise.allSettled(tries)).map(tried => tried.status === 'rejected' && tried.reason.code)
    expect(codes.filter(code => code === 'group.wrong-answer')).toHaveLength(5)
    expect(codes.filter(code => code === 'group.join-tries')).toHaveLength(4)
    const right = cyd.do('joinGroup', { groupId, answer: ['Ada', 'Analytical'] })
    await expect(right).rejects.toMatchObject({ code: 'group.join-tries' })
    await converged(ada, bob, cyd)
  })

  test('does not tell one whom the owner blocks that it is there by counting tries (R43)', async () => {
    const [ada, bob] = (await scene.enter('ada', 'bob')) as [Player, Player]
    const { groupId } = await ada.do('createGroup', { name: 'Riddles', joinMode: 'question' })
    const questions = [{ text: 'Who?', answers: ['Ada'], score: 1 }]
    await ada.do('setJoinQuestion', { groupId, questions })
    await ada.do('blockUser', { userId: bob.userId })
    for (let tries = 0; tries <= limits.joinTriesPerHourMax; tries++) {
      await expect(bob.do('joinGroup', { groupId, answer: 'Babbage' })).rejects.toMatchObject({
        code: 'group.not-found',
      })
    }
  })
})
