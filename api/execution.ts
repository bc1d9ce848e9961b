// Owns how an operation is run, the same for HTTP and for frames: may the caller, is it too fast, wait for the caller's own
// writes, run, and turn whatever comes out into an answer. Must never let an error through unmapped.

import type { Position } from '../domain/ids.ts'
import type { OperationDependencies } from './dependencies.ts'
import { internalError, type Refusal, refusalOfError, refuse } from './errors.ts'
import { positionPattern } from './fields.ts'
import { createFriendRoom } from './friend-room.ts'
import type { Call, Operation } from './operation.ts'
import { networkOf } from './rate-limits.ts'

/** How long a query waits for the read models to pass `?after=`. */
export const afterMsMax = 2_000

/** Printable ASCII, so that it can stand in a header and in a log. */
export const idempotencyKeyPattern = /^[!-~]{1,64}$/

export interface Execution {
  /** Whether so many requests may come from there; asked before a token is looked at, which costs. */
  admitAddress(operation: Pick<Operation, 'limit'>, address: string): Refusal | undefined
  /** Whether this caller may call it, and so often. */
  admitCaller(operation: Operation, call: Call): Refusal | undefined
  /** Runs it with valid fields. @returns what the operation answered, or a refusal; never rejects */
  run(operation: Operation, call: Call, args: object): Promise<unknown>
}

export interface ExecutionDependencies {
  readonly operationDependencies: Omit<OperationDependencies, 'passed' | 'friendRoom'>
  /** Whether the read models passed the position within the time. */
  readonly passed: (position: Position, timeoutMs: number) => Promise<boolean>
  /** Tells of a bug; must not throw. */
  readonly onError: (error: unknown, what: string) => void
}

const behind = refuse('projection.behind', 'The read models have not passed `after` yet. Try again in a moment.')
/** The answer where only current read models would do. */
export const readModelsBehind = refuse('projection.behind', 'The read models are behind. Try again in a moment.')
const nodeBehind = refuse('projection.behind', 'This server is behind the event log. Try again in a moment.')
/** The answer to a caller without a token. */
export const noToken = refuse(
  'token.invalid',
  'Send an access token, or an admin key where one is needed: Authorization: Bearer <token>.',
)
const notForYou = refuse('caller.not-allowed', 'This kind of caller may not do that.')

/** Who a command's key belongs to: two callers may choose the same key. */
const callerText = (call: Call): string => {
  switch (call.caller.kind) {
    case 'user':
      return `user:${call.caller.userId}`
    case 'admin':
      return `admin:${call.caller.keyId}`
    case 'anonymous':
      return 'anonymous'
  }
}

/** Builds what runs operations in this process. */
export const createExecution = (dependencies: ExecutionDependencies): Execution => {
  const { passed, onError } = dependencies
  const friendRoom = createFriendRoom(dependencies.operationDependencies.database, passed)
  const operationDependencies: OperationDependencies = { ...dependencies.operationDependencies, passed, friendRoom }
  const { rateLimits } = operationDependencies
  const { fingerprint } = operationDependencies.keys

  const withCommand = (operation: Operation, call: Call, key: string, args: object): Call => {
    // Sorted: a frame and a request give the same fields in another order.
    const asked = JSON.stringify(Object.entries(args).sort(([one], [other]) => (one < other ? -1 : 1)))
    return {
      ...call,
      command: { caller: callerText(call), key, fingerprint: fingerprint(`${operation.id}\n${asked}`) },
    }
  }

  const waitedFor = async (args: object): Promise<Refusal | undefined> => {
    const after = (args as { after?: unknown }).after
    if (typeof after !== 'string' || !positionPattern.test(after)) return undefined
    return (await passed(after as Position, afterMsMax)) ? undefined : behind
  }

  return {
    admitAddress: (operation, address) => rateLimits.take(operation.limit, 'address', networkOf(address)),

    admitCaller: (operation, call) => {
      const { caller } = call
      if (!operation.callers.includes(caller.kind)) return caller.kind === 'anonymous' ? noToken : notForYou
      if (caller.kind === 'anonymous') return undefined
      // What is known of the session may be too old: the device may have been kicked meanwhile, or the key revoked.
      if (operationDependencies.node.behind) return nodeBehind
      return rateLimits.take(operation.limit, 'caller', caller.kind === 'user' ? caller.userId : caller.keyId)
    },

    run: async (operation, call, args) => {
      try {
        if (operation.method === 'GET') {
          const late = 'after' in args ? await waitedFor(args) : undefined
          return late ?? (await operation.run(operationDependencies, call, args))
        }
        const { key } = call
        const keyed = key === undefined ? call : withCommand(operation, call, key, args)
        return await operation.run(operationDependencies, keyed, args)
      } catch (error) {
        const refusal = refusalOfError(error)
        if (refusal !== undefined) return refusal
        onError(error, operation.id)
        return internalError
      }
    },
  }
}
