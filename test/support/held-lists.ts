// Owns the client without a socket: it reads the lists of its user whole once, page by page, and from then on only what changed
// since (api.md, 1). What it then holds must be the whole list, whatever was done while it read and afterwards.

import { type Arguments, operationNamed } from './operation-request.ts'
import { type Row, rowDifference } from './replica.ts'

/** Runs an operation. @returns its reply */
type Ask = (op: string, args: Arguments) => Promise<Row>

/** Every list that takes `since`, with the field that its rows are known by. */
export const incrementalLists: Readonly<Record<string, string>> = {
  listFriends: 'userId',
  listFriendRequests: 'userId',
  listBlocked: 'userId',
  listGroups: 'groupId',
  listGroupInvitations: 'groupId',
  listConversations: 'conversationId',
  listNotifications: 'notificationId',
  listSessions: 'sessionId',
}

/** Small, so that much happens between two pages. */
const pageRows = 2

interface HeldList {
  readonly rows: ReadonlyMap<string, Row>
  /** That of the first page, later that of the last answer. */
  readonly cursor: unknown
}

export type HeldLists = ReadonlyMap<string, HeldList>

const byId = (op: string, { items }: Row): (readonly [string, Row])[] =>
  (items as readonly Row[]).map(row => [String(row[incrementalLists[op] ?? '']), row] as const)

const wholeList = async (ask: Ask, op: string): Promise<HeldList> => {
  const limit = 'limit' in operationNamed(op).query.shape ? { limit: pageRows } : {}
  const first = await ask(op, limit)
  const rows = new Map(byId(op, first))
  for (let { next } = first; next !== null; ) {
    const page = await ask(op, { ...limit, cursor: next })
    for (const [id, row] of byId(op, page)) rows.set(id, row)
    next = page.next
  }
  return { rows, cursor: first.cursor }
}

const caughtUp = async (ask: Ask, op: string, { rows, cursor }: HeldList): Promise<HeldList> => {
  const changes = await ask(op, { since: cursor })
  const now = new Map([...rows, ...byId(op, changes)])
  for (const id of changes.removed as readonly string[]) now.delete(id)
  return { rows: now, cursor: changes.cursor }
}

const ofEach = async (one: (op: string) => Promise<HeldList>): Promise<HeldLists> => {
  const lists = new Map<string, HeldList>()
  for (const op of Object.keys(incrementalLists)) lists.set(op, await one(op))
  return lists
}

/** Reads all lists whole. */
export const readLists = (ask: Ask): Promise<HeldLists> => ofEach(op => wholeList(ask, op))

/** Asks each list for what changed since; what was held stays as it was. */
export const catchUp = (ask: Ask, lists: HeldLists): Promise<HeldLists> =>
  ofEach(op => caughtUp(ask, op, lists.get(op) as HeldList))

/** What keeps held lists, once they have caught up, from being the whole lists as they are; empty when nothing does. */
export const listDifferences = async (ask: Ask, lists: HeldLists): Promise<string[]> => {
  const [held, whole] = [await catchUp(ask, lists), await readLists(ask)]
  return [...whole].flatMap(([op, { rows }]) => {
    const ours = held.get(op)?.rows
    return [...new Set([...(ours?.keys() ?? []), ...rows.keys()])].flatMap(id => {
      const difference = rowDifference(ours?.get(id), rows.get(id))
      return difference === undefined ? [] : [`${op} ${id}, since a cursor / whole: ${difference}`]
    })
  })
}
