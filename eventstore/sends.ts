// Owns exactly-once sending: a send is known by (sender, clientMessageId). Keeps the keys of the last minutes of the log in
// memory; a conversation's head and these keys move together, so an append at the exact head has seen every key before it.
// Older keys are looked up in the read models, once they have passed what memory no longer knows.

import type { MessageContent } from '../domain/conversation/bodies.ts'
import type { MessageSent, NotificationContent } from '../domain/conversation/events.ts'
import { type Rejection, reject } from '../domain/decider.ts'
import { type ConversationId, type Position, type UserId, unixMsOfUuidV7 } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import type { Clock } from './clock.ts'
import { type EventStore, positionBeforeAll, type RecordedEvent, readEventsMax } from './port.ts'

/** What is remembered of a send. */
export interface SentMessage {
  readonly conversationId: ConversationId
  readonly seq: number
  readonly at: string
  readonly position: Position
  /** Tells other content under the same key from a repeat. */
  readonly contentHash: number
}

/** Age and number of remembered keys: at 15,000 messages a second the number lasts 40 s. */
export const sendKeyAgeMsMax = 300_000
export const sendKeysMax = 600_000
/** An id may be this much ahead of the clock that accepted it, and clocks of nodes this much apart. */
const keyTimeMarginMs = limits.clientClockAheadSecondsMax * 1_000 + 10_000

export interface RecentSends {
  /** Reads the keys of the last minutes of the log, up to `head` (inclusive). */
  load(store: EventStore, head: Position): Promise<void>
  observe(events: readonly RecordedEvent[]): void
  add(from: UserId, clientMessageId: string, sent: SentMessage): void
  find(from: UserId, clientMessageId: string): SentMessage | undefined
  /**
   * Whether memory alone can tell that a key made at `madeMs` was never used; else the read models past `forgotten` must be asked.
   * @param madeMs milliseconds since 1970, undefined when the key does not tell
   */
  decides(madeMs: number | undefined): boolean
  /** Everything up to here may be forgotten. */
  readonly forgotten: Position
  readonly size: number
}

interface RememberedSend {
  readonly from: UserId
  readonly sent: SentMessage
  readonly isJoined: boolean
}

type HashedContent = MessageContent | NotificationContent

/** All that tells two contents apart, as text. JSON of a body is the same once more, in the log and read from it. */
const textOf = (content: HashedContent): string => {
  if (content.type === 'text' && content.subType === undefined) return `${content.body.text}\n${content.ext ?? ''}`
  const said = JSON.stringify(content.body)
  if (content.type === 'notification') return said
  return `${content.type} ${content.subType ?? ''}\n${said}\n${content.ext ?? ''}`
}

/** FNV-1a over its UTF-16 units: cheap, and only ever compared under one sender's own key. */
export const contentHashOf = (content: HashedContent, asksReceipts = false): number => {
  const said = textOf(content)
  const text = asksReceipts ? `${said}\nreceipt` : said
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return hash
}

const sentOf = (data: MessageSent['data'], position: Position): SentMessage => ({
  conversationId: data.conversationId,
  seq: data.seq,
  at: data.at,
  position,
  contentHash: contentHashOf(data, data.receiptsFrom !== undefined),
})

/** The latest time that an event of the page tells; undefined when none does. */
const newestMsOf = (page: readonly RecordedEvent[]): number | undefined => {
  let newest: number | undefined
  for (const { data } of page) {
    const unixMs = 'at' in data && typeof data.at === 'string' ? Date.parse(data.at) : Number.NaN
    if (unixMs > (newest ?? 0)) newest = unixMs
  }
  return newest
}

