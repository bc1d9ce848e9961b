// Owns who hears of what happens to an account, its devices and its block list: the account's own devices, and of what
// everybody may see of it those who hold its row.

import { changesPublicProfile } from '../../domain/account/profile.ts'
import { ownUserRowOf, userRowOf } from '../../domain/account/row.ts'
import type { SessionId, UserId } from '../../domain/ids.ts'
import type { Action, Need, RouteFacts, Routes } from '../actions.ts'
import { profileTopic, removeFrame, userTopic } from '../protocol.ts'
import { nothing, publish, put } from './frames.ts'

const sessionEnded = (userId: UserId, sessionId: SessionId, cursor: string): readonly Action[] => [
  publish(userTopic(userId), removeFrame(cursor, 'sessions', sessionId)),
  { do: 'cut', userId, sessionId },
]

interface EpochChange {
  readonly userId: UserId
  readonly credentialEpoch: number
  readonly keptSessionId?: SessionId | null
}

/** A new epoch ends every session of an older one, but the one that is kept. */
const sessionsOfOlderEpochs = (
  { userId, credentialEpoch, keptSessionId }: EpochChange,
  facts: RouteFacts,
  cursor: string,
): readonly Action[] =>
  facts
    .openSessions(userId)
    // One who has signed in since the change may be among them already.
    .filter(session => session.credentialEpoch < credentialEpoch && session.sessionId !== keptSessionId)
    .flatMap(({ sessionId }) => sessionEnded(userId, sessionId, cursor))

const needsSessions = ({ userId }: { readonly userId: UserId }): readonly Need[] => [{ what: 'sessions', userId }]
const needsAccount = ({ userId }: { readonly userId: UserId }): readonly Need[] => [{ what: 'account', userId }]

const epochChanged = {
  needs: needsSessions,
  actions: ({ data }: { readonly data: EpochChange }, facts: RouteFacts, cursor: string) =>
    sessionsOfOlderEpochs(data, facts, cursor),
}

/** The own row, private fields included, for the user's own devices. */
const ownRow = (userId: UserId, facts: RouteFacts, cursor: string): readonly Action[] => {
  const account = facts.account(userId)
  return account.status === 'created' ? [put(userTopic(userId), cursor, 'users', ownUserRowOf(account))] : []
}

/** What everybody may see, for those who hold the row. */
const publicRow = (userId: UserId, facts: RouteFacts, cursor: string): readonly Action[] => {
  const account = facts.account(userId)
  return account.status === 'none' ? [] : [put(profileTopic(userId), cursor, 'users', userRowOf(account))]
}

const profileChanged: Routes['ProfileChanged'] = {
  needs: needsAccount,
  actions: ({ data: { userId, set } }, facts, cursor) => [
    ...ownRow(userId, facts, cursor),
    ...(changesPublicProfile(set) ? publicRow(userId, facts, cursor) : []),
  ],
}

const identityBound: Routes['IdentityBound'] = {
  needs: needsAccount,
  actions: ({ data: { userId, kind } }, facts, cursor) => [
    ...ownRow(userId, facts, cursor),
    ...(kind === 'userName' ? publicRow(userId, facts, cursor) : []),
  ],
}

const accountClosed: Routes['AccountClosed'] = {
  needs: data => [...needsAccount(data), ...needsSessions(data)],
  actions: ({ data }, facts, cursor) => [
    ...sessionsOfOlderEpochs(data, facts, cursor),
    ...publicRow(data.userId, facts, cursor),
  ],
}

/** One that awaits its claim is there with that. One that the app has made is there at once. */
const accountCreated: Routes['AccountCreated'] = {
  needs: data => (data.identity === undefined ? needsAccount(data) : []),
  actions: ({ data: { userId, identity } }, facts, cursor) =>
    identity === undefined ? ownRow(userId, facts, cursor) : [],
}

export const accountRoutes = {
  AccountCreated: accountCreated,
  PasswordChanged: epochChanged,
  AccountBanned: epochChanged,
  AccountUnbanned: nothing,
  AccountClosed: accountClosed,
  IdentityBound: identityBound,
  ProfileChanged: profileChanged,
  /** From here on the account is there: one who signed in before the read models knew it has its own row from this. */
  IdentityClaimed: {
    needs: needsAccount,
    actions: ({ data: { userId } }, facts, cursor) => ownRow(userId, facts, cursor),
  },
  IdentityReleased: nothing,
  CodeSent: nothing,
  CodeTried: nothing,
  CodeUsed: nothing,
  SessionOpened: {
    actions: ({ data: { userId, sessionId, deviceId, platform, name, at } }, _facts, cursor) => [
      put(userTopic(userId), cursor, 'sessions', { sessionId, deviceId, platform, name, openedAt: at }),
    ],
  },
  SessionRefreshed: nothing,
  SessionClosed: {
    actions: ({ data: { userId, sessionId } }, _facts, cursor) => sessionEnded(userId, sessionId, cursor),
  },
  UserBlocked: {
    actions: ({ data: { userId, blockedId, at } }, _facts, cursor) => [
      put(userTopic(userId), cursor, 'blocklist', { userId: blockedId, at }),
    ],
  },
  UserUnblocked: {
    actions: ({ data: { userId, blockedId } }, _facts, cursor) => [
      publish(userTopic(userId), removeFrame(cursor, 'blocklist', blockedId)),
    ],
  },
} satisfies Partial<Routes>
