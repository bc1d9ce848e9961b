// Owns the one table of who may call what: every operation has its rows, each with an outcome for every persona. An operation
// without a row fails the tests, and so does a row without an operation.

import { testPassword } from '../support/device.ts'
import type { Arguments } from '../support/operation-request.ts'
import { adminGroups, byBackend } from './authorisation-admin-groups.ts'
import { friends } from './authorisation-friends.ts'
import { groups } from './authorisation-groups.ts'
import { joining } from './authorisation-joining.ts'
import { receipts } from './authorisation-receipts.ts'
import { between } from './authorisation-stage.ts'
import {
  type AccessCase,
  conversation,
  everybody,
  inside,
  needsSession,
  noConversation,
  noP2p,
  p2p,
  parties,
  seers,
  signedIn,
  writers,
} from './authorisation-words.ts'

/** The same of a group's conversation and of a P2P one. */
const ofConversations = (more: Arguments = {}): readonly AccessCase[] => [
  {
    what: 'of a group',
    args: stage => ({ ...conversation(stage), ...more }),
    missing: () => ({ ...noConversation(), ...more }),
    outcomes: seers,
  },
  {
    what: 'of two others',
    args: stage => ({ ...p2p(stage), ...more }),
    missing: stage => ({ ...noP2p(stage), ...more }),
    outcomes: parties('conversation.not-found'),
  },
]

let number = 0
/** Different at each call. */
const unique = (name: string) => `${name}-${++number}`
const device = { deviceId: 'd', platform: 'web', name: 'A browser' }
const text = () => ({ clientMessageId: unique('message'), type: 'text', body: { text: 'a word' } })

const accounts: Readonly<Record<string, readonly AccessCase[]>> = {
  getServer: [{ outcomes: everybody('ok') }],
  requestCode: [
    {
      args: () => ({ channel: 'email', target: `${unique('somebody')}@example.org`, purpose: 'register' }),
      outcomes: everybody('ok'),
    },
  ],
  createAccount: [
    {
      args: () => ({ userName: unique('somebody'), password: testPassword, name: 'Somebody' }),
      outcomes: everybody('ok'),
    },
    {
      what: 'under a name that is taken',
      args: ({ guest }) => ({ userName: guest.userName, password: testPassword, name: 'Somebody' }),
      outcomes: everybody('identity.taken'),
    },
  ],
  changePassword: [
    { args: () => ({ current: testPassword, new: testPassword }), outcomes: signedIn('ok') },
    {
      what: 'with a wrong one',
      args: () => ({ current: 'not the password', new: testPassword }),
      outcomes: signedIn('account.wrong-password'),
    },
  ],
  bindIdentity: [
    {
      what: 'that is mine already',
      args: ({ people }, persona) => ({ kind: 'userName', value: people[persona].userName }),
      outcomes: signedIn('ok'),
    },
    {
      what: 'that is taken',
      args: ({ guest }) => ({ kind: 'userName', value: guest.userName }),
      outcomes: signedIn('identity.taken'),
    },
    {
      what: 'with a wrong code',
      args: () => ({ kind: 'email', value: 'me@example.org', code: '000000' }),
      outcomes: signedIn('code.wrong'),
    },
  ],
  closeAccount: [
    {
      args: () => ({ password: testPassword }),
      outcomes: { ...signedIn('ok'), owner: 'account.owns-groups' },
      endsAccount: true,
    },
    {
      what: 'with a wrong password',
      args: () => ({ password: 'not the password' }),
      outcomes: signedIn('account.wrong-password'),
    },
  ],
  resetPassword: [
    {
      what: 'without a code',
      args: () => ({ email: 'nobody@example.org', code: '000000', new: testPassword }),
      outcomes: everybody('code.wrong'),
    },
  ],
  signIn: [
    {
      args: ({ guest }) => ({ by: 'password', userName: guest.userName, password: testPassword, device }),
      outcomes: everybody('ok'),
    },
    {
      what: 'with a wrong password',
      args: ({ guest }) => ({ by: 'password', userName: guest.userName, password: 'not the password', device }),
      outcomes: everybody('account.wrong-credentials'),
    },
  ],
  refreshSession: [
    { args: ({ guest }) => ({ refreshToken: guest.session.refreshToken }), outcomes: everybody('ok') },
    { what: 'with what is no token', args: () => ({ refreshToken: 'a.b' }), outcomes: everybody('token.invalid') },
  ],
  listSessions: [{ outcomes: signedIn('ok') }],
  signOut: [{ outcomes: signedIn('ok'), freshSession: true }],
  kickSession: [
    {
      what: "of somebody else's device",
      args: ({ guest }) => ({ sessionId: guest.session.sessionId }),
      missing: () => ({ sessionId: 'nosession' }),
      outcomes: signedIn('session.not-found'),
    },
  ],
  listUsers: [{ args: ({ guest }) => ({ ids: guest.userId }), outcomes: signedIn('ok') }],
  getPresence: [{ args: ({ guest }) => ({ ids: guest.userId }), outcomes: signedIn('ok') }],
  getOwnUser: [{ outcomes: signedIn('ok') }],
  updateOwnUser: [{ args: () => ({ signature: unique('signature') }), outcomes: signedIn('ok') }],
  searchUsers: [{ args: ({ guest }) => ({ q: guest.userName }), outcomes: signedIn('ok') }],
  getUser: [{ args: ({ people }) => ({ userId: people.member.userId }), outcomes: signedIn('ok') }],
  listBlocked: [{ outcomes: signedIn('ok') }],
  checkBlocked: [{ args: ({ guest }) => ({ ids: guest.userId }), outcomes: signedIn('ok') }],
  blockUser: [
    { args: ({ guest }) => ({ userId: guest.userId }), outcomes: signedIn('ok') },
    { what: 'who is not there', args: () => ({ userId: 'nobody' }), outcomes: signedIn('user.not-found') },
  ],
  unblockUser: [{ args: ({ guest }) => ({ userId: guest.userId }), outcomes: signedIn('ok') }],
  listNotifications: [{ outcomes: signedIn('ok') }],
  readNotifications: [{ what: 'nothing new', args: () => ({ upTo: '0000000000000000' }), outcomes: signedIn('ok') }],
  sync: [{ outcomes: signedIn('ok') }],
}

