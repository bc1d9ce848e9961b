// Owns which messages a caller may do something to: those they see. No access and no such message are one answer.

import { conversation } from '../domain/conversation/conversation.ts'
import { group, roleIn } from '../domain/group/group.ts'
import { type ConversationId, conversationParts, streamOf, type UserId } from '../domain/ids.ts'
import type { MessageFacts } from '../domain/message/message.ts'
import type { Node } from '../eventstore/node.ts'
import { messagesFor, type VisibleMessage } from '../projections/message.ts'
import type { OperationDependencies } from './dependencies.ts'
import { type Refusal, refuse } from './errors.ts'
import { afterMsMax, readModelsBehind } from './execution.ts'

export const noSuchMessage = refuse('message.not-found', 'There is no such message for you.')

type Seen = ReadonlyMap<number, VisibleMessage>

/** Whether the read models know a message that the log has; undefined: the log has none of this seq. */
const isFolded = async (
  { node, passed }: OperationDependencies,
  id: ConversationId,
  seq: number,
): Promise<boolean | undefined> => {
  const { state } = await node.load(conversation, streamOf.conversation(id))
  if (seq > state.lastSeq) return undefined
  const [event] = await node.store.read(streamOf.conversation(id), { from: seq - 1, direction: 'forwards', limit: 1 })
  return event === undefined ? undefined : passed(event.position, afterMsMax)
}

/**
 * These messages, if the caller may see every one. Devices hear of messages before the read models do: those are waited for.
 */
export const seenMessages = async (
  dependencies: OperationDependencies,
  userId: UserId,
  id: ConversationId,
  seqs: readonly number[],
): Promise<Seen | Refusal> => {
  const { database } = dependencies
  const isWhole = (seen: Seen) => seqs.every(seq => seen.has(seq))
  const seen = await messagesFor(database, userId, id, seqs)
  if (isWhole(seen)) return seen
  const folded = await isFolded(dependencies, id, Math.max(...seqs.filter(seq => !seen.has(seq))))
  if (folded === undefined) return noSuchMessage
  if (!folded) return readModelsBehind
  const now = await messagesFor(database, userId, id, seqs)
  return isWhole(now) ? now : noSuchMessage
}

/** What is decided on when somebody does something to a message: of no group, nobody has a role. */
export const factsIn = async (
  node: Node,
  id: ConversationId,
  by: UserId,
): Promise<(of: VisibleMessage) => MessageFacts> => {
  const parts = conversationParts(id)
  const state = parts?.kind === 'group' ? (await node.load(group, streamOf.group(parts.groupId))).state : group.initial
  return of => ({ message: of, byRole: roleIn(state, by), fromRole: roleIn(state, of.from) })
}
