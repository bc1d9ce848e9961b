// Owns the operations by which people come in who were not asked (R22, R43, R45): join, and what the owner and the admins decide.
// Whoever cannot join gets the same answer as for a group that is not there.

import { z } from 'zod'
import { isRejection, type Rejection } from '../domain/decider.ts'
import { openToJoin } from '../domain/group/applications.ts'
import { type ExistingGroup, type Group, group, roleIn } from '../domain/group/group.ts'
import { joinTries, triesLeftOf } from '../domain/group/join-tries.ts'
import { managersOf } from '../domain/group/requests.ts'
import { type GroupId, streamOf, type UserId } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { areFriends, blocks } from '../eventstore/relations.ts'
import { applicationsOf, pendingRequestCounts } from '../projections/group-request.ts'
import { madeId, runCommand } from './commands.ts'
import type { OperationDependencies } from './dependencies.ts'
import { isRefusal, type Refusal, refuse } from './errors.ts'
import { example, groupId, pageCursor, pageLimit, positionReply, reply, text, userId } from './fields.ts'
import { targetsOf } from './group-targets.ts'
import { groupParams, noSuchGroup, runGroupCommand } from './groups.ts'
import { isInAllGroups, ownGroupsFull } from './invitations.ts'
import { type Call, type Operation, operation, self } from './operation.ts'

type Dependencies = OperationDependencies

/** Of the owner and the admins of a group, those who block somebody. */
export const managersWhoBlock = async (
  { node }: Dependencies,
  state: Group,
  userId: UserId,
): Promise<readonly UserId[]> => {
  if (state.status === 'none') return []
  const managers = managersOf(state)
  const doBlock = await Promise.all(managers.map(manager => blocks(node.load, manager, userId)))
  return managers.filter((_, index) => doBlock[index])
}

const answer = text(1, limits.joinAnswerCharactersMax)
const joinBody = z.strictObject({
  message: text(0, limits.requestMessageCharactersMax).optional(),
  answer: z
    .union([answer, z.array(answer).max(limits.joinQuestionsMax)])
    .optional()
    .meta({ description: 'To the question of the group; where it asks several, a list in their order.' }),
})

type JoinArguments = z.output<typeof joinBody> & { readonly groupId: string }

/** A try counts before the answers are looked at. @returns how many are left after it */
const countTry = async ({ node }: Dependencies, call: Call<'user'>, id: GroupId): Promise<number | Rejection> => {
  const { userId: by } = call.caller
  const command = { type: 'CountJoinTry', groupId: id, userId: by, at: node.clock.now() } as const
  const handled = await runCommand(node, call, joinTries, streamOf.joinTries(id, by), command, undefined)
  return isRejection(handled) ? handled : triesLeftOf(handled.state)
}

const tooManyApplications = refuse(
  'application.own-limit',
  `${limits.applicationsPendingPerUserMax} applications of yours are open. Withdraw one, or wait for answers.`,
)

/** Why the caller cannot ask to be let in anywhere now; who is in already, a repeat of what let them in, needs no room. */
const refusedToAsk = async (dependencies: Dependencies, by: UserId, state: Group): Promise<Refusal | undefined> => {
  if (roleIn(state, by) !== null) return undefined
  if (await isInAllGroups(dependencies, by)) return ownGroupsFull
  if (state.status === 'none') return undefined
  const pending = state.applications.get(by)
  if (pending !== undefined && pending.invitedBy === undefined) return undefined
  const open = (await pendingRequestCounts(dependencies.database, [by], 'application')).get(by) ?? 0
  return open >= limits.applicationsPendingPerUserMax ? tooManyApplications : undefined
}