const conversations: Readonly<Record<string, readonly AccessCase[]>> = {
  listConversations: [{ outcomes: signedIn('ok') }],
  getConversation: ofConversations(),
  getUnread: [{ outcomes: signedIn('ok') }],
  updateConversation: ofConversations({ pinned: true }),
  deleteConversation: ofConversations({ messages: true }),
  markRead: ofConversations({ seq: 1 }),
  readAllConversations: [{ outcomes: signedIn('ok') }],
  clearConversations: [
    {
      args: ({ conversationId }) => ({ conversationIds: [conversationId], what: 'all' }),
      outcomes: needsSession({
        owner: 'ok',
        admin: 'ok',
        member: 'ok',
        exMember: 'ok',
        stranger: 'nothing',
        blocked: 'nothing',
      }),
    },
  ],
  listMessages: ofConversations(),
  sendMessage: [
    {
      what: 'to a group',
      args: stage => ({ ...conversation(stage), ...text() }),
      missing: () => ({ ...noConversation(), ...text() }),
      outcomes: writers,
    },
    {
      what: 'to the member',
      args: ({ people }, persona) => ({ conversationId: between(people[persona], people.member), ...text() }),
      outcomes: needsSession({
        owner: 'ok',
        admin: 'ok',
        member: 'message.to-self',
        exMember: 'ok',
        stranger: 'ok',
        blocked: 'message.blocked',
      }),
    },
    {
      what: 'between two others',
      args: stage => ({ ...p2p(stage), ...text() }),
      missing: stage => ({ ...noP2p(stage), ...text() }),
      outcomes: parties('conversation.not-found'),
    },
  ],
  recallMessage: [
    {
      what: "of the member's early message",
      args: ({ conversationId, earlySeq }) => ({ conversationId, seq: earlySeq }),
      missing: ({ earlySeq }) => ({ ...noConversation(), seq: earlySeq }),
      outcomes: inside('message.not-found', 'ok', 'ok', 'ok', 'message.not-sender'),
    },
    {
      what: "of the member's late message",
      args: ({ conversationId, lateSeq }) => ({ conversationId, seq: lateSeq }),
      missing: ({ conversationId }) => ({ conversationId, seq: 1_000 }),
      outcomes: inside('message.not-found', 'ok', 'ok', 'ok'),
    },
    {
      what: 'of two others',
      args: stage => ({ ...p2p(stage), seq: stage.p2pSeq }),
      missing: stage => ({ ...noP2p(stage), seq: 1 }),
      outcomes: parties('message.not-found', 'message.not-sender'),
    },
  ],
}

/** Of one whom nobody else here needs, and of one who is not there. */
const onAccount = (more: Arguments = {}): readonly AccessCase[] => [
  { args: ({ guest }) => ({ userId: guest.userId, ...more }), outcomes: byBackend('ok') },
  { what: 'of nobody', args: () => ({ userId: 'nobody', ...more }), outcomes: byBackend('account.not-found') },
]

/** Of no user, whoever that is. */
const admin: Readonly<Record<string, readonly AccessCase[]>> = {
  adminCreateAccount: [
    { args: () => ({ name: 'Robot', userId: unique('robot') }), outcomes: byBackend('ok') },
    {
      what: 'under an id that is taken',
      args: ({ guest }) => ({ name: 'Robot', userId: guest.userId }),
      outcomes: byBackend('account.exists'),
    },
  ],
  adminGetAccount: onAccount(),
  adminSignIn: onAccount({ device }),
  adminKickSession: [
    {
      args: ({ guest }) => ({ userId: guest.userId, sessionId: 'nosession' }),
      outcomes: byBackend('session.not-found'),
    },
  ],
  adminKickSessions: onAccount(),
  adminBanAccount: onAccount({ until: null }),
  adminUnbanAccount: onAccount(),
  listEvents: [{ outcomes: { ...signedIn('caller.not-allowed'), backend: 'ok' } }],
  listStreamEvents: [
    {
      args: ({ people }) => ({ name: `account-${people.owner.userId}` }),
      outcomes: { ...signedIn('caller.not-allowed'), backend: 'ok' },
    },
    {
      what: 'of one that is not there',
      args: () => ({ name: 'account-nobody' }),
      outcomes: { ...signedIn('caller.not-allowed'), backend: 'stream.not-found' },
    },
  ],
}

/** By operation id. */
export const access: Readonly<Record<string, readonly AccessCase[]>> = {
  ...accounts,
  ...friends,
  ...groups,
  ...joining,
  ...conversations,
  ...receipts,
  ...admin,
  ...adminGroups,
}
