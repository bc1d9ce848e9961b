// Every variable of the environment: what makes sense is taken, and what does not is refused by name and with what to do, in
// words of our own and without the value, which may be a password.

import { describe, expect, test } from 'vitest'
import { portError } from '../api/starting.ts'
import { ConfigError, readConfig } from '../config.ts'

const refusalOf = (environment: Readonly<Record<string, string>>): string => {
  try {
    readConfig(environment)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as Error).message
  }
  throw new Error('it was taken')
}

const stores = { EVENTSTORE_URL: 'esdb://h?tls=false', DATABASE_URL: 'postgres://h/x' }
const split = { ...stores, TOKEN_SIGNING_KEY: 'k', IDENTITY_HMAC_KEY: 'k' }

test('nothing at all is a configuration, and an empty variable counts as absent', () => {
  expect(readConfig({ HTTP_PORT: '', ROLES: '' })).toEqual(readConfig({}))
  expect(readConfig({}).ROLES).toEqual(['api', 'realtime', 'projections'])
})

test.each([
  ['HTTP_PORT', 'http', 'must be a whole number from 0 to 65535'],
  ['HTTP_PORT', '1.5', 'must be a whole number from 0 to 65535'],
  ['REALTIME_PORT', '65536', 'must be a whole number from 0 to 65535'],
  ['FRIENDS_MAX', '0', 'must be a whole number from 1 to 10000'],
  ['DATA_DIR', ' ', 'must not be blank'],
  ['ROLES', ',', 'must name a role'],
  ['DEVICE_POLICY', 'two', 'must be one of one, desktopAndMobile, many'],
  ['LOG_LEVEL', 'loud', 'must be one of trace, debug, info, warn, error, fatal'],
  ['NODE_ENV', 'prod', 'must be one of production, development, test'],
  ['EVENTSTORE_URL', 'http://h', 'must begin with esdb://'],
  ['DATABASE_URL', 'mysql://h/x', 'must be an address like postgres://'],
  ['DATABASE_URL', 'postgres://me:secret#word@h/x', 'written as %40'],
  ['PUBLIC_REALTIME_URL', 'https://chat.example.org', 'must be an address like wss://'],
  ['SMTP_URL', 'mail.example.org', 'must be an address like smtps://'],
  ['SMTP_URL', 'https://mail.example.org', 'must be an address like smtps://'],
  ['SMS_URL', 'sms.example.org', 'must be an address like https://'],
  ['SMS_BODY_TEMPLATE', '{', 'must be JSON that holds {{to}}'],
  ['SMS_BODY_TEMPLATE', '{"to":{{to}},"text":"{{text}}"}', 'must be JSON that holds {{to}}'],
  ['SMS_BODY_TEMPLATE', '{"text":"{{text}}"}', 'must be JSON that holds {{to}}'],
  ['SMS_BODY_TEMPLATE', '{"to":"{{to}}"}', '{{code}} or {{text}}'],
])('%s=%s is refused', (name, value, said) => {
  const message = refusalOf({ [name]: value })
  expect(message).toContain(`  ${name}: `)
  expect(message).toContain(said)
  expect(message).not.toContain('secret')
})

test.each([
  ['CORS_ORIGINS', 'https://chat.example.org,chat.example.org', 'CORS_ORIGINS.1: is no origin'],
  ['CORS_ORIGINS', 'https://chat.example.org/', 'CORS_ORIGINS.0: is no origin'],
  ['ROLES', 'api,everything', 'ROLES.1: must be one of api, realtime, projections'],
])('of the list %s=%s the wrong one is named', (name, value, said) => {
  expect(refusalOf({ ...split, [name]: value })).toContain(said)
})

test.each([
  ['CORS_ORIGINS', '*, http://localhost:5173 ,capacitor://localhost'],
  ['DATABASE_URL', 'postgresql:///chat?host=/var/run/postgresql'],
  ['EVENTSTORE_URL', 'esdb://admin:p@a.example.org:2113,b.example.org:2113?tls=true'],
  ['SMTP_URL', 'smtp://user%40example.org:word@mail.example.org'],
  ['SMS_BODY_TEMPLATE', '{"phone":["{{to}}"],"params":{"code":"{{code}}"}}'],
])('%s=%s is taken', (name, value) => {
  expect(readConfig({ [name]: value })).toHaveProperty(name)
})

describe('the roles', () => {
  test('are each counted once, in whatever order', () => {
    expect(readConfig({ ...split, ROLES: 'projections,api,api' }).ROLES).toEqual(['api', 'projections'])
    expect(refusalOf({ ROLES: 'api,api,api' })).toMatch(
      /^ROLES=api runs only a part .*Set EVENTSTORE_URL, DATABASE_URL/,
    )
  })

  test('run apart only on shared stores and keys', () => {
    expect(refusalOf({ ...stores, ROLES: 'api' })).toContain('Set TOKEN_SIGNING_KEY, IDENTITY_HMAC_KEY, or leave')
    expect(readConfig({ ...split, ROLES: 'realtime' }).ROLES).toEqual(['realtime'])
  })
})

test('one port for both servers is refused, where there are both', () => {
  const ports = { HTTP_PORT: '9000', REALTIME_PORT: '9000' }
  expect(refusalOf(ports)).toBe('HTTP_PORT and REALTIME_PORT are both 9000: give one of them another port.')
  expect(readConfig({ ...split, ...ports, ROLES: 'api' }).HTTP_PORT).toBe(9_000)
  expect(readConfig({ HTTP_PORT: '0', REALTIME_PORT: '0' }).HTTP_PORT).toBe(0)
})

test.each([
  ['EADDRINUSE', /^Port 80 on h is in use by another program. Stop that program, or set HTTP_PORT to another port\.$/],
  ['EACCES', /^Port 80 on h may not be opened by this user: set HTTP_PORT to another port, above 1023\.$/],
  ['ENOTFOUND', /^h is no address of this machine \(ENOTFOUND\)\. Set HOST /],
  ['EADDRNOTAVAIL', /^h is no address of this machine \(EADDRNOTAVAIL\)\. Set HOST /],
  ['EMFILE', /^Port 80 on h cannot be opened \(EMFILE\): set HTTP_PORT to another port\.$/],
])('a port that cannot be had because of %s says what to do', (code, said) => {
  expect(portError(Object.assign(new Error(), { code }), 'h', 80, 'HTTP_PORT').message).toMatch(said)
})