const join = async (dependencies: Dependencies, call: Call<'user'>, args: JoinArguments) => {
  const { node, rateLimits } = dependencies
  const by = call.caller.userId
  const id = args.groupId as GroupId
  const tooFast = rateLimits.take('requests', 'target', `${by} ${id}`)
  if (tooFast !== undefined) return tooFast
  const stream = streamOf.group(id)
  const { state: before } = await node.load(group, stream)
  const refused = await refusedToAsk(dependencies, by, before)
  if (refused !== undefined) return refused
  const answers = typeof args.answer === 'string' ? [args.answer] : args.answer
  const blockedBy = await managersWhoBlock(dependencies, before, by)
  // One whom the owner blocks finds no group, however often they try.
  const open = openToJoin(before, blockedBy)
  const isAsked = open?.joinMode === 'question' && open.joinQuestions !== null
  const isTry = isAsked && answers !== undefined && roleIn(before, by) === null
  const triesLeft = isTry ? await countTry(dependencies, call, id) : 0
  if (isRejection(triesLeft)) return triesLeft
  const command = {
    type: 'JoinGroup',
    requestId: madeId(node, call, `application ${id} ${by}`),
    message: args.message,
    answers,
    blockedBy,
    isFriendOfOwner: before.status === 'open' && (await areFriends(node.load, before.ownerId, by)),
    by,
    at: node.clock.now(),
  } as const
  const handled = await runCommand(node, call, group, stream, command, undefined)
  if (isRejection(handled)) {
    return handled.rejected === 'group.wrong-answer' ? { ...handled, data: { triesLeft } } : handled
  }
  return { state: roleIn(handled.state, by) === null ? 'applied' : 'joined', position: handled.position }
}

const listQuery = z.strictObject({ limit: pageLimit(), cursor: pageCursor.optional() })
type ListArguments = z.output<typeof listQuery> & { readonly groupId: string }

const list = async ({ database }: Dependencies, call: Call<'user'>, args: ListArguments) => {
  const found = await applicationsOf(database, call.caller.userId, args.groupId as GroupId, args)
  if (found === undefined) return noSuchGroup
  return found.myRole === 'member'
    ? refuse('group.not-allowed', 'Only the owner and admins see who asks to be let in.')
    : found.page
}

const decisionParams = z.strictObject({ groupId, userId })
type Decided = z.output<typeof decisionParams>

/** Why one for whom a member asked can be neither added nor invited by that member now (R19). */
const refusedProposal = async (
  dependencies: Dependencies,
  inviter: UserId,
  userId: UserId,
  state: ExistingGroup,
): Promise<Refusal | undefined> => {
  const invitations = state.inviteeConsent === 'required' ? state.invitations : undefined
  const { failed } = await targetsOf(dependencies, inviter, [userId], { withCaller: false, invitations })
  const [first] = failed
  return first === undefined ? undefined : refuse(first.code, 'Whoever asked for the user cannot bring them in now.')
}

/** Why the applicant cannot come in, whoever decides; asked only for one who may decide. */
const refusedApplicant = async (
  dependencies: Dependencies,
  by: UserId,
  { groupId: id, userId: applicant }: Decided,
): Promise<Refusal | undefined> => {
  const { state } = await dependencies.node.load(group, streamOf.group(id as GroupId))
  const role = roleIn(state, by)
  if (state.status === 'none' || role === null || role === 'member') return undefined
  if (roleIn(state, applicant as UserId) !== null) return undefined
  if (!(await dependencies.node.isLive(applicant as UserId))) {
    return refuse('user.not-found', 'The user has closed the account. The application ends by itself.')
  }
  const invitedBy = state.applications.get(applicant as UserId)?.invitedBy
  if (invitedBy !== undefined) return refusedProposal(dependencies, invitedBy, applicant as UserId, state)
  return (await isInAllGroups(dependencies, applicant as UserId))
    ? refuse('group.joined-limit', `The user is in ${limits.groupsJoinedMax} groups and must leave one first.`)
    : undefined
}

const approve = async (dependencies: Dependencies, call: Call<'user'>, args: Decided) => {
  const decided = { ...args, userId: self(call, args.userId) }
  const refused = await refusedApplicant(dependencies, call.caller.userId, decided)
  if (refused !== undefined && isRefusal(refused)) return refused
  return runGroupCommand(dependencies, call, args.groupId, { type: 'ApproveApplication', userId: decided.userId })
}

const applicationRow = z.object({
  groupId: reply.id,
  userId: reply.id,
  requestId: reply.id,
  invitedBy: reply.id.optional().meta({ description: 'The member who asked for the user; absent: the user did.' }),
  message: reply.text.optional(),
  at: reply.instant,
  expiresAt: reply.instant,
})

