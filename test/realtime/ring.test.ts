// The last routed events of a node: bounded by bytes and age, found again by topic, and honest about what is gone.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Position, UserId } from '../../domain/ids.ts'
import { positionBeforeAll, positionOf } from '../../eventstore/port.ts'
import type { Action } from '../../realtime/actions.ts'
import { groupTopic, userTopic } from '../../realtime/protocol.ts'
import { createRing } from '../../realtime/ring.ts'
import { ann, bob, groupId, inGroup } from '../support/routing.ts'

const publish = (topic: string, frame = 'frame'): Action => ({ do: 'publish', topic, frame })
const positionsIn = (entries: readonly { readonly position: Position }[]) =>
  entries.map(({ position }) => Number.parseInt(position, 16))
const ringOf = (bytesMax?: number, ageMs?: number) => {
  const time = { nowMs: 0 }
  return { time, ring: createRing(positionBeforeAll, () => time.nowMs, bytesMax, ageMs) }
}

describe('the ring', () => {
  test('finds entries by topic, in log order, each once', () => {
    const { ring } = ringOf()
    ring.push(positionOf(1), [publish('a')])
    ring.push(positionOf(2), [publish('b'), publish('a'), publish('a')])
    ring.push(positionOf(3), [publish('c')])
    ring.push(positionOf(4), [publish('b')])
    expect(positionsIn(ring.entriesFrom(positionOf(1), ['a', 'b']))).toEqual([1, 2, 4])
    expect(positionsIn(ring.entriesFrom(positionOf(2), ['a']))).toEqual([2])
    expect(positionsIn(ring.entriesFrom(positionOf(3), ['b', 'c', 'nobody']))).toEqual([3, 4])
  })

  test('finds a message under all its topics, and what happens to a user under the topic of the user', () => {
    const { ring } = ringOf()
    const topics = [userTopic(ann), userTopic(bob)]
    ring.push(positionOf(1), [{ do: 'message', topics, frame: 'f', conversationId: inGroup, seq: 1, cursor: 'c' }])
    ring.push(positionOf(2), [{ do: 'join', userId: bob, topic: groupTopic(groupId) }])
    expect(positionsIn(ring.entriesFrom(positionOf(1), [userTopic(ann)]))).toEqual([1])
    expect(positionsIn(ring.entriesFrom(positionOf(1), [userTopic(bob)]))).toEqual([1, 2])
    expect(ring.entriesFrom(positionOf(1), [groupTopic(groupId)])).toEqual([])
  })

  test('does not hold events that nobody hears of', () => {
    const { ring } = ringOf()
    ring.push(positionOf(1), [])
    expect([ring.size, ring.covers(positionOf(1))]).toEqual([0, true])
  })

  test('covers everything after its start', () => {
    const ring = createRing(positionOf(5), () => 0)
    expect([ring.covers(positionOf(5)), ring.covers(positionOf(6))]).toEqual([false, true])
    expect([ring.coversAfter(positionOf(4)), ring.coversAfter(positionOf(5))]).toEqual([false, true])
  })

  test('drops what is too old, and says so', () => {
    const { ring, time } = ringOf(undefined, 1_000)
    ring.push(positionOf(1), [publish('a')])
    time.nowMs = 600
    ring.push(positionOf(2), [publish('a')])
    time.nowMs = 1_500
    ring.push(positionOf(3), [publish('a')])
    expect(positionsIn(ring.entriesFrom(positionOf(1), ['a']))).toEqual([2, 3])
    expect([ring.covers(positionOf(1)), ring.covers(positionOf(2)), ring.coversAfter(positionOf(1))]).toEqual([
      false,
      true,
      true,
    ])
  })

  test('holds no more bytes than it may', () => {
    const { ring } = ringOf(10_000)
    for (let position = 1; position <= 1_000; position++)
      ring.push(positionOf(position), [publish('a', 'x'.repeat(500))])
    expect(ring.bytes).toBeLessThanOrEqual(10_000)
    expect(ring.size).toBeGreaterThan(5)
    expect(ring.covers(positionOf(1))).toBe(false)
    const [oldest] = ring.entriesFrom(positionOf(1), ['a'])
    expect(ring.covers(oldest?.position as Position)).toBe(true)
  })

  test('forgets everything up to a place when told to', () => {
    const { ring } = ringOf()
    ring.push(positionOf(1), [publish('a')])
    ring.clear(positionOf(4))
    expect([ring.size, ring.bytes, ring.entriesFrom(positionOf(1), ['a'])]).toEqual([0, 0, []])
    expect([ring.covers(positionOf(4)), ring.coversAfter(positionOf(4))]).toEqual([false, true])
    ring.push(positionOf(5), [publish('a')])
    expect(positionsIn(ring.entriesFrom(positionOf(1), ['a']))).toEqual([5])
  })

  test('finds what a plain list would find, whatever is pushed and dropped', () => {
    const topics = ['a', 'b', 'c', 'd']
    const pushes = fc.array(fc.record({ topics: fc.subarray(topics), size: fc.nat(300), passMs: fc.nat(30) }), {
      maxLength: 300,
    })
    fc.assert(
      fc.property(pushes, fc.subarray(topics), fc.nat(300), (steps, wanted, from) => {
        const { ring, time } = ringOf(5_000, 500)
        const all: { position: number; topics: readonly string[] }[] = []
        for (const [index, step] of steps.entries()) {
          time.nowMs += step.passMs
          ring.push(
            positionOf(index + 1),
            step.topics.map(topic => publish(topic, 'x'.repeat(step.size))),
          )
          if (step.topics.length > 0) all.push({ position: index + 1, topics: step.topics })
        }
        const kept = all.slice(all.length - ring.size)
        const expected = kept.filter(
          entry => entry.position >= from && entry.topics.some(topic => wanted.includes(topic)),
        )
        expect(positionsIn(ring.entriesFrom(positionOf(from), wanted))).toEqual(
          expected.map(({ position }) => position),
        )
        const gone = all.length - kept.length
        if (gone > 0) expect(ring.covers(positionOf(all[gone - 1]?.position ?? 0))).toBe(false)
        if (kept[0] !== undefined) expect(ring.covers(positionOf(kept[0].position))).toBe(true)
      }),
    )
  })
})

test('a user is found under the own topic only', () => {
  const { ring } = ringOf()
  ring.push(positionOf(1), [{ do: 'cut', userId: 'x' as UserId, sessionId: 's' as never }])
  expect(ring.entriesFrom(positionOf(1), [userTopic(ann)])).toEqual([])
})
