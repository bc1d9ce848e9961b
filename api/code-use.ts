// Owns how a one-time code is checked at the edge (R1): one answer for every reason, and a repeat of the right one is right.

import { code } from '../domain/code/code.ts'
import type { CodePurpose } from '../domain/code/events.ts'
import { isRejection } from '../domain/decider.ts'
import { streamOf } from '../domain/ids.ts'
import { runCommand } from './commands.ts'
import type { OperationDependencies } from './dependencies.ts'
import { type Refusal, refuse } from './errors.ts'
import type { Call } from './operation.ts'

export const wrongCode: Refusal = refuse('code.wrong', 'The code is wrong or no longer valid. Ask for a new one.')

/**
 * Uses the code up. A wrong try is an event of its own and remembered under the caller's key like a right one, so a
 * repeat counts as right only if the code that was used is the very one shown again.
 */
export const useCode = async (
  dependencies: Pick<OperationDependencies, 'node' | 'keys'>,
  call: Call,
  target: { readonly hmac: string; readonly purpose: CodePurpose; readonly code: string },
): Promise<Refusal | undefined> => {
  const { node, keys } = dependencies
  const { hmac, purpose } = target
  const codeHash = keys.codeHash(hmac, purpose, target.code)
  const command = { type: 'UseCode', purpose, codeHash, at: node.clock.now() } as const
  const handled = await runCommand(node, call, code, streamOf.code(hmac), command, undefined)
  if (isRejection(handled)) return handled.rejected === 'code.wrong' ? wrongCode : handled
  if (handled.events.some(event => event.type === 'CodeUsed')) return undefined
  const { latest } = handled.state
  const usedThisOne = latest?.used === true && latest.codeHash === codeHash && latest.purpose === purpose
  return handled.repeated && usedThisOne ? undefined : wrongCode
}
