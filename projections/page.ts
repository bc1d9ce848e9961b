// Owns what a page of a list is, and its opaque cursor. A cursor is the sort key of the last item, so that writes
// between two pages neither repeat nor lose an item that did not itself move.

import type { Position } from '../domain/ids.ts'

export interface Page<Item> {
  readonly items: readonly Item[]
  /** Cursor of the next page; null at the end. */
  readonly next: string | null
}

/** A page that says at which place in the log its rows are: what changes from there on, changes since tell. */
export interface PlacedPage<Item> extends Page<Item> {
  readonly position: Position
}

/** A page whose items are JSON texts, joined by commas. */
export interface TextPage {
  readonly items: string
  readonly next: string | null
  readonly position: Position
}

/** Rows changed at or after a position, ids of those gone since, and where the answer stands in the log. */
export interface Changes<Item> {
  readonly items: readonly Item[]
  readonly removed: readonly string[]
  readonly position: Position
}

/** Tombstones of that time are gone: fetch whole. */
export type TooOld = 'too-old'

export interface PageOptions {
  /** 1 … 100. */
  readonly limit: number
  readonly cursor?: string | undefined
}

/** The cursor is not one of ours; the caller should answer 400. */
export class InvalidCursor extends Error {
  readonly code = 'invalid-cursor'
}

export type CursorKey = readonly (string | number)[]

export const cursorText = (key: CursorKey): string => Buffer.from(JSON.stringify(key)).toString('base64url')

type KeyPart = 'string' | 'number' | 'instant'

const instantPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
/** No database knows a year 0. */
const firstYear = '0001'

/** A time that there is: `Date` takes the 31st of February for one in March. */
const isInstant = (text: string): boolean =>
  instantPattern.test(text) && text >= firstYear && new Date(Date.parse(text) || 0).toISOString() === text

/** Numbers that lists are sorted by are `integer` columns. */
const numberMax = 2 ** 31 - 1

const isPart = (part: unknown, type: KeyPart): boolean => {
  if (type === 'number') return typeof part === 'number' && Number.isInteger(part) && Math.abs(part) <= numberMax
  if (typeof part !== 'string' || part.includes('\0')) return false
  return type === 'string' || isInstant(part)
}

/**
 * The key in a cursor, checked against the types it must have: whatever comes back in can go to the database.
 * @throws InvalidCursor
 */
export const cursorKey = (cursor: string, types: readonly KeyPart[]): CursorKey => {
  let key: unknown
  try {
    key = JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch {
    throw new InvalidCursor('the cursor is not one that this server made')
  }
  const fits =
    Array.isArray(key) && key.length === types.length && types.every((type, index) => isPart(key[index], type))
  if (!fits) throw new InvalidCursor('the cursor is not one that this list made')
  return key as CursorKey
}

/** Cuts one row more than asked for into a page. */
export const pageOf = <Row, Item>(
  rows: readonly Row[],
  limit: number,
  item: (row: Row) => Item,
  key: (row: Row) => CursorKey,
): Page<Item> => {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  return { items: shown.map(item), next: rows.length > limit && last !== undefined ? cursorText(key(last)) : null }
}
