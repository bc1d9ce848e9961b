// Owns how a socket frame calls an operation: the same schema, permission, limits and errors as over HTTP.
// The hot path of sending: nothing is compiled, looked up twice or wrapped per call.

import { type FrameError, frameErrorOf, invalid, isRefusal, refuse } from './errors.ts'
import { type Execution, idempotencyKeyPattern } from './execution.ts'
import { parseFields } from './field-errors.ts'
import { type Call, jsonTextOf, type Operation } from './operation.ts'

export type DispatchReply = { readonly ok: unknown } | { readonly error: FrameError }

/** Runs the operation of a frame. `ok` may be a RawJson: use `replyTextOf`. Never rejects. */
export type Dispatch = (op: string, call: Call, args: unknown) => Promise<DispatchReply>

export interface DispatchDependencies {
  readonly operations: readonly Operation[]
  readonly execution: Execution
}

const error = (refusal: Parameters<typeof frameErrorOf>[0]): DispatchReply => ({ error: frameErrorOf(refusal) })

/** The reply as it stands in a frame: `"ok":…` or `"error":…`, JSON text. */
export const replyTextOf = (reply: DispatchReply): string =>
  'ok' in reply ? `"ok":${jsonTextOf(reply.ok)}` : `"error":${JSON.stringify(reply.error)}`

/** Builds the function that the live room calls for every frame that names an operation. */
export const createDispatch = ({ operations, execution }: DispatchDependencies): Dispatch => {
  const byId = new Map<string, Operation>()
  for (const operation of operations) if (operation.frame) byId.set(operation.id, operation)

  return async (op, call, args) => {
    const operation = byId.get(op)
    if (operation === undefined) return error(refuse('operation.not-found', 'There is no such operation for frames.'))
    const refused = execution.admitAddress(operation, call.address) ?? execution.admitCaller(operation, call)
    if (refused !== undefined) return error(refused)
    if (call.key !== undefined && !idempotencyKeyPattern.test(call.key)) {
      return error(invalid([{ path: 'key', message: '1 to 64 printable characters without spaces' }]))
    }
    const parsed = parseFields(operation.args, args ?? {})
    if ('errors' in parsed) return error(invalid(parsed.errors))
    const answer = await execution.run(operation, call, parsed.data)
    return isRefusal(answer) ? error(answer) : { ok: answer }
  }
}
