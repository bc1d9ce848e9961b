// Owns the proof that docker-compose.yml fits the configuration and keeps no secret: what compose would hand to each process is
// worked out here, by compose's own rules, and given to the reader of the configuration. No container engine is needed.
// The certificates are made for real, by the script in the file, and tried in a TLS handshake.

import { execFile } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer } from 'node:tls'
import { promisify } from 'node:util'
import { EventStoreDBClient } from '@eventstore/db-client'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { loadKeys } from '../api/keys.ts'
import { configSchema, readConfig, roles } from '../config.ts'
import { namedBlocks } from './support/readme.ts'

const root = join(import.meta.dirname, '..')
const run = promisify(execFile)

const serviceSchema = z.looseObject({
  image: z.string(),
  environment: z.record(z.string(), z.union([z.string(), z.number()])).default({}),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  networks: z.array(z.string()).default([]),
  network_mode: z.string().optional(),
  healthcheck: z.looseObject({ test: z.array(z.string()).min(2) }).optional(),
  depends_on: z.record(z.string(), z.strictObject({ condition: z.string() })).default({}),
  command: z.array(z.string()).optional(),
})

const text = await readFile(join(root, 'docker-compose.yml'), 'utf8')
const compose = z
  .looseObject({
    services: z.record(z.string(), serviceSchema),
    volumes: z.record(z.string(), z.unknown()),
    networks: z.record(z.string(), z.looseObject({ internal: z.boolean().optional() })),
  })
  .parse(parse(text, { merge: true }))
const services = Object.entries(compose.services)
const service = (name: string) => serviceSchema.parse(compose.services[name])

/** The secrets of an operator, as README.md tells to make them. */
const operator = {
  POSTGRES_PASSWORD: randomBytes(24).toString('hex'),
  EVENTSTORE_ADMIN_PASSWORD: randomBytes(24).toString('hex'),
  EVENTSTORE_OPS_PASSWORD: randomBytes(24).toString('hex'),
  IDENTITY_HMAC_KEY: randomBytes(32).toString('base64'),
  TOKEN_SIGNING_KEY: Buffer.from(
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }),
  ).toString('base64'),
}

const variable = /\$\{(?<name>[A-Z_]+)(?<rule>:[?-])(?<rest>[^}]*)\}/g

/** What compose makes of a value. */
const resolved = (value: string | number, given: Readonly<Record<string, string>>): string =>
  String(value).replaceAll(variable, (_all, name: string, rule: string, rest: string) => {
    const found = given[name] ?? ''
    if (found !== '') return found
    if (rule === ':-') return rest
    throw new Error(`required variable ${name} is missing a value: ${rest}`)
  })

const environmentOf = (name: string, given: Readonly<Record<string, string>> = operator) =>
  Object.fromEntries(Object.entries(service(name).environment).map(([key, value]) => [key, resolved(value, given)]))

/** Every variable used anywhere in the file, with how it is used. */
const used = [...text.matchAll(variable)].map(({ groups }) => ({ name: groups?.name ?? '', rule: groups?.rule ?? '' }))

describe('the three roles', () => {
  test.each(roles)('%s is given an environment that the service accepts, with that one role', name => {
    const environment = environmentOf(name)
    const config = readConfig(environment)
    expect(config.ROLES).toEqual([name])
    expect(config.NODE_ENV).toBe('production')
    expect(config.DATABASE_URL).toContain(operator.POSTGRES_PASSWORD)
    loadKeys({ tokenSigningKey: config.TOKEN_SIGNING_KEY, identityHmacKey: config.IDENTITY_HMAC_KEY, mayMake: false })
  })

  test.each(roles)('%s is given no variable that the service does not know', name => {
    expect(Object.keys(configSchema.shape)).toEqual(expect.arrayContaining(Object.keys(service(name).environment)))
  })

  test.each(roles)('%s still reads its configuration when the operator sets everything that may be set', name => {
    const everything = {
      ...operator,
      PUBLIC_REALTIME_URL: 'wss://chat.example.org/v1/realtime',
      DEVICE_POLICY: 'one',
      USER_NAME_SIGN_UP: 'off',
      INVITE_NEEDS_APPROVAL: 'on',
      FRIENDS_MAX: '500',
      HISTORY_DAYS: '1095',
      RECEIPT_GROUP_MEMBERS_MAX: '50',
      STRANGERS_MAY_CHAT: 'false',
      CORS_ORIGINS: 'https://chat.example.org',
      TRUST_PROXY: '10.0.0.0/8',
      LOG_LEVEL: 'warn',
      SMTP_URL: 'smtps://user:password@mail.example.org:465',
      MAIL_FROM: 'Chat <chat@example.org>',
      SMS_URL: 'https://sms.example.org/send',
      SMS_BODY_TEMPLATE: '{"to":"{{to}}","text":"{{text}}"}',
      SMS_AUTHORIZATION: 'Bearer x',
    }
    expect(new Set(used.map(({ name }) => name))).toEqual(new Set(Object.keys(everything)))
    expect(readConfig(environmentOf(name, everything)).DEVICE_POLICY).toBe('one')
  })

  test.each(roles)('%s runs the image of this version', async name => {
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    expect(service(name).image).toBe(`ledgerline:${version}`)
  })
})

