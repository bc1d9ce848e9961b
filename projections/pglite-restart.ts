// Owns what happens when the embedded database's thread ends by itself: what was asked of it fails, and it is started again,
// with pauses that grow while that does not last. Whether its files are still good is for whoever opens them to say.

import { setTimeout } from 'node:timers/promises'
import type { Logger } from 'pino'
import { type Database, DatabaseAway } from './database.ts'

/** A database and its worker thread. */
export interface OpenedPGlite {
  readonly database: Database
  /** Resolves when the thread has ended by itself, or was ended for what is wrong with its files: with that. */
  readonly lost: Promise<string | undefined>
  /** Resolves when nothing of it touches the files any more. */
  readonly end: () => Promise<void>
}

/** Pauses before it is started again: the shortest after it has run for a while. */
const pauseMsMin = 100
const pauseMsMax = 30_000
/** It has run for a while. */
const soundMs = 60_000

interface Restarting {
  readonly first: OpenedPGlite
  /** @param doubt why the files are not to be used again */
  readonly reopen: (doubt: string | undefined) => Promise<OpenedPGlite>
  /** Called once it is closed for good. */
  readonly release: () => void
  readonly logger: Logger
}

/** The database that is open now. A session belongs to the thread it was opened on, and ends with it. */
export const restarting = ({ first, reopen, release, logger }: Restarting): Database => {
  const closing = new AbortController()
  const { signal } = closing
  let current: OpenedPGlite | undefined
  let reopening = Promise.resolve()
  let openedMs = 0
  /** Times it ended soon after it was started again, in a row. */
  let relapses = 0

  const use = (opened: OpenedPGlite) => {
    current = opened
    openedMs = performance.now()
    void opened.lost.then(damage => {
      if (signal.aborted) return
      current = undefined
      relapses = performance.now() - openedMs < soundMs ? relapses + 1 : 0
      const doubt = damage ?? (relapses > 1 ? 'their thread ended soon after it was started again' : undefined)
      reopening = opened.end().then(() => startAgain(doubt))
    })
  }

  const startAgain = async (doubt: string | undefined): Promise<void> => {
    for (let tries = relapses; !signal.aborted; tries++) {
      await setTimeout(Math.min(pauseMsMin * 2 ** tries, pauseMsMax), undefined, { signal }).catch(() => {})
      if (signal.aborted) return
      try {
        use(await reopen(doubt))
        logger.info('the embedded database has been started again')
        return
      } catch (error) {
        logger.error({ err: error }, 'the embedded database cannot be started again: trying later')
      }
    }
  }

  const now = (): Database => {
    if (current === undefined) throw new DatabaseAway('the embedded database is being started again')
    return current.database
  }
  let closed: Promise<void> | undefined
  const close = async () => {
    closing.abort()
    await reopening
    await current?.database.close()
  }
  use(first)
  return {
    kind: 'pglite',
    get kysely() {
      return now().kysely
    },
    query: async (statement, parameters) => now().query(statement, parameters),
    transaction: async work => now().transaction(work),
    session: async () => now().session(),
    close: () => {
      closed ??= close().finally(release)
      return closed
    },
  }
}
