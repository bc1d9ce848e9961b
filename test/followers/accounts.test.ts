// What follows from what happens to an account: identities are freed, groups left, and nothing is freed that was taken back.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { account } from '../../domain/account/account.ts'
import { group } from '../../domain/group/group.ts'
import { type IdentityState, identity } from '../../domain/identity/identity.ts'
import { type GroupId, type Instant, streamOf, type UserId } from '../../domain/ids.ts'
import { instantPlusSeconds } from '../../domain/instants.ts'
import { accountsFollower } from '../../followers/accounts.ts'
import { type RunningFollower, startFollower } from '../../followers/runner.ts'
import { openTestLog, type TestLog } from '../support/faulty-store.ts'
import { type HandClock, handClock, openAccount, startTestNode, type TestNode, whenTrue } from '../support/test-node.ts'

const [ann, bob, cid] = ['ann', 'bob', 'cid'] as unknown as [UserId, UserId, UserId]
const groupId = 'g1' as GroupId

let log: TestLog
let clock: HandClock
let node: TestNode
let follower: RunningFollower | undefined
let errors: unknown[]
/** Of which the read models know, and what was asked to end. */
let groupIds: readonly GroupId[]
let ended: UserId[]
let folded: () => Promise<void>

beforeEach(async () => {
  log = await openTestLog()
  clock = handClock()
  errors = []
  groupIds = []
  ended = []
  folded = async () => {}
  node = await startTestNode(log.store, { clock, delay: async () => {} })
  await openAccount(node, ann)
})
afterEach(async () => {
  await follower?.stop()
  follower = undefined
  await node.close()
  expect(node.errors).toEqual([])
  await log.dispose()
})

const dependencies = () => ({
  node,
  folded: () => folded(),
  groupIdsOf: async () => groupIds,
  endFriendships: async (userId: UserId) => void ended.push(userId),
})
const follow = () => {
  follower = startFollower(node, accountsFollower(dependencies()), error => errors.push(error))
}
const done = async () => {
  const head = await log.store.head()
  await whenTrue(() => (follower?.counters.position ?? '') >= head)
}
const claimOf = async (hmac: string): Promise<IdentityState> =>
  (await node.load(identity, streamOf.identity(hmac))).state
const claim = (hmac: string, at: Instant = clock.now(), isListed = false) =>
  node.handle(
    identity,
    streamOf.identity(hmac),
    { type: 'ClaimIdentity', kind: 'userName', userId: ann, at },
    { facts: { holder: ann, isListed, changedAt: null } },
  )
const bind = async (hmac: string, at: Instant = clock.now()) => {
  await claim(hmac, at)
  const command = { type: 'BindIdentity', identity: { kind: 'userName', hmac }, value: hmac, at } as const
  await node.handle(account, streamOf.account(ann), command, { facts: undefined })
}
const close = () =>
  node.handle(
    account,
    streamOf.account(ann),
    { type: 'CloseAccount', at: clock.now() },
    { facts: { ownedGroupIds: [] } },
  )
const makeGroup = (ownerId: UserId, memberIds: readonly UserId[], inviteeConsent = 'none') =>
  node.handle(
    group,
    streamOf.group(groupId),
    {
      type: 'CreateGroup',
      groupId,
      name: 'G',
      memberIds,
      inviteeConsent,
      by: ownerId,
      at: clock.now(),
    } as never,
    { facts: { groupsCreated: 0 } },
  )
const groupState = async () => {
  const { state } = await node.load(group, streamOf.group(groupId))
  if (state.status === 'none') throw new Error('there is no group')
  return state
}

test('what an account no longer signs in by is freed, what it signs in by stays', async () => {
  follow()
  await bind('second')
  await done()
  expect((await claimOf('hmac-ann')).claimedBy).toBeNull()
  expect((await claimOf('second')).claimedBy).toBe(ann)
})

test('what was taken back before the follower came is not freed', async () => {
  await bind('second')
  // As the operation does it: later than the change that let go of it, whatever the clock says.
  await bind('hmac-ann', instantPlusSeconds(clock.now(), 0.001))
  follow()
  await done()
  expect((await claimOf('hmac-ann')).claimedBy).toBe(ann)
  expect((await claimOf('second')).claimedBy).toBeNull()
})

