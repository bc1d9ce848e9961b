// Owns the tests of what becomes over HTTP of invitations and applications that nobody answers in time (R20, R22).

import { afterAll, beforeAll, expect, it } from 'vitest'
import { limits } from '../../domain/limits.ts'
import { groupRequestExpiry } from '../../followers/group-requests.ts'
import { type Harness, startHarness } from './harness.ts'

let api: Harness
beforeAll(async () => {
  api = await startHarness()
})
afterAll(() => api.close())

it('an invitation and an application are refused after seven days, and told of as expired', async () => {
  let [ada, bob, cyd] = [await api.user('ada'), await api.user('bob'), await api.user('cyd')]
  const body = { name: 'Engines', memberIds: [bob.userId] }
  const { groupId } = await api.ok('POST /v1/groups', { token: ada.token, body })
  const applied = await api.ok(`POST /v1/groups/${groupId}/join`, { token: cyd.token, body: {} })
  const waiting = await api.ok(`GET /v1/notifications?state=pending&after=${applied.position}`, { token: bob.token })
  expect(waiting.items).toMatchObject([{ kind: 'groupInvitation', groupId }])

  api.clock.pass(limits.groupRequestDays * 86_400)
  ada = await api.signIn(ada.userName, 'late')
  bob = await api.signIn(bob.userName, 'late')
  cyd = await api.signIn(cyd.userName, 'late')
  const accept = `POST /v1/group-invitations/${groupId}/accept`
  await api.refused('invitation.not-found', accept, { token: bob.token })
  const approve = `POST /v1/groups/${groupId}/applications/${cyd.userId}/approve`
  await api.refused('application.not-pending', approve, { token: ada.token })

  expect(await groupRequestExpiry(api.node, api.database, async () => true).run()).toBe(1)
  const after = await api.node.store.head()
  const told = async (token: string) =>
    (await api.ok(`GET /v1/notifications?after=${after}`, { token })).items.map(
      ({ kind, state }: { kind: string; state: string }) => ({ kind, state }),
    )
  expect(await told(bob.token)).toEqual([{ kind: 'groupInvitation', state: 'expired' }])
  expect(await told(ada.token)).toEqual([{ kind: 'groupApplication', state: 'expired' }])
  expect(await told(cyd.token)).toEqual([{ kind: 'groupApplicationExpired', state: 'none' }])
  expect((await api.ok('GET /v1/group-invitations', { token: bob.token })).items).toEqual([])
  expect((await api.ok(`GET /v1/groups/${groupId}/applications`, { token: ada.token })).items).toEqual([])
})
