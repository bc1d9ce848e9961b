// The description of the socket: whole, true to the schemas that check frames, and with examples that work.

import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { messagesOf, rowSchemaOf } from '../../api/asyncapi.ts'
import { errorTable } from '../../api/errors.ts'
import { formsOf } from '../../api/operation.ts'
import { operations } from '../../api/operations.ts'
import { closes, serverFrame, serverFrames, silentCloses, socketErrors, socketLimits } from '../../domain/frames.ts'
import { collections, openCollections } from '../../domain/rows.ts'
import { build } from './edge-fixture.ts'

let app: FastifyInstance
// biome-ignore lint/suspicious/noExplicitAny: a test reads a document of any form
let document: any
beforeAll(async () => {
  ;({ app } = build({ operations }))
  document = (await app.inject('/docs/asyncapi.json')).json()
})
afterAll(() => app.close())

const messages = messagesOf(operations)
const frames = operations.filter(({ frame }) => frame)

/** What a reference leads to. */
const resolved = (ref: string) =>
  ref
    .slice(2)
    .split('/')
    // biome-ignore lint/suspicious/noExplicitAny: a test reads a document of any form
    .reduce((value: any, name) => value?.[name], document)

const refsIn = (value: unknown): string[] => {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) => (name === '$ref' ? [String(inner)] : refsIn(inner)))
}

describe('the description of the socket', () => {
  it('is served to everybody, and linked from that of HTTP', async () => {
    const served = await app.inject('/docs/asyncapi.json')
    expect([served.statusCode, served.headers['content-type']]).toEqual([200, 'application/json; charset=utf-8'])
    expect(document.asyncapi).toBe('3.0.0')
    expect((await app.inject('/docs/json')).json().info.description).toContain('/docs/asyncapi.json')
  })

  it('says where the socket is', () => {
    expect(document.servers.realtime).toEqual({ host: '127.0.0.1:8081', protocol: 'ws' })
    expect(document.channels.realtime.address).toBe('/v1/realtime')
  })

  it('has only references that lead somewhere', () => {
    const refs = refsIn(document)
    expect(refs.length).toBeGreaterThan(100)
    expect(refs.filter(ref => resolved(ref) === undefined)).toEqual([])
  })

  it.each(frames.map(operation => [operation.id, operation] as const))('has %s and its reply', (id, operation) => {
    const described = document.operations[id]
    expect(described).toMatchObject({ action: 'receive', summary: operation.summary })
    expect(described.messages).toEqual([{ $ref: `#/channels/realtime/messages/${id}` }])
    expect(described.reply.messages.map(({ $ref }: { $ref: string }) => $ref.split('/').at(-1))).toEqual([
      `${id}Reply`,
      'refused',
    ])
    expect(described['x-error-codes']).toEqual(expect.arrayContaining([...operation.rejections, 'sync.under-way']))
    const { payload } = document.components.messages[id]
    expect(payload.properties.op).toMatchObject({ const: id })
    const { args } = payload.properties
    const forms: { properties?: object }[] = args.oneOf ?? [args]
    expect(forms.map(({ properties = {} }) => Object.keys(properties).toSorted())).toEqual(
      formsOf(operation.args).map(({ shape }) => Object.keys(shape).toSorted()),
    )
  })

  it('has nothing that may not come as a frame', () => {
    const received = Object.entries(document.operations)
      .filter(([, operation]) => (operation as { action: string }).action === 'receive')
      .map(([name]) => name)
    expect(received.toSorted()).toEqual(['hello', 'typing', 'open', 'close', ...frames.map(({ id }) => id)].toSorted())
  })

  it('has every form of what the server sends', () => {
    const sent = Object.entries(messages).filter(([, { from }]) => from === 'server')
    const described = sent.filter(([name]) => !frames.some(({ id }) => name === `${id}Reply`)).map(([name]) => name)
    const named = Object.keys(serverFrames).map(name => (name === 'typing' ? 'somebodyTypes' : name))
    expect(described.toSorted()).toEqual(named.toSorted())
  })

  it('has every close with what to do then', () => {
    expect(document.channels.realtime['x-close-codes']).toEqual([...Object.values(closes), ...silentCloses])
    const byes = document.components.messages.bye.payload.anyOf
    expect(byes).toHaveLength(Object.keys(closes).length)
    for (const [index, { code, reason, reconnect }] of Object.values(closes).entries()) {
      expect(byes[index].properties).toMatchObject({
        code: { const: code },
        reason: { const: reason },
        reconnect: { const: reconnect },
      })
    }
  })

  it.each(Object.keys(messages))('shows %s by an example that works', name => {
    const message = messages[name as keyof typeof messages]
    expect(message?.schema.safeParse(message.example).error).toBeUndefined()
    expect(document.components.messages[name].examples).toEqual([{ payload: message?.example }])
    if (message?.from === 'server') expect(serverFrame.safeParse(message.example).error).toBeUndefined()
  })

  it.each([...collections, ...openCollections])('tells the rows of %s in all frames that bring them', collection => {
    const fields = Object.keys(rowSchemaOf(operations, collection).shape)
    expect(fields.length).toBeGreaterThan(0)
    const shapeIn = (name: string) =>
      document.components.messages[name].payload.anyOf.find(
        (one: { properties: { collection: { const: string } } }) => one.properties.collection.const === collection,
      ).properties
    expect(Object.keys(shapeIn('put').value.properties)).toEqual(fields)
    expect(Object.keys(shapeIn('rows').items.items.properties)).toEqual(fields)
    expect(Object.keys(shapeIn('patch').set.properties)).toEqual(fields)
    expect(shapeIn('patch').set.required ?? []).toEqual([])
  })

  it('says what bounds a socket, as the server itself does', async () => {
    expect(document.channels.realtime['x-limits']).toEqual(socketLimits)
  })
})

describe('what the socket itself refuses with', () => {
  const shared = Object.entries(socketErrors).filter(([code]) => Object.hasOwn(errorTable, code))

  it.each(shared)('%s means the same over HTTP', (code, { title, retryable }) => {
    expect(errorTable[code as keyof typeof errorTable]).toMatchObject({ title, retryable })
  })

  it('is nearly always what HTTP has as well', () => {
    const own = Object.keys(socketErrors).filter(code => !Object.hasOwn(errorTable, code))
    expect(own).toEqual(['frame.invalid', 'sync.under-way', 'open.limit'])
  })
})
