// From where a socket comes, told by proxies: the same as Fastify tells for HTTP, whatever is in the header.

import fastify from 'fastify'
import { expect, test } from 'vitest'
import { createClientAddress } from '../../realtime/client-address.ts'

const proxy = '10.0.0.1'
const trusted = ['10.0.0.0/8', '192.0.2.1', 'fd00::/8']

/** What HTTP takes for the address. */
const ofHttp = async (remoteAddress: string, header: string): Promise<string> => {
  const app = fastify({ trustProxy: trusted })
  app.get('/', request => request.ip)
  const headers = header === '' ? {} : { 'x-forwarded-for': header }
  return (await app.inject({ url: '/', remoteAddress, headers })).body
}

/** Addresses that a client may write into its own header. */
const madeUp = (count: number) => Array.from({ length: count }, (_, index) => `198.51.100.${index}`).join(', ')

test.each([
  ['nobody speaks for it', '203.0.113.9', ''],
  ['nobody trusted speaks for it', '203.0.113.9', '198.51.100.7'],
  ['a proxy tells it', proxy, '203.0.113.9'],
  ['a proxy tells what the client made up as well', proxy, '198.51.100.7, 203.0.113.9'],
  ['a proxy behind a proxy tells it', proxy, '203.0.113.9,192.0.2.1 ,10.1.2.3'],
  ['a proxy tells nothing', proxy, ''],
  ['all of them are proxies', proxy, '10.1.1.1, 10.2.2.2'],
  ['a proxy tells more than are looked at, all made up by the client', proxy, `${madeUp(100)}, 203.0.113.9`],
  ['proxies tell it after all that the client made up', proxy, `${madeUp(100)}, 203.0.113.9, 192.0.2.1, 10.1.2.3`],
  ['it comes by IPv6', 'fd00::1', '2001:db8::7'],
  ['the proxy is an IPv4 address in the form of IPv6', '::ffff:10.0.0.1', '203.0.113.9'],
])('where %s', async (_where, remote, header) => {
  expect(createClientAddress(trusted)(remote, header)).toBe(await ofHttp(remote, header))
})

test('the header means nothing where no proxy is trusted', () => {
  expect(createClientAddress(undefined)(proxy, '203.0.113.9')).toBe(proxy)
})

test('what is no address ends the chain at the proxy that said it', () => {
  for (const header of ['unknown', ' ', 'constructor', '203.0.113.9:4711', '999.1.1.1', `x${'1,'.repeat(10_000)}`]) {
    expect(createClientAddress(trusted)(proxy, header), header.slice(0, 20)).toBe(proxy)
  }
})

test('of a chain of trusted proxies without end a bounded part is believed', () => {
  const header = `203.0.113.9, ${Array(50).fill('10.9.9.9').join(', ')}`
  expect(createClientAddress(trusted)(proxy, header)).toBe('10.9.9.9')
})

test('an address as the socket server writes it is known', () => {
  expect(createClientAddress(trusted)('fd00:0000:0000:0000:0000:0000:0000:0001', '203.0.113.9')).toBe('203.0.113.9')
})
