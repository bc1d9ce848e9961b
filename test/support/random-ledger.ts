// Owns random valid logs: any list of small numbers becomes a log that the product could have written. Also owns the plain
// count over such a log that unread, visibility and lists are held against: slow, obvious, and without any shared code.

import fc from 'fast-check'
import type { ProfileChanges } from '../../domain/account/profile.ts'
import type { ConversationId, Instant, UserId } from '../../domain/ids.ts'
import type { RecordedEvent } from '../../eventstore/port.ts'
import { announce, announcedIn, see, unannounce } from './announcement-ledger.ts'
import { groupChat, Ledger, p2p, partiesOf, user } from './ledger.ts'
import { ban, bind, close } from './ledger-accounts.ts'
import { sampleOf, sentTypes } from './message-samples.ts'
import { ask, read } from './receipt-ledger.ts'
import { quietTypes } from './replica.ts'
import { apply, endApplication, endInvitation, invite } from './request-ledger.ts'

const names = ['ada', 'bob', 'cid', 'dan', 'eve']
const groups = ['g1', 'g2']
const conversations: readonly ConversationId[] = [
  p2p('ada', 'bob'),
  p2p('ada', 'cid'),
  p2p('bob', 'eve'),
  ...groups.map(groupChat),
]
export const people: readonly UserId[] = names.map(user)
export const chats = conversations

/** One step of a random log: what to do, and three numbers to choose with. */
export type Step = readonly [what: number, one: number, two: number, three: number]

const pick = <Value>(values: readonly Value[], number: number): Value => values[number % values.length] as Value

const knownTo = (ledger: Ledger, conversationId: ConversationId): readonly UserId[] =>
  conversationId.startsWith('group:') ? [...ledger.membersOf(conversationId.slice(6))] : partiesOf(conversationId)

const send = (ledger: Ledger, conversationId: ConversationId, one: number, three: number) => {
  const senders = knownTo(ledger, conversationId)
  // Now and then a message of one who was just kicked lands.
  const from = three % 17 === 0 && conversationId.startsWith('group:') ? pick(people, one) : pick(senders, one)
  if (from === undefined) return
  const ext = three % 5 === 0 ? { ext: '{"a":1}' } : {}
  const content = one % 2 === 0 ? {} : { content: sampleOf(pick(sentTypes, three), `${three} words`) }
  const options = { ...content, ...ext }
  if (conversationId.startsWith('group:') && three % 3 === 0) ask(ledger, conversationId, from, options)
  else ledger.send(conversationId, from, options)
}

const recallOne = (ledger: Ledger, conversationId: ConversationId, one: number) => {
  const seq = (one % Math.max(1, ledger.headOf(conversationId).seq)) + 1
  const isSaid = ledger.events.some(
    ({ type, data }) =>
      type === 'MessageSent' &&
      (data as { conversationId: string }).conversationId === conversationId &&
      (data as { seq: number }).seq === seq &&
      (data as { type: string }).type !== 'notification',
  )
  const isRecalled = ledger.events.some(
    ({ type, stream }) => type === 'MessageRecalled' && stream === `message-${conversationId}.${seq}`,
  )
  if (isSaid && !isRecalled) ledger.recall(conversationId, seq, 'ada', one % 2 === 0 ? 'why' : undefined)
}

const readSome = (ledger: Ledger, conversationId: ConversationId, one: number, two: number) => {
  const { seq: last } = ledger.headOf(conversationId)
  for (let seq = last; seq > Math.max(0, last - (two % 4)); seq--) read(ledger, conversationId, seq, pick(names, one))
}

const mark = (ledger: Ledger, conversationId: ConversationId, one: number, two: number, three: number) => {
  const name = pick(names, one)
  if (conversationId.startsWith('p2p:') && !partiesOf(conversationId).includes(user(name))) return
  const { seq } = ledger.headOf(conversationId)
  const before = ledger.marksOf(name, conversationId)
  switch (two % 7) {
    case 0:
    case 1:
      if (seq > 0) ledger.read(name, conversationId, Math.max(before.readSeq, three % (seq + 1)))
      break
    case 2:
      ledger.pin(name, conversationId)
      break
    case 3:
      ledger.unpin(name, conversationId)
      break
    case 4:
      ledger.clear(name, conversationId)
      break
    case 5:
      ledger.remove(name, conversationId)
      break
    case 6:
      ledger.mark(name, conversationId, 'ConversationReminderSet', {
        reminder: three % 2 ? 'none' : 'admins',
        doNotDisturb: three % 3 === 0,
      })
      break
  }
}

