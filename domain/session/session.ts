// Owns the rules of one user's devices: which may be signed in at once (R51–R53), refresh tokens, signing out.
// Never judges credentials: whoever opens a session has been recognised before.
// Stale account facts can do this at worst: one who signs in with a password replaced within the follow lag may push
// others out by the policy, and gets a session of an old epoch, which `sessionIsValid` refuses.

import type { Account } from '../account/account.ts'
import { type Decider, type Decision, type Load, noRuleFor, reject } from '../decider.ts'
import type { Instant, SessionId, UserId } from '../ids.ts'
import { limits } from '../limits.ts'
import type { Platform, SessionClosed, SessionCloseReason, SessionEvent, SessionOpened } from './events.ts'

export type { Platform, SessionCloseReason, SessionEvent } from './events.ts'

/** `one` device at a time (R51), one desktop beside one mobile (R52), or `many` up to limits.sessionsMax (R53). */
export type DevicePolicy = 'one' | 'desktopAndMobile' | 'many'

export type DeviceClass = 'desktop' | 'mobile'

const deviceClasses: { readonly [Name in Platform]: DeviceClass } = {
  windows: 'desktop',
  macos: 'desktop',
  linux: 'desktop',
  web: 'desktop',
  android: 'mobile',
  ios: 'mobile',
  harmony: 'mobile',
}

/** Which kind of device a platform is, for the policy that lets one of each in (R52). */
export const deviceClassOf = (platform: Platform): DeviceClass => deviceClasses[platform]

export interface OpenSession {
  readonly userId: UserId
  readonly sessionId: SessionId
  readonly deviceId: string
  readonly platform: Platform
  readonly name: string
  /** Of the newest refresh token; 0 at open. */
  readonly generation: number
  /** The account's epoch when it was opened. */
  readonly credentialEpoch: number
  readonly openedAt: Instant
}

/** Sessions stand in the order in which they were opened. */
export interface SessionState {
  readonly open: ReadonlyMap<SessionId, OpenSession>
}

/** Of the account, for OpenSession; the other commands need no facts. */
export interface SessionFacts {
  readonly credentialEpoch: number
  readonly keptSessionId: SessionId | null
}

export interface OpenSessionCommand {
  readonly type: 'OpenSession'
  readonly userId: UserId
  readonly sessionId: SessionId
  readonly deviceId: string
  readonly platform: Platform
  readonly name: string
  readonly policy: DevicePolicy
  /** False: rather be refused than push another device out. */
  readonly force: boolean
  readonly at: Instant
}

export interface RefreshSession {
  readonly type: 'RefreshSession'
  readonly sessionId: SessionId
  /** Of the refresh token that was shown. */
  readonly generation: number
  readonly at: Instant
}

export interface CloseSession {
  readonly type: 'CloseSession'
  readonly sessionId: SessionId
  readonly reason: SessionCloseReason
  readonly at: Instant
}

/** Closes whatever is open. */
export interface CloseAllSessions {
  readonly type: 'CloseAllSessions'
  readonly reason: SessionCloseReason
  readonly at: Instant
}

export type SessionCommand = OpenSessionCommand | RefreshSession | CloseSession | CloseAllSessions
export type SessionRejection = 'session.limit' | 'session.ended' | 'session.not-found' | 'token.invalid'

/**
 * A session lives as long as its epoch is the account's. The latest password change may have kept one older session; the
 * next change names its own kept one, so that this one ends unless it is named again. An epoch above the account's can
 * only mean that this node's account is the older of the two states, never that the session is over.
 */
const isCurrent = (session: OpenSession, facts: SessionFacts): boolean =>
  session.credentialEpoch >= facts.credentialEpoch || session.sessionId === facts.keptSessionId

/** Whether a session may act: it is open, and no password change, ban or closing has ended it since (R4). */
export const sessionIsValid = (account: Account, sessions: SessionState, sessionId: SessionId): boolean => {
  if (account.status !== 'created') return false
  const session = sessions.open.get(sessionId)
  return session !== undefined && isCurrent(session, account)
}

const opened = (data: SessionOpened['data']): OpenSession => ({
  userId: data.userId,
  sessionId: data.sessionId,
  deviceId: data.deviceId,
  platform: data.platform,
  name: data.name,
  generation: 0,
  credentialEpoch: data.credentialEpoch,
  openedAt: data.at,
})

