// Owns the small words every route is written in: publish a frame, put a row, and the conversation's row as it begins.
// Pure; no route of its own.

import type { ConversationId } from '../../domain/ids.ts'
import { noMarks } from '../../domain/inbox/inbox.ts'
import { announcementFields, type ConversationRow } from '../../domain/rows.ts'
import type { Action } from '../actions.ts'
import { putFrame, type Topic } from '../protocol.ts'

/** The route of an event of which no device hears. */
export const nothing = { actions: () => [] } as const

export const publish = (topic: Topic, frame: string): Action => ({ do: 'publish', topic, frame })
export const put = (
  ...[topic, cursor, collection, row]: [Topic, string, Parameters<typeof putFrame>[1], object]
): Action => publish(topic, putFrame(cursor, collection, JSON.stringify(row)))

export const newConversationRow = (
  conversationId: ConversationId,
  kind: 'p2p' | 'group',
  seq: number,
): ConversationRow => ({
  conversationId,
  kind,
  lastSeq: seq,
  unread: 0,
  readSeq: seq,
  clearedSeq: 0,
  pinnedAt: null,
  reminder: noMarks.reminder,
  doNotDisturb: noMarks.doNotDisturb,
  ...announcementFields(0, noMarks.announcementSeen),
  active: true,
})