/** What changes who is in it for nobody. */
const setGroup = (ledger: Ledger, groupId: string, name: string, two: number) => {
  const deeds: readonly (() => unknown)[] = [
    () => ledger.update(groupId, 'ada', { name: `Named ${two}`, searchable: two % 2 === 0 }),
    () => ledger.update(groupId, 'ada', { joinMode: 'free', historyBeforeJoin: two % 2 === 0 }),
    () => ledger.muteAll(groupId, 'ada', two % 2 ? 'members' : 'none'),
    () => ledger.mute(groupId, 'ada', name, two % 2 ? 'forever' : ledger.at),
    () => ledger.mute(groupId, 'ada', name, null),
    () => ledger.memberProfile(groupId, name, { nickname: `Nick ${two}`, followedIds: [user('ada')] }),
    () => ledger.memberProfile(groupId, name, { nickname: 'of before' }, '2020-01-01T00:00:00.000Z' as Instant),
  ]
  pick(deeds, two)()
}

const announcement = (ledger: Ledger, groupId: string, name: string, number: number) => {
  const announced = announcedIn(ledger, groupId)
  switch (number % 4) {
    case 0:
      announce(ledger, groupId, number % 8 ? name : 'ada', number % 3 > 0)
      break
    case 1:
      announce(ledger, groupId, 'ada')
      break
    case 2:
      unannounce(ledger, groupId, (number % (announced + 1)) + 1)
      break
    case 3:
      see(ledger, groupId, name, number % (announced + 1))
      break
  }
}

const request = (ledger: Ledger, groupId: string, name: string, number: number) => {
  const told = number % 2 ? ['ada'] : ['ada', 'bob']
  const member = number % 5 < 2 ? 'cid' : undefined
  const invited = ['InvitationAccepted', 'InvitationRejected', 'InvitationRecalled', 'InvitationsExpired'] as const
  const applied = ['ApplicationApproved', 'ApplicationRejected', 'ApplicationWithdrawn', 'ApplicationsExpired'] as const
  switch (number % 4) {
    case 0:
      invite(ledger, groupId, 'ada', number % 8 ? [name] : [name, 'bob'], number % 3 ? 'come' : undefined)
      break
    case 1:
      endInvitation(ledger, groupId, name, pick(invited, number >> 2))
      break
    case 2:
      apply(ledger, groupId, name, told, number % 3 ? 'please' : undefined, member)
      break
    case 3:
      endApplication(ledger, groupId, name, told, pick(applied, number >> 2), member)
      break
  }
}

const changeGroup = (ledger: Ledger, one: number, two: number, three: number, ended: Set<string>) => {
  const groupId = pick(groups, one)
  const name = pick(names.slice(1), two)
  if (ended.has(groupId)) return
  if (ledger.membersOf(groupId).size === 0) return void ledger.group(groupId, 'ada', three % 2 ? ['bob', 'cid'] : [])
  const isMember = ledger.membersOf(groupId).has(user(name))
  if (three % 29 === 0) {
    ledger.dissolve(groupId, 'ada')
    ledger.notify(groupId, 'ada', 'groupDissolved')
    ended.add(groupId)
  } else if (isMember && three % 7 > 4) announcement(ledger, groupId, name, two + three)
  else if (isMember && three % 7 < 2) setGroup(ledger, groupId, name, two)
  else if (isMember && three % 5 === 0) ledger.admin(groupId, 'ada', name, three % 2 ? 'AdminAdded' : 'AdminRemoved')
  else if (isMember) ledger.kick(groupId, 'ada', [name], three % 2 ? 'kicked' : 'left')
  else if (three % 3 === 0) request(ledger, groupId, name, one + three)
  else ledger.add(groupId, 'ada', [name])
  if (three % 2) ledger.notify(groupId, 'ada', 'memberInvited')
}

