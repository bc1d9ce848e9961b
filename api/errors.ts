// Owns how every "no" looks outside: one row a code, its status, title and whether the same request may succeed later.
// Exhaustive: a code without a row does not compile. Must never show what an internal error says.

import type { RejectionCode } from '../domain/rejections.ts'

/** What can be wrong with a request before any rule of the domain is asked, or with the server itself. */
export const requestCodes = [
  'request.invalid',
  'request.too-large',
  'request.unsupported-media-type',
  'request.timeout',
  'request.headers-too-large',
  'request.expectation-failed',
  'route.not-found',
  'route.method-not-allowed',
  'operation.not-found',
  'stream.not-found',
  'caller.not-allowed',
  'rate.limited',
  'sync.too-old',
  'overloaded',
  'projection.behind',
  'outcome.unknown',
  'store.unavailable',
  'internal',
] as const

export type RequestCode = (typeof requestCodes)[number]
export type ErrorCode = RejectionCode | RequestCode

export interface ErrorRow {
  readonly status: number
  /** The same for every occurrence; `detail` says what to do about this one. */
  readonly title: string
  /** Whether the very same request may succeed later. */
  readonly retryable: boolean
}

const row = (status: number, title: string, retryable = false): ErrorRow => ({ status, title, retryable })

/** One row a code: the whole contract of errors. */
export const errorTable: { readonly [Code in ErrorCode]: ErrorRow } = {
  'account.not-found': row(404, 'No such account'),
  'account.wrong-credentials': row(401, 'Wrong credentials'),
  'account.wrong-password': row(403, 'Wrong password'),
  'account.exists': row(409, 'The account exists'),
  'account.banned': row(403, 'The account is banned'),
  'account.owns-groups': row(409, 'The account owns groups'),
  'account.user-name-sign-up-off': row(403, 'Sign-up by user name is off'),
  'identity.taken': row(409, 'Already taken'),
  'code.too-soon': row(429, 'Too soon for another code', true),
  'code.wrong': row(403, 'Wrong code'),
  'session.ended': row(401, 'The session has ended'),
  'session.not-found': row(404, 'No such session'),
  'session.limit': row(409, 'Too many devices'),
  'token.invalid': row(401, 'Invalid token'),
  'token.expired': row(401, 'Expired token'),
  'block.self': row(422, 'Blocking oneself'),
  'block.limit': row(409, 'Block list full'),
  'friend.self': row(422, 'Asking oneself'),
  'friend.refused': row(403, 'No friend requests accepted'),
  'friend.group-forbids': row(403, 'Not between members of this group'),
  'friend.already-friends': row(409, 'Friends already'),
  'friend.request-limit': row(409, 'Too many friend requests wait'),
  'friend.limit': row(409, 'Too many friends'),
  'friend.peer-limit': row(409, 'The other has too many friends'),
  'friend.not-found': row(404, 'No such friend'),
  'friend.request-not-found': row(404, 'No such friend request'),
  'friend.request-ended': row(409, 'The friend request has ended'),
  'group.not-found': row(404, 'No such group'),
  'group.dissolved': row(409, 'The group is dissolved'),
  'group.not-member': row(404, 'No such member'),
  'group.not-owner': row(403, 'Only the owner may'),
  'group.not-allowed': row(403, 'Not allowed in this group'),
  'group.full': row(409, 'The group is full'),
  'group.member-limit': row(422, 'Member limit out of range'),
  'group.target-not-member': row(409, 'Not a member'),
  'group.target-is-owner': row(409, 'The owner cannot be the target'),
  'group.target-is-admin': row(403, 'An admin cannot be the target'),
  'group.target-self': row(422, 'Oneself cannot be the target'),
  'group.already-owner': row(409, 'Already the owner'),
  'group.already-member': row(409, 'Already a member'),
  'group.owner-cannot-leave': row(409, 'The owner cannot leave'),
  'group.admin-limit': row(409, 'Too many admins'),
  'group.created-limit': row(409, 'Too many groups created'),
  'group.owned-limit': row(409, 'The new owner has too many groups'),
  'group.joined-limit': row(409, 'Too many groups joined'),
  'group.mute-limit': row(409, 'Too many muted members'),
  'group.followed-limit': row(409, 'Too many followed members'),
  'group.muted': row(403, 'Muted in this group'),
  'group.all-muted': row(403, 'The group is muted'),
  'group.join-closed': row(409, 'The group lets nobody in'),
  'group.answers-missing': row(422, 'The group asks questions'),
  'group.wrong-answer': row(403, 'Wrong answers'),
  'group.join-tries': row(429, 'Too many tries', true),
  'group.unreachable-score': row(422, 'Minimum score out of range'),
  'invitation.not-found': row(404, 'No such invitation'),
  'invitation.limit': row(409, 'Too many open invitations of the group'),
  'invitation.peer-limit': row(409, 'Too many open invitations of the user'),
  'application.not-pending': row(409, 'The application is not open'),
  'application.limit': row(409, 'Too many open applications of the group'),
  'announcement.not-found': row(404, 'No such announcement'),
  'application.own-limit': row(409, 'Too many open applications of yours'),
  'user.not-found': row(404, 'No such user'),
  'conversation.not-found': row(404, 'No such conversation'),
  'conversation.pin-limit': row(409, 'Too many pinned conversations'),
  'message.not-found': row(404, 'No such message'),
  'message.blocked': row(403, 'Blocked by the recipient'),
  'message.not-friends': row(403, 'Not a friend of the recipient'),
  'message.to-self': row(422, 'Writing to oneself'),
  'message.clock-ahead': row(422, 'The message id is from the future'),
  'message.not-sender': row(403, 'Not the sender'),
  'message.recall-too-late': row(409, 'Too late to recall'),
  'message.not-recallable': row(409, 'Not recallable'),
  'message.receipts-unavailable': row(422, 'No receipts here'),
  'receipt.not-found': row(404, 'No receipts asked for'),
  'admin-key.limit': row(409, 'Too many admin keys'),
  'admin-key.not-found': row(404, 'No such admin key'),
  'idempotency.mismatch': row(409, 'The key was used for another request'),
  'command.conflict': row(409, 'Changed by others meanwhile', true),
  'request.invalid': row(400, 'Invalid request'),
  'request.too-large': row(413, 'Request too large'),
  'request.unsupported-media-type': row(415, 'Unsupported media type'),
  'request.timeout': row(408, 'Request timed out', true),
  'request.headers-too-large': row(431, 'Request headers too large'),
  'request.expectation-failed': row(417, 'Expectation failed'),
  'route.not-found': row(404, 'No such route'),
  'route.method-not-allowed': row(405, 'Method not allowed'),
  'operation.not-found': row(404, 'No such operation'),
  'stream.not-found': row(404, 'No such stream'),
  'caller.not-allowed': row(403, 'Not for this kind of caller'),
  'rate.limited': row(429, 'Too many requests', true),
  'sync.too-old': row(410, 'The cursor is too old'),
  overloaded: row(503, 'Overloaded', true),
  'projection.behind': row(503, 'The read models are behind', true),
  'outcome.unknown': row(503, 'The outcome is unknown', true),
  'store.unavailable': row(503, 'The store is unavailable', true),
  internal: row(500, 'Internal error'),
}

