// Owns the AsyncAPI 3 description of the socket: the frames of domain/frames.ts, and each operation that may come as a frame,
// made from the very schemas that check them. Each message has an example that a test runs through its schema.

import { z } from 'zod'
import {
  closes,
  closesMany,
  helloFrame,
  laterFrame,
  openArgs,
  serverFrames,
  silentCloses,
  socketErrors,
  socketLimits,
  typingArgs,
} from '../domain/frames.ts'
import { type Collection, collections, type OpenCollection, openCollections } from '../domain/rows.ts'
import { example, reply } from './fields.ts'
import { codesOf } from './openapi.ts'
import type { Operation } from './operation.ts'

type Held = Collection | OpenCollection
type Side = 'client' | 'server'

/** A form that a frame can have. */
export interface Message {
  readonly from: Side
  readonly summary: string
  readonly schema: z.ZodType
  readonly example: unknown
}

/** What a frame of a client is answered with. */
interface Answer {
  readonly messages: readonly string[]
  readonly codes: readonly string[]
}

/** Where a collection's rows are described: in the list of it that HTTP answers, or here when there is none. */
const rowSources: Readonly<Record<Held, string | z.ZodObject>> = {
  users: 'listUsers',
  conversations: 'listConversations',
  messages: 'listMessages',
  friends: 'listFriends',
  friendRequests: 'listFriendRequests',
  blocklist: 'listBlocked',
  groups: 'listGroups',
  notifications: 'listNotifications',
  readMarks: z.object({ notifications: reply.position.nullable(), friendRequests: reply.position.nullable() }),
  sessions: 'listSessions',
  members: 'listMembers',
}

/** The reply of an operation. */
const replyOf = (operations: readonly Operation[], id: string): z.ZodObject => {
  const found = operations.find(operation => operation.id === id)?.reply
  if (!(found instanceof z.ZodObject)) throw new Error(`there is no operation ${id} that answers with fields`)
  return found
}

/** The schema of the rows of a collection. Among the users is oneself, with the private fields. */
export const rowSchemaOf = (operations: readonly Operation[], collection: Held): z.ZodObject => {
  const source = rowSources[collection]
  if (typeof source !== 'string') return source
  const { element } = replyOf(operations, source).shape.items as z.ZodArray<z.ZodObject>
  return collection === 'users' ? replyOf(operations, 'getOwnUser').partial().extend(element.shape) : element
}

const cursor = `q7f3k2m9x1c5v8b4.1.${example.position}`
const frameExample = (op: string, args: object) => ({ op, id: '7', args })
const openExample = { collection: 'members', groupId: example.groupId }

/** The frames of clients that are no operations. */
const ownMessages: Readonly<Record<string, Message>> = {
  hello: {
    from: 'client',
    summary: 'The first frame: who this device is, and up to where it holds everything.',
    schema: helloFrame,
    example: { op: 'hello', id: '1', args: { token: 'eyJhbGciOiJFZERTQSJ9.e30.c2ln', cursor } },
  },
  typing: {
    from: 'client',
    summary: 'Somebody types: told to the others, never stored, never answered.',
    schema: laterFrame.extend({ op: z.literal('typing'), args: typingArgs }),
    example: { op: 'typing', args: { conversationId: example.conversationId } },
  },
  open: {
    from: 'client',
    summary: 'Rows that come on request only, and from then on what changes in them.',
    schema: laterFrame.extend({ op: z.literal('open'), args: openArgs }),
    example: frameExample('open', openExample),
  },
  close: {
    from: 'client',
    summary: 'No more of what was opened.',
    schema: laterFrame.extend({ op: z.literal('close'), args: openArgs }),
    example: frameExample('close', openExample),
  },
}

/** One schema for each collection: a frame says which, and its rows look accordingly. */
const byCollection = (
  held: readonly Held[],
  schemaOf: (collection: Held) => { readonly collection: z.ZodType; readonly [field: string]: z.ZodType },
  frame: z.ZodObject,
): z.ZodType => z.union(held.map(collection => frame.extend(schemaOf(collection))))

