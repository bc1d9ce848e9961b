// Owns how the frames of the socket look to clients, why it closes, and its limits: the live room holds itself to this and the
// documentation is made from it. It stands here, beside the rows, because api and realtime both read it. Pure.

import { z } from 'zod'
import { collections, openCollections } from './rows.ts'

/** What bounds one socket; the rest of the machinery's bounds stand in the live room. */
export const socketLimits = {
  /** Time and bytes a socket may take before its `hello`. */
  helloMsMax: 10_000,
  helloBytesMax: 4 * 1024,
  /** Largest frame a client may send; the same as an HTTP body. */
  frameBytesMax: 64 * 1024,
  /** Largest piece of a sync. */
  pieceBytesMax: 64 * 1024,
  /** Seconds without a byte from the device after which it counts as gone; pings go out before. */
  heartbeatSeconds: 120,
  /** A cursor is sent at least this often. */
  atIntervalSeconds: 60,
  /** Characters of a frame's `id`, and of its `key`. */
  frameIdCharactersMax: 64,
  frameKeyCharactersMax: 64,
  /** Frames one socket may send: a bucket of so many, refilled at so many a second. */
  framesBurstMax: 400,
  framesPerSecondMax: 100,
  /** Commands of one socket that may be under way. */
  pendingPerSocketMax: 256,
  /** Groups whose members a socket may watch at once. */
  openGroupsMax: 20,
  /** Times one socket may say that its user types: a bucket of so many, refilled at so many a second. */
  typingBurstMax: 10,
  typingPerSecondMax: 1,
  /** Seconds after which a device stops showing that somebody is typing. */
  typingSeconds: 6,
} as const

/** What a device does after a close. */
export const reconnects = ['now', 'later', 'refresh', 'never'] as const
export type Reconnect = (typeof reconnects)[number]

interface Close {
  readonly code: number
  /** A code, as in errors. */
  readonly reason: string
  readonly reconnect: Reconnect
  readonly meaning: string
}

/** Every close the server makes by itself. */
export const closes = {
  badFrame: { code: 4400, reason: 'frame.invalid', reconnect: 'later', meaning: 'A frame was no frame.' },
  tokenExpired: {
    code: 4401,
    reason: 'token.expired',
    reconnect: 'refresh',
    meaning: 'The access token of the hello has expired: refresh it, then connect.',
  },
  tokenInvalid: {
    code: 4403,
    reason: 'token.invalid',
    reconnect: 'never',
    meaning: 'The token of the hello is none of ours: sign in again.',
  },
  ended: {
    code: 4403,
    reason: 'session.ended',
    reconnect: 'never',
    meaning: 'The device was signed out, kicked or banned: sign in again.',
  },
  banned: {
    code: 4403,
    reason: 'account.banned',
    reconnect: 'never',
    meaning: 'The account of the hello is banned: signing in says until when.',
  },
  noHello: { code: 4408, reason: 'hello.timeout', reconnect: 'later', meaning: 'No hello came in time.' },
  replaced: {
    code: 4409,
    reason: 'socket.replaced',
    reconnect: 'never',
    meaning: 'The same device has opened a newer socket.',
  },
  tooLarge: { code: 1009, reason: 'request.too-large', reconnect: 'later', meaning: 'A frame was too large.' },
  tooFast: { code: 4429, reason: 'rate.limited', reconnect: 'later', meaning: 'Far too many frames.' },
  internal: { code: 4500, reason: 'internal', reconnect: 'later', meaning: 'Something went wrong on the server.' },
  draining: { code: 4503, reason: 'server.draining', reconnect: 'later', meaning: 'The server shuts down.' },
  behind: { code: 4503, reason: 'server.behind', reconnect: 'later', meaning: 'The server is behind the event log.' },
  busy: { code: 4503, reason: 'server.busy', reconnect: 'later', meaning: 'Too many devices sync at once.' },
} as const satisfies Record<string, Close>

export type CloseName = keyof typeof closes

/** Code of the closes that meet many devices at once: each is told another time to come back. */
export const closesMany = 4503

/** Closes without a `bye`, made by the protocol itself. */
export const silentCloses: readonly Omit<Close, 'reason'>[] = [
  {
    code: 1006,
    reconnect: 'now',
    meaning:
      'The connection broke, the device was too slow, or a frame was against the protocol or more than twice too large: connect and resume.',
  },
]

const again = { retryable: true, retryAfterSeconds: 1 } as const
const final = { retryable: false } as const