/** An expected "no" of the domain or of the edge; the domain's Rejection is one. */
export interface Refusal {
  readonly rejected: ErrorCode
  readonly detail: string
  readonly data?: Readonly<Record<string, unknown>>
}

export const refuse = (rejected: ErrorCode, detail: string, data?: Readonly<Record<string, unknown>>): Refusal =>
  data === undefined ? { rejected, detail } : { rejected, detail, data }

export const isRefusal = (value: unknown): value is Refusal =>
  typeof value === 'object' && value !== null && 'rejected' in value

/** One wrong field: `path` is its name, parts joined by dots; empty for the request as a whole. */
export interface FieldError {
  readonly path: string
  readonly message: string
}

/** The reply to wrong fields; `detail` names them, so that a log line alone is enough. */
export const invalid = (errors: readonly FieldError[]): Refusal => {
  const shown = errors.slice(0, fieldErrorsMax)
  const detail = shown.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ')
  return refuse('request.invalid', detail, { errors: shown })
}

/** Wrong fields told of in one reply. */
const fieldErrorsMax = 20

/** What a problem carries besides the standard members of RFC 9457: its code and whether trying again can help. */
export interface Problem extends Readonly<Record<string, unknown>> {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: ErrorCode
  readonly retryable: boolean
}

/** What a frame's error carries: the problem without the members that only HTTP has. */
export interface FrameError extends Readonly<Record<string, unknown>> {
  readonly code: ErrorCode
  readonly title: string
  readonly detail: string
  readonly retryable: boolean
}

