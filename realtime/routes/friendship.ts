// Owns who hears of what happens between two people: both of them, each their own side of it; nobody else. Who was blocked hears
// nothing of that.

import { userRowOf } from '../../domain/account/row.ts'
import type { EventOf } from '../../domain/events.ts'
import { type EndedFields, friendRequestRowOf, friendRowOf, notedRowOf, peerOf } from '../../domain/friendship/row.ts'
import { type Position, p2pConversationId, type UserId } from '../../domain/ids.ts'
import type { Action, Need, Routes } from '../actions.ts'
import { patchFrame, profileTopic, removeFrame, userTopic } from '../protocol.ts'
import { publish, put } from './frames.ts'

/** Of any of the events with these fields. */
interface Asked {
  readonly data: EventOf<'FriendRequested'>['data']
  readonly position: Position
}
interface Ended {
  readonly data: EventOf<'FriendRequestExpired'>['data'] & { readonly reason?: string }
}

const both = ({ from, to }: { readonly from: UserId; readonly to: UserId }): readonly UserId[] => [from, to]

const asked = {
  actions: ({ data, position }: Asked, _facts: unknown, cursor: string) =>
    both(data).map(viewer =>
      put(userTopic(viewer), cursor, 'friendRequests', friendRequestRowOf(data, viewer, position)),
    ),
}

const requestEnds = (
  data: { readonly from: UserId; readonly to: UserId },
  fields: EndedFields,
  cursor: string,
): readonly Action[] =>
  both(data).map(viewer =>
    publish(userTopic(viewer), patchFrame(cursor, 'friendRequests', peerOf(data, viewer), JSON.stringify(fields))),
  )

const ended = (state: EndedFields['state']) => ({
  actions: ({ data }: Ended, _facts: unknown, cursor: string) => {
    const { reason } = data
    return requestEnds(data, { state, ...(reason === undefined ? undefined : { reason }), endedAt: data.at }, cursor)
  },
})

/** Each gets the other's profile as well: friends know how the other one calls themselves. */
const friendsMade: Routes['FriendsMade'] = {
  needs: data => both(data).map((userId): Need => ({ what: 'account', userId })),
  actions: ({ data }, facts, cursor) => [
    ...both(data).flatMap(viewer => {
      const topic = userTopic(viewer)
      const peer = peerOf(data, viewer)
      const account = facts.account(peer)
      return [
        ...(account.status === 'none' ? [] : [put(topic, cursor, 'users', userRowOf(account))]),
        put(topic, cursor, 'friends', friendRowOf(data, viewer)),
        { do: 'join', userId: viewer, topic: profileTopic(peer) } as const,
      ]
    }),
    ...(data.waited ? requestEnds(data, { state: 'accepted', endedAt: data.at }, cursor) : []),
  ],
}

/** The profile stays with those who have written to each other. */
const friendDeleted: Routes['FriendDeleted'] = {
  needs: ({ by, userId }) => [{ what: 'head', conversationId: p2pConversationId(by, userId) }],
  actions: ({ data: { by, userId } }, facts, cursor) => {
    const haveWritten = facts.head(p2pConversationId(by, userId)).seq > 0
    return both({ from: by, to: userId }).flatMap((viewer): readonly Action[] => {
      const peer = viewer === by ? userId : by
      const topic = userTopic(viewer)
      const gone = publish(topic, removeFrame(cursor, 'friends', peer))
      if (haveWritten) return [gone]
      const leave: Action = { do: 'leave', userId: viewer, topic: profileTopic(peer) }
      return [gone, leave, publish(topic, removeFrame(cursor, 'users', peer))]
    })
  },
}

export const friendshipRoutes = {
  FriendRequested: asked,
  FriendRequestRepeated: asked,
  FriendsMade: friendsMade,
  FriendRequestRejected: ended('rejected'),
  FriendRequestWithdrawn: ended('withdrawn'),
  FriendRequestExpired: ended('expired'),
  FriendDeleted: friendDeleted,
  FriendNoted: {
    actions: ({ data }, _facts, cursor) => [put(userTopic(data.by), cursor, 'friends', notedRowOf(data))],
  },
} satisfies Partial<Routes>
