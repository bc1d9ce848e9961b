// Owns the one table of who may call what: every operation has its rows, each with an outcome for every persona. An operation
// without a row fails the tests, and so does a row without an operation.

import type { ErrorCode } from '../../api/errors.ts'
import { testPassword } from '../support/device.ts'
import type { Arguments } from '../support/operation-request.ts'
import { between, type Persona, personas, type SignedInPersona, type Stage } from './authorisation-stage.ts'

/** `nothing`: answered as a success that did nothing, and says so in the reply. */
export type Outcome = 'ok' | 'nothing' | ErrorCode

export interface AccessCase {
  readonly what?: string
  /** What is asked for. @param persona who asks; the anonymous and the ended ask for what the member would */
  readonly args?: (stage: Stage, persona: SignedInPersona) => Arguments | Promise<Arguments>
  /** The same of something that is not there: the answer must not differ from that to one who has no access. */
  readonly missing?: (stage: Stage) => Arguments
  readonly outcomes: Readonly<Record<Persona, Outcome>>
  /** The call ends the session it is made with. */
  readonly freshSession?: true
  readonly everyoneInvites?: true
  /** What a refused call leaves in the log all the same. */
  readonly leaves?: readonly string[]
}

type SignedInOutcomes = Readonly<Record<SignedInPersona, Outcome>>

const needsSession = (outcomes: SignedInOutcomes): AccessCase['outcomes'] => ({
  ...outcomes,
  anonymous: 'token.invalid',
  backend: 'caller.not-allowed',
  ended: 'session.ended',
})
const signedIn = (outcome: Outcome): AccessCase['outcomes'] =>
  needsSession({
    owner: outcome,
    admin: outcome,
    member: outcome,
    exMember: outcome,
    stranger: outcome,
    blocked: outcome,
  })
const everybody = (outcome: Outcome) =>
  Object.fromEntries(personas.map(persona => [persona, outcome])) as AccessCase['outcomes']

/** In order: owner, admin, member; for those outside there is no such thing. */
const inside = (notFound: ErrorCode, owner: Outcome, admin: Outcome, member: Outcome, exMember: Outcome = notFound) =>
  needsSession({ owner, admin, member, exMember, stranger: notFound, blocked: notFound })
const inGroup = (owner: Outcome, admin: Outcome, member: Outcome) => inside('group.not-found', owner, admin, member)
/** A conversation stays with those who left the group. */
const seers = inside('conversation.not-found', 'ok', 'ok', 'ok', 'ok')
const writers = inside('conversation.not-found', 'ok', 'ok', 'ok')
/** Of the owner and the member. */
const parties = (notFound: ErrorCode, owner: Outcome = 'ok', member: Outcome = 'ok') =>
  inside(notFound, owner, notFound, member)

const group = ({ groupId }: Stage) => ({ groupId })
const noGroup = () => ({ groupId: 'nogroup' })
const conversation = ({ conversationId }: Stage) => ({ conversationId })
const noConversation = () => ({ conversationId: 'group:nogroup' })
const p2p = (stage: Stage) => ({ conversationId: stage.p2p })
const noP2p = ({ other, guest }: Stage) => ({ conversationId: between(other, guest) })

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
  getOwnUser: [{ outcomes: signedIn('ok') }],
  updateOwnUser: [{ args: () => ({ signature: unique('signature') }), outcomes: signedIn('ok') }],
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

