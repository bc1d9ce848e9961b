// Owns the operations on accounts (R1, R4): codes, sign-up, changing and resetting a password.
// Must never tell whether a phone number or e-mail address is known to anyone who has not proven to own it.

import { randomInt } from 'node:crypto'
import { z } from 'zod'
import { account } from '../domain/account/account.ts'
import { code } from '../domain/code/code.ts'
import { isRejection } from '../domain/decider.ts'
import { identity } from '../domain/identity/identity.ts'
import { streamOf, type UserId } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { accountBehind, bannedRefusal, claimFacts, noSuchAccount, wrongPassword } from './account-access.ts'
import { useCode, wrongCode } from './code-use.ts'
import { type Channel, channels } from './codes/delivery.ts'
import { madeId, runCommand } from './commands.ts'
import type { OperationDependencies } from './dependencies.ts'
import { invalid, isRefusal, type Refusal, refuse } from './errors.ts'
import { parseFields } from './field-errors.ts'
import { example, name, positionReply, reply, text } from './fields.ts'
import { email, exactlyOne, type Identity, identityOf, phone, userName } from './identities.ts'
import { type Call, type Operation, operation } from './operation.ts'

type Dependencies = OperationDependencies

/** Composed forms of one letter are one password. */
export const password = text(limits.passwordCharactersMin, limits.passwordCharactersMax)
  .normalize('NFC')
  .meta({ description: `${limits.passwordCharactersMin} to ${limits.passwordCharactersMax} characters.` })

/** For signing in: what was a password once must be askable, whatever the limits are now. */
export const givenPassword = text(1, limits.passwordCharactersMax).normalize('NFC')

export const codeDigits = z
  .string()
  .regex(new RegExp(`^[0-9]{${limits.codeDigits}}$`), { message: `${limits.codeDigits} digits` })
  .meta({ description: 'The one-time code that was sent.' })

const codePurposes = ['register', 'login', 'reset', 'bind', 'close'] as const

const codeBody = z.strictObject({
  channel: z.enum(channels),
  target: text(1, 254).meta({ description: 'A phone number for `sms`, an e-mail address for `email`.' }),
  purpose: z.enum(codePurposes),
})

const targetOf = (channel: Channel, target: string): Identity | Refusal => {
  const parsed = parseFields(channel === 'sms' ? phone : email, target)
  if ('errors' in parsed) return invalid(parsed.errors.map(({ message }) => ({ path: 'target', message })))
  return { kind: channel === 'sms' ? 'phone' : 'email', value: parsed.data }
}

const newCode = () =>
  randomInt(10 ** limits.codeDigits)
    .toString()
    .padStart(limits.codeDigits, '0')

/** The code is stored whether anything is sent or not, so that the next answer cannot differ either. */
const requestCode = async (dependencies: Dependencies, call: Call, args: z.output<typeof codeBody>) => {
  const { node, keys, codes, rateLimits } = dependencies
  const { channel, purpose } = args
  if (!codes.serves(channel)) return invalid([{ path: 'channel', message: `this server sends nothing by ${channel}` }])
  const target = targetOf(channel, args.target)
  if (isRefusal(target)) return target
  const hmac = keys.identityHmac(target.kind, target.value)
  const tooFast = rateLimits.take('codes', 'target', hmac)
  if (tooFast !== undefined) return tooFast
  const digits = newCode()
  const command = {
    type: 'SendCode',
    purpose,
    codeHash: keys.codeHash(hmac, purpose, digits),
    at: node.clock.now(),
  } as const
  const known = (await accountBehind(node, target.kind, hmac)) !== undefined
  const handled = await runCommand(node, call, code, streamOf.code(hmac), command, undefined)
  if (isRejection(handled)) return handled
  if (!handled.repeated) {
    const message = { channel, target: target.value, purpose }
    if (purpose === 'register' || purpose === 'bind') codes.deliver({ ...message, code: known ? null : digits })
    else if (known) codes.deliver({ ...message, code: digits })
  }
  return { expiresInSeconds: limits.codeLifeSeconds, resendInSeconds: limits.codeResendSeconds }
}

