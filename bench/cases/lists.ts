// Owns the case `lists`: pages of the lists that an app shows when it opens, over kept HTTP connections: 500 groups, whole and
// what changed since a moment ago, and a page of the members of a group of 5,000.

import { createApi, expectOk } from '../../test/support/device.ts'
import { type Case, megabytes, mustBeClean, type ResultFrame, reported } from '../case.ts'
import type { Result } from '../report.ts'
import type { SeededUser } from '../seed.ts'
import { openStage, type Stage } from '../stage.ts'
import { pageCeiling } from './history.ts'

const groups = 500
const members = 5_000
const connections = 32
const floor = 1_500
/** About what a page of 50 groups weighs. */
const pageBytes = 20_000

/** How many pages of a list a second; the paths are asked for in turn. */
export const pagesPerSecond = (
  stage: Stage,
  frame: Pick<ResultFrame, 'case' | 'variant' | 'ceiling' | 'ceilingOf'>,
  asked: { readonly token: string; readonly paths: readonly string[] },
): Promise<Result> =>
  reported(stage.settings, { ...frame, unit: 'pages/s', greaterIsBetter: true, floor }, async () => {
    const { warmUpMs, runMs: forMs } = stage.settings
    const args = { ...asked, url: stage.server.httpUrl, connections, warmUpMs, forMs }
    const { value, cpu, repeated } = await stage.measure(() => stage.load.call('get', args))
    mustBeClean(value)
    const { acks, seconds, p50Ms, p99Ms } = value
    const residentMb = megabytes(stage.residentBytes())
    return { figure: acks / seconds, p50Ms, p99Ms, cpu, residentMb, also: { repeated } }
  })

export const listsCase: Case = {
  name: 'lists',
  summary: 'pages of 500 groups, whole and since, and of 5,000 members, HTTP keep-alive, 32 connections',
  run: async settings => {
    const ceiling = await pageCeiling(pageBytes, settings.runMs / 2)
    const { stage, seeded } = await openStage(settings, async seed => {
      const users = await seed.users(members)
      const [owner, other] = users as [SeededUser, SeededUser]
      const large = await seed.group(users)
      for (let index = 0; index < groups; index++) await seed.group([owner, other])
      return { token: owner.token, groupId: large.slice('group:'.length) }
    })
    try {
      const { token, groupId } = seeded
      const { cursor } = expectOk(await createApi(stage.server.httpUrl)('GET', '/v1/sync', { token }))
      const variants = {
        'page of 50 of 500 groups': '/v1/groups',
        '500 groups since a moment ago': `/v1/groups?since=${encodeURIComponent(cursor)}`,
        'page of 50 of 5,000 members': `/v1/groups/${groupId}/members`,
      }
      const results = []
      for (const [variant, path] of Object.entries(variants)) {
        const frame = { case: 'lists', variant, ceiling, ceilingOf: 'a fixed text of 20 kB through Fastify' }
        results.push(await pagesPerSecond(stage, frame, { token, paths: [path] }))
      }
      return results
    } finally {
      await stage.end()
    }
  },
}
