// Owns the words between router, hub and ring: what can be done for an event, and what must be known before.

import type { Account } from '../domain/account/account.ts'
import type { EventOf, EventType } from '../domain/events.ts'
import type { Group } from '../domain/group/group.ts'
import type { ConversationId, GroupId, Position, SessionId, UserId } from '../domain/ids.ts'
import type { InboxMarks } from '../domain/inbox/events.ts'
import { announcementFields, type ConversationRow } from '../domain/rows.ts'
import type { OpenSession } from '../domain/session/session.ts'
import type { CursorPrefix, Topic } from './protocol.ts'

export type HiddenMarks = Partial<
  Pick<ConversationRow, 'readSeq' | 'clearedSeq' | 'pinnedAt' | 'reminder' | 'doNotDisturb' | 'announcementSeen'>
>

/** The row of a hidden conversation after the user set something; what is read is never unread again. */
const hiddenWith = (row: ConversationRow, set: HiddenMarks): ConversationRow => ({
  ...row,
  ...set,
  readSeq: Math.max(row.readSeq, set.readSeq ?? 0),
  ...announcementFields(row.announcementPopup, Math.max(row.announcementSeen, set.announcementSeen ?? 0)),
})

/** The same after an announcement was published or deleted. */
export const hiddenWithPopup = (row: ConversationRow, popupNumber: number): ConversationRow => ({
  ...row,
  ...announcementFields(popupNumber, row.announcementSeen),
})

export type Action =
  | { readonly do: 'publish'; readonly topic: Topic; readonly frame: string }
  /** A message frame: a user who hid the conversation gets its row first. */
  | {
      readonly do: 'message'
      readonly topics: readonly Topic[]
      readonly frame: string
      readonly conversationId: ConversationId
      readonly seq: number
      readonly cursor: string
    }
  /** `seesAll`: of a group's topic, also what was said before. */
  | { readonly do: 'join'; readonly userId: UserId; readonly topic: Topic; readonly seesAll?: true }
  /** `lastSeq`: of a group's topic, its newest message then. */
  | { readonly do: 'leave'; readonly userId: UserId; readonly topic: Topic; readonly lastSeq?: number }
  /** A recall in a group, for those who are out of it and saw the message: it must not live on with them. */
  | { readonly do: 'recall'; readonly topic: Topic; readonly seq: number; readonly frame: string }
  | { readonly do: 'hide'; readonly userId: UserId; readonly row: ConversationRow }
  /** One or the other, by whether the user can see anything newer than `seq` in the conversation of the topic. */
  | {
      readonly do: 'either'
      readonly userId: UserId
      readonly topic: Topic
      readonly seq: number
      readonly headSeq: number
      readonly newer: readonly Action[]
      readonly nothingNewer: readonly Action[]
    }
  /** What the user set meanwhile, for a hidden conversation to come back with. */
  | {
      readonly do: 'marks'
      readonly userId: UserId
      readonly conversationId: ConversationId
      readonly set: HiddenMarks
    }
  /** The newest pop-up of a group's announcements, for its hidden conversation to come back with, of all who are in it. */
  | {
      readonly do: 'popup'
      readonly topic: Topic
      readonly conversationId: ConversationId
      readonly popupNumber: number
    }
  /** Cuts the sockets of a session that is over. */
  | { readonly do: 'cut'; readonly userId: UserId; readonly sessionId: SessionId }

/** A hidden conversation's row after one of these; undefined when the conversation is not hidden. */
export const hiddenAfter = (
  action: Extract<Action, { do: 'hide' | 'marks' }>,
  hidden: ReadonlyMap<string, ConversationRow> | undefined,
): ConversationRow | undefined => {
  if (action.do === 'hide') return action.row
  const held = hidden?.get(action.conversationId)
  return held && hiddenWith(held, action.set)
}

/** The newest message of a conversation before an event, in log order. */
export interface ConversationHead {
  /** 0: there is none. */
  readonly seq: number
}

/** What the router may ask; the hub has read it before. States may be ahead of the event: rows carry absolute values, so later
 * frames set the same again. */
export interface RouteFacts {
  readonly cursorPrefix: CursorPrefix
  account(userId: UserId): Account
  group(groupId: GroupId): Group
  openSessions(userId: UserId): readonly OpenSession[]
  head(conversationId: ConversationId): ConversationHead
  marks(userId: UserId, conversationId: ConversationId): InboxMarks
}

/** What the hub must read before an event can be routed. */
export type Need =
  | { readonly what: 'account'; readonly userId: UserId }
  | { readonly what: 'group'; readonly groupId: GroupId }
  | { readonly what: 'sessions'; readonly userId: UserId }
  | { readonly what: 'head'; readonly conversationId: ConversationId }
  /** Read only for users whom this node follows: nobody else hears of it here. */
  | { readonly what: 'marks'; readonly userId: UserId; readonly conversationId: ConversationId }

export interface Routed<Type extends EventType> {
  readonly data: EventOf<Type>['data']
  readonly text: string
  readonly id: string
  readonly position: Position
}

export interface Route<Type extends EventType> {
  readonly needs?: (data: EventOf<Type>['data']) => readonly Need[]
  readonly actions: (event: Routed<Type>, facts: RouteFacts, cursor: string) => readonly Action[]
}

/** One route an event. */
export type Routes = { readonly [Type in EventType]: Route<Type> }
