// The rows as TypeScript has them are the rows as the database has them, and an older statement of a table still fits.

import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { migrate } from '../../projections/migrations.ts'
import { databaseKinds, openTestDatabase, type TestDatabase } from '../support/read-models.ts'

interface Column {
  readonly table: string
  readonly column: string
  readonly type: string
  readonly isNullable: boolean
}

const source = readFileSync(new URL('../../projections/schema.ts', import.meta.url), 'utf8')

const typeOf = (text: string): string => {
  if (text === 'Position') return 'character'
  if (text === 'Instant') return 'timestamp with time zone'
  if (text === 'number') return 'integer'
  if (text === 'boolean') return 'boolean'
  return 'text'
}

/** The tables as schema.ts declares them, read from its text: types are gone when the tests run. */
const declared = (): readonly Column[] => {
  const tables = new Map(
    [...source.slice(source.indexOf('export interface Schema {')).matchAll(/^ {2}(\w+): (\w+)$/gm)].map(match => [
      match[2] ?? '',
      match[1] ?? '',
    ]),
  )
  return [...source.matchAll(/export interface (\w+Table) \{\n([\s\S]*?)\n\}/g)].flatMap(([, name = '', body = '']) =>
    [...body.matchAll(/^ {2}(?:readonly )?(\w+): (.+)$/gm)].map(([, column = '', type = '']) => ({
      table: tables.get(name) ?? name,
      column,
      type: column === 'id' ? 'smallint' : typeOf(type.replace(' | null', '')),
      isNullable: type.endsWith(' | null'),
    })),
  )
}

const byName = (columns: readonly Column[]) =>
  columns
    .map(({ table, column, type, isNullable }) => `${table}.${column} ${type}${isNullable ? ' null' : ''}`)
    .toSorted()

describe.each(databaseKinds)('the schema on %s', kind => {
  let opened: TestDatabase
  beforeAll(async () => {
    opened = await openTestDatabase(kind)
  })
  afterAll(() => opened.dispose())

  test('is what schema.ts says', async () => {
    const found = await opened.database.query<Column & { nullable: string }>({
      name: 'schema-columns',
      text: `select table_name as table, column_name as column, data_type as type, is_nullable = 'YES' as "isNullable"
             from information_schema.columns where table_schema = 'public' and table_name not like 'kysely%'`,
    })
    expect(declared().length).toBeGreaterThan(80)
    expect(byName(found)).toEqual(byName(declared()))
  })

  test('compares ids and positions byte by byte', async () => {
    const wrong = await opened.database.query<{ column: string }>({
      name: 'schema-collations',
      text: `select table_name || '.' || column_name as column from information_schema.columns
             where table_schema = 'public' and (column_name like '%\\_id' or column_name like '%position')
               and data_type in ('text', 'character') and collation_name is distinct from 'C'
               and column_name not in ('log_id', 'device_id')`,
    })
    expect(wrong).toEqual([])
  })

  test('that other statements made is never taken for this one', async () => {
    const { database } = opened
    await migrate(database.kysely)
    await database.transaction(transaction =>
      transaction.execute("update kysely_migration set name = replace(name, '-models-', '-models-x')"),
    )
    await expect(migrate(database.kysely)).rejects.toThrow(/another version.*empty database/)
    await database.transaction(transaction =>
      transaction.execute("update kysely_migration set name = replace(name, '-models-x', '-models-')"),
    )
    await migrate(database.kysely)
  })
})
