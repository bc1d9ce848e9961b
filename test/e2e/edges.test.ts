// Owns what is known of a client before it says who it is, on the whole server: the page that it comes from, and the address.
// Neither is believed from anybody who may make it up.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rateLimits } from '../../api/rate-limits.ts'
import { openRawSocket } from '../support/raw-socket.ts'
import { startTestService, type TestService } from '../support/service.ts'

const slowMsMax = 300_000
const page = 'https://app.example'

const started: TestService[] = []
const start = async (environment: Readonly<Record<string, string>>) => {
  const service = await startTestService(environment)
  started.push(service)
  return service
}
afterAll(async () => {
  for (const service of started) {
    await service.stop()
    expect(service.failures).toEqual([])
  }
}, slowMsMax)

describe('a page', () => {
  let service: TestService
  beforeAll(async () => {
    service = await start({ CORS_ORIGINS: `${page}, https://other.example` })
  }, slowMsMax)

  const upgradeFrom = (headers: Readonly<Record<string, string>>) => {
    const { hostname, port, pathname } = new URL(service.realtimeUrl)
    return openRawSocket({ host: hostname, port: Number(port), path: pathname, headers })
  }

  test.each([
    'https://evil.example',
    'null',
    'http://app.example',
    'https://app.example.evil.example',
    'https://app.example:8443',
    'https://evil.example/?https://app.example',
    `${page}, https://evil.example`,
    '*',
  ])('of another origin, %s, opens no socket and reads nothing', async origin => {
    await expect(upgradeFrom({ origin })).rejects.toMatchObject({ status: 403 })
    const { headers } = await service.api('GET', '/v1/server', { headers: { origin } })
    expect(headers.get('access-control-allow-origin')).not.toBe(origin)
    expect(headers.get('access-control-allow-origin')).not.toBe('*')
  })

  test('of an origin that is allowed may, and so may what is no page', async () => {
    const ada = await service.person('ada')
    for (const origin of [page, 'https://other.example']) {
      const device = await service.connect(ada, { headers: { origin } })
      await device.close()
      const { headers } = await service.api('GET', '/v1/server', { headers: { origin } })
      expect(headers.get('access-control-allow-origin')).toBe(origin)
    }
    await service.connect(ada)
  })
})

describe('an address', () => {
  const { burst } = rateLimits.codes.address
  /** Asks for too many codes, each time as from another place. @returns which ask was the first that was too many */
  const firstRefused = async (service: TestService, forwardedFor: (index: number) => string) => {
    for (let index = 0; index < 2 * burst; index++) {
      const headers = {
        'x-forwarded-for': forwardedFor(index),
        'x-real-ip': `203.0.113.${index}`,
        forwarded: `for=203.0.113.${index}`,
      }
      const { body } = await service.api('POST', '/v1/codes', { headers, body: {} })
      if (body.code === 'rate.limited') return index
      expect(body.code).toBe('request.invalid')
    }
    return undefined
  }

  test('is not what a client says of itself', { timeout: slowMsMax }, async () => {
    const service = await start({ RATE_LIMITS: 'on' })
    // Time passes: a bucket fills by one every two seconds.
    const refused = await firstRefused(service, index => `203.0.113.${index}`)
    expect(refused).toBeGreaterThanOrEqual(burst)
  })

  test('is what the proxy says, whatever the client says before that', { timeout: slowMsMax }, async () => {
    const service = await start({ RATE_LIMITS: 'on', TRUST_PROXY: '127.0.0.0/8' })
    const madeUp = (index: number) => Array.from({ length: 30 }, (_, one) => `198.51.100.${index + one}`).join(', ')
    expect(await firstRefused(service, index => `${madeUp(index)}, 192.0.2.1`)).toBeGreaterThanOrEqual(burst)
    expect(await firstRefused(service, index => `203.0.113.${index}`)).toBeUndefined()
  })
})
