// Owns a node for tests: a real one over whatever log it is given, with a clock set by hand. Closes what it started.
// Also owns bounded waits on what a node tells, so that no test ever sleeps.

import { randomBytes } from 'node:crypto'
import { account } from '../../domain/account/account.ts'
import { isRejection } from '../../domain/decider.ts'
import { identity } from '../../domain/identity/identity.ts'
import { type Instant, type SessionId, streamOf, type UserId, uuidV7Bytes } from '../../domain/ids.ts'
import { session } from '../../domain/session/session.ts'
import { type Clock, instantOf } from '../../eventstore/clock.ts'
import { type Node, type NodeDependencies, startNode } from '../../eventstore/node.ts'
import type { EventStore, NewEvent } from '../../eventstore/port.ts'

const waitMsMax = 45_000

export interface HandClock extends Clock {
  advance(milliseconds: number): void
}

/** Stands still until it is moved. */
export const handClock = (startMs: number = Date.parse('2026-11-23T08:00:00.000Z')): HandClock => {
  let unixMs = startMs
  return {
    unixMs: () => unixMs,
    now: () => instantOf(unixMs),
    advance: milliseconds => {
      unixMs += milliseconds
    },
  }
}

export interface TestNode extends Node {
  /** What went wrong behind the scenes. */
  readonly errors: unknown[]
}

/** A node with a clock by hand and no read models, unless told otherwise. */
export const startTestNode = async (
  store: EventStore,
  dependencies: Partial<NodeDependencies> = {},
): Promise<TestNode> => {
  const errors: unknown[] = []
  const node = await startNode({
    store,
    clock: handClock(),
    lookUpSend: async () => undefined,
    readModelLagEvents: () => 0,
    onError: error => errors.push(error),
    ...dependencies,
  })
  return Object.assign(Object.create(node) as Node, { errors })
}

/** Resolves once the node has seen everything that is in the log now. */
export const caughtUp = async (node: Node): Promise<void> => {
  const head = await node.store.head()
  await eventually(node, () => node.position >= head)
}

/** Resolves once it holds; looked at after every batch of the log. */
export const eventually = (node: Node, holds: () => boolean): Promise<void> =>
  new Promise((resolve, reject) => {
    if (holds()) return resolve()
    const timer = setTimeout(() => reject(new Error('what was waited for did not come')), waitMsMax)
    node.onEvents(() => {
      if (!holds()) return
      clearTimeout(timer)
      resolve()
    })
  })

/** Resolves once it holds; looked at in every turn of the event loop. For what tells nobody. */
export const whenTrue = async (holds: () => boolean): Promise<void> => {
  const untilMs = Date.now() + waitMsMax
  while (!holds()) {
    if (Date.now() > untilMs) throw new Error('what was waited for did not come')
    await new Promise(resolve => setImmediate(resolve))
  }
}

/** Lets everything go on that can go on without time passing. */
export const turns = async (count = 20): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise(resolve => setImmediate(resolve))
}

/** The fast form of a clientMessageId, made at a time. */
export const messageIdAt = (unixMs: number): string => {
  const hex = Buffer.from(uuidV7Bytes(unixMs, randomBytes(10))).toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

let made = 0

/** An event as a node would append it. */
export const newEvent = (type: string, data: object, more: Partial<NewEvent> = {}): NewEvent => ({
  id: `00000000-0000-4000-8000-${(++made).toString(16).padStart(12, '0')}`,
  type,
  data,
  text: JSON.stringify(data),
  ...more,
})

const hmacOf = (userId: UserId) => `hmac-${userId}`

/** An account whose user name is claimed, so that it is live. */
export const openAccount = async (node: Node, userId: UserId): Promise<void> => {
  const at = node.clock.now()
  const stream = streamOf.account(userId)
  const by = { kind: 'userName' as const, hmac: hmacOf(userId) }
  const create = { type: 'CreateAccount', userId, name: userId, identity: by, userName: userId, at } as const
  await node.handle(account, stream, create, { facts: undefined })
  await claimIdentity(node, userId)
}

/** An account that was begun and never finished. */
export const beginAccount = async (node: Node, userId: UserId): Promise<void> => {
  const by = { kind: 'userName' as const, hmac: hmacOf(userId) }
  const at = node.clock.now()
  const create = { type: 'CreateAccount', userId, name: userId, identity: by, userName: userId, at } as const
  await node.handle(account, streamOf.account(userId), create, { facts: undefined })
}

export const claimIdentity = async (node: Node, userId: UserId): Promise<void> => {
  const claim = { type: 'ClaimIdentity', kind: 'userName', userId, at: node.clock.now() } as const
  const outcome = await node.handle(identity, streamOf.identity(hmacOf(userId)), claim, { facts: undefined })
  if (isRejection(outcome)) throw new Error(outcome.rejected)
}

export const releaseIdentity = async (node: Node, userId: UserId): Promise<void> => {
  const at = node.clock.now()
  const release = { type: 'ReleaseIdentity', kind: 'userName', userId, replacedAt: at, at } as const
  await node.handle(identity, streamOf.identity(hmacOf(userId)), release, { facts: undefined })
}

/** Signs a device in. */
export const openSession = async (node: Node, userId: UserId, sessionId: string): Promise<SessionId> => {
  const { state } = await node.load(account, streamOf.account(userId))
  const facts =
    state.status === 'created'
      ? { credentialEpoch: state.credentialEpoch, keptSessionId: state.keptSessionId }
      : { credentialEpoch: 0, keptSessionId: null }
  const open = {
    type: 'OpenSession',
    userId,
    sessionId: sessionId as SessionId,
    deviceId: `device-${sessionId}`,
    platform: 'linux',
    name: 'test',
    policy: 'many',
    force: true,
    at: node.clock.now() as Instant,
  } as const
  await node.handle(session, streamOf.session(userId), open, { facts })
  return sessionId as SessionId
}

export const closeSession = async (node: Node, userId: UserId, sessionId: SessionId): Promise<void> => {
  const close = { type: 'CloseSession', sessionId, reason: 'signedOut', at: node.clock.now() } as const
  await node.handle(session, streamOf.session(userId), close, { facts: undefined })
}

export const changePassword = async (node: Node, userId: UserId, keptSessionId: SessionId | null): Promise<void> => {
  const at = node.clock.now()
  const change = { type: 'ChangePassword', passwordHash: 'hash', keptSessionId, reason: 'changed', at } as const
  await node.handle(account, streamOf.account(userId), change, { facts: undefined })
}
