// Owns how a device gets from what it holds to now: the rows of a snapshot in pieces, or what the ring has since its cursor.
// One function serves the socket and GET /v1/sync. Never sends a row that the snapshot's own statement did not authorise.

import type { GroupId, Position, UserId } from '../domain/ids.ts'
import type { Collection, ConversationRow, OpenCollection } from '../domain/rows.ts'
import { type Action, hiddenAfter, hiddenWithPopup } from './actions.ts'
import { type FollowedUser, type Hub, initialTopics, revealFrame, topicsBefore } from './hub.ts'
import { type CursorPrefix, groupTopic, parseCursor, pieceBytesMax, type Topic } from './protocol.ts'
import type { RingEntry } from './ring.ts'
import { chosen, hasRoomFor, hearsOfRecall, lastSeqAfter, type Standing } from './standing.ts'
import { type SyncTurns, TooManySyncs } from './sync-turns.ts'

/** Rows of one collection: JSON texts of what is there, ids of what is gone. */
export interface SyncCollection {
  readonly collection: Collection
  readonly items: readonly string[]
  readonly removed: readonly string[]
  readonly via?: 'offline' | 'roaming'
}

/** One consistent snapshot of what a user holds, whole or since a position. */
export interface SyncSnapshot {
  readonly position: Position
  /** The tombstones since then are gone; ask for the whole. */
  readonly tooOld: boolean
  readonly collections: readonly SyncCollection[]
  /** Groups whose messages the user gets from here on. */
  readonly groupIds: readonly GroupId[]
  /** Users whose changes the user hears of from here on. */
  readonly peerIds: readonly UserId[]
  readonly hidden: readonly ConversationRow[]
  /** Groups from which nothing has come since the user is out, or back: the newest message seen, 0 for none. */
  readonly lastSeen: readonly { readonly groupId: GroupId; readonly lastSeq: number }[]
}

export type ReadSnapshot = (userId: UserId, since: Position | null) => Promise<SyncSnapshot>

/** The position in a cursor of this log and these read models; undefined for any other cursor. */
const positionIn = (cursor: string | undefined, prefix: CursorPrefix): Position | undefined => {
  const parsed = cursor === undefined ? undefined : parseCursor(cursor)
  return parsed?.prefix === prefix ? parsed.position : undefined
}

/** How long a cursor that is ahead of this node may wait for it, and a snapshot for the live events to reach it. */
export const catchUpMsMax = 2_000

/** Whether a position was reached within the time: by what this node has seen, or routed. */
export type Reached = (position: Position, timeoutMs: number) => Promise<boolean>

/**
 * Where a device's cursor leads: to the ring or the read models from a position, or to a whole sync (null). Another node may
 * have been a moment ahead of this one: its cursor is no reason to start over.
 */
export const sinceOf = async (
  cursor: string | undefined,
  prefix: CursorPrefix,
  reached: Reached,
): Promise<Position | null> => {
  const position = positionIn(cursor, prefix)
  return position !== undefined && (await reached(position, catchUpMsMax)) ? position : null
}

type Held = Collection | OpenCollection
type Rows = Pick<SyncCollection, 'via'> & { readonly collection: Held }

const rowsFrame = (collection: Rows, items: readonly string[], removed: readonly string[]): string => {
  const gone = removed.length === 0 ? '' : `,"removed":${JSON.stringify(removed)}`
  const via = collection.via === undefined ? '' : `,"via":"${collection.via}"`
  return `{"op":"rows","collection":"${collection.collection}","items":[${items.join(',')}]${gone}${via}}`
}

/** Room in a piece for what stands around the rows. */
const pieceFrameBytes = 256

/** The frames of one collection, each at most pieceBytesMax unless a single row is larger. */
export function* pieces(collection: Rows & Pick<SyncCollection, 'items' | 'removed'>): Generator<string> {
  let items: string[] = []
  let removed: string[] = []
  let bytes = 0
  const isFull = (size: number) => bytes > 0 && bytes + size > pieceBytesMax - pieceFrameBytes
  const cut = () => {
    const frame = rowsFrame(collection, items, removed)
    items = []
    removed = []
    bytes = 0
    return frame
  }
  for (const item of collection.items) {
    const size = Buffer.byteLength(item) + 1
    if (isFull(size)) yield cut()
    items.push(item)
    bytes += size
  }
  for (const id of collection.removed) {
    const size = Buffer.byteLength(JSON.stringify(id)) + 1
    if (isFull(size)) yield cut()
    removed.push(id)
    bytes += size
  }
  if (bytes > 0) yield cut()
}

