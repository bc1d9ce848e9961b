// Owns who a caller is: access tokens (signed, fifteen minutes), refresh tokens (sealed, one generation after the other).
// The algorithm and the key are ours to choose, never the token's. Must never accept a token whose session has ended.

import { timingSafeEqual } from 'node:crypto'
import { errors, jwtVerify, SignJWT } from 'jose'
import { isRejection, type Rejection, reject } from '../domain/decider.ts'
import { isUserId, type SessionId, type UserId } from '../domain/ids.ts'
import type { Clock } from '../eventstore/clock.ts'
import type { Keys } from './keys.ts'

export const accessTokenSeconds = 900
const issuer = 'ledgerline'
const algorithm = 'EdDSA'
const tokenType = 'at+jwt'
/** Characters of a token that are looked at at all. */
export const tokenCharactersMax = 2_048
/** Verified tokens held, so that a signature is checked once (about 140 µs each). */
export const verifiedTokensMax = 20_000

export interface Principal {
  readonly userId: UserId
  readonly sessionId: SessionId
}

export interface RefreshTokenParts extends Principal {
  readonly generation: number
}

export interface TokenPair {
  readonly accessToken: string
  readonly refreshToken: string
  readonly expiresInSeconds: number
}

export interface Tokens {
  /** A new access token, and the refresh token of this generation. */
  issue(principal: Principal, generation: number): Promise<TokenPair>
  /** Whom the access token stands for, if it is ours, in time, and its session still open. */
  authenticate(accessToken: string): Principal | Rejection | Promise<Principal | Rejection>
  /** What a refresh token says, if the seal is ours. Whether its session is open is for the caller to ask. */
  openRefreshToken(refreshToken: string): RefreshTokenParts | Rejection
}

export interface TokenDependencies {
  readonly keys: Keys
  readonly clock: Clock
  readonly sessionIsValid: (userId: UserId, sessionId: SessionId) => boolean | Promise<boolean>
  /** What somebody is told whose session is not; asked only then. */
  readonly whyEnded: (userId: UserId) => Rejection | Promise<Rejection>
  readonly verifiedTokensMax?: number
}

interface Verified extends Principal {
  readonly expiresMs: number
}

const tokenInvalid = reject('token.invalid', 'The access token is not valid. Sign in again.')
const tokenExpired = reject('token.expired', 'The access token has expired. Refresh it.')
const refreshInvalid = reject('token.invalid', 'The refresh token is not valid. Sign in again.')
export const sessionEnded: Rejection = reject('session.ended', 'This device is signed out. Sign in again.')

const idPattern = /^[A-Za-z0-9_.-]{1,64}$/

/** Whether it is short enough and spelt in the one way there is: what is held must not be filled with one token in many spellings. */
const isSpelt = (token: string): boolean =>
  token.length <= tokenCharactersMax &&
  token.split('.').every(part => Buffer.from(part, 'base64url').toString('base64url') === part)

/** Checks signatures, each once: what was verified is held until it expires or there is no room. */
const createVerifier = ({ keys, clock, verifiedTokensMax: heldMax = verifiedTokensMax }: TokenDependencies) => {
  const held = new Map<string, Verified>()

  const hold = (token: string, principal: Verified) => {
    if (held.size >= heldMax) {
      // Oldest first, as a Map keeps the order of insertion: those expire first as well.
      for (const oldest of held.keys()) {
        held.delete(oldest)
        break
      }
    }
    held.set(token, principal)
  }

  const verify = async (token: string): Promise<Verified | Rejection> => {
    try {
      const { payload } = await jwtVerify(token, keys.signing.publicKey, {
        algorithms: [algorithm],
        issuer,
        typ: tokenType,
        requiredClaims: ['sub', 'sid', 'exp'],
        currentDate: new Date(clock.unixMs()),
      })
      const { sub, sid, exp } = payload
      if (typeof sub !== 'string' || !isUserId(sub) || typeof sid !== 'string' || !idPattern.test(sid)) {
        return tokenInvalid
      }
      const principal = { userId: sub, sessionId: sid as SessionId, expiresMs: (exp ?? 0) * 1_000 }
      hold(token, principal)
      return principal
    } catch (error) {
      return error instanceof errors.JWTExpired ? tokenExpired : tokenInvalid
    }
  }

  return (token: string): Verified | Rejection | Promise<Verified | Rejection> => {
    const known = held.get(token)
    if (known === undefined) return isSpelt(token) ? verify(token) : tokenInvalid
    if (known.expiresMs > clock.unixMs()) return known
    held.delete(token)
    return tokenExpired
  }
}

// Over the encoded text, so that no second spelling of a token is one as well.
const sealOf = (keys: Keys, encoded: string): string => keys.refreshMac(encoded).toString('base64url')

const sealed = (keys: Keys, { userId, sessionId }: Principal, generation: number): string => {
  const encoded = Buffer.from(`${userId}.${sessionId}.${generation}`).toString('base64url')
  return `${encoded}.${sealOf(keys, encoded)}`
}

const unsealed = (keys: Keys, token: string): RefreshTokenParts | Rejection => {
  const cut = token.indexOf('.')
  if (token.length > tokenCharactersMax || cut < 0) return refreshInvalid
  const encoded = token.slice(0, cut)
  const shown = Buffer.from(token.slice(cut + 1))
  const seal = Buffer.from(sealOf(keys, encoded))
  if (shown.length !== seal.length || !timingSafeEqual(shown, seal)) return refreshInvalid
  // A user id may hold dots; session id and generation hold none.
  const payload = Buffer.from(encoded, 'base64url').toString('utf8')
  const [, userId, sessionId, generation] = /^(.+)\.([^.]+)\.(\d{1,9})$/.exec(payload) ?? []
  if (userId === undefined || sessionId === undefined || generation === undefined) return refreshInvalid
  return { userId: userId as UserId, sessionId: sessionId as SessionId, generation: Number(generation) }
}

/** Builds the tokens of this process. */
export const createTokens = (dependencies: TokenDependencies): Tokens => {
  const { keys, clock } = dependencies
  const verify = createVerifier(dependencies)

  const whileOpen = (outcome: Verified | Rejection): Principal | Rejection | Promise<Principal | Rejection> => {
    if (isRejection(outcome)) return outcome
    const { userId, sessionId } = outcome
    const valid = dependencies.sessionIsValid(userId, sessionId)
    const answer = (open: boolean) => (open ? { userId, sessionId } : dependencies.whyEnded(userId))
    return typeof valid === 'boolean' ? answer(valid) : valid.then(answer)
  }

  return {
    issue: async (principal, generation) => {
      const issuedAt = Math.floor(clock.unixMs() / 1_000)
      const accessToken = await new SignJWT({ sid: principal.sessionId })
        .setProtectedHeader({ alg: algorithm, typ: tokenType })
        .setIssuer(issuer)
        .setSubject(principal.userId)
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + accessTokenSeconds)
        .sign(keys.signing.privateKey)
      return { accessToken, refreshToken: sealed(keys, principal, generation), expiresInSeconds: accessTokenSeconds }
    },
    authenticate: token => {
      const outcome = verify(token)
      return outcome instanceof Promise ? outcome.then(whileOpen) : whileOpen(outcome)
    },
    openRefreshToken: token => unsealed(keys, token),
  }
}
