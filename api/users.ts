// Owns the operations on profiles (R2): public fields of anybody, private ones of oneself only.

import { z } from 'zod'
import { limits } from '../domain/limits.ts'
import { ownUser, usersByIds } from '../projections/account.ts'
import { refuse } from './errors.ts'
import { example, idList, reply, userId } from './fields.ts'
import { type Operation, operation, self } from './operation.ts'

const userRow = z.object({ userId: reply.id, userName: reply.text.optional(), name: reply.text })
const ownRow = userRow.extend({ phone: reply.text.optional(), email: reply.text.optional(), createdAt: reply.instant })

const exampleRow = { userId: example.otherUserId, userName: 'charles.babbage', name: 'Charles' }
const noSuchUser = refuse('user.not-found', 'There is no such user.')

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
      reply: { userId: example.userId, name: 'Ada', email: 'ada@example.org', createdAt: example.at },
    },
    run: async ({ database }, call) => (await ownUser(database, call.caller.userId)) ?? noSuchUser,
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
