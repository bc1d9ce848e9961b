// Owns the accounts as others and their owners see them. Folds accounts and the claims on their identities.
// Never stores a secret, and never shows a sign-up before its claim: until then it does not exist (R1).

import { initialPrivateProfile, type ProfileChanges } from '../domain/account/profile.ts'
import { type OwnUserRow, ownUserRowOf, type UserRow, userRowOf } from '../domain/account/row.ts'
import type { UserId } from '../domain/ids.ts'
import type { Recorded } from './batch.ts'
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
  avatar_url: 'text',
  signature: 'text',
  gender: 'text',
  birthday: 'text',
  extension: 'text',
  friend_policy: 'text',
  found_by_phone: 'boolean',
  found_by_email: 'boolean',
  found_by_user_name: 'boolean',
  found_by_name_prefix: 'boolean',
  search_name: 'text',
  is_live: 'boolean',
  created_at: 'timestamptz',
  closed_at: 'timestamptz',
  position: 'text',
})

const folds = ['AccountCreated', 'ProfileChanged', 'IdentityBound', 'IdentityClaimed', 'AccountClosed'] as const

type ProfileColumns = Omit<
  AccountTable,
  'user_id' | 'user_name' | 'phone' | 'email' | 'search_name' | 'is_live' | 'created_at' | 'closed_at' | 'position'
>

/** The row's columns after the changes. */
const profileColumns = (row: ProfileColumns, changes: ProfileChanges): ProfileColumns => {
  const { discoverableBy } = changes
  const kept = <Value>(change: Value | undefined, before: Value): Value => (change === undefined ? before : change)
  return {
    name: kept(changes.name, row.name),
    avatar_url: kept(changes.avatarUrl, row.avatar_url),
    signature: kept(changes.signature, row.signature),
    gender: kept(changes.gender, row.gender),
    birthday: kept(changes.birthday, row.birthday),
    extension: kept(changes.extension, row.extension),
    friend_policy: kept(changes.friendPolicy, row.friend_policy),
    found_by_phone: kept(discoverableBy?.phone, row.found_by_phone),
    found_by_email: kept(discoverableBy?.email, row.found_by_email),
    found_by_user_name: kept(discoverableBy?.userName, row.found_by_user_name),
    found_by_name_prefix: kept(discoverableBy?.namePrefix, row.found_by_name_prefix),
  }
}

const { discoverableBy: initially, friendPolicy } = initialPrivateProfile

const initialColumns: Omit<ProfileColumns, 'name'> = {
  avatar_url: null,
  signature: null,
  gender: null,
  birthday: null,
  extension: null,
  friend_policy: friendPolicy,
  found_by_phone: initially.phone,
  found_by_email: initially.email,
  found_by_user_name: initially.userName,
  found_by_name_prefix: initially.namePrefix,
}

const created = ({ data, position }: Recorded<'AccountCreated'>): AccountTable => ({
  user_id: data.userId,
  name: data.name,
  user_name: data.userName ?? null,
  phone: data.phone ?? null,
  email: data.email ?? null,
  ...initialColumns,
  search_name: null,
  is_live: data.identity === undefined,
  created_at: data.at,
  closed_at: null,
  position,
})

const changed = (
  row: AccountTable,
  { type, data, position }: Recorded<Exclude<(typeof folds)[number], 'AccountCreated'>>,
): AccountTable => {
  switch (type) {
    case 'ProfileChanged':
      return { ...row, ...profileColumns(row, data.set), position }
    case 'IdentityBound': {
      const { userName = row.user_name, phone = row.phone, email = row.email } = data
      return { ...row, user_name: userName, phone, email, position }
    }
    case 'IdentityClaimed':
      return row.is_live ? row : { ...row, is_live: true, position }
    case 'AccountClosed': {
      const nobody = { user_name: null, phone: null, email: null, name: '' }
      return { ...row, ...initialColumns, ...nobody, closed_at: data.at, position }
    }
  }
}

