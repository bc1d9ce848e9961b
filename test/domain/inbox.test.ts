// What one user does to one conversation for themselves: read (R83), pin (R80), clear (R72, R73), delete (R81).

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ConversationId, Instant, UserId } from '../../domain/ids.ts'
import { type InboxCommand, type InboxEvent, type InboxMarks, inbox, noMarks } from '../../domain/inbox/inbox.ts'
import { limits } from '../../domain/limits.ts'
import { fold, specify } from '../support/specify.ts'

const { given } = specify(inbox)
const at = '2026-11-23T08:00:00.000Z' as Instant
const base = { userId: 'ann' as UserId, conversationId: 'p2p:ann:bob' as ConversationId, at }
const none = noMarks
const facts = (lastSeq: number, pinnedCount = 0, floorSeq = 0, announcementSeen = 0) => ({
  lastSeq,
  floorSeq,
  announcementSeen,
  pinnedCount,
})

const event = (type: InboxEvent['type'], marks: Partial<InboxMarks>): InboxEvent => ({
  type,
  data: { userId: base.userId, conversationId: base.conversationId, marks: { ...none, ...marks }, at },
})
const read = (seq: number): InboxCommand => ({ type: 'MarkRead', seq, ...base })
const pin: InboxCommand = { type: 'SetConversation', pinned: true, ...base }
const unpin: InboxCommand = { type: 'SetConversation', pinned: false, ...base }
const clear: InboxCommand = { type: 'ClearConversation', ...base }
const remove = (messages: boolean): InboxCommand => ({ type: 'DeleteConversation', messages, ...base })

describe('reading (R83)', () => {
  it('moves the mark forwards and carries all other marks along', () => {
    given()
      .when(read(3), facts(9))
      .then([event('ConversationRead', { readSeq: 3 })])
    given(event('ConversationPinned', { readSeq: 3, clearedSeq: 2, deletedSeq: 1, pinnedAt: at }))
      .when(read(5), facts(9))
      .then([event('ConversationRead', { readSeq: 5, clearedSeq: 2, deletedSeq: 1, pinnedAt: at })])
  })

  it('stops at the last message', () => {
    given()
      .when(read(99), facts(9))
      .then([event('ConversationRead', { readSeq: 9 })])
  })

  it('never moves back, nor tells the same mark twice', () => {
    const there = event('ConversationRead', { readSeq: 5 })
    for (const seq of [5, 4, 0, -1]) given(there).when(read(seq), facts(9)).then([])
    given(there).when(read(99), facts(4)).then([])
  })

  it('begins above what was there before the user joined', () => {
    const joinedAt5 = (lastSeq: number) => facts(lastSeq, 0, 5)
    for (const seq of [1, 5]) given().when(read(seq), joinedAt5(9)).then([])
    given().when(read(9), joinedAt5(5)).then([])
    given()
      .when(read(6), joinedAt5(9))
      .then([event('ConversationRead', { readSeq: 6 })])
  })
})

describe('pinning (R80)', () => {
  it('remembers when', () => {
    given()
      .when(pin, facts(9))
      .then([event('ConversationPinned', { pinnedAt: at })])
  })

  it('is done already for one that is pinned, also at the limit', () => {
    given(event('ConversationPinned', { pinnedAt: at }))
      .when(pin, facts(9, limits.pinnedConversationsMax))
      .then([])
  })

  it('is refused at the limit', () => {
    given().when(pin, facts(9, limits.pinnedConversationsMax)).rejects('conversation.pin-limit')
    given()
      .when(pin, facts(9, limits.pinnedConversationsMax - 1))
      .then([event('ConversationPinned', { pinnedAt: at })])
  })

  it('is refused while the conversation is deleted, and works once a message brought it back', () => {
    const deleted = event('ConversationDeleted', { readSeq: 9, deletedSeq: 9 })
    given(deleted).when(pin, facts(9)).rejects('conversation.not-found')
    given(deleted)
      .when(pin, facts(10))
      .then([event('ConversationPinned', { readSeq: 9, deletedSeq: 9, pinnedAt: at })])
  })

  it('can be taken back', () => {
    given(event('ConversationPinned', { readSeq: 2, pinnedAt: at }))
      .when(unpin, facts(9))
      .then([event('ConversationUnpinned', { readSeq: 2 })])
    given().when(unpin, facts(9)).then([])
  })
})

describe('clearing (R72, R73)', () => {
  it('hides all messages up to now and leaves the other marks', () => {
    given(event('ConversationPinned', { readSeq: 2, pinnedAt: at }))
      .when(clear, facts(9))
      .then([event('ConversationCleared', { readSeq: 2, clearedSeq: 9, pinnedAt: at })])
  })

  it('does nothing when there is nothing new to clear', () => {
    given(event('ConversationCleared', { clearedSeq: 9 }))
      .when(clear, facts(9))
      .then([])
    given(event('ConversationCleared', { clearedSeq: 9 }))
      .when(clear, facts(8))
      .then([])
  })

  it('makes nothing unread that was there before the user joined again', () => {
    given()
      .when(clear, facts(3, 0, 5))
      .then([event('ConversationCleared', { readSeq: 5, clearedSeq: 3 })])
    given()
      .when(clear, facts(0, 0, 5))
      .then([])
  })
})

