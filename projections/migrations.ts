// Owns the tables: every change to them, in order, for ever. A migration that has shipped is never edited; a new one is added.
// Ids and positions compare byte by byte (collate "C"), as they do in TypeScript.

import { hash } from 'node:crypto'
import { type Kysely, type Migration, Migrator, sql, type Transaction } from 'kysely'
import { type Schema, tableNames } from './schema.ts'

const run = async (database: Kysely<unknown>, statements: readonly string[]): Promise<void> => {
  for (const text of statements) await sql.raw(text).execute(database)
}

const id = 'text collate "C"'
const position = 'position char(16) collate "C" not null'

/** Rows of these two change all the time: room in the page keeps a change from touching any index. */
const oftenChanged = 'with (fillfactor = 70)'

const accounts = [
  `create table account (
     user_id ${id} primary key, name text not null, user_name text, phone text, email text,
     avatar_url text, signature text, gender text, birthday text, extension text, friend_policy text not null,
     found_by_phone boolean not null, found_by_email boolean not null, found_by_user_name boolean not null,
     found_by_name_prefix boolean not null, search_name text collate "C", is_live boolean not null,
     created_at timestamptz not null, closed_at timestamptz, ${position})`,
  'create index account_by_search_name on account (search_name, user_id) where search_name is not null',
  `create table session (
     session_id ${id} primary key, user_id ${id} not null, device_id text not null, platform text not null,
     name text not null, opened_at timestamptz not null, removed_at timestamptz, ${position})`,
  'create index session_by_user on session (user_id)',
  'create index session_by_removed on session (removed_at) where removed_at is not null',
  `create table blocklist (
     user_id ${id}, blocked_id ${id}, blocked_at timestamptz not null, removed_at timestamptz, ${position},
     primary key (user_id, blocked_id))`,
  'create index blocklist_by_removed on blocklist (removed_at) where removed_at is not null',
]

const conversations = [
  `create table conversation (
     conversation_id ${id} primary key, kind text not null, last_seq integer not null, countable integer not null,
     last_at timestamptz, popup_number integer not null, recalled_seq integer not null, ${position}) ${oftenChanged}`,
  `create table message (
     conversation_id ${id}, seq integer, from_id ${id} not null, client_message_id ${id} not null, type text not null,
     countable integer not null, counts boolean not null, recalled boolean not null, at timestamptz not null,
     content_hash integer not null, wire text not null, receipts_from text, own_wire text, own_position char(16) collate "C",
     ${position}, primary key (conversation_id, seq))`,
  // Clients' ids grow with time: this order keeps the inserts at one end.
  'create index message_by_sent on message (client_message_id, from_id)',
  // Pages of some types only: a few photographs among a million texts, and a few texts among a million notifications.
  'create index message_by_type on message (conversation_id, type, seq)',
  'create index message_by_recalled on message (conversation_id, seq) where recalled',
  'create index message_by_recalled_position on message (conversation_id, position) where recalled',
  `create table sent_key (
     client_message_id ${id}, from_id ${id}, conversation_id ${id} not null, seq integer not null, at timestamptz not null,
     content_hash integer not null, ${position}, primary key (client_message_id, from_id))`,
  'create index message_by_own_position on message (conversation_id, from_id, own_position) where own_position is not null',
  `create table receipt (
     conversation_id ${id}, seq integer, user_id ${id}, at timestamptz not null, ${position},
     primary key (conversation_id, seq, user_id))`,
  `create table inbox (
     user_id ${id}, conversation_id ${id}, kind text not null, peer_id ${id}, group_id ${id},
     cleared_seq integer not null, deleted_seq integer not null, pinned_at timestamptz,
     reminder text not null, do_not_disturb boolean not null, announcement_seen integer not null,
     from_seq integer not null, to_seq integer, to_countable integer, earlier_to_seq integer not null, seen_at timestamptz,
     base_seq integer not null, base_countable integer not null, own_after_base integer not null, ${position},
     primary key (user_id, conversation_id)) ${oftenChanged}`,
  'create index inbox_by_conversation on inbox (conversation_id, user_id)',
  `create table member_span (
     user_id ${id}, conversation_id ${id}, from_seq integer, to_seq integer, to_countable integer, ${position},
     primary key (user_id, conversation_id, from_seq))`,
]

const groups = [
  `create table "group" (
     group_id ${id} primary key, owner_id ${id} not null, created_by ${id} not null, member_count integer not null,
     name text not null, avatar_url text not null, introduction text not null, announcement text not null,
     extension text not null, app_extension text not null, member_limit integer not null, join_mode text not null, invite_mode text not null,
     invitee_consent text not null, edit_mode text not null, edit_extension_mode text not null, mute_all text not null,
     history_before_join boolean not null, hide_member_profiles boolean not null, no_friend_requests boolean not null,
     auto_approve text not null, searchable boolean not null, search_name ${id}, created_at timestamptz not null,
     dissolved_at timestamptz, ${position})`,
  'create index group_by_creator on "group" (created_by)',
  'create index group_by_search_name on "group" (search_name, group_id) where search_name is not null',
  `create table member (
     group_id ${id}, user_id ${id}, role text not null, joined_at timestamptz not null, invited_by ${id},
     muted_until text, nickname text, extension text not null, followed_ids text not null, removed_at timestamptz,
     ${position}, primary key (group_id, user_id))`,
  'create index member_by_user on member (user_id, group_id)',
  'create index member_by_order on member (group_id, joined_at, user_id) where removed_at is null',
  'create index member_by_removed on member (removed_at) where removed_at is not null',
  `create table membership_count (user_id ${id} primary key, groups integer not null) ${oftenChanged}`,
  `create table group_request (
     group_id ${id}, user_id ${id}, kind text, request_id ${id} not null, group_name text, by_id ${id} not null,
     message text, requested_at timestamptz not null, expires_at timestamptz not null, removed_at timestamptz,
     ${position}, primary key (group_id, user_id, kind))`,
  'create index group_request_by_user on group_request (user_id, kind, position)',
  'create index group_request_by_group on group_request (group_id, kind, position) where removed_at is null',
  'create index group_request_by_expiry on group_request (expires_at) where removed_at is null',
  'create index group_request_by_removed on group_request (removed_at) where removed_at is not null',
  `create table announcement (
     group_id ${id}, announcement_id ${id}, number integer not null, text text not null, popup boolean not null,
     by_id ${id} not null, at timestamptz not null, removed_at timestamptz, ${position},
     primary key (group_id, announcement_id))`,
  'create index announcement_by_number on announcement (group_id, number) where removed_at is null',
  'create index announcement_by_removed on announcement (removed_at) where removed_at is not null',
]