/** A snapshot since a position, or the whole when that is too long ago. */
export const readSince = async (
  read: ReadSnapshot,
  userId: UserId,
  since: Position | null,
): Promise<{ snapshot: SyncSnapshot; reset: boolean }> => {
  if (since === null) return { snapshot: await read(userId, null), reset: true }
  const snapshot = await read(userId, since)
  return snapshot.tooOld ? { snapshot: await read(userId, null), reset: true } : { snapshot, reset: false }
}

/** All texts of a snapshot, to see how large it is. */
export function* textsOf({ collections }: SyncSnapshot): Generator<string> {
  for (const { items, removed } of collections) {
    yield* items
    yield* removed
  }
}

interface DocumentDependencies {
  readonly readSnapshot: ReadSnapshot
  readonly cursorPrefix: CursorPrefix
  readonly reached: Reached
  readonly syncTurns: SyncTurns
}

/**
 * The sync as one document, for clients without a socket.
 * @returns JSON text
 * @throws TooManySyncs
 */
export const syncDocument = async (
  { readSnapshot, cursorPrefix, reached, syncTurns }: DocumentDependencies,
  userId: UserId,
  cursor: string | undefined,
): Promise<string> => {
  const since = await sinceOf(cursor, cursorPrefix, reached)
  const turn = await syncTurns.wait().turn
  if (turn === undefined) throw new TooManySyncs('Many devices sync at the same time. Try again in a moment.')
  try {
    const { snapshot, reset } = await readSince(readSnapshot, userId, since)
    const rows = snapshot.collections
      .filter(({ items, removed }) => items.length > 0 || removed.length > 0)
      .map(collection => rowsFrame(collection, collection.items, collection.removed))
    return `{"reset":${reset},"rows":[${rows.join(',')}],"cursor":"${cursorPrefix}${snapshot.position}"}`
  } finally {
    turn.leave()
  }
}

/** What one user has to hear again from the ring: walks the entries with the user's topics as they were and change. */
export interface Replay {
  /** Frames of everything routed since the last call, in order; undefined when the ring has lost some of it. */
  next(): string[] | undefined
  readonly user: FollowedUser
}

/** What is left to replay that goes out in one turn with the last of the sync. */
const lastReplayFramesMax = 200
const lastReplayUnitsMax = pieceBytesMax

/** Whether a device must have taken some of it before the rest goes out. */
export const isMuch = (frames: readonly string[]): boolean =>
  frames.length > lastReplayFramesMax || frames.reduce((sum, { length }) => sum + length, 0) > lastReplayUnitsMax

/** Replays from the ring for a user this node already follows; undefined when the ring does not reach back. */
export const replayFollowed = (hub: Hub, user: FollowedUser, since: Position): Replay | undefined => {
  // What brought hidden conversations back stands in the ring only since this node follows the user.
  if (since < user.since || !hub.ring.covers(since)) return undefined
  const own = hub.ring.entriesFrom(since, initialTopics(user.userId, []))
  const topics = topicsBefore(user.topics, user.userId, own)
  return replayFrom(hub, user, since, { topics, hidden: new Map(), lastSeen: new Map() })
}

/** Replays what came after a snapshot; undefined when the ring does not reach back to it. */
export const replaySnapshot = (hub: Hub, userId: UserId, snapshot: SyncSnapshot): Replay | undefined => {
  const after = snapshot.position
  if (!hub.ring.coversAfter(after)) return undefined
  const user = hub.followed(userId) ?? followAfter(hub, userId, after, standingAt(userId, snapshot))
  // A row that comes back may stand in the ring as well: a device that gets it twice holds the same.
  return replayFrom(hub, user, after, standingAt(userId, snapshot), after)
}

/** What one user gets at a place in the log; walking the ring's entries moves it on. */
interface MovingStanding extends Standing {
  readonly topics: Set<Topic>
  readonly hidden: Map<string, ConversationRow>
  readonly lastSeen: Map<Topic, number>
}

