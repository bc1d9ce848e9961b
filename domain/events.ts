// Owns the catalogue of all events: which exist, and which of their fields are secret (never exported, never shown to an
// auditor) or personal (erased by destroying a key, later). A new event is a compile error until it has its row.

import type { AccountEvent } from './account/events.ts'
import type { AdminKeyEvent } from './admin-key/events.ts'
import type { BlocklistEvent } from './blocklist/events.ts'
import type { CodeEvent } from './code/events.ts'
import type { ConversationEvent } from './conversation/events.ts'
import type { DomainEvent } from './decider.ts'
import type { FollowerEvent } from './follower/events.ts'
import type { FriendshipEvent } from './friendship/events.ts'
import type { GroupEvent } from './group/events.ts'
import type { JoinTried } from './group/join-tries.ts'
import type { IdentityEvent } from './identity/events.ts'
import type { InboxEvent } from './inbox/events.ts'
import type { MemberEvent } from './member/events.ts'
import type { MessageEvent } from './message/events.ts'
import type { NotificationEvent } from './notification/events.ts'
import type { SessionEvent } from './session/events.ts'

export type LedgerEvent =
  | AccountEvent
  | IdentityEvent
  | CodeEvent
  | SessionEvent
  | BlocklistEvent
  | FriendshipEvent
  | GroupEvent
  | MemberEvent
  | JoinTried
  | ConversationEvent
  | MessageEvent
  | InboxEvent
  | NotificationEvent
  | FollowerEvent
  | AdminKeyEvent

export type EventType = LedgerEvent['type']
export type EventOf<Type extends EventType> = Extract<LedgerEvent, { type: Type }>

type FieldsOf<Type extends EventType> =
  | keyof EventOf<Type>['data']
  | (EventOf<Type>['data'] extends { passwordHash?: string } ? 'passwordHash' : never)

type EventRow<Type extends EventType> = {
  readonly secret: readonly FieldsOf<Type>[]
  readonly personal: readonly FieldsOf<Type>[]
}

const plain = { secret: [], personal: [] } as const

/** One row an event: its secret and its personal fields. */
export const eventCatalogue: { readonly [Type in EventType]: EventRow<Type> } = {
  AccountCreated: { secret: ['passwordHash'], personal: ['name', 'userName', 'phone', 'email'] },
  PasswordChanged: { secret: ['passwordHash'], personal: [] },
  ProfileChanged: { secret: [], personal: ['set'] },
  IdentityBound: { secret: [], personal: ['userName', 'phone', 'email'] },
  AccountBanned: { secret: [], personal: ['reason'] },
  AccountUnbanned: plain,
  AccountClosed: plain,
  IdentityClaimed: plain,
  IdentityReleased: plain,
  CodeSent: { secret: ['codeHash'], personal: [] },
  CodeTried: plain,
  CodeUsed: plain,
  SessionOpened: { secret: [], personal: ['name'] },
  SessionRefreshed: plain,
  SessionClosed: plain,
  UserBlocked: plain,
  UserUnblocked: plain,
  FriendRequested: { secret: [], personal: ['messages'] },
  FriendRequestRepeated: { secret: [], personal: ['messages'] },
  FriendsMade: { secret: [], personal: ['message', 'fromNote', 'toNote'] },
  FriendRequestRejected: { secret: [], personal: ['reason'] },
  FriendRequestWithdrawn: plain,
  FriendRequestExpired: plain,
  FriendDeleted: plain,
  FriendNoted: { secret: [], personal: ['remark', 'extension'] },
  GroupCreated: plain,
  MembersAdded: plain,
  MembersRemoved: plain,
  OwnerTransferred: plain,
  AdminAdded: plain,
  AdminRemoved: plain,
  GroupUpdated: plain,
  MemberMuted: plain,
  MemberUnmuted: plain,
  MuteAllChanged: plain,
  GroupDissolved: plain,
  MemberEdited: { secret: [], personal: ['profile'] },
  MemberFollowed: { secret: [], personal: ['profile'] },
  MemberUnfollowed: { secret: [], personal: ['profile'] },
  MembersInvited: { secret: [], personal: ['message'] },
  InvitationAccepted: plain,
  InvitationRejected: plain,
  InvitationRecalled: plain,
  InvitationsExpired: plain,
  ApplicationMade: { secret: [], personal: ['message'] },
  ApplicationApproved: plain,
  ApplicationRejected: { secret: [], personal: ['reason'] },
  ApplicationWithdrawn: plain,
  ApplicationsExpired: plain,
  JoinQuestionsSet: { secret: ['questions'], personal: [] },
  JoinTried: plain,
  AnnouncementPublished: { secret: [], personal: ['text'] },
  AnnouncementDeleted: plain,
  AnnouncementSeen: plain,
  MessageSent: { secret: [], personal: ['body'] },
  MessageRecalled: { secret: [], personal: ['reason'] },
  ReceiptGiven: plain,
  ConversationRead: plain,
  ConversationPinned: plain,
  ConversationUnpinned: plain,
  ConversationReminderSet: plain,
  ConversationCleared: plain,
  ConversationDeleted: plain,
  NotificationsRead: plain,
  FriendRequestsRead: plain,
  FollowerAdvanced: plain,
  AdminKeyCreated: { secret: ['hash'], personal: [] },
  AdminKeyRevoked: plain,
}

export const isEventType = (type: string): type is EventType => Object.hasOwn(eventCatalogue, type)

/** What an auditor may see of an event's data; undefined where nobody here knows which of its fields are secret. */
export const withoutSecrets = ({ type, data }: DomainEvent): object | undefined => {
  if (!isEventType(type)) return undefined
  const secret: readonly string[] = eventCatalogue[type].secret
  return secret.length === 0
    ? data
    : Object.fromEntries(Object.entries(data).filter(([name]) => !secret.includes(name)))
}
