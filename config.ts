// Owns every variable the server reads from its environment: one schema gives the check, the default and the printed help.
// Nothing else may read process.env.

import { isIP } from 'node:net'
import { z } from 'zod'
import { limits } from './domain/limits.ts'

export const roles = ['api', 'realtime', 'projections'] as const
export type Role = (typeof roles)[number]

const integer = (from: number, to: number) => {
  const error = `must be a whole number from ${from} to ${to}`
  return z.coerce.number({ error }).int({ error }).min(from, { error }).max(to, { error })
}
const port = (byDefault: number) => integer(0, 65_535).default(byDefault)
const oneOf = <const Value extends string>(values: readonly Value[]) =>
  z.enum(values, { error: `must be one of ${values.join(', ')}` })
const text = z.string().trim().min(1, { error: 'must not be blank' })
const list = text.transform(value =>
  value
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== ''),
)
const onOff = oneOf(['on', 'off'])

/** An address that begins with one of these, like the example. */
const url = (protocols: readonly string[], example: string) =>
  text.refine(value => protocols.some(protocol => value.startsWith(`${protocol}://`)) && URL.canParse(value), {
    error: `must be an address like ${example}; special characters in a user name or password are written as %40 and so on`,
  })

/** As browsers send it, and as web views of apps do: `https://chat.example.org`, `capacitor://localhost`. */
const isOrigin = (value: string): boolean => value === '*' || /^[a-z][a-z0-9+.-]*:\/\/[^/\s]+$/.test(value)

/** Whether messages made from it are JSON and tell the code to somebody. */
const isSmsTemplate = (value: string): boolean => {
  try {
    JSON.parse(value)
  } catch {
    return false
  }
  return value.includes('{{to}}') && /\{\{(code|text)\}\}/.test(value)
}

