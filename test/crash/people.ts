// Owns what the driver's people do beside writing: they change their profile, make friends and part, and owners name their groups
// and announce. What was promised is the newest value by its place in the log; the checks at the end ask for it again.

import { randomUUID } from 'node:crypto'
import { type Api, expectOk } from '../support/device.ts'
import type { Row } from '../support/replica.ts'
import type { Actor, World } from './actor.ts'
import type { Ledger } from './ledger.ts'
import type { Random } from './random.ts'

/** Of each thing the value that was acknowledged at the highest position. */
export type Promised = Map<string, { readonly position: string; readonly value: unknown }>

const signatureKey = (userId: string): string => `signature ${userId}`
const friendsKey = (one: string, other: string): string => `friends ${[one, other].toSorted().join(' ')}`
const nameKey = (groupId: string): string => `name ${groupId}`
const announcementKey = (groupId: string): string => `announcement ${groupId}`

const promise = ({ promised }: Ledger, key: string, { position }: Row, value: unknown): void => {
  const known = promised.get(key)
  if (known === undefined || known.position <= String(position))
    promised.set(key, { position: String(position), value })
}

const changeProfile = async (actor: Actor, { ledger }: World, random: Random): Promise<void> => {
  const signature = `${actor.name} ${random.between(0, 999_999)}`
  const answer = await actor.ask('updateOwnUser', { signature }, randomUUID())
  if ('ok' in answer) promise(ledger, signatureKey(actor.userId), answer.ok, signature)
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

const deeds = [changeProfile, befriend, befriend, nameOrAnnounce] as const

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
  seen.set(signatureKey(userId), expectOk(await api('GET', '/v1/users/me', { token })).signature)
  for (const other of world.userIds) if (other !== userId) seen.set(friendsKey(userId, other), friends.has(other))
  for (const [groupId, owner] of world.owners) {
    if (owner !== userId) continue
    seen.set(nameKey(groupId), expectOk(await api('GET', `/v1/groups/${groupId}`, { token })).name)
    const [newest] = await itemsOf(api, token, `/v1/groups/${groupId}/announcements?limit=1`)
    seen.set(announcementKey(groupId), newest?.text)
  }
  return seen
}

/** What was promised of people and groups and is not so; both sides of a friendship are asked. */
export const brokenPromises = async (api: Api, actors: readonly Actor[], world: World): Promise<string[]> => {
  const failures: string[] = []
  for (const actor of actors) {
    const seen = await seenBy(api, actor, world)
    for (const [key, { value }] of world.ledger.promised) {
      if (seen.has(key) && seen.get(key) !== value)
        failures.push(`${actor.name}: ${key}: promised ${value}, is ${seen.get(key)}`)
    }
  }
  return failures
}
