// Owns who is online as clients see it, over real HTTP and sockets: who came, who went, and from whom that is kept (R5).

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { flapMs } from '../../realtime/presence.ts'
import { expectOk } from '../support/device.ts'
import { whenReadable } from '../support/quiet.ts'
import { type Person, startTestService, type TestService } from '../support/service.ts'

const slowMsMax = 300_000
const instant = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)

let service: TestService

beforeAll(async () => {
  service = await startTestService()
}, slowMsMax)
afterAll(async () => {
  await service?.stop()
  expect(service?.failures).toEqual([])
}, slowMsMax)

const presence = async (asking: Person, ...ids: readonly string[]) => {
  const { items } = expectOk(await service.api('GET', `/v1/presence?ids=${ids.join(',')}`, { token: asking.token }))
  return items as { userId: string; online: boolean; since: string | null; at: string }[]
}

const people = async (...names: readonly string[]): Promise<Person[]> => {
  const made = await service.people(...names)
  for (const { token, session } of made) await whenReadable(service.api, token, session.position)
  return made
}

describe('presence', () => {
  test('shows who is online and since when, and who went once that has lasted', async () => {
    const [ada, bob] = (await people('ada', 'bob')) as [Person, Person]
    expect(await presence(ada, bob.userId)).toEqual([{ userId: bob.userId, online: false, since: null, at: instant }])
    const device = await service.connect(bob)
    const [online] = await presence(ada, bob.userId)
    expect(online).toEqual({ userId: bob.userId, online: true, since: instant, at: instant })

    await device.close()
    const again = await service.connect(bob)
    service.pass(flapMs / 1_000)
    const [still] = await presence(ada, bob.userId)
    expect(still).toMatchObject({ online: true, since: online?.since })

    await again.close()
    await expect
      .poll(
        async () => {
          service.pass(flapMs / 1_000)
          return (await presence(ada, bob.userId))[0]?.online
        },
        { timeout: 10_000 },
      )
      .toBe(false)
    const [offline] = await presence(ada, bob.userId)
    expect(offline).toEqual({ userId: bob.userId, online: false, since: instant, at: instant })
    expect((offline?.since ?? '') > (online?.since ?? '')).toBe(true)
    expect((offline?.at ?? '') > (still?.at ?? '')).toBe(true)
  })

  test('is the same as a frame, knows me, and leaves out who is not there', async () => {
    const [ada, gone] = (await people('ada', 'gone')) as [Person, Person]
    const device = await service.connect(ada)
    const closing = { token: gone.token, body: { password: 'correct horse battery' } }
    const { position } = expectOk(await service.api('DELETE', '/v1/users/me', closing))
    await whenReadable(service.api, ada.token, position)
    const row = { userId: ada.userId, online: true, since: instant, at: instant }
    expect(await presence(ada, 'me', 'nobody', gone.userId, ada.userId)).toEqual([row])
    expect(await device.command('getPresence', { ids: ['me', 'nobody'] })).toEqual({ items: [row] })
  })

  test('is kept from one whom the other blocks, and from nobody else', async () => {
    const [ada, bob, eve] = (await people('ada', 'bob', 'eve')) as [Person, Person, Person]
    for (const person of [ada, eve]) await service.connect(person)
    expectOk(await service.api('PUT', `/v1/blocklist/${eve.userId}`, { token: ada.token }))
    expect(await presence(eve, ada.userId)).toEqual([{ userId: ada.userId, online: false, since: null, at: instant }])
    expect(await presence(bob, ada.userId)).toMatchObject([{ online: true }])
    expect(await presence(ada, eve.userId)).toMatchObject([{ online: true }])
  })
})
