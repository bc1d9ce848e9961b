// Owns what the app's own backend does to groups, past the roles of their members (R18, R42). The rules are the same decider's:
// the app is a party of its own in the table of permissions.

import { z } from 'zod'
import { isRejection } from '../domain/decider.ts'
import { type GroupCommand, group } from '../domain/group/group.ts'
import { type GroupId, streamOf, systemUserId } from '../domain/ids.ts'
import { runCommand } from './commands.ts'
import type { OperationDependencies } from './dependencies.ts'
import { example, positionReply, someOf } from './fields.ts'
import { appExtension, attributeFields, muteAll } from './group-fields.ts'
import { groupParams } from './groups.ts'
import { type Call, type Operation, operation } from './operation.ts'

type DistributiveOmit<Union, Key extends PropertyKey> = Union extends unknown ? Omit<Union, Key> : never

const runAsApp = async (
  { node }: OperationDependencies,
  call: Call<'admin'>,
  id: string,
  command: DistributiveOmit<GroupCommand, 'by' | 'at'>,
) => {
  const whole = { ...command, by: systemUserId, at: node.clock.now() } as GroupCommand
  const handled = await runCommand(node, call, group, streamOf.group(id as GroupId), whole, undefined)
  return isRejection(handled) ? handled : { position: handled.position }
}

const command = {
  tag: 'admin',
  callers: ['admin'],
  frame: false,
  limit: 'admin',
  status: 200,
  params: groupParams,
  reply: positionReply,
} as const
const positionExample = { params: { groupId: example.groupId }, reply: { position: example.position } }

/** What the app does to groups. */
export const adminGroupOperations: readonly Operation[] = [
  operation({
    ...command,
    id: 'updateGroupAsApp',
    method: 'PATCH',
    path: '/v1/admin/groups/:groupId',
    summary: 'Change what a group is set to, the app’s own extension too',
    body: someOf(z.strictObject({ ...attributeFields, appExtension }).partial()),
    rejections: ['group.not-found', 'group.dissolved', 'group.member-limit'],
    example: { ...positionExample, body: { appExtension: '{"plan":"gold"}' } },
    run: (dependencies, call, { groupId, ...changes }) =>
      runAsApp(dependencies, call, groupId, { type: 'UpdateGroup', changes }),
  }),
  operation({
    ...command,
    id: 'setMuteAllAsApp',
    method: 'PUT',
    path: '/v1/admin/groups/:groupId/mute-all',
    summary: 'Mute plain members or everyone, or let them speak again',
    body: z.strictObject({ mode: muteAll }),
    rejections: ['group.not-found', 'group.dissolved'],
    example: { ...positionExample, body: { mode: 'everyone' } },
    run: (dependencies, call, { groupId, mode }) => runAsApp(dependencies, call, groupId, { type: 'SetMuteAll', mode }),
  }),
]
