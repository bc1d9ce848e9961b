// Owns what the app's own backend does to accounts (R1, R2): makes them under its own ids, signs devices in for them, bans,
// lifts bans, and ends devices. It answers for whom it acts; no password or code is asked for.

import { z } from 'zod'
import { account, type CreatedAccount, isBanned } from '../domain/account/account.ts'
import type { AccountIdentity, IdentityKind } from '../domain/account/events.ts'
import { ownUserRowOf } from '../domain/account/row.ts'
import { isRejection } from '../domain/decider.ts'
import { identity } from '../domain/identity/identity.ts'
import { type Instant, isUserId, type SessionId, streamOf, type UserId } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { session } from '../domain/session/session.ts'
import { claimFacts, noSuchAccount } from './account-access.ts'
import { password } from './accounts.ts'
import { madeId, runCommand } from './commands.ts'
import type { OperationDependencies } from './dependencies.ts'
import { invalid, type Refusal, refuse } from './errors.ts'
import { example, givenInstant, name, positionReply, reply, sessionId, text } from './fields.ts'
import { email, phone, userName } from './identities.ts'
import { type Call, type Operation, operation } from './operation.ts'
import { device, exampleSignIn, openSession, signInReply } from './sessions.ts'
import { ownRow } from './users.ts'

type Dependencies = OperationDependencies

/** As the app's own backend names a user: there is no `me`. */
export const ownId = z
  .string()
  .refine(isUserId, { message: 'is no user id: 1 to 64 of A-Z a-z 0-9 _ . -, and no reserved word' })
  .meta({ description: "The app's own id of a user.", pattern: '^[A-Za-z0-9_.-]{1,64}$' })
const params = z.strictObject({ userId: ownId })

/** The account, once its sign-up is whole. */
const existing = async ({ node }: Dependencies, userId: UserId): Promise<CreatedAccount | Refusal> => {
  if (!(await node.isLive(userId))) return noSuchAccount
  const { state } = await node.load(account, streamOf.account(userId))
  return state.status === 'created' ? state : noSuchAccount
}

const createBody = z.strictObject({
  userId: ownId.optional(),
  name: name(limits.nameCharactersMax),
  phone: phone.optional(),
  email: email.optional(),
  userName: userName.optional(),
  password: password.optional(),
})
type CreateBody = z.output<typeof createBody>

const kinds: readonly IdentityKind[] = ['phone', 'email', 'userName']
const taken = (kind: IdentityKind) => refuse('identity.taken', 'It belongs to another account.', { kind })

/** Claims what the account is to sign in by; nothing is claimed when one of them is already another's. */
const claimAll = async (
  { node }: Dependencies,
  userId: UserId,
  identities: readonly AccountIdentity[],
  at: Instant,
): Promise<Refusal | undefined> => {
  for (const { kind, hmac } of identities) {
    const facts = await claimFacts(node, kind, hmac)
    if (facts?.isListed === true && facts.holder !== userId) return taken(kind)
  }
  for (const { kind, hmac } of identities) {
    const command = { type: 'ClaimIdentity', kind, userId, at } as const
    const facts = await claimFacts(node, kind, hmac)
    const claimed = await node.handle(identity, streamOf.identity(hmac), command, { facts })
    if (isRejection(claimed)) return taken(kind)
  }
  return undefined
}

