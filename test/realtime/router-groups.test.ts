// Who hears of what in a group: those who come, those who stay, and never those who are out.

import { describe, expect, test } from 'vitest'
import { type InboxMarks, noMarks } from '../../domain/inbox/inbox.ts'
import type { Action } from '../../realtime/actions.ts'
import { groupTopic, membersTopic, userTopic } from '../../realtime/protocol.ts'
import { needsOf, route } from '../../realtime/router.ts'
import {
  ann,
  at,
  bob,
  cid,
  cursorAt,
  dan,
  factsOf,
  framesOf,
  groupCreated,
  groupId,
  groupOf,
  inGroup,
  listeners,
  membersAdded,
  membersRemoved,
  message,
  recorded,
} from '../support/routing.ts'

const created = groupCreated(1, [bob, cid])
const friends = groupOf(created)
const marks = (changes: Partial<InboxMarks> = {}): InboxMarks => ({
  ...noMarks,
  ...changes,
})
const head = (seq: number) => ({ head: () => ({ seq }) })
const others = (actions: readonly Action[]) =>
  actions.filter(action => action.do !== 'publish' && action.do !== 'message')

describe('the members of a group', () => {
  test('who came in get its row and its topic, and its conversation with the next message', () => {
    const actions = route(
      membersAdded(7, [dan]),
      factsOf({ ...head(4), group: () => groupOf(created, membersAdded(7, [dan])) }),
    )
    const { perform, heardBy } = listeners(ann, dan)
    perform(route(created, factsOf({ group: () => friends })))
    heardBy(ann).length = 0
    perform(actions)
    perform(route(message(8, 5, ann), factsOf()))
    expect(heardBy(ann)).toMatchObject([
      { op: 'patch', collection: 'groups', id: groupId, set: { memberCount: 3 } },
      { collection: 'messages' },
    ])
    expect(heardBy(dan)).toMatchObject([
      { op: 'put', collection: 'groups', value: { groupId, myRole: 'member', memberCount: 4, ownerId: ann } },
      { op: 'patch', collection: 'conversations', id: inGroup, set: { active: true, readSeq: 4 } },
      { collection: 'messages' },
    ])
    expect(others(actions)).toEqual([
      { do: 'hide', userId: dan, row: expect.objectContaining({ conversationId: inGroup, lastSeq: 4, readSeq: 4 }) },
      { do: 'join', userId: dan, topic: groupTopic(groupId) },
    ])
  })

  test('who come back find what they set before', () => {
    const found = factsOf({ ...head(9), group: () => friends, marks: () => marks({ clearedSeq: 3, pinnedAt: at }) })
    const hidden = others(route(membersAdded(7, [bob]), found))[0]
    expect(hidden).toMatchObject({ do: 'hide', row: { clearedSeq: 3, pinnedAt: at, readSeq: 9, active: true } })
    expect(needsOf(membersAdded(7, [bob]))).toContainEqual({ what: 'marks', userId: bob, conversationId: inGroup })
  })

  test('who were kicked are told so, and hear nothing later', () => {
    const { perform, heardBy } = listeners(ann, bob, cid)
    perform(route(created, factsOf({ group: () => friends })))
    for (const userId of [ann, bob, cid]) heardBy(userId).length = 0
    const removal = membersRemoved(6, [cid])
    const after = factsOf({ group: () => groupOf(created, removal) })
    perform(route(removal, after))
    perform(route(message(7, 5, ann), after))
    perform(route(membersAdded(8, [dan]), after))
    perform(route(recorded(9, 'GroupDissolved', { groupId, by: ann, at }), after))
    expect(heardBy(cid)).toEqual([
      { op: 'remove', collection: 'groups', cursor: cursorAt(6), id: groupId },
      {
        op: 'patch',
        collection: 'conversations',
        cursor: cursorAt(6),
        id: inGroup,
        set: { active: false, announcementPopup: 0 },
      },
      {
        op: 'put',
        collection: 'notifications',
        cursor: cursorAt(6),
        value: {
          notificationId: removal.id,
          kind: 'removedFromGroup',
          groupId,
          by: ann,
          at,
          position: removal.position,
          state: 'none',
        },
      },
    ])
    expect(heardBy(bob).map(({ op, collection }) => `${op} ${collection}`)).toEqual([
      'patch groups',
      'put messages',
      'patch groups',
      'remove groups',
      'put notifications',
    ])
  })

  test('leave their topics before anything is published', () => {
    const [first, second] = route(membersRemoved(6, [cid]), factsOf({ group: () => friends }))
    expect([first, second]).toEqual([
      { do: 'leave', userId: cid, topic: groupTopic(groupId), lastSeq: 0 },
      { do: 'leave', userId: cid, topic: membersTopic(groupId) },
    ])
  })

  test('who left by themselves are not told that they were removed', () => {
    const frames = framesOf(route(membersRemoved(6, [cid], 'left'), factsOf({ group: () => friends })))
    expect(frames.map(({ frame }) => frame.collection)).not.toContain('notifications')
  })

  test('are told of roles each on their own, and in rows where members are watched', () => {
    const admin = recorded(5, 'AdminAdded', { groupId, userId: bob, by: ann, at })
    expect(framesOf(route(admin, factsOf()))).toMatchObject([
      { topics: [userTopic(bob)], frame: { collection: 'groups', set: { myRole: 'admin', myMutedUntil: null } } },
      {
        topics: [membersTopic(groupId)],
        frame: { collection: 'members', id: 'g1#bob', set: { role: 'admin', mutedUntil: null } },
      },
      { topics: [userTopic(bob)], frame: { collection: 'notifications', value: { kind: 'groupAdminAdded', by: ann } } },
    ])
    const transfer = recorded(6, 'OwnerTransferred', { groupId, from: ann, to: bob, by: ann, at })
    expect(framesOf(route(transfer, factsOf()))).toMatchObject([
      { topics: [groupTopic(groupId)], frame: { set: { ownerId: bob } } },
      { topics: [userTopic(ann)], frame: { set: { myRole: 'member' } } },
      { topics: [membersTopic(groupId)], frame: { id: 'g1#ann', set: { role: 'member' } } },
      { topics: [userTopic(bob)], frame: { set: { myRole: 'owner', myMutedUntil: null } } },
      { topics: [membersTopic(groupId)], frame: { id: 'g1#bob', set: { role: 'owner', mutedUntil: null } } },
      { topics: [userTopic(bob)], frame: { collection: 'notifications', value: { kind: 'groupOwnerTransferred' } } },
    ])
  })

  test('are told of a mute each on their own, and in rows where members are watched (R21)', () => {
    const muted = recorded(5, 'MemberMuted', { groupId, userId: bob, until: 'forever', by: ann, at })
    expect(framesOf(route(muted, factsOf()))).toMatchObject([
      { topics: [userTopic(bob)], frame: { id: groupId, set: { myMutedUntil: 'forever' } } },
      { topics: [membersTopic(groupId)], frame: { id: 'g1#bob', set: { mutedUntil: 'forever' } } },
    ])
  })

  test('are told of what the group is set to, only what changed (R37)', () => {
    const changed = { name: 'Enemies', searchable: true }
    const updated = recorded(5, 'GroupUpdated', { groupId, changed, by: ann, at })
    expect(framesOf(route(updated, factsOf()))).toMatchObject([
      { topics: [groupTopic(groupId)], frame: { op: 'patch', collection: 'groups', id: groupId, set: changed } },
    ])
    const silence = recorded(6, 'MuteAllChanged', { groupId, mode: 'members', by: ann, at })
    expect(framesOf(route(silence, factsOf()))).toMatchObject([
      { topics: [groupTopic(groupId)], frame: { set: { muteAll: 'members' } } },
    ])
  })

  test('hear of a nickname where members are watched, and of whom one follows on no device but one’s own (R28, R48)', () => {
    const profile = { nickname: 'Bobby', extension: '', followedIds: [cid] }
    const edited = recorded(5, 'MemberEdited', { groupId, userId: bob, joinedAt: at, profile, by: bob, at })
    const frames = framesOf(route(edited, factsOf({ group: () => friends })))
    expect(frames).toMatchObject([
      { topics: [userTopic(bob)], frame: { set: { myNickname: 'Bobby', myFollowedIds: [cid] } } },
      { topics: [membersTopic(groupId)], frame: { id: 'g1#bob' } },
    ])
    expect(frames[1]?.frame.set).toEqual({ nickname: 'Bobby', extension: '' })
    const earlier = recorded(6, 'MemberEdited', {
      ...edited.data,
      joinedAt: '2026-11-22T08:00:00.000Z' as never,
    })
    expect(route(earlier, factsOf({ group: () => friends }))).toEqual([])
  })

  test('are all told of the end of a group, save the one who ended it', () => {
    const end = recorded(6, 'GroupDissolved', { groupId, by: ann, at })
    const { perform, heardBy } = listeners(ann, bob, cid)
    perform(route(created, factsOf({ group: () => friends })))
    for (const userId of [ann, bob, cid]) heardBy(userId).length = 0
    perform(route(end, factsOf({ group: () => friends })))
    expect(heardBy(ann).map(({ collection }) => collection)).toEqual(['groups'])
    expect(heardBy(bob)).toMatchObject([{ op: 'remove', id: groupId }, { value: { kind: 'groupDissolved' } }])
  })
})
