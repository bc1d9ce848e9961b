// Owns what the driver's people do beside writing and changing groups: they sign others up, change their profile and their user
// name, make friends and part, and owners name their groups and announce. The app's backend bans one and lets them in again.
// What was promised is the newest value by its place in the log; the checks at the end ask for it again.

import { randomUUID } from 'node:crypto'
import { type Api, expectOk, signIn, testPassword } from '../support/device.ts'
import type { Row } from '../support/replica.ts'
import type { Actor, World } from './actor.ts'
import { seenOfGroup } from './groups.ts'
import { promise, promisesOf } from './ledger.ts'
import type { Random } from './random.ts'

/** Each costs a hash of a password. */
const signUpsMax = 30

const accountPrefix = 'account '
const userNameKey = (userId: string): string => `user name ${userId}`
const banKey = (userId: string): string => `ban ${userId}`
const signatureKey = (userId: string): string => `signature ${userId}`
const friendsKey = (one: string, other: string): string => `friends ${[one, other].toSorted().join(' ')}`
const nameKey = (groupId: string): string => `name ${groupId}`
const announcementKey = (groupId: string): string => `announcement ${groupId}`

const changeProfile = async (actor: Actor, { ledger }: World, random: Random): Promise<void> => {
  const signature = `${actor.name} ${random.between(0, 999_999)}`
  const answer = await actor.ask('updateOwnUser', { signature }, randomUUID())
  if ('ok' in answer) promise(ledger, signatureKey(actor.userId), answer.ok, signature)
}

/** Two appends, with a crash between them now and then: the claim, and the account that lists it. */
const changeUserName = async (actor: Actor, { ledger }: World, random: Random): Promise<void> => {
  const value = `${actor.name.replace('/', '.')}.${random.between(0, 99_999)}`
  const answer = await actor.askOverHttp('bindIdentity', { kind: 'userName', value })
  if ('ok' in answer) promise(ledger, userNameKey(actor.userId), answer.ok, value)
}

/** The same the other way round: the account, and the claim. */
const signSomebodyUp = async (actor: Actor, { ledger }: World, random: Random): Promise<void> => {
  if ([...ledger.promised.keys()].filter(key => key.startsWith(accountPrefix)).length >= signUpsMax) return
  const userName = `new.${actor.name.replace('/', '.')}.${random.between(0, 99_999)}`
  const args = { userName, password: testPassword, name: userName }
  const answer = await actor.askOverHttp('createAccount', args)
  if ('ok' in answer) promise(ledger, `${accountPrefix}${userName}`, answer.ok, answer.ok.userId)
}

const ban = async (actor: Actor, { ledger, bannedId }: World, random: Random): Promise<void> => {
  const isBanned = random.chance(0.5)
  const args = { userId: bannedId, ...(isBanned ? { until: null } : undefined) }
  const answer = await actor.askAsApp(isBanned ? 'adminBanAccount' : 'adminUnbanAccount', args)
  if ('ok' in answer) promise(ledger, banKey(bannedId), answer.ok, isBanned)
}

/** Asks, answers, or parts; two who ask each other are friends at once. */
const befriend = async (actor: Actor, { ledger, userIds }: World, random: Random): Promise<void> => {
  const userId = random.pick(userIds.filter(other => other !== actor.userId))
  const key = friendsKey(actor.userId, userId)
  const what = random.next()
  if (what < 0.5) {
    const answer = await actor.ask('requestFriend', { userId }, randomUUID())
    if ('ok' in answer) promise(ledger, key, answer.ok, answer.ok.state === 'friends')
  } else if (what < 0.8) {
    const answer = await actor.ask('acceptFriendRequest', { userId }, randomUUID())
    if ('ok' in answer) promise(ledger, key, answer.ok, true)
  } else {
    const answer = await actor.ask('deleteFriend', { userId }, randomUUID())
    if ('ok' in answer) promise(ledger, key, answer.ok, false)
  }
}

