// The live state of a node: events are routed in log order, whatever must be read for them; nothing is skipped in silence.

import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { ConversationId, SessionId, UserId } from '../../domain/ids.ts'
import { announcementFields, type ConversationRow } from '../../domain/rows.ts'
import { initialTopics } from '../../realtime/hub.ts'
import { groupTopic, membersTopic, userTopic } from '../../realtime/protocol.ts'
import { ringAgeMs } from '../../realtime/ring.ts'
import { type LiveRoom, openLiveRoom } from '../support/live-room.ts'
import {
  ann,
  at,
  bob,
  cid,
  dan,
  groupCreated,
  groupId,
  inGroup,
  membersAdded,
  membersRemoved,
  message,
  p2p,
  positionAt,
  recorded,
} from '../support/routing.ts'
import { turns } from '../support/test-node.ts'

let room: LiveRoom

beforeEach(() => {
  room = openLiveRoom()
})

const heard = (frames: readonly string[]) =>
  frames.map(text => {
    const { op, collection, value } = JSON.parse(text)
    return collection === 'messages' ? `message ${value.seq}` : `${op} ${collection}`
  })
const hiddenRow = (conversationId: ConversationId, seq: number): ConversationRow => ({
  conversationId,
  kind: 'p2p',
  lastSeq: seq,
  unread: 0,
  readSeq: seq,
  clearedSeq: 0,
  ...announcementFields(0, 0),
  pinnedAt: null,
  reminder: 'all',
  doNotDisturb: false,
  active: true,
})
/** Holds everything the router wants to read. */
const holdReads = () => {
  let release = () => {}
  const held = new Promise<void>(resolve => {
    release = resolve
  })
  room.reading = () => held
  return () => {
    room.reading = async () => {}
    release()
  }
}

describe('joining and leaving', () => {
  test('take effect between the events before and after', async () => {
    const danHears = room.listen(dan)
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
    expect(heard(danHears.heard).filter(frame => frame.startsWith('message'))).toEqual(['message 2', 'message 4'])
    expect(danHears.topics).toEqual(new Set([userTopic(dan), groupTopic(groupId)]))
  })

  test('of one who was kicked end with the notification, in one batch or in many', async () => {
    const cidHears = room.listen(cid, [groupId])
    const events = [membersRemoved(2, [cid]), message(3, 1, ann), membersAdded(4, [dan])]
    await room.route(groupCreated(1, [bob, cid]))
    cidHears.heard.length = 0
    for (const event of events) await room.route(event)
    expect(heard(cidHears.heard)).toEqual(['remove groups', 'patch conversations', 'put notifications'])
  })

  test('do not reach a device that has not joined the live frames yet', async () => {
    const socket = room.socket()
    const user = room.hub.follow(dan, initialTopics(dan, []), [])
    room.hub.attach(user, socket)
    await room.route(groupCreated(1, [bob]), membersAdded(2, [dan]))
    expect([socket.topics.size, user.topics.has(groupTopic(groupId))]).toEqual([0, true])
  })

  test('take a watched list of members away with the membership', async () => {
    const cidHears = room.listen(cid, [groupId])
    cidHears.subscribe(membersTopic(groupId))
    await room.route(groupCreated(1, [bob, cid]), membersRemoved(2, [cid]))
    expect(cidHears.topics).toEqual(new Set([userTopic(cid)]))
  })
})

