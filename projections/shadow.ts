// Owns the shadow tables of a rebuild: copies of the real ones in a schema of their own, and the swap. They are folded by
// the same statements, which name no schema: the search path decides. Knows nothing of events.

import { type Session, statement, type Transaction } from './database.ts'
import type { TableName } from './schema.ts'

export const shadowSchema = 'rebuild'
/** How long the swap may wait for queries that are running; nobody else gets through meanwhile. */
const swapWaitMsMax = 5_000

/** Indexes that folding does not need: made at the end, when all rows are there, which is much cheaper. */
const indexesLast: ReadonlySet<string> = new Set([
  'message_by_sent',
  'message_by_type',
  'message_by_recalled',
  'message_by_recalled_position',
  'message_by_own_position',
  'session_by_removed',
  'blocklist_by_removed',
  'group_by_creator',
  'inbox_by_conversation',
  'member_by_user',
  'member_by_removed',
  'notification_by_order',
])

interface IndexRow {
  readonly name: string
  readonly definition: string
  readonly is_primary: boolean
  readonly table: string
}

/** Definitions name their table with its schema, which makes them exact text to replace. */
const indexesOf = statement(
  'shadow-indexes',
  `select ic.relname as name, pg_get_indexdef(i.indexrelid) as definition, i.indisprimary as is_primary, tc.relname as table
   from pg_index i join pg_class ic on ic.oid = i.indexrelid join pg_class tc on tc.oid = i.indrelid
   where tc.relnamespace = 'public'::regnamespace and tc.relname = any($1::text[]) order by i.indisprimary desc, ic.relname`,
)

const settingsOf = statement(
  'shadow-settings',
  `select relname as table, array_to_string(reloptions, ', ') as options from pg_class
   where relnamespace = 'public'::regnamespace and relname = any($1::text[]) and reloptions is not null`,
)

/** Rights that somebody was given on the tables, so that an analyst still reads them after the swap. */
const grantsOf = statement(
  'shadow-grants',
  `select format('grant %s on ${shadowSchema}.%I to %s', a.privilege_type, c.relname,
     case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end) as grant
   from pg_class c cross join lateral aclexplode(c.relacl) a
   where c.relnamespace = 'public'::regnamespace and c.relname = any($1::text[]) and a.grantee <> c.relowner`,
)

const quoted = (table: string): string => `"${table}"`

const makeIndex = async (transaction: Transaction, { name, definition, is_primary: isPrimary, table }: IndexRow) => {
  await transaction.execute(definition.replace(' ON public.', ` ON ${shadowSchema}.`))
  if (isPrimary) {
    const using = `add constraint ${name} primary key using index ${name}`
    await transaction.execute(`alter table ${shadowSchema}.${quoted(table)} ${using}`)
  }
}

/** Sends what follows in the transaction to the shadow tables. */
export const aimAtShadows = (transaction: Transaction): Promise<void> =>
  transaction.execute(`set local search_path = ${shadowSchema}, public`)

/** Throws away what there is of shadow tables. */
export const dropShadows = (transaction: Transaction): Promise<void> =>
  transaction.execute(`drop schema if exists ${shadowSchema} cascade`)

/**
 * Makes empty shadow tables, throwing away those that an interrupted rebuild left.
 * @param lastToo whether the indexes that folding does not need are made at once
 */
export const makeShadows = (session: Session, tables: readonly TableName[], lastToo: boolean): Promise<void> =>
  session.transaction(async transaction => {
    await dropShadows(transaction)
    await transaction.execute(`create schema ${shadowSchema}`)
    for (const table of tables) {
      await transaction.execute(`create table ${shadowSchema}.${quoted(table)} (like public.${quoted(table)})`)
    }
    for (const { table, options } of await transaction.query<{ table: string; options: string }>(settingsOf, [
      tables,
    ])) {
      await transaction.execute(`alter table ${shadowSchema}.${quoted(table)} set (${options})`)
    }
    for (const index of await transaction.query<IndexRow>(indexesOf, [tables])) {
      if (lastToo || !indexesLast.has(index.name)) await makeIndex(transaction, index)
    }
  })

/** Makes the indexes that were left for the end, and lets the planner know the tables. */
export const finishShadows = async (
  session: Session,
  tables: readonly TableName[],
  lastToo: boolean,
): Promise<void> => {
  for (const index of await session.query<IndexRow>(indexesOf, [tables])) {
    if (!lastToo && indexesLast.has(index.name)) await session.transaction(transaction => makeIndex(transaction, index))
  }
  for (const table of tables) {
    await session.transaction(transaction => transaction.execute(`analyze ${shadowSchema}.${quoted(table)}`))
  }
}

/** Puts the shadow tables in the place of the real ones, with the rights on these. Queries before see the old, after the new. */
export const swapShadows = async (transaction: Transaction, tables: readonly TableName[]): Promise<void> => {
  await transaction.execute(`set local lock_timeout = ${swapWaitMsMax}`)
  const grants = await transaction.query<{ grant: string }>(grantsOf, [tables])
  for (const { grant } of grants) await transaction.execute(grant)
  for (const table of tables) {
    await transaction.execute(`drop table public.${quoted(table)}`)
    await transaction.execute(`alter table ${shadowSchema}.${quoted(table)} set schema public`)
  }
  await transaction.execute(`drop schema ${shadowSchema}`)
}
