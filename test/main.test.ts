// The program as an operator has it: a start that cannot be says what to do and leaves nothing behind, one that waits says for
// what, a stop is in good order, and stores that go away and come back are borne.

import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { configSchema } from '../config.ts'
import { wholeHistory } from './support/convergence.ts'
import { connectDevice, createApi, expectOk, newMessageId, type SignedIn, signIn, signUp } from './support/device.ts'
import { freePort } from './support/free-port.ts'
import { postgresBinaries, startPostgres, type TestPostgres } from './support/postgres.ts'
import { whenReadable } from './support/quiet.ts'
import { type LaunchedProcess, launchServerProcess, type ServerProcessOptions } from './support/server-process.ts'
import { StandIn } from './support/stand-in-process.ts'

const slowMsMax = 300_000
const usual = { RATE_LIMITS: 'off', NODE_ENV: 'test', LOG_LEVEL: 'info' }

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ledgerline-main-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const launched = new Set<LaunchedProcess>()
const launch = async (environment: Readonly<Record<string, string>>, more: Partial<ServerProcessOptions> = {}) => {
  const server = await launchServerProcess({
    environment: { ...usual, ...environment },
    readyMsMax: slowMsMax,
    ...more,
  })
  launched.add(server)
  return server
}
afterEach(async () => {
  for (const server of launched) await server.kill()
  launched.clear()
}, slowMsMax)

const dataDir = (name: string) => join(folder, name)

/** What it says when it cannot start. */
const refusal = async (environment: Readonly<Record<string, string>>, parameters: readonly string[] = []) => {
  const server = await launch(environment, { parameters })
  expect(await server.exited, server.output()).toBe('1')
  return server.output()
}

const statusOf = async (server: LaunchedProcess, path: string): Promise<{ status: number; waitingFor?: string[] }> => {
  try {
    const response = await fetch(`${server.httpUrl}${path}`, { signal: AbortSignal.timeout(10_000) })
    return { ...((await response.json()) as object), status: response.status }
  } catch {
    // It does not listen (yet).
    return { status: 0 }
  }
}

const whenStatus = async (server: LaunchedProcess, path: string, wanted: number) => {
  let answer: Awaited<ReturnType<typeof statusOf>> | undefined
  const ask = async () => {
    answer = await statusOf(server, path)
    return answer.status === wanted
  }
  await whenAsked(ask)
  return answer
}

/** Asks one time after the other. */
const whenAsked = async (ask: () => Promise<boolean>): Promise<void> => {
  while (!(await ask())) await new Promise(resolve => setImmediate(resolve))
}

