// How a device gets from what it holds to now: by rows in pieces, or by what the ring has since its cursor.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type GroupId, type Position, p2pConversationId } from '../../domain/ids.ts'
import { announcementFields, type ConversationRow } from '../../domain/rows.ts'
import { topicsBefore } from '../../realtime/hub.ts'
import { groupTopic, pieceBytesMax, userTopic } from '../../realtime/protocol.ts'
import type { RingEntry } from '../../realtime/ring.ts'
import { newConversationRow } from '../../realtime/routes/frames.ts'
import {
  catchUpMsMax,
  pieces,
  type ReadSnapshot,
  readSince,
  replayFollowed,
  replaySnapshot,
  type SyncSnapshot,
  sinceOf,
  syncDocument,
} from '../../realtime/sync.ts'
import { createSyncTurns } from '../../realtime/sync-turns.ts'
import { openLiveRoom } from '../support/live-room.ts'
import { canonical } from '../support/replica.ts'
import {
  accountCreated,
  ann,
  at,
  bob,
  dan,
  groupCreated,
  groupId,
  inGroup,
  membersAdded,
  membersRemoved,
  message,
  p2p,
  positionAt,
  prefix,
  recorded,
} from '../support/routing.ts'

const snapshotAt = (position: number, changes: Partial<SyncSnapshot> = {}): SyncSnapshot => ({
  position: positionAt(position),
  tooOld: false,
  collections: [],
  groupIds: [],
  peerIds: [],
  hidden: [],
  lastSeen: [],
  ...changes,
})
const cursorsOf = (frames: readonly string[] | undefined) =>
  frames?.map(text => Number.parseInt(JSON.parse(text).cursor.slice(prefix.length), 16))

describe('a cursor', () => {
  const cursor = `${prefix}${positionAt(7)}`

  /** What has reached a place, and never gets further. */
  const reached = (head: number) => async (position: Position) => position <= positionAt(head)

  test('of this log and these read models leads to its place', async () => {
    expect(await sinceOf(cursor, prefix, reached(7))).toBe(positionAt(7))
  })

  test('that is ahead of this node leads to its place as soon as the node is there', async () => {
    const asked: unknown[] = []
    const soon = async (...wait: [Position, number]) => asked.push(wait) > 0
    expect(await sinceOf(cursor, prefix, soon)).toBe(positionAt(7))
    expect(asked).toEqual([[positionAt(7), catchUpMsMax]])
  })

  test.each([
    ['none', undefined, prefix, 7],
    ['one of another log', cursor, 'other.1.', 7],
    ['one of other read models', cursor, 'log.2.', 7],
    ['one beyond the head', cursor, prefix, 6],
    ['nonsense', 'nonsense', prefix, 7],
    ['one with a longer place', `${cursor}0`, prefix, 7],
    ['one in capitals', `${prefix}000000000000000A`, prefix, 11],
  ])('%s leads to a whole sync', async (_what, text, own, head) => {
    expect(await sinceOf(text, own, reached(head))).toBeNull()
  })
})

describe('the pieces of a collection', () => {
  const rows = fc.array(
    fc.string({ unit: 'grapheme', maxLength: 4_000 }).map(text => JSON.stringify({ text })),
    { maxLength: 60 },
  )
  const ids = fc.array(fc.string({ unit: 'binary', maxLength: 200 }), { maxLength: 900 })

  test('hold every row and every id once, in order, and are never too large', () => {
    fc.assert(
      fc.property(rows, ids, (items, removed) => {
        const frames = [...pieces({ collection: 'messages', items, removed, via: 'offline' })]
        for (const frame of frames) expect(Buffer.byteLength(frame)).toBeLessThanOrEqual(pieceBytesMax)
        const parsed = frames.map(frame => JSON.parse(frame))
        expect(parsed.flatMap(frame => frame.items)).toEqual(items.map(item => JSON.parse(item)))
        expect(parsed.flatMap(frame => frame.removed ?? [])).toEqual(removed)
        for (const frame of parsed) expect(frame).toMatchObject({ op: 'rows', collection: 'messages', via: 'offline' })
      }),
    )
  })

  test('are none for an empty collection', () => {
    expect([...pieces({ collection: 'users', items: [], removed: [] })]).toEqual([])
  })

  test('are as few as they can be', () => {
    const items = Array.from({ length: 100 }, () => JSON.stringify('x'.repeat(1_000)))
    expect([...pieces({ collection: 'users', items, removed: ['a', 'b'] })]).toHaveLength(2)
  })

  test('hold a row that is too large by itself', () => {
    const large = JSON.stringify('x'.repeat(pieceBytesMax))
    const frames = [...pieces({ collection: 'users', items: ['1', large, '2'], removed: [] })]
    expect(frames.map(frame => JSON.parse(frame).items.length)).toEqual([1, 1, 1])
  })
})

