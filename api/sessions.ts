// Owns the operations on devices (R1, R51–R53): signing in and out, refreshing, listing, ending another of one's own.
// Must take the same time and give the same answer for an unknown user as for a wrong password.

import { z } from 'zod'
import type { CreatedAccount } from '../domain/account/account.ts'
import { isRejection } from '../domain/decider.ts'
import { type SessionId, streamOf } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { session } from '../domain/session/session.ts'
import { sessionChangesOf, sessionsOf } from '../projections/session.ts'
import { accountBehind, bannedRefusal, whyEnded } from './account-access.ts'
import { codeDigits, givenPassword } from './accounts.ts'
import { useCode, wrongCode } from './code-use.ts'
import { madeId, runCommand } from './commands.ts'
import { changesSince, incrementalReply, pageWithCursor } from './cursors.ts'
import type { OperationDependencies } from './dependencies.ts'
import { isRefusal, type Refusal, refuse } from './errors.ts'
import { example, name, positionReply, reply, sessionId, sinceCursor } from './fields.ts'
import { email, exactlyOne, identityOf, phone, userName } from './identities.ts'
import { type Call, type Operation, operation } from './operation.ts'
import { accessTokenSeconds, sessionEnded, tokenCharactersMax } from './tokens.ts'

type Dependencies = OperationDependencies

const platforms = ['windows', 'macos', 'linux', 'web', 'android', 'ios', 'harmony'] as const

export const device = z.strictObject({
  deviceId: name(limits.deviceIdCharactersMax).meta({
    description: 'Chosen by the device and kept: signing in again with it replaces its old session.',
  }),
  platform: z.enum(platforms),
  name: name(limits.deviceNameCharactersMax).meta({ description: 'What the user knows the device by.' }),
})

const signInBody = z
  .strictObject({
    by: z.enum(['password', 'code']),
    phone: phone.optional(),
    email: email.optional(),
    userName: userName.optional(),
    password: givenPassword.optional(),
    code: codeDigits.optional(),
    device,
    force: z.boolean().optional().meta({
      description: 'False: rather be refused (`session.limit`) than sign another device out. True unless said.',
    }),
  })
  .superRefine(exactlyOne('phone', 'email', 'userName'))
  .superRefine((fields, context) => {
    const wrong = (path: string, message: string) => context.addIssue({ code: 'custom', message, path: [path] })
    const other = fields.by === 'password' ? 'code' : 'password'
    if (fields[fields.by] === undefined) wrong(fields.by, `is needed when signing in by ${fields.by}`)
    if (fields[other] !== undefined) wrong(other, `does not go with signing in by ${fields.by}`)
    if (fields.by === 'code' && fields.userName !== undefined) wrong('userName', 'has no way to receive a code')
  })
  .meta({
    oneOf: [{ required: ['phone'] }, { required: ['email'] }, { required: ['userName'] }],
  })

type SignIn = z.output<typeof signInBody>

const wrongCredentials: Refusal = refuse(
  'account.wrong-credentials',
  'There is no such account, or the password is another one.',
)

/** The account if what was given proves it. Everything that costs time is done for unknown ones as well. */
const proven = async (dependencies: Dependencies, call: Call, args: SignIn): Promise<CreatedAccount | Refusal> => {
  const { node, keys, rateLimits, passwords } = dependencies
  const { kind, value } = identityOf(args)
  const hmac = keys.identityHmac(kind, value)
  const tooFast = rateLimits.take('signIn', 'target', hmac)
  if (tooFast !== undefined) return tooFast
  const found = await accountBehind(node, kind, hmac)
  if (args.by === 'code') {
    const wrong = await useCode(dependencies, call, { hmac, purpose: 'login', code: args.code ?? '' })
    return wrong ?? found ?? wrongCode
  }
  const right = await passwords.check(found?.passwordHash ?? null, args.password ?? '')
  return right && found !== undefined ? found : wrongCredentials
}