describe('a start that cannot be', () => {
  let taken: Server
  let port: string
  beforeEach(async () => {
    taken = createServer()
    port = String(await freePort())
    await new Promise<void>(resolve => taken.listen(Number(port), '127.0.0.1', resolve))
  })
  afterEach(() => {
    taken.close()
  })

  test('because of the port of HTTP says so before anything is opened', async () => {
    const said = await refusal({ HTTP_PORT: port, DATA_DIR: dataDir('http-port') })
    expect(said).toBe(
      `Cannot start: Port ${port} on 127.0.0.1 is in use by another program. Stop that program, or set HTTP_PORT to another port.\n`,
    )
    expect(await readdir(folder)).not.toContain('http-port')
  })

  test(
    'because of the port of the sockets says so and gives its folder up',
    async () => {
      const said = await refusal({ REALTIME_PORT: port, DATA_DIR: dataDir('socket-port') })
      expect(said).toMatch(new RegExp(`^Cannot start: Port ${port} on 127.0.0.1 .*set REALTIME_PORT`, 'm'))
      expect(await readdir(dataDir('socket-port/log'))).not.toContain('owner.json')
      expect(await readdir(dataDir('socket-port/readmodels'))).not.toContain('lock')
    },
    slowMsMax,
  )

  test(
    'because another process has the folder names that process, which goes on',
    async () => {
      const first = await launch({ DATA_DIR: dataDir('shared') })
      await first.whenReady()
      const said = await refusal({ DATA_DIR: dataDir('shared') })
      expect(said).toMatch(new RegExp(`^Cannot start: .*is in use by process ${first.pid}.*another DATA_DIR`, 'm'))
      expect(await statusOf(first, '/readyz')).toMatchObject({ status: 200 })
    },
    slowMsMax,
  )

  test.each([
    ['a folder that is a file', () => ({ DATA_DIR: dataDir('a-file') }), [], /a-file cannot be written .*Set DATA_DIR/],
    [
      'a folder below a file',
      () => ({ DATA_DIR: dataDir('a-file/x') }),
      [],
      /a-file\/x cannot be written .*Set DATA_DIR/,
    ],
    [
      'a folder where none can be made',
      () => ({ DATA_DIR: '/proc/ledgerline/x' }),
      [],
      /cannot be written .*Set DATA_DIR/,
    ],
    ['no port', () => ({ HTTP_PORT: 'http' }), [], /HTTP_PORT: .*number/],
    ['a part of the roles on embedded stores', () => ({ ROLES: 'api' }), [], /Set EVENTSTORE_URL, DATABASE_URL/],
    ['an address that is none', () => ({ EVENTSTORE_URL: 'esdb://h?tls=maybe' }), [], /EVENTSTORE_URL cannot be/],
    [
      'a key that is none, before any store is looked for',
      () => ({ TOKEN_SIGNING_KEY: 'none', EVENTSTORE_URL: 'esdb://127.0.0.1:1?tls=false' }),
      [],
      /TOKEN_SIGNING_KEY is not a private key/,
    ],
    ['a proxy that is no address', () => ({ TRUST_PROXY: '10.0.0.0/8,true' }), [], /TRUST_PROXY\.1: is no address/],
    ['a network that is too small', () => ({ TRUST_PROXY: '10.0.0.0/33' }), [], /TRUST_PROXY\.0: is no address/],
    ['an argument', () => ({}), ['--hlep'], /no argument --hlep.*--help/],
  ])(
    'because of %s says what to do, without the way through the sources',
    async (_what, environment, parameters, said) => {
      await writeFile(dataDir('a-file'), '')
      const output = await refusal({ DATA_DIR: dataDir('never'), ...environment() }, parameters)
      const error = output.slice(output.indexOf('Cannot start: '))
      expect(error).toMatch(said)
      expect(output).not.toMatch(/^ {4}at /m)
      expect(output).not.toContain('"level":50')
    },
  )
})

test('--help tells every variable with what it is and its default, and starts nothing', async () => {
  const server = await launch({ DATA_DIR: dataDir('help') }, { parameters: ['--help'] })
  expect(await server.exited).toBe('0')
  for (const [name, schema] of Object.entries(configSchema.shape)) {
    expect(server.output()).toMatch(new RegExp(`^  ${name}\\b.*\\n      \\S`, 'm'))
    expect(server.output()).toContain(schema.description)
  }
  expect(server.output()).toContain('HTTP_PORT  (default: 8080)')
  expect(await readdir(folder)).not.toContain('help')
})

const enter = async (server: LaunchedProcess, ...names: readonly string[]): Promise<SignedIn[]> => {
  for (const name of names) await signUp(server.httpUrl, name)
  return Promise.all(names.map(name => signIn(server.httpUrl, name)))
}

const chatOf = (people: readonly SignedIn[]) =>
  `p2p:${people
    .map(({ userId }) => userId)
    .toSorted()
    .join(':')}`

const textOf = (text: string) => ({ clientMessageId: newMessageId(), type: 'text', body: { text } })