describe('batches that need reads', () => {
  test('keep their order with those that need none', async () => {
    const release = holdReads()
    room.tell(groupCreated(1, [bob]))
    room.tell(message(2, 1, ann))
    room.tell(membersAdded(3, [dan]))
    room.tell(message(4, 2, ann))
    await turns()
    expect([room.published, room.hub.position]).toEqual([[], positionAt(0)])
    release()
    await room.hub.whenRouted(positionAt(4), 1_000)
    const order = room.published.map(({ frame }) => JSON.parse(frame).cursor)
    expect(order).toEqual(order.toSorted())
    expect(heard(room.published.map(({ frame }) => frame)).filter(frame => frame.startsWith('message'))).toEqual([
      'message 1',
      'message 2',
    ])
  })

  test('are routed at once again when nothing waits', async () => {
    await room.route(groupCreated(1, [bob]))
    room.published.length = 0
    room.tell(message(2, 1, ann))
    expect(room.published).toHaveLength(1)
  })

  test('are tried again until they can be read, and nothing is lost', async () => {
    const annHears = room.listen(ann, [groupId])
    let failures = 3
    room.reading = async () => {
      if (failures-- > 0) throw new Error('the log is away')
    }
    room.tell(groupCreated(1, [bob]))
    room.tell(message(2, 1, ann))
    expect(await room.hub.whenRouted(positionAt(2), 5_000)).toBe(true)
    expect(room.errors.length).toBeGreaterThan(0)
    expect(heard(annHears.heard)).toEqual(['put groups', 'patch conversations', 'put conversations', 'message 1'])
    expect(annHears.ended).toBeUndefined()
  })

  test('get the head as it was at each event, whatever was sent since', async () => {
    const annHears = room.listen(ann)
    const release = holdReads()
    const clear = (position: number, clearedSeq: number) =>
      recorded(position, 'ConversationCleared', {
        userId: ann,
        conversationId: p2p,
        marks: { readSeq: 0, clearedSeq, deletedSeq: 0, pinnedAt: null },
        at,
      })
    room.tell(message(1, 1, ann, p2p), clear(2, 1))
    room.tell(...Array.from({ length: 120 }, (_, index) => message(3 + index, 2 + index, ann, p2p)))
    room.tell(clear(200, 120), message(201, 122, ann, p2p), clear(202, 122))
    release()
    await room.hub.whenRouted(positionAt(202), 1_000)
    const lasts = annHears.heard
      .map(text => JSON.parse(text))
      .filter(({ op, collection }) => op === 'patch' && collection === 'conversations')
    // Nothing newer than what is cleared, but in the second case.
    expect(lasts.map(({ set }) => set.lastMessage)).toEqual([null, undefined, null])
  })
})

describe('a hub that cannot go on', () => {
  test('because an event cannot be routed cuts every device and takes none back from memory', async () => {
    const annHears = room.listen(ann)
    await room.route(message(1, 1, bob, p2p))
    await room.route({ ...message(2, 2, ann, p2p), text: undefined } as never)
    expect(annHears.ended).toBe('internal')
    expect(room.errors).toHaveLength(1)
    expect([room.hub.position, room.hub.ring.covers(positionAt(2)), room.hub.followed(ann)]).toEqual([
      positionAt(2),
      false,
      undefined,
    ])
    await room.route(message(3, 3, bob, p2p))
    expect(room.hub.ring.covers(positionAt(3))).toBe(true)
  })

  test('because too much waits starts over, and never goes back', async () => {
    const annHears = room.listen(ann, [groupId])
    const release = holdReads()
    room.tell(groupCreated(1, [bob]))
    for (let position = 2; position <= 1_100; position++) room.tell(message(position, position - 1, ann))
    expect(annHears.ended).toBe('behind')
    expect(room.published).toEqual([])
    release()
    await room.hub.whenRouted(positionAt(1_100), 1_000)
    await turns()
    const first = room.published[0]?.frame ?? '{"cursor":""}'
    expect(room.hub.position).toBe(positionAt(1_100))
    expect(room.hub.ring.covers(positionAt(900))).toBe(false)
    expect(JSON.parse(first).cursor > `log.1.${positionAt(1_000)}`).toBe(true)
    expect(room.hub.ring.coversAfter(room.hub.position)).toBe(true)
  })
})

describe('a session that ends', () => {
  const closed = (position: number, sessionId: string) =>
    recorded(position, 'SessionClosed', { userId: ann, sessionId: sessionId as SessionId, reason: 'kicked', at })

  test('cuts its own sockets and no other', async () => {
    const [one, other] = [room.listen(ann, [], 'one'), room.listen(ann, [], 'other')]
    await room.route(closed(1, 'one'))
    expect([one.ended, other.ended]).toEqual(['ended', undefined])
    expect(heard(other.heard)).toEqual(['remove sessions'])
  })

  test('cuts a socket that is still syncing', async () => {
    const socket = room.socket('one')
    room.hub.attach(room.hub.follow(ann, initialTopics(ann, []), []), socket)
    await room.route(closed(1, 'one'))
    expect(socket.ended).toBe('ended')
  })
})

