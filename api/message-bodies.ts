// Owns how a message to be sent looks, by its type (R59–R67): one schema a type, for requests, frames and the documentation.
// A body refers to media by URL; nothing here or later fetches one: it may lead into the operator's own network (SSRF).

import { z } from 'zod'
import type { CustomBody, MessageContent, SentType } from '../domain/conversation/bodies.ts'
import { limits } from '../domain/limits.ts'
import { charactersOf, clientMessageId, example, isStorable, name, text } from './fields.ts'

const webUrlPattern = /^https?:\/\/[^\s\\\p{Control}]+$/iu

/** Of the web and without a password in it; taken as it is. A backslash is read as a slash by some and not by others. */
const isWebUrl = (value: string): boolean => {
  if (!webUrlPattern.test(value) || !URL.canParse(value)) return false
  const { username, password } = new URL(value)
  return username === '' && password === ''
}

const url = text(1, limits.messageUrlCharactersMax)
  .refine(isWebUrl, { message: 'is no http or https URL without a user name or password', abort: true })
  .meta({ format: 'uri', description: 'http or https, without a user name or password. The server never fetches it.' })
const sizeBytes = z.int().min(0).max(limits.attachmentBytesMax)
const durationMs = z.int().min(1).max(limits.mediaDurationMsMax).meta({ description: 'In milliseconds.' })
const pixels = z.int().min(1).max(limits.picturePixelsMax).meta({ description: 'In pixels.' })
const format = name(limits.mediaFormatCharactersMax).meta({
  description: "As the end of a file's name says it: `jpg`.",
})
const fileName = name(limits.fileNameCharactersMax)
const md5 = z.string().regex(/^[0-9a-fA-F]{32}$/, { message: 'must be 32 hex digits' })

/** Looks at every part, level by level, so that no depth can overflow a stack. @returns what is wrong, if anything */
const wrongInside = (value: object): string | undefined => {
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth++) {
    const inside: unknown[] = []
    for (const part of level) {
      if (typeof part === 'string' && !isStorable(part)) return unstorable
      if (typeof part === 'number' && Math.abs(part) > Number.MAX_SAFE_INTEGER) return inexact
      if (typeof part !== 'object' || part === null) continue
      if (depth === limits.customBodyLevelsMax) return `at most ${limits.customBodyLevelsMax} levels deep`
      if (!Array.isArray(part) && !Object.keys(part).every(isStorable)) return unstorable
      for (const inner of Object.values(part)) inside.push(inner)
    }
    level = inside
  }
  const bytes = Buffer.byteLength(JSON.stringify(value))
  return bytes > limits.customBodyBytesMax ? `at most ${limits.customBodyBytesMax} bytes as JSON` : undefined
}
const unstorable = 'holds a character that cannot be stored (U+0000 or half of a surrogate pair)'
const inexact = 'holds a number beyond 2^53 - 1, which would not come back as it was sent: write it as a text'

const wrongPreview = (preview: unknown): string | undefined => {
  if (typeof preview !== 'string') return 'must be a text'
  const most = limits.previewCharactersMax
  return charactersOf(preview) > most ? `at most ${most} characters` : undefined
}

/**
 * Passed on as it is, and not through a schema of objects: that would make another object, without a key `__proto__`. Here
 * such a key is data like any other.
 */
const customBody = z
  .unknown()
  .check(({ value, issues }) => {
    const wrong = (message: string, ...path: string[]): void => {
      issues.push({ code: 'custom', input: value, message, path })
    }
    if (value === undefined) return wrong('is needed')
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong('must be an object')
    const inside = wrongInside(value)
    if (inside !== undefined) return wrong(inside)
    const preview = Object.hasOwn(value, 'text') ? wrongPreview((value as { text: unknown }).text) : undefined
    if (preview !== undefined) wrong(preview, 'text')
  })
  .meta({
    type: 'object',
    properties: { text: { type: 'string', maxLength: limits.previewCharactersMax } },
    description:
      `Any JSON object of the app, at most ${limits.customBodyBytesMax} bytes and ${limits.customBodyLevelsMax} levels deep; ` +
      'the server never looks into it. Its `text`, where it has one, is what a list may show of the message.',
  }) as z.ZodType<CustomBody>