const accountBody = z
  .strictObject({
    phone: phone.optional(),
    email: email.optional(),
    userName: userName.optional(),
    code: codeDigits.optional(),
    password: password.optional(),
    name: name(limits.nameCharactersMax),
  })
  .superRefine(exactlyOne('phone', 'email', 'userName'))
  .superRefine((fields, context) => {
    const missing = (path: string, message: string) => context.addIssue({ code: 'custom', message, path: [path] })
    if (fields.userName !== undefined) {
      if (fields.password === undefined) missing('password', 'is needed with a user name')
      if (fields.code !== undefined) missing('code', 'does not go with a user name')
    } else if (fields.code === undefined) missing('code', 'is needed with a phone number or e-mail address')
  })
  .meta({
    oneOf: [{ required: ['phone', 'code'] }, { required: ['email', 'code'] }, { required: ['userName', 'password'] }],
  })

const taken: Refusal = refuse('identity.taken', 'It belongs to another account. Sign in to that one, or use another.')

/** First the account, which alone can do nothing; then the claim, which decides. A crash between leaves the name free. */
const createAccount = async (dependencies: Dependencies, call: Call, args: z.output<typeof accountBody>) => {
  const { node, keys, passwords, settings } = dependencies
  const { kind, value } = identityOf(args)
  if (kind === 'userName' && !settings.userNameSignUp) {
    return refuse('account.user-name-sign-up-off', 'Sign up with a phone number or an e-mail address.')
  }
  const hmac = keys.identityHmac(kind, value)
  if (args.code !== undefined) {
    const wrong = await useCode(dependencies, call, { hmac, purpose: 'register', code: args.code })
    if (wrong !== undefined) return wrong
  }
  const userId = madeId(node, call, `account ${hmac}`) as UserId
  const facts = await claimFacts(node, kind, hmac)
  if (facts?.isListed === true && facts.holder !== userId) return taken
  const passwordHash = args.password === undefined ? undefined : await passwords.hash(args.password)
  const at = node.clock.now()
  const creation = {
    type: 'CreateAccount',
    userId,
    name: args.name,
    identity: { kind, hmac },
    [kind]: value,
    ...(passwordHash === undefined ? undefined : { passwordHash }),
    at,
  } as const
  const created = await runCommand(node, call, account, streamOf.account(userId), creation, undefined)
  if (isRejection(created)) return created
  const claim = { type: 'ClaimIdentity', kind, userId, at } as const
  const claimed = await runCommand(node, call, identity, streamOf.identity(hmac), claim, facts)
  return isRejection(claimed) ? claimed : { userId, position: claimed.position }
}

const passwordBody = z.strictObject({ current: givenPassword, new: password })

const changePassword = async (dependencies: Dependencies, call: Call<'user'>, args: z.output<typeof passwordBody>) => {
  const { node, passwords, rateLimits } = dependencies
  const { userId, sessionId } = call.caller
  const { state } = await node.load(account, streamOf.account(userId))
  if (state.status !== 'created') return noSuchAccount
  const tooFast = rateLimits.take('signIn', 'target', userId)
  if (tooFast !== undefined) return tooFast
  const right = await passwords.check(state.passwordHash, args.current)
  // A repeat finds the new password in place. No account has epoch -1, so only a command already known gets through.
  if (!right && call.command === undefined) return wrongPassword
  const command = {
    type: 'ChangePassword',
    passwordHash: right ? await passwords.hash(args.new) : '',
    keptSessionId: sessionId,
    reason: 'changed',
    checkedEpoch: right ? state.credentialEpoch : -1,
    at: node.clock.now(),
  } as const
  const changed = await runCommand(node, call, account, streamOf.account(userId), command, undefined)
  if (!isRejection(changed)) return { position: changed.position }
  return !right && changed.rejected === 'account.wrong-password' ? wrongPassword : changed
}

