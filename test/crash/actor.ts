// Owns one device of the driver: it sends, reads, recalls and changes groups at random, comes back after every crash with its
// cursor, and asks again with the same key until it has a definite answer. What it was promised goes into the ledger.

import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import {
  CommandError,
  connectDevice,
  createApi,
  type Device,
  DeviceClosed,
  newMessageId,
  type SignedIn,
} from '../support/device.ts'
import { type Arguments, operationNamed, requestOf } from '../support/operation-request.ts'
import type { Replica, Row } from '../support/replica.ts'
import { doToGroups } from './groups.ts'
import { type Ledger, readKey, type Sent } from './ledger.ts'
import { doAmongPeople } from './people.ts'
import type { Random } from './random.ts'

const answerMsMax = 180_000
const tokenAgeMsMax = 8 * 60_000
const burstMax = 4

export interface World {
  readonly httpUrl: string
  readonly realtimeUrl: string
  readonly ledger: Ledger
  readonly userIds: readonly string[]
  /** Owner of each group of the driver. */
  readonly owners: ReadonlyMap<string, string>
  /** Of the app's own backend. */
  readonly adminKey: string
  /** Somebody who has no device here. */
  readonly bannedId: string
}

type Definite = { readonly ok: Row } | { readonly refused: string }

export class Actor {
  readonly userId: string
  readonly name: string
  readonly #world: World
  readonly #random: Random
  readonly #partners: readonly string[]
  readonly #numbers = new Map<string, number>()
  #session: SignedIn
  #tokenAtMs = Date.now()
  #device: Device | undefined
  #connecting: Promise<Device> | undefined
  #isAway = false
  #state: Replica | undefined

  constructor(world: World, name: string, session: SignedIn, partners: readonly string[], random: Random) {
    this.#world = world
    this.name = name
    this.userId = session.userId
    this.#session = session
    this.#partners = partners
    this.#random = random
  }