const bodies = {
  text: z.strictObject({ text: text(1, limits.textCharactersMax) }),
  image: z.strictObject({
    url,
    sizeBytes,
    width: pixels,
    height: pixels,
    format: format.exactOptional(),
    md5: md5.exactOptional(),
    thumbnailUrl: url.exactOptional(),
    name: fileName.exactOptional(),
  }),
  audio: z.strictObject({ url, sizeBytes, durationMs, format }),
  video: z.strictObject({
    url,
    sizeBytes,
    width: pixels,
    height: pixels,
    durationMs,
    format,
    coverUrl: url.exactOptional(),
  }),
  file: z.strictObject({
    url,
    sizeBytes,
    name: fileName,
    format: name(limits.mediaFormatCharactersMax, 0).meta({
      description: 'As the end of its name says it: `pdf`; empty where there is none.',
    }),
  }),
  location: z.strictObject({
    title: name(limits.locationTitleCharactersMax),
    latitude: z.number().min(-90).max(90).meta({ description: 'In degrees, to the north.' }),
    longitude: z.number().min(-180).max(180).meta({ description: 'In degrees, to the east.' }),
  }),
  tip: z.strictObject({ text: text(1, limits.textCharactersMax) }),
  custom: customBody,
} as const satisfies Record<SentType, z.ZodType>

const subType = z.int().min(1).max(limits.subTypeMax).meta({ description: 'What the app makes of the type.' })

const ext = text(1, limits.extCharactersMax)
  .exactOptional()
  .meta({ description: "The app's own data; the server never looks into it." })

const receipt = z.boolean().exactOptional().meta({
  description: 'In a small group: tell me how many have read it, and who. See `limits.receiptGroupMembersMax`.',
})

/** The order of the fields is their order on the wire. */
const formOf = <Type extends Exclude<SentType, 'custom'>>(type: Type) =>
  z.strictObject({
    clientMessageId,
    type: z.literal(type),
    subType: subType.exactOptional(),
    body: bodies[type],
    ext,
    receipt,
  })

/** One form a type. */
export const sendBody = z.discriminatedUnion('type', [
  formOf('text'),
  formOf('image'),
  formOf('audio'),
  formOf('video'),
  formOf('file'),
  formOf('location'),
  formOf('tip'),
  z.strictObject({ clientMessageId, type: z.literal('custom'), subType, body: bodies.custom, ext, receipt }),
])

const media = 'https://media.example.com'
const { clientMessageId: key } = example

/** One message of each type, for the documentation; the first is the usual one. */
export const sendExamples: Readonly<Record<SentType, z.input<typeof sendBody>>> = {
  text: { clientMessageId: key, type: 'text', body: { text: 'Good morning' } },
  image: {
    clientMessageId: key,
    type: 'image',
    body: {
      url: `${media}/01k2.jpg`,
      sizeBytes: 183_204,
      width: 1_280,
      height: 720,
      format: 'jpg',
      md5: '9e107d9d372bb6826bd81d3542a419d6',
      thumbnailUrl: `${media}/01k2-small.jpg`,
      name: 'Lake.jpg',
    },
  },
  audio: {
    clientMessageId: key,
    type: 'audio',
    body: { url: `${media}/01k3.aac`, sizeBytes: 24_310, durationMs: 5_200, format: 'aac' },
  },
  video: {
    clientMessageId: key,
    type: 'video',
    body: {
      url: `${media}/01k4.mp4`,
      sizeBytes: 4_820_117,
      width: 1_920,
      height: 1_080,
      durationMs: 12_040,
      format: 'mp4',
      coverUrl: `${media}/01k4.jpg`,
    },
  },
  file: {
    clientMessageId: key,
    type: 'file',
    body: { url: `${media}/01k5`, sizeBytes: 90_112, name: 'Sketch of the engine.pdf', format: 'pdf' },
  },
  location: {
    clientMessageId: key,
    type: 'location',
    body: { title: 'Science Museum, London', latitude: 51.4978, longitude: -0.1745 },
  },
  tip: { clientMessageId: key, type: 'tip', body: { text: 'Ada is now in charge of the engine.' } },
  custom: {
    clientMessageId: key,
    type: 'custom',
    subType: 7,
    body: { text: '[Poll] Where do we eat?', poll: { id: 'p-51', choices: ['here', 'there'] } },
  },
}

/** What is sent, of the fields of a request. A text, of which there are most, is written out to cost no copy of the rest. */
export const contentOf = (args: z.output<typeof sendBody> & { readonly conversationId: string }): MessageContent => {
  if (args.type === 'text' && args.subType === undefined) {
    const { type, body, ext } = args
    return ext === undefined ? { type, body } : { type, body, ext }
  }
  const { conversationId: _conversationId, clientMessageId: _clientMessageId, receipt: _receipt, ...content } = args
  return content
}
