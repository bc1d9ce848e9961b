// Owns how a client's frames must look, and how a refusal looks to it. Pure: texts in, values out.

import type { z } from 'zod'
import {
  type CloseName,
  helloFrame,
  laterFrame,
  openArgs,
  type SocketErrorCode,
  socketErrors,
  typingArgs,
} from '../domain/frames.ts'

export type Hello = z.infer<typeof helloFrame>
export type Frame = z.infer<typeof laterFrame>

const parsedOf = <Value>(parsed: z.ZodSafeParseResult<Value>): Value | undefined =>
  parsed.success ? parsed.data : undefined

/** The first frame; undefined for anything else. */
export const helloOf = (json: unknown): Hello | undefined => parsedOf(helloFrame.safeParse(json))
/** Any later frame; undefined when it is none. */
export const frameOf = (json: unknown): Frame | undefined => parsedOf(laterFrame.safeParse(json))
/** The arguments of `open` and `close`. */
export const membersArgsOf = (args: unknown) => parsedOf(openArgs.safeParse(args))
/** The arguments of `typing`. */
export const typingArgsOf = (args: unknown) => parsedOf(typingArgs.safeParse(args))

const decoder = new TextDecoder('utf-8', { fatal: true })

/** What a text frame holds. The buffer is only valid during this call. @throws when it is not JSON in UTF-8 */
export const jsonOf = (message: ArrayBuffer): unknown => JSON.parse(decoder.decode(message))

/** The part of a reply that says no. */
export const errorText = (code: SocketErrorCode, detail: string): string =>
  `"error":${JSON.stringify({ code, detail, ...socketErrors[code] })}`

/** Why a device that is not let in is sent away; by any other code its session is over. */
const closesOfHello: Readonly<Record<string, CloseName>> = {
  'token.expired': 'tokenExpired',
  'token.invalid': 'tokenInvalid',
  'rate.limited': 'tooFast',
  'account.banned': 'banned',
}
export const closeOf = (rejected: string): CloseName => closesOfHello[rejected] ?? 'ended'
