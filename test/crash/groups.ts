// Owns what the driver's people and the app's backend do to groups: add, invite, ask to come in, answer, decide, remove, leave, make
// admins, mute. What was promised is who is in and who is an admin, by the place in the log; the owner's list is asked at the end.
// An owner stays, so that somebody has seen everything.

import { randomUUID } from 'node:crypto'
import { type Api, expectOk } from '../support/device.ts'
import type { Row } from '../support/replica.ts'
import type { Actor, World } from './actor.ts'
import { promise } from './ledger.ts'
import type { Random } from './random.ts'

const mutedMsMax = 3_000
const pageMax = 100

const memberKey = (groupId: string, userId: unknown): string => `member ${groupId} ${userId}`
const adminKey = (groupId: string, userId: unknown): string => `admin ${groupId} ${userId}`
const extensionKey = (groupId: string): string => `extension of the app ${groupId}`

type Deed = (actor: Actor, world: World, random: Random, groupId: string) => Promise<void>

/** Whoever comes in or goes is no admin any more. */
const promiseIn = (
  { ledger }: World,
  groupId: string,
  userIds: readonly unknown[],
  answer: Row,
  isIn: boolean,
): void => {
  for (const userId of userIds) {
    promise(ledger, memberKey(groupId, userId), answer, isIn)
    promise(ledger, adminKey(groupId, userId), answer, false)
  }
}

const other = (actor: Actor, { userIds }: World, random: Random): string =>
  random.pick(userIds.filter(userId => userId !== actor.userId))

const add: Deed = async (actor, world, random, groupId) => {
  const args = { groupId, userIds: [other(actor, world, random)] }
  const answer = random.chance(0.7)
    ? await actor.ask('addMembers', args, randomUUID())
    : await actor.askAsApp('addMembersAsApp', args)
  if ('ok' in answer) promiseIn(world, groupId, answer.ok.added as string[], answer.ok, true)
}

const remove: Deed = async (actor, world, random, groupId) => {
  const userIds = [other(actor, world, random)]
  const answer = random.chance(0.7)
    ? await actor.ask('removeMembers', { groupId, userIds }, randomUUID())
    : await actor.askAsApp('removeMembersAsApp', { groupId, userIds })
  if ('ok' in answer) promiseIn(world, groupId, userIds, answer.ok, false)
}

/** The owner decides who asked first. */
const decide: Deed = async (actor, world, random, groupId) => {
  const asked = await actor.ask('listGroupApplications', { groupId })
  const [first] = 'ok' in asked ? (asked.ok.items as Row[]) : []
  if (first === undefined) return
  const { userId } = first
  const isApproved = random.chance(0.8)
  const op = isApproved ? 'approveGroupApplication' : 'rejectGroupApplication'
  const answer = await actor.ask(op, { groupId, userId }, randomUUID())
  if ('ok' in answer && isApproved) promiseIn(world, groupId, [userId], answer.ok, true)
}

const changeAdmins: Deed = async (actor, world, random, groupId) => {
  const userId = other(actor, world, random)
  const isAdmin = random.chance(0.5)
  const op = isAdmin ? 'addAdmin' : 'removeAdmin'
  const args = { groupId, userId }
  const answer = random.chance(0.7) ? await actor.ask(op, args, randomUUID()) : await actor.askAsApp(`${op}AsApp`, args)
  if ('ok' in answer) promise(world.ledger, adminKey(groupId, userId), answer.ok, isAdmin)
}

/** For a moment: what is muted says nothing, and there would be little to lose. */
const mute: Deed = async (actor, world, random, groupId) => {
  const mutedUntil = new Date(Date.now() + random.between(0, mutedMsMax)).toISOString()
  const args = { groupId, userId: other(actor, world, random), mutedUntil }
  if (random.chance(0.5)) await actor.ask('updateMember', args, randomUUID())
  else await actor.askAsApp('updateMemberAsApp', args)
}

const noteAsApp: Deed = async (actor, { ledger }, random, groupId) => {
  const appExtension = `${actor.name} ${random.between(0, 999_999)}`
  const answer = await actor.askAsApp('updateGroupAsApp', { groupId, appExtension })
  if ('ok' in answer) promise(ledger, extensionKey(groupId), answer.ok, appExtension)
}

const leave: Deed = async (actor, world, _random, groupId) => {
  const answer = await actor.ask('leaveGroup', { groupId }, randomUUID())
  if ('ok' in answer) promiseIn(world, groupId, [actor.userId], answer.ok, false)
}

const accept: Deed = async (actor, world, _random, groupId) => {
  const answer = await actor.ask('acceptGroupInvitation', { groupId }, randomUUID())
  if ('ok' in answer) promise(world.ledger, memberKey(groupId, actor.userId), answer.ok, true)
}

const askToComeIn: Deed = async (actor, world, random, groupId) => {
  const op = random.chance(0.85) ? 'joinGroup' : 'withdrawGroupApplication'
  const answer = await actor.ask(op, { groupId }, randomUUID())
  if ('ok' in answer && answer.ok.state === 'joined') promiseIn(world, groupId, [actor.userId], answer.ok, true)
}

const ownerDeeds: readonly Deed[] = [add, add, add, remove, remove, decide, decide, changeAdmins, mute, noteAsApp]
const otherDeeds: readonly Deed[] = [leave, accept, accept, askToComeIn, askToComeIn, askToComeIn]

/** One thing of these, to any of the driver's groups. */
export const doToGroups = async (actor: Actor, world: World, random: Random): Promise<void> => {
  const [groupId, owner] = random.pick([...world.owners])
  await random.pick(owner === actor.userId ? ownerDeeds : otherDeeds)(actor, world, random, groupId)
}

/** What the owner sees now of what was promised about the group. */
export const seenOfGroup = async (
  api: Api,
  token: string,
  groupId: string,
  world: World,
): Promise<[string, unknown][]> => {
  const { appExtension } = expectOk(await api('GET', `/v1/groups/${groupId}`, { token }))
  const page = expectOk(await api('GET', `/v1/groups/${groupId}/members?limit=${pageMax}`, { token }))
  const roles = new Map((page.items as Row[]).map(({ userId, role }) => [userId, role]))
  return [
    [extensionKey(groupId), appExtension],
    ...world.userIds.flatMap((userId): [string, unknown][] => [
      [memberKey(groupId, userId), roles.has(userId)],
      [adminKey(groupId, userId), roles.get(userId) === 'admin'],
    ]),
  ]
}
