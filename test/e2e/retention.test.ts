// Owns what people see of messages that have grown too old: nothing, anywhere, in every number the same, and no message twice.
// The server's clock is moved on; it looks at the age of messages when it starts.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectOk, newMessageId, type SignedIn } from '../support/device.ts'
import { whenReadable } from '../support/quiet.ts'
import type { Row } from '../support/replica.ts'
import { between, type Player, type Scene, setScene } from '../support/scene.ts'
import { startTestService, type TestService } from '../support/service.ts'

const slowMsMax = 300_000
const goneMsMax = 60_000
const days = 30

let service: TestService
let scene: Scene

beforeAll(async () => {
  service = await startTestService({ HISTORY_DAYS: String(days) })
  scene = await setScene(service)
}, slowMsMax)
afterAll(async () => {
  await service?.stop()
  expect(service?.failures).toEqual([])
}, slowMsMax)

const pathOf = (conversationId: string) => `/v1/conversations/${encodeURIComponent(conversationId)}`
const seqsOf = (rows: readonly Row[]) => rows.map(({ seq }) => seq)

/** One who signs in again, long after. */
interface Back {
  readonly userId: string
  readonly token: string
  readonly session: SignedIn
  readonly get: (path: string) => Promise<ReturnType<typeof expectOk>>
}

const back = async ({ person, userId }: Player): Promise<Back> => {
  const session = await service.signIn(person, 'a new device')
  const token = session.accessToken
  return {
    userId,
    token,
    session,
    get: path => service.api('GET', path, { token }).then(expectOk),
  }
}

const send = (who: Back, conversationId: string, body: object) =>
  service.api('POST', `${pathOf(conversationId)}/messages`, { token: who.token, body })

const textOf = (text: string, clientMessageId = newMessageId()) => ({ clientMessageId, type: 'text', body: { text } })

/** Asks until the first message that is left is this one; each asking goes to the server. */
const whenFirstIs = async (who: Back, conversationId: string, seq: number | undefined): Promise<void> => {
  const untilMs = performance.now() + goneMsMax
  for (;;) {
    const { items } = await who.get(`${pathOf(conversationId)}/messages?after=0&limit=1`)
    if (items[0]?.seq === seq) return
    if (performance.now() > untilMs) throw new Error(`the first message is still ${items[0]?.seq}`)
  }
}

describe('messages older than HISTORY_DAYS', () => {
  test(
    'are gone for everybody, with what they made of unread numbers; a repeat of one is known; what is new goes on',
    async () => {
      const [ada, bob, cyd] = (await scene.enter('ada', 'bob', 'cyd')) as [Player, Player, Player]
      const [chat, withCyd] = [between(ada, bob), between(bob, cyd)]
      const { conversationId: room } = await scene.group(ada, bob)
      const oldOnes = [textOf('with a time in its id'), textOf('with none', `key-of-${ada.userId}`)]
      const firstReplies = await Promise.all(
        oldOnes.map(body => service.api('POST', `${pathOf(chat)}/messages`, { token: ada.token, body })),
      )
      await ada.say(chat, 'the last old one')
      await ada.do('recallMessage', { conversationId: chat, seq: 3 })
      await cyd.say(withCyd)
      await ada.sayMuch(room, 3)
      await scene.quiet(ada, bob, cyd)
      expect(bob.row(chat)).toMatchObject({ unread: 2, lastSeq: 3 })
      const roomSeq = Number(bob.row(room)?.lastSeq)
      const held = bob.device.state

      service.pass(days * 86_400 + 60)
      const [adaBack, bobBack] = [await back(ada), await back(bob)]
      const news = await Promise.all([1, 2].map(number => send(adaBack, chat, textOf(`new ${number}`))))
      const roomNews = await send(adaBack, room, textOf('new here'))
      expect([...news, roomNews].map(({ status }) => status)).toEqual([201, 201, 201])
      await service.restart()
      await whenFirstIs(bobBack, chat, 4)
      await whenFirstIs(bobBack, room, roomSeq + 1)
      await whenFirstIs(bobBack, withCyd, undefined)

      for (const who of [adaBack, bobBack]) {
        const { items, ...more } = await who.get(`${pathOf(chat)}/messages`)
        expect(seqsOf(items)).toEqual([4, 5])
        expect(more).toEqual({ hasMoreBefore: false, hasMoreAfter: false })
        expect(await who.get(`${pathOf(chat)}/messages?before=5&limit=1`)).toMatchObject({
          items: [{ seq: 4 }],
          hasMoreBefore: false,
          hasMoreAfter: true,
        })
        expect((await who.get(`${pathOf(chat)}/messages?at=2020-01-01T00:00:00Z`)).items).toHaveLength(2)
        expect((await who.get(`${pathOf(room)}/messages?types=notification`)).items).toEqual([])
      }
      expect(await bobBack.get(pathOf(chat))).toMatchObject({ unread: 2, readSeq: 3, lastSeq: 5 })
      expect(await bobBack.get(pathOf(room))).toMatchObject({ unread: 1, readSeq: roomSeq })
      // Nothing is left to see of it, but it is in the list where it was.
      expect(await bobBack.get(pathOf(withCyd))).toMatchObject({ unread: 0, lastSeq: 1, lastMessage: null })
      const list = await bobBack.get('/v1/conversations')
      expect(list.items.map(({ conversationId }: Row) => conversationId)).toEqual([room, chat, withCyd])
      expect(await bobBack.get('/v1/unread')).toMatchObject({ total: 3, conversations: 2 })

      for (const [index, body] of oldOnes.entries()) {
        expect(await send(adaBack, chat, body)).toMatchObject({ status: 201, body: firstReplies[index]?.body })
        const other = { ...body, body: { text: 'another text' } }
        expect(await send(adaBack, chat, other)).toMatchObject({ status: 409, body: { code: 'idempotency.mismatch' } })
      }
      const recall = await service.api('POST', `${pathOf(room)}/messages/${roomSeq}/recall`, {
        token: adaBack.token,
        body: {},
      })
      expect(recall).toMatchObject({ status: 404, body: { code: 'message.not-found' } })
      const next = await send(adaBack, chat, textOf('the next number'))
      expect(next.body.seq).toBe(6)
      await whenReadable(service.api, adaBack.token, next.body.position)

      // A new device is given what is there; one that was away since before goes on from its cursor.
      const fresh = await service.connect(bobBack.session)
      const resumed = await service.connect(await service.signIn(bob.person, 'another'), { replica: held })
      expect(seqsOf(fresh.state.messagesOf(chat))).toEqual([4, 5, 6])
      for (const device of [fresh, resumed]) {
        expect(device.replica.get('conversations')?.get(chat)).toMatchObject({ unread: 3, readSeq: 3, lastSeq: 6 })
        expect(device.state.messagesOf(chat).at(-1)).toMatchObject({ seq: 6 })
      }
      const { position } = await fresh.command('markRead', { conversationId: chat, seq: 5 })
      await fresh.whenPassed(position)
      await whenReadable(service.api, bobBack.token, position)
      expect(await bobBack.get(pathOf(chat))).toMatchObject({ unread: 1, readSeq: 5 })
      expect(fresh.replica.get('conversations')?.get(chat)).toMatchObject({ unread: 1 })
    },
    slowMsMax,
  )

  test('are as old as the server says that they may be', async () => {
    const { body } = await service.api('GET', '/v1/server')
    expect(body.limits).toMatchObject({ historyDays: days, historyDaysMax: 1_095 })
  })
})
