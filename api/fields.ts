// Owns the fields that operations share: how an id, a name, a text, a page size looks, and what an example of it is.
// The only place where outside text is normalised. Lengths are counted in characters (code points), as JSON Schema counts them.

import { z } from 'zod'
import type { Instant } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'

declare global {
  interface String {
    /** ES2024, in Node since 20; the compiler's library is older. */
    isWellFormed(): boolean
  }
}

const control = /\p{Control}/u

/** A lone surrogate cannot be stored as UTF-8, and U+0000 not in Postgres: both are refused at the door. */
export const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes('\0')

export const charactersOf = (text: string): number => {
  let count = 0
  for (const _ of text) count++
  return count
}

interface LengthContext {
  readonly value: string
  readonly issues: unknown[]
}

/** Counts code points only where UTF-16 units cannot decide. */
const withinCharacters =
  (least: number, most: number) =>
  ({ value, issues }: LengthContext) => {
    if (value.length < least) issues.push({ code: 'custom', input: value, message: `at least ${least} characters` })
    if (value.length <= most) return
    if (value.length > most * 2 || charactersOf(value) > most) {
      issues.push({ code: 'custom', input: value, message: `at most ${most} characters` })
    }
  }

/** Any storable text of so many characters, taken as it is. */
export const text = (least: number, most: number) =>
  z
    .string()
    .refine(isStorable, { message: 'holds a character that cannot be stored (U+0000 or half of a surrogate pair)' })
    .check(withinCharacters(least, most))
    .meta({ minLength: least, maxLength: most })

/** A text that names a thing: one line, trimmed, NFC. */
export const name = (most: number, least = 1) =>
  z
    .string()
    .refine(isStorable, { message: 'holds a character that cannot be stored (U+0000 or half of a surrogate pair)' })
    .normalize('NFC')
    .trim()
    .refine(value => !control.test(value), { message: 'holds a control character' })
    .check(withinCharacters(least, most))
    .meta({ minLength: least, maxLength: most })

const idPattern = /^[A-Za-z0-9_.-]{1,64}$/
/** Words that stand in routes where a user id may; only `me` means something there. */
const otherReservedWords = new Set(['search', 'check', 'current', 'system'])

export const userId = z
  .string()
  .regex(idPattern, { message: 'is no user id' })
  .refine(value => !otherReservedWords.has(value), { message: 'is a reserved word' })
  .meta({ description: "A user's id; `me` is the caller." })

export const groupId = z.string().regex(idPattern, { message: 'is no group id' }).meta({ description: "A group's id." })

export const sessionId = z
  .string()
  .regex(idPattern, { message: 'is no session id' })
  .meta({ description: 'The id of a signed-in device.' })

/** The form only, as it stands in the hot path: ids in the wrong order name no conversation, and are not found. */
const conversationIdPattern = /^(?:p2p:[A-Za-z0-9_.-]{1,64}:[A-Za-z0-9_.-]{1,64}|group:[A-Za-z0-9_.-]{1,64})$/

export const conversationId = z
  .string()
  .regex(conversationIdPattern, { message: 'is no conversation id: p2p:<a>:<b> with a < b, or group:<groupId>' })
  .meta({ description: '`p2p:<a>:<b>` with a < b, or `group:<groupId>`.' })

/** Printable ASCII, chosen by the client; a UUIDv7 is the fast form. */
export const clientMessageId = z
  .string()
  .regex(new RegExp(`^[!-~]{1,${limits.clientMessageIdCharactersMax}}$`), {
    message: `1 to ${limits.clientMessageIdCharactersMax} printable characters without spaces`,
  })
  .meta({ description: "The sender's key for this message: a repeat is answered with the first reply. Best a UUIDv7." })

/** A number that comes as text in a URL and as a number in a frame. */
const numberOfText = (value: unknown): unknown =>
  typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value

/** A yes or no that comes as text in a URL and as a boolean in a frame. */
const booleanOfText = (value: unknown): unknown => (value === 'true' ? true : value === 'false' ? false : value)

export const wholeNumber = (least: number, most: number = Number.MAX_SAFE_INTEGER) =>
  z.preprocess(numberOfText, z.int().min(least).max(most))

export const yesOrNo = () => z.preprocess(booleanOfText, z.boolean())

/** A list in a URL is separated by commas or comes one by one (`ids=a&ids=b`), in a frame it is a list. */
export const listOfText = <List extends z.ZodType>(list: List) =>
  z.preprocess(value => (typeof value === 'string' ? value.split(',') : value), list)