describe('secrets', () => {
  test('compose refuses to start when any one of them is missing', () => {
    const required = new Set(used.filter(({ rule }) => rule === ':?').map(({ name }) => name))
    expect(required).toEqual(new Set(Object.keys(operator)))
  })

  test('none is written in the file, nor has a default', () => {
    for (const [name, { environment }] of services) {
      for (const [key, value] of Object.entries(environment)) {
        const where = `${name}: ${key}`
        const isFile = String(value).startsWith('/')
        if (/PASSWORD|SECRET|TOKEN|KEY|AUTHORIZATION/.test(key) && !isFile) {
          expect(String(value), where).toMatch(/^\$\{[A-Z_]+(:\?[^}]+|:-)\}$/)
        }
        const password = /:\/\/[^:/@]*:(?<password>[^@]*)@/.exec(String(value))?.groups?.password
        if (password !== undefined) expect(password, where).toMatch(/^\$\{[A-Z_]+:\?[^}]+\}$/)
      }
    }
  })
})

const hasOpenssl = run('openssl', ['version']).then(
  () => true,
  () => false,
)

describe('the commands in README.md that make the secrets', () => {
  const script = namedBlocks().find(({ name }) => name === 'env')?.text ?? ''

  test('make all that compose asks for, usable, and never overwrite what is there', async context => {
    if (!(await hasOpenssl)) context.skip('openssl is not installed here')
    const folder = await mkdtemp(join(tmpdir(), 'ledgerline-env-'))
    const file = join(folder, '.env')
    try {
      await run('bash', ['-ec', script], { cwd: folder })
      const made = await readFile(file, 'utf8')
      const values = Object.fromEntries(
        made
          .trim()
          .split('\n')
          .map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      )
      expect(Object.keys(values).toSorted()).toEqual(Object.keys(operator).toSorted())
      const config = readConfig(environmentOf('api', values))
      loadKeys({ tokenSigningKey: config.TOKEN_SIGNING_KEY, identityHmacKey: config.IDENTITY_HMAC_KEY, mayMake: false })
      expect(new URL(config.EVENTSTORE_URL ?? '').password).toBe(values.EVENTSTORE_ADMIN_PASSWORD)
      expect((await stat(file)).mode & 0o777).toBe(0o600)
      await expect(run('bash', ['-ec', script], { cwd: folder })).rejects.toThrow(/overwrite/)
      expect(await readFile(file, 'utf8')).toBe(made)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})

describe('the services', () => {
  test.each(services.filter(([name]) => name !== 'certificates'))('%s has a health check', (_name, { healthcheck }) => {
    expect(healthcheck?.test[0]).toBe('CMD')
  })

  test.each(services)('%s is of a pinned version', (_name, { image }) => {
    expect(image).toMatch(/^[a-z/]+:\d+\.\d+(\.\d+)?(-[a-z]+)?$/)
  })

  test.each(services)('%s mounts named volumes only, and all of them are declared', (_name, { volumes }) => {
    for (const volume of volumes) expect(Object.keys(compose.volumes)).toContain(volume.split(':')[0])
  })

  test('every declared volume is used', () => {
    const mounted = new Set(services.flatMap(([, { volumes }]) => volumes.map(volume => volume.split(':')[0])))
    expect(mounted).toEqual(new Set(Object.keys(compose.volumes)))
  })

  test('only the API and the socket are published, on the loopback address, and only they have a way out', () => {
    for (const [name, { ports, networks, network_mode: mode }] of services) {
      const open = name === 'api' || name === 'realtime'
      expect(ports.length, name).toBe(open ? 1 : 0)
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:(\d+):\1$/)
      const ways = networks.filter(network => compose.networks[network]?.internal !== true)
      expect(ways, name).toEqual(open ? ['edge'] : [])
      expect(networks.length > 0 || mode === 'none', name).toBe(true)
    }
  })

  test('each waits for what it needs, by a condition that can come true', () => {
    for (const [name, { depends_on: needs }] of services) {
      for (const [needed, { condition }] of Object.entries(needs)) {
        const expected = needed === 'certificates' ? 'service_completed_successfully' : 'service_healthy'
        expect(condition, `${name} needs ${needed}`).toBe(expected)
      }
    }
    for (const name of roles) expect(Object.keys(service(name).depends_on)).toEqual(['eventstoredb', 'postgres'])
    expect(Object.keys(service('eventstoredb').depends_on)).toEqual(['certificates'])
  })
})

describe('the certificates', () => {
  test('are made by the script, and a client that trusts their authority reaches the host name of the service', async context => {
    if (!(await hasOpenssl)) context.skip('openssl is not installed here')
    const folder = await mkdtemp(join(tmpdir(), 'ledgerline-certificates-'))
    try {
      const script = (service('certificates').command?.[0] ?? '')
        .replaceAll('/node/', `${folder}/`)
        .replaceAll('/ca/', `${folder}/`)
        .replaceAll('cd /tmp', `cd ${folder}`)
        .replaceAll('-o 1000 -g 1000 ', '')
        .replaceAll(/install -m \d+ (\S+) (\S+)/g, 'test -s $1')
      await run('bash', ['-euc', script])
      const read = (file: string) => readFile(join(folder, file), 'utf8')
      const server = createServer({ key: await read('node.key'), cert: await read('node.crt') }, socket =>
        socket.end('hello'),
      )
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as AddressInfo
      const options = { port, host: '127.0.0.1', ca: await read('ca.crt') }
      const greeting = (servername: string) =>
        new Promise<string>((resolve, reject) => {
          const socket = connect({ ...options, servername })
          socket.once('error', reject)
          socket.once('data', data => resolve(data.toString()))
        })
      const url = (environmentOf('api').EVENTSTORE_URL ?? '').replace('/certificates/', `${folder}/`)
      EventStoreDBClient.connectionString(url)
      expect(await greeting(new URL(url).hostname)).toBe('hello')
      await expect(greeting('elsewhere')).rejects.toThrow(/altnames/)
      // At the second start nothing is made anew.
      const before = await read('node.crt')
      await run('bash', ['-euc', script])
      expect(await read('node.crt')).toBe(before)
      server.close()
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
