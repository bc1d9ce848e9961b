// Whatever is wrong with a field is told in the product's own words, for every operation, and says what the field must be.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseFields } from '../../api/field-errors.ts'
import { formsOf } from '../../api/operation.ts'
import { operations } from '../../api/operations.ts'
import { type Harness, startHarness, type TestUser } from './harness.ts'

let api: Harness
let ada: TestUser
beforeAll(async () => {
  api = await startHarness()
  ada = await api.user('ada')
})
afterAll(() => api.close())

const errorsOf = async (route: string, body?: unknown): Promise<readonly { path: string; message: string }[]> =>
  (await api.refused('request.invalid', route, { token: ada.token, body })).errors

describe('a wrong field', () => {
  const group = 'POST /v1/groups'
  it.each([
    ['that is missing', group, {}, 'name', 'is needed'],
    ['of another type', group, { name: 1 }, 'name', 'must be a text'],
    ['that is no list', group, { name: 'G', memberIds: 'bob' }, 'memberIds', 'must be a list'],
    ['that is null', group, { name: null }, 'name', 'must be a text'],
    ['that is no choice', 'POST /v1/sessions', { by: 'luck' }, 'by', 'must be one of password, code'],
    ['inside another', 'POST /v1/sessions', { device: {} }, 'device.deviceId', 'is needed'],
    ['that is too small', group, { name: 'G', memberLimit: 1 }, 'memberLimit', 'at least 2'],
    ['that is no whole number', group, { name: 'G', memberLimit: 2.5 }, 'memberLimit', 'must be a whole number'],
    ['of a query', 'GET /v1/groups?limit=101', undefined, 'limit', 'at most 100'],
    ['that is no number', 'GET /v1/groups?limit=many', undefined, 'limit', 'must be a number'],
    ['that is no truth', 'GET /v1/conversations?unread=maybe', undefined, 'unread', 'must be true or false'],
    ['that is not there', group, { name: 'G', owner: 'me' }, 'owner', 'there is no such field'],
    ['that is too long', 'POST /v1/codes', { target: 'x'.repeat(255) }, 'target', 'at most 254 characters'],
  ])('%s', async (_what, route, body, path, message) => {
    expect(await errorsOf(route, body)).toContainEqual({ path, message })
  })

  it('of a target or a new identity is told of under the name that it was given by', async () => {
    const long = `+${'1'.repeat(60)}`
    const told = { message: 'at most 40 characters' }
    const code = await errorsOf('POST /v1/codes', { channel: 'sms', target: long, purpose: 'register' })
    expect(code).toContainEqual({ path: 'target', ...told })
    const bound = await errorsOf('PUT /v1/users/me/identities/phone', { value: long, code: '123456' })
    expect(bound).toContainEqual({ path: 'value', ...told })
  })

  it('that may have one of several forms is told all of them', async () => {
    const errors = await errorsOf('PATCH /v1/groups/g/members/bob', { mutedUntil: 5 })
    expect(errors).toEqual([{ path: 'mutedUntil', message: 'is no time of RFC 3339, or must be forever' }])
  })

  it('in a body that is no object is the body', async () => {
    expect(await errorsOf('POST /v1/groups', '[]')).toEqual([{ path: '', message: 'must be an object' }])
  })

  it('is told of in a frame alike', async () => {
    const call = {
      caller: { kind: 'user', userId: ada.userId, sessionId: ada.sessionId },
      address: '127.0.0.1',
    } as never
    expect(await api.dispatch('createGroup', call, {})).toMatchObject({
      error: { code: 'request.invalid', errors: [{ path: 'name', message: 'is needed' }], detail: 'name: is needed' },
    })
  })
})

const wrongValues = [
  undefined,
  null,
  0.5,
  -1,
  1e20,
  true,
  '',
  'x',
  'x'.repeat(5_000),
  [],
  [1],
  {},
  Array(2_000).fill('a'),
]
const libraryWords = /invalid|expected|received|unrecognized|^too /i

it.each(operations.map(operation => [operation.id, operation] as const))(
  'no words of the library in what %s says',
  (_id, { args }) => {
    for (const form of formsOf(args)) {
      for (const wrong of wrongValues) {
        const all = Object.fromEntries(Object.keys(form.shape).map(name => [name, wrong]))
        for (const fields of [args, form]) {
          const parsed = parseFields(fields, { ...all, another: wrong })
          if (!('errors' in parsed)) throw new Error('a field that does not exist was taken')
          for (const { path, message } of parsed.errors) expect(message, path).not.toMatch(libraryWords)
        }
      }
    }
  },
)
