// Owns what a system notification is, and which events make one or change one: told once, for the read model and for the
// live frames. Pure. To add a kind: its name in `notificationKinds`, and what each event does in `noticesOf`; nothing else.

import type { EventOf, EventType } from '../events.ts'
import { type GroupId, type Instant, type Position, systemUserId, type UserId } from '../ids.ts'
import type { ReadMarks } from './events.ts'

export const notificationKinds = [
  'friendRequest',
  'friendRequestResult',
  'friendAdded',
  'removedFromGroup',
  'groupDissolved',
  'groupInvitation',
  'groupInvitationAccepted',
  'groupInvitationRejected',
  'groupApplication',
  'groupApplicationAccepted',
  'groupApplicationRejected',
  'groupApplicationExpired',
  'groupAdminAdded',
  'groupAdminRemoved',
  'groupOwnerTransferred',
  'groupOwnershipLost',
] as const
export type NotificationKind = (typeof notificationKinds)[number]

/** `none`: it tells of something that is over, and nobody has to answer. */
export const notificationStates = ['none', 'pending', 'accepted', 'rejected', 'expired', 'withdrawn'] as const
export type NotificationState = (typeof notificationStates)[number]

export type EndedState = Exclude<NotificationState, 'none' | 'pending'>

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
  /** Whom it is about, where that is not the one who did it: somebody for whom a member asked (R19). */
  readonly userId?: UserId
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
      readonly state: EndedState
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
  row: Pick<NotificationRow, 'kind' | 'by' | 'userId' | 'groupId' | 'message'>,
): Notice => ({
  do: 'put',
  userId,
  row: { notificationId: id, ...row, at: data.at, position, state: 'none' } satisfies NotificationRow,
})

interface EndedRequest {
  readonly requestId: string
  readonly from: UserId
  readonly to: UserId
  readonly at: Instant
}

/** What waits for an answer waits no longer. */
const ended = (userId: UserId, { requestId, at }: EndedRequest, state: EndedState): Notice => ({
  do: 'end',
  userId,
  notificationId: requestId,
  state,
  endedAt: at,
})

const friendRequest = ({ data, position }: Noticed<'FriendRequested' | 'FriendRequestRepeated'>): readonly Notice[] => {
  const { requestId, from, to, messages, at } = data
  const message = messages.at(-1)?.text
  const said = message === undefined ? undefined : { message }
  const row: NotificationRow = {
    notificationId: requestId,
    kind: 'friendRequest',
    at,
    position,
    by: from,
    ...said,
    state: 'pending',
  }
  return [{ do: 'put', userId: to, row }]
}

const friendRequestResult = (data: EndedRequest, position: Position, state: EndedState, message?: string): Notice => {
  const { requestId, from, to, at } = data
  const said = message === undefined ? undefined : { message }
  const kind = 'friendRequestResult'
  const row: NotificationRow = { notificationId: requestId, kind, at, position, by: to, ...said, state, endedAt: at }
  return { do: 'put', userId: from, row }
}

/** Who asked for it is told only where the other one answered. */
const friendsMade = (event: Noticed<'FriendsMade'>): readonly Notice[] => {
  const { from, to, how, waited, message } = event.data
  if (!waited)
    return [told(event, to, { kind: 'friendAdded', by: from, ...(message === undefined ? {} : { message }) })]
  const end = ended(to, event.data, 'accepted')
  return how === 'direct' ? [end] : [end, friendRequestResult(event.data, event.position, 'accepted')]
}
/** What calls for an answer. */
const asked = (
  { data, position }: { readonly data: { readonly at: Instant }; readonly position: NotificationRow['position'] },
  userId: UserId,
  row: Pick<NotificationRow, 'notificationId' | 'kind' | 'by' | 'userId' | 'groupId'>,
  message: string | undefined,
): Notice => ({
  do: 'put',
  userId,
  row: { ...row, ...(message === undefined ? undefined : { message }), at: data.at, position, state: 'pending' },
})

const requestEnded = (
  userIds: readonly UserId[],
  requestId: string,
  state: Extract<Notice, { do: 'end' }>['state'],
  endedAt: Instant,
): readonly Notice[] => userIds.map(userId => ({ do: 'end', userId, notificationId: requestId, state, endedAt }))

const answered =
  (state: 'accepted' | 'rejected', kind: 'groupInvitationAccepted' | 'groupInvitationRejected') =>
  (event: Noticed<'InvitationAccepted'> | Noticed<'InvitationRejected'>): readonly Notice[] => {
    const { groupId, userId, requestId, invitedBy, at } = event.data
    return [...requestEnded([userId], requestId, state, at), told(event, invitedBy, { kind, groupId, by: userId })]
  }

