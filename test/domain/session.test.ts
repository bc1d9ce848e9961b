// Which devices of one user may be signed in at once (R51–R53), how refresh tokens turn, and what a password change ends (R4).

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { account } from '../../domain/account/account.ts'
import type { Instant, SessionId, UserId } from '../../domain/ids.ts'
import { limits } from '../../domain/limits.ts'
import {
  type DevicePolicy,
  deviceClassOf,
  type OpenSessionCommand,
  type Platform,
  type SessionCloseReason,
  type SessionEvent,
  session,
  sessionIsValid,
} from '../../domain/session/session.ts'
import { fold, specify } from '../support/specify.ts'

const { given } = specify(session)
const at = '2026-11-23T08:00:00.000Z' as Instant
const ann = 'ann' as UserId
const facts = { credentialEpoch: 0, keptSessionId: null }
const idOf = (name: string) => `s-${name}` as SessionId

/** The session of a device has the device's name in its id. */
const open = (device: string, platform: Platform, policy: DevicePolicy, force = true): OpenSessionCommand => ({
  type: 'OpenSession',
  userId: ann,
  sessionId: idOf(device),
  deviceId: device,
  platform,
  name: `Ann’s ${platform}`,
  policy,
  force,
  at,
})
const opened = (device: string, platform: Platform, credentialEpoch = 0): SessionEvent => ({
  type: 'SessionOpened',
  data: {
    userId: ann,
    sessionId: idOf(device),
    deviceId: device,
    platform,
    name: `Ann’s ${platform}`,
    credentialEpoch,
    at,
  },
})
const closed = (device: string, reason: SessionCloseReason): SessionEvent => ({
  type: 'SessionClosed',
  data: { userId: ann, sessionId: idOf(device), reason, at },
})
const refresh = (device: string, generation: number) =>
  ({ type: 'RefreshSession', sessionId: idOf(device), generation, at }) as const
const refreshed = (device: string, generation: number): SessionEvent => ({
  type: 'SessionRefreshed',
  data: { userId: ann, sessionId: idOf(device), generation, at },
})

describe('signing in', () => {
  it('opens a session of generation 0 in the epoch of the account', () => {
    const state = given()
      .when(open('phone', 'ios', 'one'), { credentialEpoch: 3, keptSessionId: null })
      .then([opened('phone', 'ios', 3)])
    expect([...state.open.values()]).toStrictEqual([
      {
        userId: ann,
        sessionId: idOf('phone'),
        deviceId: 'phone',
        platform: 'ios',
        name: 'Ann’s ios',
        generation: 0,
        credentialEpoch: 3,
        openedAt: at,
      },
    ])
  })

  it('does nothing when the same session is open already', () => {
    given(opened('phone', 'ios'))
      .when(open('phone', 'ios', 'one'), facts)
      .then([])
  })

  it('replaces the session of the same device, under every policy and without force', () => {
    for (const policy of ['one', 'desktopAndMobile', 'many'] as const) {
      const again = { ...open('phone', 'ios', policy, false), sessionId: 's-new' as SessionId }
      const state = given(opened('phone', 'ios'))
        .when(again, facts)
        .then([
          closed('phone', 'replaced'),
          {
            type: 'SessionOpened',
            data: { ...opened('phone', 'ios').data, sessionId: 's-new' as SessionId },
          } as SessionEvent,
        ])
      expect([...state.open.keys()]).toStrictEqual(['s-new'])
    }
  })

  it('closes sessions that a password change has ended, without force, but not the one it kept (R4)', () => {
    given(opened('old', 'web'), opened('kept', 'web'), opened('new', 'web', 1))
      .when(open('phone', 'ios', 'many', false), { credentialEpoch: 1, keptSessionId: idOf('kept') })
      .then([closed('old', 'policy'), opened('phone', 'ios', 1)])
  })

  it('needs facts of the account', () => {
    expect(() => session.decide(open('phone', 'ios', 'one'), session.initial, undefined)).toThrow(/needs facts/)
  })
})

describe('one device at a time (R51)', () => {
  it('signs every other device out', () => {
    given(opened('pc', 'windows'), opened('pad', 'android'))
      .when(open('phone', 'ios', 'one'), facts)
      .then([closed('pc', 'policy'), closed('pad', 'policy'), opened('phone', 'ios')])
  })

  it('is refused without force, naming the devices that would go', () => {
    given(opened('pc', 'windows'), opened('pad', 'android'))
      .when(open('phone', 'ios', 'one', false), facts)
      .rejects('session.limit', { sessionIds: [idOf('pc'), idOf('pad')] })
  })

  it('lets the first device in without force', () => {
    given()
      .when(open('phone', 'ios', 'one', false), facts)
      .then([opened('phone', 'ios')])
  })
})

