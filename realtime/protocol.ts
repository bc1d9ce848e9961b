// Owns the words of the socket: frames, close codes, topics and their bounds. No I/O; every text is built here.

import { type CloseName, closes, closesMany, socketLimits } from '../domain/frames.ts'
import type { ConversationId, GroupId, Instant, Position, SessionId, UserId } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import type { Collection, OpenCollection } from '../domain/rows.ts'

/** Their values stand where the documentation can read them. */
export const {
  helloMsMax,
  helloBytesMax,
  frameBytesMax,
  pieceBytesMax,
  framesBurstMax,
  framesPerSecondMax,
  pendingPerSocketMax,
  openGroupsMax,
  typingBurstMax,
  typingPerSecondMax,
  typingSeconds,
} = socketLimits
export const idleSecondsMax = socketLimits.heartbeatSeconds
export const atIntervalMs = socketLimits.atIntervalSeconds * 1_000
/** Bytes that may wait for a slow device before it is cut. */
export const socketBufferBytesMax = 1024 * 1024
/** A sync waits for the device to drain when this much waits. */
export const syncBufferBytes = 256 * 1024
/** Refused frames in a row after which the socket is closed. */
export const refusedFramesMax = 200

/** Seconds in which the devices come back that are all sent away at once. */
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

/** The answer to a hello. */
export const welcomeFrame = (
  id: string | null,
  { userId, sessionId }: { readonly userId: UserId; readonly sessionId: SessionId },
  serverTime: Instant,
  reset: boolean,
): string => {
  const { textCharactersMax } = limits
  const told = { framesPerSecondMax, framesBurstMax, pendingPerSocketMax, textCharactersMax }
  const ok = { userId, sessionId, serverTime, reset, heartbeatSeconds: idleSecondsMax, limits: told }
  return JSON.stringify({ re: id, ok })
}

export const atFrame = (cursor: string): string => `{"op":"at","cursor":"${cursor}"}`
export const syncedFrame = (cursor: string): string => `{"op":"synced","cursor":"${cursor}"}`

export const typingFrame = (conversationId: ConversationId, from: UserId): string =>
  JSON.stringify({ op: 'typing', conversationId, from, expiresInSeconds: typingSeconds })