test(
  'a server tells what it counts, and lets web pages of any origin in where it is told so',
  async () => {
    const server = await launch({ DATA_DIR: dataDir('counting'), CORS_ORIGINS: '*' })
    await server.whenReady()
    const people = await enter(server, 'ann', 'bob')
    const [{ accessToken }] = people as [SignedIn]
    const { realtimeUrl } = server
    const device = await connectDevice({ realtimeUrl, token: accessToken, headers: { origin: 'https://any.example' } })
    const { position } = await device.say(chatOf(people), 'hello')
    await device.whenPassed(position)
    await whenReadable(createApi(server.httpUrl), accessToken, position)
    const { headers } = await createApi(server.httpUrl)('GET', '/v1/server', {
      headers: { origin: 'https://any.example' },
    })
    expect(headers.get('access-control-allow-origin')).toBe('*')
    let metrics = ''
    const counted = (name: string) => {
      const value = new RegExp(`^ledgerline_${name}(\\{[^}]*\\})? (\\S+)$`, 'm').exec(metrics)?.[2]
      return value === undefined ? undefined : Number(value)
    }
    const grown = ['commands_total', 'appends_total', 'frames_in_total', 'frames_out_total', 'follower_events_total']
    for (const name of [...grown, 'projection_events_total', 'sockets']) {
      // The followers count in their own time.
      const now = async () => {
        metrics = await (await fetch(`${server.httpUrl}/metrics`)).text()
        return counted(name)
      }
      await expect.poll(now, { message: name }).toBeGreaterThanOrEqual(1)
    }
    for (const name of ['append_conflicts_total', 'commands_waiting', 'frames_dropped_total', 'node_behind']) {
      expect(counted(name), name).toBe(0)
    }
    for (const part of ['projection', 'follower']) {
      expect(counted(`${part}_lag_events`), part).toBeGreaterThanOrEqual(0)
      expect(counted(`${part}_lag_seconds`), part).toBeGreaterThanOrEqual(0)
    }
    expect(counted('nodejs_eventloop_lag_p99_seconds')).toBeGreaterThan(0)
  },
  slowMsMax,
)

describe('a stop', () => {
  test(
    'answers what was accepted, says goodbye with 4503, ends well, and loses nothing',
    async () => {
      const environment = { DATA_DIR: dataDir('stopped') }
      const server = await launch(environment)
      await server.whenReady()
      const people = await enter(server, 'ann', 'bob')
      const [ann] = people as [SignedIn]
      const conversationId = chatOf(people)
      const device = await connectDevice({ realtimeUrl: server.realtimeUrl, token: ann.accessToken })
      const sends = Array.from({ length: 200 }, (_, index) =>
        device.command('sendMessage', { conversationId, ...textOf(`${index}`) }).then(
          ({ seq }) => seq as number,
          () => undefined,
        ),
      )
      await Promise.race(sends)
      const ended = server.terminate()
      const acknowledged = (await Promise.all(sends)).filter(seq => seq !== undefined)
      expect(await device.closed).toMatchObject({ code: 4503 })
      expect(await ended, server.output()).toBe('0')
      expect(server.output()).not.toMatch(/"level":[56]0/)
      expect(await readdir(dataDir('stopped/log'))).not.toContain('owner.json')

      const again = await launch(environment)
      await again.whenReady()
      const api = createApi(again.httpUrl)
      const get = async (path: string) => expectOk(await api('GET', path, { token: ann.accessToken }))
      const sent = expectOk(
        await api('POST', `/v1/conversations/${conversationId}/messages`, {
          token: ann.accessToken,
          body: textOf('last'),
        }),
      )
      expect(await get(`/v1/unread?after=${sent.position}`)).toMatchObject({ total: 0 })
      const seqs = (await wholeHistory(get, conversationId)).map(({ seq }) => seq)
      expect(seqs).toEqual(seqs.map((_, index) => index + 1))
      expect(seqs).toEqual(expect.arrayContaining(acknowledged))
      expect(await again.terminate()).toBe('0')
    },
    slowMsMax,
  )

  test.each([
    ['the event log', { EVENTSTORE_URL: 'esdb://127.0.0.1:1?tls=false' }, 'EventStoreDB cannot be reached yet'],
    ['the read models', { DATABASE_URL: 'postgres://127.0.0.1:1/none' }, 'waiting for the Postgres of DATABASE_URL'],
  ])(
    'while it waits for %s is as good as any',
    async (what, environment, line) => {
      const server = await launch({ DATA_DIR: dataDir(`waiting for ${what}`), ...environment })
      await whenAsked(async () => server.output().includes(line))
      expect(await statusOf(server, '/healthz')).toMatchObject({ status: 200 })
      expect(await statusOf(server, '/readyz')).toMatchObject({ status: 503, waitingFor: [what] })
      expect(await statusOf(server, '/v1/server')).toMatchObject({ status: 503, code: 'store.unavailable' })
      expect(await server.terminate(), server.output()).toBe('0')
      expect(server.output()).not.toContain('Cannot start')
      expect(server.output()).not.toContain('took too long')
    },
    slowMsMax,
  )
})