/** What the server sends. */
const serverMessages = (operations: readonly Operation[]): Readonly<Record<string, Message>> => {
  const all: readonly Held[] = [...collections, ...openCollections]
  const named = (collection: Held) => ({ collection: z.literal(collection) })
  const rowOf = (collection: Held) => rowSchemaOf(operations, collection)
  const server = (summary: string, schema: z.ZodType, shown: unknown): Message => ({
    from: 'server',
    summary,
    schema,
    example: shown,
  })
  const { rows, put, patch } = serverFrames
  const blocked = { userId: example.otherUserId, at: example.at }
  const where = { collection: 'blocklist', cursor }
  return {
    welcome: server('The answer to hello.', serverFrames.welcome, {
      re: '1',
      ok: {
        userId: example.userId,
        sessionId: example.sessionId,
        serverTime: example.at,
        reset: true,
        heartbeatSeconds: socketLimits.heartbeatSeconds,
        limits: { framesPerSecondMax: socketLimits.framesPerSecondMax },
      },
    }),
    done: server('A frame was done.', serverFrames.done, { re: '7', ok: {} }),
    refused: server('A frame was refused.', serverFrames.refused, {
      re: '7',
      error: { code: 'overloaded', ...socketErrors.overloaded, detail: 'Wait for replies before sending more.' },
    }),
    rows: server(
      'Part of the sync, or of what was opened.',
      byCollection(all, collection => ({ ...named(collection), items: z.array(rowOf(collection)) }), rows),
      { op: 'rows', collection: 'blocklist', items: [blocked] },
    ),
    synced: server('The sync is whole; from here on frames are live.', serverFrames.synced, { op: 'synced', cursor }),
    put: server(
      'A whole row: new, or in place of the one held.',
      byCollection(all, collection => ({ ...named(collection), value: rowOf(collection) }), put),
      { op: 'put', ...where, value: blocked },
    ),
    patch: server(
      'Changed fields of a row; who does not hold the row ignores it. Those of a message go for `lastMessage` too, where it is that one.',
      byCollection(all, collection => ({ ...named(collection), set: rowOf(collection).partial() }), patch),
      {
        op: 'patch',
        collection: 'conversations',
        cursor,
        id: example.conversationId,
        set: { readSeq: 7 },
      },
    ),
    remove: server('A row is gone.', serverFrames.remove, { op: 'remove', ...where, id: example.otherUserId }),
    at: server('Nothing for this device, but the log went on.', serverFrames.at, { op: 'at', cursor }),
    somebodyTypes: server('Somebody else types.', serverFrames.typing, {
      op: 'typing',
      conversationId: example.conversationId,
      from: example.otherUserId,
      expiresInSeconds: socketLimits.typingSeconds,
    }),
    bye: server('The server closes the socket, with the same code.', serverFrames.bye, {
      op: 'bye',
      code: closesMany,
      reason: closes.draining.reason,
      reconnect: closes.draining.reconnect,
      retryAfterSeconds: 3.217,
    }),
  }
}

/** An operation as a frame, and the reply to it. */
const operationMessages = (operation: Operation): Readonly<Record<string, Message>> => {
  const { id, args, summary, example: shown } = operation
  const needsArgs = !args.safeParse({}).success
  return {
    [id]: {
      from: 'client',
      summary,
      schema: laterFrame.extend({ op: z.literal(id), args: needsArgs ? args : args.optional() }),
      example: frameExample(id, { ...shown.params, ...shown.query, ...(shown.body as object | undefined) }),
    },
    [`${id}Reply`]: {
      from: 'server',
      summary: `The reply to ${id}.`,
      schema: z.strictObject({ re: z.string(), ok: operation.reply }),
      example: { re: '7', ok: shown.reply },
    },
  }
}

const ofFrames = (operations: readonly Operation[]) => operations.filter(({ frame }) => frame)

/** Every form that a frame can have, by name. */
export const messagesOf = (operations: readonly Operation[]): Readonly<Record<string, Message>> =>
  Object.assign({}, ownMessages, ...ofFrames(operations).map(operationMessages), serverMessages(operations))

/** Codes that only a request over HTTP can have. */
const onlyHttp = new Set<string>(['request.too-large', 'request.unsupported-media-type'])

