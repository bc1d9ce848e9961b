// Owns the people of the authorisation tests, one for each way of standing to a group and to a person, and the group they meet
// in. What one of them may do stands in authorisation-table.ts.

import { groupConversationId, p2pConversationId } from '../../domain/ids.ts'
import { expectOk, type SignedIn } from '../support/device.ts'
import { whenReadable, whenToldOf } from '../support/quiet.ts'
import type { Person, TestService } from '../support/service.ts'

/** How one stands to the group, and to its member. */
export const personas = [
  'owner',
  'admin',
  'member',
  /** Was kicked after the early message. */
  'exMember',
  'stranger',
  /** Was asked into the group, and has not answered. */
  'invited',
  /** Asked to be let in, and nobody has decided. */
  'applicant',
  /** A stranger whom the owner and the member block. */
  'blocked',
  'anonymous',
  /** The app's own backend, by an admin key. */
  'backend',
  /** A device of the member that was signed out. */
  'ended',
  /** Whom the app's backend has banned, on the device they had. */
  'banned',
] as const
export type Persona = (typeof personas)[number]

const signedIn = ['owner', 'admin', 'member', 'exMember', 'stranger', 'invited', 'applicant', 'blocked'] as const
export type SignedInPersona = (typeof signedIn)[number]

export const isSignedIn = (persona: Persona): persona is SignedInPersona =>
  (signedIn as readonly string[]).includes(persona)

/** A group with everybody in place, as it is before a call. */
export interface Stage {
  readonly people: Readonly<Record<SignedInPersona, Person>>
  /** Also in the group: a plain member and an admin, to be acted on. */
  readonly other: Person
  readonly secondAdmin: Person
  /** Outside of everything, with a device that is signed in. */
  readonly guest: Person
  readonly groupId: string
  readonly conversationId: string
  /** A pop-up of the owner. */
  readonly announcementId: string
  /** Of the owner and the member. */
  readonly p2p: string
  /** Messages of the member: before and after the ex-member left, and to the owner. */
  readonly earlySeq: number
  readonly lateSeq: number
  readonly p2pSeq: number
  /** As the early one, and asks for receipts. */
  readonly askingSeq: number
}

export interface Theatre {
  readonly people: Stage['people']
  readonly ended: SignedIn
  tokenOf(persona: Persona): string | undefined
  /** A new group with everybody in place. */
  stage(options?: { readonly everyoneInvites: boolean }): Promise<Stage>
  /** A session of its own for one call that ends it. */
  freshSession(persona: SignedInPersona): Promise<SignedIn>
}

export const between = (one: Person, other: Person): string =>
  p2pConversationId(one.userId as never, other.userId as never)

const ask = async (service: TestService, who: Person, method: string, path: string, body?: object) =>
  expectOk(await service.api(method, path, { token: who.token, body }))

let number = 0
const say = async (service: TestService, who: Person, conversationId: string, more = {}): Promise<number> => {
  const body = { clientMessageId: `said-${++number}`, type: 'text', body: { text: 'a word' }, ...more }
  const path = `/v1/conversations/${encodeURIComponent(conversationId)}/messages`
  return (await ask(service, who, 'POST', path, body)).seq
}

type Others = Pick<Stage, 'other' | 'secondAdmin' | 'guest'>

const setStage = async (service: TestService, people: Stage['people'], others: Others, inviteMode: string) => {
  const { owner, admin, member, exMember } = people
  const { other, secondAdmin } = others
  const memberIds = [admin, member, exMember, other, secondAdmin].map(({ userId }) => userId)
  const { groupId } = await ask(service, owner, 'POST', '/v1/groups', {
    name: 'A group',
    memberIds,
    inviteMode,
    inviteeConsent: 'required',
    memberLimit: 100,
  })
  const path = `/v1/groups/${groupId}`
  const accepted = [admin, member, exMember, other, secondAdmin].map(who =>
    ask(service, who, 'POST', `/v1/group-invitations/${groupId}/accept`),
  )
  await Promise.all(accepted)
  await ask(service, owner, 'POST', `${path}/members`, { userIds: [people.invited.userId] })
  await ask(service, people.applicant, 'POST', `${path}/join`, {})
  const popup = { text: 'Welcome.', popup: true }
  const { announcementId } = await ask(service, owner, 'POST', `${path}/announcements`, popup)
  for (const { userId } of [admin, secondAdmin]) await ask(service, owner, 'PUT', `${path}/admins/${userId}`)
  const conversationId = groupConversationId(groupId)
  const earlySeq = await say(service, member, conversationId)
  const askingSeq = await say(service, member, conversationId, { receipt: true })
  const kick = await ask(service, owner, 'POST', `${path}/members/remove`, { userIds: [exMember.userId] })
  const lateSeq = await say(service, member, conversationId)
  const p2p = between(owner, member)
  const p2pSeq = await say(service, member, p2p)
  const told = await whenToldOf(service.store, kick.position)
  await whenReadable(service.api, owner.token, told)
  return { people, ...others, groupId, conversationId, announcementId, p2p, earlySeq, lateSeq, p2pSeq, askingSeq }
}

export const openTheatre = async (service: TestService): Promise<Theatre> => {
  const made = await Promise.all(signedIn.map(async name => [name, await service.person(name)] as const))
  const people = Object.fromEntries(made) as unknown as Stage['people']
  const [other, secondAdmin, guest] = (await service.people('other', 'secondAdmin', 'guest')) as [
    Person,
    Person,
    Person,
  ]
  for (const who of [people.owner, people.member]) {
    await ask(service, who, 'PUT', `/v1/blocklist/${people.blocked.userId}`)
  }
  const ended = await service.signIn(people.member, 'ended')
  await ask(service, people.member, 'DELETE', `/v1/sessions/${ended.sessionId}`)
  const adminKey = await service.adminKey()
  const banned = await service.person('banned')
  const ban = `/v1/admin/accounts/${banned.userId}/ban`
  expectOk(await service.api('PUT', ban, { token: adminKey, body: { until: null, reason: 'Spam' } }))
  let last: Stage | undefined
  return {
    people,
    ended,
    tokenOf: persona => {
      if (persona === 'anonymous') return undefined
      if (persona === 'backend') return adminKey
      if (persona === 'banned') return banned.token
      return persona === 'ended' ? ended.accessToken : people[persona].token
    },
    stage: async ({ everyoneInvites } = { everyoneInvites: false }) => {
      // A user may have only so many groups. It may be gone already, or another's.
      if (last !== undefined) await service.api('DELETE', `/v1/groups/${last.groupId}`, { token: people.owner.token })
      const inviteMode = everyoneInvites ? 'everyone' : 'managers'
      last = await setStage(service, people, { other, secondAdmin, guest }, inviteMode)
      return last
    },
    freshSession: persona => service.signIn(people[persona], 'fresh'),
  }
}
