// Owns what an account signs in by, after sign-up: binding another phone number, e-mail address or user name (R1, R3).
// First the claim, which decides between two who want the same; then the account's own event, from which on the new one works
// and the old one does not. A crash between leaves a claim that nobody lists: a repeat of the same user finishes it, even without
// a key and though the code is used up; after a while others can take it over.
// A code proves the new one; that it was the owner who asked, nothing does. So the addresses of before are told of it.

import { z } from 'zod'
import { account, type CreatedAccount } from '../domain/account/account.ts'
import type { IdentityKind } from '../domain/account/events.ts'
import { isRejection } from '../domain/decider.ts'
import { identity, isHeldBy } from '../domain/identity/identity.ts'
import { type Instant, streamOf } from '../domain/ids.ts'
import { instantPlusSeconds } from '../domain/instants.ts'
import type { Node } from '../eventstore/node.ts'
import { claimFacts, noSuchAccount } from './account-access.ts'
import { codeDigits } from './accounts.ts'
import { useCode } from './code-use.ts'
import { runCommand } from './commands.ts'
import type { OperationDependencies } from './dependencies.ts'
import { invalid } from './errors.ts'
import { parseFields } from './field-errors.ts'
import { example, positionReply, text } from './fields.ts'
import { email, phone, userName } from './identities.ts'
import { type Call, type Operation, operation } from './operation.ts'

const schemas = { phone, email, userName } as const

const params = z.strictObject({ kind: z.enum(['phone', 'email', 'userName']) })
const body = z.strictObject({
  value: text(1, 254).meta({ description: 'The new phone number, e-mail address or user name.' }),
  code: codeDigits.optional().meta({ description: 'Sent there with purpose `bind`; a user name needs none.' }),
})

/** Later than anything the account let go of: so that this claim is never taken for the one that is to be freed. */
const claimTime = (now: Instant, { identitiesChangedAt }: CreatedAccount): Instant => {
  const after = instantPlusSeconds(identitiesChangedAt, 0.001)
  return now > after ? now : after
}

/** Without the caller's key: a repeat must find the claim as it is now, and make it anew where the account does not list it. */
const claim = async (node: Node, found: CreatedAccount, kind: IdentityKind, hmac: string, at: Instant) => {
  const command = { type: 'ClaimIdentity', kind, userId: found.userId, at } as const
  return node.handle(identity, streamOf.identity(hmac), command, { facts: await claimFacts(node, kind, hmac) })
}

/** One who repeats what was done, wholly or by half, is told nothing that they do not know. */
const isHeld = async (node: Node, found: CreatedAccount, kind: IdentityKind, hmac: string): Promise<boolean> => {
  const { state } = await node.load(identity, streamOf.identity(hmac))
  const facts = { isListed: found.identities[kind] === hmac, changedAt: found.identitiesChangedAt }
  return isHeldBy(state, found.userId, facts, node.clock.now())
}

/** To what the account had before, the replaced one too: the way back, should it not have been the owner. */
const tellOwner = ({ codes }: OperationDependencies, { phone, email }: CreatedAccount) => {
  const word = { purpose: 'changed', code: null } as const
  if (phone !== undefined) codes.deliver({ channel: 'sms', target: phone, ...word })
  if (email !== undefined) codes.deliver({ channel: 'email', target: email, ...word })
}

const bind = async (
  dependencies: OperationDependencies,
  call: Call<'user'>,
  args: z.output<typeof params> & z.output<typeof body>,
) => {
  const { node, keys, rateLimits } = dependencies
  const { kind, code } = args
  const parsed = parseFields(schemas[kind], args.value)
  if ('errors' in parsed) return invalid(parsed.errors.map(({ message }) => ({ path: 'value', message })))
  if ((code === undefined) !== (kind === 'userName')) {
    return invalid([{ path: 'code', message: kind === 'userName' ? 'does not go with a user name' : 'is needed' }])
  }
  const stream = streamOf.account(call.caller.userId)
  const { state } = await node.load(account, stream)
  if (state.status !== 'created') return noSuchAccount
  const tooFast = rateLimits.take('signIn', 'target', state.userId)
  if (tooFast !== undefined) return tooFast
  const hmac = keys.identityHmac(kind, parsed.data)
  const needsNoCode = code === undefined || (await isHeld(node, state, kind, hmac))
  const wrong = needsNoCode ? undefined : await useCode(dependencies, call, { hmac, purpose: 'bind', code })
  if (wrong !== undefined) return wrong
  const at = claimTime(node.clock.now(), state)
  const claimed = await claim(node, state, kind, hmac, at)
  if (isRejection(claimed)) return claimed
  const command = { type: 'BindIdentity', identity: { kind, hmac }, value: parsed.data, at } as const
  const bound = await runCommand(node, call, account, stream, command, undefined)
  if (isRejection(bound)) return bound
  if (!bound.repeated && bound.events.length > 0) tellOwner(dependencies, state)
  return { position: bound.position }
}

/** What an account signs in by. */
export const accountIdentityOperations: readonly Operation[] = [
  operation({
    id: 'bindIdentity',
    method: 'PUT',
    path: '/v1/users/me/identities/:kind',
    tag: 'accounts',
    summary: 'Bind or change my phone number, e-mail address or user name',
    description:
      'Signing in works by the new one at once, and no longer by the one it replaces, which is free for others. The phone number and the e-mail address that the account had are told of it. Done again it changes nothing: of what is bound already no code is used.',
    callers: ['user'],
    frame: false,
    limit: 'signIn',
    status: 200,
    params,
    body,
    reply: positionReply,
    rejections: ['account.not-found', 'code.wrong', 'identity.taken'],
    example: {
      params: { kind: 'email' },
      body: { value: 'ada@example.org', code: '123456' },
      reply: { position: example.position },
    },
    run: bind,
  }),
]
