// Owns what it means that a device has converged: its replica is a fresh snapshot on what both hold, the lists over HTTP say
// the same, and unread is what a count over the history gives. Tells every difference in words instead of failing at the first.

import type { Device } from './device.ts'
import { expectOk } from './device.ts'
import { type HeldLists, listDifferences } from './held-lists.ts'
import { type Arguments, operationNamed, requestOf } from './operation-request.ts'
import {
  canonical,
  differences,
  quietTypes,
  Replica,
  type Row,
  rowDifference,
  rowId,
  type ServerFrame,
} from './replica.ts'
import type { Reached } from './service.ts'

const pageItems = 100

export interface Viewer {
  readonly userId: string
  readonly token: string
  /** A signed-in device without a socket, for taking everything afresh. */
  readonly spare: { readonly accessToken: string }
  /** What a client without a socket has read at some time before. */
  readonly lists?: HeldLists | undefined
}

type Calls = Pick<Reached, 'api'>
type Get = (path: string) => Promise<ReturnType<typeof expectOk>>

const gettingAs =
  (service: Calls, token: string): Get =>
  async path =>
    expectOk(await service.api('GET', path, { token }))

/** All items of a list, page by page. */
const wholeList = async (get: Get, path: string): Promise<Row[]> => {
  const items: Row[] = []
  let next: string | null = null
  do {
    const cursor: string = next === null ? '' : `&cursor=${encodeURIComponent(next)}`
    const page = await get(`${path}?limit=3${cursor}`)
    items.push(...page.items)
    next = page.next
  } while (next !== null)
  return items
}

/** All messages that the user sees of a conversation, by seq. */
export const wholeHistory = async (get: Get, conversationId: string): Promise<Row[]> => {
  const items: Row[] = []
  for (;;) {
    const after = items.at(-1)?.seq ?? 0
    const page = await get(
      `/v1/conversations/${encodeURIComponent(conversationId)}/messages?after=${after}&limit=${pageItems}`,
    )
    items.push(...page.items)
    if (!page.hasMoreAfter) return items
  }
}

/** What `GET /v1/sync` gives, as a replica; on top of what is held when a cursor is given. */
const syncedOverHttp = async (get: Get, userId: string, held?: Replica): Promise<Replica> => {
  const since = held === undefined ? '' : `?since=${encodeURIComponent(held.cursor)}`
  const { rows, reset, cursor } = await get(`/v1/sync${since}`)
  const replica = held?.clone() ?? new Replica({ userId })
  if (reset) replica.reset()
  for (const frame of rows as ServerFrame[]) replica.apply(frame)
  replica.cursor = cursor
  return replica
}

const said = (what: string, found: readonly string[]): string[] => found.map(text => `${what}: ${text}`)

const compareRows = (what: string, list: readonly Row[], name: string, fresh: Replica): string[] => {
  const held = fresh.collection(name)
  const listed = new Map(list.map(row => [rowId(name, row), row]))
  const ids = new Set([...held.keys(), ...listed.keys()])
  return [...ids].flatMap(id => {
    const difference = rowDifference(listed.get(id), held.get(id))
    return difference === undefined ? [] : [`${what} ${id}, listed / fresh: ${difference}`]
  })
}

/** What a device counts by the user's marks, against what the list says. */
const miscounted = async (get: Get, fresh: Replica): Promise<string[]> => {
  const marks = fresh.collection('readMarks').get('readMarks')
  const rows = [...fresh.collection('notifications').values()]
  const counted = rows.filter(({ position }) => String(position) > String(marks?.notifications ?? '')).length
  const { unread } = await get('/v1/notifications?limit=1')
  const requests = [...fresh.collection('friendRequests').values()]
  const waiting = requests.filter(({ state, direction }) => state === 'pending' && direction === 'incoming')
  const fromMark = (row: Row) => String(row.position) > String(marks?.friendRequests ?? '')
  const countedRequests = waiting.filter(fromMark).length
  const { unread: unreadRequests } = await get('/v1/friend-requests?limit=1')
  return [
    ...(unread === counted ? [] : [`unread notifications: ${unread}, counted ${counted}`]),
    ...(unreadRequests === countedRequests ? [] : [`unread requests: ${unreadRequests}, counted ${countedRequests}`]),
  ]
}

/** Pinned first, then by the last message, the newest first. */
const misplaced = (list: readonly Row[]): string[] => {
  const keys = list.map(row => `${row.pinnedAt === null ? 0 : 1} ${(row.lastMessage as Row | null)?.at ?? ''}`)
  return keys.flatMap((key, index) => {
    const before = keys[index - 1]
    // A cleared conversation has no last message to compare by.
    const known = before?.endsWith('Z') && key.endsWith('Z')
    return known && before !== undefined && before < key ? [`order of conversations: ${before} before ${key}`] : []
  })
}

/** The own row with its private fields, everybody else's without. */
const usersOverHttp = async (get: Get, userId: string, fresh: Replica): Promise<Row[]> => {
  const others = [...fresh.collection('users').keys()].filter(id => id !== userId)
  const { items } = others.length === 0 ? { items: [] } : await get(`/v1/users?ids=${others.join(',')}`)
  return [await get('/v1/users/me'), ...items]
}

const countedUnread = (row: Row, history: readonly Row[], userId: string): number =>
  history.filter(
    message =>
      Number(message.seq) > Number(row.readSeq) &&
      !quietTypes.has(message.type) &&
      message.from !== userId &&
      message.recalled === undefined,
  ).length

