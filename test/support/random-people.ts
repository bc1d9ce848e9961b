// Owns four people with two devices each, who do what random commands say. A "no" of the server is as good as a "yes"; only
// what must never be answered counts as a fault. Keeps no model of what should come out: that is for convergence.ts to judge.

import { randomUUID } from 'node:crypto'
import { ringAgeMs } from '../../realtime/ring.ts'
import { divergence } from './convergence.ts'
import { CommandError, type Device, DeviceClosed, newMessageId, type SignedIn, testPassword } from './device.ts'
import { catchUp, type HeldLists, readLists } from './held-lists.ts'
import { sampleOf } from './message-samples.ts'
import { type Arguments, operationNamed, requestOf } from './operation-request.ts'
import { whenQuiet, whenReadable } from './quiet.ts'
import { announcementDeeds } from './random-announcements.ts'
import { appDeeds } from './random-app.ts'
import type { CommandKind, Deeds, RandomCommand } from './random-commands.ts'
import { friendDeeds } from './random-friends.ts'
import { groupDeeds, type RandomGroup } from './random-groups.ts'
import { inboxDeeds } from './random-inbox.ts'
import { joiningDeeds } from './random-joining.ts'
import { receiptDeeds } from './random-receipts.ts'
import type { SocketClosed } from './raw-socket.ts'
import type { Replica, ServerFrame } from './replica.ts'
import type { Person, Reached } from './service.ts'

const peopleCount = 4
const devicesEach = 2
/** After this the server remembers no frames of before: devices resume from the read models. */
const longerThanTheRingSeconds = ringAgeMs / 1_000 + 1
const timesPassedMax = 3
/** Comparisons that are made again because something came during them. */
const quietTriesMax = 10

interface Slot {
  readonly deviceId: string
  session: SignedIn
  device: Device | undefined
  /** How the server, or the device itself, ended the last connection. */
  closed: SocketClosed | undefined
  /** What it holds while it is off. */
  stored: Replica | undefined
  /** What it has stored at some time before, whole. */
  earlier: Replica | undefined
  opened: Set<string>
}

interface Actor {
  readonly person: Person
  readonly slots: readonly Slot[]
  spare: SignedIn
  /** What a client of theirs without a socket holds. */
  lists: HeldLists | undefined
  password: string
  readonly sent: { readonly conversationId: string; readonly args: Arguments }[]
}

export interface Bystanders {
  /** Somebody whom all may block. */
  readonly nobody: Person
  /** Of the app's own backend. */
  readonly adminKey: string
}

/** Answers that tell of a fault in the server, or in these commands. */
const neverAnswered = new Set(['internal', 'request.invalid', 'operation.not-found', 'idempotency.mismatch'])
/** Of a session that was ended, and of what the device did by itself. */
const expectedCloses = new Set([1000, 1005, 1006, 4403])

export class RandomPeople {
  readonly faults: string[] = []
  readonly #service: Reached
  readonly #nobody: Person
  readonly #adminKey: string
  readonly #actors: readonly Actor[]
  readonly #groups: RandomGroup[] = []
  #timesPassed = 0
  /** One device is signed in, on or off at a time. */
  readonly #busy = new Map<Slot, Promise<void>>()

  private constructor(service: Reached, { nobody, adminKey }: Bystanders, actors: readonly Actor[]) {
    this.#service = service
    this.#nobody = nobody
    this.#adminKey = adminKey
    this.#actors = actors
  }