describe('one desktop beside one mobile (R52)', () => {
  it('counts Windows, macOS, Linux and the web as desktop; Android, iOS and HarmonyOS as mobile', () => {
    expect((['windows', 'macos', 'linux', 'web'] as const).map(deviceClassOf)).toStrictEqual(Array(4).fill('desktop'))
    expect((['android', 'ios', 'harmony'] as const).map(deviceClassOf)).toStrictEqual(Array(3).fill('mobile'))
  })

  it('signs out the other device of the same kind only', () => {
    given(opened('pc', 'windows'), opened('phone', 'ios'))
      .when(open('browser', 'web', 'desktopAndMobile'), facts)
      .then([closed('pc', 'policy'), opened('browser', 'web')])
    given(opened('pc', 'windows'), opened('phone', 'ios'))
      .when(open('watch', 'harmony', 'desktopAndMobile'), facts)
      .then([closed('phone', 'policy'), opened('watch', 'harmony')])
  })

  it('lets a mobile join a desktop without force, and refuses a second desktop', () => {
    given(opened('pc', 'windows'))
      .when(open('phone', 'ios', 'desktopAndMobile', false), facts)
      .then([opened('phone', 'ios')])
    given(opened('pc', 'windows'))
      .when(open('mac', 'macos', 'desktopAndMobile', false), facts)
      .rejects('session.limit', { sessionIds: [idOf('pc')] })
  })
})

describe('many devices (R53)', () => {
  const devices = Array.from({ length: limits.sessionsMax }, (_, index) => `d${index}`)
  const full = devices.map(device => opened(device, 'web'))

  it('lets ten in', () => {
    given(...full.slice(1))
      .when(open('last', 'web', 'many', false), facts)
      .then([opened('last', 'web')])
  })

  it('signs the oldest out for the eleventh', () => {
    const state = given(...full)
      .when(open('last', 'web', 'many'), facts)
      .then([closed('d0', 'policy'), opened('last', 'web')])
    expect(state.open.size).toBe(limits.sessionsMax)
  })

  it('counts the age from signing in, not from the last refresh', () => {
    given(...full, refreshed('d0', 1))
      .when(open('last', 'web', 'many'), facts)
      .then([closed('d0', 'policy'), opened('last', 'web')])
  })

  it('refuses the eleventh without force', () => {
    given(...full)
      .when(open('last', 'web', 'many', false), facts)
      .rejects('session.limit', { sessionIds: [idOf('d0')] })
  })

  it('has room again where a device of the ten signs in once more', () => {
    given(...full)
      .when({ ...open('d3', 'web', 'many', false), sessionId: 's-again' as SessionId }, facts)
      .then([
        closed('d3', 'replaced'),
        {
          type: 'SessionOpened',
          data: { ...opened('d3', 'web').data, sessionId: 's-again' as SessionId },
        } as SessionEvent,
      ])
  })
})

describe('refreshing', () => {
  it('moves to the next generation', () => {
    given(opened('phone', 'ios'))
      .when(refresh('phone', 0))
      .then([refreshed('phone', 1)])
  })

  it('answers the token before the newest once more, for its reply can have been lost', () => {
    given(opened('phone', 'ios'), refreshed('phone', 1)).when(refresh('phone', 0)).then([])
  })

  it('ends the session for an older token: somebody else may hold it', () => {
    const state = given(opened('phone', 'ios'), refreshed('phone', 1), refreshed('phone', 2))
      .when(refresh('phone', 0))
      .then([closed('phone', 'tokenReused')])
    expect(state.open.size).toBe(0)
  })

  it('refuses a generation that was never handed out', () => {
    given(opened('phone', 'ios')).when(refresh('phone', 1)).rejects('token.invalid')
    given(opened('phone', 'ios')).when(refresh('phone', -1)).rejects('token.invalid')
  })

  it('is over with the session', () => {
    given().when(refresh('phone', 0)).rejects('session.ended')
    given(opened('phone', 'ios'), closed('phone', 'kicked')).when(refresh('phone', 0)).rejects('session.ended')
    given(refreshed('phone', 1), closed('phone', 'kicked')).when(refresh('phone', 1)).rejects('session.ended')
  })
})

describe('signing out', () => {
  it('closes the session for the reason given', () => {
    for (const reason of ['signedOut', 'kicked'] as const) {
      given(opened('phone', 'ios'), opened('pc', 'windows'))
        .when({ type: 'CloseSession', sessionId: idOf('phone'), reason, at })
        .then([closed('phone', reason)])
    }
  })

  it('is refused for a session that is not open', () => {
    given(opened('pc', 'windows'))
      .when({ type: 'CloseSession', sessionId: idOf('phone'), reason: 'kicked', at })
      .rejects('session.not-found')
  })
})

