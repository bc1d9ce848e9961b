// Owns the tests of how often one person may call for another's attention: by friend requests, invitations and applications.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rateLimits } from '../../api/rate-limits.ts'
import { type Harness, startHarness, type TestUser } from './harness.ts'

let api: Harness
let pest: TestUser
let ada: TestUser
let bob: TestUser
beforeAll(async () => {
  api = await startHarness()
  pest = await api.user('pest')
  ada = await api.user('ada')
  bob = await api.user('bob')
  api.settings.rateLimits = true
})
afterAll(() => api?.close())

const { caller, target } = rateLimits.requests
const ask = (userId: string) => api.ask('POST /v1/friend-requests', { token: pest.token, body: { userId } })
const takeBack = (userId: string) => api.ok(`DELETE /v1/friend-requests/${userId}`, { token: pest.token })
const calmDown = () => api.clock.pass((caller.burst / caller.perMinute) * 60)
const asked = (token: string, path: string) => api.ok(`GET ${path}`, { token })

describe('one who asks again and again', () => {
  it('reaches the one who is asked a few times, then now and then; everybody else is asked as before', async () => {
    for (let times = 0; times < target.burst; times++) {
      expect((await ask(ada.userId)).status).toBe(201)
      if (times % 2 === 0) await takeBack(ada.userId)
    }
    const head = await api.node.store.head()
    const refused = await ask(ada.userId)
    expect(refused).toMatchObject({ status: 429, body: { code: 'rate.limited', retryable: true } })
    expect(await api.node.store.head()).toBe(head)
    expect((await ask(bob.userId)).status).toBe(201)
    api.clock.pass(Number(refused.headers['retry-after']))
    expect((await ask(ada.userId)).status).toBe(201)
    expect((await ask(ada.userId)).body.code).toBe('rate.limited')
  })

  it('as one who wants into a group', async () => {
    const group = { name: 'A group', joinMode: 'approval' }
    const { groupId, position } = await api.ok('POST /v1/groups', { token: ada.token, body: group })
    expect(await api.runner.passed(position, 30_000)).toBe(true)
    const join = () => api.ask(`POST /v1/groups/${groupId}/join`, { token: pest.token, body: { message: 'please' } })
    for (let times = 0; times < target.burst; times++) expect((await join()).body.state).toBe('applied')
    expect((await join()).body.code).toBe('rate.limited')
  })

  it('asks only so many at a time, whoever they are and however they are asked', async () => {
    calmDown()
    const waysToAsk = [
      (index: number) => ask(`nobody-${index}`),
      (index: number) => api.ask(`POST /v1/groups/none-${index}/join`, { token: pest.token, body: {} }),
      (index: number) =>
        api.ask('POST /v1/groups/none/members', { token: pest.token, body: { userIds: [`nobody-${index}`] } }),
    ]
    const codes: string[] = []
    for (let index = 0; index <= caller.burst; index++) {
      codes.push((await waysToAsk[index % waysToAsk.length]?.(index))?.body.code)
    }
    expect(codes.indexOf('rate.limited')).toBe(caller.burst)
    // Whoever is asked may answer, and the pest may write and read.
    expect((await asked(ada.token, '/v1/friend-requests')).items).toMatchObject([{ userId: pest.userId }])
    await api.ok(`POST /v1/friend-requests/${pest.userId}/reject`, { token: ada.token })
    await asked(pest.token, '/v1/friend-requests')
  })
})

it('is told to every app', async () => {
  const { rateLimits: told } = await api.ok('GET /v1/server')
  expect(told).toMatchObject({ requests: { caller, target } })
})