/** An IP address, or a network: an address with the number of bits that count. */
const isNetwork = (value: string): boolean => {
  const [address = '', bits, ...more] = value.split('/')
  const version = isIP(address)
  if (version === 0 || more.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
}

/** One entry a variable; the description is what `npm start -- --help` prints. */
export const configSchema = z.object({
  HOST: text.default('127.0.0.1').describe('Address to listen on; 0.0.0.0 for all.'),
  HTTP_PORT: port(8080).describe('Port of the HTTP API; 0 takes a free one.'),
  REALTIME_PORT: port(8081).describe('Port of the WebSocket server; 0 takes a free one.'),
  PUBLIC_REALTIME_URL: url(['ws', 'wss'], 'wss://chat.example.org/v1/realtime')
    .optional()
    .describe('The socket as clients reach it, told by GET /v1/server (default: from HOST and REALTIME_PORT).'),
  DATA_DIR: text.default('./data').describe('Folder of the embedded log, the embedded read models and the keys.'),
  EVENTSTORE_URL: text
    .regex(/^esdb(\+discover)?:\/\//, { error: 'must begin with esdb:// or esdb+discover://' })
    .optional()
    .describe('EventStoreDB, esdb://user:password@host:2113?tls=true (default: the embedded log).'),
  DATABASE_URL: url(['postgres', 'postgresql'], 'postgres://user:password@host:5432/name')
    .optional()
    .describe('Postgres, postgres://user:password@host:5432/name (default: the embedded database).'),
  ROLES: list
    .pipe(z.array(oneOf(roles)).min(1, { error: 'must name a role' }))
    .transform(named => roles.filter(role => named.includes(role)))
    .default([...roles])
    .describe(
      'What this process does: api, realtime, projections, separated by commas. Splitting needs EVENTSTORE_URL and DATABASE_URL.',
    ),
  TOKEN_SIGNING_KEY: text
    .optional()
    .describe(
      'Ed25519 private key, PKCS #8 in PEM or base64 (default: made in DATA_DIR; required when roles are split).',
    ),
  IDENTITY_HMAC_KEY: text
    .optional()
    .describe('At least 32 random bytes, base64 or hex (default: made in DATA_DIR; required when roles are split).'),
  DEVICE_POLICY: oneOf(['one', 'desktopAndMobile', 'many'])
    .default('many')
    .describe('Which devices of one user may be signed in at once: one, desktopAndMobile (one of each), many.'),
  USER_NAME_SIGN_UP: onOff
    .default('on')
    .describe('on or off: whether an account may be made by user name and password alone.'),
  INVITE_NEEDS_APPROVAL: onOff
    .default('off')
    .describe('on or off: whether the managers of a group joined by approval decide whom its members invite.'),
  FRIENDS_MAX: integer(1, 10_000).default(limits.friendsMax).describe('How many friends one user may have.'),
  HISTORY_DAYS: integer(1, limits.historyDaysMax)
    .default(limits.historyDays)
    .describe('After how many days messages leave the history, for everybody; the log keeps them.'),
  STRANGERS_MAY_CHAT: oneOf(['true', 'false'])
    .default('true')
    .describe('true or false: whether people who are no friends may write to each other.'),
  RECEIPT_GROUP_MEMBERS_MAX: integer(0, 500)
    .default(limits.receiptGroupMembersMax)
    .describe('Groups that may have more members than this have no read receipts; 0: none has.'),
  SMTP_URL: url(['smtp', 'smtps'], 'smtps://user:password@host:465')
    .optional()
    .describe(
      'Mail server for codes, smtps://user:password@host:465 (default: codes are printed in the log, except in production).',
    ),
  MAIL_FROM: text.default('Ledgerline <no-reply@localhost>').describe('Sender of mails.'),
  SMS_URL: url(['http', 'https'], 'https://sms.example.org/send')
    .optional()
    .describe('HTTP address that sends a text message by POST (default: as for mail).'),
  SMS_BODY_TEMPLATE: text
    .refine(isSmsTemplate, {
      error:
        'must be JSON that holds {{to}}, and {{code}} or {{text}}, inside texts: {"to":"{{to}}","text":"{{text}}"}',
    })
    .optional()
    .describe('JSON body of that POST with {{to}}, {{code}} and {{text}}.'),
  SMS_AUTHORIZATION: text.optional().describe('Authorization header of that POST.'),
  CORS_ORIGINS: list
    .pipe(z.array(text.refine(isOrigin, { error: 'is no origin, like https://chat.example.org without a path, or *' })))
    .optional()
    .describe(
      'Origins of web clients, separated by commas, or * for any; of sockets too (default: none over HTTP, any for sockets).',
    ),
  TRUST_PROXY: list
    .pipe(z.array(text.refine(isNetwork, { error: 'is no address or network, like 10.0.0.1 or 10.0.0.0/8' })))
    .optional()
    .describe(
      'Addresses or networks of proxies whose X-Forwarded-For is believed, separated by commas (default: none).',
    ),
  RATE_LIMITS: onOff.default('on').describe('on or off; off is for load tests only, and says so at start.'),
  LOG_LEVEL: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal'])
    .default('info')
    .describe('Least level that is logged: trace, debug, info, warn, error, fatal.'),
  NODE_ENV: oneOf(['production', 'development', 'test'])
    .default('development')
    .describe('development, test, production. In production no code is ever printed.'),
})

export type Config = z.infer<typeof configSchema>

/** The environment does not make sense; the message names each variable and what to do. */
export class ConfigError extends Error {
  readonly code = 'config'
}

/** Whether this process does everything, so that nobody else needs what it keeps in its folder. */
export const isWhole = ({ ROLES }: Pick<Config, 'ROLES'>): boolean => ROLES.length === roles.length

const portsProblem = ({ HTTP_PORT, REALTIME_PORT, ROLES }: Config): string | undefined =>
  HTTP_PORT !== 0 && HTTP_PORT === REALTIME_PORT && ROLES.includes('realtime')
    ? `HTTP_PORT and REALTIME_PORT are both ${HTTP_PORT}: give one of them another port.`
    : undefined

const splitProblem = (config: Config): string | undefined => {
  if (isWhole(config)) return undefined
  const missing = (['EVENTSTORE_URL', 'DATABASE_URL', 'TOKEN_SIGNING_KEY', 'IDENTITY_HMAC_KEY'] as const).filter(
    name => config[name] === undefined,
  )
  if (missing.length === 0) return undefined
  return `ROLES=${config.ROLES.join(',')} runs only a part of the server, and the parts must share their stores and keys. Set ${missing.join(', ')}, or leave ROLES away to run everything in one process.`
}

/** Reads and checks the environment. Empty variables count as absent. @throws ConfigError */
export const readConfig = (environment: Readonly<Record<string, string | undefined>>): Config => {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  )
  const parsed = configSchema.safeParse(given)
  if (!parsed.success) {
    const lines = parsed.error.issues.map(issue => `  ${issue.path.join('.')}: ${issue.message}`)
    throw new ConfigError(`The configuration is not valid. See npm start -- --help\n${lines.join('\n')}`)
  }
  const problem = splitProblem(parsed.data) ?? portsProblem(parsed.data)
  if (problem !== undefined) throw new ConfigError(problem)
  return parsed.data
}

/** The text of `--help`: every variable with its default. */
export const helpText = (): string => {
  const lines = Object.entries(configSchema.shape).flatMap(([name, schema]) => {
    const byDefault = schema.safeParse(undefined)
    const value = byDefault.success ? byDefault.data : undefined
    const shown = value === undefined ? '' : `  (default: ${Array.isArray(value) ? value.join(',') : value})`
    return [`  ${name}${shown}`, `      ${schema.description ?? ''}`]
  })
  return [
    'Ledgerline, an instant-messaging core in which every action is an event.',
    '',
    'npm start            runs the server in the foreground',
    'npm start -- --help  prints this',
    '',
    'It is configured by environment variables only:',
    '',
    ...lines,
    '',
  ].join('\n')
}