/** Seconds after which the caller may try again; every 429 and 503 says it. */
export const retryAfterSecondsOf = (refusal: Refusal): number | undefined => {
  const told = refusal.data?.retryAfterSeconds
  if (typeof told === 'number') return Math.max(1, Math.ceil(told))
  const { status } = errorTable[refusal.rejected]
  return status === 503 || status === 429 ? 1 : undefined
}

const membersOf = (refusal: Refusal): FrameError => {
  const { title, retryable } = errorTable[refusal.rejected]
  const seconds = retryAfterSecondsOf(refusal)
  return {
    ...refusal.data,
    ...(seconds === undefined ? undefined : { retryAfterSeconds: seconds }),
    code: refusal.rejected,
    title,
    detail: refusal.detail,
    retryable,
  }
}

/** The body of an HTTP error (RFC 9457). */
export const problemOf = (refusal: Refusal): Problem => ({
  ...membersOf(refusal),
  type: `urn:ledgerline:problem:${refusal.rejected}`,
  status: errorTable[refusal.rejected].status,
})

/** The `error` of a reply frame. */
export const frameErrorOf = (refusal: Refusal): FrameError => membersOf(refusal)

/** Codes of errors thrown by the event store, its node and the read models, and what they mean outside. */
const thrownErrors: Readonly<Record<string, ErrorCode>> = {
  overloaded: 'overloaded',
  unavailable: 'store.unavailable',
  'unknown-outcome': 'outcome.unknown',
  behind: 'projection.behind',
  'too-large': 'request.too-large',
  conflict: 'command.conflict',
  'database-busy': 'overloaded',
  'database-away': 'store.unavailable',
  'invalid-cursor': 'request.invalid',
}

const thrownErrorDetails: Readonly<Record<string, string>> = {
  overloaded: 'Too much is waiting. Nothing was changed. Try again in a moment.',
  unavailable: 'The event store cannot be reached. Nothing was changed. Try again in a moment.',
  'unknown-outcome': 'Nobody knows whether this happened. Ask again with the same key; nothing happens twice.',
  behind: 'This server is behind the event log. Try again in a moment.',
  'too-large': 'This is more than one command may write. Ask for less.',
  conflict: 'Others changed the same thing at the same time. Try again.',
  'database-busy': 'Too many queries are waiting. Try again in a moment.',
  'database-away': 'The read models cannot be reached. Try again in a moment.',
  'invalid-cursor': 'cursor: is not one that this list gave. Start without it.',
}

/** Errors of a connection to the read database: of the operating system, and SQLSTATE 08 (connection), 53 (resources), 57P (shutdown). */
const databaseUnavailable = /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EHOSTUNREACH|08...|53...|57P..)$/

/** The refusal that a thrown error stands for; undefined when it is a bug, which the caller must log and call internal. */
export const refusalOfError = (error: unknown): Refusal | undefined => {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined
  const rejected = thrownErrors[error.code]
  const detail = thrownErrorDetails[error.code]
  if (rejected !== undefined && detail !== undefined) return refuse(rejected, detail)
  return databaseUnavailable.test(error.code)
    ? refuse('store.unavailable', 'The read models cannot be reached. Try again in a moment.')
    : undefined
}

/** The reply to a bug: says nothing of it. */
export const internalError: Refusal = refuse('internal', 'Something went wrong on the server. It has been logged.')