/** Who has read the user's own messages, against how many have (R34). */
const compareReceipts = async (get: Get, userId: string, history: readonly Row[]): Promise<string[]> => {
  const found: string[] = []
  for (const { conversationId, seq, from, receipt } of history) {
    if (from !== userId || receipt === undefined || receipt === null) continue
    const path = `/v1/conversations/${encodeURIComponent(String(conversationId))}/messages/${seq}/receipts`
    const read = await get(`${path}?state=read`)
    const unread = await get(`${path}?state=unread`)
    const listed = [
      receipt,
      { read: read.read, unread: unread.unread },
      { read: read.items.length, unread: unread.items.length },
    ].map(canonical)
    if (new Set(listed).size > 1) found.push(`receipts of ${conversationId}#${seq}: ${listed.join(' / ')}`)
  }
  return found
}

/** The list, the counters and the history against each other and against what a device is given. */
const compareHttp = async (get: Get, userId: string, fresh: Replica): Promise<[string[], Map<string, Row>]> => {
  const conversations = await wholeList(get, '/v1/conversations')
  const found = [
    ...compareRows('conversations', conversations, 'conversations', fresh),
    ...misplaced(conversations),
    ...compareRows('users', await usersOverHttp(get, userId, fresh), 'users', fresh),
    ...compareRows('groups', await wholeList(get, '/v1/groups'), 'groups', fresh),
    ...compareRows('friends', await wholeList(get, '/v1/friends'), 'friends', fresh),
    ...compareRows('friendRequests', await wholeList(get, '/v1/friend-requests'), 'friendRequests', fresh),
    ...compareRows('blocklist', await wholeList(get, '/v1/blocklist'), 'blocklist', fresh),
    ...compareRows('notifications', await wholeList(get, '/v1/notifications'), 'notifications', fresh),
    ...(await miscounted(get, fresh)),
    ...compareRows('sessions', (await get('/v1/sessions')).items, 'sessions', fresh),
  ]
  const visible = new Map<string, Row>()
  for (const row of conversations) {
    const id = String(row.conversationId)
    const history = await wholeHistory(get, id)
    for (const message of history) visible.set(rowId('messages', message), message)
    found.push(...(await compareReceipts(get, userId, history)))
    const counted = countedUnread(row, history, userId)
    if (counted !== row.unread) found.push(`unread of ${id}: ${row.unread}, counted ${counted}`)
    const last = history.at(-1) ?? null
    if (canonical(last) !== canonical(row.lastMessage)) {
      found.push(`last message of ${id}: ${canonical(row.lastMessage)} / history ${canonical(last)}`)
    }
    const one = await get(`/v1/conversations/${encodeURIComponent(id)}`)
    if (canonical(one) !== canonical(row)) found.push(`conversation ${id}: ${canonical(one)} / ${canonical(row)}`)
  }
  const heeded = conversations.filter(row => row.doNotDisturb !== true && row.reminder !== 'none')
  const unread = heeded.reduce((sum, row) => sum + Number(row.unread), 0)
  const { total } = await get('/v1/unread')
  if (total !== unread) found.push(`unread in all: ${total}, of the rows ${unread}`)
  return [found, visible]
}

/** Messages that a device holds although the user may not see them, or not like this. */
const compareHeld = (held: Replica, visible: ReadonlyMap<string, Row>): string[] =>
  [...held.collection('messages')].flatMap(([id, message]) => {
    const conversation = held.collection('conversations').get(String(message.conversationId))
    // Of a conversation that is in no list the device keeps what it has.
    if (conversation === undefined) return []
    const difference = rowDifference(message, visible.get(id))
    return difference === undefined ? [] : [`message ${id}, held / history: ${difference}`]
  })

/** Rows of members of groups that a device has opened, against the list. */
const compareMembers = async (get: Get, held: Replica, groupIds: Iterable<string>): Promise<string[]> => {
  const found: string[] = []
  for (const groupId of groupIds) {
    if (!held.collection('groups').has(groupId)) continue
    const listed = await wholeList(get, `/v1/groups/${groupId}/members`)
    const only = new Replica({ userId: held.userId })
    for (const [id, row] of held.collection('members'))
      if (row.groupId === groupId) only.collection('members').set(id, row)
    found.push(...compareRows(`members of ${groupId}`, listed, 'members', only))
  }
  return found
}

export interface HeldDevice {
  readonly name: string
  readonly device: Device
  /** Groups whose members it has opened. */
  readonly opened?: ReadonlySet<string>
  /** What it has stored at some time before. */
  readonly earlier?: Replica | undefined
}

/**
 * Everything that keeps a user's devices from being equal to a fresh snapshot; empty when they have converged.
 * Only once all is quiet: see quiet.ts.
 */
export const divergence = async (
  service: Pick<Reached, 'api' | 'connect'>,
  viewer: Viewer,
  devices: readonly HeldDevice[],
): Promise<string[]> => {
  const get = gettingAs(service, viewer.token)
  const socket = await service.connect(viewer.spare)
  const fresh = socket.state
  await socket.close()
  const [found, visible] = await compareHttp(get, viewer.userId, fresh)
  const ask = (op: string, args: Arguments) => get(requestOf(operationNamed(op), args).path)
  if (viewer.lists !== undefined) found.push(...(await listDifferences(ask, viewer.lists)))
  found.push(...said('GET /v1/sync', differences(await syncedOverHttp(get, viewer.userId), fresh)))
  for (const { name, device, opened = new Set<string>(), earlier } of devices) {
    found.push(...said(name, differences(device.state, fresh)))
    found.push(...said(name, compareHeld(device.state, visible)))
    found.push(...said(name, await compareMembers(get, device.state, opened)))
    if (earlier === undefined || earlier.cursor === '') continue
    const caughtUp = await syncedOverHttp(get, viewer.userId, earlier)
    found.push(...said(`${name}, GET /v1/sync since a cursor`, differences(caughtUp, fresh)))
  }
  return found
}