const friends = [
  `create table friend (
     user_id ${id}, friend_id ${id}, remark text, wire text not null, removed_at timestamptz, ${position}, primary key (user_id, friend_id))`,
  'create index friend_by_change on friend (user_id, position)',
  'create index friend_by_removed on friend (removed_at) where removed_at is not null',
  `create table friend_request (
     user_id ${id}, peer_id ${id}, direction text not null, request_id ${id} not null, messages text not null, source text,
     state text not null, reason text, at timestamptz not null, asked_position char(16) collate "C" not null,
     expires_at timestamptz not null, ended_at timestamptz, ${position}, primary key (user_id, peer_id))`,
  'create index friend_request_by_order on friend_request (user_id, asked_position)',
  'create index friend_request_by_change on friend_request (user_id, position)',
  "create index friend_request_by_expiry on friend_request (expires_at) where state = 'pending' and direction = 'outgoing'",
  "create index friend_request_by_pending on friend_request (user_id) where state = 'pending' and direction = 'outgoing'",
  'create index friend_request_by_ended on friend_request (ended_at) where ended_at is not null',
]

const notifications = [
  `create table notification (
     user_id ${id}, notification_id ${id}, kind text not null, by_id ${id} not null, about_id ${id}, group_id ${id},
     message text, at timestamptz not null, asked_position char(16) collate "C" not null, state text not null, ended_at timestamptz,
     ${position}, primary key (user_id, notification_id))`,
  'create index notification_by_order on notification (user_id, asked_position)',
  'create index notification_by_change on notification (user_id, position)',
  'create index notification_by_ended on notification (ended_at) where ended_at is not null',
  `create table read_mark (
     user_id ${id} primary key, notifications char(16) collate "C", friend_requests char(16) collate "C", ${position})`,
]

const checkpoint = [
  `create table checkpoint (
     id smallint primary key check (id = 1), log_id text not null, version integer not null, ${position},
     purged_before timestamptz, purged_position char(16) collate "C", history_before timestamptz)`,
]

/** The name holds a print of the statements: tables that other statements made are never taken for these. */
const named = (name: string, statements: readonly string[]): readonly [name: string, migration: Migration] => [
  `${name}-${hash('sha1', statements.join('\n')).slice(0, 8)}`,
  { up: database => run(database, statements) },
]

/** In order of the names. */
const migrations: Readonly<Record<string, Migration>> = Object.fromEntries([
  named('0001-read-models', [...checkpoint, ...accounts, ...conversations, ...groups, ...friends, ...notifications]),
])

/** The tables are not those of this version, nor can be brought to it; the message says what to do. */
export class OtherVersion extends Error {
  readonly code = 'other-version'
}

/**
 * Brings the tables up to date; safe when several processes start at once.
 * @throws OtherVersion, what the failed migration threw
 */
export const migrate = async (database: Kysely<Schema>): Promise<void> => {
  const migrator = new Migrator({ db: database, provider: { getMigrations: async () => ({ ...migrations }) } })
  const { error } = await migrator.migrateToLatest()
  if (error instanceof Error && error.message.startsWith('corrupted migrations')) {
    throw new OtherVersion(
      `The tables of the read models were made by another version of the server; this one makes ${Object.keys(migrations).join(', ')}. ` +
        'Start that version, or give this one an empty database: everything in it is made anew from the log.',
      { cause: error },
    )
  }
  if (error !== undefined) throw error
}

const ownTables = ['checkpoint', ...tableNames]

/** The tables that are not there, although their migration has been run. */
const lostTables = async (database: Transaction<Schema>): Promise<readonly string[]> => {
  const quoted = sql.join(ownTables.map(name => sql`(${name}::text)`))
  const { rows } = await sql<{ name: string }>`
    select name from (values ${quoted}) as t (name) where to_regclass(quote_ident(name)) is null`.execute(database)
  return rows.map(({ name }) => name)
}

/**
 * Makes all tables anew, empty, where some are lost, or are to be in any case: nothing lives in them alone.
 * @returns why; undefined where all were there
 */
export const remake = ({ kysely }: { readonly kysely: Kysely<Schema> }, damage?: string): Promise<string | undefined> =>
  kysely.transaction().execute(async transaction => {
    await sql`select pg_advisory_xact_lock(hashtextextended('read-models-remake', 0))`.execute(transaction)
    const lost = await lostTables(transaction)
    const reason = lost.length > 0 ? `tables are missing: ${lost.join(', ')}` : damage
    if (reason === undefined) return undefined
    for (const name of ownTables) await sql.raw(`drop table if exists "${name}"`).execute(transaction)
    for (const { up } of Object.values(migrations)) await up(transaction)
    return reason
  })
