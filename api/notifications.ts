// Owns the operation on system notifications: what the server told this one user outside every conversation.

import { z } from 'zod'
import { notificationChangesOf, notificationsOf } from '../projections/notification.ts'
import { changesSince, incrementalQuery, incrementalReply } from './cursors.ts'
import type { OperationDependencies } from './dependencies.ts'
import { example, reply } from './fields.ts'
import { type Call, type Operation, operation } from './operation.ts'

const list = (dependencies: OperationDependencies, call: Call<'user'>, args: z.output<typeof incrementalQuery>) => {
  const { database } = dependencies
  const { userId } = call.caller
  return args.since === undefined
    ? notificationsOf(database, userId, args)
    : changesSince(dependencies, args.since, since => notificationChangesOf(database, userId, since))
}

/** System notifications. */
export const notificationOperations: readonly Operation[] = [
  operation({
    id: 'listNotifications',
    method: 'GET',
    path: '/v1/notifications',
    tag: 'notifications',
    summary: 'What the server told me, the newest first',
    callers: ['user'],
    frame: true,
    limit: 'queries',
    status: 200,
    query: incrementalQuery,
    reply: incrementalReply(
      z.object({
        notificationId: reply.id,
        kind: z.enum(['removedFromGroup', 'groupDissolved']),
        groupId: reply.id,
        by: reply.id,
        at: reply.instant,
      }),
    ),
    rejections: ['sync.too-old'],
    example: {
      query: { limit: 50 },
      reply: {
        items: [
          {
            notificationId: '3f0c9d2e-7b61-8c14-a5d0-6e2b1f8a9c47',
            kind: 'removedFromGroup',
            groupId: example.groupId,
            by: example.userId,
            at: example.at,
          },
        ],
        next: null,
      },
    },
    run: list,
  }),
]
