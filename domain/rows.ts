// Owns how the rows of every collection look to clients: the same over HTTP, in the sync and in live frames.
// Builders are pure and total; whoever has the values (a read model, a held state) builds the same text.

import type { MessageSent } from './conversation/events.ts'
import type { ConversationId, GroupId, Instant, Position, SessionId, UserId } from './ids.ts'
import type { Reminder } from './inbox/events.ts'
import type { MessageRecalled, ReceiptGiven } from './message/events.ts'
import type { Platform } from './session/events.ts'

export const collections = [
  'users',
  'conversations',
  'messages',
  'friends',
  'friendRequests',
  'blocklist',
  'groups',
  'notifications',
  'readMarks',
  'sessions',
] as const
export type Collection = (typeof collections)[number]

/** Collections that come on request only (`open`). */
export const openCollections = ['members'] as const
export type OpenCollection = (typeof openCollections)[number]

export interface SessionRow {
  readonly sessionId: SessionId
  readonly deviceId: string
  readonly platform: Platform
  readonly name: string
  readonly openedAt: Instant
}

export interface BlocklistRow {
  readonly userId: UserId
  readonly at: Instant
}

export type GroupRole = 'owner' | 'admin' | 'member'

export interface ConversationRow {
  readonly conversationId: ConversationId
  readonly kind: 'p2p' | 'group'
  readonly lastSeq: number
  readonly unread: number
  /** Everything up to here is read; never below what the user cleared or could not see before joining. */
  readonly readSeq: number
  /** Messages up to here are gone for the user; a device drops what it holds of them. */
  readonly clearedSeq: number
  readonly pinnedAt: Instant | null
  readonly reminder: Reminder
  readonly doNotDisturb: boolean
  /** The newest pop-up of the group is one that the user has not seen (R40): `announcementPopup` > `announcementSeen`. */
  readonly announcementAlert: boolean
  /** Number of the newest pop-up that is there; 0: none. The same for all members. */
  readonly announcementPopup: number
  /** Announcements up to this number were seen, or there before the user joined. */
  readonly announcementSeen: number
  /** False once the user is no longer a member of the group: the row and what was seen stay, nothing new comes. */
  readonly active: boolean
}

/** The fields of a conversation's row that announcements change; the alert follows from the other two. */
export const announcementFields = (
  announcementPopup: number,
  announcementSeen: number,
): Pick<ConversationRow, 'announcementAlert' | 'announcementPopup' | 'announcementSeen'> => ({
  announcementAlert: announcementPopup > announcementSeen,
  announcementPopup,
  announcementSeen,
})

/** A conversation's row as JSON text; `lastMessage` is a message's stored wire text, spliced in unparsed. */
export const conversationRowText = (row: ConversationRow, lastMessageText: string | null): string =>
  `${JSON.stringify(row).slice(0, -1)},"lastMessage":${lastMessageText ?? 'null'}}`

/** How many of those whom a message asked have read it, and how many have not (R34). */
export interface ReceiptFields {
  readonly receipt: { readonly read: number; readonly unread: number }
}

/** The fields that a receipt changes for the sender, the same in the frame and in the row. */
export const receiptFieldsOf = ({ read, unread }: Pick<ReceiptGiven['data'], 'read' | 'unread'>): ReceiptFields => ({
  receipt: { read, unread },
})

/** Who is asked for a receipt is nobody's business but the sender's: the row says how many. */
const textWithReceipt = ({ receiptsFrom, ...data }: MessageSent['data'], position: Position): string =>
  JSON.stringify({ ...data, ...receiptFieldsOf({ read: 0, unread: receiptsFrom?.length ?? 0 }), position })

/** A message's wire text: the recorded JSON text of MessageSent's data with the position added. */
export const messageText = ({
  data,
  text,
  position,
}: {
  readonly data: MessageSent['data']
  readonly text: string
  readonly position: Position
}): string =>
  data.receiptsFrom === undefined ? `${text.slice(0, -1)},"position":"${position}"}` : textWithReceipt(data, position)

/** The wire text of a message as its sender gets it after a receipt. */
export const textAfterReceipt = (wireText: string, given: ReceiptGiven['data']): string =>
  JSON.stringify({ ...JSON.parse(wireText), ...receiptFieldsOf(given) })

/** What a device merges into a message it holds once it was recalled; the same fields stand in the stored row. */
export interface RecalledFields {
  readonly body: Readonly<Record<string, never>>
  readonly ext?: null
  readonly receipt?: null
  readonly from: UserId
  readonly countable: number
  /** Whether the message counted as unread, for a device that does not hold it. */
  readonly counts: boolean
  readonly recalled: { readonly at: Instant; readonly by: UserId; readonly reason?: string }
}

/** The fields that a recall changes, the same in the frame and in the stored row. */
export const recalledFieldsOf = (recall: MessageRecalled['data']): RecalledFields => ({
  body: {},
  ...(recall.hadExt ? { ext: null } : undefined),
  ...(recall.hadReceipt === true ? { receipt: null } : undefined),
  from: recall.from,
  countable: recall.countable,
  counts: recall.counts,
  recalled: { at: recall.at, by: recall.by, ...(recall.reason === undefined ? undefined : { reason: recall.reason }) },
})

/** The wire text of a recalled message: what it was, without its content. */
export const tombstoneText = (wireText: string, recall: MessageRecalled['data']): string =>
  JSON.stringify({ ...JSON.parse(wireText), ...recalledFieldsOf(recall) })

/** Id of a row of `messages`. */
export const messageRowId = (conversationId: ConversationId, seq: number): string => `${conversationId}#${seq}`
/** Id of a row of `members`. */
export const memberRowId = (groupId: GroupId, userId: UserId): string => `${groupId}#${userId}`
