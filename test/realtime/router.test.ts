// Who hears of what: pure, event by event. What differs between people never goes where others listen.

import { describe, expect, test } from 'vitest'
import { account } from '../../domain/account/account.ts'
import { type EventType, eventCatalogue } from '../../domain/events.ts'
import type { ConversationId, SessionId } from '../../domain/ids.ts'
import { type InboxMarks, noMarks } from '../../domain/inbox/inbox.ts'
import type { OpenSession } from '../../domain/session/session.ts'
import type { RecordedEvent } from '../../eventstore/port.ts'
import type { Action, RouteFacts } from '../../realtime/actions.ts'
import { groupTopic, userTopic } from '../../realtime/protocol.ts'
import { needsOf, route } from '../../realtime/router.ts'
import { requestSamples } from '../support/request-samples.ts'
import {
  accountCreated,
  ann,
  at,
  bob,
  cid,
  dan,
  factsOf,
  framesOf,
  groupCreated,
  groupId,
  groupOf,
  inGroup,
  membersAdded,
  membersRemoved,
  message,
  p2p,
  positionAt,
  prefix,
  recalled,
  receipt,
  recorded,
  settled,
} from '../support/routing.ts'
import { newEvent } from '../support/test-node.ts'

const created = groupCreated(1, [bob, cid])
const friends = groupOf(created)
const marks = (changes: Partial<InboxMarks> = {}): InboxMarks => ({
  ...noMarks,
  ...changes,
})
const inboxEvent = (
  type:
    | 'ConversationRead'
    | 'ConversationPinned'
    | 'ConversationUnpinned'
    | 'ConversationReminderSet'
    | 'AnnouncementSeen'
    | 'ConversationCleared'
    | 'ConversationDeleted',
  changes: Partial<InboxMarks>,
  conversationId: ConversationId = p2p,
  userId = ann,
) => recorded(20, type, { userId, conversationId, marks: marks(changes), at })
const head = (seq: number) => ({ head: () => ({ seq }) })
const openSession = (sessionId: string, credentialEpoch: number) =>
  ({ sessionId: sessionId as SessionId, credentialEpoch }) as OpenSession
const others = (actions: readonly Action[]) =>
  actions.filter(action => action.do !== 'publish' && action.do !== 'message')

describe('what somebody did to a conversation for themselves', () => {
  const setOf = (event: RecordedEvent, facts: Partial<RouteFacts> = {}) =>
    framesOf(route(event, factsOf(facts))).map(({ topics, frame }) => {
      expect(topics).toEqual([userTopic(ann)])
      return frame.op === 'patch' ? frame.set : frame.op
    })

  test('goes to themselves only, as fields that changed', () => {
    expect(setOf(inboxEvent('ConversationRead', { readSeq: 4 }))).toEqual([{ readSeq: 4 }])
    expect(setOf(inboxEvent('ConversationPinned', { pinnedAt: at }))).toEqual([{ pinnedAt: at }])
    expect(setOf(inboxEvent('ConversationUnpinned', {}))).toEqual([{ pinnedAt: null }])
  })

  test('never puts the read mark below what was cleared', () => {
    expect(setOf(inboxEvent('ConversationRead', { readSeq: 4, clearedSeq: 9 }))).toEqual([{ readSeq: 9 }])
  })

  test('takes the last message away when it was cleared, and not when a newer one has come', () => {
    const cleared = inboxEvent('ConversationCleared', { clearedSeq: 9, readSeq: 2 })
    expect(setOf(cleared, head(9))).toEqual([{ clearedSeq: 9, readSeq: 9, lastMessage: null }])
    expect(setOf(cleared, head(10))).toEqual([{ clearedSeq: 9, readSeq: 9 }])
  })

  test('takes a deleted conversation away until its next message', () => {
    const deleted = inboxEvent('ConversationDeleted', { deletedSeq: 9, readSeq: 9 })
    const actions = settled(route(deleted, factsOf(head(9))))
    expect(framesOf(actions)).toMatchObject([{ topics: [userTopic(ann)], frame: { op: 'remove', id: p2p } }])
    expect(others(actions)).toMatchObject([
      { do: 'hide', userId: ann, row: { readSeq: 9, clearedSeq: 0, pinnedAt: null } },
    ])
  })

  test('leaves a deleted conversation there when a newer message has come', () => {
    const deleted = inboxEvent('ConversationDeleted', { deletedSeq: 9, readSeq: 9 })
    expect(setOf(deleted, head(10))).toEqual([{ readSeq: 9, clearedSeq: 0, pinnedAt: null }])
    expect(others(settled(route(deleted, factsOf(head(10))))).map(action => action.do)).toEqual(['marks'])
  })

  test('of a former member does not wait for messages they cannot see', () => {
    const former = () => ({ topics: new Set([userTopic(cid)]), lastSeen: new Map([[groupTopic(groupId), 9]]) })
    const to = (event: RecordedEvent) => framesOf(settled(route(event, factsOf(head(12))), former))
    const cleared = inboxEvent('ConversationCleared', { clearedSeq: 9 }, inGroup, cid)
    expect(to(cleared)[0]?.frame.set).toMatchObject({ lastMessage: null })
    const deleted = inboxEvent('ConversationDeleted', { deletedSeq: 9 }, inGroup, cid)
    expect(to(deleted)[0]?.frame.op).toBe('remove')
    const needs = [
      { what: 'head', conversationId: inGroup },
      { what: 'group', groupId },
    ]
    expect(needsOf(deleted)).toEqual(needs)
  })

  test('is kept for a hidden conversation to come back with', () => {
    const set = (event: RecordedEvent) => others(settled(route(event, factsOf(head(9)))))
    expect(set(inboxEvent('ConversationPinned', { pinnedAt: at }))).toEqual([
      { do: 'marks', userId: ann, conversationId: p2p, set: { pinnedAt: at } },
    ])
    expect(set(inboxEvent('ConversationCleared', { clearedSeq: 9 }))).toEqual([
      { do: 'marks', userId: ann, conversationId: p2p, set: { clearedSeq: 9, readSeq: 9 } },
    ])
  })
})

