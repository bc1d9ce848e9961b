// Owns a scene for tests of the whole product: people who are signed in, each with a device on, and the question whether all
// of their devices have converged. What they say to each other is for the test.

import { divergence, wholeHistory } from './convergence.ts'
import { type Device, expectOk, type SignedIn } from './device.ts'
import { whenQuiet, whenReadable } from './quiet.ts'
import type { Row } from './replica.ts'
import type { Person, TestService } from './service.ts'

/** One who takes part, with a device that is on. */
export class Player {
  readonly userId: string
  readonly person: Person
  readonly token: string
  /** A signed-in device without a socket. */
  readonly spare: SignedIn
  readonly devices: Device[]
  readonly #service: TestService

  constructor(service: TestService, person: Person, spare: SignedIn, device: Device) {
    this.#service = service
    this.userId = person.userId
    this.person = person
    this.token = person.token
    this.spare = spare
    this.devices = [device]
  }

  /** The first device; replaced by `back`. */
  get device(): Device {
    return this.devices[0] as Device
  }

  /** Runs an operation on the first device. */
  do(op: string, args: object): ReturnType<Device['command']> {
    return this.device.command(op, args)
  }

  say(conversationId: string, text = 'a word'): ReturnType<Device['say']> {
    return this.device.say(conversationId, text)
  }

  /** Says so many things, one after the other. @returns the seqs */
  async sayMuch(conversationId: string, count: number): Promise<number[]> {
    const said = await Promise.all(Array.from({ length: count }, (_, index) => this.say(conversationId, `${index}`)))
    return said.map(({ seq }) => seq)
  }

  /** Another device of the same user, on as well. */
  async another(deviceId: string): Promise<Device> {
    const device = await this.#service.connect(await this.#service.signIn(this.person, deviceId))
    this.devices.push(device)
    return device
  }

  /** Turns the first device off. */
  async off(): Promise<void> {
    await this.device.close()
  }

  /** Turns it on again, where it stopped. */
  async back(): Promise<void> {
    this.devices[0] = await this.#service.connect(this.person, { replica: this.device.state })
  }

  /** What the first device holds of a conversation; undefined when it is in no list. */
  row(conversationId: string): Row | undefined {
    return this.device.replica.get('conversations')?.get(conversationId)
  }

  messages(conversationId: string): Row[] {
    return this.device.state.messagesOf(conversationId)
  }

  get(path: string): Promise<ReturnType<typeof expectOk>> {
    return this.#service.api('GET', path, { token: this.token }).then(expectOk)
  }

  /** Resolves once lists over HTTP show everything up to the position. */
  readable(position: string): Promise<void> {
    return whenReadable(this.#service.api, this.token, position)
  }

  /** All that the user sees of a conversation over HTTP. */
  history(conversationId: string): Promise<Row[]> {
    return wholeHistory(path => this.get(path), conversationId)
  }
}

export interface Scene {
  enter(...names: readonly string[]): Promise<Player[]>
  /** Waits until all is quiet; whatever then keeps somebody's devices from a fresh snapshot. */
  divergence(...players: readonly Player[]): Promise<string[]>
  /** Waits until everything done so far has reached these players and the read models. */
  quiet(...players: readonly Player[]): Promise<string>
  /** A group with its conversation; the members are told of it when it comes back. */
  group(owner: Player, ...members: readonly Player[]): Promise<{ groupId: string; conversationId: string }>
}

/** The P2P conversation of two. */
export const between = (one: { readonly userId: string }, other: { readonly userId: string }): string =>
  `p2p:${[one.userId, other.userId].toSorted().join(':')}`

export const setScene = async (service: TestService): Promise<Scene> => {
  const nobody = await service.person('nobody')
  const quiet: Scene['quiet'] = (...players) => {
    return whenQuiet(service, players, nobody)
  }
  return {
    quiet,
    enter: async (...names) => {
      const people = await service.people(...names)
      return Promise.all(
        people.map(async person => {
          const spare = await service.signIn(person, 'spare')
          return new Player(service, person, spare, await service.connect(person))
        }),
      )
    },
    divergence: async (...players) => {
      await quiet(...players)
      const found = await Promise.all(
        players.map(({ userId, token, spare, devices, person }) => {
          const held = devices.map((device, index) => ({ name: `${person.userName} ${index}`, device }))
          return divergence(service, { userId, token, spare }, held)
        }),
      )
      return found.flat()
    },
    group: async (owner, ...members) => {
      const memberIds = members.map(({ userId }) => userId)
      const { groupId, conversationId } = await owner.do('createGroup', {
        name: 'A group',
        inviteeConsent: 'none',
        memberIds,
      })
      await quiet(owner, ...members)
      return { groupId, conversationId }
    },
  }
}
