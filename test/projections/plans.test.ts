// How the database goes about the statements: by keys, whatever it knows or does not know of the tables. A statement that
// walks a whole table or index is quick in every other test and slow in production.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GroupId } from '../../domain/ids.ts'
import { instantPlusSeconds } from '../../domain/instants.ts'
import { usersByIds, usersByNamePrefix } from '../../projections/account.ts'
import { announcementsOf } from '../../projections/announcement.ts'
import type { Recorded } from '../../projections/batch.ts'
import { blocklistChangesOf, blocklistOf } from '../../projections/blocklist.ts'
import type { Database, Parameter, Session, Statement, Transaction } from '../../projections/database.ts'
import {
  friendChangesOf,
  friendCounts,
  friendOf,
  friendRequestChangesOf,
  friendRequestsOf,
  friendsOf,
  overdueRequests,
  relatedTo,
} from '../../projections/friend-lists.ts'
import {
  groupChangesOf,
  groupIdsOf,
  groupOf,
  groupsCreatedCount,
  groupsFound,
  groupsOf,
  ownedGroupIds,
  ownsMostGroups,
  usersInManyGroups,
} from '../../projections/group.ts'
import {
  applicationsOf,
  groupsWithDueRequests,
  invitationChangesOf,
  invitationsOf,
  pendingRequestCounts,
} from '../../projections/group-request.ts'
import {
  conversationChangesOf,
  conversationOf,
  conversationsOf,
  pinnedCount,
  unreadOf,
} from '../../projections/inbox.ts'
import { allMembersOf, memberOf, membersOf } from '../../projections/member.ts'
import { historyPage, messagesFor, sentMessage } from '../../projections/message.ts'
import { notificationChangesOf, notificationsOf } from '../../projections/notification.ts'
import { receiptsOf } from '../../projections/receipt.ts'
import { deleteOldMessages } from '../../projections/retention.ts'
import { sessionChangesOf, sessionsOf } from '../../projections/session.ts'
import { syncOf } from '../../projections/sync.ts'
import { announce } from '../support/announcement-ledger.ts'
import { groupChat, Ledger, p2p, user } from '../support/ledger.ts'
import { databaseKinds, empty, fold, openTestDatabase, type TestDatabase } from '../support/read-models.ts'
import { ask, read } from '../support/receipt-ledger.ts'
import { apply, invite } from '../support/request-ledger.ts'

type Call = { readonly statement: Statement; readonly parameters: readonly Parameter[] }

/** A parameter as a literal without a type, so that it takes the one the statement wants. */
const literal = (parameter: Parameter): string => {
  if (parameter === null) return 'null'
  const text = typeof parameter === 'object' ? `{${parameter.map(item => JSON.stringify(item)).join(',')}}` : parameter
  return `'${String(text).replaceAll("'", "''")}'`
}

/** Hears every statement with its parameters. */
const listening = (database: Database, calls: Map<string, Call>): Database => {
  const hear = (statement: Statement, parameters: readonly Parameter[] = []) => {
    calls.set(statement.name, { statement, parameters })
  }
  const heard = (inner: Transaction): Transaction => ({
    ...inner,
    query: (statement, parameters) => {
      hear(statement, parameters)
      return inner.query(statement, parameters)
    },
  })
  const transaction: Session['transaction'] = work => database.transaction(inner => work(heard(inner)))
  return {
    ...database,
    transaction,
    query: (statement, parameters) => {
      hear(statement, parameters)
      return database.query(statement, parameters)
    },
  }
}

const manyEvents = (): Ledger => {
  const ledger = new Ledger()
  const names = Array.from({ length: 120 }, (_, index) => `u${index}`)
  for (const name of names) {
    ledger.account(name)
    ledger.signIn(name, `session of ${name}`)
    ledger.block(name, 'u0')
  }
  for (let number = 0; number < 60; number++)
    ledger.group(`g${number}`, names[number] ?? '', names.slice(number + 1, number + 20))
  for (let number = 0; number < 60; number++) ledger.kick(`g${number}`, names[number] ?? '', [names[number + 1] ?? ''])
  for (let number = 0; number < 3_000; number++) {
    const name = names[number % 100] ?? ''
    ledger.send(
      number % 2 ? groupChat(`g${Math.floor(number / 2) % 60}`) : p2p(name, names[(number % 100) + 1] ?? ''),
      name,
    )
  }
  for (let number = 0; number < 60; number++) {
    ledger.recall(groupChat(`g${number % 30}`), 2 + Math.floor(number / 30), 'u1')
    ledger.read(`u${number + 2}`, groupChat(`g${number}`), 5)
  }
  for (let number = 0; number < 100; number++) {
    for (let other = 1; other < 4; other++) ledger.befriend(`u${number}`, `u${number + other}`)
    ledger.ask(`u${number}`, `u${number + 5}`, `request-${number}`)
    ledger.unfriend(`u${number}`, `u${number + 1}`)
  }
  for (let number = 0; number < 100; number++) ledger.readNotifications(`u${number}`, ledger.position)
  for (let number = 0; number < 60; number++) {
    invite(ledger, `g${number}`, names[number] ?? '', names.slice(60))
    for (const name of names.slice(80)) apply(ledger, `g${number}`, name, ['u1'])
  }
  for (let number = 0; number < 60; number++) {
    for (let count = 0; count < 5; count++) announce(ledger, `g${number}`, names[number] ?? '')
  }
  for (let number = 0; number < 60; number++) {
    const room = groupChat(`g${number}`)
    ask(ledger, room, names[number] ?? '')
    for (let other = 2; other < 10; other++) read(ledger, room, ledger.headOf(room).seq, names[number + other] ?? '')
  }
  const discoverableBy = { phone: true, email: true, userName: true, namePrefix: true }
  for (const name of names) ledger.profile(name, { discoverableBy })
  ledger.password('u5', null)
  ledger.dissolve('g1', 'u1')
  return ledger
}

