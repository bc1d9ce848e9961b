// Owns what must hold at the end, seen through the public API only: nothing promised is lost or doubled, numbers have no holes,
// unread is what a count over the history gives, and every replica is what a fresh device gets.

import { type Api, createApi, expectOk } from '../support/device.ts'
import { canonical, differences, quietTypes, type Row } from '../support/replica.ts'
import type { Actor, World } from './actor.ts'
import { type Ledger, readKey, type Sent } from './ledger.ts'
import { brokenPromises } from './people.ts'

const pageMax = 100
const shownFailuresMax = 20
const catchUpTriesMax = 60

export interface Check {
  readonly name: string
  /** What is wrong, in words; empty when it holds. */
  readonly failures: readonly string[]
}

/** What one user sees. */
interface View {
  readonly userId: string
  readonly conversations: ReadonlyMap<string, Row>
  readonly histories: ReadonlyMap<string, readonly Row[]>
  readonly unreadTotal: number
}

type Histories = ReadonlyMap<string, readonly Row[]>

/** Waits as long as it takes for the read models to pass the position: after a crash they may be rebuilt. */
const whenPassed = async (api: Api, token: string, position: string): Promise<void> => {
  for (let tries = 0; ; tries++) {
    const answer = await api('GET', `/v1/unread?after=${position}`, { token })
    if (answer.status === 200) return
    if (tries === catchUpTriesMax) throw new Error(`the read models do not pass ${position}: ${canonical(answer.body)}`)
    await new Promise(resolve => setTimeout(resolve, 500))
  }
}

const allPages = async (api: Api, token: string, path: string): Promise<Row[]> => {
  const rows: Row[] = []
  let cursor: string | null = null
  do {
    const suffix: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const page = expectOk(await api('GET', `${path}?limit=${pageMax}${suffix}`, { token }))
    rows.push(...page.items)
    cursor = page.next
  } while (cursor !== null)
  return rows
}

const historyOf = async (api: Api, token: string, conversationId: string): Promise<Row[]> => {
  const rows: Row[] = []
  const path = `/v1/conversations/${encodeURIComponent(conversationId)}/messages`
  for (let after = 0; ; after = Number(rows.at(-1)?.seq)) {
    const page = expectOk(await api('GET', `${path}?after=${after}&limit=${pageMax}`, { token }))
    rows.push(...page.items)
    if (!page.hasMoreAfter || page.items.length === 0) return rows
  }
}

const viewOf = async (api: Api, actor: Actor, position: string): Promise<View> => {
  const token = await actor.token()
  await whenPassed(api, token, position)
  const rows = await allPages(api, token, '/v1/conversations')
  const histories = new Map<string, readonly Row[]>()
  for (const { conversationId } of rows) {
    histories.set(String(conversationId), await historyOf(api, token, String(conversationId)))
  }
  const unread = expectOk(await api('GET', '/v1/unread', { token }))
  return {
    userId: actor.userId,
    conversations: new Map(rows.map(row => [String(row.conversationId), row])),
    histories,
    unreadTotal: unread.total,
  }
}

/** The history of each conversation as somebody sees it who was there from the first message on. */
const wholeHistories = (views: readonly View[], world: World): Map<string, readonly Row[]> => {
  const whole = new Map<string, readonly Row[]>()
  for (const { userId, histories } of views) {
    for (const [conversationId, rows] of histories) {
      const owner = world.owners.get(conversationId.slice('group:'.length))
      if (owner === undefined || owner === userId) whole.set(conversationId, rows)
    }
  }
  return whole
}

const withoutHoles = (whole: Histories): string[] =>
  [...whole].flatMap(([conversationId, rows]) =>
    rows.flatMap((row, index) =>
      row.seq === index + 1 ? [] : [`${conversationId}: seq ${row.seq} at place ${index + 1}`],
    ),
  )

const keyOf = (from: unknown, clientMessageId: unknown): string => `${from} ${clientMessageId}`

const exactlyOnce = (whole: Histories, ledger: Ledger): string[] => {
  const found = new Map<string, Row>()
  const failures: string[] = []
  for (const row of [...whole.values()].flat()) {
    const key = keyOf(row.from, row.clientMessageId)
    if (found.has(key)) failures.push(`twice: ${canonical(row)} and ${canonical(found.get(key))}`)
    found.set(key, row)
  }
  for (const sent of ledger.sent) {
    const row = found.get(keyOf(sent.from, sent.clientMessageId))
    const problem = problemOf(sent, row)
    if (problem !== undefined) failures.push(`${sent.text}: ${problem}`)
  }
  return failures
}

const problemOf = (sent: Sent, row: Row | undefined): string | undefined => {
  if (sent.outcome === 'refused') return row === undefined ? undefined : `refused, and still there at ${row.seq}`
  if (sent.outcome === 'open') return 'never got a definite answer'
  if (row === undefined) return `acknowledged at ${sent.seq}, and not there`
  if (row.seq !== sent.seq || row.conversationId !== sent.conversationId)
    return `acknowledged at ${sent.seq}, is at ${row.seq}`
  if (row.recalled === undefined && (row.body as Row).text !== sent.text)
    return `has another text: ${canonical(row.body)}`
  return undefined
}