const signIn = async (dependencies: Dependencies, call: Call, args: SignIn) => {
  const found = await proven(dependencies, call, args)
  return isRefusal(found) ? found : openSession(dependencies, call, found, args)
}

/** Opens a session for a device of an account that was recognised. */
export const openSession = async (
  dependencies: Dependencies,
  call: Call,
  found: CreatedAccount,
  args: { readonly device: z.output<typeof device>; readonly force?: boolean | undefined },
) => {
  const { node, tokens, settings } = dependencies
  const banned = bannedRefusal(found, node.clock.now())
  if (banned !== undefined) return banned
  const { userId, credentialEpoch, keptSessionId } = found
  const newSessionId = madeId(node, call, `session ${userId}`) as SessionId
  const { deviceId, platform, name: deviceName } = args.device
  const command = {
    type: 'OpenSession',
    userId,
    sessionId: newSessionId,
    deviceId,
    platform,
    name: deviceName,
    policy: settings.devicePolicy,
    force: args.force ?? true,
    at: node.clock.now(),
  } as const
  const facts = { credentialEpoch, keptSessionId }
  const handled = await runCommand(node, call, session, streamOf.session(userId), command, facts)
  if (isRejection(handled)) return handled
  const opened = handled.state.open.get(newSessionId)
  if (opened === undefined) return sessionEnded
  const kicked = handled.events.flatMap(event => (event.type === 'SessionClosed' ? [event.data.sessionId] : []))
  const pair = await tokens.issue({ userId, sessionId: newSessionId }, opened.generation)
  return { userId, sessionId: newSessionId, ...pair, kicked, position: handled.position }
}

const refreshBody = z.strictObject({ refreshToken: z.string().min(1).max(tokenCharactersMax) })

const refresh = async (dependencies: Dependencies, call: Call, args: z.output<typeof refreshBody>) => {
  const { node, tokens } = dependencies
  const shown = tokens.openRefreshToken(args.refreshToken)
  if ('rejected' in shown) return shown
  const { userId, sessionId: shownSessionId, generation } = shown
  if (!(await node.sessionIsValid(userId, shownSessionId))) return whyEnded(node, userId)
  const command = { type: 'RefreshSession', sessionId: shownSessionId, generation, at: node.clock.now() } as const
  const handled = await runCommand(node, call, session, streamOf.session(userId), command, undefined)
  if (isRejection(handled)) return handled
  // An outdated token ends the session: it was stolen, or it is being used twice.
  const open = handled.state.open.get(shownSessionId)
  if (open === undefined) return sessionEnded
  const pair = await tokens.issue({ userId, sessionId: shownSessionId }, open.generation)
  return { ...pair, position: handled.position }
}

/** A user's devices are few: one page holds them. */
const sessionsQuery = z.strictObject({ since: sinceCursor.optional() })

const list = async (dependencies: Dependencies, call: Call<'user'>, args: z.output<typeof sessionsQuery>) => {
  const { database } = dependencies
  const { userId } = call.caller
  return args.since === undefined
    ? pageWithCursor(dependencies, sessionsOf(database, userId))
    : changesSince(dependencies, args.since, since => sessionChangesOf(database, userId, since))
}

const close = async (
  { node }: Dependencies,
  call: Call<'user'>,
  closedId: SessionId,
  reason: 'kicked' | 'signedOut',
) => {
  const command = { type: 'CloseSession', sessionId: closedId, reason, at: node.clock.now() } as const
  const stream = streamOf.session(call.caller.userId)
  const handled = await runCommand(node, call, session, stream, command, undefined)
  return isRejection(handled) ? handled : { position: handled.position }
}

const tokenReply = {
  accessToken: z.string(),
  refreshToken: z.string().meta({ description: 'Works until the next one was used; an older one ends the session.' }),
  expiresInSeconds: reply.count,
}

