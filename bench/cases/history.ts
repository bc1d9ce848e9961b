// Owns the case `history`: pages of 50 at random places of a conversation of 100,000 messages, over kept HTTP connections.

import { type Case, megabytes, mustBeClean, reported } from '../case.ts'
import { pairConversation, type SeededUser } from '../seed.ts'
import { openStage, withCeiling } from '../stage.ts'

const messages = 100_000
const pageSize = 50
const connections = 32
const paths = 2_000
/** About what a page of 50 weighs. */
const pageBytes = 18_000

/** Pages a second of a fixed text of so many bytes. */
export const pageCeiling = (bytes: number, forMs: number): Promise<number> =>
  withCeiling(async (ceiling, load) => {
    const { port } = await ceiling.call('page', { bytes })
    const url = `http://127.0.0.1:${port}`
    const args = { url, token: 'none', paths: ['/page'], connections, warmUpMs: 1_000, forMs }
    const { acks, seconds } = await load.call('get', args)
    return acks / seconds
  })

export const historyCase: Case = {
  name: 'history',
  summary: 'pages of 50 out of 100,000 messages, HTTP keep-alive, 32 connections',
  run: async settings => {
    const ceiling = await pageCeiling(pageBytes, settings.runMs / 2)
    const { stage, seeded } = await openStage(settings, async seed => {
      const [one, other] = (await seed.users(2)) as [SeededUser, SeededUser]
      const conversationId = pairConversation(one, other)
      await seed.messages(conversationId, [one.userId, other.userId], messages)
      return { token: one.token, conversationId }
    })
    try {
      const { token, conversationId } = seeded
      const pages = Array.from({ length: paths }, () => {
        const before = pageSize + 1 + Math.floor(Math.random() * (messages - pageSize))
        return `/v1/conversations/${encodeURIComponent(conversationId)}/messages?before=${before}&limit=${pageSize}`
      })
      const isPostgres = settings.database === 'postgres'
      const frame = {
        case: 'history',
        variant: `${connections} connections`,
        unit: 'pages/s',
        greaterIsBetter: true,
        floor: isPostgres ? 2_500 : 1_200,
        goal: isPostgres ? 5_000 : 2_500,
        ceiling,
        ceilingOf: 'a fixed text of the same size through Fastify',
      }
      const result = await reported(settings, frame, async () => {
        const args = { url: stage.server.httpUrl, token, paths: pages, connections }
        const { warmUpMs, runMs: forMs } = settings
        const { value, cpu, repeated } = await stage.measure(() => stage.load.call('get', { ...args, warmUpMs, forMs }))
        mustBeClean(value)
        return {
          figure: value.acks / value.seconds,
          p50Ms: value.p50Ms,
          p99Ms: value.p99Ms,
          cpu,
          residentMb: megabytes(stage.residentBytes()),
          also: { repeated },
        }
      })
      return [result]
    } finally {
      await stage.end()
    }
  },
}
