// Owns the ends of an account as everybody else sees them: closed for good, banned, its identity given up. Live, on all devices.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Position } from '../../domain/ids.ts'
import { expectOk, testPassword } from '../support/device.ts'
import { whenFollowed, whenReadable } from '../support/quiet.ts'
import type { Row } from '../support/replica.ts'
import { between, type Player, type Scene, setScene } from '../support/scene.ts'
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

const ask: TestService['api'] = (...call) => service.api(...call)
const enter = async (...names: string[]) => (await scene.enter(...names)) as [Player, Player]
const device = { deviceId: 'another', platform: 'web', name: 'A browser' }
const signIn = (userName: string) =>
  ask('POST', '/v1/sessions', { body: { by: 'password', userName, password: testPassword, device } })
const close = (player: Player, password = testPassword) =>
  ask('DELETE', '/v1/users/me', { token: player.person.token, body: { password } })
/** Resolves once what a user signed in by is free. */
const whenFreed = async (userId: string, from: string) => {
  const signal = AbortSignal.timeout(slowMsMax)
  for await (const events of service.store.subscribe({ from: from as Position, signal })) {
    const freed = events.some(({ type, data }) => type === 'IdentityReleased' && (data as Row).userId === userId)
    if (freed) return
  }
  throw new Error('nothing was freed')
}
/** A user name that is free can be signed up with. */
const signUp = (userName: string) =>
  ask('POST', '/v1/accounts', { body: { userName, password: testPassword, name: 'Another' } })

describe('closing an account', { timeout: slowMsMax }, () => {
  test('is refused while it owns a group, and says which', async () => {
    const [ada, bob] = await enter('ada', 'bob')
    const { groupId } = await ada.device.command('createGroup', { name: 'G', memberIds: [bob.userId] })
    expect(await close(ada)).toMatchObject({
      status: 409,
      body: { code: 'account.owns-groups', groupIds: [groupId] },
    })
    expect((await close(ada, 'not the password')).body.code).toBe('account.wrong-password')
  })

  test('of one without a password is by a code, sent to what the account signs in by', async () => {
    const key = await service.adminKey()
    const [email, phone] = ['grace@example.org', '+447946012345'] as const
    const asMade = async (userId: string, more: object) => {
      expectOk(await ask('POST', '/v1/admin/accounts', { token: key, body: { userId, name: 'Grace', ...more } }))
      const path = `/v1/admin/accounts/${userId}/sessions`
      return expectOk(await ask('POST', path, { token: key, body: { device } })).accessToken as string
    }
    const codeTo = (channel: string, target: string) =>
      service.codeSentBy(target, () => ask('POST', '/v1/codes', { body: { channel, target, purpose: 'close' } }))
    const closing = (token: string, body: object) => ask('DELETE', '/v1/users/me', { token, body })

    const one = await asMade('grace-1', { email })
    const code = await codeTo('email', email)
    expect((await closing(one, { code, channel: 'sms' })).body.code).toBe('code.wrong')
    const { position } = expectOk(await closing(one, { code }))
    await whenFreed('grace-1', position)

    const both = await asMade('grace-2', { email: 'g@example.org', phone })
    const other = await codeTo('sms', phone)
    expect((await closing(both, { code: other })).body).toMatchObject({ errors: [{ path: 'channel' }] })
    expectOk(await closing(both, { code: other, channel: 'sms' }))
  })

  test('ends its devices, leaves its groups, frees its name, and keeps what was written', async () => {
    const [ada, bob] = await enter('ada', 'bob')
    const conversationId = between(ada, bob)
    await ada.say(conversationId, 'goodbye')
    const group = { name: 'G', memberIds: [ada.userId], preset: 'work' }
    const { groupId } = await bob.device.command('createGroup', group)
    await scene.quiet(ada, bob)
    const closed = expectOk(await close(ada))
    expect(await ada.device.closed).toMatchObject({ code: 4403, reason: 'session.ended' })
    expect((await ask('GET', '/v1/users/me', { token: ada.person.token })).body.code).toBe('session.ended')
    expect((await signIn(ada.person.userName)).body.code).toBe('account.wrong-credentials')
    await bob.device.waitFor(() => bob.device.replica.get('groups')?.get(String(groupId))?.memberCount === 1)
    const row = { userId: ada.userId, name: 'deleted account', closedAt: expect.stringMatching(/Z$/) }
    expect(bob.device.replica.get('users')?.get(ada.userId)).toEqual(row)
    await whenReadable(ask, bob.person.token, closed.position)
    expect((await ask('GET', `/v1/users/${ada.userId}`, { token: bob.person.token })).body).toEqual(row)
    const history = await ask('GET', `/v1/conversations/${conversationId}/messages?after=0`, {
      token: bob.person.token,
    })
    expect(history.body.items).toMatchObject([{ body: { text: 'goodbye' } }])
    await expect(bob.say(conversationId, 'are you there?')).rejects.toMatchObject({ code: 'user.not-found' })
    expect((await signUp(ada.person.userName)).status).toBe(201)
    await scene.quiet(bob)
    expect(await scene.divergence(bob)).toEqual([])
  })
})