describe('a snapshot', () => {
  const asked: (Position | null)[] = []
  const readOf =
    (tooOld: boolean): ReadSnapshot =>
    async (_userId, since) => {
      asked.push(since)
      return snapshotAt(9, {
        tooOld: since !== null && tooOld,
        collections: [
          { collection: 'users', items: ['{"userId":"bob"}'], removed: [] },
          { collection: 'groups', items: [], removed: [] },
        ],
      })
    }

  test('since a place is asked for as such', async () => {
    expect(await readSince(readOf(false), ann, positionAt(3))).toMatchObject({ reset: false })
    expect(await readSince(readOf(false), ann, null)).toMatchObject({ reset: true })
    expect(asked.splice(0)).toEqual([positionAt(3), null])
  })

  test('since a place that is too long ago is the whole', async () => {
    expect(await readSince(readOf(true), ann, positionAt(3))).toMatchObject({
      reset: true,
      snapshot: { tooOld: false },
    })
    expect(asked.splice(0)).toEqual([positionAt(3), null])
  })

  test('is one document for those without a socket', async () => {
    const syncTurns = createSyncTurns()
    const syncing = { readSnapshot: readOf(false), cursorPrefix: prefix, reached: async () => true, syncTurns }
    const text = await syncDocument(syncing, ann, `${prefix}${positionAt(3)}`)
    expect(JSON.parse(text)).toEqual({
      reset: false,
      rows: [{ op: 'rows', collection: 'users', items: [{ userId: 'bob' }] }],
      cursor: prefix + positionAt(9),
    })
    expect(syncTurns.reading).toBe(0)
  })
})

describe('the topics of a user at an earlier place', () => {
  const entry = (index: number, ...actions: RingEntry['actions']): RingEntry => ({
    index,
    position: positionAt(index),
    actions,
    topics: [],
    bytes: 0,
    atMs: 0,
  })
  const join = (topic: string) => ({ do: 'join', userId: dan, topic }) as const
  const leave = (topic: string) => ({ do: 'leave', userId: dan, topic }) as const

  test('are those of now with joins and leaves undone, the latest first', () => {
    const entries = [entry(1, join('g:a')), entry(2, leave('g:a')), entry(3, join('g:a')), entry(4, leave('g:b'))]
    const now = ['u:dan', 'g:a']
    expect(topicsBefore(now, dan, entries)).toEqual(new Set(['u:dan', 'g:b']))
    expect(topicsBefore(now, dan, entries.slice(1))).toEqual(new Set(['u:dan', 'g:a', 'g:b']))
    expect(topicsBefore(now, dan, entries.slice(2))).toEqual(new Set(['u:dan', 'g:b']))
  })

  test('are not touched by others, nor by lists that only a socket watches', () => {
    const entries = [entry(1, { do: 'join', userId: bob, topic: 'g:a' }), entry(2, leave('m:a'))]
    expect(topicsBefore(['u:dan', 'g:a'], dan, entries)).toEqual(new Set(['u:dan', 'g:a']))
  })
})

