// Owns the rules of the keys that the app's own backend calls with: which work, and how many there may be. One stream holds
// them all, so that a made-up key costs no read. Reads no facts; a revoked key can at worst be used for the follow lag.

import { type Decider, type Decision, noRuleFor, reject } from '../decider.ts'
import type { Instant } from '../ids.ts'
import { limits } from '../limits.ts'
import type { AdminKeyEvent } from './events.ts'

export type { AdminKeyEvent } from './events.ts'

export interface AdminKey {
  readonly name: string
  readonly hash: string
  readonly createdAt: Instant
}

export interface AdminKeyState {
  /** Those that work, by id, oldest first. */
  readonly keys: ReadonlyMap<string, AdminKey>
}

export interface CreateAdminKey {
  readonly type: 'CreateAdminKey'
  readonly keyId: string
  readonly name: string
  readonly hash: string
  readonly at: Instant
}

export interface RevokeAdminKey {
  readonly type: 'RevokeAdminKey'
  readonly keyId: string
  readonly at: Instant
}

export type AdminKeyCommand = CreateAdminKey | RevokeAdminKey
export type AdminKeyRejection = 'admin-key.limit' | 'admin-key.not-found'

const evolve = (state: AdminKeyState, event: AdminKeyEvent): AdminKeyState => {
  switch (event.type) {
    case 'AdminKeyCreated': {
      const { keyId, name, hash, at } = event.data
      return { keys: new Map(state.keys).set(keyId, { name, hash, createdAt: at }) }
    }
    case 'AdminKeyRevoked': {
      const keys = new Map(state.keys)
      keys.delete(event.data.keyId)
      return { keys }
    }
    default:
      return state
  }
}

const create = (command: CreateAdminKey, state: AdminKeyState): Decision<AdminKeyEvent, AdminKeyRejection> => {
  if (state.keys.size >= limits.adminKeysMax) {
    return reject('admin-key.limit', `There may be ${limits.adminKeysMax} admin keys. Revoke one first.`)
  }
  const { keyId, name, hash, at } = command
  return [{ type: 'AdminKeyCreated', data: { keyId, name, hash, at } }]
}

const revoke = (command: RevokeAdminKey, state: AdminKeyState): Decision<AdminKeyEvent, AdminKeyRejection> =>
  state.keys.has(command.keyId)
    ? [{ type: 'AdminKeyRevoked', data: { keyId: command.keyId, at: command.at } }]
    : reject('admin-key.not-found', 'There is no such key, or it is revoked already.')

/** The rules of `adminKey-all`. */
export const adminKey: Decider<AdminKeyState, AdminKeyCommand, AdminKeyEvent, AdminKeyRejection> = {
  category: 'adminKey',
  load: { by: 'fold' },
  initial: { keys: new Map() },
  evolve,
  decide: (command, state) => {
    switch (command.type) {
      case 'CreateAdminKey':
        return create(command, state)
      case 'RevokeAdminKey':
        return revoke(command, state)
      default:
        return noRuleFor(command)
    }
  },
}