describe('an EventStoreDB that goes away and comes back', () => {
  let standIn: StandIn
  beforeAll(async () => {
    standIn = await StandIn.start()
  })
  afterAll(() => standIn.dispose())

  test(
    'is waited for at the start, and later missed with 503 until it is back',
    async () => {
      await standIn.kill()
      const server = await launch({ DATA_DIR: dataDir('eventstoredb'), EVENTSTORE_URL: standIn.url })
      expect(await whenStatus(server, '/readyz', 503)).toMatchObject({ waitingFor: ['the event log'] })
      await standIn.restart()
      await server.whenReady()
      const people = await enter(server, 'ann', 'bob')
      const [ann] = people as [SignedIn]
      const device = await connectDevice({ realtimeUrl: server.realtimeUrl, token: ann.accessToken })
      const path = `/v1/conversations/${chatOf(people)}/messages`
      const api = createApi(server.httpUrl)
      const send = (body: object) => api('POST', path, { token: ann.accessToken, body })

      await standIn.kill()
      const first = textOf('sent while it is away')
      const refused = await send(first)
      expect(refused).toMatchObject({ status: 503, body: { retryable: true } })
      expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
      expect(await device.closed).toMatchObject({ code: 4503 })
      const unready = await whenStatus(server, '/readyz', 503)
      expect(unready?.waitingFor).toEqual([expect.stringContaining('the event log')])

      await standIn.restart()
      await server.whenReady()
      let sent: Awaited<ReturnType<typeof send>> | undefined
      await whenAsked(async () => {
        sent = await send(first)
        return sent.status === 201
      })
      expect(sent?.body).toMatchObject({ seq: 1 })

      await standIn.kill()
      expect(await server.terminate(), server.output()).toBe('0')
    },
    slowMsMax,
  )
})

// Only where Postgres is not installed.
describe.skipIf(postgresBinaries() === undefined)('a Postgres that goes away and comes back', () => {
  let postgres: TestPostgres
  beforeAll(async () => {
    postgres = await startPostgres()
  }, slowMsMax)
  afterAll(() => postgres?.stop())

  test(
    'is waited for at the start, and later missed by queries only until it is back',
    async () => {
      const url = postgres.createDatabase('away')
      postgres.halt()
      const server = await launch({ DATA_DIR: dataDir('postgres'), DATABASE_URL: url })
      await whenAsked(async () => server.output().includes('waiting for the Postgres of DATABASE_URL'))
      expect(await statusOf(server, '/readyz')).toMatchObject({ status: 503, waitingFor: ['the read models'] })
      postgres.resume()
      await server.whenReady()
      const people = await enter(server, 'ann', 'bob')
      const [ann] = people as [SignedIn]
      const api = createApi(server.httpUrl)
      const send = (text: string) =>
        api('POST', `/v1/conversations/${chatOf(people)}/messages`, { token: ann.accessToken, body: textOf(text) })
      const list = (after: string) => api('GET', `/v1/conversations?after=${after}`, { token: ann.accessToken })
      const { position } = expectOk(await send('before'))
      expectOk(await list(position))

      postgres.halt('immediate')
      const lists = await api('GET', '/v1/conversations', { token: ann.accessToken })
      expect(lists).toMatchObject({ status: 503, body: { code: 'store.unavailable', retryable: true } })
      const unready = await whenStatus(server, '/readyz', 503)
      expect(unready?.waitingFor).toEqual([expect.stringContaining('the read models')])
      const meanwhile = expectOk(await send('while it is away'))
      expect(await list(meanwhile.position)).toMatchObject({ status: 503, body: { code: 'projection.behind' } })

      postgres.resume()
      await server.whenReady()
      await whenAsked(async () => (await list(meanwhile.position)).status === 200)
      const { items } = expectOk(await list(meanwhile.position))
      expect(items).toEqual([expect.objectContaining({ lastSeq: 2 })])

      postgres.halt('immediate')
      expect(await server.terminate(), server.output()).toBe('0')
    },
    slowMsMax,
  )
})