/** What the beginning of a name is compared with. */
export const searchForm = (name: string): string => name.normalize('NFKC').toLowerCase()

const searchNameOf = ({ name, found_by_name_prefix, is_live, closed_at }: AccountTable): string | null =>
  found_by_name_prefix && is_live && closed_at === null ? searchForm(name) : null

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
    for (const event of events) {
      const row = fold.get(event.data.userId)
      const after = event.type === 'AccountCreated' ? created(event) : row === undefined ? row : changed(row, event)
      if (after !== row && after !== undefined) fold.put({ ...after, search_name: searchNameOf(after) })
    }
    await fold.write()
  },
}

/** The columns of what everybody may see, for statements that show users. */
export const publicColumns = [
  'user_id',
  'user_name',
  'name',
  'avatar_url',
  'signature',
  'gender',
  'birthday',
  'extension',
  'closed_at',
] as const
export type PublicAccount = Pick<AccountTable, (typeof publicColumns)[number]>

const publicFrom = (row: PublicAccount): UserRow => ({
  userId: row.user_id,
  name: row.name,
  ...(row.user_name === null ? undefined : { userName: row.user_name }),
  ...(row.avatar_url === null ? undefined : { avatarUrl: row.avatar_url }),
  ...(row.signature === null ? undefined : { signature: row.signature }),
  ...(row.gender === null ? undefined : { gender: row.gender }),
  ...(row.birthday === null ? undefined : { birthday: row.birthday }),
  ...(row.extension === null ? undefined : { extension: row.extension }),
  ...(row.closed_at === null ? undefined : { closedAt: row.closed_at }),
})

/** What everybody may see. */
export const userRowFrom = (row: PublicAccount): UserRow => userRowOf(publicFrom(row))

/** What the user alone sees. */
export const ownUserRowFrom = (row: AccountTable): OwnUserRow =>
  ownUserRowOf({
    ...publicFrom(row),
    ...(row.phone === null ? undefined : { phone: row.phone }),
    ...(row.email === null ? undefined : { email: row.email }),
    friendPolicy: row.friend_policy,
    discoverableBy: {
      phone: row.found_by_phone,
      email: row.found_by_email,
      userName: row.found_by_user_name,
      namePrefix: row.found_by_name_prefix,
    },
    createdAt: row.created_at,
  })

const byIds = statement(
  'account-by-ids',
  `select ${publicColumns.join(', ')} from account where user_id = any($1::text[]) and is_live`,
)

/** The accounts with these ids; unknown ones are left out, the order is that of the ids. */
export const usersByIds = async (database: Queryable, ids: readonly UserId[]): Promise<readonly UserRow[]> => {
  const rows = await database.query<AccountTable>(byIds, [ids])
  const found = new Map(rows.map(row => [row.user_id, userRowFrom(row)]))
  return [...new Set(ids)].flatMap(id => found.get(id) ?? [])
}

const own = statement('account-own', 'select * from account where user_id = $1 and is_live and closed_at is null')

/** The user's own account with its private fields. */
export const ownUser = async (database: Queryable, userId: UserId): Promise<OwnUserRow | undefined> => {
  const [row] = await database.query<AccountTable>(own, [userId])
  return row === undefined ? undefined : ownUserRowFrom(row)
}

const byNamePrefix = statement(
  'account-by-name-prefix',
  `select ${publicColumns.join(', ')} from account where search_name >= $1 and search_name < $2
   order by search_name, user_id limit $3::int`,
)

/** Sorts behind every character, byte by byte. */
const lastCharacter = '\u{10FFFF}'

/** Users whose name begins like this, in any case, among those who let themselves be found by it. */
export const usersByNamePrefix = async (
  database: Queryable,
  prefix: string,
  limit: number,
): Promise<readonly UserRow[]> => {
  const from = searchForm(prefix)
  const rows = await database.query<PublicAccount>(byNamePrefix, [from, from + lastCharacter, limit])
  return rows.map(userRowFrom)
}