const tokenExample = {
  accessToken: 'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIwMWsyYXk4ciJ9.c2ln',
  refreshToken: 'MDFrMmF5OHIuMDFrMmIyajkuMA.c2VhbA',
  expiresInSeconds: accessTokenSeconds,
}

const exampleDevice = { deviceId: 'c0ffee01', platform: 'ios', name: "Ada's phone" } as const

export const signInReply = z.object({
  userId: reply.id,
  sessionId: reply.id,
  ...tokenReply,
  kicked: z.array(reply.id).meta({ description: 'Sessions that this one ended.' }),
  position: reply.position,
})

export const exampleSignIn = {
  body: { device: exampleDevice },
  reply: {
    userId: example.userId,
    sessionId: example.sessionId,
    ...tokenExample,
    kicked: [],
    position: example.position,
  },
} as const

/** Signing in, staying signed in, and the list of one's devices. */
export const sessionOperations: readonly Operation[] = [
  operation({
    id: 'signIn',
    method: 'POST',
    path: '/v1/sessions',
    tag: 'sessions',
    summary: 'Sign in',
    description: 'Opens a session for a device. Which other sessions it ends is up to the device policy of the server.',
    callers: ['anonymous'],
    frame: false,
    limit: 'signIn',
    status: 201,
    body: signInBody,
    reply: signInReply,
    rejections: ['account.wrong-credentials', 'account.banned', 'code.wrong', 'session.limit', 'session.ended'],
    example: {
      body: { by: 'password', userName: 'ada.lovelace', password: 'correct horse battery', ...exampleSignIn.body },
      reply: exampleSignIn.reply,
    },
    run: signIn,
  }),
  operation({
    id: 'refreshSession',
    method: 'POST',
    path: '/v1/sessions/refresh',
    tag: 'sessions',
    summary: 'Get a new pair of tokens',
    callers: ['anonymous'],
    frame: false,
    limit: 'refresh',
    status: 200,
    body: refreshBody,
    reply: z.object({ ...tokenReply, position: reply.position }),
    rejections: ['token.invalid', 'session.ended', 'account.banned'],
    example: {
      body: { refreshToken: tokenExample.refreshToken },
      reply: { ...tokenExample, position: example.position },
    },
    run: refresh,
  }),
  operation({
    id: 'listSessions',
    method: 'GET',
    path: '/v1/sessions',
    tag: 'sessions',
    summary: 'My signed-in devices',
    callers: ['user'],
    frame: true,
    limit: 'queries',
    status: 200,
    query: sessionsQuery,
    reply: incrementalReply(
      z.object({
        sessionId: reply.id,
        deviceId: reply.text,
        platform: z.enum(platforms),
        name: reply.text,
        openedAt: reply.instant,
      }),
    ),
    rejections: ['sync.too-old'],
    example: {
      reply: {
        items: [{ sessionId: example.sessionId, ...exampleDevice, openedAt: example.at }],
        next: null,
        cursor: example.cursor,
      },
    },
    run: list,
  }),
  operation({
    id: 'signOut',
    method: 'DELETE',
    path: '/v1/sessions/current',
    tag: 'sessions',
    summary: 'Sign this device out',
    callers: ['user'],
    frame: true,
    limit: 'commands',
    status: 200,
    reply: positionReply,
    rejections: ['session.not-found'],
    example: { reply: { position: example.position } },
    run: (dependencies, call) => close(dependencies, call, call.caller.sessionId, 'signedOut'),
  }),
  operation({
    id: 'kickSession',
    method: 'DELETE',
    path: '/v1/sessions/:sessionId',
    tag: 'sessions',
    summary: 'Sign another of my devices out',
    callers: ['user'],
    frame: true,
    limit: 'commands',
    status: 200,
    params: z.strictObject({ sessionId }),
    reply: positionReply,
    rejections: ['session.not-found'],
    example: { params: { sessionId: example.sessionId }, reply: { position: example.position } },
    run: (dependencies, call, args) => close(dependencies, call, args.sessionId as SessionId, 'kicked'),
  }),
]
