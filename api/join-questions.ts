// Owns the operations on the questions that a group asks of those who join (R43). The answers are shown to the owner and the
// admins alone; the questions to members, and to those who may join by answering them.

import { z } from 'zod'
import { openToJoin } from '../domain/group/applications.ts'
import { group, roleIn } from '../domain/group/group.ts'
import { type GroupId, streamOf } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { managersWhoBlock } from './applications.ts'
import type { OperationDependencies } from './dependencies.ts'
import { example, positionReply, reply, text } from './fields.ts'
import { groupParams, noSuchGroup, runGroupCommand } from './groups.ts'
import { type Call, type Operation, operation } from './operation.ts'

type Dependencies = OperationDependencies

const look = async (dependencies: Dependencies, call: Call<'user'>, args: { readonly groupId: string }) => {
  const { userId: by } = call.caller
  const { state } = await dependencies.node.load(group, streamOf.group(args.groupId as GroupId))
  const role = roleIn(state, by)
  if (state.status === 'none') return noSuchGroup
  const asked = state.joinQuestions ?? { questions: [], minimumScore: 0 }
  if (role === 'owner' || role === 'admin') return asked
  if (role === null) {
    const found = openToJoin(state, await managersWhoBlock(dependencies, state, by))
    if (found?.joinMode !== 'question') return noSuchGroup
  }
  const questions = asked.questions.map(({ text: question, score }) => ({ text: question, score }))
  return { questions, minimumScore: asked.minimumScore }
}

const score = z.int().min(1).max(limits.joinScoreMax)
const setBody = z.strictObject({
  questions: z
    .array(
      z.strictObject({
        text: text(1, limits.joinQuestionCharactersMax),
        answers: z.array(text(1, limits.joinAnswerCharactersMax)).min(1).max(limits.joinAnswersPerQuestionMax),
        score: score.optional().meta({ description: 'What a right answer counts; 1 unless said.' }),
      }),
    )
    .max(limits.joinQuestionsMax)
    .meta({ description: 'None: those who join are asked nothing any more.' }),
  minimumScore: z.int().min(1).optional().meta({ description: 'All questions must be answered right unless said.' }),
})

const exampleQuestions = {
  questions: [{ text: 'Who wrote the first program?', answers: ['Ada', 'Ada Lovelace'], score: 1 }],
  minimumScore: 1,
}
const params = { groupId: example.groupId }
const usual = { tag: 'groups', callers: ['user'], frame: true, status: 200, params: groupParams } as const

/** The questions of those who join. */
export const joinQuestionOperations: readonly Operation[] = [
  operation({
    ...usual,
    id: 'getJoinQuestion',
    method: 'GET',
    path: '/v1/groups/:groupId/join-question',
    summary: 'What a group asks of those who join',
    description: 'The answers are shown to the owner and the admins alone.',
    limit: 'queries',
    reply: z.object({
      questions: z.array(z.object({ text: reply.text, score: reply.count, answers: z.array(reply.text).optional() })),
      minimumScore: reply.count,
    }),
    rejections: ['group.not-found'],
    example: { params, reply: exampleQuestions },
    run: look,
  }),
  operation({
    ...usual,
    id: 'setJoinQuestion',
    method: 'PUT',
    path: '/v1/groups/:groupId/join-question',
    summary: 'Set what a group asks of those who join',
    description: "Answers are compared without case. It is asked while the group's `joinMode` is `question`.",
    limit: 'commands',
    body: setBody,
    reply: positionReply,
    rejections: ['group.not-found', 'group.dissolved', 'group.not-allowed', 'group.unreachable-score'],
    example: { params, body: exampleQuestions, reply: { position: example.position } },
    run: (dependencies, call, args) =>
      runGroupCommand(dependencies, call, args.groupId, {
        type: 'SetJoinQuestions',
        questions: args.questions.map(question => ({ ...question, score: question.score ?? 1 })),
        minimumScore: args.minimumScore,
      }),
  }),
]
