// Two people and all commands between them, in every order that chance gives, from both sides: what comes out is held against a
// plain model. Nobody becomes a friend without having wanted it, and a request ends once.

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { isRejection } from '../../domain/decider.ts'
import { type FriendshipCommand, type FriendshipEvent, friendship } from '../../domain/friendship/friendship.ts'
import type { UserId } from '../../domain/ids.ts'
import { ann, at, bob, days, facts } from '../support/friendship.ts'

/** What a person would say of the two. */
interface Model {
  friends: boolean
  /** Who waits for an answer since when (in days); asking again begins anew. */
  waiting: { readonly from: UserId; readonly day: number; readonly requestId: string } | undefined
  /** Requests that were made and have not ended. */
  readonly open: Set<string>
}

const step = fc.record({
  what: fc.constantFrom('ask', 'ask', 'accept', 'accept', 'reject', 'withdraw', 'expire', 'delete', 'close', 'note'),
  byAnn: fc.boolean(),
  passes: fc.constantFrom(0, 0, 0, 1, 3, 8),
  policy: fc.constantFrom('approval', 'approval', 'approval', 'anyone', 'nobody'),
  isBlocked: fc.constantFrom(false, false, false, true),
  isFull: fc.constantFrom(false, false, false, false, true),
} as const)

type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

const commandOf = ({ what, byAnn }: Step, number: number, day: number, model: Model): FriendshipCommand => {
  const [by, userId] = byAnn ? [ann, bob] : [bob, ann]
  const actor = { by, userId, at: days(day) }
  switch (what) {
    case 'ask':
      return { type: 'RequestFriend', ...actor, requestId: `r${number}`, message: `${number}` }
    case 'accept':
      return { type: 'AcceptFriendRequest', ...actor }
    case 'reject':
      return { type: 'RejectFriendRequest', ...actor }
    case 'withdraw':
      return { type: 'WithdrawFriendRequest', ...actor }
    case 'expire':
      return { type: 'ExpireFriendRequest', requestId: model.waiting?.requestId ?? 'none', at: actor.at }
    case 'delete':
      return { type: 'DeleteFriend', ...actor }
    case 'close':
      return { type: 'EndFriendship', ...actor }
    case 'note':
      return { type: 'NoteFriend', ...actor, remark: `${number}` }
  }
}

/** Whether the two are friends after the step, by plain words. */
const becomeFriends = ({ what, byAnn, policy, isBlocked, isFull }: Step, model: Model, day: number): boolean => {
  const by = byAnn ? ann : bob
  const { waiting } = model
  const isWaiting = waiting !== undefined && day < waiting.day + 7
  const otherAsked = isWaiting && waiting.from !== by
  if (isFull) return false
  if (what === 'accept') return otherAsked
  return what === 'ask' && (otherAsked || (policy === 'anyone' && !isBlocked))
}

const follow = (model: Model, events: readonly FriendshipEvent[], day: number): void => {
  for (const { type, data } of events) {
    switch (type) {
      case 'FriendRequested':
        expect(model.waiting, 'a second request while one waits').toBeUndefined()
        model.open.add(data.requestId)
        model.waiting = { from: data.from, day, requestId: data.requestId }
        break
      case 'FriendRequestRepeated':
        expect(model.waiting).toMatchObject({ from: data.from, requestId: data.requestId })
        model.waiting = { from: data.from, day, requestId: data.requestId }
        break
      case 'FriendsMade':
        expect(model.friends).toBe(false)
        expect(data.waited).toBe(model.open.has(data.requestId))
        model.open.delete(data.requestId)
        model.friends = true
        model.waiting = undefined
        break
      case 'FriendDeleted':
        expect(model.friends).toBe(true)
        model.friends = false
        break
      case 'FriendNoted':
        expect(model.friends).toBe(true)
        break
      default:
        expect(model.open.delete(data.requestId), `${type} of a request that was not open`).toBe(true)
        model.waiting = undefined
    }
  }
}

it('holds for two people, all commands, both ways', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      let state = friendship.initial
      let day = 0
      const model: Model = { friends: false, waiting: undefined, open: new Set() }
      for (const [number, one] of steps.entries()) {
        day += one.passes
        const command = commandOf(one, number, day, model)
        const known = facts({
          peerPolicy: one.policy,
          isBlocked: one.isBlocked,
          ...(one.isFull ? { friendsMax: 0 } : {}),
        })
        const wasFriends = model.friends
        const becomes = becomeFriends(one, model, day)
        const decided = friendship.decide(command, state, known)
        if (isRejection(decided)) {
          expect(becomes && !wasFriends).toBe(false)
          continue
        }
        follow(model, decided, day)
        for (const event of decided) state = friendship.evolve(state, event)
        if (!wasFriends) expect(model.friends).toBe(becomes)
        expect(state.since !== null).toBe(model.friends)
        expect(state.pending?.requestId).toBe(model.waiting?.requestId)
        // The same once more is never something new.
        const again = friendship.decide(command, state, known)
        const repeats = command.type === 'RequestFriend' && !model.friends
        if (!isRejection(again) && !repeats) expect(again).toEqual([])
      }
    }),
    { numRuns: 2_000 },
  )
  expect(days(0)).toBe(at)
})
