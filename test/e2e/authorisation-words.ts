// Owns the words in which the table of who may call what is written: a case, its outcome for each persona, and what is named.

import type { ErrorCode } from '../../api/errors.ts'
import type { Arguments } from '../support/operation-request.ts'
import { between, type Persona, personas, type SignedInPersona, type Stage } from './authorisation-stage.ts'

/** `nothing`: answered as a success that did nothing, and says so in the reply. */
export type Outcome = 'ok' | 'nothing' | ErrorCode

export interface AccessCase {
  readonly what?: string
  /** What is asked for. @param persona who asks; the anonymous and the ended ask for what the member would */
  readonly args?: (stage: Stage, persona: SignedInPersona) => Arguments | Promise<Arguments>
  /** The same of something that is not there: the answer must not differ from that to one who has no access. */
  readonly missing?: (stage: Stage) => Arguments
  readonly outcomes: Readonly<Record<Persona, Outcome>>
  /** The call ends the session it is made with. */
  readonly freshSession?: true
  /** The call ends the account it is made with. */
  readonly endsAccount?: true
  readonly everyoneInvites?: true
  /** What a refused call leaves in the log all the same. */
  readonly leaves?: readonly string[]
}

/** Those who are invited, and those who ask to be let in, are strangers to all but a few operations. */
type Asking = 'invited' | 'applicant'
type SignedInOutcomes = Readonly<Record<Exclude<SignedInPersona, Asking>, Outcome>> &
  Readonly<Partial<Record<Asking, Outcome>>>

export const needsSession = (outcomes: SignedInOutcomes): AccessCase['outcomes'] => ({
  invited: outcomes.stranger,
  applicant: outcomes.stranger,
  ...outcomes,
  anonymous: 'token.invalid',
  backend: 'caller.not-allowed',
  ended: 'session.ended',
  banned: 'account.banned',
})
export const signedIn = (outcome: Outcome): AccessCase['outcomes'] =>
  needsSession({
    owner: outcome,
    admin: outcome,
    member: outcome,
    exMember: outcome,
    stranger: outcome,
    blocked: outcome,
  })
export const everybody = (outcome: Outcome) =>
  Object.fromEntries(personas.map(persona => [persona, outcome])) as AccessCase['outcomes']

/** In order: owner, admin, member; for those outside there is no such thing. */
export const inside = (
  notFound: ErrorCode,
  owner: Outcome,
  admin: Outcome,
  member: Outcome,
  exMember: Outcome = notFound,
) => needsSession({ owner, admin, member, exMember, stranger: notFound, blocked: notFound })
export const inGroup = (owner: Outcome, admin: Outcome, member: Outcome) =>
  inside('group.not-found', owner, admin, member)
/** A conversation stays with those who left the group. */
export const seers = inside('conversation.not-found', 'ok', 'ok', 'ok', 'ok')
export const writers = inside('conversation.not-found', 'ok', 'ok', 'ok')
/** Of the owner and the member. */
export const parties = (notFound: ErrorCode, owner: Outcome = 'ok', member: Outcome = 'ok') =>
  inside(notFound, owner, notFound, member)

export const group = ({ groupId }: Stage) => ({ groupId })
export const noGroup = () => ({ groupId: 'nogroup' })
export const conversation = ({ conversationId }: Stage) => ({ conversationId })
export const noConversation = () => ({ conversationId: 'group:nogroup' })
export const p2p = (stage: Stage) => ({ conversationId: stage.p2p })
export const noP2p = ({ other, guest }: Stage) => ({ conversationId: between(other, guest) })