describe('a session is valid (R4)', () => {
  const created = account.decide(
    { type: 'CreateAccount', userId: ann, name: 'Ann', identity: { kind: 'userName', hmac: 'h' }, userName: 'ann', at },
    account.initial,
    undefined,
  )
  if ('rejected' in created) throw new Error('unexpected')
  /** The account after one password change for each session named; null keeps none. */
  const accountAfter = (...kept: readonly (string | null)[]) =>
    kept.reduce(
      (state, device) => {
        const keptSessionId = device === null ? null : idOf(device)
        const reason = device === null ? 'reset' : 'changed'
        const events = account.decide(
          { type: 'ChangePassword', passwordHash: 'x', keptSessionId, reason, at },
          state,
          undefined,
        )
        if ('rejected' in events) throw new Error('unexpected')
        return fold(account, events, state)
      },
      fold(account, created),
    )
  const sessions = given(opened('phone', 'ios'), opened('pc', 'windows'), opened('late', 'web', 1)).state()
  const valid = (device: string, ...kept: readonly (string | null)[]) =>
    sessionIsValid(accountAfter(...kept), sessions, idOf(device))

  it('while it is open and its account exists', () => {
    expect(valid('phone')).toBe(true)
    expect(valid('unknown')).toBe(false)
    expect(sessionIsValid({ status: 'none' }, sessions, idOf('phone'))).toBe(false)
  })

  it('until a password change that does not keep it', () => {
    expect(valid('phone', 'phone')).toBe(true)
    expect(valid('pc', 'phone')).toBe(false)
    expect(valid('phone', null)).toBe(false)
  })

  it('through several changes that keep it, and not after the next that does not', () => {
    expect(valid('phone', 'phone', 'phone', 'phone')).toBe(true)
    expect(valid('phone', 'phone', 'late')).toBe(false)
    expect(valid('late', 'phone', 'late')).toBe(true)
    expect(valid('phone', 'phone', null)).toBe(false)
    expect(valid('late', 'phone', null)).toBe(false)
  })

  it('never again by a later change alone, once it was over', () => {
    expect(valid('pc', 'phone', null)).toBe(false)
    expect(valid('pc', 'phone', 'phone')).toBe(false)
  })

  it('when it was opened after a change that this node’s account has not seen yet', () => {
    expect(valid('late')).toBe(true)
  })
})

describe('under any sequence of commands', () => {
  const device = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm')
  const platform = fc.constantFrom<Platform>('windows', 'macos', 'linux', 'web', 'android', 'ios', 'harmony')
  const step = fc.record({
    device,
    platform,
    force: fc.boolean(),
    epoch: fc.integer({ min: 0, max: 2 }),
    closes: fc.boolean(),
  })

  it.each(['one', 'desktopAndMobile', 'many'] as const)(
    'policy %s holds, and snapshots bring the same state back',
    policy => {
      const { load } = session
      if (load.by !== 'snapshot') return expect.fail('no snapshots')
      fc.assert(
        fc.property(fc.array(step, { maxLength: 40 }), steps => {
          let state = session.initial
          for (const [index, { device, platform, force, epoch, closes }] of steps.entries()) {
            const sessionId = `s${index}` as SessionId
            const command = closes
              ? {
                  type: 'CloseSession' as const,
                  sessionId: [...state.open.keys()][0] ?? sessionId,
                  reason: 'kicked' as const,
                  at,
                }
              : { ...open(device, platform, policy, force), sessionId }
            const decision = session.decide(command, state, { credentialEpoch: epoch, keptSessionId: null })
            if ('rejected' in decision) continue
            state = fold(session, decision, state)
            const all = [...state.open.values()]
            expect(new Set(all.map(one => one.deviceId)).size).toBe(all.length)
            if (policy === 'one' && !closes) expect(all.map(one => one.sessionId)).toStrictEqual([sessionId])
            const desktops = all.filter(one => deviceClassOf(one.platform) === 'desktop').length
            if (policy === 'desktopAndMobile') expect(Math.max(desktops, all.length - desktops)).toBeLessThanOrEqual(1)
            expect(all.length).toBeLessThanOrEqual(limits.sessionsMax)
          }
          const restored = load.decode(JSON.parse(JSON.stringify(load.encode(state))))
          expect(restored).toStrictEqual(state)
          expect([...restored.open.keys()]).toStrictEqual([...state.open.keys()])
        }),
      )
    },
  )
})