const profileOf = (number: number): ProfileChanges => {
  const namePrefix = number % 7 === 0
  return {
    name: `name ${number}`,
    signature: number % 3 === 0 ? null : `signature ${number}`,
    ...(number % 4 === 0
      ? { gender: 'other', birthday: '2001-12-31', avatarUrl: 'https://example.org/a.png' }
      : undefined),
    ...(number % 5 === 0 ? { friendPolicy: 'nobody', extension: '{}' } : undefined),
    ...(namePrefix ? { discoverableBy: { phone: false, email: true, userName: false, namePrefix } } : undefined),
  }
}

/** What waits between two people, and whether they are friends: only what the rules let happen is recorded. */
interface Pair {
  friends: boolean
  waiting: { readonly from: string; readonly to: string; readonly requestId: string } | undefined
}

const changeFriends = (ledger: Ledger, one: number, two: number, three: number, pairs: Map<string, Pair>) => {
  const [from, to] = [pick(names, one), pick(names, one + 1 + (two % (names.length - 1)))]
  const key = [from, to].toSorted().join()
  const pair = pairs.get(key) ?? { friends: false, waiting: undefined }
  pairs.set(key, pair)
  const { waiting } = pair
  if (pair.friends) {
    if (three % 3 === 0) ledger.unfriend(from, to)
    else ledger.note(from, to, three % 2 ? { remark: `"${three}"`, starred: true } : { extension: '{}' })
    pair.friends = three % 3 !== 0
    return
  }
  if (waiting === undefined) {
    pair.friends = three % 4 === 0
    if (pair.friends) return void ledger.befriend(from, to)
    pair.waiting = { from, to, requestId: `request-${ledger.events.length}` }
    return void ledger.ask(from, to, pair.waiting.requestId, three % 2 ? ['hello'] : [])
  }
  if (three % 5 === 0) return void ledger.ask(waiting.from, waiting.to, waiting.requestId, ['hello', 'again'], false)
  pair.waiting = undefined
  pair.friends = three % 5 < 3
  const how = pick(['FriendRequestRejected', 'FriendRequestWithdrawn', 'FriendRequestExpired'] as const, one)
  if (!pair.friends) return void ledger.answer(waiting.from, waiting.to, waiting.requestId, how)
  ledger.befriend(waiting.from, waiting.to, { requestId: waiting.requestId, how: 'accepted', waited: true })
}

const account = (ledger: Ledger, one: number, two: number) => {
  const name = pick(names, one)
  const session = `s${two % 4}`
  switch (two % 10) {
    case 0:
      ledger.signIn(name, `${name}-${session}-${ledger.events.length}`)
      break
    case 1:
      ledger.password(name, two % 2 ? `${name}-${session}` : null)
      break
    case 2:
      ledger.block(name, pick(names, two + 1))
      break
    case 3:
      ledger.block(name, pick(names, two + 1), 'UserUnblocked')
      break
    case 4:
      ledger.account(`${name}-${ledger.events.length}`, { claimed: two % 4 === 0 })
      break
    case 5:
      ledger.readNotifications(name, ledger.position, one % 2 ? 'NotificationsRead' : 'FriendRequestsRead')
      break
    case 6:
      ledger.profile(name, profileOf(two))
      break
    case 7:
      bind(ledger, name, one % 2 ? 'phone' : 'userName', `${name}-${one}`)
      break
    case 8:
      ban(ledger, name)
      break
    case 9:
      ledger.account(`${name}-gone`)
      ledger.signIn(`${name}-gone`, `${name}-gone-${ledger.events.length}`)
      close(ledger, `${name}-gone`)
      break
  }
}

/** The log that these steps make. */
export const ledgerOf = (steps: readonly Step[]): Ledger => {
  const ledger = new Ledger()
  const ended = new Set<string>()
  const pairs = new Map<string, Pair>()
  for (const name of names) ledger.account(name)
  for (const [what, one, two, three] of steps) {
    const conversationId = pick(conversations, two)
    if (what < 48) send(ledger, conversationId, one, three)
    else if (what < 56) recallOne(ledger, conversationId, one)
    else if (what < 62) readSome(ledger, pick(conversations.slice(-groups.length), two), one, three)
    else if (what < 78) mark(ledger, conversationId, one, three, one * 7 + three)
    else if (what < 84) changeFriends(ledger, two, one, three, pairs)
    else if (what < 94) changeGroup(ledger, one, two, three, ended)
    else if (what < 98) account(ledger, one, three)
    else ledger.other()
  }
  return ledger
}

