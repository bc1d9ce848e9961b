// Owns the operations on system notifications: what the server told this one user outside every conversation, and how far
// the user has seen. Must never take a mark of somebody else.

import { z } from 'zod'
import { isRejection } from '../domain/decider.ts'
import { type Position, streamOf } from '../domain/ids.ts'
import { notification } from '../domain/notification/notification.ts'
import { notificationKinds, notificationStates } from '../domain/notification/row.ts'
import { notificationChangesOf, notificationsOf } from '../projections/notification.ts'
import { runCommand } from './commands.ts'
import { changesSince, incrementalQuery, incrementalReply, pageWithCursor, withoutSince } from './cursors.ts'
import type { OperationDependencies } from './dependencies.ts'
import { example, position, positionReply, reply } from './fields.ts'
import { type Call, type Operation, operation } from './operation.ts'

const listQuery = incrementalQuery
  .safeExtend({ state: z.enum(notificationStates).optional() })
  .superRefine(withoutSince('state'))

const list = (dependencies: OperationDependencies, call: Call<'user'>, args: z.output<typeof listQuery>) => {
  const { database } = dependencies
  const { userId } = call.caller
  return args.since === undefined
    ? pageWithCursor(dependencies, notificationsOf(database, userId, args))
    : changesSince(dependencies, args.since, since => notificationChangesOf(database, userId, since))
}

const readBody = z.strictObject({ upTo: position.meta({ description: 'The `position` of the newest one seen.' }) })

const read = async ({ node }: OperationDependencies, call: Call<'user'>, args: z.output<typeof readBody>) => {
  const { userId } = call.caller
  const command = { type: 'ReadNotifications', userId, upTo: args.upTo as Position, at: node.clock.now() } as const
  const facts = { head: node.position }
  const handled = await runCommand(node, call, notification, streamOf.notification(userId), command, facts)
  return isRejection(handled) ? handled : { position: handled.position }
}

const usual = { tag: 'notifications', callers: ['user'], frame: true, status: 200 } as const

/** System notifications. */
export const notificationOperations: readonly Operation[] = [
  operation({
    ...usual,
    id: 'listNotifications',
    method: 'GET',
    path: '/v1/notifications',
    summary: 'What the server told me, the newest first',
    description:
      'What was answered, expired or was withdrawn, and what needs no answer, is kept for 30 days. One whose `position` is after `readMarks.notifications` is unread.',
    limit: 'queries',
    query: listQuery,
    reply: incrementalReply(
      z.object({
        notificationId: reply.id,
        kind: z.enum(notificationKinds),
        at: reply.instant,
        position: reply.position,
        by: reply.id,
        userId: reply.id.optional().meta({ description: 'Whom it is about, where that is not the one who did it.' }),
        groupId: reply.id.optional(),
        message: reply.text.optional(),
        state: z.enum(notificationStates),
        endedAt: reply.instant.optional(),
      }),
    ).extend({ unread: z.int().optional().meta({ description: 'Without `since`: how many are unread in all.' }) }),
    rejections: ['sync.too-old'],
    example: {
      query: { limit: 50 },
      reply: {
        items: [
          {
            notificationId: '3f0c9d2e-7b61-8c14-a5d0-6e2b1f8a9c47',
            kind: 'removedFromGroup',
            at: example.at,
            position: example.position,
            by: example.userId,
            groupId: example.groupId,
            state: 'none',
          },
        ],
        next: null,
        cursor: example.cursor,
        unread: 1,
      },
    },
    run: list,
  }),
  operation({
    ...usual,
    id: 'readNotifications',
    method: 'POST',
    path: '/v1/notifications/read',
    summary: 'Mark what the server told me as read',
    description: 'A mark never goes back, nor beyond what has happened so far.',
    limit: 'commands',
    body: readBody,
    reply: positionReply,
    rejections: [],
    example: { body: { upTo: example.position }, reply: { position: example.position } },
    run: read,
  }),
]