const nameOrAnnounce = async (actor: Actor, { ledger, owners }: World, random: Random): Promise<void> => {
  const own = [...owners].flatMap(([groupId, owner]) => (owner === actor.userId ? [groupId] : []))
  if (own.length === 0) return
  const groupId = random.pick(own)
  const text = `${actor.name} ${random.between(0, 999_999)}`
  if (random.chance(0.5)) {
    const answer = await actor.ask('updateGroup', { groupId, name: text }, randomUUID())
    if ('ok' in answer) promise(ledger, nameKey(groupId), answer.ok, text)
  } else {
    const answer = await actor.ask('publishAnnouncement', { groupId, text, popup: random.chance(0.5) }, randomUUID())
    if ('ok' in answer) promise(ledger, announcementKey(groupId), answer.ok, text)
  }
}

const deeds = [
  changeProfile,
  changeUserName,
  signSomebodyUp,
  ban,
  befriend,
  befriend,
  befriend,
  nameOrAnnounce,
  nameOrAnnounce,
] as const

/** One thing of these. */
export const doAmongPeople = (actor: Actor, world: World, random: Random): Promise<void> =>
  random.pick(deeds)(actor, world, random)

const itemsOf = async (api: Api, token: string, path: string): Promise<readonly Row[]> =>
  expectOk(await api('GET', path, { token })).items

/** What the API says now of everything promised to or by this user. */
const seenBy = async (api: Api, actor: Actor, world: World): Promise<ReadonlyMap<string, unknown>> => {
  const token = await actor.token()
  const { userId } = actor
  const friends = new Set((await itemsOf(api, token, '/v1/friends?limit=100')).map(row => row.userId))
  const seen = new Map<string, unknown>()
  const own = expectOk(await api('GET', '/v1/users/me', { token }))
  seen.set(signatureKey(userId), own.signature)
  seen.set(userNameKey(userId), own.userName)
  for (const other of world.userIds) if (other !== userId) seen.set(friendsKey(userId, other), friends.has(other))
  for (const [groupId, owner] of world.owners) {
    if (owner !== userId) continue
    seen.set(nameKey(groupId), expectOk(await api('GET', `/v1/groups/${groupId}`, { token })).name)
    const [newest] = await itemsOf(api, token, `/v1/groups/${groupId}/announcements?limit=1`)
    seen.set(announcementKey(groupId), newest?.text)
    for (const [key, value] of await seenOfGroup(api, token, groupId, world)) seen.set(key, value)
  }
  return seen
}

/** Those who signed up, by signing in, and who is banned. */
const seenByApp = async (
  api: Api,
  { httpUrl, ledger, adminKey, bannedId }: World,
): Promise<ReadonlyMap<string, unknown>> => {
  const { ban: found } = expectOk(await api('GET', `/v1/admin/accounts/${bannedId}`, { token: adminKey }))
  const seen = new Map<string, unknown>([[banKey(bannedId), found !== null]])
  for (const [key] of promisesOf(ledger)) {
    if (!key.startsWith(accountPrefix)) continue
    const { userId } = await signIn(httpUrl, key.slice(accountPrefix.length))
    seen.set(key, userId)
  }
  return seen
}

/** What was promised of people and groups and is not so; both sides of a friendship are asked. */
export const brokenPromises = async (api: Api, actors: readonly Actor[], world: World): Promise<string[]> => {
  const failures: string[] = []
  const compare = (who: string, seen: ReadonlyMap<string, unknown>) => {
    for (const [key, value] of promisesOf(world.ledger)) {
      if (seen.has(key) && seen.get(key) !== value)
        failures.push(`${who}: ${key}: promised ${value}, is ${seen.get(key)}`)
    }
  }
  for (const actor of actors) compare(actor.name, await seenBy(api, actor, world))
  compare('the app', await seenByApp(api, world))
  return failures
}
