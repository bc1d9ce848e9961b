// Owns the rules between two people (R6–R9): asking, answering, ending, and what each writes down about the other. Never makes
// friends of two who did not both want it: who is asked answers, has asked as well, or takes anyone.
// Reads the friends and waiting requests of both, the policy and the block list of who is asked, as facts. Stale ones let a request
// of one blocked a moment ago arrive, make friends by a policy just changed, and overshoot a cap by `friendsOvershootPerNodeMax` for
// each further server that decides for the same user at once: each decides for one user at a time (api/friend-room.ts).

import type { FriendPolicy } from '../account/profile.ts'
import { type Decider, type Decision, type Load, noRuleFor, reject } from '../decider.ts'
import { may } from '../group/permissions.ts'
import { type Group, roleIn } from '../group/state.ts'
import type { Instant, UserId } from '../ids.ts'
import { instantPlusSeconds } from '../instants.ts'
import { limits } from '../limits.ts'
import type { FriendSource, FriendshipEvent, FriendsMade } from './events.ts'
import { evolve, type Friendship, noNote, noteBy, noteOf, type PendingRequest, strangers } from './state.ts'

export type { FriendSource, FriendshipEvent } from './events.ts'
export type { Friendship } from './state.ts'

/** Friends above the cap, and waiting requests, that each server beyond the first can add, when all decide for one user at once. */
export const friendsOvershootPerNodeMax = 1

interface Actor {
  readonly by: UserId
  /** The other one. */
  readonly userId: UserId
  readonly at: Instant
}

export interface RequestFriend extends Actor {
  readonly type: 'RequestFriend'
  /** For a new request; one that waits keeps its own. */
  readonly requestId: string
  readonly message?: string
  readonly source?: FriendSource
}

export interface AcceptFriendRequest extends Actor {
  readonly type: 'AcceptFriendRequest'
}

export interface RejectFriendRequest extends Actor {
  readonly type: 'RejectFriendRequest'
  readonly reason?: string
}

export interface WithdrawFriendRequest extends Actor {
  readonly type: 'WithdrawFriendRequest'
}

/** By the server, once the time to answer is over. */
export interface ExpireFriendRequest {
  readonly type: 'ExpireFriendRequest'
  readonly requestId: string
  readonly at: Instant
}

export interface DeleteFriend extends Actor {
  readonly type: 'DeleteFriend'
}

/** By the server, once the account of `by` is closed. */
export interface EndFriendship extends Actor {
  readonly type: 'EndFriendship'
}

export interface NoteFriend extends Actor {
  readonly type: 'NoteFriend'
  /** Null takes it away; absent leaves it. */
  readonly remark?: string | null
  readonly extension?: string | null
  readonly starred?: boolean
}

export type FriendshipCommand =
  | RequestFriend
  | AcceptFriendRequest
  | RejectFriendRequest
  | WithdrawFriendRequest
  | ExpireFriendRequest
  | DeleteFriend
  | EndFriendship
  | NoteFriend

/** What stands in the way of one more friend. AcceptFriendRequest and RequestFriend need these. */
export interface RoomFacts {
  readonly friendsMax: number
  /** Friends of who gives the command, and of the other one. */
  readonly ownFriends: number
  readonly peerFriends: number
}

/** RequestFriend needs these. */
export interface RequestFacts extends RoomFacts {
  /** Requests of who asks that wait for an answer. */
  readonly ownRequests: number
  /** The other one exists, and the account is complete. */
  readonly peerIsLive: boolean
  readonly peerPolicy: FriendPolicy
  /** Who asks is on the other's block list (R10). */
  readonly isBlocked: boolean
  /** The group by way of which the other one is asked, if that is how. */
  readonly group: Group | undefined
}

export type FriendshipFacts = RequestFacts | RoomFacts | undefined

export type FriendshipRejection =
  | 'friend.self'
  | 'friend.refused'
  | 'friend.group-forbids'
  | 'friend.already-friends'
  | 'friend.request-limit'
  | 'friend.limit'
  | 'friend.peer-limit'
  | 'friend.not-found'
  | 'friend.request-not-found'
  | 'friend.request-ended'
  | 'group.not-found'
  | 'group.target-not-member'
  | 'user.not-found'

type FriendshipDecision = Decision<FriendshipEvent, FriendshipRejection>

const noRoom = ({ friendsMax, ownFriends, peerFriends }: RoomFacts) => {
  if (ownFriends >= friendsMax) {
    return reject('friend.limit', `You have ${friendsMax} friends, as many as anybody may have. Delete one first.`)
  }
  if (peerFriends >= friendsMax)
    return reject('friend.peer-limit', 'This user has as many friends as anybody may have.')
  return undefined
}

