// What an account signs in by can change; it can be banned for a while or for ever, and closed for good (R1, R3, R4).

import { describe, expect, it } from 'vitest'
import { type AccountEvent, account, type CreatedAccount, isBanned } from '../../domain/account/account.ts'
import type { GroupId, Instant, SessionId, UserId } from '../../domain/ids.ts'
import { session, sessionIsValid } from '../../domain/session/session.ts'
import { fold, specify } from '../support/specify.ts'

const { given } = specify(account)
const at = '2026-11-23T08:00:00.000Z' as Instant
const later = '2026-11-24T08:00:00.000Z' as Instant
const latest = '2026-11-25T08:00:00.000Z' as Instant
const ann = 'ann' as UserId

const created: AccountEvent = {
  type: 'AccountCreated',
  data: { userId: ann, name: 'Ann', identity: { kind: 'email', hmac: 'h1' }, email: 'ann@example.com', at },
}
const bind = { type: 'BindIdentity', identity: { kind: 'email', hmac: 'h2' }, value: 'a@b.c', at: later } as const
const bound: AccountEvent = {
  type: 'IdentityBound',
  data: { userId: ann, kind: 'email', hmac: 'h2', email: 'a@b.c', replacedHmac: 'h1', at: later },
}
const ban = { type: 'BanAccount', until: latest, reason: 'Spam', by: 'key', at: later } as const
const banned = (until: Instant | null, credentialEpoch = 1): AccountEvent => ({
  type: 'AccountBanned',
  data: { userId: ann, until, reason: 'Spam', credentialEpoch, by: 'key', at: later },
})
const close = { type: 'CloseAccount', at: later } as const
const closed: AccountEvent = {
  type: 'AccountClosed',
  data: { userId: ann, identities: [{ kind: 'email', hmac: 'h1' }], credentialEpoch: 1, at: later },
}
const noGroups = { ownedGroupIds: [] }

const sessions = fold(session, [
  {
    type: 'SessionOpened',
    data: {
      userId: ann,
      sessionId: 's' as SessionId,
      deviceId: 'd',
      platform: 'ios',
      name: 'n',
      credentialEpoch: 0,
      at,
    },
  },
])
const lives = (...events: AccountEvent[]) => sessionIsValid(given(...events).state(), sessions, 's' as SessionId)

describe('binding an identity (R1)', () => {
  it('replaces the one of the same kind and names it, so that it can be freed', () => {
    const state = given(created).when(bind).then([bound])
    expect(state).toMatchObject({ identities: { email: 'h2' }, email: 'a@b.c', awaitsClaim: null })
  })

  it('adds one of another kind and frees nothing', () => {
    const phone = { ...bind, identity: { kind: 'phone', hmac: 'h3' }, value: '+4915112345678' } as const
    const data = { userId: ann, kind: 'phone', hmac: 'h3', phone: '+4915112345678', at: later } as const
    const state = given(created)
      .when(phone)
      .then([{ type: 'IdentityBound', data }])
    expect(state).toMatchObject({ identities: { email: 'h1', phone: 'h3' }, email: 'ann@example.com' })
  })

  it('does nothing for what it signs in by already', () => {
    given(created, bound).when(bind).then([])
  })

  it('is never dated before the change before it', () => {
    const back = { ...bind, identity: { kind: 'email', hmac: 'h1' }, value: 'ann@example.com', at } as const
    const data = {
      userId: ann,
      kind: 'email',
      hmac: 'h1',
      email: 'ann@example.com',
      replacedHmac: 'h2',
      at: later,
    } as const
    given(created, bound)
      .when(back)
      .then([{ type: 'IdentityBound', data }])
  })

  it('is refused where there is no account', () => {
    given().when(bind).rejects('account.not-found')
    given(created, closed).when(bind).rejects('account.not-found')
  })
})

