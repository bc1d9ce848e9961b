// Invitations and applications as the read models have them: open until they end, seen by those they are for (R20, R22).

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { GroupId, Instant } from '../../domain/ids.ts'
import type { Database } from '../../projections/database.ts'
import {
  applicationsOf,
  groupsWithDueRequests,
  invitationChangesOf,
  invitationsOf,
  pendingRequestCounts,
} from '../../projections/group-request.ts'
import { membersOf } from '../../projections/member.ts'
import { notificationsOf } from '../../projections/notification.ts'
import { Ledger, user } from '../support/ledger.ts'
import { databaseKinds, empty, fold, openTestDatabase, type TestDatabase } from '../support/read-models.ts'
import { apply, endApplication, endInvitation, invite } from '../support/request-ledger.ts'

const g1 = 'g1' as GroupId
const page = { limit: 10 }

describe.each(databaseKinds)('requests on %s', kind => {
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

  test('an invitation is listed for the invited until it ends, the newest first', async () => {
    ledger.group('g1', 'ada')
    ledger.group('g2', 'ada')
    invite(ledger, 'g1', 'ada', ['bob', 'cid'], 'come')
    const since = invite(ledger, 'g2', 'ada', ['bob'])
    await fold(database, ledger.events)
    const first = await invitationsOf(database, user('bob'), { limit: 1 })
    expect(first.items.map(row => row.groupId)).toEqual(['g2'])
    expect((await invitationsOf(database, user('bob'), { limit: 5, cursor: first.next ?? '' })).items).toEqual([
      {
        groupId: 'g1',
        groupName: 'group g1',
        requestId: 'request of bob',
        by: 'ada',
        message: 'come',
        at: expect.any(String),
        expiresAt: '2026-12-24T00:00:00.000Z',
      },
    ])
    const before = ledger.events.length
    endInvitation(ledger, 'g1', 'bob', 'InvitationRejected')
    await fold(database, ledger.events.slice(before))
    expect((await invitationsOf(database, user('bob'), page)).items.map(row => row.groupId)).toEqual(['g2'])
    expect(await invitationChangesOf(database, user('bob'), since)).toMatchObject({
      items: [{ groupId: 'g2' }],
      removed: ['g1'],
    })
    expect(await pendingRequestCounts(database, [user('bob'), user('cid'), user('dan')], 'invitation')).toEqual(
      new Map([
        ['bob', 1],
        ['cid', 1],
        ['dan', 0],
      ]),
    )
  })

  test('applications are seen by the owner and the admins, the oldest first; a member learns only the own role', async () => {
    ledger.group('g1', 'ada', ['bob', 'cid'])
    ledger.admin('g1', 'ada', 'bob')
    apply(ledger, 'g1', 'dan', ['ada', 'bob'], 'please')
    apply(ledger, 'g1', 'eve', ['ada', 'bob'])
    await fold(database, ledger.events)
    for (const name of ['ada', 'bob']) {
      const found = await applicationsOf(database, user(name), g1, page)
      expect(found?.page.items.map(row => row.userId)).toEqual(['dan', 'eve'])
    }
    const cid = await applicationsOf(database, user('cid'), g1, page)
    expect(cid).toEqual({ myRole: 'member', page: { items: [], next: null } })
    expect(await applicationsOf(database, user('dan'), g1, page)).toBeUndefined()
    const before = ledger.events.length
    endApplication(ledger, 'g1', 'dan', ['ada', 'bob'], 'ApplicationRejected')
    await fold(database, ledger.events.slice(before))
    const left = await applicationsOf(database, user('ada'), g1, page)
    expect(left?.page.items).toEqual([
      {
        groupId: 'g1',
        userId: 'eve',
        requestId: 'request of eve',
        at: expect.any(String),
        expiresAt: '2026-12-24T00:00:00.000Z',
      },
    ])
    expect((await notificationsOf(database, user('dan'), page)).items).toMatchObject([
      { kind: 'groupApplicationRejected', by: 'ada', message: 'because', state: 'none' },
    ])
    expect((await notificationsOf(database, user('bob'), page)).items).toMatchObject([
      { kind: 'groupApplication', by: 'eve', state: 'pending' },
      { kind: 'groupApplication', by: 'dan', message: 'please', state: 'rejected', endedAt: expect.any(String) },
      { kind: 'groupAdminAdded' },
    ])
  })

  test('one for whom a member asked is listed with the member, has no application of their own, and is told of nothing (R19)', async () => {
    ledger.group('g1', 'ada', ['bob'])
    apply(ledger, 'g1', 'dan', ['ada'], 'good', 'bob')
    apply(ledger, 'g1', 'eve', ['ada'], 'good', 'bob')
    await fold(database, ledger.events)
    const asked = await applicationsOf(database, user('ada'), g1, page)
    expect(asked?.page.items).toMatchObject([
      { userId: 'dan', invitedBy: 'bob', message: 'good' },
      { userId: 'eve', invitedBy: 'bob' },
    ])
    expect(await pendingRequestCounts(database, [user('dan')], 'application')).toEqual(new Map([['dan', 0]]))
    expect((await notificationsOf(database, user('ada'), page)).items).toMatchObject([
      { kind: 'groupApplication', by: 'bob', userId: 'eve', state: 'pending' },
      { kind: 'groupApplication', by: 'bob', userId: 'dan', state: 'pending' },
    ])
    const before = ledger.events.length
    endApplication(ledger, 'g1', 'dan', ['ada'], 'ApplicationRejected', 'bob')
    endApplication(ledger, 'g1', 'eve', ['ada'], 'ApplicationWithdrawn', 'bob')
    apply(ledger, 'g1', 'eve', ['ada'])
    await fold(database, ledger.events.slice(before))
    const own = await applicationsOf(database, user('ada'), g1, page)
    expect(own?.page.items.map(({ userId, invitedBy }) => ({ userId, invitedBy }))).toEqual([{ userId: 'eve' }])
    expect(await pendingRequestCounts(database, [user('eve')], 'application')).toEqual(new Map([['eve', 1]]))
    expect((await notificationsOf(database, user('dan'), page)).items).toEqual([])
    expect((await notificationsOf(database, user('bob'), page)).items).toMatchObject([
      { kind: 'groupApplicationRejected', by: 'ada', userId: 'dan', message: 'because' },
    ])
  })

  test('a group is due once a request of it is, and no longer once that has ended', async () => {
    ledger.group('g1', 'ada')
    ledger.group('g2', 'ada')
    invite(ledger, 'g1', 'ada', ['bob', 'cid'])
    apply(ledger, 'g2', 'dan', ['ada'])
    await fold(database, ledger.events)
    const [before, then] = ['2026-12-23T23:59:59.999Z', '2026-12-24T00:00:00.000Z'] as [Instant, Instant]
    expect(await groupsWithDueRequests(database, before, 10)).toEqual([])
    expect((await groupsWithDueRequests(database, then, 10)).toSorted()).toEqual(['g1', 'g2'])
    const from = ledger.events.length
    for (const name of ['bob', 'cid']) endInvitation(ledger, 'g1', name, 'InvitationsExpired')
    endApplication(ledger, 'g2', 'dan', ['ada'], 'ApplicationsExpired')
    await fold(database, ledger.events.slice(from))
    expect(await groupsWithDueRequests(database, then, 10)).toEqual([])
  })

  test('one who was let in was invited by nobody, one who accepted by the inviter', async () => {
    ledger.group('g1', 'ada')
    const added = { groupId: g1, at: ledger.at } as const
    ledger.record('group-g1', 'MembersAdded', {
      ...added,
      userIds: [user('bob')],
      memberCount: 2,
      via: 'free',
      by: user('bob'),
    })
    ledger.record('group-g1', 'MembersAdded', {
      ...added,
      userIds: [user('cid')],
      memberCount: 3,
      via: 'application',
      by: user('ada'),
    })
    ledger.record('group-g1', 'MembersAdded', {
      ...added,
      userIds: [user('dan')],
      memberCount: 4,
      via: 'invitation',
      by: user('ada'),
    })
    await fold(database, ledger.events)
    const members = await membersOf(database, user('ada'), g1, page)
    expect(members?.items.map(row => row.invitedBy)).toEqual([undefined, undefined, undefined, 'ada'])
  })
})
