// Owns what a system notification is, and which events make one or change one: told once, for the read model and for the
// live frames. Pure. To add a kind: its name in `notificationKinds`, and what each event does in `noticesOf`; nothing else.

import type { EventOf, EventType } from '../events.ts'
import type { GroupId, Instant, Position, UserId } from '../ids.ts'
import type { ReadMarks } from './events.ts'

export const notificationKinds = ['removedFromGroup', 'groupDissolved'] as const
export type NotificationKind = (typeof notificationKinds)[number]

/** `none`: it tells of something that is over, and nobody has to answer. */
export const notificationStates = ['none', 'pending', 'accepted', 'rejected', 'expired', 'withdrawn'] as const
export type NotificationState = (typeof notificationStates)[number]

/** A system notification: to one person, outside every conversation. */
export interface NotificationRow {
  /** Of something to be answered its requestId, which all its events carry; else the id of the event it tells of. */
  readonly notificationId: string
  readonly kind: NotificationKind
  /** When it last called for attention, and the place of that in the log: unread while the user's mark is before it. */
  readonly at: Instant
  readonly position: Position
  /** Who did it; of an answer that never came, who was asked. */
  readonly by: UserId
  readonly groupId?: GroupId
  readonly message?: string
  readonly state: NotificationState
  /** When it was answered, expired or was withdrawn. */
  readonly endedAt?: Instant
}

/** How far one user has seen, as the user's devices see it; one row, its id is `readMarks`. */
export type ReadMarksRow = ReadMarks

export const readMarksRowId = 'readMarks'

/** What an event does to one user's notifications. */
export type Notice =
  | { readonly do: 'put'; readonly userId: UserId; readonly row: NotificationRow }
  /** One who has not got it, or no longer, gets nothing. */
  | {
      readonly do: 'end'
      readonly userId: UserId
      readonly notificationId: string
      readonly state: Exclude<NotificationState, 'none' | 'pending'>
      readonly endedAt: Instant
    }

/** An event of the log, as far as notifications are concerned. */
export type Noticed<Type extends EventType = EventType> = Type extends EventType
  ? { readonly type: Type; readonly data: EventOf<Type>['data']; readonly id: string; readonly position: Position }
  : never

/** Who was in a group when it ended: its events do not say. */
type MembersAtEnd = (groupId: GroupId) => readonly UserId[]

type NoticesOf<Type extends EventType> = (event: Noticed<Type>, membersAtEnd: MembersAtEnd) => readonly Notice[]

/** What tells of something that is over. */
const told = (
  { id, data, position }: { readonly id: string; readonly data: { readonly at: Instant }; readonly position: Position },
  userId: UserId,
  row: Pick<NotificationRow, 'kind' | 'by' | 'groupId' | 'message'>,
): Notice => ({
  do: 'put',
  userId,
  row: { notificationId: id, ...row, at: data.at, position, state: 'none' } satisfies NotificationRow,
})

/** One row an event that somebody is told of outside every conversation. */
const noticesOf = {
  MembersRemoved: event => {
    const { reason, userIds, groupId, by } = event.data
    if (reason !== 'kicked') return []
    return userIds.map(userId => told(event, userId, { kind: 'removedFromGroup', groupId, by }))
  },
  GroupDissolved: (event, membersAtEnd) => {
    const { groupId, by } = event.data
    const others = membersAtEnd(groupId).filter(userId => userId !== by)
    return others.map(userId => told(event, userId, { kind: 'groupDissolved', groupId, by }))
  },
} satisfies { readonly [Type in EventType]?: NoticesOf<Type> }

type NoticedType = keyof typeof noticesOf

/** The types of the events that make or change notifications. */
export const noticedTypes = Object.keys(noticesOf) as readonly NoticedType[]

const isNoticed = (type: string): type is NoticedType => Object.hasOwn(noticesOf, type)

/** What an event does to whose notifications. */
export const noticesFor = (event: Noticed, membersAtEnd: MembersAtEnd): readonly Notice[] =>
  isNoticed(event.type) ? (noticesOf[event.type] as NoticesOf<NoticedType>)(event as never, membersAtEnd) : []
