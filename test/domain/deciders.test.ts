// What holds for every decider: unknown events change nothing, and the category is that of its stream.

import { describe, expect, it } from 'vitest'
import { account } from '../../domain/account/account.ts'
import { adminKey } from '../../domain/admin-key/admin-key.ts'
import { blocklist } from '../../domain/blocklist/blocklist.ts'
import { code } from '../../domain/code/code.ts'
import { conversation } from '../../domain/conversation/conversation.ts'
import { follower } from '../../domain/follower/follower.ts'
import { friendship } from '../../domain/friendship/friendship.ts'
import { group } from '../../domain/group/group.ts'
import { joinTries } from '../../domain/group/join-tries.ts'
import { identity } from '../../domain/identity/identity.ts'
import { inbox } from '../../domain/inbox/inbox.ts'
import { member } from '../../domain/member/member.ts'
import { message } from '../../domain/message/message.ts'
import { notification } from '../../domain/notification/notification.ts'
import { session } from '../../domain/session/session.ts'
import type { AnyDecider } from '../../eventstore/states.ts'

const deciders = {
  account,
  adminKey,
  blocklist,
  code,
  conversation,
  follower,
  friendship,
  group,
  identity,
  inbox,
  joinTries,
  member,
  message,
  notification,
  session,
} as const

describe.each(Object.entries<AnyDecider>(deciders))('%s', (name, decider) => {
  it('names its own category', () => {
    expect(decider.category).toBe(name)
  })

  it('leaves its state as it is for an event it does not know', () => {
    const unknown = { type: 'SomethingOfTheFuture', data: {} } as never
    const evolve = decider.evolve as (state: unknown, event: never) => unknown
    expect(evolve(decider.initial, unknown)).toBe(decider.initial)
  })
})

describe('the deciders of more than one command', () => {
  const { follower: _, group: __, member: ___, joinTries: ____, ...several } = deciders
  it.each(Object.entries<AnyDecider>(several))(
    '%s throws for a command without a rule, naming its type alone',
    (_name, decider) => {
      const command = { type: 'Nonsense', secret: 'hunter2' } as never
      expect(() => decider.decide(command, decider.initial, undefined)).toThrow(/^no rule for the command Nonsense$/)
    },
  )
})
