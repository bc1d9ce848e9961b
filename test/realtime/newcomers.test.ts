// Sockets that have not said hello: bounded in all and from one network, so that nobody keeps the others out.

import { afterEach, expect, test } from 'vitest'
import { Newcomers, newcomersMax, newcomersPerNetworkMax } from '../../realtime/newcomers.ts'
import { hello, type LiveServer, openLiveServer } from '../support/live-server.ts'

let server: LiveServer | undefined
afterEach(async () => {
  await server?.close()
  server = undefined
})

test('are counted until they say hello or go', () => {
  const newcomers = new Newcomers(2)
  newcomers.came('one')
  expect(newcomers.refuses('one')).toBeUndefined()
  newcomers.came('one')
  expect([newcomers.refuses('one'), newcomers.refuses('other')]).toEqual(['network', undefined])
  newcomers.settled('one')
  expect(newcomers.refuses('one')).toBeUndefined()
})

test('are so many at most, wherever they come from', () => {
  const newcomers = new Newcomers(Number.POSITIVE_INFINITY)
  for (let index = 0; index < newcomersMax; index++) newcomers.came(`${index % 7}`)
  expect([newcomers.refuses('1'), newcomers.refuses('new')]).toEqual(['all', 'all'])
  newcomers.settled('1')
  expect(newcomers.refuses('new')).toBeUndefined()
})

test('of one address that stay silent keep out that address alone', async () => {
  server = await openLiveServer({ helloMs: 600_000, trustProxy: ['127.0.0.0/8'] })
  const { connect } = server
  const from = (address: string) => connect({ headers: { 'x-forwarded-for': address } })
  const [first] = await Promise.all(Array.from({ length: 100 }, () => from('203.0.113.9')))
  while (server.realtime.counters.sockets < newcomersPerNetworkMax) {
    await Promise.all(Array.from({ length: 100 }, () => from('203.0.113.9')))
  }
  await expect(from('203.0.113.9')).rejects.toMatchObject({ status: 429 })
  const greet = async (socket: Awaited<ReturnType<typeof from>>) => {
    socket.sendJson(hello('ann/ann-1'))
    await socket.nextUntil(frame => frame.op === 'synced')
  }
  await greet(await from('203.0.113.10'))
  if (first !== undefined) await greet(first)
  await from('203.0.113.9')
  await expect(from('203.0.113.9')).rejects.toMatchObject({ status: 429 })
  expect([...server.errors, ...server.node.errors]).toEqual([])
})
