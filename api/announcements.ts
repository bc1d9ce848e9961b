// Owns the operations on a group's announcements (R40): publish, list, delete, and the mark that one was seen.

import { z } from 'zod'
import { isRejection } from '../domain/decider.ts'
import { group, roleIn } from '../domain/group/group.ts'
import { type GroupId, groupConversationId, streamOf } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { announcementsOf } from '../projections/announcement.ts'
import { madeId } from './commands.ts'
import type { OperationDependencies } from './dependencies.ts'
import { refuse } from './errors.ts'
import { example, groupId, pageCursor, pageLimit, positionReply, reply, text } from './fields.ts'
import { groupParams, noSuchGroup, runGroupCommand } from './groups.ts'
import { runInboxCommand } from './inbox-access.ts'
import { type Call, type Operation, operation } from './operation.ts'

type Dependencies = OperationDependencies

const announcementId = z
  .string()
  .regex(/^[0-9a-z]{26}$/, { message: 'is no id of an announcement' })
  .meta({ description: 'Id of an announcement.' })
export const announcementParams = z.strictObject({ groupId, announcementId })

export const publishBody = z.strictObject({
  text: text(1, limits.announcementCharactersMax),
  popup: z
    .boolean()
    .optional()
    .meta({ description: 'Whether the conversation of every member shows an alert until it was seen.' }),
})

type Published = z.output<typeof publishBody> & { readonly groupId: string }
export const publishReply = z.object({ announcementId: reply.id, position: reply.position })

const publish = async (dependencies: Dependencies, call: Call<'user'>, args: Published) => {
  const id = madeId(dependencies.node, call, `announcement ${args.groupId} ${call.caller.userId}`)
  const handled = await runGroupCommand(dependencies, call, args.groupId, {
    type: 'PublishAnnouncement',
    announcementId: id,
    text: args.text,
    popup: args.popup ?? false,
  })
  return isRejection(handled) ? handled : { announcementId: id, ...handled }
}

/** A mark at an announcement covers all before it. */
const see = async (dependencies: Dependencies, call: Call<'user'>, args: z.output<typeof announcementParams>) => {
  const id = args.groupId as GroupId
  const { state } = await dependencies.node.load(group, streamOf.group(id))
  if (state.status === 'none' || roleIn(state, call.caller.userId) === null) return noSuchGroup
  const found = state.announcements.find(kept => kept.announcementId === args.announcementId)
  if (found === undefined) return refuse('announcement.not-found', 'There is no such announcement in this group.')
  return runInboxCommand(dependencies, call, groupConversationId(id), {
    type: 'SeeAnnouncement',
    number: found.number,
  })
}

const announcementRow = z.object({
  groupId: reply.id,
  announcementId: reply.id,
  number: reply.count.meta({ description: 'From 1, in the order of publication.' }),
  text: reply.text,
  popup: z.boolean(),
  by: reply.id,
  at: reply.instant,
})

export const exampleAnnouncementId = '01k2b3m5q7s9v1x3z5a7c9e1g3'
const params = { groupId: example.groupId }
const one = {
  params: { groupId: example.groupId, announcementId: exampleAnnouncementId },
  reply: { position: example.position },
}
const usual = { tag: 'groups', callers: ['user'], frame: true, status: 200 } as const

/** Announcements of groups. */
export const announcementOperations: readonly Operation[] = [
  operation({
    ...usual,
    id: 'publishAnnouncement',
    method: 'POST',
    path: '/v1/groups/:groupId/announcements',
    summary: 'Publish an announcement',
    description: `The newest ${limits.announcementsKeptMax} are kept.`,
    limit: 'commands',
    status: 201,
    params: groupParams,
    body: publishBody,
    reply: publishReply,
    rejections: ['group.not-found', 'group.dissolved', 'group.not-allowed'],
    example: {
      params,
      body: { text: 'We meet at nine.', popup: true },
      reply: { announcementId: exampleAnnouncementId, position: example.position },
    },
    run: publish,
  }),
  operation({
    ...usual,
    id: 'listAnnouncements',
    method: 'GET',
    path: '/v1/groups/:groupId/announcements',
    summary: 'The announcements of a group, the newest first',
    limit: 'queries',
    params: groupParams,
    query: z.strictObject({ limit: pageLimit(), cursor: pageCursor.optional() }),
    reply: z.object({ items: z.array(announcementRow), next: reply.next }),
    rejections: ['group.not-found'],
    example: {
      params,
      query: { limit: 50 },
      reply: {
        items: [
          {
            groupId: example.groupId,
            announcementId: exampleAnnouncementId,
            number: 1,
            text: 'We meet at nine.',
            popup: true,
            by: example.userId,
            at: example.at,
          },
        ],
        next: null,
      },
    },
    run: async ({ database }, call, args) =>
      (await announcementsOf(database, call.caller.userId, args.groupId as GroupId, args)) ?? noSuchGroup,
  }),
  operation({
    ...usual,
    id: 'deleteAnnouncement',
    method: 'DELETE',
    path: '/v1/groups/:groupId/announcements/:announcementId',
    summary: 'Delete an announcement',
    description: 'Nobody is alerted to it any more.',
    limit: 'commands',
    params: announcementParams,
    reply: positionReply,
    rejections: ['group.not-found', 'group.dissolved', 'group.not-allowed', 'announcement.not-found'],
    example: one,
    run: (dependencies, call, args) =>
      runGroupCommand(dependencies, call, args.groupId, {
        type: 'DeleteAnnouncement',
        announcementId: args.announcementId,
      }),
  }),
  operation({
    ...usual,
    id: 'seeAnnouncement',
    method: 'POST',
    path: '/v1/groups/:groupId/announcements/:announcementId/seen',
    summary: 'Say that I have seen an announcement',
    description: 'And all before it: the alert of the conversation goes out on all my devices.',
    limit: 'commands',
    params: announcementParams,
    reply: positionReply,
    rejections: ['group.not-found', 'announcement.not-found', 'conversation.not-found'],
    example: one,
    run: see,
  }),
]
