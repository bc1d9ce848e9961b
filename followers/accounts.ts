// Owns what follows from what happens to an account: what it no longer signs in by is freed (R1), and one who closed it leaves
// their groups and has no friends. Every step bears being done again: what is done already is refused or changes nothing.
// Must never free what the account lists: a claim made after the change is another one (domain/identity).

import type { AccountClosed, IdentityBound, IdentityKind } from '../domain/account/events.ts'
import { isRejection } from '../domain/decider.ts'
import { group } from '../domain/group/group.ts'
import type { Group } from '../domain/group/state.ts'
import { identity } from '../domain/identity/identity.ts'
import { type GroupId, type Instant, type Position, streamOf, type UserId } from '../domain/ids.ts'
import type { Node } from '../eventstore/node.ts'
import type { RecordedEvent } from '../eventstore/port.ts'
import type { Follower } from './runner.ts'

export interface AccountsFollowerDependencies {
  readonly node: Node
  /** Resolves once the read models have passed the position; rejects when they take too long. */
  readonly folded: (position: Position) => Promise<void>
  /** The groups a user is a member of, as the read models have them. */
  readonly groupIdsOf: (userId: UserId) => Promise<readonly GroupId[]>
  /** Ends all friendships and requests, as the read models have them. */
  readonly endFriendships: (userId: UserId) => Promise<void>
}

/** Whom an owner who closed the account hands a group to: the admin, else the member, who has been there longest. */
const heirOf = (state: Group, ownerId: UserId): UserId | undefined => {
  if (state.status === 'none') return undefined
  const others = [...state.members].filter(([userId]) => userId !== ownerId)
  const byAge = others.toSorted(([, one], [, other]) => (one.joinedAt < other.joinedAt ? -1 : 1))
  const [heir] = byAge.find(([, { role }]) => role === 'admin') ?? byAge[0] ?? []
  return heir
}

/** The follower that finishes elsewhere what happened to an account. */
export const accountsFollower = (dependencies: AccountsFollowerDependencies): Follower => {
  const { node, folded, groupIdsOf, endFriendships } = dependencies

  const release = async (kind: IdentityKind, hmac: string, userId: UserId, replacedAt: Instant) => {
    const command = { type: 'ReleaseIdentity', kind, userId, replacedAt, at: node.clock.now() } as const
    await node.handle(identity, streamOf.identity(hmac), command, { facts: undefined })
  }

  /** Nobody owns a group when they close the account, save one made in the same moment: that one is handed on. */
  const leaveGroup = async (groupId: GroupId, by: UserId) => {
    const stream = streamOf.group(groupId)
    const { state } = await node.load(group, stream)
    if (state.status !== 'open' || !state.members.has(by)) return
    const at = node.clock.now()
    const heir = heirOf(state, by)
    const command =
      state.ownerId !== by
        ? ({ type: 'LeaveGroup', by, at } as const)
        : heir === undefined
          ? ({ type: 'DissolveGroup', by, at } as const)
          : ({ type: 'TransferGroup', to: heir, leave: true, by, at } as const)
    const outcome = await node.handle(group, stream, command, { facts: undefined })
    // Somebody changed the group meanwhile: it is looked at again with the next try.
    if (isRejection(outcome)) throw new Error(`leaving a group was refused: ${outcome.rejected}`)
  }

  const bound = async ({ userId, kind, replacedHmac, at }: IdentityBound['data']) => {
    if (replacedHmac !== undefined) await release(kind, replacedHmac, userId, at)
  }

  const closed = async ({ userId, identities, at }: AccountClosed['data'], position: Position) => {
    for (const { kind, hmac } of identities) await release(kind, hmac, userId, at)
    await folded(position)
    for (const groupId of await groupIdsOf(userId)) await leaveGroup(groupId, userId)
    await endFriendships(userId)
  }

  const reactTo = async (event: RecordedEvent): Promise<boolean> => {
    if (event.type === 'IdentityBound') await bound(event.data as IdentityBound['data'])
    else if (event.type === 'AccountClosed') await closed(event.data as AccountClosed['data'], event.position)
    else return false
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
