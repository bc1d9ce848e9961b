// Owns what HTTP answers when a request does not reach an operation, or an error leaves one: always a problem (RFC 9457),
// also for what Fastify's router, its body parser and Node's own HTTP parser refuse.

import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'
import { errorTable, problemOf, type Refusal, refusalOfError, refuse, retryAfterSecondsOf } from './errors.ts'

export const problemType = 'application/problem+json'

/** Most bytes of a request's body. */
export const bodyBytesMax = 65_536

/** Answers with the problem and the headers that belong to its status. */
export const sendRefusal = (reply: FastifyReply, refusal: Refusal): FastifyReply => {
  const { status } = errorTable[refusal.rejected]
  const seconds = retryAfterSecondsOf(refusal)
  if (seconds !== undefined) reply.header('retry-after', seconds)
  if (status === 401) reply.header('www-authenticate', challengeOf(refusal))
  return reply
    .code(status)
    .type(problemType)
    .send(JSON.stringify(problemOf(refusal)))
}

/** RFC 6750: what is wrong with the token. */
const challengeOf = (refusal: Refusal): string =>
  `Bearer realm="ledgerline", error="invalid_token", error_description="${refusal.rejected}"`

const malformedUrl = refuse('request.invalid', 'The URL is not valid: its percent-encoding cannot be decoded.')

/** What Fastify's own errors mean. */
const frameworkRefusals: Readonly<Record<string, Refusal>> = {
  FST_ERR_BAD_URL: malformedUrl,
  FST_ERR_MAX_PARAM_LENGTH: refuse('request.invalid', 'A part of the path is longer than any id.'),
  FST_ERR_CTP_BODY_TOO_LARGE: refuse('request.too-large', `The body may have ${bodyBytesMax} bytes at most.`),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: refuse(
    'request.unsupported-media-type',
    'Send the body as JSON, with the header content-type: application/json.',
  ),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: refuse('request.invalid', 'The body is not as long as content-length says.'),
  FST_ERR_CTP_EMPTY_TYPE: refuse('request.unsupported-media-type', 'The header content-type is empty.'),
}

/** Thrown where Fastify wants an error, to answer with a refusal. */
export class RequestRefused extends Error {
  readonly refusal: Refusal
  constructor(refusal: Refusal) {
    super(refusal.detail)
    this.refusal = refusal
  }
}

/** The refusal an error stands for; undefined for a bug. */
export const refusalOfHttpError = (error: unknown): Refusal | undefined => {
  if (error instanceof RequestRefused) return error.refusal
  const known = refusalOfError(error)
  if (known !== undefined) return known
  if (!(error instanceof Error)) return undefined
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const refusal = frameworkRefusals[code]
  if (refusal !== undefined) return refusal
  const status = 'statusCode' in error ? error.statusCode : undefined
  // Any other client error of the framework; what it says of the request is safe to pass on.
  if (code.startsWith('FST_') && typeof status === 'number' && status >= 400 && status < 500) {
    return refuse('request.invalid', error.message)
  }
  return undefined
}

const parserRefusals: Readonly<Record<string, Refusal>> = {
  ERR_HTTP_REQUEST_TIMEOUT: refuse('request.timeout', 'The request did not arrive in time.'),
  HPE_HEADER_OVERFLOW: refuse('request.headers-too-large', 'The headers of the request are too large.'),
}

const notHttp = refuse('request.invalid', 'This is not a valid HTTP/1.1 request.')

/** The whole text of a response, for errors that come before there is one. */
export const rawResponseOf = (refusal: Refusal): string => {
  const body = JSON.stringify(problemOf(refusal))
  const { status, title } = errorTable[refusal.rejected]
  return [
    `HTTP/1.1 ${status} ${title}`,
    `content-type: ${problemType}; charset=utf-8`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    '',
    body,
  ].join('\r\n')
}

/** For `clientErrorHandler`: errors of Node's HTTP parser. */
export const answerParserError = (error: NodeJS.ErrnoException, socket: Socket): void => {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  socket.end(rawResponseOf(parserRefusals[error.code ?? ''] ?? notHttp), () => socket.destroy())
}
