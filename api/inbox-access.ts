// Owns who may do something to a conversation for themselves, and how far they can see it.
// No conversation and no access are one answer.

import { conversation } from '../domain/conversation/conversation.ts'
import { isRejection } from '../domain/decider.ts'
import { group, roleIn } from '../domain/group/group.ts'
import { type ConversationId, conversationParts, streamOf, type UserId } from '../domain/ids.ts'
import { type InboxCommand, inbox } from '../domain/inbox/inbox.ts'
import { conversationOf, pinnedCount } from '../projections/inbox.ts'
import { runCommand } from './commands.ts'
import type { OperationDependencies } from './dependencies.ts'
import { type Refusal, refuse } from './errors.ts'
import type { Call } from './operation.ts'

export const noSuchConversation = refuse(
  'conversation.not-found',
  'There is no such conversation for you. Check the id, or whether you are still a member.',
)

/**
 * The newest seq the user may see; undefined when there is no such conversation for them. From the held states where the
 * user takes part, because a device may tell of a message that the read models have not seen yet.
 */
export const visibleLastSeq = async (
  { node, database }: OperationDependencies,
  userId: UserId,
  conversationId: ConversationId,
): Promise<number | undefined> => {
  const parts = conversationParts(conversationId)
  if (parts === undefined) return undefined
  const lastSeq = async () => (await node.load(conversation, streamOf.conversation(conversationId))).state.lastSeq
  if (parts.kind === 'p2p') {
    return parts.users.includes(userId) ? (await lastSeq()) || undefined : undefined
  }
  const { state } = await node.load(group, streamOf.group(parts.groupId))
  if (roleIn(state, userId) !== null) return lastSeq()
  // A former member sees what was seen until then.
  return (await conversationOf(database, userId, conversationId))?.lastSeq
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
  const lastSeq = await visibleLastSeq(dependencies, userId, conversationId)
  if (lastSeq === undefined) return noSuchConversation satisfies Refusal
  const facts = { lastSeq, pinnedCount: change.type === 'PinConversation' ? await pinnedCount(database, userId) : 0 }
  const command = { ...change, userId, conversationId, at: node.clock.now() } as InboxCommand
  const handled = await runCommand(node, call, inbox, streamOf.inbox(userId, conversationId), command, facts)
  return isRejection(handled) ? handled : { position: handled.position }
}