/** What the socket itself refuses with; the codes that HTTP has as well mean the same there. */
export const socketErrors = {
  'frame.invalid': { title: 'Bad frame', ...final },
  'sync.under-way': { title: 'The sync is under way', ...again },
  'open.limit': { title: 'Too many open', ...final },
  'request.invalid': { title: 'Invalid request', ...final },
  'request.too-large': { title: 'Request too large', ...final },
  'group.not-found': { title: 'No such group', ...final },
  'rate.limited': { title: 'Too many requests', ...again },
  overloaded: { title: 'Overloaded', ...again },
  'projection.behind': { title: 'The read models are behind', ...again },
  internal: { title: 'Internal error', ...final },
} as const

export type SocketErrorCode = keyof typeof socketErrors

/** Pairs a reply with its request on this socket; nothing else. */
const frameId = z.string().max(socketLimits.frameIdCharactersMax).meta({ description: 'Pairs the reply with this.' })

export const helloFrame = z.strictObject({
  op: z.literal('hello'),
  id: frameId.optional(),
  args: z.strictObject({
    token: z.string().max(2_048).meta({ description: 'The access token.' }),
    cursor: z
      .string()
      .max(128)
      .optional()
      .meta({ description: 'The last one that the device has stored; without it everything comes anew.' }),
  }),
})

/** Any frame after the hello. */
export const laterFrame = z.strictObject({
  op: z.string().max(64),
  id: frameId.optional(),
  key: z
    .string()
    .min(1)
    .max(socketLimits.frameKeyCharactersMax)
    .optional()
    .meta({ description: 'The idempotency key: the same key twice does nothing twice.' }),
  args: z.record(z.string(), z.unknown()).default({}),
})

export const typingArgs = z.strictObject({ conversationId: z.string().max(160) })
/** Of `open` and `close`. */
export const openArgs = z.strictObject({ collection: z.enum(openCollections), groupId: z.string().max(64) })

const cursor = z
  .string()
  .meta({ description: 'Store it once what came up to here is stored; `hello` goes on from it.' })
const row = z.looseObject({})
const held = { collection: z.enum([...collections, ...openCollections]) }
const moved = { ...held, cursor }

const bye = ({ code, reason, reconnect, meaning }: Close) =>
  z
    .strictObject({
      op: z.literal('bye'),
      code: z.literal(code),
      reason: z.literal(reason),
      reconnect: z.literal(reconnect),
      ...(code === closesMany
        ? { retryAfterSeconds: z.number().min(0).meta({ description: 'Not before; another for each device.' }) }
        : undefined),
    })
    .meta({ description: meaning })

/** One entry a form of what the server sends. */
export const serverFrames = {
  welcome: z.strictObject({
    re: z.string().nullable(),
    ok: z.strictObject({
      userId: z.string(),
      sessionId: z.string(),
      serverTime: z.string().meta({ format: 'date-time' }),
      reset: z.boolean().meta({ description: 'Drop what you hold: there was no cursor, or it could not be used.' }),
      heartbeatSeconds: z.int(),
      limits: z.record(z.string(), z.number()),
    }),
  }),
  done: z.strictObject({ re: z.string(), ok: row }),
  refused: z.strictObject({
    re: z.string().optional().meta({ description: 'Absent when the frame could not be read.' }),
    error: z.looseObject({
      code: z.string(),
      title: z.string(),
      detail: z.string(),
      retryable: z.boolean().meta({ description: 'Whether the very same frame may succeed later.' }),
      retryAfterSeconds: z.number().optional(),
    }),
  }),
  rows: z.strictObject({
    op: z.literal('rows'),
    ...held,
    items: z.array(row),
    removed: z.array(z.string()).optional().meta({ description: 'Ids of rows that are gone.' }),
    via: z.enum(['offline', 'roaming']).optional(),
  }),
  synced: z.strictObject({ op: z.literal('synced'), cursor }),
  put: z.strictObject({ op: z.literal('put'), ...moved, value: row }),
  patch: z.strictObject({ op: z.literal('patch'), ...moved, id: z.string(), set: row }),
  remove: z.strictObject({ op: z.literal('remove'), ...moved, id: z.string() }),
  at: z.strictObject({ op: z.literal('at'), cursor }),
  typing: z.strictObject({
    op: z.literal('typing'),
    conversationId: z.string(),
    from: z.string(),
    expiresInSeconds: z.int(),
  }),
  bye: z.union(Object.values<Close>(closes).map(bye)),
} as const

export type ServerFrameName = keyof typeof serverFrames

/** Anything that the server sends. */
export const serverFrame = z.union(Object.values(serverFrames))
