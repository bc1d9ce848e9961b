// Owns the tests of what an auditor reads: every event once, in order, in bounded pages, whatever is asked for, and no secret.

import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAdminKey } from '../../api/admin-keys.ts'
import { eventCatalogue } from '../../domain/events.ts'
import type { RecordedEvent } from '../../eventstore/port.ts'
import { type Harness, p2p, startHarness, type TestUser, testPassword, textOf } from './harness.ts'

const secondsMax = 60_000

let harness: Harness
let token: string
let ada: TestUser
let bob: TestUser
beforeAll(async () => {
  harness = await startHarness()
  const made = await createAdminKey(harness.node, 'auditor')
  token = 'key' in made ? made.key : ''
  ada = await harness.user('ada')
  bob = await harness.user('bob')
  for (let number = 0; number < 30; number++) {
    const sender = number % 3 === 0 ? bob : ada
    await harness.ok(`POST /v1/conversations/${p2p(ada, bob)}/messages`, {
      token: sender.token,
      body: textOf(`${number}`),
    })
  }
}, secondsMax)
afterAll(() => harness?.close(), secondsMax)

const wholeLog = () => harness.node.store.readAll({ from: 'start', direction: 'forwards', limit: 1_000 })
const placeOf = ({ position, stream, revision, id, type }: RecordedEvent) => ({ position, stream, revision, id, type })

/** Walks all pages of a list. */
const walk = async (path: string) => {
  const items: RecordedEvent[] = []
  let pages = 0
  for (let next: string | number | null | undefined; next !== null; pages++) {
    const from = next === undefined ? '' : `&from=${next}`
    const page = await harness.ok(`GET ${path}${from}`, { token })
    items.push(...page.items)
    next = page.next
  }
  return { items, pages }
}