describe('a replay', () => {
  test('begins with the event of the cursor itself: it may have come in part', async () => {
    const room = openLiveRoom()
    room.listen(ann)
    await room.route(message(1, 2, bob, p2p), message(2, 3, bob, p2p), message(3, 4, bob, p2p))
    const user = room.hub.followed(ann)
    const replay = user && replayFollowed(room.hub, user, positionAt(2))
    expect(cursorsOf(replay?.next())).toEqual([2, 3])
    expect(replay?.next()).toEqual([])
    await room.route(message(4, 5, bob, p2p))
    expect(cursorsOf(replay?.next())).toEqual([4])
  })

  test('after a snapshot begins behind it', async () => {
    const room = openLiveRoom()
    await room.route(message(1, 2, bob, p2p), message(2, 3, bob, p2p), message(3, 4, bob, p2p))
    expect(cursorsOf(replaySnapshot(room.hub, ann, snapshotAt(2))?.next())).toEqual([3])
  })

  test('is not there when the ring does not reach back', async () => {
    const room = openLiveRoom()
    await room.route(message(1, 2, bob, p2p))
    room.hub.ring.clear(positionAt(1))
    expect(replaySnapshot(room.hub, ann, snapshotAt(0))).toBeUndefined()
    expect(room.hub.followed(ann)).toBeUndefined()
    expect(replaySnapshot(room.hub, ann, snapshotAt(1))?.next()).toEqual([])
    const user = room.hub.followed(ann)
    expect(user && replayFollowed(room.hub, user, positionAt(1))).toBeUndefined()
  })

  test('is not there for a place before this node followed the user', async () => {
    const room = openLiveRoom()
    await room.route(message(1, 2, bob, p2p), message(2, 3, bob, p2p))
    room.listen(ann)
    const user = room.hub.followed(ann)
    expect(user && replayFollowed(room.hub, user, positionAt(1))).toBeUndefined()
    expect(user && cursorsOf(replayFollowed(room.hub, user, positionAt(2))?.next())).toEqual([2])
  })

  test('ends when the ring lost what a slow device still has to hear', async () => {
    const room = openLiveRoom()
    const replay = replaySnapshot(room.hub, ann, snapshotAt(0))
    await room.route(message(1, 2, bob, p2p))
    expect(replay?.next()).toHaveLength(1)
    await room.route(message(2, 3, bob, p2p))
    room.hub.ring.clear(positionAt(2))
    expect(replay?.next()).toBeUndefined()
  })

  test('follows a group joined, left and joined again', async () => {
    const room = openLiveRoom()
    await room.route(
      groupCreated(1, [bob]),
      message(2, 1, ann),
      membersAdded(3, [dan]),
      message(4, 2, ann),
      membersRemoved(5, [dan]),
      message(6, 3, ann),
      membersAdded(7, [dan]),
      message(8, 4, ann),
    )
    const frames = replaySnapshot(room.hub, dan, snapshotAt(0))?.next() ?? []
    const seqs = frames.map(text => JSON.parse(text)).filter(({ collection }) => collection === 'messages')
    expect(seqs.map(({ value }) => value.seq)).toEqual([2, 4])
    expect(room.hub.followed(dan)?.topics).toEqual(new Set([userTopic(dan), groupTopic(groupId)]))
  })

  test('brings a hidden conversation back before its message, also for a second device', async () => {
    const hidden = newConversationRow(p2p, 'p2p', 2)
    const room = openLiveRoom()
    await room.route(message(1, 3, bob, p2p))
    for (const _device of ['first', 'second']) {
      const frames = replaySnapshot(room.hub, ann, snapshotAt(0, { hidden: [hidden] }))?.next() ?? []
      expect(frames.map(text => JSON.parse(text).collection)).toEqual(['conversations', 'messages'])
    }
    expect(room.hub.followed(ann)?.hidden.size).toBe(0)
  })
})

