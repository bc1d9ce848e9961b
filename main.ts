// Starts the server: configuration, help, the ready line, and a graceful end. No logic.

import { pino } from 'pino'
import { ConfigError, helpText, readConfig } from './config.ts'
import { startService } from './service.ts'

/** A graceful end may take this long before the process goes anyway. */
const shutdownMsMax = 25_000

const write = (line: string) => process.stderr.write(`${line}\n`)

const run = async (): Promise<void> => {
  const [argument] = process.argv.slice(2)
  if (argument === '--help' || argument === '-h') {
    process.stdout.write(helpText())
    return
  }
  if (argument !== undefined) {
    throw new ConfigError(
      `There is no argument ${argument}: everything is set by the environment. See npm start -- --help`,
    )
  }
  const config = readConfig(process.env)
  const logger = pino({ level: config.LOG_LEVEL })
  const stopping = new AbortController()
  const service = startService({ config, logger, signal: stopping.signal })

  const stop = (signal: string) => {
    if (stopping.signal.aborted) process.exit(1)
    logger.info({ signal }, 'shutting down; once more ends at once')
    stopping.abort()
    setTimeout(() => {
      logger.error('the shutdown took too long')
      process.exit(1)
    }, shutdownMsMax).unref()
    service
      .then(
        started => started.close(),
        () => undefined,
      )
      .then(
        () => process.exit(0),
        error => {
          logger.error({ err: error }, 'the shutdown failed')
          process.exit(1)
        },
      )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  // A bug must be seen and must not take everybody's connection with it; what it left undone was not acknowledged.
  process.on('unhandledRejection', error => logger.error({ err: error }, 'unhandled rejection'))

  const started = await service.catch(error => {
    // Told to stop while it waited for a store: that is an end in good order, and `stop` makes it.
    if (stopping.signal.aborted) return undefined
    throw error
  })
  if (started === undefined) return
  await started.whenReady()
  if (stopping.signal.aborted) return
  const { httpUrl, realtimeUrl } = started
  const realtime = realtimeUrl === undefined ? '' : `, sockets at ${realtimeUrl}`
  logger.info(`ready: HTTP at ${httpUrl}${realtime}`)
}

run().catch(error => {
  const known = error instanceof ConfigError || (error instanceof Error && 'code' in error)
  write(known ? `Cannot start: ${error.message}` : `Cannot start: ${error?.stack ?? error}`)
  process.exit(1)
})
