// Owns the questions that a group asks of those who join, and when their answers are right (R43). What the right answers are is
// for the owner and the admins alone: no event of an answer repeats it, and no refusal says how near it was.

import { reject } from '../decider.ts'
import type { GroupId, Instant, UserId } from '../ids.ts'
import { may } from './permissions.ts'
import type { Actor, GroupDecision, Standing } from './refusals.ts'
import type { ExistingGroup } from './state.ts'

export interface JoinQuestion {
  readonly text: string
  /** Any of them is right. */
  readonly answers: readonly string[]
  /** What a right answer counts. */
  readonly score: number
}

export interface JoinQuestions {
  readonly questions: readonly JoinQuestion[]
  readonly minimumScore: number
}

/** Without questions: those who join are asked nothing any more. */
export type JoinQuestionsSet = {
  readonly type: 'JoinQuestionsSet'
  readonly data: JoinQuestions & { readonly groupId: GroupId; readonly by: UserId; readonly at: Instant }
}

export interface SetJoinQuestions extends Actor {
  readonly type: 'SetJoinQuestions'
  readonly questions: readonly JoinQuestion[]
  /** Absent: all of them must be answered right. */
  readonly minimumScore?: number | undefined
}

/** Answers are compared as people read them: without case, and without a difference in form. */
const plain = (text: string): string => text.normalize('NFKC').trim().toUpperCase().toLowerCase().normalize('NFKC')

export const scoreOf = (questions: readonly JoinQuestion[], answers: readonly string[]): number =>
  questions.reduce((score, question, index) => {
    const given = plain(answers[index] ?? '')
    return question.answers.some(answer => plain(answer) === given) ? score + question.score : score
  }, 0)

export const isRightAnswer = ({ joinQuestions }: ExistingGroup, answers: readonly string[]): boolean =>
  joinQuestions !== null && scoreOf(joinQuestions.questions, answers) >= joinQuestions.minimumScore

export const setJoinQuestions = (command: SetJoinQuestions, { group, party }: Standing): GroupDecision => {
  if (!may('editQuestions', party, group)) {
    return reject('group.not-allowed', 'Only the owner and admins set the questions of this group.')
  }
  const { questions, by, at } = command
  const most = questions.reduce((sum, { score }) => sum + score, 0)
  const minimumScore = command.minimumScore ?? most
  if (questions.length > 0 && !(minimumScore >= 1 && minimumScore <= most)) {
    return reject('group.unreachable-score', `The minimum score can be 1 to ${most}, the score of all questions.`)
  }
  return [{ type: 'JoinQuestionsSet', data: { groupId: group.groupId, questions, minimumScore, by, at } }]
}
