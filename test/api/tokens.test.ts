// Owns the tests of access and refresh tokens: what is accepted, and everything that must not be.

import { createHmac, generateKeyPairSync } from 'node:crypto'
import { SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { isRefusal } from '../../api/errors.ts'
import { accessTokenSeconds, createTokens, sessionEnded } from '../../api/tokens.ts'
import type { SessionId, UserId } from '../../domain/ids.ts'
import { testKeys } from './fixture.ts'

const userId = 'ada.lovelace' as UserId
const sessionId = '01k2b2j9h5k3n7p1s4v8y6dwqr' as SessionId
const principal = { userId, sessionId }

const build = (options: { valid?: boolean; verifiedTokensMax?: number } = {}) => {
  let nowMs = Date.parse('2026-11-23T08:00:00.000Z')
  let asked = 0
  const keys = testKeys()
  const tokens = createTokens({
    keys,
    clock: { unixMs: () => nowMs, now: () => new Date(nowMs).toISOString() as never },
    sessionIsValid: () => {
      asked++
      return options.valid ?? true
    },
    whyEnded: () => sessionEnded,
    ...(options.verifiedTokensMax === undefined ? undefined : { verifiedTokensMax: options.verifiedTokensMax }),
  })
  const codeOf = async (token: string) => {
    const outcome = await tokens.authenticate(token)
    return isRefusal(outcome) ? outcome.rejected : outcome
  }
  return {
    tokens,
    keys,
    codeOf,
    pass: (seconds: number) => (nowMs += seconds * 1_000),
    asked: () => asked,
    now: () => nowMs,
  }
}

const claims = (now: number) => ({
  sub: userId,
  sid: sessionId,
  iss: 'ledgerline',
  iat: now / 1_000,
  exp: now / 1_000 + 900,
})
const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('access tokens', () => {
  it('say who is calling, for a quarter of an hour', async () => {
    const { tokens, codeOf, pass } = build()
    const { accessToken, expiresInSeconds } = await tokens.issue(principal, 0)
    expect(expiresInSeconds).toBe(accessTokenSeconds)
    expect(await codeOf(accessToken)).toEqual(principal)
    pass(accessTokenSeconds - 1)
    expect(await codeOf(accessToken)).toEqual(principal)
    pass(1)
    expect(await codeOf(accessToken)).toBe('token.expired')
  })

  it('expire for one who never showed them before as well', async () => {
    const { tokens, codeOf, pass } = build()
    const { accessToken } = await tokens.issue(principal, 0)
    pass(accessTokenSeconds + 1)
    expect(await codeOf(accessToken)).toBe('token.expired')
  })

  it('are refused when their session has ended, also when they were verified before', async () => {
    let valid = true
    const tokens = createTokens({
      keys: testKeys(),
      clock: { unixMs: () => 0, now: () => '' as never },
      sessionIsValid: () => Promise.resolve(valid),
      whyEnded: () => sessionEnded,
    })
    const { accessToken } = await tokens.issue(principal, 0)
    expect(await tokens.authenticate(accessToken)).toEqual(principal)
    valid = false
    expect(await tokens.authenticate(accessToken)).toMatchObject({ rejected: 'session.ended' })
  })

  it('are verified once, but asked about their session every time', async () => {
    const { tokens, codeOf, asked } = build()
    const { accessToken } = await tokens.issue(principal, 0)
    await codeOf(accessToken)
    expect(tokens.authenticate(accessToken)).toEqual(principal)
    expect(asked()).toBe(2)
  })

  it('stay right when more are in use than are held', async () => {
    const { tokens, codeOf } = build({ verifiedTokensMax: 2 })
    const issued = await Promise.all(
      ['a', 'b', 'c', 'd'].map(id => tokens.issue({ userId: id as UserId, sessionId }, 0)),
    )
    for (const round of [1, 2]) {
      for (const [index, { accessToken }] of issued.entries()) {
        expect(await codeOf(accessToken), `round ${round}`).toEqual({ userId: 'abcd'[index], sessionId })
      }
    }
  })

  it('of algorithm none are refused', async () => {
    const { codeOf, now } = build()
    for (const alg of ['none', 'None', 'NONE', '']) {
      expect(await codeOf(`${encoded({ alg, typ: 'at+jwt' })}.${encoded(claims(now()))}.`)).toBe('token.invalid')
    }
  })

  it('signed by another key are refused', async () => {
    const { codeOf, now } = build()
    const other = generateKeyPairSync('ed25519').privateKey
    const { sub, sid } = claims(now())
    const token = await new SignJWT({ sid })
      .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt' })
      .setIssuer('ledgerline')
      .setSubject(sub)
      .setExpirationTime(now() / 1_000 + 900)
      .sign(other)
    expect(await codeOf(token)).toBe('token.invalid')
  })

  it('signed by HMAC with our public key are refused', async () => {
    const { codeOf, keys, now } = build()
    const head = `${encoded({ alg: 'HS256', typ: 'at+jwt' })}.${encoded(claims(now()))}`
    for (const secret of [
      keys.signing.publicKey.export({ type: 'spki', format: 'pem' }),
      keys.signing.publicKey.export({ type: 'spki', format: 'der' }),
    ]) {
      const seal = createHmac('sha256', secret).update(head).digest('base64url')
      expect(await codeOf(`${head}.${seal}`)).toBe('token.invalid')
    }
  })

  it('of our key but with other claims than ours are refused', async () => {
    const { codeOf, keys, now } = build()
    const sign = (payload: Record<string, unknown>, typ = 'at+jwt') =>
      new SignJWT(payload).setProtectedHeader({ alg: 'EdDSA', typ }).sign(keys.signing.privateKey)
    const whole = claims(now())
    const { sub: _sub, ...withoutSub } = whole
    const { sid: _sid, ...withoutSid } = whole
    const { exp: _exp, ...withoutExp } = whole
    for (const payload of [
      withoutSub,
      withoutSid,
      withoutExp,
      { ...whole, iss: 'somebody' },
      { ...whole, sub: 'me' },
      { ...whole, sub: '$$' },
      { ...whole, sub: ['ada'] },
      { ...whole, sid: '../x' },
      { ...whole, sid: 7 },
    ]) {
      expect(await codeOf(await sign(payload as Record<string, unknown>))).toBe('token.invalid')
    }
    expect(await codeOf(await sign(whole, 'JWT'))).toBe('token.invalid')
  })

  it('that are no tokens are refused, whatever they are', async () => {
    const { tokens, codeOf } = build()
    const { accessToken } = await tokens.issue(principal, 0)
    const [head, body, seal] = accessToken.split('.') as [string, string, string]
    const broken = [
      '',
      '.',
      '..',
      '...',
      'x',
      `${head}.${body}`,
      `${head}..${seal}`,
      `${head}.${body}.${seal}x`,
      'a'.repeat(100_000),
    ]
    for (const token of broken) expect(await codeOf(token), token.slice(0, 80)).toBe('token.invalid')
  })
})

describe('refresh tokens', () => {
  it('say whose they are and which generation', async () => {
    const { tokens } = build()
    const { refreshToken } = await tokens.issue(principal, 41)
    expect(tokens.openRefreshToken(refreshToken)).toEqual({ ...principal, generation: 41 })
  })

  it('are refused when one character differs', async () => {
    const { tokens } = build()
    const { refreshToken } = await tokens.issue(principal, 0)
    for (let index = 0; index < refreshToken.length; index++) {
      const other = refreshToken[index] === 'A' ? 'B' : 'A'
      const changed = refreshToken.slice(0, index) + other + refreshToken.slice(index + 1)
      expect(tokens.openRefreshToken(changed)).toMatchObject({ rejected: 'token.invalid' })
    }
  })

  it('are refused under another secret, and when they are something else', async () => {
    const { tokens } = build()
    const other = build()
    const { refreshToken, accessToken } = await other.tokens.issue(principal, 0)
    for (const token of ['', '.', 'x.y', 'a'.repeat(100_000), accessToken]) {
      expect(tokens.openRefreshToken(token)).toMatchObject({ rejected: 'token.invalid' })
    }
    const foreign = createTokens({
      keys: testKeys('other'),
      clock: other.tokens as never,
      sessionIsValid: () => true,
      whyEnded: () => sessionEnded,
    })
    expect(foreign.openRefreshToken(refreshToken)).toMatchObject({ rejected: 'token.invalid' })
  })
})
