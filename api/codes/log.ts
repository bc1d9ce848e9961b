// Owns the sender of servers without one: the code stands in the server's own log, for development only.
// Must never be used in production: whoever reads the log could sign in as anybody.

import type { Logger } from 'pino'
import type { CodeSender } from './delivery.ts'

export const logSender = (logger: Logger): CodeSender => ({
  send: async ({ channel, target, purpose, code }) => {
    logger.warn(
      { channel, target, purpose, code },
      'no sender is configured for this channel; this is what it would send',
    )
  },
  close: () => undefined,
})