/** First the claims, then the account, which exists from its own event on. Claims of a crash between can be taken over. */
const create = async (dependencies: Dependencies, call: Call<'admin'>, args: CreateBody) => {
  const { node, keys, passwords } = dependencies
  const userId = (args.userId ?? madeId(node, call, `account by ${call.caller.keyId}`)) as UserId
  const stream = streamOf.account(userId)
  const exists = (await node.load(account, stream)).state.status !== 'none'
  const values = kinds.flatMap(kind => {
    const value = args[kind]
    return value === undefined ? [] : [{ kind, value }]
  })
  const claimed = values.map(({ kind, value }) => ({ kind, hmac: keys.identityHmac(kind, value) }))
  const at = node.clock.now()
  const refused = exists ? undefined : await claimAll(dependencies, userId, claimed, at)
  if (refused !== undefined) return refused
  const passwordHash = args.password === undefined ? undefined : await passwords.hash(args.password)
  const command = {
    type: 'CreateAccount',
    userId,
    name: args.name,
    claimed,
    ...Object.fromEntries(values.map(({ kind, value }) => [kind, value])),
    ...(passwordHash === undefined ? undefined : { passwordHash }),
    by: call.caller.keyId,
    at,
  } as const
  const made = await runCommand(node, call, account, stream, command, undefined)
  return isRejection(made) ? made : { userId, position: made.position }
}

const get = async (dependencies: Dependencies, userId: UserId) => {
  const found = await existing(dependencies, userId)
  if ('rejected' in found) return found
  const { ban } = found
  const now = dependencies.node.clock.now()
  return {
    ...ownUserRowOf(found),
    hasPassword: found.passwordHash !== null,
    ban: ban !== null && isBanned(found, now) ? ban : null,
  }
}

const sessionBody = z.strictObject({ device, force: z.boolean().optional() })

const signInFor = async (
  dependencies: Dependencies,
  call: Call<'admin'>,
  { userId, ...args }: z.output<typeof params> & z.output<typeof sessionBody>,
) => {
  const found = await existing(dependencies, userId)
  return 'rejected' in found ? found : openSession(dependencies, call, found, args)
}

const banBody = z.strictObject({
  until: givenInstant.nullable().meta({ description: 'The ban lifts itself then; null: for ever.' }),
  reason: text(1, limits.banReasonCharactersMax).optional().meta({ description: 'Told to the user.' }),
})

const ban = async (
  dependencies: Dependencies,
  call: Call<'admin'>,
  { userId, until, reason }: z.output<typeof params> & z.output<typeof banBody>,
) => {
  const { node } = dependencies
  const at = node.clock.now()
  if (until !== null && until <= at) return invalid([{ path: 'until', message: 'is in the past' }])
  const found = await existing(dependencies, userId)
  if ('rejected' in found) return found
  const why = reason === undefined ? undefined : { reason }
  const command = { type: 'BanAccount', until, ...why, by: call.caller.keyId, at } as const
  const banned = await runCommand(node, call, account, streamOf.account(userId), command, undefined)
  return isRejection(banned) ? banned : { position: banned.position }
}

const unban = async (dependencies: Dependencies, call: Call<'admin'>, { userId }: z.output<typeof params>) => {
  const { node } = dependencies
  const found = await existing(dependencies, userId)
  if ('rejected' in found) return found
  const command = { type: 'UnbanAccount', by: call.caller.keyId, at: node.clock.now() } as const
  const lifted = await runCommand(node, call, account, streamOf.account(userId), command, undefined)
  return isRejection(lifted) ? lifted : { position: lifted.position }
}

/** One device, or all that are signed in. */
const kick = async (dependencies: Dependencies, call: Call<'admin'>, userId: UserId, which?: string) => {
  const { node } = dependencies
  const found = await existing(dependencies, userId)
  if ('rejected' in found) return found
  const at = node.clock.now()
  const command =
    which === undefined
      ? ({ type: 'CloseAllSessions', reason: 'byAdmin', at } as const)
      : ({ type: 'CloseSession', sessionId: which as SessionId, reason: 'byAdmin', at } as const)
  const closed = await runCommand(node, call, session, streamOf.session(userId), command, undefined)
  return isRejection(closed) ? closed : { position: closed.position }
}

const usual = { tag: 'admin', callers: ['admin'], frame: false, limit: 'admin', status: 200 } as const
const known = { params: { userId: 'shop-4711' } }

