// Owns the operations on profiles (R2, R3): public fields of anybody, private ones of oneself only.

import { z } from 'zod'
import { account } from '../domain/account/account.ts'
import { friendPolicies, genders, initialPrivateProfile, type ProfileChanges } from '../domain/account/profile.ts'
import { closedAccountName } from '../domain/account/row.ts'
import { isRejection } from '../domain/decider.ts'
import { streamOf } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { ownUser, usersByIds } from '../projections/account.ts'
import { runCommand } from './commands.ts'
import type { OperationDependencies } from './dependencies.ts'
import { refuse } from './errors.ts'
import { afterMsMax, readModelsBehind } from './execution.ts'
import { example, idList, name, positionReply, reply, text, userId } from './fields.ts'
import { type Call, type Operation, operation, self } from './operation.ts'

export const userRow = z.object({
  userId: reply.id,
  userName: reply.text.optional(),
  name: reply.text,
  avatarUrl: reply.text.optional(),
  signature: reply.text.optional(),
  gender: z.enum(genders).optional(),
  birthday: reply.text.optional(),
  extension: reply.text.optional(),
  closedAt: reply.instant.optional().meta({
    description: `The account was closed then; of the rest there is only the name, \`${closedAccountName}\`.`,
  }),
})

const discoverableBy = z
  .strictObject({ phone: z.boolean(), email: z.boolean(), userName: z.boolean(), namePrefix: z.boolean() })
  .meta({ description: 'By what others find me; all four at once.' })
const friendPolicy = z.enum(friendPolicies).meta({ description: 'Who may become a friend.' })

export const ownRow = userRow.extend({
  phone: reply.text.optional(),
  email: reply.text.optional(),
  friendPolicy,
  discoverableBy,
  createdAt: reply.instant,
})

const avatarUrl = text(1, limits.avatarUrlCharactersMax)
  .check(z.url({ protocol: /^https$/, message: 'is no https URL' }))
  .meta({ format: 'uri' })
const birthday = z.iso.date({ message: 'is no date such as 2001-12-31' })

const profileBody = z
  .strictObject({
    name: name(limits.nameCharactersMax).optional(),
    avatarUrl: avatarUrl.nullable().optional(),
    signature: text(1, limits.signatureCharactersMax).nullable().optional(),
    gender: z.enum(genders).nullable().optional(),
    birthday: birthday.nullable().optional(),
    extension: text(1, limits.profileExtensionCharactersMax).nullable().optional(),
    friendPolicy: friendPolicy.optional(),
    discoverableBy: discoverableBy.optional(),
  })
  .meta({ description: 'Only what changes; null clears a field.', minProperties: 1 })
  .refine(fields => Object.keys(fields).length > 0, { message: 'give at least one field' })

const changeProfile = async (
  { node }: OperationDependencies,
  call: Call<'user'>,
  args: z.output<typeof profileBody>,
) => {
  const command = { type: 'ChangeProfile', changes: args as ProfileChanges, at: node.clock.now() } as const
  const changed = await runCommand(node, call, account, streamOf.account(call.caller.userId), command, undefined)
  return isRejection(changed) ? changed : { position: changed.position }
}

export const exampleRow = { userId: example.otherUserId, userName: 'charles.babbage', name: 'Charles' }
const noSuchUser = refuse('user.not-found', 'There is no such user.')

/** One who signed up a moment ago has an account before the read models know of it: those are waited for. */
const ownProfile = async ({ node, database, passed }: OperationDependencies, call: Call<'user'>) => {
  const { userId } = call.caller
  const found = await ownUser(database, userId)
  if (found !== undefined) return found
  const { position } = await node.load(account, streamOf.account(userId))
  if (!(await passed(position, afterMsMax))) return readModelsBehind
  return (await ownUser(database, userId)) ?? noSuchUser
}

const usual = { tag: 'users', callers: ['user'], frame: true, limit: 'queries', status: 200, method: 'GET' } as const

/** Profiles. */
export const userOperations: readonly Operation[] = [
  operation({
    ...usual,
    id: 'listUsers',
    path: '/v1/users',
    summary: 'Profiles of several users',
    description: 'Users that do not exist are left out.',
    query: z.strictObject({ ids: idList(limits.usersPerQueryMax) }),
    reply: z.object({ items: z.array(userRow) }),
    rejections: [],
    example: { query: { ids: [example.otherUserId] }, reply: { items: [exampleRow] } },
    run: async ({ database }, call, { ids }) => ({
      items: await usersByIds(database, [...new Set(ids.map(id => self(call, id)))]),
    }),
  }),
  operation({
    ...usual,
    id: 'getOwnUser',
    path: '/v1/users/me',
    summary: 'My own profile, private fields included',
    reply: ownRow,
    rejections: ['user.not-found'],
    example: {
      reply: {
        userId: example.userId,
        name: 'Ada',
        email: 'ada@example.org',
        ...initialPrivateProfile,
        createdAt: example.at,
      },
    },
    run: ownProfile,
  }),
  operation({
    ...usual,
    id: 'updateOwnUser',
    method: 'PATCH',
    path: '/v1/users/me',
    summary: 'Change my profile',
    description:
      'Reaches the devices of those who hold my row: my friends, and the people I share a conversation of two with.',
    limit: 'commands',
    body: profileBody,
    reply: positionReply,
    rejections: ['account.not-found'],
    example: { body: { name: 'Ada', signature: null }, reply: { position: example.position } },
    run: changeProfile,
  }),
  operation({
    ...usual,
    id: 'getUser',
    path: '/v1/users/:userId',
    summary: 'Profile of a user',
    params: z.strictObject({ userId }),
    reply: userRow,
    rejections: ['user.not-found'],
    example: { params: { userId: example.otherUserId }, reply: exampleRow },
    run: async ({ database }, call, args) => {
      const [row] = await usersByIds(database, [self(call, args.userId)])
      return row ?? noSuchUser
    },
  }),
]