const standingAt = (userId: UserId, { groupIds, peerIds, hidden, lastSeen }: SyncSnapshot): MovingStanding => ({
  topics: new Set(initialTopics(userId, groupIds, peerIds)),
  hidden: new Map(hidden.map(row => [row.conversationId, row])),
  lastSeen: new Map(lastSeen.map(({ groupId, lastSeq }) => [groupTopic(groupId), lastSeq])),
})

/** Follows a user from a snapshot: topics and hidden conversations as the ring's later events leave them. */
const followAfter = (hub: Hub, userId: UserId, after: Position, standing: MovingStanding): FollowedUser => {
  for (const entry of entriesOf(hub, userId, after, standing)) {
    if (entry.position > after) walk(entry.actions, userId, standing, () => {})
  }
  return hub.follow(userId, standing.topics, standing.hidden.values(), standing.lastSeen)
}

/** Entries that may concern the user: those of the topics held, and of topics joined in the meantime. */
const entriesOf = (hub: Hub, userId: UserId, from: Position, standing: Standing): readonly RingEntry[] => {
  const own = hub.ring.entriesFrom(from, initialTopics(userId, []))
  // A group that the user leaves on the way is still heard of, for what is recalled there.
  const all = new Set([...standing.topics, ...standing.lastSeen.keys()])
  for (const entry of own) {
    for (const action of entry.actions) if (action.do === 'join' && action.userId === userId) all.add(action.topic)
  }
  return hub.ring.entriesFrom(from, all)
}

/** Takes an entry's actions for one user: frames to send, topics joined and left, conversations hidden and back. */
const walk = (
  actions: readonly Action[],
  userId: UserId,
  standing: MovingStanding,
  send: (frame: string) => void,
): void => {
  const { topics, hidden, lastSeen } = standing
  for (const action of actions) {
    switch (action.do) {
      case 'publish':
        if (topics.has(action.topic)) send(action.frame)
        break
      case 'message': {
        if (!action.topics.some(topic => topics.has(topic))) break
        const row = hidden.get(action.conversationId)
        if (row !== undefined) {
          hidden.delete(action.conversationId)
          for (const topic of action.topics) lastSeen.delete(topic)
          send(revealFrame(row, action.seq, action.cursor))
        }
        send(action.frame)
        break
      }
      case 'recall':
        if (hearsOfRecall(action, standing)) send(action.frame)
        break
      case 'either':
        if (action.userId === userId) walk(chosen(action, standing), userId, standing, send)
        break
      case 'join':
      case 'leave': {
        if (action.userId !== userId) break
        if (action.do === 'leave') topics.delete(action.topic)
        else if (hasRoomFor(action.topic, topics)) topics.add(action.topic)
        if (action.do === 'join' && action.seesAll === true) lastSeen.delete(action.topic)
        const lastSeq = lastSeqAfter(action)
        if (lastSeq !== undefined && !lastSeen.has(action.topic)) lastSeen.set(action.topic, lastSeq)
        break
      }
      case 'hide':
      case 'marks': {
        const row = action.userId === userId ? hiddenAfter(action, hidden) : undefined
        if (row !== undefined) hidden.set(row.conversationId, row)
        break
      }
      case 'popup': {
        const row = topics.has(action.topic) ? hidden.get(action.conversationId) : undefined
        if (row !== undefined) hidden.set(action.conversationId, hiddenWithPopup(row, action.popupNumber))
        break
      }
      case 'cut':
        break
    }
  }
}

/** @param after the position whose own entry is not to be replayed */
const replayFrom = (
  hub: Hub,
  user: FollowedUser,
  from: Position,
  standing: MovingStanding,
  after?: Position,
): Replay => {
  let doneIndex = -1
  /** Everything up to here was walked; undefined before the first call. */
  let walkedTo = after
  return {
    user,
    next: () => {
      const { ring } = hub
      // A slow device may take longer than the ring holds what it still has to hear.
      if (walkedTo === undefined ? !ring.covers(from) : !ring.coversAfter(walkedTo)) return undefined
      const frames: string[] = []
      for (const entry of entriesOf(hub, user.userId, walkedTo ?? from, standing)) {
        if (entry.index <= doneIndex || (after !== undefined && entry.position <= after)) continue
        walk(entry.actions, user.userId, standing, frame => frames.push(frame))
        doneIndex = entry.index
      }
      walkedTo = hub.position
      return frames
    },
  }
}