describe.each(databaseKinds)('plans on %s', kind => {
  let opened: TestDatabase
  const calls = new Map<string, Call>()
  beforeAll(async () => {
    opened = await openTestDatabase(kind)
    const database = listening(opened.database, calls)
    await empty(database)
    const ledger = manyEvents()
    await fold(database, ledger.events, [500, 1_000])
    const [id, since] = [user('u2'), ledger.position]
    const [chat, room, group] = [p2p('u2', 'u3'), groupChat('g2'), 'g2' as GroupId]
    const page = { limit: 50 }
    await Promise.all([
      usersByIds(database, [id]),
      usersByNamePrefix(database, 'na', 20),
      ownedGroupIds(database, id),
      ownsMostGroups(database, id),
    ])
    await Promise.all([blocklistOf(database, id, page), blocklistChangesOf(database, id, since)])
    await Promise.all([sessionsOf(database, id), sessionChangesOf(database, id, since)])
    await Promise.all([groupsOf(database, id, page), groupChangesOf(database, id, since), groupOf(database, id, group)])
    await Promise.all([
      groupsCreatedCount(database, id),
      usersInManyGroups(database, [id], 2),
      groupIdsOf(database, id),
    ])
    await Promise.all([membersOf(database, id, group, page), membersOf(database, id, group, { ...page, q: 'u5' })])
    await announcementsOf(database, id, group, page)
    await Promise.all([invitationsOf(database, id, page), invitationChangesOf(database, id, since)])
    await Promise.all([
      applicationsOf(database, id, group, page),
      pendingRequestCounts(database, [id], 'invitation'),
      groupsWithDueRequests(database, ledger.at, 10),
    ])
    await Promise.all([allMembersOf(database, id, group), memberOf(database, id, group, user('u3'))])
    await groupsFound(database, 'gr', page)
    await Promise.all([notificationsOf(database, id, page), notificationChangesOf(database, id, since)])
    await Promise.all([friendsOf(database, id, page), friendChangesOf(database, id, since), friendOf(database, id, id)])
    await Promise.all([friendRequestsOf(database, id, page), friendRequestChangesOf(database, id, since)])
    await Promise.all([friendCounts(database, [id]), relatedTo(database, id)])
    await overdueRequests(database, ledger.at, 10)
    await Promise.all([conversationsOf(database, id, page), conversationsOf(database, id, { ...page, unread: true })])
    await Promise.all([conversationChangesOf(database, id, since), conversationOf(database, id, chat)])
    await Promise.all([unreadOf(database, id), pinnedCount(database, id), messagesFor(database, id, room, [3, 4])])
    for (const state of ['read', 'unread'] as const) await receiptsOf(database, id, room, 3, { ...page, state })
    await Promise.all([historyPage(database, id, room, { ...page, newest: true }), sentMessage(database, id, 'x')])
    await Promise.all([
      historyPage(database, id, room, { ...page, after: 3 }),
      historyPage(database, id, room, { ...page, at: ledger.at }),
      historyPage(database, id, room, { ...page, newest: true, types: ['image', 'text'] }),
      historyPage(database, id, room, { ...page, after: 3, types: ['notification'] }),
    ])
    await Promise.all([syncOf(database, id, null), syncOf(database, id, since)])
    const first = ledger.events.find(({ type }) => type === 'MessageSent') as Recorded<'MessageSent'>
    expect(await deleteOldMessages(database, instantPlusSeconds(first.data.at, 1))).toBe(1)
  })
  afterAll(() => opened.dispose())

  test('go by keys, statement by statement', async () => {
    expect(calls.size).toBeGreaterThan(45)
    const walks: string[] = []
    for (const { statement, parameters } of calls.values()) {
      const values = parameters.length === 0 ? '' : `(${parameters.map(literal).join(', ')})`
      const plan = await opened.database.transaction(async transaction => {
        await transaction.execute(`prepare looked_at as ${statement.text}`)
        const rows = await transaction.query<{ 'QUERY PLAN': string }>({
          name: '',
          text: `explain (costs off) execute looked_at${values}`,
        })
        await transaction.execute('deallocate looked_at')
        return rows.map(row => row['QUERY PLAN'])
      })
      for (const [index, line] of plan.entries()) {
        const isWalk =
          /Seq Scan/.test(line) || (/Index (Only )?Scan/.test(line) && !/Index Cond/.test(plan[index + 1] ?? ''))
        if (isWalk) walks.push(`${statement.name}: ${line.trim()}`)
      }
    }
    expect(walks).toEqual([])
  })
})