/** @param keysMax most keys remembered; older ones are forgotten, by the thousand */
export const createRecentSends = (clock: Clock, keysMax: number = sendKeysMax): RecentSends => {
  // By the id alone, which is unique but for misuse, and whose hash its string keeps: joining it to the sender would cost a new
  // string and a new hash at every look. Only a second sender's use of the same id gets a joined key.
  const keys = new Map<string, RememberedSend>()
  let joinedKeys = 0
  let forgottenMs = 0
  let forgotten = positionBeforeAll

  const joined = (from: UserId, clientMessageId: string) => `${clientMessageId}\n${from}`

  const find = (from: UserId, clientMessageId: string): SentMessage | undefined => {
    const first = keys.get(clientMessageId)
    if (first?.from === from) return first.sent
    return joinedKeys === 0 ? undefined : keys.get(joined(from, clientMessageId))?.sent
  }

  const forgetOld = () => {
    const oldestMs = clock.unixMs() - sendKeyAgeMsMax
    for (const [key, { sent, isJoined }] of keys) {
      const sentMs = Date.parse(sent.at)
      if (keys.size <= keysMax && sentMs >= oldestMs) return
      keys.delete(key)
      if (isJoined) joinedKeys--
      forgottenMs = Math.max(forgottenMs, sentMs)
      if (sent.position > forgotten) forgotten = sent.position
    }
  }
  let addedSinceForgetting = 0

  /** The key that a send is to be remembered by; undefined: it is remembered already. */
  const newKey = (from: UserId, clientMessageId: string): string | undefined => {
    const first = keys.get(clientMessageId)
    if (first === undefined) return clientMessageId
    if (first.from === from) return undefined
    const key = joined(from, clientMessageId)
    return keys.has(key) ? undefined : key
  }

  const add = (from: UserId, clientMessageId: string, sent: SentMessage) => {
    const key = newKey(from, clientMessageId)
    if (key === undefined) return
    const isJoined = key !== clientMessageId
    if (isJoined) joinedKeys++
    keys.set(key, { from, sent, isJoined })
    if (++addedSinceForgetting >= 1_000) {
      addedSinceForgetting = 0
      forgetOld()
    }
  }

  return {
    load: async (store, head) => {
      if (head === positionBeforeAll) return
      const oldestMs = clock.unixMs() - sendKeyAgeMsMax
      const found: Parameters<typeof add>[] = []
      for (let from = head; ; ) {
        const page = await store.readAll({ from, direction: 'backwards', limit: readEventsMax })
        for (const event of from === head ? page : page.slice(1)) {
          if (event.type !== 'MessageSent') continue
          const data = event.data as MessageSent['data']
          found.push([data.from, data.clientMessageId, sentOf(data, event.position)])
        }
        const last = page.at(-1)
        if (last === undefined || page.length < readEventsMax) break
        // Any event tells how far back this is: a log may hold few messages between many others.
        const pageMs = newestMsOf(page)
        if (found.length >= keysMax || (pageMs !== undefined && pageMs < oldestMs)) {
          forgottenMs = pageMs ?? clock.unixMs()
          forgotten = last.position
          break
        }
        from = last.position
      }
      for (const sent of found.reverse()) add(...sent)
    },
    observe: events => {
      for (const event of events) {
        if (event.type !== 'MessageSent') continue
        const data = event.data as MessageSent['data']
        if (find(data.from, data.clientMessageId) !== undefined) continue
        add(data.from, data.clientMessageId, sentOf(data, event.position))
      }
    },
    add,
    find,
    decides: madeMs =>
      forgotten === positionBeforeAll || (madeMs !== undefined && madeMs - keyTimeMarginMs > forgottenMs),
    get forgotten() {
      return forgotten
    },
    get size() {
      return keys.size
    },
  }
}

/** Refuses an id from the future: memory could not vouch for it later. */
export const clockAhead = (clock: Clock, clientMessageId: string): Rejection | undefined => {
  const unixMs = unixMsOfUuidV7(clientMessageId)
  if (unixMs === undefined || unixMs <= clock.unixMs() + limits.clientClockAheadSecondsMax * 1_000) return undefined
  return reject(
    'message.clock-ahead',
    `clientMessageId is more than ${limits.clientClockAheadSecondsMax} s ahead of the server. Correct the clock by serverTime.`,
    { serverTime: clock.now() },
  )
}