describe('devices', () => {
  const opened = recorded(5, 'SessionOpened', {
    userId: ann,
    sessionId: 's1' as SessionId,
    deviceId: 'd',
    platform: 'linux',
    name: 'Laptop',
    credentialEpoch: 0,
    at,
  })

  test('are told of a new one', () => {
    expect(framesOf(route(opened, factsOf()))).toMatchObject([
      {
        topics: [userTopic(ann)],
        frame: { value: { sessionId: 's1', deviceId: 'd', platform: 'linux', name: 'Laptop', openedAt: at } },
      },
    ])
  })

  test('are told of one that ended, and that one is cut', () => {
    const closed = recorded(6, 'SessionClosed', { userId: ann, sessionId: 's1' as SessionId, reason: 'kicked', at })
    const actions = route(closed, factsOf())
    expect(framesOf(actions)).toMatchObject([{ topics: [userTopic(ann)], frame: { op: 'remove', id: 's1' } }])
    expect(others(actions)).toEqual([{ do: 'cut', userId: ann, sessionId: 's1' }])
  })

  test('are cut by a change of the password, save the kept one and those signed in since', () => {
    const kept = 'kept' as SessionId
    const change = recorded(7, 'PasswordChanged', {
      userId: ann,
      passwordHash: 'secret hash',
      credentialEpoch: 2,
      keptSessionId: kept,
      reason: 'changed',
      at,
    })
    const openSessions = () => [
      openSession('old', 0),
      openSession('kept', 1),
      openSession('last', 1),
      openSession('new', 2),
    ]
    const actions = route(change, factsOf({ openSessions }))
    expect(others(actions)).toEqual([
      { do: 'cut', userId: ann, sessionId: 'old' },
      { do: 'cut', userId: ann, sessionId: 'last' },
    ])
    expect(framesOf(actions).map(({ frame }) => frame.id)).toEqual(['old', 'last'])
    expect(JSON.stringify(actions)).not.toContain('secret')
  })
})

test('a block is told to the one who blocked, never to the other', () => {
  const blocked = recorded(5, 'UserBlocked', { userId: ann, blockedId: bob, at })
  const unblocked = recorded(6, 'UserUnblocked', { userId: ann, blockedId: bob, at })
  expect(framesOf([...route(blocked, factsOf()), ...route(unblocked, factsOf())])).toMatchObject([
    { topics: [userTopic(ann)], frame: { op: 'put', value: { userId: bob, at } } },
    { topics: [userTopic(ann)], frame: { op: 'remove', id: bob } },
  ])
})