export const idList = (most: number) =>
  listOfText(
    z
      .array(userId)
      .min(1)
      .max(most)
      .meta({ description: `Up to ${most} ids; in a URL separated by commas, or one by one.` }),
  )

const aSeq = { description: "A message's number in its conversation, from 1." }

/** As it stands in a path or a query. */
export const seq = wholeNumber(1).meta(aSeq)

/** In a body a number is a number, never a text. */
export const seqInBody = z.int().min(1).meta(aSeq)

/** How many items a page has at most. */
export const pageLimit = (most: number = limits.pageMax, usual: number = limits.pageDefault) =>
  wholeNumber(1, most)
    .optional()
    .transform(value => value ?? Math.min(usual, most))
    .meta({ description: `Most items of the page, ${Math.min(usual, most)} unless said.` })

const cursorPattern = /^[A-Za-z0-9_\-.:~#]{1,256}$/

/** `next` of the page before; opaque. */
export const pageCursor = z
  .string()
  .regex(cursorPattern, { message: 'is no cursor' })
  .meta({ description: '`next` of the page before.' })

/** The cursor of an incremental list or of a sync; opaque outside. */
export const sinceCursor = z.string().regex(cursorPattern, { message: 'is no cursor' }).meta({
  description:
    '`cursor` of an earlier reply, of this list or of the sync: only what changed at or after it is answered.',
})

export const positionPattern = /^[0-9a-f]{16}$/

/** Waits until the read models have passed it. */
export const position = z
  .string()
  .regex(positionPattern, { message: 'is no position: 16 hex digits' })
  .meta({ description: 'A `position` of an earlier reply: the answer holds at least everything up to it.' })

/** `2026-11-23T08:15:30.123456789+01:00`: nanoseconds and an offset are the most that a time tells. */
const givenInstantCharactersMax = 35
/** With a sign before it a year sorts below this as well: one before the first, or after 9999. */
const firstYear = '0001'

/** A time that the caller gives, as RFC 3339 writes it, in the form that all times here have. */
export const givenInstant = z.iso
  .datetime({ offset: true, message: 'is no time of RFC 3339' })
  .max(givenInstantCharactersMax)
  .transform((value, context) => {
    const given = new Date(value).toISOString()
    if (given >= firstYear) return given as Instant
    context.addIssue({ code: 'custom', message: 'is not in the years 1 to 9999' })
    return z.NEVER
  })

export const instant = z.string().meta({ format: 'date-time', description: 'RFC 3339, UTC, milliseconds.' })

/** Of replies: text and ids come from the server, so nothing about them is checked. */
export const reply = {
  id: z.string(),
  text: z.string(),
  instant,
  position: z.string().meta({ description: 'Place in the log; pass it as `?after=` to read your own writes.' }),
  count: z.int().min(0),
  next: z.string().nullable().meta({ description: 'Cursor of the next page; null on the last one.' }),
} as const

/** The reply of a command that says no more than where it stands in the log. */
export const positionReply = z.object({ position: reply.position })

/** At least one of the fields. */
export const someOf = <Shape extends z.ZodRawShape>(fields: z.ZodObject<Shape>) =>
  fields.superRefine((value, context) => {
    if (Object.values(value).some(field => field !== undefined)) return
    context.addIssue({ code: 'custom', message: 'say at least one thing to change' })
  })

export const noFields = z.strictObject({})

/** Values that examples use, the same everywhere, so that the documentation tells one story. */
export const example = {
  userId: '01k2ay8r3mf6v0e5wq9t4hzxnc',
  otherUserId: '01k2b0c7pq8s5d2m9x4hvjtn6a',
  groupId: '01k2b1f4y7e8r3w6t9a2zqcnxm',
  requestId: '01k2b2e6d4f8m1w5t9a3zqcnvs',
  sessionId: '01k2b2j9h5k3n7p1s4v8y6dwqr',
  conversationId: 'p2p:01k2ay8r3mf6v0e5wq9t4hzxnc:01k2b0c7pq8s5d2m9x4hvjtn6a',
  groupConversationId: 'group:01k2b1f4y7e8r3w6t9a2zqcnxm',
  position: '00000000000004d2',
  cursor: 'q7f3k2m9x1c5v8b4.1.00000000000004d2',
  at: '2026-11-23T08:15:30.123Z',
  clientMessageId: '019ab0c4-7d6e-7a31-8c55-2f1e9b6d4a07',
} as const
