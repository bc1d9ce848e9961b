// Owns who hears of what happens to an account, its devices and its block list: the account's own devices, and of what
// everybody may see of it those who hold its row.

import { changesPublicProfile } from '../../domain/account/profile.ts'
import { ownUserRowOf, userRowOf } from '../../domain/account/row.ts'
import type { SessionId, UserId } from '../../domain/ids.ts'
import type { Action, Routes } from '../actions.ts'
import { profileTopic, removeFrame, userTopic } from '../protocol.ts'
import { nothing, publish, put } from './frames.ts'

const sessionEnded = (userId: UserId, sessionId: SessionId, cursor: string): readonly Action[] => [
  publish(userTopic(userId), removeFrame(cursor, 'sessions', sessionId)),
  { do: 'cut', userId, sessionId },
]

const passwordChanged: Routes['PasswordChanged'] = {
  needs: ({ userId }) => [{ what: 'sessions', userId }],
  actions: ({ data: { userId, keptSessionId, credentialEpoch } }, facts, cursor) =>
    facts
      .openSessions(userId)
      // One who has signed in since the change may be among them already.
      .filter(session => session.credentialEpoch < credentialEpoch && session.sessionId !== keptSessionId)
      .flatMap(({ sessionId }) => sessionEnded(userId, sessionId, cursor)),
}

/** From here on the account is there: one who signed in before the read models knew it has its own row from this. */
const identityClaimed: Routes['IdentityClaimed'] = {
  needs: ({ userId }) => [{ what: 'account', userId }],
  actions: ({ data: { userId } }, facts, cursor) => {
    const account = facts.account(userId)
    return account.status === 'none' ? [] : [put(userTopic(userId), cursor, 'users', ownUserRowOf(account))]
  },
}

const profileChanged: Routes['ProfileChanged'] = {
  needs: ({ userId }) => [{ what: 'account', userId }],
  actions: ({ data: { userId, set } }, facts, cursor) => {
    const account = facts.account(userId)
    if (account.status === 'none') return []
    const own = put(userTopic(userId), cursor, 'users', ownUserRowOf(account))
    return changesPublicProfile(set) ? [own, put(profileTopic(userId), cursor, 'users', userRowOf(account))] : [own]
  },
}

export const accountRoutes = {
  AccountCreated: nothing,
  PasswordChanged: passwordChanged,
  ProfileChanged: profileChanged,
  IdentityClaimed: identityClaimed,
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
