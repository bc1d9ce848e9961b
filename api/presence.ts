// Owns the operation that tells who is online (R5). What it says is in memory only and may be lost; one whom the other blocks
// is told what is told of somebody who was never there.

import { z } from 'zod'
import { limits } from '../domain/limits.ts'
import { blocks } from '../eventstore/relations.ts'
import { usersByIds } from '../projections/account.ts'
import type { OperationDependencies } from './dependencies.ts'
import { example, idList, reply } from './fields.ts'
import { type Call, type Operation, operation, self } from './operation.ts'

const query = z.strictObject({ ids: idList(limits.usersPerQueryMax) })

const row = z.object({
  userId: reply.id,
  online: z.boolean(),
  since: reply.instant.nullable().meta({ description: 'Came online then, or went offline; null: not known.' }),
  at: reply.instant.meta({ description: 'When the server says so: drop what is older than what you have.' }),
})

const get = async (
  { database, node, presence }: OperationDependencies,
  call: Call<'user'>,
  args: z.output<typeof query>,
) => {
  const found = await usersByIds(
    database,
    args.ids.map(id => self(call, id)),
  )
  const visible = async (userId: (typeof found)[number]['userId']) => {
    const said = presence(userId)
    const isHidden = said.since !== null && (await blocks(node.load, userId, call.caller.userId))
    return isHidden ? { ...said, online: false, since: null } : said
  }
  return {
    items: await Promise.all(found.filter(user => user.closedAt === undefined).map(user => visible(user.userId))),
  }
}

/** Who is online. */
export const presenceOperations: readonly Operation[] = [
  operation({
    id: 'getPresence',
    method: 'GET',
    path: '/v1/presence',
    tag: 'users',
    summary: 'Who is online, and since when',
    description:
      'Online is who has a live socket. Users that do not exist and closed accounts are left out. Going offline shows after a few seconds, so that a device that reconnects stays online.',
    callers: ['user'],
    frame: true,
    limit: 'queries',
    status: 200,
    query,
    reply: z.object({ items: z.array(row) }),
    rejections: [],
    example: {
      query: { ids: [example.otherUserId] },
      reply: { items: [{ userId: example.otherUserId, online: true, since: example.at, at: example.at }] },
    },
    run: get,
  }),
]