const inOrder = (ledger: Ledger): string[] => {
  const lines = new Map<string, Sent>()
  const failures: string[] = []
  for (const sent of ledger.sent) {
    if (sent.outcome !== 'acknowledged' || sent.wasRefused) continue
    const before = lines.get(sent.line)
    if (before !== undefined && before.seq >= sent.seq)
      failures.push(`${sent.text} at ${sent.seq}, ${before.text} at ${before.seq}`)
    lines.set(sent.line, sent)
  }
  return failures
}

const recalls = (whole: Histories, ledger: Ledger): string[] => {
  const rows = new Map([...whole.values()].flat().map(row => [`${row.conversationId}#${row.seq}`, row]))
  return [...ledger.recalled].flatMap(id => (rows.get(id)?.recalled === undefined ? [`${id} is not recalled`] : []))
}

const countedUnread = (view: View, conversationId: string): number => {
  const row = view.conversations.get(conversationId) as Row
  const rows = view.histories.get(conversationId) ?? []
  return rows.filter(
    message =>
      Number(message.seq) > Number(row.readSeq) &&
      !quietTypes.has(message.type) &&
      message.from !== view.userId &&
      message.recalled === undefined,
  ).length
}

const unreadCounts = (views: readonly View[]): string[] =>
  views.flatMap(view => {
    const failures = [...view.conversations].flatMap(([conversationId, row]) => {
      const counted = countedUnread(view, conversationId)
      return row.unread === counted ? [] : [`${view.userId} ${conversationId}: says ${row.unread}, has ${counted}`]
    })
    const sum = [...view.conversations.values()].reduce((total, row) => total + Number(row.unread), 0)
    return sum === view.unreadTotal ? failures : [...failures, `${view.userId}: total ${view.unreadTotal}, sum ${sum}`]
  })

const readMarks = (views: readonly View[], ledger: Ledger): string[] =>
  views.flatMap(({ userId, conversations }) =>
    [...conversations].flatMap(([conversationId, row]) => {
      const promised = ledger.read.get(readKey(userId, conversationId)) ?? 0
      return Number(row.readSeq) >= promised
        ? []
        : [`${userId} ${conversationId}: read to ${row.readSeq}, not ${promised}`]
    }),
  )

/** The last message that tells the group that this user is out; undefined for one who never was. */
const lastRemovalOf = (userId: string, rows: readonly Row[]): Row | undefined =>
  rows.findLast(row => {
    const { event, by, targets } = row.body as { event?: string; by?: string; targets?: readonly string[] }
    const isTarget = targets?.includes(userId) === true
    return event === 'memberLeft' ? isTarget || by === userId : event === 'memberRemoved' && isTarget
  })

/** Everybody's page of a conversation is a part of the whole, row for row; who is out has nothing after having been put out. */
const sameForAll = (views: readonly View[], whole: Histories): string[] =>
  views.flatMap(({ userId, histories, conversations }) =>
    [...histories].flatMap(([conversationId, rows]) => {
      const all = whole.get(conversationId) ?? []
      const failures = rows.flatMap(row =>
        canonical(row) === canonical(all[Number(row.seq) - 1])
          ? []
          : [`${userId} sees another ${conversationId}#${row.seq}`],
      )
      const removal = lastRemovalOf(userId, all)
      const isOut = conversations.get(conversationId)?.active === false
      const last = Number(rows.at(-1)?.seq ?? 0)
      if (isOut && removal !== undefined && last >= Number(removal.seq)) {
        failures.push(`${userId} was put out of ${conversationId} before ${removal.seq} and sees ${last}`)
      }
      return failures
    }),
  )

const convergence = async (actors: readonly Actor[]): Promise<string[]> => {
  const failures: string[] = []
  for (const actor of actors) {
    const device = await actor.online()
    await device.waitFor(() => device.settled, 'the unread counts')
    const held = device.state.clone()
    const fresh = await actor.afresh()
    const found = differences(held, fresh.state)
    failures.push(...found.slice(0, 5).map(text => `${actor.name}: held / fresh: ${text}`))
    if (found.length > 5) failures.push(`${actor.name}: ${found.length - 5} more differences`)
  }
  return failures
}

const check = (name: string, failures: readonly string[]): Check => ({
  name,
  failures: failures.slice(0, shownFailuresMax),
})

/** Looks at everything, once nothing moves any more. @param position of the last event of the driver */
export const checkAll = async (world: World, actors: readonly Actor[], position: string): Promise<Check[]> => {
  const api = createApi(world.httpUrl)
  const views: View[] = []
  for (const actor of actors) views.push(await viewOf(api, actor, position))
  const whole = wholeHistories(views, world)
  const { ledger } = world
  return [
    check('nothing went wrong on the way', ledger.failures),
    check('seq has no holes', withoutHoles(whole)),
    check('every acknowledged message is there exactly once, no refused one is', exactlyOnce(whole, ledger)),
    check('the order of each sender is kept', inOrder(ledger)),
    check('acknowledged recalls stand', recalls(whole, ledger)),
    check('acknowledged read marks stand', readMarks(views, ledger)),
    check('acknowledged changes of profiles, friends and groups stand', await brokenPromises(api, actors, world)),
    check('unread is what a count over the history gives', unreadCounts(views)),
    check('everybody sees the same, and nobody anything after having left', sameForAll(views, whole)),
    check('every replica equals a fresh one', await convergence(actors)),
  ]
}