test('all over again changes nothing: another may have it meanwhile', async () => {
  follow()
  await bind('second')
  await done()
  const other = { type: 'ClaimIdentity', kind: 'userName', userId: bob, at: clock.now() } as const
  await node.handle(identity, streamOf.identity('hmac-ann'), other, { facts: undefined })
  await follower?.stop()
  await accountsFollower(dependencies()).react(
    await log.store.readAll({ from: 'start', direction: 'forwards', limit: 100 }),
  )
  expect((await claimOf('hmac-ann')).claimedBy).toBe(bob)
})

test('a closed account frees everything, leaves its groups and has no friends', async () => {
  follow()
  await bind('second')
  await makeGroup(bob, [ann, cid])
  groupIds = [groupId]
  await close()
  await done()
  expect((await claimOf('second')).claimedBy).toBeNull()
  expect([...(await groupState()).members.keys()]).toEqual([bob, cid])
  expect(ended).toContain(ann)
})

test('a group that was made in the moment of closing goes to its admin, or is dissolved when nobody else is in it', async () => {
  await makeGroup(ann, [bob, cid])
  const admin = { type: 'AddAdmin', userId: cid, by: ann, at: clock.now() } as const
  await node.handle(group, streamOf.group(groupId), admin, { facts: undefined })
  groupIds = [groupId]
  await close()
  follow()
  await done()
  const state = await groupState()
  expect([state.ownerId, [...state.members.keys()].toSorted()]).toEqual([cid, [bob, cid]])
})

test('one alone in a group takes it along', async () => {
  await makeGroup(ann, [])
  groupIds = [groupId]
  await close()
  follow()
  await done()
  expect((await groupState()).dissolvedAt).not.toBeNull()
})

const requestOf = (type: 'AddMembers' | 'JoinGroup', userId: UserId, by: UserId) =>
  node.handle(
    group,
    streamOf.group(groupId),
    {
      type,
      userIds: [userId],
      requestId: `of ${type}`,
      blockedBy: [],
      isFriendOfOwner: false,
      by,
      at: clock.now(),
    } as never,
    { facts: undefined },
  )

test('whoever closed the account is asked into no group and asks for none any more (R20, R22)', async () => {
  await makeGroup(bob, [], 'required')
  await requestOf('AddMembers', ann, bob)
  await requestOf('JoinGroup', ann, ann)
  await requestOf('JoinGroup', cid, cid)
  groupIds = [groupId]
  await close()
  follow()
  await done()
  const { invitations, applications, members } = await groupState()
  expect([[...invitations.keys()], [...applications.keys()], [...members.keys()]]).toEqual([[], [cid], [bob]])
})

/** What a group decided by facts that were older than the closing; the read models never told of it. */
const later: Readonly<Record<string, () => Promise<unknown>>> = {
  'makes a group': () => makeGroup(ann, []),
  'makes a group that others are in': () => makeGroup(ann, [bob, cid]),
  'is in a group that was made': () => makeGroup(bob, [ann]),
  'was added': async () => {
    await makeGroup(bob, [])
    await requestOf('AddMembers', ann, bob)
  },
  'was asked in': async () => {
    await makeGroup(bob, [], 'required')
    await requestOf('AddMembers', ann, bob)
  },
  'asked to be let in': async () => {
    await makeGroup(bob, [], 'required')
    await requestOf('JoinGroup', ann, ann)
  },
  'asked, and was let in': async () => {
    await makeGroup(bob, [], 'required')
    await requestOf('JoinGroup', ann, ann)
    const approval = { type: 'ApproveApplication', userId: ann, by: bob, at: clock.now() } as const
    await node.handle(group, streamOf.group(groupId), approval, { facts: undefined })
  },
}

test.each(Object.entries(later))('one who %s after closing the account does not stay', async (_what, happens) => {
  await close()
  await happens()
  follow()
  await done()
  const state = await groupState()
  const here = [...(state.status === 'open' ? state.members.keys() : []), ...state.invitations.keys()]
  expect([...here, ...state.applications.keys()]).not.toContain(ann)
  // All over again nothing is left to do.
  await follower?.stop()
  const before = await log.store.head()
  const events = await log.store.readAll({ from: 'start', direction: 'forwards', limit: 100 })
  await accountsFollower(dependencies()).react(events)
  expect(await log.store.head()).toBe(before)
})

test('what breaks off is done again until it is done', async () => {
  await makeGroup(bob, [ann])
  groupIds = [groupId]
  let tries = 0
  folded = async () => {
    if (++tries < 3) throw new Error('the read models are behind')
  }
  await close()
  follow()
  await done()
  expect([tries, follower?.counters.failures]).toEqual([3, 2])
  expect([...(await groupState()).members.keys()]).toEqual([bob])
})