interface DecidedApplication {
  readonly groupId: GroupId
  readonly userId: UserId
  readonly requestId: string
  readonly invitedBy?: UserId
}

/** Whoever asked is told what came of it: one for whom a member asked has asked for nothing. */
const applicationResult = (
  event: Parameters<typeof told>[0],
  { groupId, userId, requestId, invitedBy }: DecidedApplication,
  row: Pick<NotificationRow, 'kind' | 'by' | 'message'>,
): Notice =>
  invitedBy === undefined
    ? told(event, userId, { ...row, groupId })
    : // One event may end several that one member asked for.
      told({ ...event, id: requestId }, invitedBy, { ...row, groupId, userId })

/** One row an event that somebody is told of outside every conversation. */
const noticesOf = {
  FriendRequested: friendRequest,
  FriendRequestRepeated: friendRequest,
  FriendsMade: friendsMade,
  FriendRequestRejected: ({ data, position }) => [
    ended(data.to, data, 'rejected'),
    friendRequestResult(data, position, 'rejected', data.reason),
  ],
  FriendRequestWithdrawn: ({ data }) => [ended(data.to, data, 'withdrawn')],
  FriendRequestExpired: ({ data, position }) => [
    ended(data.to, data, 'expired'),
    friendRequestResult(data, position, 'expired'),
  ],
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
  MembersInvited: event => {
    const { groupId, invited, message, by } = event.data
    return invited.map(({ userId, requestId }) =>
      asked(event, userId, { notificationId: requestId, kind: 'groupInvitation', groupId, by }, message),
    )
  },
  InvitationAccepted: answered('accepted', 'groupInvitationAccepted'),
  InvitationRejected: answered('rejected', 'groupInvitationRejected'),
  InvitationRecalled: ({ data: { userId, requestId, at } }) => requestEnded([userId], requestId, 'withdrawn', at),
  InvitationsExpired: ({ data: { invitations, at } }) =>
    invitations.flatMap(({ userId, requestId }) => requestEnded([userId], requestId, 'expired', at)),
  ApplicationMade: event => {
    const { groupId, userId, requestId, message, told: managers, invitedBy } = event.data
    const who = invitedBy === undefined ? { by: userId } : { by: invitedBy, userId }
    const row = { notificationId: requestId, kind: 'groupApplication', groupId, ...who } as const
    return managers.map(manager => asked(event, manager, row, message))
  },
  ApplicationApproved: event => {
    const { requestId, told: managers, by, at } = event.data
    return [
      ...requestEnded(managers, requestId, 'accepted', at),
      applicationResult(event, event.data, { kind: 'groupApplicationAccepted', by }),
    ]
  },
  ApplicationRejected: event => {
    const { requestId, told: managers, reason, by, at } = event.data
    const said = reason === undefined ? undefined : { message: reason }
    return [
      ...requestEnded(managers, requestId, 'rejected', at),
      applicationResult(event, event.data, { kind: 'groupApplicationRejected', by, ...said }),
    ]
  },
  ApplicationWithdrawn: ({ data: { requestId, told: managers, at } }) =>
    requestEnded(managers, requestId, 'withdrawn', at),
  ApplicationsExpired: event => {
    const { groupId, applications, at } = event.data
    return applications.flatMap(application => [
      ...requestEnded(application.told, application.requestId, 'expired', at),
      applicationResult(event, { groupId, ...application }, { kind: 'groupApplicationExpired', by: systemUserId }),
    ])
  },
  AdminAdded: event => {
    const { groupId, userId, by } = event.data
    return [told(event, userId, { kind: 'groupAdminAdded', groupId, by })]
  },
  AdminRemoved: event => {
    const { groupId, userId, by } = event.data
    return [told(event, userId, { kind: 'groupAdminRemoved', groupId, by })]
  },
  OwnerTransferred: event => {
    const { groupId, from, to, by } = event.data
    const given = told(event, to, { kind: 'groupOwnerTransferred', groupId, by })
    // An owner who hands the group on knows; one from whom the app takes it does not.
    return by === from ? [given] : [given, told(event, from, { kind: 'groupOwnershipLost', groupId, by })]
  },
} satisfies { readonly [Type in EventType]?: NoticesOf<Type> }

type NoticedType = keyof typeof noticesOf

/** The types of the events that make or change notifications. */
export const noticedTypes = Object.keys(noticesOf) as readonly NoticedType[]

const isNoticed = (type: string): type is NoticedType => Object.hasOwn(noticesOf, type)

/** What an event does to whose notifications. */
export const noticesFor = (event: Noticed, membersAtEnd: MembersAtEnd): readonly Notice[] =>
  isNoticed(event.type) ? (noticesOf[event.type] as NoticesOf<NoticedType>)(event as never, membersAtEnd) : []
