// Owns the incremental lists: what of one's own things changed since a cursor. The cursor is that of the sync,
// `<logId>.<version of the read models>.<position>`; one of another log, other read models or from beyond the end is too old.

import { z } from 'zod'
import type { Position } from '../domain/ids.ts'
import type { Changes, PlacedPage, TextPage, TooOld } from '../projections/page.ts'
import { readModelsVersion } from '../projections/schema.ts'
import type { OperationDependencies } from './dependencies.ts'
import { type Refusal, refuse } from './errors.ts'
import { pageCursor, pageLimit, positionPattern, reply, sinceCursor } from './fields.ts'
import { type RawJson, rawJson } from './operation.ts'

export const tooOld: Refusal = refuse(
  'sync.too-old',
  'The cursor is too old, or of another log. Drop what you hold and fetch it whole, without a cursor.',
)

/** The query of a list that can also be asked for its changes. */
export const incrementalQuery = z
  .strictObject({ limit: pageLimit(), cursor: pageCursor.optional(), since: sinceCursor.optional() })
  .superRefine((fields, context) => {
    if (fields.since === undefined || fields.cursor === undefined) return
    context.addIssue({ code: 'custom', message: 'does not go with since: changes come in one reply', path: ['cursor'] })
  })

/** For such a query with filters, which do not go with `since`: what no longer passes one could not be told. */
export const withoutSince =
  (...filters: readonly string[]) =>
  (fields: object, context: z.core.$RefinementCtx): void => {
    const given = fields as Readonly<Record<string, unknown>>
    if (given.since === undefined) return
    for (const name of filters) {
      if (given[name] === undefined) continue
      context.addIssue({ code: 'custom', message: 'does not go with since: all changes come', path: [name] })
    }
  }

/** Such a list's reply: a page, or with `since` the changes. */
export const incrementalReply = (item: z.ZodType) =>
  z.object({
    items: z.array(item),
    next: reply.next.optional(),
    removed: z.array(reply.id).optional().meta({ description: 'With `since`: ids of what is gone.' }),
    cursor: reply.text.meta({
      description:
        'For `since`, the next time. Of a list that is fetched page by page keep that of the first page, also where the pages are filtered: what changes meanwhile is told again.',
    }),
  })

/** The position a cursor stands for; undefined when it is not of this log and these read models. */
export const positionOfCursor = (logId: string, cursor: string): Position | undefined => {
  const prefix = `${logId}.${readModelsVersion}.`
  const position = cursor.slice(prefix.length)
  return cursor.startsWith(prefix) && positionPattern.test(position) ? (position as Position) : undefined
}

const cursorAt = ({ node }: OperationDependencies, position: Position): string =>
  `${node.store.logId}.${readModelsVersion}.${position}`

/** A page with the cursor from which on its list can be asked for changes. */
export const pageWithCursor = async <Whole extends PlacedPage<unknown>>(
  dependencies: OperationDependencies,
  found: Promise<Whole>,
): Promise<Omit<Whole, 'position'> & { readonly cursor: string }> => {
  const { position, ...page } = await found
  return { ...page, cursor: cursorAt(dependencies, position) }
}

/** The same for a page whose items are JSON texts, joined by commas. */
export const textPageWithCursor = (dependencies: OperationDependencies, { items, next, position }: TextPage): RawJson =>
  rawJson(`{"items":[${items}],"next":${JSON.stringify(next)},"cursor":"${cursorAt(dependencies, position)}"}`)

/** Runs a query for changes since a cursor. */
export const changesSince = async <Item>(
  dependencies: OperationDependencies,
  cursor: string,
  changes: (since: Position) => Promise<Changes<Item> | TooOld>,
): Promise<{ items: readonly Item[]; removed: readonly string[]; cursor: string } | Refusal> => {
  const { node } = dependencies
  const since = positionOfCursor(node.store.logId, cursor)
  if (since === undefined) return tooOld
  const found = await changes(since)
  if (found === 'too-old') return tooOld
  const { items, removed, position } = found
  const behind = since > position
  if (behind && since > node.position) return tooOld
  // The live room may be ahead of the read models: a cursor never goes back.
  const reached = behind ? since : position
  return { items, removed, cursor: cursorAt(dependencies, reached) }
}