const groups: Readonly<Record<string, readonly AccessCase[]>> = {
  createGroup: [{ args: ({ guest }) => ({ name: 'Another', memberIds: [guest.userId] }), outcomes: signedIn('ok') }],
  listGroups: [{ outcomes: signedIn('ok') }],
  getGroup: [{ args: group, missing: noGroup, outcomes: inGroup('ok', 'ok', 'ok') }],
  dissolveGroup: [{ args: group, missing: noGroup, outcomes: inGroup('ok', 'group.not-owner', 'group.not-owner') }],
  updateGroup: [
    {
      what: 'its profile',
      args: stage => ({ ...group(stage), name: 'Renamed' }),
      missing: () => ({ ...noGroup(), name: 'Renamed' }),
      outcomes: inGroup('ok', 'ok', 'group.not-allowed'),
    },
    {
      what: 'its extension',
      args: stage => ({ ...group(stage), extension: 'x' }),
      outcomes: inGroup('ok', 'ok', 'group.not-allowed'),
    },
    {
      what: 'its modes',
      args: stage => ({ ...group(stage), name: 'Renamed', joinMode: 'free' }),
      outcomes: inGroup('ok', 'group.not-owner', 'group.not-allowed'),
    },
  ],
  setMuteAll: [
    {
      args: stage => ({ ...group(stage), mode: 'members' }),
      missing: () => ({ ...noGroup(), mode: 'members' }),
      outcomes: inGroup('ok', 'ok', 'group.not-allowed'),
    },
  ],
  searchGroups: [{ args: () => ({ q: 'a group' }), outcomes: signedIn('ok') }],
  getMember: [
    {
      args: stage => ({ ...group(stage), userId: stage.other.userId }),
      missing: ({ other }) => ({ ...noGroup(), userId: other.userId }),
      outcomes: inGroup('ok', 'ok', 'ok'),
    },
    {
      what: 'who is no member',
      args: stage => ({ ...group(stage), userId: stage.guest.userId }),
      outcomes: inGroup('group.not-member', 'group.not-member', 'group.not-member'),
    },
  ],
  updateMember: [
    ...[{ nickname: 'Nick' }, { mutedUntil: 'forever' }].flatMap((change): readonly AccessCase[] => {
      const what = Object.keys(change)[0] as string
      const own = what === 'nickname' ? 'ok' : 'group.target-self'
      return [
        {
          what: `${what} of a plain member`,
          args: stage => ({ ...group(stage), userId: stage.other.userId, ...change }),
          missing: ({ other }) => ({ ...noGroup(), userId: other.userId, ...change }),
          outcomes: inGroup('ok', 'ok', 'group.not-allowed'),
        },
        {
          what: `${what} of an admin`,
          args: stage => ({ ...group(stage), userId: stage.secondAdmin.userId, ...change }),
          outcomes: inGroup('ok', 'group.target-is-admin', 'group.not-allowed'),
        },
        {
          what: `${what} of the owner`,
          args: stage => ({ ...group(stage), userId: stage.people.owner.userId, ...change }),
          outcomes: inGroup(own, 'group.target-is-owner', 'group.not-allowed'),
        },
        {
          what: `the own ${what}`,
          args: (stage, persona) => ({ ...group(stage), userId: stage.people[persona].userId, ...change }),
          outcomes: inGroup(own, own, what === 'nickname' ? 'ok' : 'group.not-allowed'),
        },
      ]
    }),
  ],
  followMember: [
    {
      args: stage => ({ ...group(stage), userId: stage.other.userId }),
      missing: ({ other }) => ({ ...noGroup(), userId: other.userId }),
      outcomes: inGroup('ok', 'ok', 'ok'),
    },
  ],
  unfollowMember: [
    {
      args: stage => ({ ...group(stage), userId: stage.other.userId }),
      missing: ({ other }) => ({ ...noGroup(), userId: other.userId }),
      outcomes: inGroup('nothing', 'nothing', 'nothing'),
    },
  ],
  transferGroup: [false, true].map(leave => ({
    what: leave ? 'and leave' : 'and stay',
    args: stage => ({ ...group(stage), to: stage.other.userId, leave }),
    missing: ({ other }) => ({ ...noGroup(), to: other.userId, leave }),
    outcomes: inGroup('ok', 'group.not-owner', 'group.not-owner'),
  })),
  leaveGroup: [{ args: group, missing: noGroup, outcomes: inGroup('group.owner-cannot-leave', 'ok', 'ok') }],
  listMembers: [{ args: group, missing: noGroup, outcomes: inGroup('ok', 'ok', 'ok') }],
  addMembers: [
    {
      args: stage => ({ ...group(stage), userIds: [stage.guest.userId] }),
      missing: ({ guest }) => ({ ...noGroup(), userIds: [guest.userId] }),
      outcomes: inGroup('ok', 'ok', 'group.not-allowed'),
    },
    {
      what: 'where everyone invites',
      args: stage => ({ ...group(stage), userIds: [stage.guest.userId] }),
      outcomes: inGroup('ok', 'ok', 'ok'),
      everyoneInvites: true,
    },
    {
      what: 'oneself',
      args: (stage, persona) => ({ ...group(stage), userIds: [stage.people[persona].userId] }),
      outcomes: inGroup('nothing', 'nothing', 'group.not-allowed'),
    },
  ],
  removeMembers: [
    {
      what: 'who are plain members',
      args: stage => ({ ...group(stage), userIds: [stage.other.userId] }),
      missing: ({ other }) => ({ ...noGroup(), userIds: [other.userId] }),
      outcomes: inGroup('ok', 'ok', 'group.not-allowed'),
    },
    {
      what: 'who are admins',
      args: stage => ({ ...group(stage), userIds: [stage.secondAdmin.userId] }),
      outcomes: inGroup('ok', 'group.target-is-admin', 'group.not-allowed'),
    },
    {
      what: 'who own the group',
      args: stage => ({ ...group(stage), userIds: [stage.people.owner.userId] }),
      outcomes: inGroup('group.target-self', 'group.target-is-owner', 'group.not-allowed'),
    },
  ],
  addAdmin: [
    {
      args: stage => ({ ...group(stage), userId: stage.other.userId }),
      missing: ({ other }) => ({ ...noGroup(), userId: other.userId }),
      outcomes: inGroup('ok', 'group.not-owner', 'group.not-owner'),
    },
  ],
  removeAdmin: [
    {
      args: stage => ({ ...group(stage), userId: stage.secondAdmin.userId }),
      missing: ({ secondAdmin }) => ({ ...noGroup(), userId: secondAdmin.userId }),
      outcomes: inGroup('ok', 'group.not-owner', 'group.not-owner'),
    },
  ],
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
        // To oneself: two equal ids are no conversation.
        member: 'conversation.not-found',
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

/** Of no user, whoever that is. */
const admin: Readonly<Record<string, readonly AccessCase[]>> = {
  updateGroupAsApp: [
    {
      args: stage => ({ ...group(stage), appExtension: 'x', joinMode: 'free' }),
      outcomes: { ...signedIn('caller.not-allowed'), backend: 'ok' },
    },
    {
      what: 'which is not there',
      args: () => ({ ...noGroup(), appExtension: 'x' }),
      outcomes: { ...signedIn('caller.not-allowed'), backend: 'group.not-found' },
    },
  ],
  setMuteAllAsApp: [
    {
      args: stage => ({ ...group(stage), mode: 'everyone' }),
      outcomes: { ...signedIn('caller.not-allowed'), backend: 'ok' },
    },
  ],
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
  ...groups,
  ...conversations,
  ...admin,
}
