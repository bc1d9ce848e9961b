// Owns the words of the socket: frames, close codes, topics and their bounds. No I/O; every text is built here.

import type { ConversationId, GroupId, Position, UserId } from '../domain/ids.ts'
import type { Collection, OpenCollection } from '../domain/rows.ts'

/** Time and bytes a socket may take before its `hello`. */
export const helloMsMax = 10_000
export const helloBytesMax = 4 * 1024
/** Largest frame a client may send; the same as an HTTP body. */
export const frameBytesMax = 64 * 1024
/** Largest piece of a sync. */
export const pieceBytesMax = 64 * 1024
/** Bytes that may wait for a slow device before it is cut. */
export const socketBufferBytesMax = 1024 * 1024
/** A sync waits for the device to drain when this much waits. */
export const syncBufferBytes = 256 * 1024
/** Seconds without a byte from the device after which it counts as gone; pings go out before. */
export const idleSecondsMax = 120
/** A cursor is sent at least this often. */
export const atIntervalMs = 60_000
/** Characters of a frame's `id`. */
export const frameIdCharactersMax = 64
/** Frames one socket may send: a bucket of so many, refilled at so many a second. */
export const framesBurstMax = 400
export const framesPerSecondMax = 100
/** Refused frames in a row after which the socket is closed. */
export const refusedFramesMax = 200
/** Commands of one socket that may be under way. */
export const pendingPerSocketMax = 256
/** Groups whose members a socket may watch at once. */
export const openGroupsMax = 20

/** What a device does after a close. */
export type Reconnect = 'now' | 'later' | 'refresh' | 'never'

/** Every close code the server sends, with its reason and what the device does then (api.md, close codes). */
export const closes = {
  badFrame: { code: 4400, reason: 'frame.invalid', reconnect: 'later' },
  tokenExpired: { code: 4401, reason: 'token.expired', reconnect: 'refresh' },
  ended: { code: 4403, reason: 'session.ended', reconnect: 'never' },
  noHello: { code: 4408, reason: 'hello.timeout', reconnect: 'later' },
  replaced: { code: 4409, reason: 'socket.replaced', reconnect: 'never' },
  tooFast: { code: 4429, reason: 'rate.limited', reconnect: 'later' },
  internal: { code: 4500, reason: 'internal', reconnect: 'later' },
  draining: { code: 4503, reason: 'server.draining', reconnect: 'later' },
  behind: { code: 4503, reason: 'server.behind', reconnect: 'later' },
  busy: { code: 4503, reason: 'server.busy', reconnect: 'later' },
} as const satisfies Record<string, { code: number; reason: string; reconnect: Reconnect }>

export type CloseName = keyof typeof closes

/** Code of the closes that meet many devices at once: each is told another time to come back. */
const closesMany = 4503
const retryAfterSecondsMin = 1
const retryAfterSecondsMax = 15

/** @param chance from 0 to 1, another one for each device */
export const byeFrame = (name: CloseName, chance: number): string => {
  const { code, reason, reconnect } = closes[name]
  const seconds = retryAfterSecondsMin + chance * (retryAfterSecondsMax - retryAfterSecondsMin)
  const later = code === closesMany ? { retryAfterSeconds: Math.round(seconds * 1_000) / 1_000 } : undefined
  return JSON.stringify({ op: 'bye', code, reason, reconnect, ...later })
}

export type Topic = string

export const userTopic = (userId: UserId): Topic => `u:${userId}`
export const groupTopic = (groupId: GroupId): Topic => `g:${groupId}`
export const isGroupTopic = (topic: Topic): boolean => topic.startsWith('g:')
/** A user's own row of `users`, for those who hold it: the other in a P2P conversation. */
export const profileTopic = (userId: UserId): Topic => `p:${userId}`
export const isProfileTopic = (topic: Topic): boolean => topic.startsWith('p:')
/** Rows of a group's members, for sockets that opened them. */
export const membersTopic = (groupId: GroupId): Topic => `m:${groupId}`

/** What stands before the position in every cursor: `<logId>.<version of the read models>.` */
export type CursorPrefix = string

export interface ParsedCursor {
  readonly prefix: CursorPrefix
  readonly position: Position
}

const cursorPattern = /^([^.]{1,64}\.\d{1,6}\.)([0-9a-f]{16})$/

export const parseCursor = (text: string): ParsedCursor | undefined => {
  const match = cursorPattern.exec(text)
  return match === null ? undefined : { prefix: match[1] as string, position: match[2] as Position }
}

/** A whole row. @param value the row as JSON text */
export const putFrame = (cursor: string, collection: Collection | OpenCollection, value: string): string =>
  `{"op":"put","collection":"${collection}","cursor":"${cursor}","value":${value}}`

/** Changed fields of a row. @param set the fields as JSON text */
export const patchFrame = (cursor: string, collection: Collection | OpenCollection, id: string, set: string): string =>
  `{"op":"patch","collection":"${collection}","cursor":"${cursor}","id":${JSON.stringify(id)},"set":${set}}`

export const removeFrame = (cursor: string, collection: Collection | OpenCollection, id: string): string =>
  `{"op":"remove","collection":"${collection}","cursor":"${cursor}","id":${JSON.stringify(id)}}`

export const atFrame = (cursor: string): string => `{"op":"at","cursor":"${cursor}"}`
export const syncedFrame = (cursor: string): string => `{"op":"synced","cursor":"${cursor}"}`

/** Seconds after which a device stops showing that somebody is typing. */
export const typingSeconds = 6

export const typingFrame = (conversationId: ConversationId, from: UserId): string =>
  JSON.stringify({ op: 'typing', conversationId, from, expiresInSeconds: typingSeconds })
