// Owns how a client's frames must look, and how a refusal looks to it. Pure: texts in, values out.

import { z } from 'zod'
import { frameIdCharactersMax } from './protocol.ts'

const helloSchema = z.strictObject({
  op: z.literal('hello'),
  id: z.string().max(frameIdCharactersMax).optional(),
  args: z.strictObject({ token: z.string().max(2_048), cursor: z.string().max(128).optional() }),
})
export type Hello = z.infer<typeof helloSchema>

const frameSchema = z.strictObject({
  op: z.string().max(64),
  id: z.string().max(frameIdCharactersMax).optional(),
  key: z.string().min(1).max(64).optional(),
  args: z.record(z.string(), z.unknown()).default({}),
})
export type Frame = z.infer<typeof frameSchema>

const membersSchema = z.strictObject({ collection: z.literal('members'), groupId: z.string().max(64) })
const typingSchema = z.strictObject({ conversationId: z.string().max(160) })

const parsedOf = <Value>(parsed: z.ZodSafeParseResult<Value>): Value | undefined =>
  parsed.success ? parsed.data : undefined

/** The first frame; undefined for anything else. */
export const helloOf = (json: unknown): Hello | undefined => parsedOf(helloSchema.safeParse(json))
/** Any later frame; undefined when it is none. */
export const frameOf = (json: unknown): Frame | undefined => parsedOf(frameSchema.safeParse(json))
/** The arguments of `open` and `close`. */
export const membersArgsOf = (args: unknown) => parsedOf(membersSchema.safeParse(args))
/** The arguments of `typing`. */
export const typingArgsOf = (args: unknown) => parsedOf(typingSchema.safeParse(args))

const decoder = new TextDecoder('utf-8', { fatal: true })

/** What a text frame holds. The buffer is only valid during this call. @throws when it is not JSON in UTF-8 */
export const jsonOf = (message: ArrayBuffer): unknown => JSON.parse(decoder.decode(message))

/** The part of a reply that says no. */
export const errorText = (code: string, title: string, detail: string, retryable: boolean): string =>
  `"error":${JSON.stringify({ code, title, detail, retryable })}`
