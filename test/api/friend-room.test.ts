// The friend cap under concurrency (R6): one server never overshoots it, and each further one by the named number at most,
// although their read models lag behind their decisions.

import { describe, expect, it } from 'vitest'
import { createFriendRoom, type FriendRoom } from '../../api/friend-room.ts'
import { isRejection } from '../../domain/decider.ts'
import { friendship, friendsOvershootPerNodeMax } from '../../domain/friendship/friendship.ts'
import type { Position, UserId } from '../../domain/ids.ts'
import { limits } from '../../domain/limits.ts'
import { positionOf } from '../../eventstore/port.ts'
import type { Database } from '../../projections/database.ts'
import { ann, asked, at, facts } from '../support/friendship.ts'

const friendsMax = 5

/** One log, and read models that pass a position only when somebody waits for it: as late as can be. */
const lateModels = () => {
  const log: { readonly position: Position; readonly pair: readonly string[] }[] = []
  let seen = positionOf(0)
  const counts = (userIds: readonly string[]) =>
    userIds.map(userId => ({
      user_id: userId,
      friends: log.filter(({ position, pair }) => position <= seen && pair.includes(userId)).length,
      requests: log.filter(({ position, pair }) => position <= seen && pair[0] === userId).length,
    }))
  return {
    database: { query: async (_: unknown, [userIds]: [string[]]) => counts(userIds) } as unknown as Database,
    passed: async (position: Position) => {
      await new Promise(resolve => setImmediate(resolve))
      if (position > seen) seen = position
      return true
    },
    append: async (pair: readonly string[]): Promise<Position> => {
      const position = positionOf(log.length + 1)
      log.push({ position, pair })
      await new Promise(resolve => setImmediate(resolve))
      return position
    },
    log,
  }
}

type Models = ReturnType<typeof lateModels>

/** Ann accepts the request of one more. */
const acceptOne = (room: FriendRoom, models: Models, name: string) =>
  room.decide(ann, name as UserId, async counts => {
    const waiting = asked({ requestId: name, from: name as UserId, to: ann })
    const state = friendship.evolve(friendship.initial, waiting)
    const command = { type: 'AcceptFriendRequest', by: ann, userId: name as UserId, at } as const
    const decided = friendship.decide(command, state, { ...counts, friendsMax })
    if (isRejection(decided)) return decided
    const position = await models.append([ann, name])
    return { position, revision: 1, state, events: decided, repeated: false }
  })

/** Ann asks one more. */
const askOne = (room: FriendRoom, models: Models, name: string) =>
  room.decide(ann, name as UserId, async counts => {
    const command = { type: 'RequestFriend', by: ann, userId: name as UserId, requestId: name, at } as const
    const decided = friendship.decide(command, friendship.initial, facts(counts))
    if (isRejection(decided)) return decided
    const position = await models.append([ann, name])
    return { position, revision: 0, state: friendship.initial, events: decided, repeated: false }
  })

const names = (prefix: string) => Array.from({ length: 20 }, (_, index) => `${prefix}${index}`)

describe('the cap', () => {
  it('is never overshot by one server', async () => {
    const models = lateModels()
    const room = createFriendRoom(models.database, models.passed)
    await Promise.all(names('u').map(name => acceptOne(room, models, name)))
    expect(models.log).toHaveLength(friendsMax)
  })

  it.each([2, 3, 5])('is overshot by %i servers at once by one each beyond the first, at most', async count => {
    const models = lateModels()
    const rooms = Array.from({ length: count }, () => createFriendRoom(models.database, models.passed))
    const all = rooms.flatMap((room, index) => names(`u${index}-`).map(name => acceptOne(room, models, name)))
    await Promise.all(all)
    expect(models.log.length).toBeGreaterThanOrEqual(friendsMax)
    expect(models.log.length).toBeLessThanOrEqual(friendsMax + (count - 1) * friendsOvershootPerNodeMax)
  })

  it.each([1, 3])('on requests that wait is held like that of friends, by %i servers at once', async count => {
    const models = lateModels()
    const most = limits.friendRequestsPendingPerUserMax
    const rooms = Array.from({ length: count }, () => createFriendRoom(models.database, models.passed))
    for (let round = 0; round * 10 < most + 20; round++) {
      const asking = rooms.flatMap((room, index) =>
        Array.from({ length: 10 }, (_, next) => askOne(room, models, `u${index}-${round}-${next}`)),
      )
      await Promise.all(asking)
    }
    expect(models.log.length).toBeGreaterThanOrEqual(most)
    expect(models.log.length).toBeLessThanOrEqual(most + (count - 1) * friendsOvershootPerNodeMax)
  })

  it('is not decided on while the read models have not seen the last friend', async () => {
    const models = lateModels()
    const room = createFriendRoom(models.database, async () => false)
    expect(await acceptOne(room, models, 'first')).toMatchObject({ events: [{ type: 'FriendsMade' }] })
    expect(await acceptOne(room, models, 'second')).toMatchObject({ rejected: 'projection.behind' })
    expect(models.log).toHaveLength(1)
  })

  it('lets only so many wait for one user', async () => {
    const models = lateModels()
    const room = createFriendRoom(models.database, models.passed)
    const many = Array.from({ length: 150 }, (_, index) => acceptOne(room, models, `u${index}`))
    const codes = (await Promise.all(many)).map(outcome => ('rejected' in outcome ? outcome.rejected : 'made'))
    expect(codes.filter(code => code === 'overloaded')).toHaveLength(50)
    expect(codes.filter(code => code === 'made')).toHaveLength(friendsMax)
  })
})
