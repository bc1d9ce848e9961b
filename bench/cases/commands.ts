// Owns the case `commands`: 500 sockets call commands of all kinds in turn, one in flight each: what people do beside writing.
// A command counts once it is durable and acknowledged.

import { type Case, megabytes, mustBeClean, reported } from '../case.ts'
import type { CallPlan } from '../load.ts'
import type { Seed, SeededUser } from '../seed.ts'
import { pairConversation } from '../seed.ts'
import { openStage, withCeiling } from '../stage.ts'

const sockets = 500
const eventBytes = 516
const floor = 3_000

const frame = (op: string, args: object): string => JSON.stringify({ op, id: '0', args })

/** A day of one person in short: the frames repeat for ever, and each of them changes something every time. */
const framesOf = (user: SeededUser, peer: SeededUser, stranger: SeededUser, group: string): readonly string[] => {
  const conversationId = pairConversation(user, peer)
  const groupId = group.slice('group:'.length)
  return [
    frame('updateConversation', { conversationId, pinned: true }),
    frame('blockUser', { userId: stranger.userId }),
    frame('addAdmin', { groupId, userId: peer.userId }),
    frame('updateOwnUser', { signature: 'on the train' }),
    frame('updateConversation', { conversationId, pinned: false }),
    frame('unblockUser', { userId: stranger.userId }),
    frame('removeAdmin', { groupId, userId: peer.userId }),
    frame('updateOwnUser', { signature: 'back at the desk' }),
  ]
}

const seedPeople = async (seed: Seed): Promise<CallPlan[]> => {
  const users = await seed.users(sockets)
  const plans: CallPlan[] = []
  for (const [index, user] of users.entries()) {
    const peer = users[index % 2 === 0 ? index + 1 : index - 1] as SeededUser
    const stranger = users[(index + 2) % users.length] as SeededUser
    if (index % 2 === 0) await seed.messages(pairConversation(user, peer), [user.userId], 1)
    const group = await seed.group([user, peer])
    plans.push({ token: user.token, frames: framesOf(user, peer, stranger, group) })
  }
  return plans
}

export const commandsCase: Case = {
  name: 'commands',
  summary: 'commands of all kinds over 500 sockets, one in flight each, durable acknowledgement',
  run: async settings => {
    const commits = await withCeiling(ceiling =>
      ceiling.call('commit', { producers: sockets, eventBytes, forMs: settings.runMs / 2 }),
    )
    const { stage, seeded: devices } = await openStage(settings, seedPeople)
    try {
      const about = {
        case: 'commands',
        variant: '8 kinds in turn',
        unit: 'commands/s',
        greaterIsBetter: true,
        floor,
        ceiling: commits.perSecond,
        ceilingOf: 'LMDB group commit of one 516 B record each',
      }
      const result = await reported(settings, about, async () => {
        const { warmUpMs, runMs: forMs } = settings
        const args = { port: stage.realtimePort, devices, warmUpMs, forMs }
        const { value, cpu, repeated } = await stage.measure(() => stage.load.call('call', args))
        mustBeClean(value)
        const { acks, seconds, p50Ms, p99Ms } = value
        const residentMb = megabytes(stage.residentBytes())
        return { figure: acks / seconds, p50Ms, p99Ms, cpu, residentMb, also: { repeated } }
      })
      return [result]
    } finally {
      await stage.end()
    }
  },
}
