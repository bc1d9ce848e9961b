// Users are found by what they sign in by, whole, and by the beginning of their name, each as far as they allow it (R2, R3).

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rateLimits } from '../../api/rate-limits.ts'
import { limits } from '../../domain/limits.ts'
import { type Harness, startHarness, type TestUser } from './harness.ts'

let api: Harness
let ada: TestUser
let bob: TestUser
beforeAll(async () => {
  api = await startHarness()
  ada = await api.user('ada')
  bob = await api.user('bob')
  for (const [kind, value] of [
    ['email', 'ada@example.org'],
    ['phone', '+4915123456789'],
  ] as const) {
    const body = { value, code: await api.code('bind', value) }
    await api.ok(`PUT /v1/users/me/identities/${kind}`, { token: ada.token, body })
  }
})
afterAll(() => api.close())

const found = async (q: string, after = '') => {
  const position = after === '' ? '' : `&after=${after}`
  const { items } = await api.ok(`GET /v1/users/search?q=${encodeURIComponent(q)}${position}`, { token: bob.token })
  return items
}
const change = async (body: object): Promise<string> =>
  (await api.ok('PATCH /v1/users/me', { token: ada.token, body })).position
const by = (fields: object) => ({
  discoverableBy: { phone: false, email: false, userName: false, namePrefix: false, ...fields },
})

describe('searching users', () => {
  it('finds by the whole phone number, e-mail address and user name, however they are written', async () => {
    const row = { userId: ada.userId, userName: 'ada', name: 'ada' }
    for (const q of ['ADA', 'Ada@Example.org', '+49 1512 3456789', ' ada ']) expect(await found(q), q).toEqual([row])
    for (const q of ['ad', 'adam', 'ada@example', '+4915123456', 'example.org', '%', 'a_a', 'ad%']) {
      expect(await found(q.padEnd(2, '%')), q).toEqual([])
    }
  })

  it('respects by what each user wants to be found', async () => {
    const asked = { phone: '+4915123456789', email: 'ada@example.org', userName: 'ada' }
    for (const kind of Object.keys(asked)) {
      const position = await change(by({ [kind]: true }))
      for (const [other, q] of Object.entries(asked)) {
        expect(await found(q, position), `${kind}: ${other}`).toHaveLength(other === kind ? 1 : 0)
      }
    }
  })

  it('finds by the beginning of the name only those who allow it, in any case and literally', async () => {
    const position = await change({ name: 'Countess_%x', ...by({ namePrefix: true }) })
    for (const q of ['co', 'COUNTESS', 'countess_%']) expect(await found(q, position), q).toHaveLength(1)
    for (const q of ['ountess', 'countess%', 'c%', 'countess_%xy']) expect(await found(q), q).toEqual([])
    expect(await found('countess', await change(by({})))).toEqual([])
  })

  it('never finds by what was given up', async () => {
    await change(by({ userName: true }))
    await api.ok('PUT /v1/users/me/identities/userName', { token: ada.token, body: { value: 'ada.two' } })
    expect(await found('ada')).toEqual([])
    expect(await found('ada.two')).toHaveLength(1)
  })

  it('answers a bounded number', async () => {
    const people = await Promise.all(
      Array.from({ length: limits.userSearchResultsMax + 1 }, (_, index) => api.user(`many${index}`)),
    )
    let position = ''
    for (const { token } of people) {
      const body = { name: 'Zoe', ...by({ namePrefix: true }) }
      position = (await api.ok('PATCH /v1/users/me', { token, body })).position
    }
    expect(await found('zoe', position)).toHaveLength(limits.userSearchResultsMax)
  })

  it.each(['', 'a', 'x'.repeat(255), 'a\u0000b'])('refuses %j', async q => {
    const url = `GET /v1/users/search?q=${encodeURIComponent(q)}`
    await api.refused('request.invalid', url, { token: bob.token })
  })

  it('is no way to read a directory', async () => {
    api.settings.rateLimits = true
    const url = 'GET /v1/users/search?q=%2B4915123456789'
    for (let asked = 0; asked < rateLimits.userSearch.caller.burst; asked++) await api.ok(url, { token: bob.token })
    await api.refused('rate.limited', url, { token: bob.token })
    api.settings.rateLimits = false
  })
})
