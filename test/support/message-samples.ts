// Owns messages of every type, for tests that go over all of them: one sample each, and any that a client may send.

import fc from 'fast-check'
import { sendExamples } from '../../api/message-bodies.ts'
import type { MessageContent, SentType } from '../../domain/conversation/bodies.ts'
import { messageTypes } from '../../domain/conversation/message-types.ts'
import { limits } from '../../domain/limits.ts'

/** What clients send. */
export const sentTypes = messageTypes.filter((type): type is SentType => type !== 'notification')

/** A message of the type; what is a text in it is these words. */
export const sampleOf = (type: SentType, words: string): MessageContent => {
  const { clientMessageId: _, ...sample } = sendExamples[type]
  const saysText = type === 'text' || type === 'tip'
  return (saysText ? { ...sample, body: { text: words } } : sample) as MessageContent
}

const storable = (text: string) => !text.includes('\0')
const anyText = (maxLength: number) => fc.string({ unit: 'binary', minLength: 1, maxLength }).filter(storable)
/** One line, as the server would write it. */
const anyName = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .map(text => text.normalize('NFC').trim())
  .filter(text => text !== '' && !/\p{Control}/u.test(text))
const webUrl = fc.webUrl({ validSchemes: ['http', 'https'], withQueryParameters: true, withFragments: true })
const sizeBytes = fc.nat(limits.attachmentBytesMax)
const pixels = fc.integer({ min: 1, max: limits.picturePixelsMax })
const durationMs = fc.integer({ min: 1, max: limits.mediaDurationMsMax })
const md5 = fc.string({ unit: fc.constantFrom(...'0123456789abcdefABCDEF'), minLength: 32, maxLength: 32 })
const degrees = (most: number) => fc.double({ min: -most, max: most, noNaN: true })

const exactNumber = fc.oneof(
  fc.maxSafeInteger(),
  fc.double({ min: -Number.MAX_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER, noNaN: true }),
)
const key = fc.oneof(anyText(8), fc.constantFrom('', '__proto__', 'constructor', 'toJSON', '0', '10', '9'))
/** Whatever an app may think of; in its own order of keys, with keys that mean something to JavaScript. */
const anyJson = fc.object({
  key,
  values: [anyText(20), fc.constant(''), fc.boolean(), fc.constant(null), exactNumber],
  maxDepth: 4,
})

const bodies: Readonly<Record<SentType, fc.Arbitrary<object>>> = {
  text: fc.record({ text: anyText(200) }),
  image: fc.record(
    {
      url: webUrl,
      sizeBytes,
      width: pixels,
      height: pixels,
      format: anyName,
      md5,
      thumbnailUrl: webUrl,
      name: anyName,
    },
    { requiredKeys: ['url', 'sizeBytes', 'width', 'height'] },
  ),
  audio: fc.record({ url: webUrl, sizeBytes, durationMs, format: anyName }),
  video: fc.record(
    { url: webUrl, sizeBytes, width: pixels, height: pixels, durationMs, format: anyName, coverUrl: webUrl },
    { requiredKeys: ['url', 'sizeBytes', 'width', 'height', 'durationMs', 'format'] },
  ),
  file: fc.record({ url: webUrl, sizeBytes, name: anyName, format: fc.oneof(anyName, fc.constant('')) }),
  location: fc.record({ title: anyName, latitude: degrees(90), longitude: degrees(180) }),
  tip: fc.record({ text: anyText(200) }),
  custom: anyJson.map(({ text: _, ...body }) => body),
}

const subType = fc.integer({ min: 1, max: limits.subTypeMax })

/** Any message of the type that a client may send. */
export const anyContent = (type: SentType): fc.Arbitrary<MessageContent> =>
  fc.record(
    { type: fc.constant(type), subType, body: bodies[type], ext: anyText(40) },
    { requiredKeys: type === 'custom' ? ['type', 'subType', 'body'] : ['type', 'body'] },
  ) as fc.Arbitrary<MessageContent>
