// Owns the rules of one-time codes to one phone number or e-mail address (R1): one per minute, five minutes, five tries, one use.
// Never sees a clear code and never says why one was refused: a guesser learns nothing.
// Reads no facts. Tries are decided one after another in their stream, so parallel guesses cannot pass the bound.

import { type Decider, type Decision, noRuleFor, reject } from '../decider.ts'
import type { Instant } from '../ids.ts'
import { instantPlusSeconds, secondsBetween } from '../instants.ts'
import { limits } from '../limits.ts'
import type { CodeEvent, CodePurpose } from './events.ts'

export type { CodeEvent, CodePurpose } from './events.ts'

export interface SentCode {
  readonly purpose: CodePurpose
  readonly codeHash: string
  readonly sentAt: Instant
  readonly expiresAt: Instant
  readonly wrongTries: number
  readonly used: boolean
}

/** Only the newest code counts: sending another voids the one before, whatever its purpose. */
export interface CodeState {
  readonly latest: SentCode | null
}

export interface SendCode {
  readonly type: 'SendCode'
  readonly purpose: CodePurpose
  readonly codeHash: string
  readonly at: Instant
}

export interface UseCode {
  readonly type: 'UseCode'
  readonly purpose: CodePurpose
  readonly codeHash: string
  readonly at: Instant
}

export type CodeCommand = SendCode | UseCode
export type CodeRejection = 'code.too-soon' | 'code.wrong'

const evolve = (state: CodeState, event: CodeEvent): CodeState => {
  switch (event.type) {
    case 'CodeSent': {
      const { purpose, codeHash, expiresAt, at } = event.data
      return { latest: { purpose, codeHash, sentAt: at, expiresAt, wrongTries: 0, used: false } }
    }
    case 'CodeTried':
      return state.latest === null ? state : { latest: { ...state.latest, wrongTries: state.latest.wrongTries + 1 } }
    case 'CodeUsed':
      return state.latest === null ? state : { latest: { ...state.latest, used: true } }
    default:
      return state
  }
}

const send = (command: SendCode, state: CodeState): Decision<CodeEvent, CodeRejection> => {
  if (state.latest !== null) {
    const wait = limits.codeResendSeconds - secondsBetween(state.latest.sentAt, command.at)
    if (wait > 0) {
      // Another node's clock may have been ahead; nobody is ever told to wait longer than the rule says.
      const retryAfterSeconds = Math.min(Math.ceil(wait), limits.codeResendSeconds)
      return reject('code.too-soon', 'A code was sent a moment ago. Use it, or ask again later.', { retryAfterSeconds })
    }
  }
  const expiresAt = instantPlusSeconds(command.at, limits.codeLifeSeconds)
  const data = { purpose: command.purpose, codeHash: command.codeHash, expiresAt, at: command.at }
  return [{ type: 'CodeSent', data }]
}

/** A wrong code is counted by an event: the caller sees CodeTried in place of CodeUsed and answers `code.wrong`. */
const use = (command: UseCode, state: CodeState): Decision<CodeEvent, CodeRejection> => {
  const code = state.latest
  const usable =
    code !== null && !code.used && code.wrongTries < limits.codeWrongTriesMax && command.at < code.expiresAt
  if (!usable) return reject('code.wrong', 'The code is wrong or no longer valid. Ask for a new one.')
  // Keyed hashes are compared, so the time this takes tells nothing about the code.
  const right = command.codeHash === code.codeHash && command.purpose === code.purpose
  return right
    ? [{ type: 'CodeUsed', data: { purpose: command.purpose, at: command.at } }]
    : [{ type: 'CodeTried', data: { at: command.at } }]
}

/** The rules of `code-<hmac>` (R1). */
export const code: Decider<CodeState, CodeCommand, CodeEvent, CodeRejection> = {
  category: 'code',
  load: { by: 'fold' },
  initial: { latest: null },
  evolve,
  decide: (command, state) => {
    switch (command.type) {
      case 'SendCode':
        return send(command, state)
      case 'UseCode':
        return use(command, state)
      default:
        return noRuleFor(command)
    }
  },
}
