// Owns the small steps of a start that belong to no room: what is said, what is waited for, whether a folder can be had.
// No rules of the product stand here.

import { accessSync, constants, existsSync, mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { type Config, ConfigError } from './config.ts'
import type { Position } from './domain/ids.ts'
import type { Node } from './eventstore/node.ts'
import type { RunningFollower, StuckFollower } from './followers/runner.ts'
import { readModelsPosition } from './projections/checkpoint.ts'
import type { Database } from './projections/database.ts'
import type { Runner, StuckProjection } from './projections/runner.ts'

/** An old send cannot be looked up now; the caller answers 503. */
export class ReadModelsBehind extends Error {
  readonly code = 'behind'
}

/** The same work at most once, however often it is asked for. */
export const once = (work: () => Promise<void>) => {
  let done: Promise<void> | undefined
  return () => {
    done ??= work()
    return done
  }
}

export const hostText = (host: string) => {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return reachable.includes(':') ? `[${reachable}]` : reachable
}

export const socketUrl = (host: string, port: number) => `ws://${hostText(host)}:${port}/v1/realtime`

/** Tells at the start what is embedded, where it is kept, and what a newcomer may want to know. */
export const sayHow = (config: Config, logger: Logger, version: string) => {
  const log = config.EVENTSTORE_URL === undefined ? `embedded in ${config.DATA_DIR}` : 'EventStoreDB'
  const readModels = config.DATABASE_URL === undefined ? `embedded in ${config.DATA_DIR}` : 'Postgres'
  logger.info(`ledgerline ${version}: event log ${log}, read models ${readModels}, roles ${config.ROLES.join(', ')}`)
  logger.info('npm start -- --help tells all settings')
  sayCodes(config, logger)
  if (config.RATE_LIMITS === 'off') logger.warn('rate limits are off: this is for load tests only')
}

/** What becomes of codes that no service sends. */
const sayCodes = (config: Config, logger: Logger) => {
  const unset = (['SMTP_URL', 'SMS_URL'] as const).filter(name => config[name] === undefined)
  if (unset.length === 0 || !config.ROLES.includes('api')) return
  const names = unset.join(' and ')
  if (config.NODE_ENV !== 'production') logger.info(`without ${names}: codes that would be sent are printed here`)
  else logger.warn(`without ${names}: whoever asks for such a code is refused`)
}

/**
 * Folder by folder, each that is missing: Node's own recursive way never ends where the system answers "not found" to the making
 * of a folder whose parent is there, as it does in /proc and on some mounts.
 */
const makeFolder = (folder: string): void => {
  if (existsSync(folder)) return
  makeFolder(dirname(folder))
  try {
    mkdirSync(folder)
  } catch (error) {
    // Another process made it meanwhile.
    if (!existsSync(folder)) throw error
  }
}

/** Makes the data folder. @throws ConfigError when it cannot be had, before anything else fails on it with less to say */
export const prepareDataFolder = (folder: string): void => {
  try {
    makeFolder(resolve(folder))
    // With the dot at its end a file is no folder.
    accessSync(`${folder}/.`, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : error
    throw new ConfigError(
      `The data folder ${folder} cannot be written (${code}). Set DATA_DIR to a folder that this user may write.`,
    )
  }
}

const databaseAskMs = 1_000

export interface DatabaseWatch {
  readonly isAway: boolean
  stop(): void
}

/** Asks the read models' database now and then whether it is there, for readiness only. */
export const watchDatabase = (database: Database): DatabaseWatch => {
  let isAway = false
  let asking = false
  const ask = async () => {
    if (asking) return
    asking = true
    isAway = await readModelsPosition(database).then(
      () => false,
      () => true,
    )
    asking = false
  }
  const timer = setInterval(ask, databaseAskMs)
  timer.unref()
  return {
    get isAway() {
      return isAway
    },
    stop: () => clearInterval(timer),
  }
}

/**
 * What the read models still lack of the log as it was when this server started; undefined once they have had it. Until then they
 * would answer as if things were not there.
 */
export const watchFirstFold = (runner: Pick<Runner, 'position'>, head: Position) => {
  let isDone = false
  return (): string | undefined => {
    isDone ||= runner.position() >= head
    return isDone
      ? undefined
      : `the read models: they are at ${runner.position()}, and the log was at ${head} at the start`
  }
}

/** What kind of error, without its words: those may quote what users wrote, and anybody may ask whether this server is ready. */
const kindOf = (error: unknown): string => {
  const { cause = error } = error as Error
  return cause instanceof Error ? String((cause as Error & { code?: unknown }).code ?? cause.name) : typeof cause
}

/** What an operator does about an event that nothing gets past. */
const remedy = 'the log of this server has the whole error; nothing is lost, start a version that bears the event'

const readyAskMs = 100

/** Resolves once nothing is waited for any more, or the signal aborts; says at first for what it waits. */
export const whenNothingIsMissing = async (
  missing: () => readonly string[],
  logger: Logger,
  signal: AbortSignal,
): Promise<void> => {
  const waitingFor = missing()
  if (waitingFor.length > 0) logger.info({ waitingFor }, 'listening, and not ready yet')
  while (!signal.aborted && missing().length > 0) await delay(readyAskMs, undefined, { ref: false })
}

export interface ReadyParts {
  readonly node: Pick<Node, 'behind'>
  readonly watch: Pick<DatabaseWatch, 'isAway'>
  readonly runner: Pick<Runner, 'stuck'>
  readonly firstFold: () => string | undefined
  readonly followers: readonly Pick<RunningFollower, 'name' | 'stuck'>[]
}

/** What keeps this server from being ready, and what to do about it. */
export const unreadyParts = ({ node, watch, runner, firstFold, followers }: ReadyParts): readonly string[] => [
  ...(node.behind ? ['the event log: this server is behind it'] : []),
  ...(watch.isAway ? ['the read models: their database cannot be reached'] : []),
  ...[firstFold() ?? []].flat(),
  ...(runner.stuck ? [stuckProjection(runner.stuck)] : []),
  ...followers.flatMap(({ name, stuck }) => (stuck ? [stuckFollower(name, stuck)] : [])),
]

const stuckProjection = ({ projection, position, type, error }: StuckProjection): string =>
  `the read models: ${projection} cannot fold the ${type} at ${position} (${kindOf(error)}); ${remedy}`

const stuckFollower = (name: string, { position, error }: StuckFollower): string =>
  `the follower ${name}: it cannot get past ${position} (${kindOf(error)}); ${remedy}`