describe('whenever a device comes, by rows or by its cursor', () => {
  type Step = 'join' | 'leave' | 'say' | 'write' | 'delete' | 'pin' | 'rename'
  const chat = p2pConversationId(bob, dan)
  const steps = fc.array(
    fc.constantFrom<Step>('join', 'leave', 'say', 'say', 'write', 'write', 'delete', 'pin', 'rename'),
    {
      minLength: 1,
      maxLength: 40,
    },
  )

  /** A log of one user's life in a group and a conversation, and what a snapshot would say after each event. */
  const lifeOf = (what: readonly Step[]) => {
    const events = [accountCreated(1, bob), groupCreated(2, [bob]), message(3, 1, bob, chat)] as ReturnType<
      typeof message
    >[]
    let isMember = false
    const seqs = { group: 0, chat: 1 }
    let [isHidden, isGroupHidden, isPinned] = [false, false, false]
    const after: {
      isMember: boolean
      isHidden: boolean
      isGroupHidden: boolean
      isPinned: boolean
      seq: number
      groupSeq: number
    }[] = []
    const note = () => after.push({ isMember, isHidden, isGroupHidden, isPinned, seq: seqs.chat, groupSeq: seqs.group })
    for (const _event of events) note()
    for (const step of what) {
      const position = events.length + 1
      const marks = { readSeq: seqs.chat, clearedSeq: 0, deletedSeq: seqs.chat, pinnedAt: null }
      if (step === 'join' && !isMember) {
        isMember = true
        isGroupHidden = true
        events.push(membersAdded(position, [dan]) as never)
      } else if (step === 'leave' && isMember) {
        isMember = false
        events.push(membersRemoved(position, [dan]) as never)
      } else if (step === 'say') {
        if (isMember) isGroupHidden = false
        events.push(message(position, ++seqs.group, bob, inGroup))
      } else if (step === 'write') {
        isHidden = false
        events.push(message(position, ++seqs.chat, bob, chat))
      } else if (step === 'delete' && !isHidden) {
        isHidden = true
        isPinned = false
        events.push(
          recorded(position, 'ConversationDeleted', { userId: dan, conversationId: chat, marks, at }) as never,
        )
      } else if (step === 'pin' && !isHidden) {
        isPinned = true
        const pinned = { ...marks, deletedSeq: 0, pinnedAt: at }
        events.push(
          recorded(position, 'ConversationPinned', { userId: dan, conversationId: chat, marks: pinned, at }) as never,
        )
      } else if (step === 'rename') {
        const set = { name: `bob at ${position}` }
        events.push(recorded(position, 'ProfileChanged', { userId: bob, set, at }) as never)
      } else continue
      note()
    }
    return { events, after }
  }

  const snapshotAfter = (count: number, { after }: ReturnType<typeof lifeOf>): SyncSnapshot => {
    const state = after[count - 1]
    if (state === undefined) return snapshotAt(0)
    const row = {
      unread: 0,
      clearedSeq: 0,
      pinnedAt: null,
      ...announcementFields(0, 0),
      active: true,
      reminder: 'all',
      doNotDisturb: false,
    } as const
    const hidden: ConversationRow[] = []
    if (state.isHidden)
      hidden.push({ ...row, conversationId: chat, kind: 'p2p', lastSeq: state.seq, readSeq: state.seq })
    if (state.isGroupHidden && state.isMember) {
      const seq = state.groupSeq
      hidden.push({ ...row, conversationId: inGroup, kind: 'group', lastSeq: seq, readSeq: seq })
    }
    const peerIds = count >= 3 ? [bob] : []
    return snapshotAt(count, { groupIds: state.isMember ? [groupId as GroupId] : [], peerIds, hidden })
  }

  /** The same frame twice in a row is the same as once. */
  const once = (frames: readonly string[]) =>
    frames.map(text => canonical(JSON.parse(text))).filter((frame, index, all) => frame !== all[index - 1])
  const from = (frames: readonly string[], first: number) =>
    frames.filter(text => (JSON.parse(text).cursor as string) >= prefix + positionAt(first))

  test('it hears what a device hears that was there all the time', async () => {
    const picks = fc.tuple(fc.nat(100), fc.nat(100), fc.nat(100))
    await fc.assert(
      fc.asyncProperty(steps, picks, async (what, [snapshotPick, comePick, cursorPick]) => {
        const life = lifeOf(what)
        const total = life.events.length
        const come = comePick % (total + 1)
        const snapshot = snapshotPick % (come + 1)
        const cursor = 1 + (cursorPick % total)
        const room = openLiveRoom()
        // Both have never been seen before: what is hidden must come from the snapshot.
        const late = openLiveRoom()
        const there = room.listen(dan)
        for (const event of life.events) await room.route(event)

        for (const event of life.events.slice(0, come)) await late.route(event)
        const replay = replaySnapshot(late.hub, dan, snapshotAfter(snapshot, life))
        const heard = [...(replay?.next() ?? ['no replay'])]
        const device = late.socket()
        if (replay !== undefined) late.goLive(replay.user, device)
        for (const event of life.events.slice(come)) await late.route(event)
        expect(once([...heard, ...device.heard])).toEqual(once(from(there.heard, snapshot + 1)))

        const user = room.hub.followed(dan)
        const resumed = user && replayFollowed(room.hub, user, positionAt(cursor))?.next()
        expect(once(resumed ?? [])).toEqual(once(from(there.heard, cursor)))
      }),
      { numRuns: 300 },
    )
  })
})
