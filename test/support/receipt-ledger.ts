// Owns how a test's ledger tells of read receipts. Asks the members of the moment, and counts as the message's own state does.

import type { EventOf } from '../../domain/events.ts'
import { type ConversationId, type Position, streamOf } from '../../domain/ids.ts'
import { type Ledger, type MessageOptions, user } from './ledger.ts'

/** A message to a group that asks for receipts. */
export const ask = (
  ledger: Ledger,
  conversationId: ConversationId,
  from: string,
  options: MessageOptions = {},
): Position => {
  const members = [...ledger.membersOf(conversationId.slice('group:'.length))]
  return ledger.send(conversationId, from, { ...options, receiptsFrom: members.filter(id => id !== user(from)) })
}

const sentAt = (ledger: Ledger, conversationId: ConversationId, seq: number) =>
  ledger.events.find(({ stream, revision }) => stream === streamOf.conversation(conversationId) && revision === seq - 1)
    ?.data as EventOf<'MessageSent'>['data'] | undefined

/** Does nothing where a receipt says nothing. */
export const read = (ledger: Ledger, conversationId: ConversationId, seq: number, name: string): void => {
  const sent = sentAt(ledger, conversationId, seq)
  const asked = sent?.receiptsFrom ?? []
  const stream = streamOf.message(conversationId, seq)
  const before = ledger.events.filter(event => event.stream === stream)
  const isOver = before.some(({ type, data }) => type === 'MessageRecalled' || (data as { by: string }).by === name)
  if (sent === undefined || isOver || !asked.includes(user(name))) return
  const count = before.length + 1
  ledger.record(stream, 'ReceiptGiven', {
    conversationId,
    seq,
    from: sent.from,
    by: user(name),
    read: count,
    unread: asked.length - count,
    at: ledger.at,
  })
}
