// Owns the way most projections write: load the rows a batch touches, fold the events over them in memory, write the
// changed ones back with one statement. State after = fold(state before, events), so the cut of a batch cannot matter.

import { storableText } from './copy-text.ts'
import { type Parameter, type Statement, statement, type Transaction } from './database.ts'
import type { Schema, TableName } from './schema.ts'

export type ColumnType = 'text' | 'integer' | 'boolean' | 'timestamptz'

export interface Table<Row extends object> {
  readonly name: TableName
  readonly columns: readonly (keyof Row & string)[]
  readonly key: readonly (keyof Row & string)[]
  readonly load: Statement
  readonly write: Statement
}

type Columns<Row> = { readonly [Column in keyof Row]: ColumnType }

/** Declares a table with the statements that load rows by key and write them. */
export const tableOf = <Name extends TableName>(
  name: Name,
  key: readonly (keyof Schema[Name] & string)[],
  columns: Columns<Schema[Name]>,
): Table<Schema[Name]> => {
  const names = Object.keys(columns) as (keyof Schema[Name] & string)[]
  const arrays = (of: readonly (keyof Schema[Name] & string)[]) =>
    of.map((column, index) => `$${index + 1}::${columns[column]}[]`).join(', ')
  const changes = names.filter(column => !key.includes(column)).map(column => `${column} = excluded.${column}`)
  return {
    name,
    columns: names,
    key,
    load: statement(
      `${name}-load`,
      `select ${names.map(column => `t.${column}`).join(', ')} from unnest(${arrays(key)}) as k (${key.join(', ')})
       join "${name}" t on ${key.map(column => `t.${column} = k.${column}`).join(' and ')}`,
    ),
    write: statement(
      `${name}-write`,
      `insert into "${name}" (${names.join(', ')}) select * from unnest(${arrays(names)})
       on conflict (${key.join(', ')}) do update set ${changes.join(', ')}`,
    ),
  }
}

/**
 * A join that is always a look-up by key, row by row: without it the planner, where it has no statistics, may walk the other
 * table whole and look back. An order that the key of the other table would give is not followed either.
 */
export const lookUp = (table: string, alias: string, condition: string): string =>
  `cross join lateral (select * from ${table} where ${condition} offset 0) ${alias}`

/** The rows a batch touches. */
export interface Fold<Row extends object> {
  readonly get: (...key: readonly (string | number)[]) => Row | undefined
  readonly rows: () => Iterable<Row>
  /** Rows are not changed in place: a changed row is a new one, put back. */
  readonly put: (row: Row) => void
  readonly write: () => Promise<void>
}

const separator = '\n'

/** The columns of rows as array parameters, one a column. */
export const columnArrays = <Row extends object>(
  rows: readonly Row[],
  columns: readonly (keyof Row & string)[],
): Parameter[] =>
  columns.map(column =>
    rows.map(row => {
      const value = row[column] as string | number | boolean | null
      return typeof value === 'string' ? storableText(value) : value
    }),
  )

/**
 * Starts a fold over the rows with these keys; keys may repeat and rows may be missing.
 * @param loaded more rows of the table, as they stand in it
 */
export const startFold = async <Row extends object>(
  transaction: Transaction,
  table: Table<Row>,
  keys: readonly (readonly (string | number)[])[],
  loaded: readonly Row[] = [],
): Promise<Fold<Row>> => {
  const distinct = new Map(keys.map(key => [key.join(separator), key]))
  const keyOf = (row: Row) => table.key.map(column => row[column]).join(separator)
  const rows = new Map<string, Row>(loaded.map(row => [keyOf(row), row]))
  const changed = new Map<string, Row>()
  if (distinct.size > 0) {
    const parts = [...distinct.values()]
    const parameters = table.key.map((_, index) => parts.map(key => key[index] as string | number))
    for (const row of await transaction.query<Row>(table.load, parameters)) rows.set(keyOf(row), row)
  }
  return {
    get: (...key) => rows.get(key.join(separator)),
    rows: () => rows.values(),
    put: row => {
      const key = keyOf(row)
      rows.set(key, row)
      changed.set(key, row)
    },
    write: async () => {
      if (changed.size === 0) return
      await transaction.query(table.write, columnArrays([...changed.values()], table.columns))
    },
  }
}
