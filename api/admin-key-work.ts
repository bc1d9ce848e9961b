// Owns what the command for admin keys asks for, and what it gets: lines to print. The same in the process that serves and in
// the command's own.

import { z } from 'zod'
import { isRejection, type Rejection } from '../domain/decider.ts'
import { limits } from '../domain/limits.ts'
import type { Work } from '../eventstore/control.ts'
import { type AdminKeyDependencies, createAdminKey, listAdminKeys, revokeAdminKey } from './admin-keys.ts'
import { name } from './fields.ts'

export const adminKeyAsked = z.discriminatedUnion('do', [
  z.strictObject({ do: z.literal('create'), name: name(limits.adminKeyNameCharactersMax) }),
  z.strictObject({ do: z.literal('list') }),
  z.strictObject({ do: z.literal('revoke'), keyId: z.string().max(limits.adminKeyNameCharactersMax) }),
])

/** Lines for standard output, and what is said beside them. */
export interface AdminKeyDone {
  readonly lines: readonly string[]
  readonly said?: string
}

const orThrow = <Value>(outcome: Value | Rejection): Value => {
  if (isRejection(outcome)) throw new Error(outcome.detail)
  return outcome
}

/** What it ends with: an AdminKeyDone. */
export const adminKeyWork =
  (dependencies: AdminKeyDependencies): Work =>
  async (given): Promise<AdminKeyDone> => {
    const asked = adminKeyAsked.parse(given)
    switch (asked.do) {
      case 'create': {
        const { key } = orThrow(await createAdminKey(dependencies, asked.name))
        return { lines: [key], said: 'Keep it in a safe place: it is never shown again.' }
      }
      case 'list': {
        const keys = await listAdminKeys(dependencies)
        return { lines: keys.map(({ keyId, createdAt, name: known }) => `${keyId}  ${createdAt}  ${known}`) }
      }
      case 'revoke':
        orThrow(await revokeAdminKey(dependencies, asked.keyId))
        return { lines: [], said: `revoked ${asked.keyId}` }
    }
  }
