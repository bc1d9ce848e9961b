// Owns what follows from what happens to an account: what it no longer signs in by is freed (R1), and one who closed it leaves
// their groups and has no friends. Every step bears being done again: what is done already is refused or changes nothing.
// Must never free what the account lists: a claim made after the change is another one (domain/identity).

import type { AccountClosed, IdentityBound, IdentityKind } from '../domain/account/events.ts'
import { identity } from '../domain/identity/identity.ts'
import { type GroupId, type Instant, type Position, streamOf, type UserId } from '../domain/ids.ts'
import type { Node } from '../eventstore/node.ts'
import type { RecordedEvent } from '../eventstore/port.ts'
import { bringsPeople, leaveForGood, takeOutClosed } from './closed-members.ts'
import type { Follower } from './runner.ts'

/** How long an event may be ahead of what this node has seen. */
const seenMsMax = 5_000

export interface AccountsFollowerDependencies {
  readonly node: Node
  /** Resolves once the read models have passed the position; rejects when they take too long. */
  readonly folded: (position: Position) => Promise<void>
  /** The groups a user is a member of, or has open requests in, as the read models have them. */
  readonly groupIdsOf: (userId: UserId) => Promise<readonly GroupId[]>
  /** Ends all friendships and requests, as the read models have them. */
  readonly endFriendships: (userId: UserId) => Promise<void>
}

const reactsTo = (type: string): boolean => type === 'IdentityBound' || type === 'AccountClosed' || bringsPeople(type)

/** The follower that finishes elsewhere what happened to an account. */
export const accountsFollower = (dependencies: AccountsFollowerDependencies): Follower => {
  const { node, folded, groupIdsOf, endFriendships } = dependencies

  const release = async (kind: IdentityKind, hmac: string, userId: UserId, replacedAt: Instant) => {
    const command = { type: 'ReleaseIdentity', kind, userId, replacedAt, at: node.clock.now() } as const
    await node.handle(identity, streamOf.identity(hmac), command, { facts: undefined })
  }

  /** States that are older than what is reacted to would hide what there is to do. */
  const seen = async (position: Position) => {
    if (!(await node.whenSeen(position, seenMsMax))) throw new Error('this node has not seen the event yet')
  }

  const bound = async ({ userId, kind, replacedHmac, at }: IdentityBound['data']) => {
    if (replacedHmac !== undefined) await release(kind, replacedHmac, userId, at)
  }

  const closed = async ({ userId, identities, at }: AccountClosed['data'], position: Position) => {
    for (const { kind, hmac } of identities) await release(kind, hmac, userId, at)
    await folded(position)
    for (const groupId of await groupIdsOf(userId)) await leaveForGood(node, groupId, userId)
    await endFriendships(userId)
  }

  const reactTo = async (event: RecordedEvent): Promise<boolean> => {
    if (!reactsTo(event.type)) return false
    await seen(event.position)
    if (event.type === 'IdentityBound') await bound(event.data as IdentityBound['data'])
    else if (event.type === 'AccountClosed') await closed(event.data as AccountClosed['data'], event.position)
    else return takeOutClosed(node, event)
    return true
  }

  return {
    name: 'accounts',
    react: async events => {
      let did = false
      for (const event of events) did = (await reactTo(event)) || did
      return did
    },
  }
}
