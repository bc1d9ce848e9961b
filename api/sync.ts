// Owns the sync over HTTP: the same content as over the socket, for clients without one.

import { z } from 'zod'
import { collections } from '../domain/rows.ts'
import { isRefusal } from './errors.ts'
import { example, sinceCursor } from './fields.ts'
import { type Operation, operation, rawJson } from './operation.ts'

/** The whole of what one user holds. */
export const syncOperations: readonly Operation[] = [
  operation({
    id: 'sync',
    method: 'GET',
    path: '/v1/sync',
    tag: 'sync',
    summary: 'All my rows, or what changed since a cursor',
    description:
      'The same as over the socket. `reset`: there was no cursor, or it could not be used: drop what you hold first.',
    callers: ['user'],
    frame: false,
    limit: 'queries',
    status: 200,
    query: z.strictObject({ since: sinceCursor.optional() }),
    reply: z.object({
      reset: z.boolean(),
      rows: z.array(
        z.looseObject({
          op: z.literal('rows'),
          collection: z.enum(collections),
          items: z.array(z.looseObject({})),
          removed: z.array(z.string()).optional(),
          via: z.enum(['offline', 'roaming']).optional(),
        }),
      ),
      cursor: z.string(),
    }),
    rejections: [],
    example: {
      reply: {
        reset: true,
        rows: [{ op: 'rows', collection: 'blocklist', items: [{ userId: example.otherUserId, at: example.at }] }],
        cursor: example.cursor,
      },
    },
    run: async ({ sync }, call, { since }) => {
      const found = await sync(call.caller.userId, since)
      return isRefusal(found) ? found : rawJson(found)
    },
  }),
]