const tooManyWait = ({ ownRequests }: RequestFacts) => {
  const most = limits.friendRequestsPendingPerUserMax
  return ownRequests < most
    ? undefined
    : reject('friend.request-limit', `${most} of your friend requests wait for an answer. Take one back first.`)
}

/** A request that waits at that time; one whose time is over no longer does, whether or not it was said yet. */
const waiting = (state: Friendship, at: Instant): PendingRequest | null =>
  state.pending !== null && at < state.pending.expiresAt ? state.pending : null

const expired = ({ pending }: Friendship, at: Instant): readonly FriendshipEvent[] =>
  pending === null || at < pending.expiresAt
    ? []
    : [{ type: 'FriendRequestExpired', data: { requestId: pending.requestId, from: pending.from, to: pending.to, at } }]

const made = (
  state: Friendship,
  request: Omit<PendingRequest, 'expiresAt'>,
  how: FriendsMade['data']['how'],
  at: Instant,
): FriendsMade => {
  const { requestId, from, to, messages, source } = request
  const message = messages.at(-1)?.text
  const fromNote = noteBy(state, from)
  const toNote = noteBy(state, to)
  const data: FriendsMade['data'] = {
    from,
    to,
    how,
    requestId,
    waited: waiting(state, at)?.requestId === requestId,
    ...(message === undefined ? undefined : { message }),
    ...(source === undefined ? undefined : { source }),
    ...(fromNote === undefined ? undefined : { fromNote }),
    ...(toNote === undefined ? undefined : { toNote }),
    at,
  }
  return { type: 'FriendsMade', data }
}

/** The block and the policy are answered alike: nobody is told of a block (R10). */
const refusedByPeer = ({ peerPolicy, isBlocked }: RequestFacts) =>
  isBlocked || peerPolicy === 'nobody'
    ? reject('friend.refused', 'This user takes no friend requests from you.')
    : undefined

/** By way of a group ask only its members each other, and plain ones only where the group lets them (R46). */
const refusedByGroup = ({ by, userId }: Actor, group: Group | undefined) => {
  if (group === undefined) return undefined
  const role = roleIn(group, by)
  if (group.status !== 'open' || role === null) return reject('group.not-found', 'There is no such group for you.')
  if (roleIn(group, userId) === null) return reject('group.target-not-member', 'This user is not in the group.')
  return may('requestFriendship', role, group)
    ? undefined
    : reject('friend.group-forbids', 'The members of this group cannot ask each other for friendship.')
}

const requestFriend = (command: RequestFriend, state: Friendship, facts: RequestFacts): FriendshipDecision => {
  const { by, userId, at, requestId, message } = command
  if (by === userId) return reject('friend.self', 'Nobody is their own friend.')
  if (!facts.peerIsLive) return reject('user.not-found', 'There is no such user.')
  if (state.since !== null) return reject('friend.already-friends', 'You are friends already.')
  const pending = waiting(state, at)
  // Who was asked and asks as well has answered: neither policy nor block stands against an answer.
  if (pending !== null && pending.from === userId) return noRoom(facts) ?? [made(state, pending, 'crossed', at)]
  const refused = refusedByGroup(command, facts.group) ?? refusedByPeer(facts) ?? noRoom(facts)
  if (refused !== undefined) return refused
  const earlier = pending?.messages ?? []
  const source = command.source ?? pending?.source
  const asked = {
    requestId: pending?.requestId ?? requestId,
    from: by,
    to: userId,
    messages:
      message === undefined ? earlier : [...earlier, { text: message, at }].slice(-limits.friendRequestMessagesMax),
    ...(source === undefined ? undefined : { source }),
  }
  if (facts.peerPolicy === 'anyone') return [...expired(state, at), made(state, asked, 'direct', at)]
  const data = { ...asked, expiresAt: instantPlusSeconds(at, limits.friendRequestLifeSeconds), at }
  if (pending !== null) return [{ type: 'FriendRequestRepeated', data }]
  return tooManyWait(facts) ?? [...expired(state, at), { type: 'FriendRequested', data }]
}

/** The request that the other one made and that waits; or why there is nothing to answer. */
const toAnswer = ({ userId, at }: Actor, state: Friendship, answer: 'accepted' | 'rejected') => {
  const pending = waiting(state, at)
  if (pending !== null) return pending.from === userId ? pending : noRequest()
  const { ended } = state
  // Also one whose end nobody has said yet.
  if (state.pending?.from === userId) return over()
  if (ended === null || ended.from !== userId || ended.state === 'withdrawn') return noRequest()
  return ended.state === answer ? [] : over()
}

