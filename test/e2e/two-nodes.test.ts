// Owns what two whole servers on one event log and one read database must do as if they were one: numbers without holes, no
// message twice, everybody hears everything, an ended device is ended everywhere, and one of them may die at any moment.

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adminKeysOver, createAdminKey, revokeAdminKey } from '../../api/admin-keys.ts'
import { systemClock } from '../../eventstore/clock.ts'
import { divergence } from '../support/convergence.ts'
import { createApi, type Device, expectOk, newMessageId, type SignedIn, signIn, signUp } from '../support/device.ts'
import { postgresBinaries } from '../support/postgres.ts'
import { whenReadable } from '../support/quiet.ts'
import { commandSequence, together } from '../support/random-commands.ts'
import { RandomPeople } from '../support/random-people.ts'
import { connectTo, type Node, startNode, TwoNodes } from '../support/two-nodes.ts'

const seed = Number(process.env.CONVERGENCE_SEED ?? Date.now() % 2 ** 31)
const numRuns = Number(process.env.CONVERGENCE_RUNS ?? 2)
const commandsMost = Number(process.env.CONVERGENCE_COMMANDS ?? 120)

const slowMsMax = 300_000

// Only where Postgres is not installed: two processes cannot share the embedded database.
const describeWithPostgres = describe.skipIf(postgresBinaries() === undefined)

let nodes: TwoNodes
let a: Node
let b: Node

beforeAll(async () => {
  if (postgresBinaries() === undefined) return
  nodes = await TwoNodes.start()
  ;({ a, b } = nodes)
}, slowMsMax)
afterAll(() => nodes?.stop(), slowMsMax)

let names = 0
/** Makes a user through one node, with a device signed in for each name. */
const person = async ({ process }: Node, ...deviceIds: readonly string[]) => {
  const { userId, userName } = await signUp(process.httpUrl, `person-${++names}`)
  const sessions: SignedIn[] = []
  for (const deviceId of deviceIds) sessions.push(await signIn(process.httpUrl, userName, deviceId))
  return { userId, userName, sessions }
}

/** Two people; the first has a device on A, the second one on B. */
const pair = async () => {
  const ada = await person(a, 'one', 'two')
  const bob = await person(b, 'one', 'two')
  const conversationId = `p2p:${[ada.userId, bob.userId].toSorted().join(':')}`
  const onA = await connectTo(a, ada.sessions[0] as SignedIn)
  const onB = await connectTo(b, bob.sessions[0] as SignedIn)
  return { ada, bob, conversationId, onA, onB }
}

const textOf = (conversationId: string, text: string, clientMessageId = newMessageId()) => ({
  conversationId,
  clientMessageId,
  type: 'text',
  body: { text },
})

const historyOf = async ({ process }: Node, { accessToken }: SignedIn, conversationId: string, after: string) => {
  const path = `/v1/conversations/${encodeURIComponent(conversationId)}`
  const api = createApi(process.httpUrl)
  // Once the read models have passed the position, all that is at or before it is in the page.
  await whenReadable(api, accessToken, after)
  const { items } = expectOk(await api('GET', `${path}/messages?limit=100`, { token: accessToken }))
  return items as { seq: number; body: { text: string }; clientMessageId: string }[]
}

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)

