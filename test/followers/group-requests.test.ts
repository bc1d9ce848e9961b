// What becomes of a group's requests by themselves: invitations and applications that nobody answered in time.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type GroupCommand, group } from '../../domain/group/group.ts'
import { type GroupId, type Position, streamOf, type UserId } from '../../domain/ids.ts'
import { openEmbeddedStore } from '../../eventstore/embedded.ts'
import type { EventStore } from '../../eventstore/port.ts'
import { groupRequestExpiry } from '../../followers/group-requests.ts'
import { applicationsOf, invitationsOf } from '../../projections/group-request.ts'
import { type Runner, startRunner } from '../../projections/runner.ts'
import { openTestDatabase, silentLogger, type TestDatabase } from '../support/read-models.ts'
import { type HandClock, handClock, startTestNode, type TestNode } from '../support/test-node.ts'

const [ann, bob, cid] = ['ann', 'bob', 'cid'] as unknown as [UserId, UserId, UserId]
const groupId = 'g1' as GroupId
const week = 7 * 86_400_000
const page = { limit: 10 }

let dataDir: string
let store: EventStore
let opened: TestDatabase
let runner: Runner
let clock: HandClock
let node: TestNode
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'group-requests-'))
  store = await openEmbeddedStore({ dataDir, logger: silentLogger })
  opened = await openTestDatabase('pglite')
  runner = await startRunner({ store, database: opened.database, logger: silentLogger })
  clock = handClock()
  node = await startTestNode(store, { clock })
})
afterEach(async () => {
  await node.close()
  await runner.stop()
  await opened.dispose()
  await store.close()
  await rm(dataDir, { recursive: true, force: true })
})

const run = (command: Partial<GroupCommand> & { type: string }, id = groupId) =>
  node.handle(group, streamOf.group(id), { at: clock.now(), requestId: 'r', ...command } as never, {
    facts: { groupsCreated: 0 },
  })
const create = (id = groupId) => run({ type: 'CreateGroup', groupId: id, name: 'G', memberIds: [bob], by: ann }, id)
const readable = async () => expect(await runner.passed(await store.head(), 10_000)).toBe(true)
const passed = (position: Position, ms: number) => runner.passed(position, ms)
const job = (by: TestNode = node) => groupRequestExpiry(by, opened.database, passed)
const typesOf = async () => {
  const events = await store.read(streamOf.group(groupId), { from: 0, direction: 'forwards', limit: 100 })
  return events.map(({ type }) => type)
}

test('they expire once their time is over, and only those whose time it is', async () => {
  await create()
  clock.advance(1_000)
  await run({ type: 'JoinGroup', blockedBy: [], isFriendOfOwner: false, by: cid })
  await readable()
  expect(await job().run()).toBe(0)
  clock.advance(week - 1_000)
  expect(await job().run()).toBe(1)
  await readable()
  expect((await invitationsOf(opened.database, bob, page)).items).toEqual([])
  expect((await applicationsOf(opened.database, ann, groupId, page))?.page.items).toHaveLength(1)
  clock.advance(1_000)
  expect(await job().run()).toBe(1)
  await readable()
  expect((await applicationsOf(opened.database, ann, groupId, page))?.page.items).toEqual([])
  expect(await job().run()).toBe(0)
  expect(await typesOf()).toEqual([
    'GroupCreated',
    'MembersInvited',
    'ApplicationMade',
    'InvitationsExpired',
    'ApplicationsExpired',
  ])
})

test('two servers at once say so once', async () => {
  await create()
  await readable()
  clock.advance(week)
  const other = await startTestNode(store, { clock })
  await Promise.all([job().run(), job(other).run()])
  await other.close()
  expect(await typesOf()).toEqual(['GroupCreated', 'MembersInvited', 'InvitationsExpired'])
})

test('those of many groups expire slice by slice', async () => {
  await Promise.all(Array.from({ length: 250 }, (_, index) => create(`g${index}` as GroupId)))
  await readable()
  clock.advance(week)
  expect(await job().run()).toBe(250)
  await readable()
  expect(await job().run()).toBe(0)
})
