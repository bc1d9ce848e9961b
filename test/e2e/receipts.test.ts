// Owns read receipts as people meet them (R34, X1): asked for in a small group, given by those who were there, told to the
// sender's devices alone, on and off, over a restart of the server, and gone with a recall.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { limits } from '../../domain/limits.ts'
import { newMessageId } from '../support/device.ts'
import type { ServerFrame } from '../support/replica.ts'
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

const converged = async (...players: readonly Player[]) => expect(await scene.divergence(...players)).toEqual([])

const asking = (conversationId: string) => ({
  conversationId,
  clientMessageId: newMessageId(),
  type: 'text',
  body: { text: 'Who reads this?' },
  receipt: true,
})

/** Ada owns a small group with the others in it. */
const groupOf = async (...names: readonly string[]) => {
  const players = await scene.enter('ada', ...names)
  const [ada, ...others] = players as [Player, ...Player[]]
  const memberIds = others.map(({ userId }) => userId)
  const made = { name: 'A small group', memberLimit: 100, inviteeConsent: 'none', memberIds }
  const { groupId, conversationId } = await ada.do('createGroup', made)
  await scene.quiet(...players)
  const seq = Number((await ada.do('sendMessage', asking(conversationId))).seq)
  await scene.quiet(...players)
  const path = `/v1/conversations/${encodeURIComponent(conversationId)}`
  return {
    ada,
    others,
    groupId: String(groupId),
    conversationId: String(conversationId),
    seq,
    give: (who: Player, ...seqs: readonly number[]) => who.do('giveReceipts', { conversationId, seqs }),
    receiptOn: (device: Player['device']) =>
      device.state.messagesOf(conversationId).find(message => message.seq === seq)?.receipt,
    details: (state = 'read', who = ada) => who.get(`${path}/messages/${seq}/receipts?state=${state}`),
    path,
  }
}

test('a sender hears on all devices how many have read, and nobody else does', async () => {
  const { ada, others, conversationId, seq, give, receiptOn, details } = await groupOf('bob', 'cyd')
  const [bob, cyd] = others as [Player, Player]
  const second = await ada.another('second')
  const heard: ServerFrame[] = []
  const bobs = await service.connect(await service.signIn(bob.person, 'second'), {
    onFrame: frame => heard.push(frame),
  })
  bob.devices.push(bobs)
  expect(receiptOn(ada.device)).toEqual({ read: 0, unread: 2 })
  const { position } = await give(bob, seq)
  await scene.quiet(ada, bob, cyd)
  for (const device of [ada.device, second]) expect(receiptOn(device)).toEqual({ read: 1, unread: 1 })
  for (const device of [...bob.devices, cyd.device]) expect(receiptOn(device)).toEqual({ read: 0, unread: 2 })
  expect(heard.filter(({ op }) => op === 'patch')).toEqual([])
  expect(ada.row(conversationId)?.lastMessage).toMatchObject({ seq, receipt: { read: 1, unread: 1 } })
  expect(await details()).toEqual({
    read: 1,
    unread: 1,
    items: [{ userId: bob.userId, at: expect.stringMatching(/Z$/) }],
    next: null,
  })
  expect(await details('unread')).toMatchObject({ items: [{ userId: cyd.userId }], next: null })
  expect(await ada.do('listReceipts', { conversationId, seq })).toEqual(await details())
  // Once more says where it stands, and changes nothing.
  expect(await give(bob, seq, seq)).toEqual({ position })
  await converged(ada, bob, cyd)
})

test('what was read while a device was off is there when it is back, also after a restart of the server', async () => {
  const { ada, others, conversationId, seq, give, receiptOn, details } = await groupOf('bob', 'cyd')
  const [bob, cyd] = others as [Player, Player]
  await ada.off()
  await give(bob, seq)
  await ada.back()
  await converged(ada, bob, cyd)
  expect(receiptOn(ada.device)).toEqual({ read: 1, unread: 1 })
  await Promise.all([ada, bob, cyd].map(player => player.off()))
  await service.restart()
  await Promise.all([bob, cyd].map(player => player.back()))
  await give(cyd, seq)
  await scene.quiet(bob, cyd)
  // Nothing of before is in this server's memory: the device goes on by its cursor, from the read models.
  await ada.back()
  expect(ada.device.welcome.reset).toBe(false)
  await converged(ada, bob, cyd)
  expect(receiptOn(ada.device)).toEqual({ read: 2, unread: 0 })
  expect(ada.row(conversationId)?.lastMessage).toMatchObject({ receipt: { read: 2, unread: 0 } })
  expect((await details()).items).toMatchObject([{ userId: bob.userId }, { userId: cyd.userId }])
})

test('those who left stay among the asked and give no receipt, those who come later are not asked', async () => {
  const { ada, others, groupId, seq, give, details } = await groupOf('bob', 'cyd')
  const [bob, cyd] = others as [Player, Player]
  const [dan] = (await scene.enter('dan')) as [Player]
  await ada.do('removeMembers', { groupId, userIds: [bob.userId] })
  await ada.do('updateGroup', { groupId, historyBeforeJoin: true })
  await ada.do('addMembers', { groupId, userIds: [dan.userId] })
  await scene.quiet(ada, bob, cyd, dan)
  for (const who of [ada, bob, dan]) await give(who, seq)
  await converged(ada, bob, cyd, dan)
  expect(await details('unread')).toMatchObject({ read: 0, unread: 2 })
  await ada.do('addMembers', { groupId, userIds: [bob.userId] })
  await scene.quiet(ada, bob)
  await give(bob, seq)
  await converged(ada, bob, cyd, dan)
  expect(await details()).toMatchObject({ read: 1, unread: 1, items: [{ userId: bob.userId }] })
})

