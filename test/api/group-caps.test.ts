// In how many groups anybody may be, how many may ask one user in, and how many one user may ask (R14, R20, R22): whatever way leads
// there, and never in the way of a repeat. What fills the caps is written by the same commands, without the way over HTTP.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isRejection } from '../../domain/decider.ts'
import { type GroupCommand, group } from '../../domain/group/group.ts'
import { type GroupId, type Position, streamOf, type UserId } from '../../domain/ids.ts'
import { limits } from '../../domain/limits.ts'
import { type Harness, startHarness, type TestUser } from './harness.ts'

const foldMsMax = 120_000

let api: Harness
let ada: TestUser
beforeAll(async () => {
  api = await startHarness()
  ada = await api.user('ada')
})
afterAll(() => api.close())

const readable = async (position: string) => expect(await api.runner.passed(position as Position, foldMsMax)).toBe(true)
const run = async (groupId: string, command: object): Promise<string> => {
  const whole = { ...command, at: api.node.clock.now() } as GroupCommand
  const handled = await api.node.handle(group, streamOf.group(groupId as GroupId), whole, {
    facts: { groupsCreated: 0 },
  })
  if (isRejection(handled)) throw new Error(handled.rejected)
  return handled.position
}
/** So many groups of somebody who does nothing else. @returns their ids, once they can be read */
const groupsOf = async (name: string, count: number, settings: object): Promise<string[]> => {
  const groupIds = Array.from({ length: count }, (_, index) => `${name}.${index}`)
  const create = {
    type: 'CreateGroup',
    name,
    memberIds: [],
    requestId: `r.${name}`,
    by: 'crowd' as UserId,
    ...settings,
  }
  const made = await Promise.all(groupIds.map(groupId => run(groupId, { ...create, groupId })))
  await readable(made.toSorted().at(-1) as string)
  return groupIds
}
const as = (user: TestUser, route: string, body?: object, key?: string) =>
  api.ask(route, { token: user.token, ...(body === undefined ? {} : { body }), key })
const codeOf = async (answer: ReturnType<typeof as>) => (await answer).body.code
const groupBy = async (owner: TestUser, settings: object) => {
  const { body } = await as(owner, 'POST /v1/groups', { name: 'One', ...settings })
  return `/v1/groups/${body.groupId}`
}

describe('one who is in as many groups as anybody may be', () => {
  it(
    'comes into no other one, by whatever way, until they leave one',
    async () => {
      const max = await api.user('max')
      const [first] = await groupsOf('joined', limits.groupsJoinedMax - 1, {
        inviteeConsent: 'none',
        memberIds: [max.userId],
      })
      const asking = await groupBy(ada, { joinMode: 'approval' })
      expect((await as(max, `POST ${asking}/join`, {})).body.state).toBe('applied')
      const inviting = (await as(ada, 'POST /v1/groups', { name: 'Asks', memberIds: [max.userId] })).body
      expect(inviting.invited).toEqual([max.userId])
      const free = await groupBy(ada, { joinMode: 'free' })

      const last = { name: 'The last one' }
      const made = await as(max, 'POST /v1/groups', last, 'last')
      expect(made.status).toBe(201)
      await readable(made.body.position)
      expect((await as(max, 'POST /v1/groups', last, 'last')).body).toEqual(made.body)
      expect(await codeOf(as(max, 'POST /v1/groups', last))).toBe('group.joined-limit')
      expect(await codeOf(as(max, `POST ${free}/join`, {}))).toBe('group.joined-limit')
      const accept = `POST /v1/group-invitations/${inviting.groupId}/accept`
      expect(await codeOf(as(max, accept))).toBe('group.joined-limit')
      const approve = `POST ${asking}/applications/${max.userId}/approve`
      expect(await codeOf(as(ada, approve))).toBe('group.joined-limit')
      const adding = await as(ada, `POST ${free}/members`, { userIds: [max.userId] })
      expect(adding.body.failed).toEqual([{ userId: max.userId, code: 'group.joined-limit' }])

      const left = await as(max, `POST /v1/groups/${first}/leave`)
      await readable(left.body.position)
      const accepted = await as(max, accept, undefined, 'yes')
      expect(accepted.status, JSON.stringify(accepted.body)).toBe(200)
      await readable(accepted.body.position)
      expect((await as(max, accept, undefined, 'yes')).body).toEqual(accepted.body)
      expect((await as(max, accept)).status).toBe(200)
      expect(await codeOf(as(max, `POST /v1/groups/${inviting.groupId}/join`, {}))).toBe('group.already-member')
      expect(await codeOf(as(ada, approve))).toBe('group.joined-limit')
    },
    foldMsMax,
  )
})

describe('one whom many ask into groups', () => {
  it(
    'is asked by no more of them until one is answered; an open invitation can be made again',
    async () => {
      const zoe = await api.user('zoe')
      const [first] = await groupsOf('asked', limits.invitationsPendingPerUserMax - 1, { memberIds: [zoe.userId] })
      const [open, another] = [await groupBy(ada, {}), await groupBy(ada, {})]
      const invite = async (path: string) => (await as(ada, `POST ${path}/members`, { userIds: [zoe.userId] })).body
      const invited = await invite(open)
      expect(invited.invited).toEqual([zoe.userId])
      await readable(invited.position)
      const refused = [{ userId: zoe.userId, code: 'invitation.peer-limit' }]
      expect(await invite(another)).toMatchObject({ invited: [], failed: refused })
      const created = await as(ada, 'POST /v1/groups', { name: 'More', memberIds: [zoe.userId] })
      expect(created.body).toMatchObject({ invited: [], failed: refused })
      expect(await invite(open)).toMatchObject({ invited: [zoe.userId], failed: [] })
      await readable((await as(zoe, `POST /v1/group-invitations/${first}/reject`)).body.position)
      expect(await invite(another)).toMatchObject({ invited: [zoe.userId], failed: [] })
    },
    foldMsMax,
  )
})

describe('one who asks to be let into many groups', () => {
  it(
    'asks no other one until one has decided; an open application can be made again, or be taken back',
    async () => {
      const yan = await api.user('yan')
      const groupIds = await groupsOf('asks', limits.applicationsPendingPerUserMax + 1, { joinMode: 'approval' })
      const [first, ...others] = groupIds as [string, ...string[]]
      const apply = (groupId: string) => as(yan, `POST /v1/groups/${groupId}/join`, {})
      const last = others.pop() as string
      let position = ''
      for (const groupId of [first, ...others]) position = (await apply(groupId)).body.position
      await readable(position)
      expect(await codeOf(apply(last))).toBe('application.own-limit')
      expect((await apply(first)).body.state).toBe('applied')
      const withdrawn = await as(yan, `DELETE /v1/groups/${first}/applications/me`)
      expect(withdrawn.status, JSON.stringify(withdrawn.body)).toBe(200)
      await readable(withdrawn.body.position)
      expect((await apply(last)).body.state).toBe('applied')
    },
    foldMsMax,
  )
})