/** Accounts, from the app's own backend. */
export const adminAccountOperations: readonly Operation[] = [
  operation({
    ...usual,
    id: 'adminCreateAccount',
    method: 'POST',
    path: '/v1/admin/accounts',
    summary: 'Make an account',
    description:
      "Under the app's own id, if one is given. One without a password, phone number and e-mail address signs in only through `adminSignIn`.",
    status: 201,
    body: createBody,
    reply: z.object({ userId: reply.id, position: reply.position }),
    rejections: ['account.exists', 'identity.taken'],
    example: {
      body: { userId: 'shop-4711', name: 'Ada', email: 'ada@example.org' },
      reply: { userId: 'shop-4711', position: example.position },
    },
    run: create,
  }),
  operation({
    ...usual,
    id: 'adminGetAccount',
    method: 'GET',
    path: '/v1/admin/accounts/:userId',
    summary: 'An account with its private fields',
    params,
    reply: ownRow.extend({
      hasPassword: z.boolean(),
      ban: z.object({ until: reply.instant.nullable(), reason: reply.text.optional() }).nullable(),
    }),
    rejections: ['account.not-found'],
    example: {
      ...known,
      reply: {
        userId: 'shop-4711',
        name: 'Ada',
        email: 'ada@example.org',
        friendPolicy: 'approval',
        discoverableBy: { phone: true, email: true, userName: true, namePrefix: false },
        createdAt: example.at,
        hasPassword: false,
        ban: null,
      },
    },
    run: (dependencies, _call, { userId }) => get(dependencies, userId),
  }),
  operation({
    ...usual,
    id: 'adminSignIn',
    method: 'POST',
    path: '/v1/admin/accounts/:userId/sessions',
    summary: 'Sign a device in for a user',
    description: 'The same reply as signing in gives; hand the tokens to the device.',
    status: 201,
    params,
    body: sessionBody,
    reply: signInReply,
    rejections: ['account.not-found', 'account.banned', 'session.limit', 'session.ended'],
    example: { ...known, ...exampleSignIn },
    run: signInFor,
  }),
  operation({
    ...usual,
    id: 'adminKickSession',
    method: 'DELETE',
    path: '/v1/admin/accounts/:userId/sessions/:sessionId',
    summary: 'Sign a device of a user out',
    params: params.extend({ sessionId }),
    reply: positionReply,
    rejections: ['account.not-found', 'session.not-found'],
    example: {
      params: { userId: 'shop-4711', sessionId: example.sessionId },
      reply: { position: example.position },
    },
    run: (dependencies, call, args) => kick(dependencies, call, args.userId, args.sessionId),
  }),
  operation({
    ...usual,
    id: 'adminKickSessions',
    method: 'DELETE',
    path: '/v1/admin/accounts/:userId/sessions',
    summary: 'Sign every device of a user out',
    params,
    reply: positionReply,
    rejections: ['account.not-found'],
    example: { ...known, reply: { position: example.position } },
    run: (dependencies, call, { userId }) => kick(dependencies, call, userId),
  }),
  operation({
    ...usual,
    id: 'adminBanAccount',
    method: 'PUT',
    path: '/v1/admin/accounts/:userId/ban',
    summary: 'Ban an account until a time, or for ever',
    description: 'Ends every session within a second. Signing in is refused and says until when; the ban lifts itself.',
    params,
    body: banBody,
    reply: positionReply,
    rejections: ['account.not-found'],
    example: {
      ...known,
      body: { until: '2026-12-24T18:00:00.000Z', reason: 'Spam' },
      reply: { position: example.position },
    },
    run: ban,
  }),
  operation({
    ...usual,
    id: 'adminUnbanAccount',
    method: 'DELETE',
    path: '/v1/admin/accounts/:userId/ban',
    summary: 'Lift a ban',
    description: 'Sessions that the ban ended stay ended.',
    params,
    reply: positionReply,
    rejections: ['account.not-found'],
    example: { ...known, reply: { position: example.position } },
    run: unban,
  }),
]