describe('a closed account', { timeout: slowMsMax }, () => {
  test('is neither let into a group nor asked into one any more; those who were told see that it is over (R20, R22)', async () => {
    const [ada, bob] = await enter('ada', 'bob')
    const { groupId } = await bob.device.command('createGroup', { name: 'Asks' })
    const other = await bob.device.command('createGroup', { name: 'Invites', memberIds: [ada.userId] })
    const { position } = await ada.device.command('joinGroup', { groupId })
    await bob.device.whenPassed(String(position))
    expectOk(await close(ada))
    const approval = bob.device.command('approveGroupApplication', { groupId, userId: ada.userId })
    await expect(approval).rejects.toMatchObject({ code: 'user.not-found' })
    const states = () => [...(bob.device.replica.get('notifications')?.values() ?? [])].map(({ state }) => state)
    await bob.device.waitFor(() => states().includes('expired'))
    await scene.quiet(bob)
    const path = `/v1/groups/${groupId}/applications`
    expect(expectOk(await ask('GET', path, { token: bob.person.token })).items).toEqual([])
    const recalled = bob.device.command('recallGroupInvitation', { groupId: other.groupId, userId: ada.userId })
    await expect(recalled).rejects.toMatchObject({ code: 'invitation.not-found' })
    expect(await scene.divergence(bob)).toEqual([])
  })

  test('is called the same by everybody who sees it, and found by nobody', async () => {
    const [ada, bob] = await enter('ada', 'bob')
    const found = { phone: true, email: true, userName: true, namePrefix: true }
    await ada.do('updateOwnUser', { name: 'Deleted Ada', signature: 'x', discoverableBy: found })
    await ada.do('updateOwnUser', { friendPolicy: 'anyone' })
    await bob.do('requestFriend', { userId: ada.userId })
    await ada.say(between(ada, bob))
    const { groupId } = await scene.group(bob, ada)
    const { position } = expectOk(await close(ada))
    await bob.readable(position)
    const row = { userId: ada.userId, name: 'deleted account', closedAt: expect.stringMatching(/Z$/) }
    expect((await bob.get(`/v1/users?ids=${ada.userId}`)).items).toEqual([row])
    await bob.device.waitFor(() => bob.device.replica.get('users')?.get(ada.userId)?.closedAt !== undefined)
    const fresh = await bob.another('fresh')
    for (const device of bob.devices) expect(device.replica.get('users')?.get(ada.userId)).toEqual(row)
    for (const q of ['deleted', 'Deleted Ada', ada.person.userName]) {
      expect((await bob.get(`/v1/users/search?q=${encodeURIComponent(q)}`)).items, q).toEqual([])
    }
    expect((await bob.get(`/v1/groups/${groupId}/members?q=deleted`)).items).toEqual([])
    await whenFollowed(service.store, 'accounts', position)
    expect(await scene.divergence(bob)).toEqual([])
    expect(fresh.replica.get('friends')?.get(ada.userId)).toBeUndefined()
  })
})

describe('a ban', { timeout: slowMsMax }, () => {
  test('cuts every device within a second, and the account is there for others as before', async () => {
    const [ada, bob] = await enter('ada', 'bob')
    await ada.say(between(ada, bob), 'spam')
    const key = await service.adminKey()
    const path = `/v1/admin/accounts/${ada.userId}/ban`
    expectOk(await ask('PUT', path, { token: key, body: { until: null, reason: 'Spam' } }))
    expect(await ada.device.closed).toMatchObject({ code: 4403, reason: 'session.ended' })
    expect((await signIn(ada.person.userName)).body).toMatchObject({ code: 'account.banned', reason: 'Spam' })
    await expect(service.connect(ada.person)).rejects.toMatchObject({
      closed: { code: 4403, reason: 'account.banned' },
    })
    await bob.say(between(ada, bob), 'never mind')
    expectOk(await ask('DELETE', path, { token: key }))
    expect((await signIn(ada.person.userName)).status).toBe(201)
  })
})

describe('another user name', { timeout: slowMsMax }, () => {
  test('reaches those who hold the row, and the old one is free for others', async () => {
    const [ada, bob] = await enter('ada', 'bob')
    await ada.say(between(ada, bob), 'hello')
    const value = `${ada.person.userName}.new`
    const bound = await ask('PUT', '/v1/users/me/identities/userName', {
      token: ada.person.token,
      body: { value },
    })
    await whenFreed(ada.userId, expectOk(bound).position)
    await bob.device.waitFor(() => bob.device.replica.get('users')?.get(ada.userId)?.userName === value)
    await scene.quiet(ada, bob)
    expect((await signUp(ada.person.userName)).status).toBe(201)
    expect(await scene.divergence(ada, bob)).toEqual([])
  })
})
