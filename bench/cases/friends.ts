// Owns the case `friends`: the friend list of one who has as many friends as anybody may have, over kept HTTP connections: whole,
// page by page, and what changed since a moment ago.

import { createApi, expectOk } from '../../test/support/device.ts'
import type { Case } from '../case.ts'
import type { SeededUser } from '../seed.ts'
import { openStage } from '../stage.ts'
import { pageCeiling } from './history.ts'
import { pagesPerSecond } from './lists.ts'

const friends = 3_000
const pageSize = 50
/** About what a page of 50 friends weighs. */
const pageBytes = 5_000

/** The path of every page of the list. */
const pagesOf = async (url: string, token: string): Promise<string[]> => {
  const get = createApi(url)
  const paths = [`/v1/friends?limit=${pageSize}`]
  for (;;) {
    const { next } = expectOk(await get('GET', paths.at(-1) as string, { token }))
    if (next === null) return paths
    paths.push(`/v1/friends?limit=${pageSize}&cursor=${encodeURIComponent(next)}`)
  }
}

export const friendsCase: Case = {
  name: 'friends',
  summary: 'the friend list of 3,000, whole in pages of 50 and since, HTTP keep-alive, 32 connections',
  run: async settings => {
    const ceiling = await pageCeiling(pageBytes, settings.runMs / 2)
    const { stage, seeded: token } = await openStage(settings, async seed => {
      const users = await seed.users(friends + 1)
      await seed.friends(users)
      return (users[0] as SeededUser).token
    })
    try {
      const url = stage.server.httpUrl
      const { cursor } = expectOk(await createApi(url)('GET', '/v1/sync', { token }))
      const variants = {
        'pages of 50 of 3,000 friends': await pagesOf(url, token),
        '3,000 friends since a moment ago': [`/v1/friends?since=${encodeURIComponent(cursor)}`],
      }
      const results = []
      for (const [variant, paths] of Object.entries(variants)) {
        const frame = { case: 'friends', variant, ceiling, ceilingOf: 'a fixed text of 5 kB through Fastify' }
        results.push(await pagesPerSecond(stage, frame, { token, paths }))
      }
      return results
    } finally {
      await stage.end()
    }
  },
}
