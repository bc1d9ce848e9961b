// Owns a small ledger for tests: says what happened in product words and gives the recorded events, with seqs, countable
// numbers and positions as the real log has them. Holds no rules: what is said is recorded.

import type { ProfileChanges } from '../../domain/account/profile.ts'
import type { MessageContent } from '../../domain/conversation/bodies.ts'
import type { EventOf, EventType } from '../../domain/events.ts'
import type { FriendNote } from '../../domain/friendship/events.ts'
import type { MuteAll } from '../../domain/group/attributes.ts'
import type { MutedUntil } from '../../domain/group/events.ts'
import {
  type ConversationId,
  conversationParts,
  type GroupId,
  groupConversationId,
  type Instant,
  type Position,
  p2pConversationId,
  type SessionId,
  streamOf,
  systemUserId,
  type UserId,
} from '../../domain/ids.ts'
import { type InboxEvent, type InboxMarks, noMarks } from '../../domain/inbox/inbox.ts'
import { instantPlusSeconds } from '../../domain/instants.ts'
import { type MemberProfile, noProfile } from '../../domain/member/member.ts'
import type { ReadMarks } from '../../domain/notification/events.ts'
import { positionOf, type RecordedEvent } from '../../eventstore/port.ts'
import { quietTypes } from './replica.ts'

const firstMs = Date.parse('2026-11-01T00:00:00.000Z')
/** Positions need not be dense. */
const positionStep = 3

export const user = (name: string): UserId => name as UserId
export const p2p = (one: string, other: string): ConversationId => p2pConversationId(user(one), user(other))
export const groupChat = (groupId: string): ConversationId => groupConversationId(groupId as GroupId)

export interface MessageOptions {
  readonly text?: string
  readonly ext?: string
  /** Of another type than text. */
  readonly content?: MessageContent
  readonly clientMessageId?: string
  readonly receiptsFrom?: readonly UserId[]
}

/** A log under way. Every method records events and gives the last one's position. */
export class Ledger {
  readonly events: RecordedEvent[] = []
  /** Time between events. */
  stepMs: number
  readonly #startMs: number
  readonly #revisions = new Map<string, number>()
  readonly #heads = new Map<ConversationId, { seq: number; countable: number }>()
  readonly #marks = new Map<string, InboxMarks>()
  readonly #readMarks = new Map<UserId, ReadMarks>()
  readonly #members = new Map<string, Set<UserId>>()
  readonly #history = new Map<string, boolean>()
  readonly #joined = new Map<string, Instant>()

  constructor(options: { readonly startMs?: number; readonly stepMs?: number } = {}) {
    this.#startMs = options.startMs ?? firstMs
    this.stepMs = options.stepMs ?? 1_000
  }

  get position(): Position {
    return positionOf(this.events.length * positionStep)
  }