const small = fc.nat(1_000)
export const steps = (most: number): fc.Arbitrary<Step[]> =>
  fc.array(fc.tuple(fc.nat(99), small, small, small), { minLength: Math.floor(most / 2), maxLength: most })

interface Said {
  readonly seq: number
  readonly at: string
  readonly from: string
  readonly counts: boolean
  readonly position: string
  recalled: boolean
}

/** What one user must see of one conversation. */
export interface Expected {
  readonly visible: readonly number[]
  readonly lastSeq: number
  readonly unread: number
  readonly isListed: boolean
  readonly isActive: boolean
  /** The user wants to be told of nothing in it. */
  readonly isMuted: boolean
}

/** Each holds all marks of its user. */
const isMark = (type: string): boolean => type.startsWith('Conversation') || type === 'AnnouncementSeen'

/**
 * Counts by walking the log; undefined when the user has no such conversation.
 * @param before messages from before this time have grown too old
 */
export const expectedOf = (
  events: readonly RecordedEvent[],
  userId: UserId,
  conversationId: ConversationId,
  before: Instant | '' = '',
): Expected | undefined => {
  const said: Said[] = []
  const spans: { from: number; to: number | undefined }[] = []
  const marks = { base: 0, cleared: 0, deleted: 0, muted: false }
  const isGroup = conversationId.startsWith('group:')
  const isParty = partiesOf(conversationId).includes(userId)
  const canSee = (seq: number) => spans.some(({ from, to }) => seq >= from && seq <= (to ?? Number.POSITIVE_INFINITY))
  const lastVisible = () => Math.max(0, ...said.map(({ seq }) => seq).filter(canSee))
  for (const { type, data: anyData } of events) {
    // biome-ignore lint/suspicious/noExplicitAny: a test's own walk over all events
    const data = anyData as any
    if (type === 'MessageSent' && data.conversationId === conversationId) {
      if (isParty && spans.length === 0) spans.push({ from: 1, to: undefined })
      said.push({
        seq: data.seq,
        at: data.at,
        from: data.from,
        counts: !quietTypes.has(data.type),
        position: '',
        recalled: false,
      })
    } else if (type === 'MessageRecalled' && data.conversationId === conversationId) {
      for (const message of said) if (message.seq === data.seq) message.recalled = true
    } else if (isGroup && data.groupId === conversationId.slice(6)) {
      const joins =
        type === 'GroupCreated' ? [data.ownerId, ...data.memberIds] : type === 'MembersAdded' ? data.userIds : []
      if (joins.includes(userId)) {
        spans.push({ from: data.history === true ? 1 : said.length + 1, to: undefined })
        marks.base = Math.max(marks.base, said.length)
        if (data.history === true) marks.deleted = Math.max(marks.deleted, said.length)
      }
      const span = spans.at(-1)
      if (type === 'MembersRemoved' && data.userIds.includes(userId) && span !== undefined) span.to = said.length
    } else if (isMark(type) && data.userId === userId && data.conversationId === conversationId) {
      if (isGroup && spans.length === 0) continue
      const visible = lastVisible()
      marks.muted = data.marks.doNotDisturb || data.marks.reminder === 'none'
      marks.cleared = Math.max(marks.cleared, Math.min(data.marks.clearedSeq, visible))
      marks.deleted = Math.max(marks.deleted, Math.min(data.marks.deletedSeq, visible))
      marks.base = Math.max(marks.base, marks.cleared, Math.min(data.marks.readSeq, visible))
    }
  }
  if (spans.length === 0) return undefined
  const last = lastVisible()
  const end = spans.at(-1)?.to ?? Number.POSITIVE_INFINITY
  const kept = said.filter(({ at }) => at >= before)
  return {
    visible: kept.map(({ seq }) => seq).filter(seq => canSee(seq) && seq > marks.cleared),
    lastSeq: last,
    unread: kept.filter(
      ({ seq, from, counts, recalled }) => seq > marks.base && seq <= end && counts && !recalled && from !== userId,
    ).length,
    isListed: last > marks.deleted,
    isActive: end === Number.POSITIVE_INFINITY,
    isMuted: marks.muted,
  }
}