describe('a hidden conversation', () => {
  test('comes back before its next message, once, for whom it was hidden', async () => {
    const [annHears, bobHears] = [room.listen(ann), room.listen(bob)]
    const user = room.hub.followed(ann) as NonNullable<ReturnType<typeof room.hub.followed>>
    await room.route(
      message(1, 2, bob, p2p),
      recorded(2, 'ConversationDeleted', {
        userId: ann,
        conversationId: p2p,
        marks: { readSeq: 2, clearedSeq: 0, deletedSeq: 2, pinnedAt: null },
        at,
      }),
    )
    expect([...user.hidden.keys()]).toEqual([p2p])
    annHears.heard.length = 0
    bobHears.heard.length = 0
    await room.route(message(3, 3, bob, p2p), message(4, 4, bob, p2p))
    expect(heard(annHears.heard)).toEqual(['put conversations', 'message 3', 'message 4'])
    expect(JSON.parse(annHears.heard[0] as string).value).toMatchObject({ lastSeq: 2, readSeq: 2, lastMessage: null })
    expect(heard(bobHears.heard)).toEqual(['message 3', 'message 4'])
    expect(user.hidden.size).toBe(0)
  })

  test('comes back with what was set meanwhile', async () => {
    const socket = room.socket()
    const user = room.hub.follow(ann, initialTopics(ann, []), [hiddenRow(p2p, 2)])
    room.goLive(user, socket)
    await room.route(
      recorded(1, 'ConversationPinned', {
        userId: ann,
        conversationId: p2p,
        marks: { readSeq: 2, clearedSeq: 2, deletedSeq: 0, pinnedAt: at },
        at,
      }),
      message(2, 3, bob, p2p),
    )
    expect(JSON.parse(socket.heard[1] as string).value).toMatchObject({ conversationId: p2p, pinnedAt: at })
  })

  test('does not come back to one who is no longer in the group', async () => {
    const socket = room.socket()
    room.goLive(room.hub.follow(cid, initialTopics(cid, []), [hiddenRow(inGroup, 2)]), socket)
    await room.route(message(1, 3, ann))
    expect(socket.heard).toEqual([])
  })
})

describe('a user whose last device has gone', () => {
  test('is followed as long as the ring reaches, and then forgotten', async () => {
    const user = room.hub.follow(ann, initialTopics(ann, []), [])
    const socket = room.socket()
    room.goLive(user, socket)
    room.hub.detach(user, socket)
    await room.route(groupCreated(1, [bob]))
    expect(room.hub.followed(ann)?.topics.has(groupTopic(groupId))).toBe(true)
    room.clock.advance(ringAgeMs + 1)
    const later = room.socket()
    const other = room.hub.follow(bob, initialTopics(bob, []), [])
    room.hub.attach(other, later)
    room.hub.detach(other, later)
    expect([room.hub.followed(ann), room.hub.followed(bob), room.hub.users]).toEqual([undefined, other, 1])
  })

  test('is not forgotten once a device is back', async () => {
    const user = room.hub.follow(ann, initialTopics(ann, []), [])
    const [first, second] = [room.socket(), room.socket()]
    room.goLive(user, first)
    room.hub.detach(user, first)
    room.goLive(user, second)
    room.clock.advance(ringAgeMs + 1)
    const other = room.hub.follow('other' as UserId, [], [])
    room.hub.attach(other, first)
    room.hub.detach(other, first)
    expect(room.hub.followed(ann)).toBe(user)
  })
})

describe('waiting for a place', () => {
  test('ends when it was routed', async () => {
    const release = holdReads()
    room.tell(groupCreated(1, [bob]))
    const routed = room.hub.whenRouted(positionAt(1), 5_000)
    release()
    expect(await routed).toBe(true)
    expect(await room.hub.whenRouted(positionAt(1), 0)).toBe(true)
  })

  test('ends after its time', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => {
      vi.useRealTimers()
    })
    const routed = room.hub.whenRouted(positionAt(9), 2_000)
    vi.advanceTimersByTime(2_000)
    expect(await routed).toBe(false)
  })
})

test('a closed hub routes nothing more', async () => {
  const annHears = room.listen(ann)
  room.hub.close()
  room.tell(message(1, 1, bob, p2p))
  await turns()
  expect([annHears.heard, room.hub.position]).toEqual([[], positionAt(0)])
})
