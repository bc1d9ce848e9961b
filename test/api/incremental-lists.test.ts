// Owns the tests of lists that can be asked for what changed since (api.md, 1): each page of the whole list says from where on,
// and whoever then asks holds the whole list again.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { operations } from '../../api/operations.ts'
import type { Instant } from '../../domain/ids.ts'
import { purgeTombstones } from '../../projections/purge.ts'
import { readModelsVersion } from '../../projections/schema.ts'
import { catchUp, type HeldLists, incrementalLists, listDifferences, readLists } from '../support/held-lists.ts'
import { type Arguments, operationNamed, requestOf } from '../support/operation-request.ts'
import { type Harness, p2p, startHarness, type TestUser, textOf } from './harness.ts'

let api: Harness
let ada: TestUser
let bob: TestUser
let cyd: TestUser
beforeAll(async () => {
  api = await startHarness()
  ;[ada, bob, cyd] = (await Promise.all(['ada', 'bob', 'cyd'].map(name => api.user(name)))) as [
    TestUser,
    TestUser,
    TestUser,
  ]
})
afterAll(() => api.close())

const routeOf = (op: string, args: Arguments = {}) => `GET ${requestOf(operationNamed(op), args).path}`
const asking = (user: TestUser) => (op: string, args: Arguments) => api.ok(routeOf(op, args), { token: user.token })
const lists = Object.keys(incrementalLists)
const idsOf = (held: HeldLists, op: string) => [...(held.get(op)?.rows.keys() ?? [])]

const send = (from: TestUser, to: TestUser) =>
  api.ok(`POST /v1/conversations/${p2p(from, to)}/messages`, { token: from.token, body: textOf('hello') })
const ask = (from: TestUser, to: TestUser) =>
  api.ok('POST /v1/friend-requests', { token: from.token, body: { userId: to.userId } })
const group = (owner: TestUser, inviteeConsent: string) =>
  api.ok('POST /v1/groups', {
    token: owner.token,
    body: { name: 'G', memberIds: [ada.userId], inviteeConsent },
  })
/** Something for Ada in every list. */
const fill = async () => {
  await ask(bob, ada)
  await api.ok(`POST /v1/friend-requests/${bob.userId}/accept`, { token: ada.token })
  await ask(cyd, ada)
  await api.ok(`PUT /v1/blocklist/${cyd.userId}`, { token: ada.token })
  const { groupId: joined } = await group(bob, 'none')
  const { groupId: invitedTo } = await group(bob, 'required')
  await send(bob, ada)
  const another = await api.signIn(ada.userName, 'another')
  return { joined, invitedTo, another }
}
const readable = async () => expect(await api.runner.passed(api.node.position, 30_000)).toBe(true)

describe('lists that can be asked for what changed', () => {
  it('are these', () => {
    const found = operations.filter(({ id, query }) => 'since' in query.shape && id !== 'sync').map(({ id }) => id)
    expect(found.toSorted()).toEqual(lists.toSorted())
  })

  it('are whole again once that is applied, whatever came and went', async () => {
    const empty = await readLists(asking(ada))
    const { joined, invitedTo, another } = await fill()
    await readable()
    const full = await readLists(asking(ada))
    for (const op of lists) expect(idsOf(full, op), op).not.toEqual(op === 'listSessions' ? [ada.sessionId] : [])
    expect(await listDifferences(asking(ada), empty)).toEqual([])
    await api.ok(`DELETE /v1/friends/${bob.userId}`, { token: ada.token })
    await api.ok(`DELETE /v1/blocklist/${cyd.userId}`, { token: ada.token })
    await api.ok(`POST /v1/groups/${joined}/leave`, { token: ada.token })
    await api.ok(`POST /v1/group-invitations/${invitedTo}/reject`, { token: ada.token })
    await api.ok(`DELETE /v1/conversations/${p2p(ada, bob)}`, { token: ada.token })
    await api.ok(`DELETE /v1/sessions/${another.sessionId}`, { token: ada.token })
    await readable()
    const now = await catchUp(asking(ada), full)
    expect(idsOf(now, 'listConversations')).not.toContain(p2p(ada, bob))
    expect(idsOf(now, 'listSessions')).not.toContain(another.sessionId)
    for (const op of ['listFriends', 'listBlocked', 'listGroups', 'listGroupInvitations']) {
      expect(idsOf(now, op), op).toEqual([])
    }
    expect(await listDifferences(asking(ada), empty)).toEqual([])
    expect(await listDifferences(asking(ada), full)).toEqual([])
  })

  it.each(lists)('%s says from where on with every page, and that is where its rows are', async op => {
    await readable()
    const { cursor, next } = await asking(ada)(op, {})
    expect(cursor).toBe(`${api.node.store.logId}.${readModelsVersion}.${api.runner.position()}`)
    expect(next).toBeNull()
    expect(await asking(ada)(op, { since: cursor })).toMatchObject({ cursor })
  })

  it.each(lists)('%s is to be fetched whole with a cursor of elsewhere', async op => {
    const { logId } = api.node.store
    for (const since of [
      `another.${readModelsVersion}.0000000000000001`,
      `${logId}.${readModelsVersion + 1}.0000000000000001`,
      `${logId}.${readModelsVersion}.ffffffffffffffff`,
      `${logId}.${readModelsVersion}.1`,
      'x',
    ]) {
      const { status } = await api.ask(routeOf(op, { since }), { token: ada.token })
      expect(status, since).toBe(410)
    }
  })

  it.each(lists)('%s refuses what is no cursor, and one beside a page or a filter', async op => {
    const { cursor } = await asking(ada)(op, {})
    const refused = (query: Arguments) => api.refused('request.invalid', routeOf(op, query), { token: ada.token })
    await refused({ since: '' })
    await refused({ since: 'a b' })
    await refused({ since: 'x'.repeat(257) })
    const filters = {
      cursor: 'x',
      q: 'x',
      state: 'pending',
      direction: 'incoming',
      unread: true,
      pinned: true,
      kind: 'p2p',
    }
    for (const [name, value] of Object.entries(filters)) {
      if (name in operationNamed(op).query.shape) await refused({ since: cursor, [name]: value })
    }
  })

  it('are to be fetched whole once what is gone is no longer known', async () => {
    const before = await readLists(asking(ada))
    await api.ok(`PUT /v1/blocklist/${cyd.userId}`, { token: ada.token })
    await api.ok(`DELETE /v1/blocklist/${cyd.userId}`, { token: ada.token })
    await readable()
    expect(await purgeTombstones(api.database, '9999-01-01T00:00:00.000Z' as Instant)).toBeGreaterThan(0)
    for (const op of lists) {
      await api.refused('sync.too-old', routeOf(op, { since: before.get(op)?.cursor }), { token: ada.token })
    }
    await ask(ada, bob)
    await readable()
    expect(await listDifferences(asking(ada), await readLists(asking(ada)))).toEqual([])
  })
})
