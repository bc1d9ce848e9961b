// Owns the operations of an auditor: the log itself, whole or one stream of it, in bounded pages.
// Must never show a field that is secret, nor the data of an event whose fields nobody here knows.

import { z } from 'zod'
import { withoutSecrets } from '../domain/events.ts'
import type { Position } from '../domain/ids.ts'
import { limits } from '../domain/limits.ts'
import { type EventStore, type RecordedEvent, readEventsMax } from '../eventstore/port.ts'
import { refuse } from './errors.ts'
import { example, pageLimit, positionPattern, reply, wholeNumber } from './fields.ts'
import { type Operation, operation } from './operation.ts'

/** A page ends with the event that goes beyond: an event of a large group alone may have a mebibyte. */
const pageCharactersMax = 1_048_576
/** Longest name of a stream: `inbox-<user>~p2p:<user>:<user>`, and room. */
const streamCharactersMax = 220

const streamName = z
  .string()
  .regex(new RegExp(`^[A-Za-z]{1,32}-[!-~]{1,${streamCharactersMax}}$`), { message: 'is no name of a stream' })
  .meta({ description: "A stream's name: `group-<groupId>`, `conversation-<conversationId>`, `account-<userId>`, …" })

const eventRow = z.object({
  position: reply.position,
  stream: reply.text,
  revision: reply.count,
  id: reply.id,
  type: reply.text,
  data: z
    .record(z.string(), z.unknown())
    .optional()
    .meta({ description: 'Without what is secret. Absent for what is no fact: a cached state.' }),
})

const rowOf = (event: RecordedEvent) => {
  const { position, stream, revision, id, type } = event
  const data = withoutSecrets(event)
  return { position, stream, revision, id, type, ...(data === undefined ? undefined : { data }) }
}

interface Found {
  readonly items: readonly object[]
  /** The first event that was not looked at; undefined when all were. */
  readonly rest: RecordedEvent | undefined
}

/** As many of these events as a page holds. */
const pageFrom = (
  events: readonly RecordedEvent[],
  limit: number,
  wanted: (event: RecordedEvent) => boolean,
): Found => {
  const items: object[] = []
  let characters = 0
  for (const event of events) {
    if (!wanted(event)) continue
    if (items.length >= limit || (items.length > 0 && characters + event.text.length > pageCharactersMax)) {
      return { items, rest: event }
    }
    characters += event.text.length
    items.push(rowOf(event))
  }
  return { items, rest: undefined }
}

const eventsQuery = z.strictObject({
  from: z
    .string()
    .regex(positionPattern, { message: 'is no position: 16 hex digits' })
    .optional()
    .meta({ description: 'The first position to look at: `next` of the page before.' }),
  stream: streamName.optional().meta({ description: 'Only events of this stream.' }),
  type: z
    .string()
    .regex(/^[A-Za-z]{1,64}$/, { message: 'is no type of event' })
    .optional()
    .meta({ description: 'Only events of this type.' }),
  limit: pageLimit(limits.auditPageMax),
})

const listEvents = async (store: EventStore, { from, stream, type, limit }: z.output<typeof eventsQuery>) => {
  const isFiltered = stream !== undefined || type !== undefined
  const asked = isFiltered ? readEventsMax : limit + 1
  const events = await store.readAll({
    from: (from as Position | undefined) ?? 'start',
    direction: 'forwards',
    limit: asked,
  })
  // Of a full page the last event only tells where the next one starts.
  const last = events.length === asked ? events.at(-1) : undefined
  const { items, rest } = pageFrom(
    last === undefined ? events : events.slice(0, -1),
    limit,
    event => (stream ?? event.stream) === event.stream && (type ?? event.type) === event.type,
  )
  return { items, next: (rest ?? last)?.position ?? null }
}

const streamParams = z.strictObject({ name: streamName })
const streamQuery = z.strictObject({
  from: wholeNumber(0).optional().meta({ description: 'The first revision: `next` of the page before.' }),
  limit: pageLimit(limits.auditPageMax),
})

const noSuchStream = refuse('stream.not-found', 'There is no such stream.')

const listStream = async (
  store: EventStore,
  { name, from, limit }: z.output<typeof streamParams> & z.output<typeof streamQuery>,
) => {
  const events = await store.read(name, { from: from ?? 'start', direction: 'forwards', limit: limit + 1 })
  if (events.length === 0) {
    const [newest] = await store.read(name, { from: 'end', direction: 'backwards', limit: 1 })
    if (newest === undefined) return noSuchStream
  }
  const { items, rest } = pageFrom(events, limit, () => true)
  return { items, next: rest?.revision ?? null }
}

const exampleEvent = {
  position: example.position,
  stream: `account-${example.userId}`,
  revision: 0,
  id: '6f1c1e0a-5b7d-8c3e-a1f2-0d9b7c5a3e11',
  type: 'AccountCreated',
  data: { userId: example.userId, name: 'Ada', at: example.at },
}

const usual = {
  tag: 'admin',
  callers: ['admin'],
  frame: false,
  limit: 'admin',
  status: 200,
  method: 'GET',
} as const

/** What an auditor may read. */
export const adminAuditOperations: readonly Operation[] = [
  operation({
    ...usual,
    id: 'listEvents',
    path: '/v1/admin/events',
    summary: 'The log, in its order',
    description:
      'A page may hold fewer events than asked for, or none, and have a next one: so many are looked at for one page. Only the last page has no `next`. Personal data is shown, secrets are not.',
    query: eventsQuery,
    reply: z.object({ items: z.array(eventRow), next: reply.next }),
    rejections: [],
    example: { query: { type: 'AccountCreated' }, reply: { items: [exampleEvent], next: null } },
    run: ({ node }, _call, args) => listEvents(node.store, args),
  }),
  operation({
    ...usual,
    id: 'listStreamEvents',
    path: '/v1/admin/streams/:name',
    summary: 'One stream of the log, from its first event on',
    params: streamParams,
    query: streamQuery,
    reply: z.object({
      items: z.array(eventRow),
      next: z.int().nullable().meta({ description: 'Revision where the next page starts; null on the last one.' }),
    }),
    rejections: ['stream.not-found'],
    example: { params: { name: exampleEvent.stream }, reply: { items: [exampleEvent], next: null } },
    run: ({ node }, _call, args) => listStream(node.store, args),
  }),
]
