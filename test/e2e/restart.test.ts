// Owns the promise that what was acknowledged is there: a whole server with its embedded stores is killed while people talk,
// started again on the same folder, and everybody goes on where they were.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { divergence, wholeHistory } from '../support/convergence.ts'
import { connectDevice, createApi, type Device, expectOk, newMessageId, signIn, signUp } from '../support/device.ts'
import { whenReadable } from '../support/quiet.ts'
import type { Replica, Row } from '../support/replica.ts'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'

const slowMsMax = 600_000
/** Messages that each has acknowledged when the server is killed. */
const enough = 25

let folder: string
let server: ServerProcess

const ask: ReturnType<typeof createApi> = (...call) => createApi(server.httpUrl)(...call)
const connect = ({ accessToken }: { readonly accessToken: string }, replica?: Replica) =>
  connectDevice({
    realtimeUrl: server.realtimeUrl,
    token: accessToken,
    ...(replica === undefined ? undefined : { replica }),
  })

const person = async (userName: string) => {
  const { userId } = await signUp(server.httpUrl, userName)
  const session = await signIn(server.httpUrl, userName, 'phone')
  return { userId, session, spare: await signIn(server.httpUrl, userName, 'spare') }
}
type Person = Awaited<ReturnType<typeof person>>

const textOf = (conversationId: string, text: string) => ({
  conversationId,
  clientMessageId: newMessageId(),
  type: 'text',
  body: { text },
})

interface Talk {
  readonly acknowledged: readonly { readonly sent: ReturnType<typeof textOf>; readonly seq: number }[]
  /** What was on its way when the connection went: nobody knows whether it was taken. */
  readonly unknown: ReturnType<typeof textOf>
}

/** Says one thing after the other until the connection is gone. */
const talkUntilCut = async (device: Device, conversationId: string, onEnough: () => void): Promise<Talk> => {
  const acknowledged: { readonly sent: ReturnType<typeof textOf>; readonly seq: number }[] = []
  for (;;) {
    const sent = textOf(conversationId, `${acknowledged.length}`)
    try {
      const { seq } = await device.command('sendMessage', sent)
      acknowledged.push({ sent, seq })
    } catch {
      return { acknowledged, unknown: sent }
    }
    if (acknowledged.length === enough) onEnough()
  }
}

const start = () =>
  startServerProcess({
    environment: { DATA_DIR: folder, RATE_LIMITS: 'off', NODE_ENV: 'test', LOG_LEVEL: 'warn' },
    readyMsMax: slowMsMax,
  })

let ada: Person
let bob: Person
let cyd: Person
let conversationId: string
let groupId: string
let talks: readonly [Talk, Talk]
let stored: readonly [Replica, Replica]

/** Something of everything, before the talk. */
const prepare = async (adas: Device, bobs: Device) => {
  const made = await adas.command('createGroup', {
    name: 'A group',
    inviteeConsent: 'none',
    memberIds: [bob.userId, cyd.userId],
  })
  groupId = made.groupId
  await adas.command('addAdmin', { groupId, userId: bob.userId })
  await adas.command('blockUser', { userId: cyd.userId })
  expectOk(await ask('DELETE', `/v1/sessions/${cyd.session.sessionId}`, { token: cyd.spare.accessToken }))
  await adas.say(conversationId, 'first')
  await bobs.command('markRead', { conversationId, seq: 1 })
  await bobs.command('updateConversation', { conversationId, pinned: true })
}

/** Both talk, and when both have said enough the server is killed. */
const talkAndKill = async (adas: Device, bobs: Device): Promise<readonly [Talk, Talk]> => {
  let waiting = 2
  let killed: Promise<void> | undefined
  const onEnough = () => {
    if (--waiting === 0) killed = server.kill()
  }
  const both = await Promise.all([adas, bobs].map(device => talkUntilCut(device, conversationId, onEnough)))
  await killed
  return both as unknown as readonly [Talk, Talk]
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ledgerline-restart-'))
  server = await start()
  ;[ada, bob, cyd] = [await person('ada'), await person('bob'), await person('cyd')]
  conversationId = `p2p:${[ada.userId, bob.userId].toSorted().join(':')}`
  const [adas, bobs] = [await connect(ada.session), await connect(bob.session)]
  await prepare(adas, bobs)
  talks = await talkAndKill(adas, bobs)
  stored = [adas.state, bobs.state]
  server = await start()
}, slowMsMax)
afterAll(async () => {
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
}, slowMsMax)

const historyAfter = async (position: string): Promise<Row[]> => {
  const get = async (path: string) => expectOk(await ask('GET', path, { token: ada.session.accessToken }))
  await whenReadable(ask, ada.session.accessToken, position)
  return wholeHistory(get, conversationId)
}

describe('after a server was killed', () => {
  test('whoever was signed in is, and whoever was not is not', async () => {
    expect(await ask('GET', '/v1/users/me', { token: ada.session.accessToken })).toMatchObject({ status: 200 })
    const { refreshToken } = bob.session
    expect(await ask('POST', '/v1/sessions/refresh', { body: { refreshToken } })).toMatchObject({ status: 200 })
    expect(await ask('GET', '/v1/users/me', { token: cyd.session.accessToken })).toMatchObject({
      status: 401,
      body: { code: 'session.ended' },
    })
  })

  test('every acknowledged message is there once, and what nobody knows of can be sent again', async () => {
    const devices = [await connect(ada.spare), await connect(bob.spare)]
    const replies = await Promise.all(
      devices.map((device, index) => device.command('sendMessage', (talks[index] as Talk).unknown)),
    )
    const history = await historyAfter(
      replies
        .map(({ position }) => position)
        .toSorted()
        .at(-1),
    )
    expect(history.map(({ seq }) => seq)).toEqual(history.map((_, index) => index + 1))
    expect(new Set(history.map(row => `${row.from} ${row.clientMessageId}`)).size).toBe(history.length)
    for (const { acknowledged, unknown } of talks) {
      expect(acknowledged.length).toBeGreaterThanOrEqual(enough)
      for (const { sent, seq } of acknowledged) expect(history[seq - 1]).toMatchObject(sent)
      expect(history.filter(({ clientMessageId }) => clientMessageId === unknown.clientMessageId)).toHaveLength(1)
    }
    await Promise.all(devices.map(device => device.close()))
  })

  test('devices go on where they stopped, with all marks, roles and lists', async () => {
    const [adas, bobs] = [await connect(ada.session, stored[0]), await connect(bob.session, stored[1])]
    expect([adas, bobs].map(({ welcome }) => welcome.reset)).toEqual([false, false])
    expect([...(adas.replica.get('blocklist')?.keys() ?? [])]).toEqual([cyd.userId])
    expect(bobs.replica.get('groups')?.get(groupId)).toMatchObject({ myRole: 'admin', memberCount: 3 })
    expect(bobs.replica.get('conversations')?.get(conversationId)).toMatchObject({
      readSeq: 1,
      pinnedAt: expect.any(String),
    })
    // An own event comes after all others: whoever has it has everything.
    for (const [user, device, other] of [
      [ada, adas, bob],
      [bob, bobs, cyd],
    ] as const) {
      const { position } = await device.command('blockUser', { userId: other.userId })
      await device.whenPassed(position)
      await whenReadable(ask, user.session.accessToken, position)
      await device.waitFor(({ settled }) => settled)
      const viewer = { userId: user.userId, token: user.session.accessToken, spare: user.spare }
      expect(await divergence({ api: ask, connect } as never, viewer, [{ name: 'resumed', device }])).toEqual([])
    }
    await Promise.all([adas, bobs].map(device => device.close()))
  })
})