describe('deleting (R81)', () => {
  const pinned = event('ConversationPinned', { readSeq: 2, clearedSeq: 1, pinnedAt: at })

  it('reads, unpins and takes the conversation out of the list', () => {
    given(pinned)
      .when(remove(false), facts(9))
      .then([event('ConversationDeleted', { readSeq: 9, clearedSeq: 1, deletedSeq: 9 })])
  })

  it('clears as well when asked to', () => {
    given(pinned)
      .when(remove(true), facts(9))
      .then([event('ConversationDeleted', { readSeq: 9, clearedSeq: 9, deletedSeq: 9 })])
  })

  it('makes nothing unread that was there before the user joined again', () => {
    given()
      .when(remove(false), facts(3, 0, 5))
      .then([event('ConversationDeleted', { readSeq: 5, deletedSeq: 3 })])
    given()
      .when(remove(true), facts(0, 0, 5))
      .then([])
  })

  it('does nothing the second time, but can still clear afterwards', () => {
    const deleted = event('ConversationDeleted', { readSeq: 9, deletedSeq: 9 })
    given(deleted).when(remove(false), facts(9)).then([])
    given(deleted)
      .when(remove(true), facts(9))
      .then([event('ConversationDeleted', { readSeq: 9, clearedSeq: 9, deletedSeq: 9 })])
  })
})

describe('a conversation without messages', () => {
  it('has nothing to read, clear or delete', () => {
    for (const command of [read(1), clear, remove(false), remove(true), unpin]) given().when(command, facts(0)).then([])
  })

  it('can be pinned, and deleting unpins it', () => {
    given()
      .when(pin, facts(0))
      .then([event('ConversationPinned', { pinnedAt: at })])
    given(event('ConversationPinned', { pinnedAt: at }))
      .when(remove(true), facts(0))
      .then([event('ConversationDeleted', {})])
  })
})

describe('under any sequence of commands and facts, also stale ones', () => {
  const seq = fc.integer({ min: -2, max: 30 })
  const command: fc.Arbitrary<InboxCommand> = fc.oneof(
    seq.map(read),
    fc.constantFrom(pin, unpin, clear, remove(false), remove(true)),
  )
  const step = fc.tuple(
    command,
    fc.integer({ min: 0, max: 25 }),
    fc.integer({ min: 0, max: limits.pinnedConversationsMax }),
    fc.integer({ min: 0, max: 25 }),
  )

  it('no mark goes back or beyond the last message, every event changes something and is the whole state', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        let state = inbox.initial
        let highest = 0
        for (const [command, lastSeq, pinnedCount, floorSeq] of steps) {
          highest = Math.max(highest, lastSeq, floorSeq)
          const decision = inbox.decide(command, state, facts(lastSeq, pinnedCount, floorSeq))
          if ('rejected' in decision) continue
          const before = state
          state = fold(inbox, decision, state)
          for (const mark of ['readSeq', 'clearedSeq', 'deletedSeq'] as const) {
            expect(state[mark]).toBeGreaterThanOrEqual(before[mark])
            expect(state[mark]).toBeLessThanOrEqual(highest)
          }
          expect(decision.length).toBeLessThanOrEqual(1)
          if (decision.length === 1) expect(state).not.toStrictEqual(before)
          // Loading reads the newest event alone.
          if (decision.length === 1) expect(fold(inbox, decision)).toStrictEqual(state)
          expect(inbox.decide(command, state, facts(lastSeq, pinnedCount, floorSeq))).toStrictEqual([])
        }
      }),
    )
  })
})

describe('what one wants to be told of (R30, R84)', () => {
  const set = (changes: object): InboxCommand => ({ type: 'SetConversation', ...changes, ...base })

  it('is set part by part, and kept by every later event', () => {
    const state = given()
      .when(set({ reminder: 'admins' }), facts(3))
      .then([event('ConversationReminderSet', { reminder: 'admins' })])
    expect(state).toStrictEqual({ ...none, reminder: 'admins' })
    given(event('ConversationReminderSet', { reminder: 'admins' }))
      .when(set({ doNotDisturb: true }), facts(3))
      .then([event('ConversationReminderSet', { reminder: 'admins', doNotDisturb: true })])
    given(event('ConversationReminderSet', { reminder: 'none' }))
      .when(read(3), facts(3))
      .then([event('ConversationRead', { reminder: 'none', readSeq: 3 })])
  })

  it('goes with a pin in one step, all or none', () => {
    given()
      .when(set({ pinned: true, reminder: 'none' }), facts(3))
      .then([
        event('ConversationPinned', { pinnedAt: at }),
        event('ConversationReminderSet', { pinnedAt: at, reminder: 'none' }),
      ])
    given()
      .when(set({ pinned: true, reminder: 'none' }), facts(3, limits.pinnedConversationsMax))
      .rejects('conversation.pin-limit')
  })

  it('is no event when it is so already', () => {
    given()
      .when(set({ reminder: 'all', doNotDisturb: false }), facts(3))
      .then([])
    given().when(set({}), facts(3)).then([])
  })

  it('is the usual where an event was recorded before it existed', () => {
    const { readSeq, clearedSeq, deletedSeq, pinnedAt } = none
    const early = { ...event('ConversationRead', {}).data, marks: { readSeq, clearedSeq, deletedSeq, pinnedAt } }
    expect(given({ type: 'ConversationRead', data: early }).state()).toStrictEqual(none)
  })
})

describe('seeing announcements (R40)', () => {
  const see = (number: number): InboxCommand => ({ type: 'SeeAnnouncement', number, ...base })

  it('moves the mark forwards only, and not to what is no alert anyway', () => {
    given()
      .when(see(2), facts(9))
      .then([event('AnnouncementSeen', { announcementSeen: 2 })])
    given(event('AnnouncementSeen', { announcementSeen: 3 }))
      .when(see(2), facts(9))
      .then([])
    given()
      .when(see(2), facts(9, 0, 0, 2))
      .then([])
  })

  it('is told with a deletion, for what alerts the user no more when the conversation comes back', () => {
    given()
      .when(remove(false), facts(9, 0, 0, 4))
      .then([event('ConversationDeleted', { readSeq: 9, deletedSeq: 9, announcementSeen: 4 })])
  })
})
