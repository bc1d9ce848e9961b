// How ids look, and that no text from outside can pass for one it is not.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  base32Of,
  conversationParts,
  type GroupId,
  groupConversationId,
  isUserId,
  keepsLastOnly,
  p2pConversationId,
  streamOf,
  type UserId,
  unixMsOfUuidV7,
  uuidV7Bytes,
} from '../../domain/ids.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const textOf = (bytes: Uint8Array) => hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 })
const userId = fc.stringMatching(/^[A-Za-z0-9_.-]{1,64}$/).filter(isUserId)

describe('ids in base 32', () => {
  it('have 26 digits and the value of the bytes', () => {
    expect(base32Of(new Uint8Array(16))).toBe('0'.repeat(26))
    expect(base32Of(new Uint8Array(16).fill(255))).toBe(`7${'z'.repeat(25)}`)
    expect(base32Of(Uint8Array.from({ length: 16 }, (_, index) => (index === 15 ? 32 : 0)))).toBe(`${'0'.repeat(24)}10`)
  })

  it('sort as their bytes do, and are ids a user can have', () => {
    fc.assert(
      fc.property(bytes16, bytes16, (one, other) => {
        expect(base32Of(one) < base32Of(other)).toBe(hex(one) < hex(other))
        expect(isUserId(base32Of(one))).toBe(true)
      }),
    )
  })
})

describe('UUIDs of version 7', () => {
  it('carry their time, version and variant', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 48 - 1 }),
        fc.uint8Array({ minLength: 10, maxLength: 20 }),
        (ms, random) => {
          const bytes = uuidV7Bytes(ms, random)
          expect(bytes).toHaveLength(16)
          expect(unixMsOfUuidV7(textOf(bytes))).toBe(ms)
          expect(hex(bytes)).toMatch(/^.{12}7.{3}[89ab].{15}$/)
        },
      ),
    )
  })

  it('match the example of RFC 9562', () => {
    expect(unixMsOfUuidV7('017f22e2-79b0-7cc3-98c4-dc0c0c07398f')).toBe(0x17f22e279b0)
  })

  it('are told from every other form', () => {
    const other = [
      '',
      'hello',
      '017f22e2-79b0-4cc3-98c4-dc0c0c07398f',
      '017f22e2-79b0-7cc3-c8c4-dc0c0c07398f',
      '017F22E2-79B0-7CC3-98C4-DC0C0C07398F',
      '017f22e279b07cc398c4dc0c0c07398f',
      '017f22e2-79b0-7cc3-98c4-dc0c0c07398f\n',
      '{017f22e2-79b0-7cc3-98c4-dc0c0c0739}',
    ]
    for (const id of other) expect(unixMsOfUuidV7(id)).toBeUndefined()
  })
})

describe('user ids', () => {
  it('leave out the words that routes use, separators and anything long', () => {
    for (const id of ['me', 'search', 'check', 'current', 'system', '', 'a:b', 'a~b', 'a/b', '$$', 'a b', 'ä', 'a\n']) {
      expect(isUserId(id)).toBe(false)
    }
    expect(isUserId('x'.repeat(64))).toBe(true)
    expect(isUserId('x'.repeat(65))).toBe(false)
  })
})

describe('conversation ids', () => {
  it('are the same from both sides and come apart again', () => {
    fc.assert(
      fc.property(userId, userId, (one, other) => {
        fc.pre(one !== other)
        const id = p2pConversationId(one, other)
        expect(p2pConversationId(other, one)).toBe(id)
        expect(conversationParts(id)).toStrictEqual({ kind: 'p2p', users: one < other ? [one, other] : [other, one] })
      }),
    )
  })

  it('of a group carry the group', () => {
    expect(conversationParts(groupConversationId('g1' as GroupId))).toStrictEqual({ kind: 'group', groupId: 'g1' })
  })

  it('treat names of object properties as plain names', () => {
    expect(conversationParts('group:__proto__')).toStrictEqual({ kind: 'group', groupId: '__proto__' })
    expect(conversationParts('p2p:__proto__:constructor')).toStrictEqual({
      kind: 'p2p',
      users: ['__proto__', 'constructor'],
    })
  })

  it('are not made of paths, system streams, the wrong order, oneself, or pieces', () => {
    const wrong = [
      '',
      '__proto__',
      '../x',
      'group:../x',
      'p2p:../x:a',
      '$$',
      'group:$$x',
      'p2p:$$:a',
      'p2p:b:a',
      'p2p:a:a',
      'p2p:a',
      'p2p::a',
      'p2p:a:',
      'p2p:a:b:c',
      'p2p:a:me',
      'p2p:a:system',
      'P2P:a:b',
      'group:',
      'group:a b',
      'group:a:b',
      `group:${'x'.repeat(65)}`,
      'group:a\n',
      ' group:a',
      'a:b',
    ]
    for (const id of wrong) expect(conversationParts(id), id).toBeUndefined()
  })

  it('never come out of any text but the one they would be written as', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map(text => `p2p:${text}`),
          fc.string().map(text => `group:${text}`),
        ),
        text => {
          const parts = conversationParts(text)
          if (parts === undefined) return
          expect(parts.kind === 'p2p' ? p2pConversationId(...parts.users) : groupConversationId(parts.groupId)).toBe(
            text,
          )
        },
      ),
    )
  })
})

describe('streams', () => {
  it('have their category before the first dash', () => {
    const ann = 'a-nn' as UserId
    const group = groupConversationId('g-1' as GroupId)
    const names = {
      account: streamOf.account(ann),
      identity: streamOf.identity('h'),
      code: streamOf.code('h'),
      session: streamOf.session(ann),
      blocklist: streamOf.blocklist(ann),
      friendship: streamOf.friendship(ann, 'b' as UserId),
      group: streamOf.group('g-1' as GroupId),
      member: streamOf.member('g-1' as GroupId, ann),
      joinTries: streamOf.joinTries('g-1' as GroupId, 'a-nn' as UserId),
      conversation: streamOf.conversation(group),
      message: streamOf.message(group, 7),
      inbox: streamOf.inbox(ann, group),
      adminKey: streamOf.adminKey(),
      notification: streamOf.notification(ann),
      follower: streamOf.follower('notify'),
      snapshot: streamOf.snapshot('group-g-1'),
    }
    expect(Object.keys(names)).toStrictEqual(Object.keys(streamOf))
    for (const [category, name] of Object.entries(names)) expect(name.slice(0, name.indexOf('-'))).toBe(category)
    expect(names.message).toBe('message-group:g-1.7')
    expect(names.inbox).toBe('inbox-a-nn~group:g-1')
    expect(Object.values(names).filter(keepsLastOnly)).toStrictEqual([names.follower, names.snapshot])
  })
})