const noRequest = () => reject('friend.request-not-found', 'There is no friend request of this user.')
const over = () => reject('friend.request-ended', 'The friend request was answered already, or its time is over.')

const accept = (command: AcceptFriendRequest, state: Friendship, facts: RoomFacts): FriendshipDecision => {
  const request = toAnswer(command, state, 'accepted')
  if (!('requestId' in request)) return request
  return noRoom(facts) ?? [made(state, request, 'accepted', command.at)]
}

const rejectRequest = (command: RejectFriendRequest, state: Friendship): FriendshipDecision => {
  const request = toAnswer(command, state, 'rejected')
  if (!('requestId' in request)) return request
  const { requestId, from, to } = request
  const reason = command.reason === undefined ? undefined : { reason: command.reason }
  return [{ type: 'FriendRequestRejected', data: { requestId, from, to, ...reason, at: command.at } }]
}

const withdraw = ({ by, at }: WithdrawFriendRequest, state: Friendship): FriendshipDecision => {
  const pending = waiting(state, at)
  if (pending !== null && pending.from === by) {
    const { requestId, from, to } = pending
    return [{ type: 'FriendRequestWithdrawn', data: { requestId, from, to, at } }]
  }
  const { ended } = state
  if (pending === null && state.pending?.from === by) return over()
  if (pending !== null || ended === null || ended.from !== by) return noRequest()
  return ended.state === 'withdrawn' ? [] : over()
}

const expire = ({ requestId, at }: ExpireFriendRequest, state: Friendship): FriendshipDecision =>
  state.pending?.requestId === requestId ? expired(state, at) : []

const ends = ({ by, userId, at }: Actor, state: Friendship, reason: 'deleted' | 'accountClosed'): FriendshipDecision =>
  state.since === null ? [] : [{ type: 'FriendDeleted', data: { by, userId, reason, at } }]

/** A request of one who is gone is taken back; one to them is never answered. */
const endFriendship = (command: EndFriendship, state: Friendship): FriendshipDecision => {
  const { pending } = state
  if (pending === null) return ends(command, state, 'accountClosed')
  const { requestId, from, to } = pending
  const type = from === command.by ? 'FriendRequestWithdrawn' : 'FriendRequestExpired'
  return [{ type, data: { requestId, from, to, at: command.at } }]
}

const changed = (before: string | undefined, change: string | null | undefined): string | undefined =>
  change === undefined ? before : (change ?? undefined)

const noteFriend = (command: NoteFriend, state: Friendship): FriendshipDecision => {
  const { since } = state
  if (since === null) return reject('friend.not-found', 'This user is no friend of yours.')
  const { by, userId, at } = command
  const before = noteBy(state, by) ?? noNote
  const remark = changed(before.remark, command.remark)
  const extension = changed(before.extension, command.extension)
  const starred = command.starred ?? before.starred
  if (remark === before.remark && extension === before.extension && starred === before.starred) return []
  const note = noteOf({ starred, ...(remark && { remark }), ...(extension && { extension }) })
  return [{ type: 'FriendNoted', data: { ...note, by, userId, since, at } }]
}

const needed = <Facts>(facts: Facts | undefined): Facts => {
  if (facts === undefined) throw new Error('making friends needs facts of both')
  return facts
}

/** Notes and requests can be repeated without end: snapshots bound what a cold load costs. */
const load: Load<Friendship> = {
  by: 'snapshot',
  version: 1,
  everyEvents: 200,
  encode: state => state,
  decode: json => json as Friendship,
}

/** The rules of `friendship-<a>~<b>` (R6–R9). */
export const friendship: Decider<Friendship, FriendshipCommand, FriendshipEvent, FriendshipRejection, FriendshipFacts> =
  {
    category: 'friendship',
    load,
    initial: strangers,
    evolve,
    decide: (command, state, facts) => {
      switch (command.type) {
        case 'RequestFriend':
          return requestFriend(command, state, needed(facts) as RequestFacts)
        case 'AcceptFriendRequest':
          return accept(command, state, needed(facts))
        case 'RejectFriendRequest':
          return rejectRequest(command, state)
        case 'WithdrawFriendRequest':
          return withdraw(command, state)
        case 'ExpireFriendRequest':
          return expire(command, state)
        case 'DeleteFriend':
          return ends(command, state, 'deleted')
        case 'EndFriendship':
          return endFriendship(command, state)
        case 'NoteFriend':
          return noteFriend(command, state)
        default:
          return noRuleFor(command)
      }
    },
  }