test('an event that nobody knows goes nowhere', () => {
  const unknown = { ...newEvent('StateSnapshotted', {}), stream: 's', revision: 0, position: positionAt(1) }
  expect([route(unknown, factsOf()), needsOf(unknown)]).toEqual([[], []])
})

describe('over all events', () => {
  const accountOf = () => account.evolve(account.initial, accountCreated(1, ann) as never)
  const facts = factsOf({
    ...head(9),
    account: accountOf,
    group: () => friends,
    openSessions: () => [openSession('old', 0)],
  })
  const announced = { groupId, announcementId: 'a', number: 1, popupNumber: 1, by: ann, at }
  const marks = { notifications: positionAt(3), friendRequests: null }
  const profileEvent = (type: 'MemberEdited' | 'MemberFollowed' | 'MemberUnfollowed') =>
    recorded(5, type, {
      groupId,
      userId: bob,
      joinedAt: at,
      profile: { nickname: 'Bobby', extension: '', followedIds: [cid] },
      by: bob,
      at,
    })
  const asking = { requestId: 'r', from: ann, to: bob, messages: [], expiresAt: at, at }
  const samples: { readonly [Type in EventType]?: RecordedEvent } = {
    SessionOpened: recorded(5, 'SessionOpened', {
      userId: ann,
      sessionId: 's' as SessionId,
      deviceId: 'd',
      platform: 'linux',
      name: 'n',
      credentialEpoch: 0,
      at,
    }),
    SessionClosed: recorded(5, 'SessionClosed', { userId: ann, sessionId: 's' as SessionId, reason: 'kicked', at }),
    AccountCreated: recorded(5, 'AccountCreated', { userId: ann, name: 'Ann', claimed: [], at }),
    PasswordChanged: recorded(5, 'PasswordChanged', {
      userId: ann,
      passwordHash: 'h',
      credentialEpoch: 1,
      keptSessionId: null,
      reason: 'reset',
      at,
    }),
    ProfileChanged: recorded(5, 'ProfileChanged', { userId: ann, set: { name: 'Anna' }, at }),
    IdentityBound: recorded(5, 'IdentityBound', { userId: ann, kind: 'userName', hmac: 'h', userName: 'ann', at }),
    AccountBanned: recorded(5, 'AccountBanned', { userId: ann, until: null, credentialEpoch: 1, by: 'key', at }),
    AccountClosed: recorded(5, 'AccountClosed', { userId: ann, identities: [], credentialEpoch: 1, at }),
    IdentityClaimed: recorded(5, 'IdentityClaimed', { kind: 'phone', userId: ann, at }),
    UserBlocked: recorded(5, 'UserBlocked', { userId: ann, blockedId: bob, at }),
    UserUnblocked: recorded(5, 'UserUnblocked', { userId: ann, blockedId: bob, at }),
    GroupCreated: created,
    MembersAdded: membersAdded(5, [dan]),
    MembersRemoved: membersRemoved(5, [cid]),
    OwnerTransferred: recorded(5, 'OwnerTransferred', { groupId, from: ann, to: bob, by: ann, at }),
    AdminAdded: recorded(5, 'AdminAdded', { groupId, userId: bob, by: ann, at }),
    AdminRemoved: recorded(5, 'AdminRemoved', { groupId, userId: bob, by: ann, at }),
    GroupUpdated: recorded(5, 'GroupUpdated', { groupId, changed: { name: 'Enemies' }, by: ann, at }),
    MemberMuted: recorded(5, 'MemberMuted', { groupId, userId: bob, until: 'forever', by: ann, at }),
    MemberUnmuted: recorded(5, 'MemberUnmuted', { groupId, userId: bob, by: ann, at }),
    MuteAllChanged: recorded(5, 'MuteAllChanged', { groupId, mode: 'members', by: ann, at }),
    MemberEdited: profileEvent('MemberEdited'),
    MemberFollowed: profileEvent('MemberFollowed'),
    MemberUnfollowed: profileEvent('MemberUnfollowed'),
    GroupDissolved: recorded(5, 'GroupDissolved', { groupId, by: ann, at }),
    ...requestSamples,
    AnnouncementPublished: recorded(5, 'AnnouncementPublished', { ...announced, text: 'x', popup: true }),
    AnnouncementDeleted: recorded(5, 'AnnouncementDeleted', announced),
    AnnouncementSeen: inboxEvent('AnnouncementSeen', { announcementSeen: 1 }, inGroup),
    MessageSent: message(5, 9, ann),
    MessageRecalled: recalled(9),
    ReceiptGiven: receipt,
    ConversationRead: inboxEvent('ConversationRead', {}, inGroup),
    ConversationPinned: inboxEvent('ConversationPinned', {}, inGroup),
    ConversationUnpinned: inboxEvent('ConversationUnpinned', {}, inGroup),
    ConversationReminderSet: inboxEvent('ConversationReminderSet', { reminder: 'none' }, inGroup),
    ConversationCleared: inboxEvent('ConversationCleared', {}, inGroup),
    ConversationDeleted: inboxEvent('ConversationDeleted', {}, inGroup),
    FriendRequested: recorded(5, 'FriendRequested', asking),
    FriendRequestRepeated: recorded(5, 'FriendRequestRepeated', asking),
    FriendsMade: recorded(5, 'FriendsMade', { from: ann, to: bob, how: 'accepted', requestId: 'r', waited: true, at }),
    FriendRequestRejected: recorded(5, 'FriendRequestRejected', { requestId: 'r', from: ann, to: bob, at }),
    FriendRequestWithdrawn: recorded(5, 'FriendRequestWithdrawn', { requestId: 'r', from: ann, to: bob, at }),
    FriendRequestExpired: recorded(5, 'FriendRequestExpired', { requestId: 'r', from: ann, to: bob, at }),
    FriendDeleted: recorded(5, 'FriendDeleted', { by: ann, userId: bob, reason: 'deleted', at }),
    FriendNoted: recorded(5, 'FriendNoted', { starred: true, by: ann, userId: bob, since: at, at }),
    NotificationsRead: recorded(5, 'NotificationsRead', { userId: ann, marks, at }),
    FriendRequestsRead: recorded(5, 'FriendRequestsRead', { userId: ann, marks, at }),
  }
  /** Nobody hears of these at once. */
  const silent: readonly EventType[] = [
    'AccountUnbanned',
    'IdentityReleased',
    'CodeSent',
    'CodeTried',
    'CodeUsed',
    'SessionRefreshed',
    'FollowerAdvanced',
    'AdminKeyCreated',
    'AdminKeyRevoked',
    'JoinQuestionsSet',
    'JoinTried',
  ]
  /** What may stand where others listen, field by field: it is the same for each of them. All else is somebody's own. */
  const shared: Readonly<Record<string, string>> = {
    users: 'userId userName name avatarUrl signature gender birthday extension closedAt',
    messages: 'conversationId seq from clientMessageId type body ext at position countable counts recalled',
    groups: `ownerId memberCount name avatarUrl introduction announcement extension appExtension memberLimit joinMode
      inviteMode inviteeConsent editMode editExtensionMode muteAll historyBeforeJoin hideMemberProfiles
      noFriendRequestsBetweenMembers autoApprove searchable`,
    members: 'groupId userId role nickname extension mutedUntil joinedAt invitedBy',
    conversations: 'announcementPopup',
  }

  test('each is told to somebody, or listed here as told to nobody', () => {
    expect([...Object.keys(samples), ...silent].toSorted()).toEqual(Object.keys(eventCatalogue).toSorted())
    for (const type of silent) {
      const event = { ...newEvent(type, { at }), stream: 's', revision: 0, position: positionAt(1) }
      expect([type, route(event, facts), needsOf(event)]).toEqual([type, [], []])
    }
  })

  test.each(Object.entries(samples))('%s tells nothing of one person where others listen', (_type, event) => {
    for (const { topics, frame } of framesOf(route(event, facts))) {
      if (topics.every(topic => topic.startsWith('u:'))) continue
      const fields = Object.keys(frame.set ?? frame.value ?? {})
      expect((shared[frame.collection] ?? '').split(/\s+/), frame.collection).toEqual(expect.arrayContaining(fields))
    }
  })

  test.each(Object.entries(samples))('%s carries its own place in every frame', (_type, event) => {
    for (const { frame } of framesOf(route(event, facts))) expect(frame.cursor).toBe(prefix + event.position)
  })
})