const usual = { tag: 'groups', callers: ['user'], frame: true, status: 200 } as const
const command = { ...usual, limit: 'commands', reply: positionReply } as const
const position = { position: example.position }
const decisionExample = { params: { groupId: example.groupId, userId: example.otherUserId }, reply: position }
const deciderRejections = [
  'group.not-found',
  'group.dissolved',
  'group.not-allowed',
  'application.not-pending',
] as const

/** Joining groups, and the applications that it may come to. */
export const applicationOperations: readonly Operation[] = [
  operation({
    ...usual,
    id: 'joinGroup',
    method: 'POST',
    path: '/v1/groups/:groupId/join',
    summary: 'Join a group, or ask to be let in',
    description:
      "By the group's `joinMode`: at once, by the right answers, or by an application that the owner or an admin decides. Whoever asks again changes the open application.",
    limit: 'requests',
    params: groupParams,
    body: joinBody,
    reply: z.object({ state: z.enum(['joined', 'applied']), position: reply.position }),
    rejections: [
      'group.not-found',
      'group.dissolved',
      'group.already-member',
      'group.full',
      'group.joined-limit',
      'group.answers-missing',
      'group.wrong-answer',
      'group.join-tries',
      'application.limit',
      'application.own-limit',
    ],
    example: {
      params: { groupId: example.groupId },
      body: { message: 'Charles told me of you.' },
      reply: { state: 'applied', ...position },
    },
    run: join,
  }),
  operation({
    ...usual,
    id: 'listGroupApplications',
    method: 'GET',
    path: '/v1/groups/:groupId/applications',
    summary: 'Who asks to be let in',
    limit: 'queries',
    params: groupParams,
    query: listQuery,
    reply: z.object({ items: z.array(applicationRow), next: reply.next }),
    rejections: ['group.not-found', 'group.not-allowed'],
    example: {
      params: { groupId: example.groupId },
      query: { limit: 50 },
      reply: {
        items: [
          {
            groupId: example.groupId,
            userId: example.otherUserId,
            requestId: example.requestId,
            message: 'Charles told me of you.',
            at: example.at,
            expiresAt: '2026-11-30T08:15:30.123Z',
          },
        ],
        next: null,
      },
    },
    run: list,
  }),
  operation({
    ...command,
    id: 'withdrawGroupApplication',
    method: 'DELETE',
    path: '/v1/groups/:groupId/applications/me',
    summary: 'Take my application back',
    params: groupParams,
    rejections: ['application.not-pending'],
    example: { params: { groupId: example.groupId }, reply: position },
    run: (dependencies, call, args) =>
      runGroupCommand(dependencies, call, args.groupId, { type: 'WithdrawApplication' }),
  }),
  operation({
    ...command,
    id: 'approveGroupApplication',
    method: 'POST',
    path: '/v1/groups/:groupId/applications/:userId/approve',
    summary: 'Let an applicant in',
    description:
      'The first decision wins. One for whom a member asked is then added by that member, or invited where the group asks first.',
    params: decisionParams,
    rejections: [
      ...deciderRejections,
      'group.join-closed',
      'group.full',
      'group.joined-limit',
      'user.not-found',
      'message.blocked',
      'invitation.limit',
      'invitation.peer-limit',
    ],
    example: decisionExample,
    run: approve,
  }),
  operation({
    ...command,
    id: 'rejectGroupApplication',
    method: 'POST',
    path: '/v1/groups/:groupId/applications/:userId/reject',
    summary: 'Turn an applicant away',
    description:
      'The first decision wins. Whoever asked is told, with the reason: the applicant, or the member who asked for them.',
    params: decisionParams,
    body: z.strictObject({ reason: text(1, limits.requestMessageCharactersMax).optional() }),
    rejections: deciderRejections,
    example: { ...decisionExample, body: { reason: 'We are all here.' } },
    run: (dependencies, call, args) =>
      runGroupCommand(dependencies, call, args.groupId, {
        type: 'RejectApplication',
        userId: self(call, args.userId),
        reason: args.reason,
      }),
  }),
]