const resetBody = z
  .strictObject({ phone: phone.optional(), email: email.optional(), code: codeDigits, new: password })
  .superRefine(exactlyOne('phone', 'email'))
  .meta({ oneOf: [{ required: ['phone'] }, { required: ['email'] }] })

const resetPassword = async (dependencies: Dependencies, call: Call, args: z.output<typeof resetBody>) => {
  const { node, keys, passwords, rateLimits } = dependencies
  const { kind, value } = identityOf(args)
  const hmac = keys.identityHmac(kind, value)
  const tooFast = rateLimits.take('signIn', 'target', hmac)
  if (tooFast !== undefined) return tooFast
  const wrong = await useCode(dependencies, call, { hmac, purpose: 'reset', code: args.code })
  if (wrong !== undefined) return wrong
  const found = await accountBehind(node, kind, hmac)
  if (found === undefined) return wrongCode
  const banned = bannedRefusal(found, node.clock.now())
  if (banned !== undefined) return banned
  const command = {
    type: 'ChangePassword',
    passwordHash: await passwords.hash(args.new),
    keptSessionId: null,
    reason: 'reset',
    at: node.clock.now(),
  } as const
  const changed = await runCommand(node, call, account, streamOf.account(found.userId), command, undefined)
  return isRejection(changed) ? changed : { position: changed.position }
}

/** Codes, sign-up and passwords. */
export const accountOperations: readonly Operation[] = [
  operation({
    id: 'requestCode',
    method: 'POST',
    path: '/v1/codes',
    tag: 'accounts',
    summary: 'Have a one-time code sent',
    description: 'The answer is the same whether the target is known or not; what is sent is not.',
    callers: ['anonymous'],
    frame: false,
    limit: 'codes',
    status: 202,
    body: codeBody,
    reply: z.object({ expiresInSeconds: reply.count, resendInSeconds: reply.count }),
    rejections: ['code.too-soon'],
    example: {
      body: { channel: 'email', target: 'ada@example.org', purpose: 'register' },
      reply: { expiresInSeconds: limits.codeLifeSeconds, resendInSeconds: limits.codeResendSeconds },
    },
    run: requestCode,
  }),
  operation({
    id: 'createAccount',
    method: 'POST',
    path: '/v1/accounts',
    tag: 'accounts',
    summary: 'Sign up',
    description: 'With a phone number or e-mail address and the code sent there, or with a user name and a password.',
    callers: ['anonymous'],
    frame: false,
    limit: 'signUp',
    status: 201,
    body: accountBody,
    reply: z.object({ userId: reply.id, position: reply.position }),
    rejections: ['account.user-name-sign-up-off', 'account.exists', 'identity.taken', 'code.wrong'],
    example: {
      body: { userName: 'ada.lovelace', password: 'correct horse battery', name: 'Ada' },
      reply: { userId: example.userId, position: example.position },
    },
    run: createAccount,
  }),
  operation({
    id: 'changePassword',
    method: 'PUT',
    path: '/v1/users/me/password',
    tag: 'accounts',
    summary: 'Change the password',
    description: 'Ends every other session of the account.',
    callers: ['user'],
    frame: false,
    limit: 'signIn',
    status: 200,
    body: passwordBody,
    reply: positionReply,
    rejections: ['account.not-found', 'account.wrong-password'],
    example: {
      body: { current: 'correct horse battery', new: 'staple of another kind' },
      reply: { position: example.position },
    },
    run: changePassword,
  }),
  operation({
    id: 'resetPassword',
    method: 'POST',
    path: '/v1/password-resets',
    tag: 'accounts',
    summary: 'Set a new password with a code',
    description: 'Ends every session of the account. The code is asked for with purpose `reset`.',
    callers: ['anonymous'],
    frame: false,
    limit: 'signIn',
    status: 200,
    body: resetBody,
    reply: positionReply,
    rejections: ['code.wrong', 'account.banned'],
    example: {
      body: { email: 'ada@example.org', code: '123456', new: 'staple of another kind' },
      reply: { position: example.position },
    },
    run: resetPassword,
  }),
]