/** Replies to the frames of clients; no entry: there is none. */
const answersOf = (operations: readonly Operation[]): ReadonlyMap<string, Answer> => {
  const opened = { messages: ['done', 'refused'], codes: Object.keys(socketErrors) }
  const ofOperations = ofFrames(operations).map((operation): [string, Answer] => {
    const codes = codesOf(operation).filter(code => !onlyHttp.has(code))
    return [operation.id, { messages: [`${operation.id}Reply`, 'refused'], codes: [...codes, 'sync.under-way'] }]
  })
  return new Map([
    ['hello', { messages: ['welcome'], codes: [] }],
    ['open', opened],
    ['close', opened],
    ...ofOperations,
  ])
}

const channel = { $ref: '#/channels/realtime' }
const refs = (names: readonly string[], place: string) => names.map(name => ({ $ref: `${place}/${name}` }))

const described = ({ from, summary, schema, example: shown }: Message, name: string) => {
  const io = from === 'client' ? 'input' : 'output'
  const { $schema: _, ...payload } = z.toJSONSchema(schema, { target: 'draft-7', io, unrepresentable: 'any' })
  return { name, summary, payload, examples: [{ payload: shown }] }
}

/** What the server, whose document this is, receives and sends. */
const operationsOf = (messages: Readonly<Record<string, Message>>, answers: ReadonlyMap<string, Answer>) => {
  const replies = new Set([...answers.values()].flatMap(answer => answer.messages))
  const place = '#/channels/realtime/messages'
  const entries = Object.entries(messages)
    .filter(([name]) => !replies.has(name))
    .map(([name, { from, summary }]) => {
      const answer = answers.get(name)
      const replied =
        answer === undefined
          ? undefined
          : { reply: { channel, messages: refs(answer.messages, place) }, 'x-error-codes': answer.codes }
      const action = from === 'client' ? 'receive' : 'send'
      return [name, { action, channel, summary, messages: refs([name], place), ...replied }]
    })
  return Object.fromEntries(entries)
}

export interface AsyncApiOptions {
  readonly operations: readonly Operation[]
  readonly version: string
  /** Where sockets are opened, as clients see it. */
  readonly socketUrl: string
}

/** The document; `x-close-codes` is what AsyncAPI has no place for. */
export const asyncApiDocument = ({ operations, version, socketUrl }: AsyncApiOptions) => {
  const { host, pathname, protocol } = new URL(socketUrl)
  const messages = messagesOf(operations)
  const names = Object.keys(messages)
  return {
    asyncapi: '3.0.0',
    info: { title: 'Ledgerline, the socket', version, description: introduction, license: { name: 'Apache-2.0' } },
    defaultContentType: 'application/json',
    servers: { realtime: { host, protocol: protocol.slice(0, -1) } },
    channels: {
      realtime: {
        address: pathname,
        servers: [{ $ref: '#/servers/realtime' }],
        bindings: { ws: { method: 'GET' } },
        messages: Object.fromEntries(names.map(name => [name, { $ref: `#/components/messages/${name}` }])),
        'x-close-codes': [...Object.values(closes), ...silentCloses],
        'x-limits': socketLimits,
      },
    },
    operations: operationsOf(messages, answersOf(operations)),
    components: {
      messages: Object.fromEntries(names.map(name => [name, described(messages[name] as Message, name)])),
    },
  }
}

const introduction = `One socket a device. JSON text frames, both ways.

A device holds a replica of its user's rows: a map for each collection. After \`hello\` the server sends what is missing (\`rows\`),
then \`synced\`, then every change as it happens (\`put\`, \`patch\`, \`remove\`), in the order of the log. Applying a frame twice
changes nothing. The \`cursor\` of the last frame that was stored goes into the next \`hello\`: the device goes on from there.

Every operation of the HTTP API that is here may come as a frame: \`op\` is its operationId, \`args\` its fields of path, query and
body in one object, \`key\` its idempotency key. The reply has the \`id\` of the frame as \`re\`; without an \`id\` there is none.
A reply may come before the frames of what it did.

Before a close the server says \`bye\`. \`reconnect\` says what to do: \`now\`; \`later\`, not before \`retryAfterSeconds\` and with a
random wait; \`refresh\` the token first; \`never\` by itself.`
