// Events in, rows out: each projection by itself, and what the queries make of it.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { earlierAttributes } from '../../domain/group/attributes.ts'
import type { GroupId } from '../../domain/ids.ts'
import { ownUser, usersByIds } from '../../projections/account.ts'
import { blocklistChangesOf, blocklistOf } from '../../projections/blocklist.ts'
import type { Database } from '../../projections/database.ts'
import {
  groupChangesOf,
  groupIdsOf,
  groupOf,
  groupsCreatedCount,
  groupsOf,
  usersInManyGroups,
} from '../../projections/group.ts'
import { allMembersOf, membersOf } from '../../projections/member.ts'
import { notificationChangesOf, notificationsOf } from '../../projections/notification.ts'
import { sessionChangesOf, sessionsOf } from '../../projections/session.ts'
import { Ledger, user } from '../support/ledger.ts'
import { databaseKinds, empty, fold, openTestDatabase, type TestDatabase } from '../support/read-models.ts'

const g1 = 'g1' as GroupId

describe.each(databaseKinds)('rows on %s', kind => {
  let opened: TestDatabase
  let database: Database
  let ledger: Ledger
  beforeAll(async () => {
    opened = await openTestDatabase(kind)
    database = opened.database
  })
  afterAll(() => opened.dispose())
  beforeEach(async () => {
    await empty(database)
    ledger = new Ledger()
  })

  test('an account is shown from its claim on, without secrets', async () => {
    ledger.account('ada', { claimed: false })
    await fold(database, ledger.events)
    expect(await usersByIds(database, [user('ada')])).toEqual([])
    expect(await ownUser(database, user('ada'))).toBeUndefined()
    const before = ledger.events.length
    ledger.claim('ada')
    await fold(database, ledger.events.slice(before))
    expect(await usersByIds(database, [user('nobody'), user('ada')])).toEqual([{ userId: 'ada', name: "ada's name" }])
    expect(await ownUser(database, user('ada'))).toEqual({
      userId: 'ada',
      name: "ada's name",
      email: 'ada@example.org',
      friendPolicy: 'approval',
      discoverableBy: { phone: true, email: true, userName: true, namePrefix: false },
      createdAt: '2026-11-01T00:00:00.000Z',
    })
    const [row] = await database.query<{ text: string }>({
      name: 'secrets',
      text: 'select a::text as text from account a',
    })
    expect(row?.text).not.toContain('secret')
  })

  test('a profile changes field by field, null clears one, and others see no private field (R3)', async () => {
    ledger.account('ada')
    ledger.profile('ada', { name: 'Ada', signature: 'away', birthday: '1815-12-10', friendPolicy: 'nobody' })
    ledger.profile('ada', {
      signature: null,
      gender: 'female',
      avatarUrl: 'https://example.org/a.png',
      extension: '{}',
    })
    ledger.profile('ada', { discoverableBy: { phone: false, email: false, userName: false, namePrefix: true } })
    await fold(database, ledger.events)
    const seen = {
      userId: 'ada',
      name: 'Ada',
      birthday: '1815-12-10',
      gender: 'female',
      avatarUrl: 'https://example.org/a.png',
      extension: '{}',
    }
    expect(await usersByIds(database, [user('ada')])).toEqual([seen])
    expect(await ownUser(database, user('ada'))).toEqual({
      ...seen,
      email: 'ada@example.org',
      friendPolicy: 'nobody',
      discoverableBy: { phone: false, email: false, userName: false, namePrefix: true },
      createdAt: '2026-11-01T00:00:00.000Z',
    })
  })

  test('a text that Postgres cannot hold does not stop the folding', async () => {
    ledger.account('ada')
    const created = ledger.events[0]
    const data = { ...created?.data, name: 'nul \0 byte' }
    await fold(database, [
      { ...ledger.events[0], data, text: JSON.stringify(data) } as (typeof ledger.events)[0],
      ...ledger.events.slice(1),
    ])
    expect(await usersByIds(database, [user('ada')])).toEqual([{ userId: 'ada', name: 'nul \uFFFD byte' }])
  })

  test('sessions end one by one, and all but one with the password', async () => {
    for (const id of ['s1', 's2', 's3', 's4']) ledger.signIn('ada', id)
    ledger.signIn('bob', 's5')
    ledger.signOut('ada', 's1')
    await fold(database, ledger.events)
    expect((await sessionsOf(database, user('ada'))).items.map(row => row.sessionId)).toEqual(['s2', 's3', 's4'])
    const changed = ledger.password('ada', 's3')
    ledger.signIn('ada', 's6')
    await fold(database, ledger.events.slice(-2))
    expect((await sessionsOf(database, user('ada'))).items).toEqual([
      {
        sessionId: 's3',
        deviceId: 'device of s3',
        platform: 'web',
        name: 's3\\ with\ttab',
        openedAt: '2026-11-01T00:00:02.000Z',
      },
      expect.objectContaining({ sessionId: 's6' }),
    ])
    expect((await sessionsOf(database, user('bob'))).items.length).toBe(1)
    const changes = await sessionChangesOf(database, user('ada'), changed)
    expect(changes).toMatchObject({ items: [{ sessionId: 's6' }], removed: ['s2', 's4'], position: ledger.position })
  })

  test('a block list pages by time, newest first, and tells what changed', async () => {
    for (let number = 1; number <= 5; number++) ledger.block('ada', `u${number}`)
    const since = ledger.block('ada', 'u2', 'UserUnblocked')
    ledger.block('ada', 'u6')
    await fold(database, ledger.events)
    const first = await blocklistOf(database, user('ada'), { limit: 2 })
    expect(first.items.map(row => row.userId)).toEqual(['u6', 'u5'])
    ledger.block('ada', 'u7')
    await fold(database, ledger.events.slice(-1))
    const second = await blocklistOf(database, user('ada'), { limit: 10, cursor: first.next ?? '' })
    expect(second.items.map(row => row.userId)).toEqual(['u4', 'u3', 'u1'])
    expect(second.next).toBeNull()
    await expect(blocklistOf(database, user('ada'), { limit: 2, cursor: 'nonsense' })).rejects.toThrow('cursor')
    expect(await blocklistChangesOf(database, user('ada'), since)).toEqual({
      items: [
        { userId: 'u7', at: expect.any(String) },
        { userId: 'u6', at: expect.any(String) },
      ],
      removed: ['u2'],
      position: ledger.position,
    })
    expect(await blocklistChangesOf(database, user('nobody'), since)).toEqual({
      items: [],
      removed: [],
      position: ledger.position,
    })
  })

  test('a group is seen by its members only, each with their own role', async () => {
    ledger.group('g1', 'ada', ['bob', 'cid'])
    ledger.admin('g1', 'ada', 'bob')
    ledger.transfer('g1', 'ada', 'cid')
    ledger.add('g1', 'cid', ['dan'])
    await fold(database, ledger.events)
    expect(await groupOf(database, user('bob'), g1)).toEqual({
      ...earlierAttributes,
      groupId: 'g1',
      conversationId: 'group:g1',
      name: 'group g1',
      ownerId: 'cid',
      memberCount: 4,
      createdAt: '2026-11-01T00:00:00.000Z',
      dissolvedAt: null,
      myRole: 'admin',
      myNickname: null,
      myExtension: '',
      myMutedUntil: null,
      myFollowedIds: [],
    })
    expect((await groupOf(database, user('ada'), g1))?.myRole).toBe('member')
    expect((await groupOf(database, user('cid'), g1))?.myRole).toBe('owner')
    expect(await groupOf(database, user('eve'), g1)).toBeUndefined()
    const position = ledger.position
    ledger.kick('g1', 'cid', ['bob'])
    await fold(database, ledger.events.slice(-1))
    expect(await groupOf(database, user('bob'), g1)).toBeUndefined()
    expect(await groupChangesOf(database, user('bob'), position)).toMatchObject({ items: [], removed: ['g1'] })
    expect(await groupChangesOf(database, user('ada'), position)).toMatchObject({
      items: [{ memberCount: 3 }],
      removed: [],
    })
  })

  test('a dissolved group leaves the lists but not its last members', async () => {
    ledger.group('g1', 'ada', ['bob', 'cid'])
    ledger.group('g2', 'ada', ['bob'])
    ledger.kick('g1', 'ada', ['cid'])
    const position = ledger.dissolve('g1', 'ada')
    await fold(database, ledger.events)
    expect((await groupsOf(database, user('bob'), { limit: 10 })).items.map(row => row.groupId)).toEqual(['g2'])
    expect((await groupOf(database, user('bob'), g1))?.dissolvedAt).toEqual(expect.any(String))
    expect(await groupOf(database, user('cid'), g1)).toBeUndefined()
    expect(await groupChangesOf(database, user('bob'), position)).toMatchObject({ items: [], removed: ['g1'] })
    expect(await groupIdsOf(database, user('bob'))).toEqual({ position: ledger.position, groupIds: ['g1', 'g2'] })
    expect(await groupsCreatedCount(database, user('ada'))).toBe(1)
    const everybody = [user('ada'), user('bob'), user('cid')]
    expect(await usersInManyGroups(database, everybody, 1)).toEqual(new Set(['ada', 'bob']))
    expect(await usersInManyGroups(database, everybody, 2)).toEqual(new Set())
  })

  test('members page in the order they joined, by role and by name', async () => {
    const names = Array.from({ length: 7 }, (_, index) => `m${index}`)
    for (const name of ['ada', ...names]) ledger.account(name)
    ledger.group('g1', 'ada', names)
    ledger.admin('g1', 'ada', 'm3')
    ledger.add('g1', 'ada', ['zoe'])
    await fold(database, ledger.events)
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const page = await membersOf(database, user('ada'), g1, { limit: 4, cursor })
      seen.push(...(page?.items.map(row => row.userId) ?? []))
      cursor = page?.next ?? undefined
    } while (cursor !== undefined)
    expect(seen).toEqual(['ada', ...names, 'zoe'])
    expect((await membersOf(database, user('ada'), g1, { limit: 9, role: 'admin' }))?.items).toEqual([
      {
        groupId: 'g1',
        userId: 'm3',
        role: 'admin',
        nickname: null,
        extension: '',
        mutedUntil: null,
        joinedAt: expect.any(String),
        invitedBy: 'ada',
      },
    ])
    expect((await membersOf(database, user('ada'), g1, { limit: 9, q: "M5'S" }))?.items.map(row => row.userId)).toEqual(
      ['m5'],
    )
    expect((await membersOf(database, user('ada'), g1, { limit: 9, q: '100%' }))?.items).toEqual([])
    expect(await membersOf(database, user('eve'), g1, { limit: 9 })).toBeUndefined()
    const all = await allMembersOf(database, user('zoe'), g1)
    expect(all?.position).toBe(ledger.position)
    expect(all?.items.map(text => JSON.parse(text).userId)).toEqual(seen)
    expect(await allMembersOf(database, user('eve'), g1)).toBeUndefined()
  })

  test('notifications tell the kicked, and the members of a dissolved group but the one who did it', async () => {
    ledger.group('g1', 'ada', ['bob', 'cid', 'dan'])
    ledger.kick('g1', 'ada', ['cid'])
    ledger.kick('g1', 'dan', ['dan'], 'left')
    const dissolved = ledger.dissolve('g1', 'ada')
    await fold(database, ledger.events)
    const page = (name: string) => notificationsOf(database, user(name), { limit: 10 })
    const of = async (name: string) => (await page(name)).items
    expect(await of('ada')).toEqual([])
    expect(await of('dan')).toEqual([])
    expect(await of('cid')).toEqual([
      {
        notificationId: ledger.events[1]?.id,
        kind: 'removedFromGroup',
        groupId: 'g1',
        by: 'ada',
        at: expect.any(String),
        position: ledger.events[1]?.position,
        state: 'none',
      },
    ])
    expect((await of('bob')).map(row => row.kind)).toEqual(['groupDissolved'])
    expect(await notificationChangesOf(database, user('bob'), dissolved)).toMatchObject({ items: [{}], removed: [] })
    expect(await notificationChangesOf(database, user('cid'), dissolved)).toMatchObject({ items: [], removed: [] })
  })

  test('notifications are unread until the mark has passed them, in all and whatever the page shows', async () => {
    ledger.group('g1', 'ada', ['bob'])
    const first = ledger.kick('g1', 'ada', ['bob'])
    ledger.add('g1', 'ada', ['bob'])
    ledger.kick('g1', 'ada', ['bob'])
    await fold(database, ledger.events)
    const page = (options = {}) => notificationsOf(database, user('bob'), { limit: 1, ...options })
    const top = await page()
    expect(top).toMatchObject({ unread: 2, items: [{}], next: expect.any(String) })
    expect(await page({ cursor: top.next })).toMatchObject({ unread: 2, items: [{ position: first }], next: null })
    expect(await page({ state: 'pending' })).toEqual({ unread: 2, items: [], next: null, position: ledger.position })
    expect(await page({ state: 'none' })).toMatchObject({ unread: 2, items: [{}] })
    const before = ledger.events.length
    ledger.readNotifications('bob', first)
    await fold(database, ledger.events.slice(before))
    expect(await page()).toMatchObject({ unread: 1 })
    expect(await notificationsOf(database, user('cid'), { limit: 1 })).toMatchObject({
      unread: 0,
      items: [],
      next: null,
    })
  })
})
