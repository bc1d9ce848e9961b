// Owns what a device opened on request: a group's members, as rows first and from then on as what changes. One after the other,
// each in its turn among the snapshots: however much a device opens at once, the node holds no more for it.

import { group, roleIn } from '../domain/group/group.ts'
import { type GroupId, streamOf, type UserId } from '../domain/ids.ts'
import type { SocketContext } from './context.ts'
import { errorText } from './frames.ts'
import { groupTopic, membersTopic, openGroupsMax, type Topic } from './protocol.ts'
import { catchUpMsMax, pieces } from './sync.ts'
import type { SyncTurn } from './sync-turns.ts'

/** What opening needs of a device's socket. */
export interface OpeningSocket {
  readonly userId: UserId
  readonly topics: ReadonlySet<Topic>
  send(frames: readonly string[]): void
  /** @returns false when the device is gone or too slow */
  sendAndDrain(frames: readonly string[]): Promise<boolean>
  subscribe(topic: Topic): void
}

const noSuchGroup = (detail: string): string => errorText('group.not-found', detail)
const behind = errorText('projection.behind', 'This server is behind the event log. Try again in a moment.')

export class Opened {
  readonly #context: SocketContext
  readonly #groups = new Set<GroupId>()
  #last: Promise<unknown> = Promise.resolve()

  constructor(context: SocketContext) {
    this.#context = context
  }

  /** @returns the part of the reply after its id; undefined: nobody is there any more */
  open(socket: OpeningSocket, groupId: GroupId): Promise<string | undefined> {
    const opening = this.#last.then(() => this.#openInTurn(socket, groupId))
    this.#last = opening.catch(() => {})
    return opening
  }

  forget(groupId: GroupId): void {
    this.#groups.delete(groupId)
  }

  async #openInTurn(socket: OpeningSocket, groupId: GroupId): Promise<string | undefined> {
    const turn = await this.#context.syncTurns.wait().turn
    if (turn === undefined) return errorText('overloaded', 'Many devices fetch rows at once. Try again in a moment.')
    try {
      return await this.#openMembers(socket, groupId, turn)
    } finally {
      turn.leave()
    }
  }

  /** The read models may not show yet what has just made the user a member, by what this node knows: they are waited for. */
  async #membersFor(userId: UserId, groupId: GroupId) {
    const { node, readMembers, folded } = this.#context
    const found = await readMembers(userId, groupId)
    if (found !== undefined) return found
    const { state, position } = await node.load(group, streamOf.group(groupId))
    if (roleIn(state, userId) === null) return undefined
    return (await folded(position, catchUpMsMax)) ? readMembers(userId, groupId) : ('behind' as const)
  }

  async #openMembers(socket: OpeningSocket, groupId: GroupId, turn: SyncTurn): Promise<string | undefined> {
    const { hub, node } = this.#context
    const found = await this.#membersFor(socket.userId, groupId)
    if (found === 'behind') return behind
    if (found === undefined) {
      return noSuchGroup('There is no such group for you. Check the id, or whether you are still a member.')
    }
    const takenByMs = node.clock.unixMs() + turn.hold(found.items)
    if (!(await hub.whenRouted(found.position, catchUpMsMax))) return behind
    for (const piece of pieces({ collection: 'members', items: found.items, removed: [] })) {
      if (!(await socket.sendAndDrain([piece]))) return undefined
      if (node.clock.unixMs() > takenByMs) return errorText('overloaded', 'The rows were taken too slowly. Try again.')
    }
    // From here to the reply is one turn: nothing is routed in between.
    if (!hub.ring.coversAfter(found.position)) {
      return errorText('projection.behind', 'Too much changed meanwhile. Open the group again.')
    }
    // Still a member now? The topic of the group says so in log order.
    if (!socket.topics.has(groupTopic(groupId))) return noSuchGroup('You are no longer a member.')
    if (this.#groups.size >= openGroupsMax && !this.#groups.has(groupId)) {
      return errorText('open.limit', `Close one of the ${openGroupsMax} open groups.`)
    }
    const topic = membersTopic(groupId)
    const later = hub.ring.entriesFrom(found.position, [topic]).flatMap(({ actions }) => actions)
    socket.send(later.flatMap(action => (action.do === 'publish' && action.topic === topic ? [action.frame] : [])))
    this.#groups.add(groupId)
    socket.subscribe(topic)
    return '"ok":{}'
  }
}
