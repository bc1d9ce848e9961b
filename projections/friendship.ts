// Owns the friends of each user and the friend requests between them (R6–R9): two rows for two people, each one's own side.
// Who is a friend is never asked here by a rule: that is decided on the log's own state; how many there are is counted here.

import type { FriendSource } from '../domain/friendship/events.ts'
import {
  type FriendRequestRow,
  type FriendRow,
  friendRequestRowOf,
  friendRowOf,
  notedRowOf,
} from '../domain/friendship/row.ts'
import type { Position, UserId } from '../domain/ids.ts'
import type { Batch, Recorded } from './batch.ts'
import type { Transaction } from './database.ts'
import type { Projection } from './projection.ts'
import type { FriendRequestTable, FriendTable } from './schema.ts'
import { type Fold, startFold, tableOf } from './table.ts'

const friendTable = tableOf('friend', ['user_id', 'friend_id'], {
  user_id: 'text',
  friend_id: 'text',
  remark: 'text',
  wire: 'text',
  removed_at: 'timestamptz',
  position: 'text',
})

const requestTable = tableOf('friend_request', ['user_id', 'peer_id'], {
  user_id: 'text',
  peer_id: 'text',
  direction: 'text',
  request_id: 'text',
  messages: 'text',
  source: 'text',
  state: 'text',
  reason: 'text',
  at: 'timestamptz',
  asked_position: 'text',
  expires_at: 'timestamptz',
  ended_at: 'timestamptz',
  position: 'text',
})

const friendFolds = ['FriendsMade', 'FriendDeleted', 'FriendNoted'] as const
const requestFolds = [
  'FriendRequested',
  'FriendRequestRepeated',
  'FriendsMade',
  'FriendRequestRejected',
  'FriendRequestWithdrawn',
  'FriendRequestExpired',
] as const

type FriendEvent = Recorded<(typeof friendFolds)[number]>
type RequestEvent = Recorded<(typeof requestFolds)[number]>

const pairOf = ({ type, data }: FriendEvent): readonly [UserId, UserId] =>
  type === 'FriendsMade' ? [data.from, data.to] : [data.by, data.userId]

const bothWays = ([one, other]: readonly [UserId, UserId]): [UserId, UserId][] => [
  [one, other],
  [other, one],
]

const friendRow = (userId: UserId, row: FriendRow, position: Position): FriendTable => ({
  user_id: userId,
  friend_id: row.userId,
  remark: row.remark ?? null,
  wire: JSON.stringify(row),
  removed_at: null,
  position,
})

const stepFriends = (fold: Fold<FriendTable>, event: FriendEvent): void => {
  const { type, data, position } = event
  switch (type) {
    case 'FriendsMade':
      for (const viewer of [data.from, data.to]) fold.put(friendRow(viewer, friendRowOf(data, viewer), position))
      break
    case 'FriendNoted':
      fold.put(friendRow(data.by, notedRowOf(data), position))
      break
    case 'FriendDeleted':
      for (const pair of bothWays([data.by, data.userId])) {
        const row = fold.get(...pair)
        if (row !== undefined) fold.put({ ...row, removed_at: data.at, position })
      }
  }
}

const requestRow = (userId: UserId, row: FriendRequestRow): Omit<FriendRequestTable, 'position'> => ({
  user_id: userId,
  peer_id: row.userId,
  direction: row.direction,
  request_id: row.requestId,
  messages: JSON.stringify(row.messages),
  source: row.source === undefined ? null : JSON.stringify(row.source),
  state: row.state,
  reason: null,
  at: row.at,
  asked_position: row.position,
  expires_at: row.expiresAt,
  ended_at: null,
})

const endStates = {
  FriendsMade: 'accepted',
  FriendRequestRejected: 'rejected',
  FriendRequestWithdrawn: 'withdrawn',
  FriendRequestExpired: 'expired',
} as const

const stepRequests = (fold: Fold<FriendRequestTable>, event: RequestEvent): void => {
  const { type, data, position } = event
  if (type === 'FriendRequested' || type === 'FriendRequestRepeated') {
    for (const viewer of [data.from, data.to]) {
      fold.put({ ...requestRow(viewer, friendRequestRowOf(data, viewer, position)), position })
    }
    return
  }
  if (type === 'FriendsMade' && !data.waited) return
  const reason = type === 'FriendRequestRejected' ? (data.reason ?? null) : null
  for (const pair of bothWays([data.from, data.to])) {
    const row = fold.get(...pair)
    if (row !== undefined) fold.put({ ...row, state: endStates[type], reason, ended_at: data.at, position })
  }
}

const applyFriends = async (transaction: Transaction, batch: Batch): Promise<void> => {
  const events = batch.ofAny(friendFolds)
  if (events.length === 0) return
  const keys = events.flatMap(event => bothWays(pairOf(event)))
  const fold = await startFold(transaction, friendTable, keys)
  for (const event of events) stepFriends(fold, event)
  await fold.write()
}

const applyRequests = async (transaction: Transaction, batch: Batch): Promise<void> => {
  const events = batch.ofAny(requestFolds)
  if (events.length === 0) return
  const keys = events.flatMap(({ data }) => bothWays([data.from, data.to]))
  const fold = await startFold(transaction, requestTable, keys)
  for (const event of events) stepRequests(fold, event)
  await fold.write()
}

export const friendshipProjection: Projection = {
  name: 'friendship',
  tables: ['friend', 'friend_request'],
  reads: [],
  folds: [...new Set([...friendFolds, ...requestFolds])],
  apply: async (transaction, batch) => {
    await applyFriends(transaction, batch)
    await applyRequests(transaction, batch)
  },
}

export const friendRequestRowFrom = (row: FriendRequestTable): FriendRequestRow => ({
  userId: row.peer_id,
  direction: row.direction,
  requestId: row.request_id,
  messages: JSON.parse(row.messages),
  ...(row.source === null ? undefined : { source: JSON.parse(row.source) as FriendSource }),
  state: row.state,
  at: row.at,
  position: row.asked_position,
  expiresAt: row.expires_at,
  ...(row.reason === null ? undefined : { reason: row.reason }),
  ...(row.ended_at === null ? undefined : { endedAt: row.ended_at }),
})