  /** Acts until the signal; what is under way is brought to its end. */
  async act(signal: AbortSignal): Promise<void> {
    const receiving = this.#stayOnline(signal)
    while (!signal.aborted) {
      await this.#oneThing()
      await pause(this.#random.between(0, 25))
    }
    await receiving
  }

  /** The device, connected; it resumes by its cursor. */
  online(): Promise<Device> {
    const device = this.#device
    if (device !== undefined) return Promise.resolve(device)
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined
    })
    return this.#connecting
  }

  /** Drops what is held and takes everything afresh. */
  async afresh(): Promise<Device> {
    await this.#device?.close()
    this.#device = undefined
    this.#state = undefined
    return this.online()
  }

  async token(): Promise<string> {
    if (Date.now() - this.#tokenAtMs > tokenAgeMsMax) await this.#refresh()
    return this.#session.accessToken
  }

  /** Asks until the answer is definite. @throws Error when none comes within three minutes */
  async ask(op: string, args: object, key?: string, onRefused: () => void = () => {}): Promise<Definite> {
    const untilMs = Date.now() + answerMsMax
    while (Date.now() < untilMs) {
      const device = await this.online()
      this.#world.ledger.commands++
      try {
        return { ok: await device.command(op, args, key) }
      } catch (error) {
        if (error instanceof CommandError) {
          this.#count(error.code)
          if (!error.retryable) return { refused: error.code }
          onRefused()
          await pause(this.#random.between(20, 200))
        } else if (error instanceof DeviceClosed) this.#forget(device)
        else this.#count('no-reply')
      }
    }
    throw new Error(`${this.name}: no definite answer to ${op} within ${answerMsMax} ms`)
  }

  /** The same over HTTP, for what is no frame; it repeats under one key. @param token of who asks; else it is this user */
  async askOverHttp(op: string, args: Arguments, token?: string): Promise<Definite> {
    const { method, path, body } = requestOf(operationNamed(op), args)
    const key = randomUUID()
    const untilMs = Date.now() + answerMsMax
    while (Date.now() < untilMs) {
      this.#world.ledger.commands++
      const asking = { token: token ?? (await this.token()), body, key }
      const answer = await createApi(this.#world.httpUrl)(method, path, asking).catch(() => undefined)
      if (answer !== undefined && answer.status < 300) return { ok: answer.body }
      this.#count(answer?.body.code ?? 'no-reply')
      if (answer?.body.code === 'token.expired') await this.#refresh()
      else if (answer?.body.retryable === false) return { refused: answer.body.code }
      await pause(this.#random.between(20, 200))
    }
    throw new Error(`${this.name}: no definite answer to ${op} within ${answerMsMax} ms`)
  }

  /** As the app's own backend. */
  askAsApp(op: string, args: Arguments): Promise<Definite> {
    return this.askOverHttp(op, args, this.#world.adminKey)
  }

  /** One text; resolves when its fate is known. */
  async say(conversationId: string): Promise<Sent> {
    const line = `${this.name} ${conversationId}`
    const number = (this.#numbers.get(line) ?? 0) + 1
    this.#numbers.set(line, number)
    const sent: Sent = {
      conversationId,
      from: this.userId,
      clientMessageId: newMessageId(),
      text: `${line} ${number}`,
      line,
      number,
      wasRefused: false,
      outcome: 'open',
      seq: 0,
    }
    this.#world.ledger.sent.push(sent)
    const args = { conversationId, clientMessageId: sent.clientMessageId, type: 'text', body: { text: sent.text } }
    const answer = await this.ask('sendMessage', args, undefined, () => {
      sent.wasRefused = true
    })
    if ('ok' in answer) {
      sent.seq = Number(answer.ok.seq)
      sent.outcome = 'acknowledged'
    } else sent.outcome = 'refused'
    return sent
  }

  #count(code: string): void {
    const { refusals } = this.#world.ledger
    refusals.set(code, (refusals.get(code) ?? 0) + 1)
  }

  #forget(device: Device): void {
    if (this.#device === device) this.#device = undefined
  }

  async #connect(): Promise<Device> {
    const untilMs = Date.now() + answerMsMax
    for (;;) {
      try {
        return await this.#connectOnce()
      } catch (error) {
        const code = error instanceof DeviceClosed ? error.closed.code : 0
        if (code === 4401) await this.#refresh()
        else if (code === 4403 || code === 4409) throw new Error(`${this.name}: turned away with ${code}`)
        if (Date.now() > untilMs) throw new Error(`${this.name}: cannot connect: ${error}`)
        await pause(this.#random.between(50, 250))
      }
    }
  }

  async #connectOnce(): Promise<Device> {
    const held = this.#state
    const device = await connectDevice({
      realtimeUrl: this.#world.realtimeUrl,
      token: await this.token(),
      ...(held === undefined ? undefined : { replica: held }),
    })
    this.#world.ledger.reconnects++
    if (held !== undefined && device.welcome.reset) this.#world.ledger.resets++
    this.#state = device.state
    this.#device = device
    void device.closed.then(() => this.#forget(device))
    return device
  }

  async #refresh(): Promise<void> {
    const body = { refreshToken: this.#session.refreshToken }
    const answer = await createApi(this.#world.httpUrl)('POST', '/v1/sessions/refresh', { body }).catch(() => undefined)
    if (answer?.status !== 200) return
    this.#session = { ...this.#session, ...answer.body }
    this.#tokenAtMs = Date.now()
  }

  /** A device comes back by itself; now and then it stays away for a while. */
  async #stayOnline(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (!this.#isAway) await this.online()
      await pause(100)
    }
    await this.online()
  }

  async #oneThing(): Promise<void> {
    const what = this.#random.next()
    if (what < 0.66) await this.#sayMuch()
    else if (what < 0.76) await this.#markRead()
    else if (what < 0.81) await this.#recall()
    else if (what < 0.84) await this.#pin()
    else if (what < 0.92) await doAmongPeople(this, this.#world, this.#random)
    else if (what < 0.99) await doToGroups(this, this.#world, this.#random)
    else await this.#goAway()
  }

  #conversations(): string[] {
    const groups = [...(this.#state?.collection('groups').values() ?? [])].map(row => String(row.conversationId))
    return [...this.#partners, ...groups]
  }

  async #sayMuch(): Promise<void> {
    const conversationId = this.#random.pick(this.#conversations())
    const count = this.#random.between(1, burstMax)
    await this.online()
    await Promise.all(Array.from({ length: count }, () => this.say(conversationId)))
  }

  async #markRead(): Promise<void> {
    const rows = [...(this.#state?.collection('conversations').values() ?? [])]
    if (rows.length === 0) return
    const row = this.#random.pick(rows)
    const conversationId = String(row.conversationId)
    const lastSeq = Number(row.lastSeq)
    if (lastSeq === 0) return
    const seq = this.#random.between(Math.max(1, lastSeq - 5), lastSeq)
    const answer = await this.ask('markRead', { conversationId, seq }, randomUUID())
    if (!('ok' in answer)) return
    const key = readKey(this.userId, conversationId)
    const { read } = this.#world.ledger
    read.set(key, Math.max(read.get(key) ?? 0, seq))
  }

  async #recall(): Promise<void> {
    const mine = [...(this.#state?.collection('messages').values() ?? [])].filter(
      row => row.from === this.userId && row.recalled === undefined,
    )
    const message = mine.slice(-20)[this.#random.between(0, 19)]
    if (message === undefined) return
    const { conversationId, seq } = message
    const answer = await this.ask('recallMessage', { conversationId, seq }, randomUUID())
    if ('ok' in answer) this.#world.ledger.recalled.add(`${conversationId}#${seq}`)
  }

  async #pin(): Promise<void> {
    const conversationId = this.#random.pick(this.#conversations())
    await this.ask('updateConversation', { conversationId, pinned: this.#random.chance(0.5) }, randomUUID())
  }

  async #goAway(): Promise<void> {
    this.#isAway = true
    const device = this.#device
    this.#device = undefined
    await device?.close()
    await pause(this.#random.between(100, 3_000))
    this.#isAway = false
  }
}