const evolve = (state: SessionState, event: SessionEvent): SessionState => {
  switch (event.type) {
    case 'SessionOpened':
      return { open: new Map(state.open).set(event.data.sessionId, opened(event.data)) }
    case 'SessionRefreshed': {
      const session = state.open.get(event.data.sessionId)
      if (session === undefined) return state
      const refreshed = { ...session, generation: event.data.generation }
      return { open: new Map(state.open).set(session.sessionId, refreshed) }
    }
    case 'SessionClosed': {
      if (!state.open.has(event.data.sessionId)) return state
      const open = new Map(state.open)
      open.delete(event.data.sessionId)
      return { open }
    }
    default:
      return state
  }
}

const closed = (session: OpenSession, reason: SessionCloseReason, at: Instant): SessionClosed => ({
  type: 'SessionClosed',
  data: { userId: session.userId, sessionId: session.sessionId, reason, at },
})

/** Which of the sessions, oldest first, the policy has no room for beside a new one on that platform. */
const crowdedOut = (policy: DevicePolicy, platform: Platform, open: readonly OpenSession[]): readonly OpenSession[] => {
  switch (policy) {
    case 'one':
      return open
    case 'desktopAndMobile':
      return open.filter(session => deviceClassOf(session.platform) === deviceClassOf(platform))
    case 'many':
      return open.slice(0, Math.max(0, open.length + 1 - limits.sessionsMax))
  }
}

const openSession = (
  command: OpenSessionCommand,
  state: SessionState,
  facts: SessionFacts | undefined,
): Decision<SessionEvent, SessionRejection> => {
  if (facts === undefined) throw new Error('OpenSession needs facts of the account')
  if (state.open.has(command.sessionId)) return []
  const ended: SessionClosed[] = []
  const staying: OpenSession[] = []
  for (const session of state.open.values()) {
    if (session.deviceId === command.deviceId) ended.push(closed(session, 'replaced', command.at))
    else if (!isCurrent(session, facts)) ended.push(closed(session, 'policy', command.at))
    else staying.push(session)
  }
  const crowded = crowdedOut(command.policy, command.platform, staying)
  if (crowded.length > 0 && !command.force) {
    const sessionIds = crowded.map(session => session.sessionId)
    return reject('session.limit', 'Signing in would sign out other devices. Repeat with force to do so.', {
      sessionIds,
    })
  }
  const data: SessionOpened['data'] = {
    userId: command.userId,
    sessionId: command.sessionId,
    deviceId: command.deviceId,
    platform: command.platform,
    name: command.name,
    credentialEpoch: facts.credentialEpoch,
    at: command.at,
  }
  return [...ended, ...crowded.map(session => closed(session, 'policy', command.at)), { type: 'SessionOpened', data }]
}

/**
 * The newest token moves the session on. The one before may come again, because its reply can have been lost: nothing
 * happens, and the reply hands out the newest once more. An older one was surely used already: the session ends.
 */
const refreshSession = (command: RefreshSession, state: SessionState): Decision<SessionEvent, SessionRejection> => {
  const session = state.open.get(command.sessionId)
  if (session === undefined) return reject('session.ended', 'This device is signed out. Sign in again.')
  if (command.generation < 0 || command.generation > session.generation) {
    return reject('token.invalid', 'This refresh token was never handed out. Sign in again.')
  }
  if (command.generation === session.generation - 1) return []
  if (command.generation < session.generation) return [closed(session, 'tokenReused', command.at)]
  const { userId, sessionId } = session
  const data = { userId, sessionId, generation: session.generation + 1, at: command.at }
  return [{ type: 'SessionRefreshed', data }]
}

const closeSession = (command: CloseSession, state: SessionState): Decision<SessionEvent, SessionRejection> => {
  const session = state.open.get(command.sessionId)
  if (session === undefined) return reject('session.not-found', 'There is no such device signed in.')
  return [closed(session, command.reason, command.at)]
}

/** A device that refreshes every few minutes for years makes a long stream of a small state. */
const load: Load<SessionState> = {
  by: 'snapshot',
  version: 1,
  everyEvents: 200,
  encode: state => ({ open: [...state.open.values()] }),
  decode: json => {
    const { open } = json as { open: readonly OpenSession[] }
    return { open: new Map(open.map(session => [session.sessionId, session])) }
  },
}

/** The rules of `session-<userId>` (R51–R53). Facts are needed for OpenSession only. */
export const session: Decider<SessionState, SessionCommand, SessionEvent, SessionRejection, SessionFacts | undefined> =
  {
    category: 'session',
    load,
    initial: { open: new Map() },
    evolve,
    decide: (command, state, facts) => {
      switch (command.type) {
        case 'OpenSession':
          return openSession(command, state, facts)
        case 'RefreshSession':
          return refreshSession(command, state)
        case 'CloseSession':
          return closeSession(command, state)
        case 'CloseAllSessions':
          return [...state.open.values()].map(open => closed(open, command.reason, command.at))
        default:
          return noRuleFor(command)
      }
    },
  }
