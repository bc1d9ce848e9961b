// Owns what INVITE_NEEDS_APPROVAL=on means: whom a plain member asks into a group that is joined by approval waits for its
// managers, and learns nothing before; what each sees over HTTP and on every device (R19, R44).

import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Player, type Scene, setScene } from '../support/scene.ts'
import { startTestService, type TestService } from '../support/service.ts'

const slowMsMax = 300_000

let service: TestService
let scene: Scene

beforeAll(async () => {
  service = await startTestService({ INVITE_NEEDS_APPROVAL: 'on' })
  scene = await setScene(service)
}, slowMsMax)
afterAll(async () => {
  await service?.stop()
  expect(service?.failures).toEqual([])
}, slowMsMax)

const notesOf = (player: Player) => [...(player.device.replica.get('notifications')?.values() ?? [])]
const groupsOf = (player: Player) => [...(player.device.replica.get('groups')?.keys() ?? [])]
const converged = async (...players: readonly Player[]) => expect(await scene.divergence(...players)).toEqual([])

/** A group into which everybody may ask people, of Ada, who owns it, and Bob. */
const ofTwo = async (inviteeConsent: 'none' | 'required') => {
  const [ada, bob, cyd, dan] = (await scene.enter('ada', 'bob', 'cyd', 'dan')) as [Player, Player, Player, Player]
  const { groupId } = await ada.do('createGroup', { name: 'Engines', inviteMode: 'everyone', inviteeConsent: 'none' })
  await ada.do('addMembers', { groupId, userIds: [bob.userId] })
  if (inviteeConsent === 'required') await ada.do('updateGroup', { groupId, inviteeConsent })
  return { ada, bob, cyd, dan, groupId: String(groupId), path: `/v1/groups/${groupId}/applications` }
}

test('R19: whom a member asks in is added once a manager agrees, and told of nothing before', async () => {
  const { ada, bob, cyd, dan, groupId, path } = await ofTwo('none')
  const asked = await bob.do('addMembers', { groupId, userIds: [cyd.userId, dan.userId, 'nobody'], message: 'Good.' })
  expect(asked).toMatchObject({
    added: [],
    invited: [],
    applied: [cyd.userId, dan.userId],
    failed: [{ userId: 'nobody', code: 'user.not-found' }],
  })
  await converged(ada, bob, cyd, dan)
  const one = { kind: 'groupApplication', state: 'pending', by: bob.userId, groupId, message: 'Good.' }
  const asking = [cyd, dan].map(({ userId }) => expect.objectContaining({ ...one, userId }))
  expect(notesOf(ada)).toEqual(expect.arrayContaining(asking))
  for (const player of [cyd, dan]) expect([notesOf(player), groupsOf(player)]).toEqual([[], []])
  await ada.readable(String(asked.position))
  const { items } = await ada.get(path)
  expect(items).toHaveLength(2)
  expect(items).toEqual(
    expect.arrayContaining(
      [cyd, dan].map(({ userId }) => expect.objectContaining({ userId, invitedBy: bob.userId, message: 'Good.' })),
    ),
  )
  expect((await service.api('GET', path, { token: bob.token })).body.code).toBe('group.not-allowed')
  expect((await service.api('GET', path, { token: cyd.token })).body.code).toBe('group.not-found')
  await expect(cyd.do('withdrawGroupApplication', { groupId })).rejects.toMatchObject({
    code: 'application.not-pending',
  })

  await ada.do('approveGroupApplication', { groupId, userId: cyd.userId })
  const rejected = await ada.do('rejectGroupApplication', { groupId, userId: dan.userId, reason: 'Not him.' })
  await converged(ada, bob, cyd, dan)
  expect(groupsOf(cyd)).toEqual([groupId])
  expect([notesOf(dan), groupsOf(dan)]).toEqual([[], []])
  expect(notesOf(bob)).toHaveLength(2)
  expect(notesOf(bob)).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ kind: 'groupApplicationAccepted', by: ada.userId, userId: cyd.userId }),
      expect.objectContaining({
        kind: 'groupApplicationRejected',
        by: ada.userId,
        userId: dan.userId,
        message: 'Not him.',
      }),
    ]),
  )
  await ada.readable(String(rejected.position))
  expect((await ada.get(`/v1/groups/${groupId}/members`)).items).toContainEqual(
    expect.objectContaining({ userId: cyd.userId, invitedBy: bob.userId }),
  )
  expect((await ada.get('/v1/notifications')).items).toContainEqual(
    expect.objectContaining({ kind: 'groupApplication', state: 'rejected', userId: dan.userId }),
  )
})

test('R19: is invited by the member where the group asks first; the owner invites as ever', async () => {
  const { ada, bob, cyd, dan, groupId } = await ofTwo('required')
  const asked = { groupId, userIds: [cyd.userId], message: 'Come.' }
  expect(await bob.do('addMembers', asked)).toMatchObject({ invited: [], applied: [cyd.userId] })
  expect(await ada.do('addMembers', { groupId, userIds: [dan.userId] })).toMatchObject({
    invited: [dan.userId],
    applied: [],
  })
  const { position } = await ada.do('approveGroupApplication', { groupId, userId: cyd.userId })
  await converged(ada, bob, cyd, dan)
  expect(notesOf(cyd)).toMatchObject([{ kind: 'groupInvitation', state: 'pending', by: bob.userId }])
  await cyd.readable(String(position))
  expect((await cyd.get('/v1/group-invitations')).items).toMatchObject([{ groupId, by: bob.userId }])
  await cyd.do('acceptGroupInvitation', { groupId })
  await converged(ada, bob, cyd, dan)
  expect(groupsOf(cyd)).toEqual([groupId])
  expect(notesOf(bob).map(({ kind }) => kind)).toEqual(
    expect.arrayContaining(['groupApplicationAccepted', 'groupInvitationAccepted']),
  )
})

test('R19: one who blocks the member meanwhile is not brought in; who applies themself is told as any applicant', async () => {
  const { ada, bob, cyd, dan, groupId, path } = await ofTwo('none')
  await bob.do('addMembers', { groupId, userIds: [cyd.userId, dan.userId] })
  await cyd.do('blockUser', { userId: bob.userId })
  await expect(ada.do('approveGroupApplication', { groupId, userId: cyd.userId })).rejects.toMatchObject({
    code: 'message.blocked',
  })
  const own = await dan.do('joinGroup', { groupId, message: 'Me too.' })
  expect(own).toMatchObject({ state: 'applied' })
  await ada.readable(String(own.position))
  const { items } = await ada.get(path)
  const row = items.find(({ userId }: { userId: string }) => userId === dan.userId)
  expect(row).toMatchObject({ message: 'Me too.' })
  expect(row).not.toHaveProperty('invitedBy')
  await ada.do('rejectGroupApplication', { groupId, userId: dan.userId })
  await converged(ada, bob, cyd, dan)
  expect(notesOf(dan)).toMatchObject([{ kind: 'groupApplicationRejected', by: ada.userId }])
  expect(notesOf(cyd)).toEqual([])
  expect(notesOf(bob)).toEqual([])
})
