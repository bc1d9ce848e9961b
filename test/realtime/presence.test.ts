// Who is online: edges, devices that are back at once, nodes that tell each other and fall silent. The clock is moved by hand
// and the lines of the nodes are joined here.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { UserId } from '../../domain/ids.ts'
import type { SignalLine } from '../../projections/signals.ts'
import { departedUsersMax, flapMs, OnlineUsers, silentMsMax } from '../../realtime/presence.ts'
import { type Presence, roundMs, startPresence, usersPerSignalMax } from '../../realtime/presence-signals.ts'
import { ann, bob } from '../support/routing.ts'
import { type HandClock, handClock } from '../support/test-node.ts'

/** A line on which what one node says is heard by all others at once, and that can be cut. */
const joinedLines = () => {
  const listeners = new Map<number, (text: string) => void>()
  const told: string[] = []
  const cut = new Set<number>()
  const line = (index: number): SignalLine => ({
    send: text => {
      if (cut.has(index)) return
      told.push(text)
      for (const [other, listener] of listeners) if (other !== index && !cut.has(other)) listener(text)
    },
    onText: listener => listeners.set(index, listener),
    counters: { sent: 0, heard: 0, dropped: 0 },
    connected: true,
    close: async () => {},
  })
  return { line, told, cut }
}

let clock: HandClock
let lines: ReturnType<typeof joinedLines>
let nodes: Presence[]
const start = (): Presence => {
  const node = startPresence({ clock, line: lines.line(nodes.length) })
  nodes.push(node)
  return node
}
const tickAll = () => {
  for (const node of nodes) node.tick()
}

beforeEach(() => {
  clock = handClock()
  lines = joinedLines()
  nodes = []
})
afterEach(() => {
  for (const node of nodes) node.close()
})

describe('on one node', () => {
  test('somebody of whom nothing is known is offline, since nobody knows when', () => {
    expect(start().of(ann)).toEqual({ userId: ann, online: false, since: null, at: clock.now() })
  })

  test('somebody is online from the first socket until some time after the last', () => {
    const node = start()
    const came = clock.now()
    node.came(ann)
    clock.advance(1_000)
    node.came(ann)
    clock.advance(1_000)
    node.went(ann)
    clock.advance(flapMs)
    expect(node.of(ann)).toEqual({ userId: ann, online: true, since: came, at: clock.now() })
    const went = clock.now()
    node.went(ann)
    clock.advance(flapMs - 1)
    expect(node.of(ann)).toMatchObject({ online: true, since: came })
    clock.advance(1)
    expect(node.of(ann)).toEqual({ userId: ann, online: false, since: went, at: clock.now() })
  })

  test('who is back at once was never away, and who is back later is online since then', () => {
    const node = start()
    const came = clock.now()
    node.came(ann)
    node.went(ann)
    clock.advance(flapMs - 1)
    node.came(ann)
    clock.advance(flapMs)
    expect(node.of(ann)).toMatchObject({ online: true, since: came })
    node.went(ann)
    clock.advance(flapMs)
    const again = clock.now()
    node.came(ann)
    expect(node.of(ann)).toMatchObject({ online: true, since: again })
  })

  test('only so many of those who went are remembered, the newest', () => {
    const users = new OnlineUsers()
    const name = (index: number) => `user-${index}` as UserId
    for (let index = 0; index <= departedUsersMax; index++) {
      users.came(name(index), 0)
      users.went(name(index), 1)
    }
    expect(users.settle(1 + flapMs)).toHaveLength(departedUsersMax + 1)
    expect(users.of(name(0))).toEqual({ online: false, sinceMs: null })
    expect(users.of(name(1))).toEqual({ online: false, sinceMs: 1 })
    expect([...users.here()]).toEqual([])
  })
})

describe('between nodes', () => {
  test('an edge is told once, and nothing of a device that is back at once', () => {
    const [one, other] = [start(), start()]
    tickAll()
    lines.told.length = 0
    const came = clock.now()
    one.came(ann)
    tickAll()
    expect(other.of(ann)).toMatchObject({ online: true, since: came })
    one.went(ann)
    clock.advance(flapMs - 1)
    tickAll()
    one.came(ann)
    tickAll()
    expect(lines.told).toHaveLength(1)
    const went = clock.now()
    one.went(ann)
    clock.advance(flapMs)
    tickAll()
    expect(lines.told).toHaveLength(2)
    expect(other.of(ann)).toMatchObject({ online: false, since: went })
  })

  test('somebody on two is online since the earlier, and until the last of them', () => {
    const [one, other] = [start(), start()]
    const came = clock.now()
    one.came(ann)
    tickAll()
    clock.advance(1_000)
    other.came(ann)
    tickAll()
    one.went(ann)
    clock.advance(flapMs)
    tickAll()
    for (const node of nodes) expect(node.of(ann)).toMatchObject({ online: true, since: came })
    const went = clock.now()
    other.went(ann)
    clock.advance(flapMs)
    tickAll()
    for (const node of nodes) expect(node.of(ann)).toMatchObject({ online: false, since: went })
  })

  test('one that has just started, and has no sockets of its own, is told who is there', () => {
    const one = start()
    one.tick()
    const count = 3 * usersPerSignalMax + 1
    const names = Array.from({ length: count }, (_, index) => `u${index}`.padEnd(64, 'x') as UserId)
    for (const name of names) one.came(name)
    one.tick()
    const late = start()
    expect(late.of(names[0] as UserId).online).toBe(false)
    lines.told.length = 0
    one.tick()
    expect(names.filter(name => late.of(name).online)).toHaveLength(count)
    expect(lines.told).toHaveLength(4)
    // A notification of Postgres takes less than 8,000 bytes, its sender among them.
    for (const text of lines.told) expect(text.length).toBeLessThan(7_800)
  })

  test('what was lost on the way comes right with the next rounds', () => {
    const [one, other] = [start(), start()]
    one.came(ann)
    tickAll()
    lines.cut.add(0)
    one.came(bob)
    one.went(ann)
    clock.advance(flapMs)
    tickAll()
    expect(other.of(ann).online).toBe(true)
    expect(other.of(bob).online).toBe(false)
    lines.cut.delete(0)
    clock.advance(roundMs)
    tickAll()
    expect(other.of(bob).online).toBe(true)
    for (let rounds = 0; rounds * roundMs < silentMsMax; rounds++) {
      clock.advance(roundMs)
      tickAll()
    }
    expect(other.of(ann).online).toBe(false)
    expect(other.of(bob).online).toBe(true)
  })

  test('the users of one that fell silent are offline in the end, since it was heard last', () => {
    const [one, other] = [start(), start()]
    one.came(ann)
    tickAll()
    const heard = clock.now()
    lines.cut.add(0)
    clock.advance(silentMsMax - 1)
    other.tick()
    expect(other.of(ann).online).toBe(true)
    clock.advance(1)
    other.tick()
    expect(other.of(ann)).toMatchObject({ online: false, since: heard })
  })

  test('somebody who went and came between two ticks is online on all', () => {
    const [one, other] = [start(), start()]
    one.came(ann)
    tickAll()
    one.went(ann)
    clock.advance(flapMs)
    const again = clock.now()
    one.came(ann)
    tickAll()
    expect(other.of(ann)).toMatchObject({ online: true, since: again })
  })
})
