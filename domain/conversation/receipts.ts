// Owns whose receipts a message asks for (R34, X1): the members of a small group as it is when the message is sent, the sender
// left out. The list stands in the event for ever: who joins later is not asked, who leaves stays among the asked.

import { type Decision, reject } from '../decider.ts'
import type { ConversationFacts } from './conversation.ts'
import type { MessageSent } from './events.ts'

const unavailable = (detail: string) => reject('message.receipts-unavailable', detail)

/** The message with its question; a "no" where nobody can be asked. */
export const askingReceipts = (
  { type, data }: MessageSent,
  facts: ConversationFacts,
): Decision<MessageSent, 'message.receipts-unavailable'> => {
  if (facts.kind !== 'group' || facts.group.status === 'none') {
    return unavailable('Receipts are for groups. Send it without `receipt`.')
  }
  const { group, receiptMembersMax } = facts
  if (group.memberLimit > receiptMembersMax) {
    return unavailable(
      `Receipts are for groups of up to ${receiptMembersMax} members, by their memberLimit. Send it without \`receipt\`.`,
    )
  }
  const receiptsFrom = [...group.members.keys()].filter(userId => userId !== data.from)
  return [{ type, data: { ...data, receiptsFrom } }]
}