  /** Signs them up, with all devices connected. */
  static async arrive(service: Reached, bystanders: Bystanders): Promise<RandomPeople> {
    const people = await service.people(...['ada', 'bob', 'cyd', 'dee'].slice(0, peopleCount))
    const actors = await Promise.all(
      people.map(async (person): Promise<Actor> => {
        const slot = async (number: number): Promise<Slot> => {
          const deviceId = `device-${number}`
          const session = number === 1 ? person.session : await service.signIn(person, deviceId)
          const off = { device: undefined, closed: undefined, stored: undefined, earlier: undefined }
          return { deviceId, session, ...off, opened: new Set() }
        }
        const slots = await Promise.all(Array.from({ length: devicesEach }, (_, index) => slot(index + 1)))
        return {
          person,
          slots,
          spare: await service.signIn(person, 'spare'),
          lists: undefined,
          password: testPassword,
          sent: [],
        }
      }),
    )
    const arrived = new RandomPeople(service, bystanders, actors)
    const slots = actors.flatMap(actor => actor.slots)
    await Promise.all(slots.map(slot => arrived.#connect(slot, 'nothing')))
    return arrived
  }

  /** Something to begin with: a group of three, and a word from everybody to everybody. */
  async begin(): Promise<void> {
    const by = { who: 0, device: 0, together: false }
    await this.step([{ ...by, kind: 'createGroup', members: [1, 2] }])
    const everybody = this.#actors.map((_, who) => who)
    const everywhere = [0, 1, 2, 3] as const
    const say = { ...by, kind: 'say', again: false, type: 'text' } as const
    await this.step(everybody.flatMap(who => everywhere.map(to => ({ ...say, who, to }))))
  }

  /** Does a few things at the same time. */
  async step(commands: readonly RandomCommand[]): Promise<void> {
    await Promise.all(commands.map(command => this.#do(command)))
  }

  /** Brings every device back, waits until all is quiet, and tells what keeps them from a fresh snapshot. */
  async divergence(): Promise<string[]> {
    for (const actor of this.#actors) {
      await this.#asApp('adminUnbanAccount', { userId: actor.person.userId })
      if (!(await this.#isSignedIn(actor.spare))) actor.spare = await this.#signIn(actor, 'spare')
      for (const slot of actor.slots) {
        this.#look(slot)
        if (slot.device === undefined && (await this.#isSignedIn(slot.session))) await this.#connect(slot, 'cursor')
      }
    }
    const devicesOf = (actor: Actor) => actor.slots.flatMap(({ device }) => device ?? [])
    const quieted = this.#actors.map(actor => ({ token: actor.spare.accessToken, devices: devicesOf(actor) }))
    // What was asked by a device that was cut may still be under way: what is compared must be of one moment.
    for (let tries = 1; ; tries++) {
      const quietAt = await whenQuiet(this.#service, quieted, this.#nobody)
      const found = await this.#differences()
      if ((await this.#service.store.head()) === quietAt) return found
      if (tries === quietTriesMax) return [...found, `events came during each of ${tries} comparisons`]
    }
  }

  async #differences(): Promise<string[]> {
    const found = [...this.faults]
    for (const { person, spare, lists, slots } of this.#actors) {
      const devices = slots.flatMap(({ device, deviceId, opened, earlier }) =>
        device === undefined ? [] : [{ name: `${person.userName} ${deviceId}`, device, opened, earlier }],
      )
      const viewer = { userId: person.userId, token: spare.accessToken, spare, lists }
      found.push(...(await divergence(this.#service, viewer, devices)).map(text => `${person.userName}: ${text}`))
    }
    return found
  }

  async leave(): Promise<void> {
    const slots = this.#actors.flatMap(actor => actor.slots)
    await Promise.all(slots.map(({ device }) => device?.close()))
  }

  async #do(command: RandomCommand): Promise<void> {
    try {
      await (this.#deeds[command.kind] as (command: RandomCommand) => Promise<unknown>)(command)
    } catch (error) {
      const isAnswer = error instanceof CommandError && !neverAnswered.has(error.code)
      const isCut = error instanceof DeviceClosed && expectedCloses.has(error.closed.code)
      if (!isAnswer && !isCut) this.faults.push(`${JSON.stringify(command)}: ${error}`)
    }
  }

  /** As a frame when the device is on, else over HTTP. Repeated under one key now and then is for other tests. */
  async #ask(slot: Slot, op: string, args: Arguments): Promise<Arguments> {
    const { device } = slot
    if (device !== undefined) return device.command(op, args, randomUUID())
    const { method, path, body } = requestOf(operationNamed(op), args)
    const answer = await this.#service.api(method, path, { token: slot.session.accessToken, body, key: randomUUID() })
    if (answer.status >= 400) throw new CommandError(answer.body)
    return answer.body
  }

  async #asApp(op: string, args: Arguments): Promise<Arguments> {
    const { method, path, body } = requestOf(operationNamed(op), args)
    const answer = await this.#service.api(method, path, { token: this.#adminKey, body, key: randomUUID() })
    if (answer.status >= 400) throw new CommandError(answer.body)
    return answer.body
  }

  #actor(number: number): Actor {
    return this.#actors[number % peopleCount] as Actor
  }

  #slot({ who, device }: { readonly who: number; readonly device: number }): Slot {
    return this.#actor(who).slots[device % devicesEach] as Slot
  }

  #userId(number: number): string {
    return this.#actor(number).person.userId
  }

  /** Another's P2P conversation or a group's; undefined while there is no group. */
  #conversation(who: number, to: number): { readonly conversationId: string; readonly owner: number } | undefined {
    const others = this.#actors.filter(actor => actor !== this.#actor(who))
    const other = others[to]
    if (other !== undefined) {
      const ids = [this.#userId(who), other.person.userId].toSorted()
      return { conversationId: `p2p:${ids.join(':')}`, owner: who }
    }
    const group = this.#groups[(to - others.length) % Math.max(1, this.#groups.length)]
    return group && { conversationId: `group:${group.groupId}`, owner: group.owner }
  }

  #group(number: number): { readonly groupId: string; owner: number } | undefined {
    return this.#groups[number % Math.max(1, this.#groups.length)]
  }

  #lastSeq(slot: Slot, conversationId: string): number {
    const held = slot.device?.state ?? slot.stored
    return Number(held?.collection('conversations').get(conversationId)?.lastSeq ?? 3)
  }

  /** What the deeds of other files need. */
  readonly #hands = {
    groups: this.#groups,
    ask: (by: { readonly who: number; readonly device: number }, op: string, args: Arguments) =>
      this.#ask(this.#slot(by), op, args),
    group: (number: number) => this.#group(number),
    userId: (number: number) => this.#userId(number),
    lastSeq: (by: { readonly who: number; readonly device: number }, conversationId: string) =>
      this.#lastSeq(this.#slot(by), conversationId),
    conversation: (who: number, to: number) => this.#conversation(who, to),
    asApp: (op: string, args: Arguments) => this.#asApp(op, args),
    sessionId: (by: { readonly who: number; readonly device: number }) => this.#slot(by).session.sessionId,
  }

  readonly #deeds: Deeds<CommandKind> = {
    ...friendDeeds(this.#hands.ask, this.#hands.userId),
    ...groupDeeds(this.#hands),
    ...announcementDeeds(this.#hands),
    ...joiningDeeds(this.#hands),
    ...receiptDeeds(this.#hands),
    ...inboxDeeds(this.#hands),
    ...appDeeds(this.#hands),
    say: async ({ to, again, type, ...by }) => {
      const { sent } = this.#actor(by.who)
      const repeated = again ? sent.at(-1) : undefined
      if (repeated !== undefined) return this.#ask(this.#slot(by), 'sendMessage', repeated.args)
      const conversation = this.#conversation(by.who, to)
      if (conversation === undefined) return
      const { conversationId } = conversation
      const ext = sent.length % 3 === 0 ? { ext: 'of the app' } : undefined
      const content = sampleOf(type, `${sent.length} of ${by.who}`)
      const args = { conversationId, clientMessageId: newMessageId(), ...content, ...ext }
      sent.push({ conversationId, args })
      await this.#ask(this.#slot(by), 'sendMessage', args)
    },
    block: async ({ whom, blocked, ...by }) => {
      const op = blocked ? 'blockUser' : 'unblockUser'
      await this.#ask(this.#slot(by), op, { userId: this.#userId(whom) })
    },
    openMembers: async ({ group, ...by }) => {
      const found = this.#group(group)
      const slot = this.#slot(by)
      if (found === undefined || slot.device === undefined) return
      await slot.device.command('open', { collection: 'members', groupId: found.groupId })
      slot.opened.add(found.groupId)
    },
    changeProfile: async ({ number, clears, privately, ...by }) => {
      const publicly = { name: `name ${number}`, signature: clears ? null : `signature ${number}` }
      const friendPolicy = number % 2 === 0 ? 'anyone' : 'nobody'
      await this.#ask(this.#slot(by), 'updateOwnUser', privately ? { friendPolicy } : publicly)
    },
    changePassword: async ({ really, ...by }) => {
      if (really) await this.#inTurn(this.#slot(by), slot => this.#changePassword(this.#actor(by.who), slot))
    },
    kickDevice: async ({ which, ...by }) => {
      const { sessionId } = this.#slot({ who: by.who, device: which }).session
      await this.#ask(this.#slot(by), 'kickSession', { sessionId })
    },
    signIn: by =>
      this.#inTurn(this.#slot(by), async slot => {
        this.#look(slot)
        if (await this.#isSignedIn(slot.session)) return
        slot.session = await this.#signIn(this.#actor(by.who), slot.deviceId)
        await this.#connect(slot, 'nothing')
      }),
    disconnect: ({ cut, ...by }) =>
      this.#inTurn(this.#slot(by), async slot => {
        const { device } = slot
        if (device === undefined) return
        slot.device = undefined
        if (cut) device.destroy()
        else await device.close()
        await device.closed
        slot.stored = device.state
      }),
    connect: ({ from, ...by }) =>
      this.#inTurn(this.#slot(by), async slot => {
        this.#look(slot)
        if (slot.device === undefined && (await this.#isSignedIn(slot.session))) await this.#connect(slot, from)
      }),
    readNotifications: async ({ back, ...by }) => {
      const slot = this.#slot(by)
      const held = [...((slot.device?.state ?? slot.stored)?.collection('notifications').values() ?? [])]
      const positions = held.map(({ position }) => String(position)).toSorted()
      const upTo = positions.at(-1 - back)
      if (upTo !== undefined) await this.#ask(slot, 'readNotifications', { upTo })
    },
    letTimePass: async () => {
      // Not so often that tokens expire.
      if (this.#timesPassed++ >= timesPassedMax) return
      // What is not in the read models by then would be nowhere: the server turns devices away for a moment.
      await whenReadable(this.#service.api, this.#nobody.token, await this.#service.store.head())
      this.#service.pass?.(longerThanTheRingSeconds)
    },
    readLists: async ({ anew, ...by }) => {
      const actor = this.#actor(by.who)
      const ask = (op: string, args: Arguments) => this.#ask(this.#slot(by), op, args)
      actor.lists = actor.lists === undefined || anew ? await readLists(ask) : await catchUp(ask, actor.lists)
    },
    remember: async by => {
      const slot = this.#slot(by)
      slot.earlier = slot.device?.state.clone() ?? slot.earlier
    },
  }

  async #inTurn(slot: Slot, work: (slot: Slot) => Promise<void>): Promise<void> {
    const before = this.#busy.get(slot) ?? Promise.resolve()
    const done = before.then(() => work(slot))
    this.#busy.set(
      slot,
      done.catch(() => {}),
    )
    await done
  }

  /** A device whose socket was closed by the server is off; why must be among what is expected. */
  #look(slot: Slot): void {
    const { device, closed } = slot
    if (device === undefined || closed === undefined) return
    const { code, reason } = closed
    if (!expectedCloses.has(code)) this.faults.push(`${slot.deviceId} was closed with ${code} ${reason}`)
    slot.device = undefined
    slot.stored = device.state
  }

  async #isSignedIn(session: SignedIn): Promise<boolean> {
    const answer = await this.#service.api('GET', '/v1/users/me', { token: session.accessToken })
    return answer.status === 200
  }

  async #signIn(actor: Actor, deviceId: string): Promise<SignedIn> {
    const device = { deviceId, platform: 'linux', name: deviceId }
    const { userName } = actor.person
    const body = { by: 'password', userName, password: actor.password, device }
    const answer = await this.#service.api('POST', '/v1/sessions', { body })
    if (answer.status >= 400) throw new CommandError(answer.body)
    return answer.body as SignedIn
  }

  async #changePassword(actor: Actor, slot: Slot): Promise<void> {
    const password = `another password ${randomUUID()}`
    const body = { current: actor.password, new: password }
    const answer = await this.#service.api('PUT', '/v1/users/me/password', { token: slot.session.accessToken, body })
    if (answer.status >= 400) throw new CommandError(answer.body)
    actor.password = password
  }

  async #connect(slot: Slot, from: 'cursor' | 'earlier' | 'nothing'): Promise<void> {
    const held = from === 'cursor' ? slot.stored : from === 'earlier' ? (slot.earlier ?? slot.stored) : undefined
    // Members come on request only: what was opened is not kept.
    held?.collections.delete('members')
    slot.opened = new Set()
    const resumed = held === undefined || held.cursor === '' ? {} : { replica: held }
    const onFrame = (frame: ServerFrame) => {
      // Whoever is out of a group no longer hears of its members.
      if (frame.op === 'remove' && frame.collection === 'groups') slot.opened.delete(String(frame.id))
    }
    const device = await this.#service.connect(slot.session, { ...resumed, onFrame })
    slot.device = device
    slot.stored = undefined
    slot.closed = undefined
    void device.closed.then(closed => {
      if (slot.device === device) slot.closed = closed
    })
  }
}
