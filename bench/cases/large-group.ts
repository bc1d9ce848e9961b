// Owns the case `large-group`: what the server takes for each thing that is done to a group of 5,000, one request after the
// other, while the group is young and again after thousands of changes: none may grow with what has happened before.

import { createApi, expectOk } from '../../test/support/device.ts'
import { type Case, megabytes, type ResultFrame, reported } from '../case.ts'
import { Histogram } from '../histogram.ts'
import type { SeededUser } from '../seed.ts'
import { openStage, type Stage } from '../stage.ts'

const members = 5_000
const floorMs = 50
/** Requests of one kind in a run. */
const timesEach = 40
/** Changes between the young group and the old one. */
const historyChanges = 4_000
const changesAtOnce = 16

interface Seeded {
  readonly owner: SeededUser
  readonly heir: SeededUser
  readonly guest: SeededUser
  readonly invited: readonly SeededUser[]
  readonly groupId: string
}

type Ask = (method: string, path: string, who: SeededUser, body?: object) => Promise<unknown>

/** Each is done as often as asked for; whatever it changes it changes back. */
const deedsOf = ({ owner, heir, guest, invited, groupId }: Seeded, ask: Ask) => {
  const path = `/v1/groups/${groupId}`
  const muted = (index: number) => ({ mode: index % 2 === 0 ? 'members' : 'none' })
  const add = () => ask('POST', `${path}/members`, owner, { userIds: [guest.userId] })
  const kick = () => ask('POST', `${path}/members/remove`, owner, { userIds: [guest.userId] })
  return {
    'create with 199 others': {
      timed: () =>
        ask('POST', '/v1/groups', owner, {
          name: 'Another',
          inviteeConsent: 'none',
          memberIds: invited.map(({ userId }) => userId),
        }),
      after: (reply: unknown) => ask('DELETE', `/v1/groups/${(reply as { groupId: string }).groupId}`, owner),
    },
    'page of 100 members': { timed: () => ask('GET', `${path}/members?limit=100`, owner) },
    join: { timed: add, after: kick },
    kick: { before: add, timed: kick },
    transfer: {
      timed: () => ask('POST', `${path}/transfer`, owner, { to: heir.userId, leave: false }),
      after: () => ask('POST', `${path}/transfer`, heir, { to: owner.userId, leave: false }),
    },
    'mute all': { timed: (index: number) => ask('PUT', `${path}/mute-all`, owner, muted(index)) },
  } satisfies Record<
    string,
    {
      before?: () => Promise<unknown>
      timed: (index: number) => Promise<unknown>
      after?: (reply: unknown) => Promise<unknown>
    }
  >
}

const seedGroup = async (seed: Parameters<Parameters<typeof openStage>[1]>[0]): Promise<Seeded> => {
  const users = await seed.users(members)
  const [owner, heir, guest] = users as [SeededUser, SeededUser, SeededUser]
  const conversationId = await seed.group(users.filter(user => user !== guest))
  return { owner, heir, guest, invited: users.slice(3, 202), groupId: conversationId.slice('group:'.length) }
}

/** Renames the group again and again, so that its stream is long. */
const makeHistory = async ({ owner, groupId }: Seeded, ask: Ask): Promise<void> => {
  for (let done = 0; done < historyChanges; done += changesAtOnce) {
    await Promise.all(
      Array.from({ length: changesAtOnce }, (_, index) =>
        ask('PATCH', `/v1/groups/${groupId}`, owner, { name: `Named ${done + index}` }),
      ),
    )
  }
}

const asking = (stage: Stage): Ask => {
  const api = createApi(stage.server.httpUrl)
  return async (method, path, who, body) => expectOk(await api(method, path, { token: who.token, body }))
}

export const largeGroupCase: Case = {
  name: 'large-group',
  summary: 'what is done to a group of 5,000, one request after the other: young, and after 4,000 changes',
  run: async settings => {
    const { stage, seeded } = await openStage(settings, seedGroup)
    try {
      const ask = asking(stage)
      const results = []
      for (const age of ['young', 'old'] as const) {
        if (age === 'old') {
          await makeHistory(seeded, ask)
          await stage.lagMs()
        }
        for (const [name, deed] of Object.entries(deedsOf(seeded, ask))) {
          const frame: ResultFrame = {
            case: 'large-group',
            variant: `${name}, ${age}`,
            unit: 'ms p50',
            greaterIsBetter: false,
            floor: floorMs,
          }
          const result = await reported(settings, frame, async () => {
            const { value, cpu, repeated } = await stage.measure(async () => {
              const times = new Histogram()
              for (let index = 0; index < timesEach; index++) {
                if ('before' in deed) await deed.before()
                const startMs = performance.now()
                const reply = await deed.timed(index)
                times.add(performance.now() - startMs)
                if ('after' in deed) await deed.after(reply)
              }
              return times
            })
            const residentMb = megabytes(stage.residentBytes())
            const p50Ms = value.percentileMs(0.5)
            return { figure: p50Ms, p50Ms, p99Ms: value.percentileMs(0.99), cpu, residentMb, also: { repeated } }
          })
          results.push(result)
        }
      }
      return results
    } finally {
      await stage.end()
    }
  },
}
