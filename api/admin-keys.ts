// Owns the keys of the app's own backend: how one looks, how it is made and shown once, and whether one that is shown works.
// Only a hash is kept. The secret is 256 random bits, so a plain hash of it says nothing.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { type AdminKey, adminKey } from '../domain/admin-key/admin-key.ts'
import { isRejection, type Rejection, reject } from '../domain/decider.ts'
import { streamOf } from '../domain/ids.ts'
import { type Clock, newId } from '../eventstore/clock.ts'
import { createHandle } from '../eventstore/handle.ts'
import type { Node } from '../eventstore/node.ts'
import type { EventStore, RecordedEvent } from '../eventstore/port.ts'
import { createStates } from '../eventstore/states.ts'

/** The part of a node that keys are kept with. */
export type AdminKeyDependencies = Pick<Node, 'handle' | 'load' | 'clock'>

/** The same over a log without a node: nothing is decided on what another process may change meanwhile. */
export const adminKeysOver = (
  store: EventStore,
  clock: Clock,
  onError: (error: unknown) => void,
): AdminKeyDependencies => {
  const states = createStates(store)
  const observe = (events: readonly RecordedEvent[]) => states.apply(events)
  const { handle } = createHandle({ store, states, observe, guard: () => undefined, onError })
  return { handle, load: (decider, stream) => states.load(decider, stream), clock }
}

export interface AdminPrincipal {
  readonly keyId: string
}

export interface AdminKeys {
  /** Whose key it is, if it works. */
  authenticate(key: string): AdminPrincipal | Rejection | Promise<AdminPrincipal | Rejection>
}

const secretBytes = 32
const prefix = 'adm_'
const keyPattern = /^adm_([0-9a-z]{26})_([A-Za-z0-9_-]{43})$/

const keyInvalid = reject('token.invalid', 'The admin key is not valid. Make one with: npm run admin-key')

const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('base64url')
/** No secret has it: a hash is never empty. Compared with where there is no such key. */
const noHash = ''.padEnd(hashOf('').length, '-')

/** Whether a bearer token means to be an admin key. No access token looks like it. */
export const isAdminKey = (token: string): boolean => token.startsWith(prefix)

/** Builds what checks keys in this process. The keys are held, so a check costs a hash. */
export const createAdminKeys = ({ load }: Pick<AdminKeyDependencies, 'load'>): AdminKeys => ({
  authenticate: key => {
    const [, keyId = '', secret = ''] = keyPattern.exec(key) ?? []
    const answer = (keys: ReadonlyMap<string, AdminKey>) => {
      const known = keys.get(keyId)?.hash ?? noHash
      return timingSafeEqual(Buffer.from(hashOf(secret)), Buffer.from(known)) ? { keyId } : keyInvalid
    }
    const held = load(adminKey, streamOf.adminKey())
    return held instanceof Promise ? held.then(({ state }) => answer(state.keys)) : answer(held.state.keys)
  },
})

/** Makes a key. @returns the key itself, which is never to be had again, or why there is none */
export const createAdminKey = async (
  { handle, clock }: AdminKeyDependencies,
  name: string,
): Promise<{ readonly key: string } | Rejection> => {
  const keyId = newId(clock)
  const secret = randomBytes(secretBytes).toString('base64url')
  const command = { type: 'CreateAdminKey', keyId, name, hash: hashOf(secret), at: clock.now() } as const
  const handled = await handle(adminKey, streamOf.adminKey(), command, { facts: undefined })
  return isRejection(handled) ? handled : { key: `${prefix}${keyId}_${secret}` }
}

export interface ListedAdminKey {
  readonly keyId: string
  readonly name: string
  readonly createdAt: string
}

/** The keys that work, oldest first. */
export const listAdminKeys = async ({ load }: AdminKeyDependencies): Promise<readonly ListedAdminKey[]> => {
  const { state } = await load(adminKey, streamOf.adminKey())
  return [...state.keys].map(([keyId, { name, createdAt }]) => ({ keyId, name, createdAt }))
}

/** Ends a key. @returns undefined when that is done */
export const revokeAdminKey = async (
  { handle, clock }: AdminKeyDependencies,
  keyId: string,
): Promise<Rejection | undefined> => {
  const command = { type: 'RevokeAdminKey', keyId, at: clock.now() } as const
  const handled = await handle(adminKey, streamOf.adminKey(), command, { facts: undefined })
  return isRejection(handled) ? handled : undefined
}
