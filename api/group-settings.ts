// Owns the operations on what a group is set to (R18, R26, R37, R42), and the search for groups that allow being found.

import { z } from 'zod'
import { limits } from '../domain/limits.ts'
import { groupsFound } from '../projections/group.ts'
import { example, name, pageCursor, pageLimit, positionReply, reply, someOf } from './fields.ts'
import { attributeFields, exampleFoundGroupRow, foundGroupRow, muteAll } from './group-fields.ts'
import { groupParams, runGroupCommand } from './groups.ts'
import { type Operation, operation } from './operation.ts'

const usual = { tag: 'groups', callers: ['user'], frame: true, status: 200 } as const
const command = { ...usual, limit: 'commands', params: groupParams, reply: positionReply } as const
const positionExample = { params: { groupId: example.groupId }, reply: { position: example.position } }

/** What groups are set to. */
export const groupSettingOperations: readonly Operation[] = [
  operation({
    ...command,
    id: 'updateGroup',
    method: 'PATCH',
    path: '/v1/groups/:groupId',
    summary: 'Change what a group is set to',
    description: [
      'Name, avatar, introduction and announcement by whom `editMode` says, the extension by whom `editExtensionMode` says, everything else',
      'by the owner. All or none; what is so already asks for no right. The member limit cannot go below the number of members.',
    ].join(' '),
    body: someOf(z.strictObject(attributeFields).partial()),
    rejections: ['group.not-found', 'group.dissolved', 'group.not-allowed', 'group.not-owner', 'group.member-limit'],
    example: { ...positionExample, body: { name: 'Difference engines' } },
    run: (dependencies, call, { groupId, ...changes }) =>
      runGroupCommand(dependencies, call, groupId, { type: 'UpdateGroup', changes }),
  }),
  operation({
    ...command,
    id: 'setMuteAll',
    method: 'PUT',
    path: '/v1/groups/:groupId/mute-all',
    summary: 'Mute all plain members, or let them speak again',
    description: 'Only the app itself mutes `everyone`, and only it ends that: of a user either is refused.',
    body: z.strictObject({ mode: muteAll }),
    rejections: ['group.not-found', 'group.dissolved', 'group.not-allowed'],
    example: { ...positionExample, body: { mode: 'members' } },
    run: (dependencies, call, { groupId, mode }) =>
      runGroupCommand(dependencies, call, groupId, { type: 'SetMuteAll', mode }),
  }),
  operation({
    ...usual,
    id: 'searchGroups',
    method: 'GET',
    path: '/v1/groups/search',
    summary: 'Groups that allow being found, by the beginning of their name',
    limit: 'queries',
    query: z.strictObject({
      q: name(limits.groupNameCharactersMax),
      limit: pageLimit(),
      cursor: pageCursor.optional(),
    }),
    reply: z.object({ items: z.array(foundGroupRow), next: reply.next }),
    rejections: [],
    example: { query: { q: 'analytical' }, reply: { items: [exampleFoundGroupRow], next: null } },
    run: ({ database }, _call, { q, limit, cursor }) => groupsFound(database, q, { limit, cursor }),
  }),
]
