// Owns closing one's own account. Refused while the user owns groups; what follows elsewhere is followers/accounts.ts.

import { z } from 'zod'
import { account, type CreatedAccount } from '../domain/account/account.ts'
import { closedAccountName } from '../domain/account/row.ts'
import { isRejection } from '../domain/decider.ts'
import { streamOf } from '../domain/ids.ts'
import { ownedGroupIds } from '../projections/group.ts'
import { noSuchAccount, wrongPassword } from './account-access.ts'
import { codeDigits, givenPassword } from './accounts.ts'
import { useCode, wrongCode } from './code-use.ts'
import { channels } from './codes/delivery.ts'
import { runCommand } from './commands.ts'
import type { OperationDependencies } from './dependencies.ts'
import { invalid, isRefusal, type Refusal } from './errors.ts'
import { afterMsMax, readModelsBehind } from './execution.ts'
import { example, positionReply } from './fields.ts'
import { type Call, type Operation, operation } from './operation.ts'

const body = z
  .strictObject({
    password: givenPassword.optional(),
    code: codeDigits.optional(),
    channel: z.enum(channels).optional().meta({
      description:
        'Where the code was sent, with purpose `close`: `sms` to the phone number, `email` to the address of the account. Needed only where the account has both.',
    }),
  })
  .superRefine((fields, context) => {
    const wrong = (path: string, message: string) => context.addIssue({ code: 'custom', message, path: [path] })
    if ((fields.password === undefined) === (fields.code === undefined))
      wrong('password', 'give exactly one of password, code')
    if (fields.code === undefined && fields.channel !== undefined) wrong('channel', 'goes with a code')
  })
  .meta({ oneOf: [{ required: ['password'] }, { required: ['code'] }] })

type Body = z.output<typeof body>

/** The epoch that the password was checked against, for the command that follows. */
const byPassword = async (
  { passwords, rateLimits }: OperationDependencies,
  { userId, passwordHash, credentialEpoch }: CreatedAccount,
  password: string,
): Promise<{ readonly checkedEpoch: number } | Refusal> => {
  const tooFast = rateLimits.take('signIn', 'target', userId)
  if (tooFast !== undefined) return tooFast
  return (await passwords.check(passwordHash, password)) ? { checkedEpoch: credentialEpoch } : wrongPassword
}

/** The password, or a code that was sent to what the account signs in by. */
const proofOf = async (
  dependencies: OperationDependencies,
  call: Call<'user'>,
  found: CreatedAccount,
  { password, code, channel }: Body,
): Promise<{ readonly checkedEpoch?: number } | Refusal> => {
  if (code === undefined) return byPassword(dependencies, found, password ?? '')
  const { phone, email } = found.identities
  if (channel === undefined && phone !== undefined && email !== undefined) {
    return invalid([{ path: 'channel', message: 'is needed: the account has a phone number and an e-mail address' }])
  }
  const only = phone === undefined ? 'email' : 'sms'
  const hmac = (channel ?? only) === 'sms' ? phone : email
  if (hmac === undefined) return wrongCode
  return (await useCode(dependencies, call, { hmac, purpose: 'close', code })) ?? {}
}

const close = async (dependencies: OperationDependencies, call: Call<'user'>, args: Body) => {
  const { node, database, passed } = dependencies
  const { userId } = call.caller
  const stream = streamOf.account(userId)
  const { state } = await node.load(account, stream)
  if (state.status !== 'created') return noSuchAccount
  const proof = await proofOf(dependencies, call, state, args)
  if (isRefusal(proof)) return proof
  if (!(await passed(node.position, afterMsMax))) return readModelsBehind
  const facts = { ownedGroupIds: await ownedGroupIds(database, userId) }
  const command = { type: 'CloseAccount', ...proof, at: node.clock.now() } as const
  const closed = await runCommand(node, call, account, stream, command, facts)
  return isRejection(closed) ? closed : { position: closed.position }
}

/** The end of an account. */
export const accountClosingOperations: readonly Operation[] = [
  operation({
    id: 'closeAccount',
    method: 'DELETE',
    path: '/v1/users/me',
    tag: 'accounts',
    summary: 'Close my account, for good',
    description: `Ends every session, frees what the account signs in by, and leaves its groups. What was written stays; others see \`${closedAccountName}\` and \`closedAt\`. Refused while the account owns groups: the error lists some in \`groupIds\`.`,
    callers: ['user'],
    frame: false,
    limit: 'signIn',
    status: 200,
    body,
    reply: positionReply,
    rejections: [
      'account.not-found',
      'account.wrong-password',
      'account.owns-groups',
      'code.wrong',
      'projection.behind',
    ],
    example: { body: { password: 'correct horse battery' }, reply: { position: example.position } },
    run: close,
  }),
]
