// Who hears of what happens to an account: its own devices of everything, those who hold its row of what everybody may see.

import { describe, expect, test } from 'vitest'
import { account } from '../../domain/account/account.ts'
import type { ProfileChanges } from '../../domain/account/profile.ts'
import type { SessionId } from '../../domain/ids.ts'
import type { OpenSession } from '../../domain/session/session.ts'
import { route } from '../../realtime/router.ts'
import {
  accountCreated,
  ann,
  at,
  bob,
  cid,
  cursorAt,
  factsOf,
  listeners,
  message,
  p2p,
  recorded,
} from '../support/routing.ts'

describe('a changed profile (R3)', () => {
  const accountOf = () => account.evolve(account.initial, accountCreated(1, ann) as never)
  const changed = (set: ProfileChanges) => recorded(7, 'ProfileChanged', { userId: ann, set, at })
  const heardOf = (set: ProfileChanges) => {
    const { perform, heardBy } = listeners(ann, bob, cid)
    perform(route(message(5, 1, ann, p2p), factsOf({ account: accountOf })))
    const before = heardBy(bob).length
    perform(route(changed(set), factsOf({ account: accountOf })))
    return { own: heardBy(ann).at(-1), peers: heardBy(bob).slice(before), others: heardBy(cid) }
  }

  test('goes to the own devices whole, and without private fields to those who hold the row', () => {
    const { own, peers, others } = heardOf({ name: 'Anna' })
    expect(own).toMatchObject({ op: 'put', collection: 'users', cursor: cursorAt(7) })
    expect(own.value).toMatchObject({ userId: ann, phone: '+49', friendPolicy: 'approval' })
    expect(peers).toEqual([{ ...own, value: { userId: ann, name: 'Name of ann' } }])
    expect(others).toEqual([])
  })

  test('that others cannot see goes to the own devices alone', () => {
    const { own, peers } = heardOf({ friendPolicy: 'nobody' })
    expect(own).toMatchObject({ collection: 'users' })
    expect(peers).toEqual([])
  })
})

describe('the own row of a new account', () => {
  const own = { collection: 'users', value: { userId: ann, friendPolicy: 'approval' } }
  const heardOf = (...events: readonly Parameters<typeof route>[0][]) => {
    const state = events.reduce((sofar, event) => account.evolve(sofar, event as never), account.initial)
    const { perform, heardBy } = listeners(ann, bob)
    for (const event of events) perform(route(event, factsOf({ account: () => state })))
    expect(heardBy(bob)).toEqual([])
    return heardBy(ann)
  }

  test('comes with the claim that makes it one', () => {
    const claimed = recorded(2, 'IdentityClaimed', { kind: 'phone', userId: ann, at })
    expect(heardOf(accountCreated(1, ann))).toEqual([])
    expect(heardOf(accountCreated(1, ann), claimed)).toMatchObject([own])
  })

  test('comes with its making where the app made it: it may be on before the read models know it', () => {
    expect(heardOf(recorded(1, 'AccountCreated', { userId: ann, name: 'Ann', claimed: [], at }))).toMatchObject([own])
  })
})

describe('the end of an account', () => {
  const closing = recorded(9, 'AccountClosed', { userId: ann, identities: [], credentialEpoch: 1, at })
  const closed = account.evolve(account.evolve(account.initial, accountCreated(1, ann) as never), closing as never)
  const session = { sessionId: 's' as SessionId, credentialEpoch: 0 } as OpenSession
  const facts = factsOf({ account: () => closed, openSessions: () => [session] })

  test('cuts its devices, and leaves others a row without anything of the person', () => {
    const { perform, heardBy } = listeners(ann, bob, cid)
    perform(route(message(5, 1, ann, p2p), facts))
    const before = heardBy(bob).length
    const actions = route(closing, facts)
    perform(actions)
    expect(
      heardBy(bob)
        .slice(before)
        .map(({ value }) => value),
    ).toEqual([{ userId: ann, name: 'deleted account', closedAt: at }])
    expect(actions).toContainEqual({ do: 'cut', userId: ann, sessionId: 's' })
    expect(heardBy(cid)).toEqual([])
  })

  test('a ban cuts its devices and tells nobody else', () => {
    const banned = recorded(9, 'AccountBanned', { userId: ann, until: null, credentialEpoch: 1, by: 'key', at })
    const { perform, heardBy } = listeners(ann, bob)
    const actions = route(banned, facts)
    perform(actions)
    expect(actions).toContainEqual({ do: 'cut', userId: ann, sessionId: 's' })
    expect([heardBy(ann).map(({ op }) => op), heardBy(bob)]).toEqual([['remove'], []])
  })
})