describe('a ban (R1)', () => {
  it('ends every session, and lifting it brings none back', () => {
    given(created)
      .when(ban)
      .then([banned(latest)])
    const unbanned: AccountEvent = { type: 'AccountUnbanned', data: { userId: ann, by: 'key', at: later } }
    expect([lives(created), lives(created, banned(null)), lives(created, banned(null), unbanned)]).toEqual([
      true,
      false,
      false,
    ])
  })

  it('holds until its time and no longer', () => {
    const state = given(created, banned(latest)).state() as CreatedAccount
    expect([isBanned(state, later), isBanned(state, latest)]).toEqual([true, false])
    expect(
      isBanned(given(created, banned(null)).state() as CreatedAccount, '9999-01-01T00:00:00.000Z' as Instant),
    ).toBe(true)
  })

  it('is no news a second time, and is replaced by another', () => {
    given(created, banned(latest)).when(ban).then([])
    given(created, banned(latest))
      .when({ ...ban, until: null })
      .then([banned(null, 2)])
  })

  it('is lifted while it holds; one that is over needs no lifting', () => {
    const lift = { type: 'UnbanAccount', by: 'key', at: later } as const
    const state = given(created, banned(latest))
      .when(lift)
      .then([{ type: 'AccountUnbanned', data: { userId: ann, by: 'key', at: later } }])
    expect(state).toMatchObject({ ban: null })
    given(created).when(lift).then([])
    given(created, banned(latest))
      .when({ ...lift, at: latest })
      .then([])
  })

  it('is for accounts that are there', () => {
    given().when(ban).rejects('account.not-found')
    given(created, closed).when(ban).rejects('account.not-found')
    given(created, closed).when({ type: 'UnbanAccount', by: 'key', at: later }).rejects('account.not-found')
  })
})

describe('closing an account', () => {
  it('keeps the id and nothing of the person', () => {
    const state = given(created, bound)
      .when(close, noGroups)
      .then([{ ...closed, data: { ...closed.data, identities: [{ kind: 'email', hmac: 'h2' }] } } as AccountEvent])
    expect(state).toStrictEqual({ status: 'closed', userId: ann, name: '', createdAt: at, closedAt: later })
    expect(lives(created, closed)).toBe(false)
  })

  it('is refused while it owns groups, and says which', () => {
    given(created)
      .when(close, { ownedGroupIds: ['g1' as GroupId] })
      .rejects('account.owns-groups', { groupIds: ['g1'] })
  })

  it('is refused when the password was changed since it was checked', () => {
    given(created)
      .when({ ...close, checkedEpoch: 3 }, noGroups)
      .rejects('account.wrong-password')
  })

  it('is for good: nothing happens to it any more, and its id is never given again', () => {
    const create = {
      type: 'CreateAccount',
      userId: ann,
      name: 'Ann',
      identity: { kind: 'email', hmac: 'h1' },
      at,
    } as const
    given(created, closed).when(create).rejects('account.exists')
    given(created, closed)
      .when({ type: 'ChangeProfile', changes: { name: 'x' }, at })
      .rejects('account.not-found')
    given(created, closed).when(close, noGroups).rejects('account.not-found')
  })
})

describe('an account that the app’s own backend makes', () => {
  const create = {
    type: 'CreateAccount',
    userId: ann,
    name: 'Ann',
    claimed: [{ kind: 'email', hmac: 'h1' }],
    by: 'key',
    at,
  } as const

  it('exists at once and signs in by everything that was claimed for it', () => {
    const data = { userId: ann, name: 'Ann', claimed: [{ kind: 'email', hmac: 'h1' }], by: 'key', at } as const
    const state = given()
      .when(create)
      .then([{ type: 'AccountCreated', data }])
    expect(state).toMatchObject({ identities: { email: 'h1' }, awaitsClaim: null })
  })

  it('is refused under an id that is taken', () => {
    given(created).when(create).rejects('account.exists')
    given(created)
      .when({ ...create, claimed: [] })
      .rejects('account.exists')
  })
})
