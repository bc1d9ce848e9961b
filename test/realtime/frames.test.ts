// Whatever a client sends, a frame is what it should be or none: nothing throws but the reading of what is no JSON.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { frameOf, helloOf, jsonOf, membersArgsOf, typingArgsOf } from '../../realtime/frames.ts'
import { parseCursor } from '../../realtime/protocol.ts'

const word = fc.constantFrom(
  'op',
  'id',
  'key',
  'args',
  'token',
  'cursor',
  'collection',
  'groupId',
  '__proto__',
  'hello',
)
/** Objects that look like frames, more or less. */
const nearly = fc.letrec(tie => ({
  value: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'frame' },
    word,
    tie('object'),
    fc.string({ unit: 'binary' }),
    fc.jsonValue(),
    fc.nat(),
  ),
  object: fc.dictionary(word, tie('value'), { maxKeys: 5 }),
})).object
const anything = fc.oneof(nearly, fc.anything(), fc.jsonValue())

describe('a frame', () => {
  test('of any form is one with the fields of its kind, or none', () => {
    fc.assert(
      fc.property(anything, json => {
        const frame = frameOf(json)
        if (frame !== undefined) {
          expect(Object.keys(frame).every(name => ['op', 'id', 'key', 'args'].includes(name))).toBe(true)
          expect(typeof frame.op).toBe('string')
          for (const text of [frame.id, frame.key]) expect(text === undefined || text.length <= 64).toBe(true)
        }
        const hello = helloOf(json)
        if (hello !== undefined) expect([hello.op, typeof hello.args.token]).toEqual(['hello', 'string'])
        for (const args of [membersArgsOf(json), typingArgsOf(json)]) {
          if (args === undefined) continue
          expect(Object.values(args).every(value => typeof value === 'string')).toBe(true)
        }
      }),
      { numRuns: 5_000 },
    )
  })

  test('of any bytes is JSON, or is refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), bytes => {
        const buffer = new Uint8Array(bytes).buffer
        try {
          JSON.stringify(jsonOf(buffer))
        } catch (error) {
          // SyntaxError of JSON, TypeError of UTF-8.
          expect(['SyntaxError', 'TypeError']).toContain((error as Error).name)
        }
      }),
    )
  })
})

test('a cursor of any text is one, or none', () => {
  const part = fc.constantFrom('.', 'log', '1', '00000000000004d2', 'ffffffffffffffff', '', '\u0000', '-1', '1e3')
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.array(part).map(parts => parts.join('.')),
      ),
      text => {
        const cursor = parseCursor(text)
        if (cursor === undefined) return
        expect(cursor.prefix + cursor.position).toBe(text)
        expect(cursor.position).toMatch(/^[0-9a-f]{16}$/)
      },
    ),
    { numRuns: 5_000 },
  )
})
