// Owns the accounts as others and their owners see them. Folds accounts and the claims on their identities.
// Never stores a secret, and never shows an account without a claim: until then it does not exist (R1).

import type { UserId } from '../domain/ids.ts'
import type { OwnUserRow, UserRow } from '../domain/rows.ts'
import { type Queryable, statement } from './database.ts'
import type { Projection } from './projection.ts'
import type { AccountTable } from './schema.ts'
import { startFold, tableOf } from './table.ts'

const table = tableOf('account', ['user_id'], {
  user_id: 'text',
  name: 'text',
  user_name: 'text',
  phone: 'text',
  email: 'text',
  claims: 'integer',
  created_at: 'timestamptz',
  position: 'text',
})

const folds = ['AccountCreated', 'IdentityClaimed', 'IdentityReleased'] as const

export const accountProjection: Projection = {
  name: 'account',
  tables: ['account'],
  reads: [],
  folds,
  apply: async (transaction, batch) => {
    const events = batch.ofAny(folds)
    if (events.length === 0) return
    const fold = await startFold(
      transaction,
      table,
      events.map(event => [event.data.userId]),
    )
    for (const { type, data, position } of events) {
      const row = fold.get(data.userId)
      if (type === 'AccountCreated') {
        const { userId, name, userName = null, phone = null, email = null, at } = data
        fold.put({ user_id: userId, name, user_name: userName, phone, email, claims: 0, created_at: at, position })
      } else if (row !== undefined) {
        fold.put({ ...row, claims: row.claims + (type === 'IdentityClaimed' ? 1 : -1), position })
      }
    }
    await fold.write()
  },
}

export const userRowFrom = (row: Pick<AccountTable, 'user_id' | 'name' | 'user_name'>): UserRow => ({
  userId: row.user_id,
  ...(row.user_name === null ? undefined : { userName: row.user_name }),
  name: row.name,
})

const byIds = statement(
  'account-by-ids',
  'select user_id, name, user_name from account where user_id = any($1::text[]) and claims > 0',
)

/** The accounts with these ids; unknown ones are left out, the order is that of the ids. */
export const usersByIds = async (database: Queryable, ids: readonly UserId[]): Promise<readonly UserRow[]> => {
  const rows = await database.query<AccountTable>(byIds, [ids])
  const found = new Map(rows.map(row => [row.user_id, userRowFrom(row)]))
  return [...new Set(ids)].flatMap(id => found.get(id) ?? [])
}

const own = statement('account-own', 'select * from account where user_id = $1 and claims > 0')

/** The user's own account with its private fields. */
export const ownUser = async (database: Queryable, userId: UserId): Promise<OwnUserRow | undefined> => {
  const [row] = await database.query<AccountTable>(own, [userId])
  if (row === undefined) return undefined
  return {
    ...userRowFrom(row),
    ...(row.phone === null ? undefined : { phone: row.phone }),
    ...(row.email === null ? undefined : { email: row.email }),
    createdAt: row.created_at,
  }
}