  get at(): Instant {
    return new Date(this.#startMs + this.events.length * this.stepMs).toISOString() as Instant
  }

  record<Type extends EventType>(stream: string, type: Type, data: EventOf<Type>['data']): Position {
    const revision = (this.#revisions.get(stream) ?? -1) + 1
    this.#revisions.set(stream, revision)
    const number = (this.events.length + 1) * positionStep
    const id = `00000000-0000-8000-a000-${number.toString(16).padStart(12, '0')}`
    const position = positionOf(number)
    this.events.push({ id, type, data, text: JSON.stringify(data), stream, revision, position })
    return position
  }

  account(name: string, options: { readonly claimed?: boolean } = {}): Position {
    const userId = user(name)
    const position = this.record(streamOf.account(userId), 'AccountCreated', {
      userId,
      name: `${name}'s name`,
      identity: { kind: 'email', hmac: `hmac-${name}` },
      email: `${name}@example.org`,
      passwordHash: 'secret',
      at: this.at,
    })
    return options.claimed === false ? position : this.claim(name)
  }

  claim(name: string): Position {
    return this.record(streamOf.identity(`hmac-${name}`), 'IdentityClaimed', {
      kind: 'email',
      userId: user(name),
      at: this.at,
    })
  }

  profile(name: string, set: ProfileChanges): Position {
    return this.record(streamOf.account(user(name)), 'ProfileChanged', { userId: user(name), set, at: this.at })
  }

  password(name: string, keptSessionId: string | null): Position {
    return this.record(streamOf.account(user(name)), 'PasswordChanged', {
      userId: user(name),
      passwordHash: 'secret',
      credentialEpoch: 1,
      keptSessionId: keptSessionId as SessionId | null,
      reason: 'changed',
      at: this.at,
    })
  }

  signIn(name: string, sessionId: string): Position {
    return this.record(streamOf.session(user(name)), 'SessionOpened', {
      userId: user(name),
      sessionId: sessionId as SessionId,
      deviceId: `device of ${sessionId}`,
      platform: 'web',
      name: `${sessionId}\\ with\ttab`,
      credentialEpoch: 0,
      at: this.at,
    })
  }

  signOut(name: string, sessionId: string): Position {
    const ids = { userId: user(name), sessionId: sessionId as SessionId }
    return this.record(streamOf.session(user(name)), 'SessionClosed', { ...ids, reason: 'signedOut', at: this.at })
  }

  block(name: string, blocked: string, how: 'UserBlocked' | 'UserUnblocked' = 'UserBlocked'): Position {
    const userId = user(name)
    return this.record(streamOf.blocklist(userId), how, { userId, blockedId: user(blocked), at: this.at })
  }

  /** @param requestId the same for all that happens to one request */
  ask(from: string, to: string, requestId: string, texts: readonly string[] = [], isFirst = true): Position {
    const messages = texts.map(text => ({ text, at: this.at }))
    const expiresAt = instantPlusSeconds(this.at, 604_800)
    const data = { requestId, from: user(from), to: user(to), messages, expiresAt, at: this.at }
    return this.record(
      streamOf.friendship(data.from, data.to),
      isFirst ? 'FriendRequested' : 'FriendRequestRepeated',
      data,
    )
  }

  answer(
    from: string,
    to: string,
    requestId: string,
    how: 'FriendRequestRejected' | 'FriendRequestWithdrawn' | 'FriendRequestExpired',
  ): Position {
    const data = { requestId, from: user(from), to: user(to), at: this.at }
    return this.record(streamOf.friendship(data.from, data.to), how, data)
  }

  befriend(from: string, to: string, changes: Partial<EventOf<'FriendsMade'>['data']> = {}): Position {
    const ids = { from: user(from), to: user(to), requestId: `direct-${this.events.length}` }
    const data = { ...ids, how: 'direct' as const, waited: false, at: this.at, ...changes }
    return this.record(streamOf.friendship(ids.from, ids.to), 'FriendsMade', data)
  }

  unfriend(by: string, name: string): Position {
    const data = { by: user(by), userId: user(name), reason: 'deleted' as const, at: this.at }
    return this.record(streamOf.friendship(data.by, data.userId), 'FriendDeleted', data)
  }

  note(by: string, name: string, note: Partial<FriendNote>): Position {
    const data = { starred: false, ...note, by: user(by), userId: user(name), since: this.at, at: this.at }
    return this.record(streamOf.friendship(data.by, data.userId), 'FriendNoted', data)
  }

  readNotifications(
    name: string,
    upTo: Position,
    how: 'NotificationsRead' | 'FriendRequestsRead' = 'NotificationsRead',
  ) {
    const userId = user(name)
    const before = this.#readMarks.get(userId) ?? { notifications: null, friendRequests: null }
    const moved = how === 'NotificationsRead' ? { notifications: upTo } : { friendRequests: upTo }
    const marks = { ...before, ...moved }
    this.#readMarks.set(userId, marks)
    return this.record(streamOf.notification(userId), how, { userId, marks, at: this.at })
  }

  headOf(conversationId: ConversationId): { readonly seq: number; readonly countable: number } {
    return this.#heads.get(conversationId) ?? { seq: 0, countable: 0 }
  }

  send(conversationId: ConversationId, from: string, options: MessageOptions = {}): Position {
    const head = this.headOf(conversationId)
    const seq = head.seq + 1
    const text = options.text ?? `${seq} of ${from}: "quoted" \\ back\nnew line`
    const content: MessageContent = options.content ?? { type: 'text', body: { text } }
    const countable = head.countable + (quietTypes.has(content.type) ? 0 : 1)
    this.#heads.set(conversationId, { seq, countable })
    return this.record(streamOf.conversation(conversationId), 'MessageSent', {
      conversationId,
      seq,
      from: user(from),
      clientMessageId: options.clientMessageId ?? `${from}-${this.events.length}`,
      ...content,
      ...(options.ext === undefined ? {} : { ext: options.ext }),
      at: this.at,
      countable,
      ...(options.receiptsFrom === undefined ? {} : { receiptsFrom: options.receiptsFrom }),
    })
  }

  notify(groupId: string, by: string, event: 'memberInvited' | 'memberRemoved' | 'groupDissolved'): Position {
    const conversationId = groupChat(groupId)
    const { seq, countable } = this.headOf(conversationId)
    this.#heads.set(conversationId, { seq: seq + 1, countable })
    return this.record(streamOf.conversation(conversationId), 'MessageSent', {
      conversationId,
      seq: seq + 1,
      from: systemUserId,
      clientMessageId: `notice-${this.events.length}`,
      type: 'notification',
      body: { event, by: user(by) },
      at: this.at,
      countable,
    })
  }

  recall(conversationId: ConversationId, seq: number, by: string, reason?: string): Position {
    const sent = this.events.find(
      ({ type, data }) =>
        type === 'MessageSent' &&
        'seq' in data &&
        data.seq === seq &&
        'conversationId' in data &&
        data.conversationId === conversationId,
    )?.data as EventOf<'MessageSent'>['data']
    return this.record(streamOf.message(conversationId, seq), 'MessageRecalled', {
      conversationId,
      seq,
      from: sent.from,
      countable: sent.countable,
      counts: !quietTypes.has(sent.type),
      hadExt: 'ext' in sent,
      ...(sent.receiptsFrom === undefined ? {} : { hadReceipt: true }),
      by: user(by),
      ...(reason === undefined ? {} : { reason }),
      at: this.at,
    })
  }

  marksOf(name: string, conversationId: ConversationId): InboxMarks {
    return this.#marks.get(`${name} ${conversationId}`) ?? noMarks
  }

  mark(name: string, conversationId: ConversationId, type: InboxEvent['type'], changes: Partial<InboxMarks>): Position {
    const marks = { ...this.marksOf(name, conversationId), ...changes }
    this.#marks.set(`${name} ${conversationId}`, marks)
    const userId = user(name)
    return this.record(streamOf.inbox(userId, conversationId), type, { userId, conversationId, marks, at: this.at })
  }

  read(name: string, conversationId: ConversationId, readSeq: number = this.headOf(conversationId).seq): Position {
    return this.mark(name, conversationId, 'ConversationRead', { readSeq })
  }

  pin(name: string, conversationId: ConversationId): Position {
    return this.mark(name, conversationId, 'ConversationPinned', { pinnedAt: this.at })
  }

  unpin(name: string, conversationId: ConversationId): Position {
    return this.mark(name, conversationId, 'ConversationUnpinned', { pinnedAt: null })
  }

  clear(name: string, conversationId: ConversationId): Position {
    return this.mark(name, conversationId, 'ConversationCleared', { clearedSeq: this.headOf(conversationId).seq })
  }

  remove(name: string, conversationId: ConversationId): Position {
    const { seq } = this.headOf(conversationId)
    return this.mark(name, conversationId, 'ConversationDeleted', { readSeq: seq, deletedSeq: seq, pinnedAt: null })
  }

  membersOf(groupId: string): ReadonlySet<UserId> {
    return this.#members.get(groupId) ?? new Set()
  }

  group(groupId: string, owner: string, members: readonly string[] = []): Position {
    this.#members.set(groupId, new Set([owner, ...members].map(user)))
    for (const name of [owner, ...members]) this.#joined.set(`${groupId} ${name}`, this.at)
    return this.record(streamOf.group(groupId as GroupId), 'GroupCreated', {
      groupId: groupId as GroupId,
      name: `group ${groupId}`,
      ownerId: user(owner),
      memberIds: members.map(user),
      memberLimit: 200,
      inviteMode: 'managers',
      memberCount: members.length + 1,
      by: user(owner),
      at: this.at,
    })
  }

  #change(
    groupId: string,
    change: (members: Set<UserId>) => void,
  ): { groupId: GroupId; memberCount: number; at: Instant } {
    const members = this.#members.get(groupId) ?? new Set()
    change(members)
    this.#members.set(groupId, members)
    return { groupId: groupId as GroupId, memberCount: members.size, at: this.at }
  }

  add(groupId: string, by: string, names: readonly string[]): Position {
    const userIds = names.map(user)
    const after = this.#change(groupId, members => {
      for (const userId of userIds) members.add(userId)
    })
    for (const name of names) this.#joined.set(`${groupId} ${name}`, this.at)
    const history = this.#history.get(groupId) === true ? { history: true as const } : undefined
    const count = this.events.filter(
      ({ stream, type }) => type === 'AnnouncementPublished' && stream === streamOf.group(after.groupId),
    ).length
    const past = { ...history, ...(count === 0 ? undefined : { announced: count }) }
    return this.record(streamOf.group(after.groupId), 'MembersAdded', { ...after, userIds, ...past, by: user(by) })
  }

  kick(groupId: string, by: string, names: readonly string[], reason: 'kicked' | 'left' = 'kicked'): Position {
    const userIds = names.map(user)
    const after = this.#change(groupId, members => {
      for (const userId of userIds) members.delete(userId)
    })
    return this.record(streamOf.group(after.groupId), 'MembersRemoved', { ...after, userIds, reason, by: user(by) })
  }

  transfer(groupId: string, from: string, to: string): Position {
    const data = { groupId: groupId as GroupId, from: user(from), to: user(to), by: user(from), at: this.at }
    return this.record(streamOf.group(data.groupId), 'OwnerTransferred', data)
  }

  admin(groupId: string, by: string, name: string, how: 'AdminAdded' | 'AdminRemoved' = 'AdminAdded'): Position {
    const data = { groupId: groupId as GroupId, userId: user(name), by: user(by), at: this.at }
    return this.record(streamOf.group(data.groupId), how, data)
  }

  update(groupId: string, by: string, changed: EventOf<'GroupUpdated'>['data']['changed']): Position {
    if (changed.historyBeforeJoin !== undefined) this.#history.set(groupId, changed.historyBeforeJoin)
    const data = { groupId: groupId as GroupId, changed, by: user(by), at: this.at }
    return this.record(streamOf.group(data.groupId), 'GroupUpdated', data)
  }

  muteAll(groupId: string, by: string, mode: MuteAll): Position {
    const data = { groupId: groupId as GroupId, mode, by: user(by), at: this.at }
    return this.record(streamOf.group(data.groupId), 'MuteAllChanged', data)
  }

  mute(groupId: string, by: string, name: string, until: MutedUntil | null): Position {
    const data = { groupId: groupId as GroupId, userId: user(name), by: user(by), at: this.at }
    const stream = streamOf.group(data.groupId)
    return until === null
      ? this.record(stream, 'MemberUnmuted', data)
      : this.record(stream, 'MemberMuted', { ...data, until })
  }

  /** @param joinedAt of another membership than the present one when given */
  memberProfile(groupId: string, name: string, changes: Partial<MemberProfile>, joinedAt?: Instant): Position {
    const userId = user(name)
    const began = joinedAt ?? this.#joined.get(`${groupId} ${name}`) ?? this.at
    const stream = streamOf.member(groupId as GroupId, userId)
    return this.record(stream, 'MemberEdited', {
      groupId: groupId as GroupId,
      userId,
      joinedAt: began,
      profile: { ...noProfile, ...changes },
      by: userId,
      at: this.at,
    })
  }

  dissolve(groupId: string, by: string): Position {
    const data = { groupId: groupId as GroupId, by: user(by), at: this.at }
    return this.record(streamOf.group(data.groupId), 'GroupDissolved', data)
  }

  /** Something that no projection folds. */
  other(): Position {
    const data = { name: 'x', position: this.position, at: this.at }
    return this.record(streamOf.follower('x'), 'FollowerAdvanced', data)
  }
}

/** The two users of a P2P conversation; none for a group's. */
export const partiesOf = (conversationId: ConversationId): readonly UserId[] => {
  const parts = conversationParts(conversationId)
  return parts?.kind === 'p2p' ? parts.users : []
}