test('a recall takes the receipts away, and none is given after it', async () => {
  const { ada, others, conversationId, seq, give, receiptOn, path } = await groupOf('bob', 'cyd')
  const [bob, cyd] = others as [Player, Player]
  await give(bob, seq)
  await ada.do('recallMessage', { conversationId, seq })
  await give(cyd, seq)
  await converged(ada, bob, cyd)
  for (const { device } of [ada, bob, cyd]) expect(receiptOn(device)).toBeNull()
  const answer = await service.api('GET', `${path}/messages/${seq}/receipts`, { token: ada.token })
  expect(answer).toMatchObject({ status: 404, body: { code: 'receipt.not-found' } })
})

test('one call gives many; one message that is not for the caller and nothing happens', async () => {
  const { ada, others, groupId, conversationId, seq, give, details } = await groupOf('bob', 'cyd')
  const [bob, cyd] = others as [Player, Player]
  const more = Array.from({ length: 3 }, () => ada.do('sendMessage', asking(conversationId)))
  const seqs = [seq, ...(await Promise.all(more)).map(reply => Number(reply.seq))]
  // Before the read models, or the other devices, can have heard of any.
  const { position } = await give(bob, ...seqs)
  await scene.quiet(ada, bob, cyd)
  const history = await ada.history(conversationId)
  const receipts = history.filter(message => seqs.includes(Number(message.seq))).map(({ receipt }) => receipt)
  expect(receipts).toEqual(seqs.map(() => ({ read: 1, unread: 1 })))
  expect(String(position) > String(history.at(-1)?.position)).toBe(true)
  await expect(give(cyd, seq, 1_000)).rejects.toMatchObject({ code: 'message.not-found' })
  await ada.do('removeMembers', { groupId, userIds: [cyd.userId] })
  const later = Number((await ada.do('sendMessage', asking(conversationId))).seq)
  await expect(give(cyd, seq, later)).rejects.toMatchObject({ code: 'message.not-found' })
  const tooMany = Array.from({ length: limits.receiptsPerCallMax + 1 }, (_, index) => index + 1)
  await expect(give(bob, ...tooMany)).rejects.toMatchObject({ code: 'request.invalid' })
  await bob.do('clearConversations', { conversationIds: [conversationId], what: 'all' })
  await scene.quiet(ada, bob)
  await expect(give(bob, later)).rejects.toMatchObject({ code: 'message.not-found' })
  expect(await details()).toMatchObject({ read: 1, items: [{ userId: bob.userId }] })
  await converged(ada, bob)
})

test('under one key a call is answered as before, and another one is refused', async () => {
  const { ada, others, path, seq } = await groupOf('bob')
  const [bob] = others as [Player]
  const call = (seqs: readonly number[]) =>
    service.api('POST', `${path}/receipts`, { token: bob.token, body: { seqs }, key: 'read-it' })
  const first = await call([seq])
  expect(first.status).toBe(200)
  expect((await call([seq])).body).toEqual(first.body)
  expect((await call([seq, seq])).body).toMatchObject({ code: 'idempotency.mismatch' })
  await converged(ada, bob)
})

test('a message that cannot have receipts is not sent: to one person, to a group that may grow too large', async () => {
  const { ada, others, groupId, conversationId, seq } = await groupOf('bob')
  const [bob] = others as [Player]
  const p2p = ada.do('sendMessage', asking(between(ada, bob)))
  await expect(p2p).rejects.toMatchObject({ code: 'message.receipts-unavailable' })
  const { receiptGroupMembersMax } = (await service.api('GET', '/v1/server')).body.limits
  expect(receiptGroupMembersMax).toBe(100)
  await ada.do('updateGroup', { groupId, memberLimit: receiptGroupMembersMax + 1 })
  const refused = ada.do('sendMessage', asking(conversationId))
  await expect(refused).rejects.toMatchObject({ code: 'message.receipts-unavailable' })
  // What was asked when the group was small enough goes on.
  await bob.do('giveReceipts', { conversationId, seqs: [seq] })
  await converged(ada, bob)
  const history = await ada.history(conversationId)
  expect(history.filter(({ type }) => type === 'text')).toMatchObject([{ seq, receipt: { read: 1, unread: 0 } }])
})

test('the same message again is answered as before, and is another one where it does not ask', async () => {
  const { ada, others, conversationId } = await groupOf('bob')
  const message = asking(conversationId)
  const first = await ada.do('sendMessage', message)
  expect(await ada.do('sendMessage', message)).toEqual(first)
  const { receipt: _, ...without } = message
  await expect(ada.do('sendMessage', without)).rejects.toMatchObject({ code: 'idempotency.mismatch' })
  await converged(ada, ...others)
})