describe('the log', () => {
  it('is read whole and in order, whatever the size of its pages', async () => {
    const events = await wholeLog()
    for (const limit of [1, 7, 500]) {
      const { items, pages } = await walk(`/v1/admin/events?limit=${limit}`)
      expect(items.map(placeOf)).toEqual(events.map(placeOf))
      expect(pages).toBe(Math.ceil(events.length / limit))
    }
  })

  it('is narrowed to a stream, to a type, or to both', async () => {
    const events = await wholeLog()
    const stream = `conversation-${p2p(ada, bob)}`
    const ofStream = await walk(`/v1/admin/events?limit=4&stream=${encodeURIComponent(stream)}`)
    expect(ofStream.items.map(placeOf)).toEqual(events.filter(event => event.stream === stream).map(placeOf))
    const ofType = await walk('/v1/admin/events?limit=1&type=AccountCreated')
    expect(ofType.items.map(({ stream }) => stream)).toEqual([ada, bob].map(({ userId }) => `account-${userId}`))
    const ofBoth = await walk(`/v1/admin/events?type=AccountCreated&stream=account-${bob.userId}`)
    expect(ofBoth.items).toMatchObject([{ type: 'AccountCreated', data: { name: 'bob' } }])
    expect((await walk('/v1/admin/events?type=NoSuchType')).items).toEqual([])
  })

  it('goes on from a position, that one included', async () => {
    const events = await wholeLog()
    const page = await harness.ok(`GET /v1/admin/events?limit=500&from=${events[5]?.position}`, { token })
    expect(page.items.map(placeOf)).toEqual(events.slice(5).map(placeOf))
    expect(await harness.ok('GET /v1/admin/events?from=ffffffffffffff00', { token })).toEqual({ items: [], next: null })
  })

  it('shows everything but secrets, of every event that has any', async () => {
    await harness.code('register', 'somebody@example.org')
    const change = { current: testPassword, new: 'another battery' }
    await harness.ok('PUT /v1/users/me/password', { token: bob.token, body: change })
    const group = await harness.ok('POST /v1/groups', {
      token: ada.token,
      body: { name: 'Quiz', joinMode: 'question' },
    })
    const questions = [{ text: 'What is it?', answers: ['The secret word'] }]
    const path = `PUT /v1/groups/${group.groupId}/join-question`
    await harness.ok(path, { token: ada.token, body: { questions } })

    const { items } = await walk('/v1/admin/events?limit=500')
    const events = await wholeLog()
    for (const [type, { secret }] of Object.entries(eventCatalogue)) {
      if (secret.length === 0) continue
      const [recorded, shown] = [events, items].map(all => all.find(event => event.type === type)?.data as object)
      expect(Object.keys(recorded ?? {}), type).toEqual(expect.arrayContaining([...secret]))
      const others = Object.keys(recorded ?? {}).filter(field => !(secret as readonly string[]).includes(field))
      expect(Object.keys(shown ?? {}), type).toEqual(others)
    }
    expect(JSON.stringify(items)).not.toMatch(/argon2|hash"|passwordHash|answers|secret word/i)
    expect(items.filter(({ type }) => type === 'MessageSent')[0]).toMatchObject({ data: { body: { text: '0' } } })
  })

  it('tells of what was taken away, and never again what it was', async () => {
    const word = 'Rumpelstiltskin'
    const bodyOf = (body: object) => ({ token: ada.token, body })
    const { groupId } = await harness.ok('POST /v1/groups', bodyOf({ name: 'A group' }))
    const path = `/v1/conversations/group:${groupId}/messages`
    const { seq } = await harness.ok(`POST ${path}`, bodyOf({ ...textOf(word), ext: word }))
    const announcements = `/v1/groups/${groupId}/announcements`
    const { announcementId } = await harness.ok(`POST ${announcements}`, bodyOf({ text: word, popup: true }))
    await harness.ok('PATCH /v1/users/me', { token: bob.token, body: { friendPolicy: 'anyone' } })
    await harness.ok('POST /v1/friend-requests', bodyOf({ userId: bob.userId, message: word }))
    await harness.ok(`PATCH /v1/friends/${bob.userId}`, bodyOf({ remark: word, extension: word }))
    const leaver = await harness.user('leaver')
    await harness.ok('PATCH /v1/users/me', { token: leaver.token, body: { name: word, signature: word } })
    const before = await wholeLog()
    expect(before.filter(({ text }) => text.includes(word)).map(({ type }) => type)).toEqual([
      'MessageSent',
      'AnnouncementPublished',
      'FriendsMade',
      'FriendNoted',
      'ProfileChanged',
    ])

    await harness.ok(`POST ${path}/${seq}/recall`, bodyOf({}))
    await harness.ok(`DELETE ${announcements}/${announcementId}`, { token: ada.token })
    await harness.ok(`DELETE /v1/friends/${bob.userId}`, { token: ada.token })
    await harness.ok('DELETE /v1/users/me', { token: leaver.token, body: { password: testPassword } })
    const after = (await wholeLog()).slice(before.length)
    expect(after.map(({ type }) => type)).toEqual([
      'MessageRecalled',
      'AnnouncementDeleted',
      'FriendDeleted',
      'AccountClosed',
    ])
    expect(after.filter(({ text }) => text.includes(word))).toEqual([])
  })

  it('shows no data of what it does not know', async () => {
    const text = '{"state":{"passwordHash":"x"}}'
    const event = { id: randomUUID(), type: 'StateSnapshotted', data: JSON.parse(text), text }
    await harness.node.store.append('snapshot-audited', [event], 'none')
    const { items } = await walk('/v1/admin/events?stream=snapshot-audited')
    expect(items).toEqual([
      placeOf({ ...event, stream: 'snapshot-audited', revision: 0, position: items[0]?.position as never }),
    ])
  })

  it('ends a page early when its events are large', async () => {
    const body = { text: 'x'.repeat(300_000) }
    const large = Array.from({ length: 5 }, () => ({
      id: randomUUID(),
      type: 'Noted',
      data: { body },
      text: JSON.stringify({ body }),
    }))
    for (const [index, event] of large.entries()) {
      await harness.node.store.append('large-audited', [event], index === 0 ? 'none' : index - 1)
    }
    const page = await harness.ok('GET /v1/admin/streams/large-audited', { token })
    expect(page).toMatchObject({ next: 3, items: [{ revision: 0 }, { revision: 1 }, { revision: 2 }] })
    expect((await walk('/v1/admin/events?stream=large-audited')).items).toHaveLength(5)
  })

  it('is asked for in order, or not at all', async () => {
    for (const query of [
      'from=1',
      'from=zz',
      'limit=0',
      'limit=501',
      'type=a-b',
      'stream=nodash',
      'stream=a-%00',
      'x=1',
    ]) {
      await harness.refused('request.invalid', `GET /v1/admin/events?${query}`, { token })
    }
  })
})

describe('one stream', () => {
  it('is read from its first event, by revision', async () => {
    const name = `conversation-${p2p(ada, bob)}`
    const { items, pages } = await walk(`/v1/admin/streams/${encodeURIComponent(name)}?limit=7`)
    expect(items.map(({ revision }) => revision)).toEqual(Array.from({ length: 30 }, (_, revision) => revision))
    expect(pages).toBe(5)
    const rest = await harness.ok(`GET /v1/admin/streams/${encodeURIComponent(name)}?from=28`, { token })
    expect(rest).toMatchObject({ items: [{ revision: 28 }, { revision: 29 }], next: null })
    expect(await harness.ok(`GET /v1/admin/streams/${name}?from=30`, { token })).toEqual({ items: [], next: null })
  })

  it('may have the longest name there is', async () => {
    const id = (letter: string) => letter.repeat(64)
    const name = `inbox-${id('a')}~p2p:${id('a')}:${id('b')}`
    await harness.refused('stream.not-found', `GET /v1/admin/streams/${encodeURIComponent(name)}`, { token })
  })

  it('that is not there is not found', async () => {
    await harness.refused('stream.not-found', 'GET /v1/admin/streams/account-nobody', { token })
    await harness.refused('request.invalid', 'GET /v1/admin/streams/nodash', { token })
  })
})