describeWithPostgres('two nodes', () => {
  test('number what is sent through both without a hole, each sender in order', { timeout: slowMsMax }, async () => {
    const { ada, bob, conversationId, onA, onB } = await pair()
    const each = 40
    const send = (device: Device, name: string) =>
      Promise.all(range(each).map(number => device.command('sendMessage', textOf(conversationId, `${name} ${number}`))))
    const [fromA, fromB] = await Promise.all([send(onA, 'ada'), send(onB, 'bob')])
    const sent = [...fromA, ...fromB]
    expect(sent.map(({ seq }) => seq).toSorted((one, other) => one - other)).toEqual(range(2 * each))
    const last = sent
      .map(({ position }) => position)
      .toSorted()
      .at(-1)
    await Promise.all([onA, onB].map(device => device.whenPassed(last)))
    for (const device of [onA, onB]) {
      const messages = device.state.messagesOf(conversationId) as unknown as { seq: number; body: { text: string } }[]
      expect(messages.map(({ seq }) => seq)).toEqual(range(2 * each))
      for (const name of ['ada', 'bob']) {
        const texts = messages.map(({ body }) => body.text).filter(text => text.startsWith(name))
        expect(texts).toEqual(range(each).map(number => `${name} ${number}`))
      }
    }
    const [adasDevice, bobsDevice] = [ada.sessions[0] as SignedIn, bob.sessions[0] as SignedIn]
    expect((await historyOf(b, adasDevice, conversationId, last)).map(({ seq }) => seq)).toEqual(range(2 * each))
    expect((await historyOf(a, bobsDevice, conversationId, last)).map(({ seq }) => seq)).toEqual(range(2 * each))
    await Promise.all([onA.close(), onB.close()])
  })

  test('answer a repeated message with the first reply, whichever was asked first', {
    timeout: slowMsMax,
  }, async () => {
    const { ada, conversationId, onA, onB } = await pair()
    const sameOnB = await connectTo(b, ada.sessions[1] as SignedIn)
    const args = textOf(conversationId, 'once')
    const first = await onA.command('sendMessage', args)
    expect(await sameOnB.command('sendMessage', args)).toEqual(first)
    const old = textOf(conversationId, 'no time in it', 'a-key-of-my-own')
    const firstOld = await sameOnB.command('sendMessage', old)
    expect(await onA.command('sendMessage', old)).toEqual(firstOld)

    const atOnce = range(20).map(number => textOf(conversationId, `${number}`))
    const replies = await Promise.all(
      atOnce.map(both => Promise.all([onA, sameOnB].map(device => device.command('sendMessage', both)))),
    )
    // A position is that of the append, which may hold more than the message; of a repeat it is the message's own.
    for (const [one, other] of replies) expect([one.seq, one.at]).toEqual([other.seq, other.at])
    const last = replies
      .map(([one]) => one.position)
      .toSorted()
      .at(-1)
    const history = await historyOf(a, ada.sessions[0] as SignedIn, conversationId, last)
    expect(history.map(({ seq }) => seq)).toEqual(range(2 + atOnce.length))
    expect(new Set(history.map(({ clientMessageId }) => clientMessageId)).size).toBe(history.length)
    await Promise.all([onA, onB, sameOnB].map(device => device.close()))
  })

  test('refuse another message under a used key, whichever has the first', { timeout: slowMsMax }, async () => {
    const { ada, conversationId, onA, onB } = await pair()
    const args = textOf(conversationId, 'this')
    await onA.command('sendMessage', args)
    const api = createApi(b.process.httpUrl)
    const path = `/v1/conversations/${encodeURIComponent(conversationId)}/messages`
    const { conversationId: _, ...body } = { ...args, body: { text: 'that' } }
    const token = ada.sessions[0]?.accessToken
    expect(await api('POST', path, { token, body })).toMatchObject({
      status: 409,
      body: { code: 'idempotency.mismatch' },
    })
    await Promise.all([onA.close(), onB.close()])
  })

  test('end a device on both when it is kicked on one', { timeout: slowMsMax }, async () => {
    const bob = await person(b, 'kept', 'kicked')
    const [kept, kicked] = bob.sessions as [SignedIn, SignedIn]
    const device = await connectTo(b, kicked)
    const asBob = { token: kicked.accessToken }
    const onB = createApi(b.process.httpUrl)
    expect((await onB('GET', '/v1/sessions', asBob)).status).toBe(200)
    const onA = createApi(a.process.httpUrl)
    expectOk(await onA('DELETE', `/v1/sessions/${kicked.sessionId}`, { token: kept.accessToken }))
    expect(await device.closed).toEqual({ code: 4403, reason: 'session.ended' })
    expect(device.bye).toMatchObject({ code: 4403, reconnect: 'never' })
    for (const api of [onA, onB]) {
      expect(await api('GET', '/v1/sessions', asBob)).toMatchObject({ status: 401, body: { code: 'session.ended' } })
      const body = { refreshToken: kicked.refreshToken }
      expect(await api('POST', '/v1/sessions/refresh', { body })).toMatchObject({ status: 401 })
    }
    for (const node of [a, b]) await expect(connectTo(node, kicked)).rejects.toMatchObject({ closed: { code: 4403 } })
  })

  test('know an admin key, and that it was revoked, whichever was told', { timeout: slowMsMax }, async () => {
    const { store, api } = await nodes.asOne()
    const keys = adminKeysOver(store, systemClock, () => undefined)
    const made = await createAdminKey(keys, 'backend')
    const key = 'key' in made ? made.key : ''
    const onBoth = async () => {
      const answers = await Promise.all([1, 2].map(() => api('GET', '/v1/admin/events?limit=1', { token: key })))
      return answers.map(({ status }) => status)
    }
    const settled = (status: number) => expect.poll(onBoth).toEqual([status, status])
    await settled(200)
    await revokeAdminKey(keys, key.split('_')[1] ?? '')
    await settled(401)
  })

  test('both know who is online, with a socket on whichever, and since when', { timeout: slowMsMax }, async () => {
    const { ada, bob, onA, onB } = await pair()
    const path = `/v1/presence?ids=${ada.userId},${bob.userId}`
    const token = ada.sessions[0]?.accessToken
    const seen = async ({ process }: Node): Promise<{ online: boolean; since: string }[]> =>
      expectOk(await createApi(process.httpUrl)('GET', path, { token })).items
    const onBoth = async () => (await Promise.all([a, b].map(seen))).flat().map(({ online }) => online)
    await expect.poll(onBoth).toEqual([true, true, true, true])
    const [fromA, fromB] = (await Promise.all([a, b].map(seen))).map(rows => rows.map(({ since }) => since))
    expect(fromA).toEqual(fromB)
    await onB.close()
    await expect.poll(onBoth).toEqual([true, false, true, false])
    await onA.close()
  })

  test('end every other device on both when the password is changed on one', { timeout: slowMsMax }, async () => {
    const ada = await person(a, 'kept', 'other')
    const [kept, other] = ada.sessions as [SignedIn, SignedIn]
    const keptDevice = await connectTo(b, kept)
    const otherDevice = await connectTo(b, other)
    const body = { current: 'correct horse battery', new: 'staple of another kind' }
    const onA = createApi(a.process.httpUrl)
    const changed = expectOk(await onA('PUT', '/v1/users/me/password', { token: kept.accessToken, body }))
    expect(await otherDevice.closed).toMatchObject({ code: 4403 })
    await keptDevice.whenPassed(changed.position)
    expect([...(keptDevice.replica.get('sessions')?.keys() ?? [])]).toEqual([kept.sessionId])
    await whenReadable(onA, kept.accessToken, changed.position)
    const listed = await keptDevice.command('listSessions', {})
    expect(listed.items).toMatchObject([{ sessionId: kept.sessionId }])
    await keptDevice.close()
  })

  test('take a member out on both, and tell of it once', { timeout: slowMsMax }, async () => {
    const { bob, onA, onB } = await pair()
    const { groupId, conversationId } = await onA.command('createGroup', {
      name: 'A group',
      inviteeConsent: 'none',
      memberIds: [bob.userId],
    })
    const holds = (count: number) => (device: Device) => device.state.messagesOf(conversationId).length >= count
    await onB.waitFor(holds(1), 'what tells of the group')
    const kick = await onA.command('removeMembers', { groupId, userIds: [bob.userId] })
    await onB.whenPassed(kick.position)
    await onA.waitFor(holds(2), 'what tells of the removal')
    const later = await onA.say(conversationId, 'not for bob')
    await onA.whenPassed(later.position)
    // Bob's own event comes after all of it.
    const own = await onB.command('blockUser', { userId: onA.welcome.userId })
    await onB.whenPassed(own.position)
    expect(onB.state.messagesOf(conversationId).map(({ body }) => body)).toMatchObject([{ event: 'memberInvited' }])
    expect(onB.replica.get('groups')?.has(groupId)).toBe(false)
    expect(onA.state.messagesOf(conversationId).map(({ seq }) => seq)).toEqual([1, 2, 3])
    expect(onA.state.messagesOf(conversationId)[1]).toMatchObject({ body: { event: 'memberRemoved' } })
    await Promise.all([onA.close(), onB.close()])
  })

  test('tell of typing through both, and not to one who blocked', { timeout: slowMsMax }, async () => {
    const typing: unknown[] = []
    const { ada, bob, conversationId, onA, onB } = await pair()
    const { conversationId: inGroup } = await onA.command('createGroup', {
      name: 'Both',
      inviteeConsent: 'none',
      memberIds: [bob.userId],
    })
    const watching = await connectTo(b, bob.sessions[1] as SignedIn, {
      onFrame: frame => frame.op === 'typing' && typing.push(frame.conversationId),
    })
    const type = (where: string) => onA.sendFrame({ op: 'typing', args: { conversationId: where } })
    type(conversationId)
    await watching.waitFor(() => typing.length === 1, 'that ada types')

    await onB.command('blockUser', { userId: ada.userId })
    const later = await onB.say(conversationId, 'who blocks may write')
    await onA.whenPassed(later.position)
    type(conversationId)
    type(inGroup)
    await watching.waitFor(() => typing.length === 2, 'that ada types in the group')
    expect(typing).toEqual([conversationId, inGroup])
    await Promise.all([onA, onB, watching].map(device => device.close()))
  })

  test('replace the socket that a device has on the other', { timeout: slowMsMax }, async () => {
    const ada = await person(a, 'one', 'two')
    const [session, spare] = ada.sessions as [SignedIn, SignedIn]
    const onA = await connectTo(a, session)
    const spareOnA = await connectTo(a, spare)
    const onB = await connectTo(b, session)
    expect(await onA.closed).toEqual({ code: 4409, reason: 'socket.replaced' })
    expect(onA.bye).toMatchObject({ code: 4409, reconnect: 'never' })
    const backOnA = await connectTo(a, session, { replica: onB.state })
    expect(await onB.closed).toMatchObject({ code: 4409 })
    const args = { after: spare.position }
    for (const device of [backOnA, spareOnA]) expect((await device.command('listSessions', args)).items).toHaveLength(2)
    await Promise.all([backOnA, spareOnA].map(device => device.close()))
  })

  test('lose nothing when the one that keeps the read models is killed', { timeout: slowMsMax }, async () => {
    const isLeading = ({ process }: Node) => process.output().includes('read models are being kept current')
    expect([a, b].filter(isLeading)).toHaveLength(1)
    const [leader, standby] = isLeading(a) ? [a, b] : [b, a]
    expect(standby.process.output()).toContain('another process keeps them current, standing by')

    const ada = await person(leader, 'one', 'spare')
    const bob = await person(standby, 'one')
    const [session, spare] = ada.sessions as [SignedIn, SignedIn]
    const conversationId = `p2p:${[ada.userId, bob.userId].toSorted().join(':')}`
    const onLeader = await connectTo(leader, session)
    const onStandby = await connectTo(standby, bob.sessions[0] as SignedIn)
    const before = await onLeader.say(conversationId, 'before')
    await onLeader.whenPassed(before.position)
    await onStandby.whenPassed(before.position)

    await leader.process.kill()
    expect(await onLeader.closed).toMatchObject({ code: 1006 })
    const meanwhile = await onStandby.say(conversationId, 'meanwhile')
    expect(meanwhile.seq).toBe(before.seq + 1)

    const api = createApi(standby.process.httpUrl)
    // Until the other one has taken over.
    await whenReadable(api, session.accessToken, meanwhile.position)
    const resumed = await connectTo(standby, session, { replica: onLeader.state })
    expect(resumed.welcome.reset).toBe(false)
    expect(resumed.state.messagesOf(conversationId).map(({ body }) => body)).toEqual([
      { text: 'before' },
      { text: 'meanwhile' },
    ])
    const reached = { api, connect: (who: SignedIn) => connectTo(standby, who) } as never
    const viewer = { userId: ada.userId, token: spare.accessToken, spare }
    expect(await divergence(reached, viewer, [{ name: 'the resumed device', device: resumed }])).toEqual([])

    leader.process = (await startNode(leader.environment)).process
    const again = await connectTo(leader, session, { replica: resumed.state })
    const after = await again.say(conversationId, 'after')
    await onStandby.whenPassed(after.position)
    expect(after.seq).toBe(before.seq + 2)
    expect([leader, standby].filter(isLeading)).toHaveLength(1)
    await Promise.all([resumed, again, onStandby].map(device => device.close()))
  })
})

describeWithPostgres(`whatever people do on two nodes at once (seed ${seed})`, () => {
  test('their devices are fresh snapshots in the end', { timeout: slowMsMax }, async () => {
    const service = await nodes.asOne()
    const nobody = await service.person('nobody')
    const adminKey = await service.adminKey()
    const property = fc.asyncProperty(commandSequence(commandsMost), async commands => {
      const people = await RandomPeople.arrive(service, { nobody, adminKey })
      await people.begin()
      for (const step of together(commands)) await people.step(step)
      expect(await people.divergence()).toEqual([])
      await people.leave()
    })
    await fc.assert(property, { seed, numRuns, endOnFailure: true })
  })
})
