// Owns who may do something to a conversation for themselves, and how far they can see it.
// No conversation and no access are one answer.

import { conversation } from '../domain/conversation/conversation.ts'
import { isRejection } from '../domain/decider.ts'
import { group } from '../domain/group/group.ts'
import { type ConversationId, conversationParts, streamOf, type UserId } from '../domain/ids.ts'
import { type InboxCommand, inbox } from '../domain/inbox/inbox.ts'
import { pinnedCount, type Sight, sightOf } from '../projections/inbox.ts'
import { runCommand } from './commands.ts'
import type { OperationDependencies } from './dependencies.ts'
import { isRefusal, type Refusal, refuse } from './errors.ts'
import { afterMsMax, readModelsBehind } from './execution.ts'
import type { Call } from './operation.ts'

export const noSuchConversation = refuse(
  'conversation.not-found',
  'There is no such conversation for you. Check the id, or whether you are still a member.',
)

/**
 * How far the caller can see a conversation; undefined when there is no such for them. A device may tell of a message that
 * the read models have not seen yet, so the head comes from the held state; what they say of a membership is waited for.
 */
const sightIn = async (
  { node, database, passed }: OperationDependencies,
  userId: UserId,
  conversationId: ConversationId,
): Promise<Sight | Refusal | undefined> => {
  const parts = conversationParts(conversationId)
  if (parts === undefined) return undefined
  if (parts.kind === 'p2p' && !parts.users.includes(userId)) return undefined
  const head = await node.load(conversation, streamOf.conversation(conversationId))
  const { lastSeq } = head.state
  if (parts.kind === 'p2p') return lastSeq === 0 ? undefined : { lastSeq, floorSeq: 0, announcementSeen: 0 }
  // After the head, so that a membership which ended before the newest message is known to have ended.
  const { state, position } = await node.load(group, streamOf.group(parts.groupId))
  if (state.status === 'none') return undefined
  if (!(await passed(position, afterMsMax))) return readModelsBehind
  return sightOf(database, userId, conversationId, lastSeq)
}

type DistributiveOmit<Union, Key extends PropertyKey> = Union extends unknown ? Omit<Union, Key> : never
type InboxChange = DistributiveOmit<InboxCommand, 'userId' | 'conversationId' | 'at'>

/** Runs a command on the caller's side of a conversation. */
export const runInboxCommand = async (
  dependencies: OperationDependencies,
  call: Call<'user'>,
  id: string,
  change: InboxChange,
) => {
  const { node, database } = dependencies
  const { userId } = call.caller
  const conversationId = id as ConversationId
  const sight = await sightIn(dependencies, userId, conversationId)
  if (sight === undefined) return noSuchConversation satisfies Refusal
  if (isRefusal(sight)) return sight
  const facts = {
    ...sight,
    pinnedCount: change.type === 'SetConversation' && change.pinned === true ? await pinnedCount(database, userId) : 0,
  }
  const command = { ...change, userId, conversationId, at: node.clock.now() } as InboxCommand
  const handled = await runCommand(node, call, inbox, streamOf.inbox(userId, conversationId), command, facts)
  return isRejection(handled) ? handled : { position: handled.position }
}
