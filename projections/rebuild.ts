// Owns making read models anew from the log beside the ones that serve: fold into shadow tables, catch up, swap in one
// transaction. Rebuilt rows are the live ones, row for row. Interrupted, it leaves the serving tables as they were.

import type { Logger } from 'pino'
import type { Instant, Position } from '../domain/ids.ts'
import { type EventStore, positionBeforeAll, type RecordedEvent, readEventsMax } from '../eventstore/port.ts'
import { advanceCheckpoint, doubtAbout, loadCheckpoint, startOver, takeCheckpoint } from './checkpoint.ts'
import { type Database, type Session, statement, type Transaction } from './database.ts'
import type { Projection, ProjectionName } from './projection.ts'
import { applyEvents, projections } from './projections.ts'
import { deletePurged } from './purge.ts'
import { deleteHistory } from './retention.ts'
import type { CheckpointTable, TableName } from './schema.ts'
import { aimAtShadows, dropShadows, finishShadows, makeShadows, swapShadows } from './shadow.ts'

/** Events in one transaction. On PGlite, which has one session, queries wait for it, so it is short there. */
const batchEventsOn = { postgres: 50_000, pglite: 2_000 } as const
/** The last stretch is folded while nobody else may write: the swap is tried once no more than this is left. */
const lastStretchEventsMax = 2_000
/** Rounds of catching up before the swap is tried with more than that left. */
const catchUpRoundsMax = 20
/** The swap gives way to queries that take long, and tries again. */
const swapTriesMax = 20

export interface RebuildProgress {
  readonly events: number
  readonly position: Position
  /** Where it is going; it moves on while others write. */
  readonly target: Position
}

export interface RebuildOptions {
  readonly onProgress?: (progress: RebuildProgress) => void
  readonly signal?: AbortSignal
  readonly logger?: Logger
}

export interface Rebuilt {
  readonly events: number
  readonly seconds: number
  readonly tables: readonly TableName[]
  readonly position: Position
}

/** The rebuild cannot be done as it was asked for; the message says what to do. */
export class RebuildRefused extends Error {
  readonly code = 'rebuild-refused'
}

/** These projections and those whose tables they read, in the order they are applied. */
export const withWhatTheyRead = (names: readonly ProjectionName[]): readonly Projection[] => {
  const wanted = new Set<ProjectionName>()
  const want = (name: ProjectionName) => {
    if (wanted.has(name)) return
    wanted.add(name)
    for (const read of projections.find(projection => projection.name === name)?.reads ?? []) want(read)
  }
  for (const name of names) want(name)
  return projections.filter(({ name }) => wanted.has(name))
}

const lead = statement(
  'rebuild-lead',
  "select pg_try_advisory_lock(hashtextextended('read-models-rebuild', 0)) as leads",
)
const unlead = statement(
  'rebuild-unlead',
  "select pg_advisory_unlock(hashtextextended('read-models-rebuild', 0)) as done",
)

/** Some query held a table too long, or stood in the way the other way round. */
const isInTheWay = (error: unknown): boolean => ['55P03', '40P01'].includes(String((error as { code?: unknown }).code))

/** Somebody's view, or the like, was made on the tables that would go: it is theirs, and not to be dropped for them. */
const refusalOfDependents = (error: unknown): RebuildRefused | undefined => {
  const { code, detail } = error as { code?: unknown; detail?: unknown }
  if (code !== '2BP01') return undefined
  return new RebuildRefused(
    `Something else was made on the tables of the read models: ${detail}. Drop it, rebuild, and make it again.`,
    { cause: error },
  )
}

/** Walks the log from a position, the next page under way while one is folded. */
const readerFrom = (store: EventStore, after: Position) => {
  let last = after
  let next: Promise<readonly RecordedEvent[]> | undefined
  const page = () => {
    const from = last === positionBeforeAll ? 'start' : last
    const reading = store.readAll({ from, direction: 'forwards', limit: readEventsMax })
    // Awaited by the next call; until then its failure is nobody's.
    reading.catch(() => {})
    return reading
  }
  /** About so many events, none after `until`; empty at the end. */
  return async (eventsMax: number, until: Position): Promise<readonly RecordedEvent[]> => {
    const events: RecordedEvent[] = []
    while (events.length < eventsMax && last < until) {
      const read = await (next ?? page())
      next = undefined
      const news = read.filter(({ position }) => position > last && position <= until)
      const newest = news.at(-1)
      if (newest === undefined) break
      for (const event of news) events.push(event)
      last = newest.position
      if (read.length === readEventsMax && newest === read.at(-1)) next = page()
    }
    return events
  }
}

/** Messages were deleted from the tables that serve since they were from the shadow tables. */
class HistoryMoved extends Error {}

/** Projections that are folded after those of the stage before, on a connection of their own. */
interface Stage {
  readonly session: Session
  readonly projections: readonly Projection[]
}

interface Rebuild {
  readonly session: Session
  /** One on PGlite. On Postgres messages run ahead by a batch, while the others are folded: nobody minds later messages. */
  readonly stages: readonly Stage[]
  readonly store: EventStore
  readonly chosen: readonly Projection[]
  readonly tables: readonly TableName[]
  readonly read: ReturnType<typeof readerFrom>
  readonly batchEvents: number
  readonly options: RebuildOptions
  position: Position
  events: number
  /** Messages from before this time are gone from the shadow tables; null: all are there. */
  historyBefore: Instant | null
}

const foldStage = ({ session, projections: staged }: Stage, events: readonly RecordedEvent[]): Promise<void> =>
  session.transaction(async transaction => {
    // What is lost in a crash is folded again anyway.
    await transaction.execute('set local synchronous_commit = off')
    await aimAtShadows(transaction)
    await applyEvents(transaction, events, staged)
  })

/** Starts the stages of a batch, each after its own last batch and the stage before; at most two batches are under way. */
const startStages = (
  stages: readonly Stage[],
  events: readonly RecordedEvent[],
  earlier: readonly Promise<void>[],
): readonly Promise<void>[] => {
  let before = Promise.resolve()
  return stages.map((stage, index) => {
    before = Promise.all([earlier[index], before]).then(() => foldStage(stage, events))
    // Awaited later; until then its failure is nobody's.
    before.catch(() => {})
    return before
  })
}

/** Folds up to a position. */
const foldTo = async (rebuild: Rebuild, target: Position): Promise<void> => {
  const { stages, read, batchEvents, options } = rebuild
  let earlier: readonly Promise<void>[] = []
  let position = rebuild.position
  let next = read(batchEvents, target)
  try {
    while (true) {
      options.signal?.throwIfAborted()
      const events = await next
      const last = events.at(-1)
      if (last === undefined) break
      const now = startStages(stages, events, earlier)
      next = read(batchEvents, target)
      next.catch(() => {})
      await Promise.all([now[0], ...earlier])
      earlier = now
      position = last.position
      rebuild.events += events.length
      options.onProgress?.({ events: rebuild.events, position, target })
    }
  } finally {
    await Promise.allSettled(earlier)
  }
  await Promise.all(earlier)
  rebuild.position = position
}

/** Deletes from the shadow tables the messages that are deleted from the ones that serve. */
const forgetHistory = async (rebuild: Rebuild): Promise<void> => {
  const { session, tables, options } = rebuild
  const before = (await loadCheckpoint(session))?.history_before ?? null
  if (before === null || before === rebuild.historyBefore || !tables.includes('message')) return
  const inShadows: Session['transaction'] = work =>
    session.transaction(async transaction => {
      await aimAtShadows(transaction)
      return work(transaction)
    })
  const movesBases = tables.includes('inbox')
  await deleteHistory({ read: inShadows, write: inShadows, movesBases }, before, options.signal)
  options.signal?.throwIfAborted()
  rebuild.historyBefore = before
}

/**
 * The last stretch and the swap, while nobody else can write. False: some query held a table too long, or messages were deleted
 * meanwhile that the shadow tables still have.
 */
const swap = async (rebuild: Rebuild): Promise<boolean> => {
  const { session, store, tables } = rebuild
  const fold = async (transaction: Transaction, checkpoint: CheckpointTable) => {
    if (tables.includes('message') && checkpoint.history_before !== rebuild.historyBefore) throw new HistoryMoved()
    if (checkpoint.log_id !== store.logId)
      throw new RebuildRefused('The read models were changed meanwhile. Try again.')
    // Not the walking reader: what it has read is lost when the swap has to be tried again.
    const read = readerFrom(store, rebuild.position)
    for (;;) {
      const events = await read(rebuild.batchEvents, checkpoint.position)
      if (events.length === 0) break
      await aimAtShadows(transaction)
      await applyEvents(transaction, events, rebuild.chosen)
    }
    await aimAtShadows(transaction)
    await deletePurged(transaction, tables, checkpoint.purged_before)
  }
  try {
    rebuild.position = await session.transaction(async transaction => {
      const checkpoint = await takeCheckpoint(transaction)
      if (checkpoint === undefined) throw new RebuildRefused('The read models were emptied meanwhile. Try again.')
      await fold(transaction, checkpoint)
      const isAhead = checkpoint.position < rebuild.position
      if (isAhead) await advanceCheckpoint(transaction, rebuild.position)
      await swapShadows(transaction, tables)
      return isAhead ? rebuild.position : checkpoint.position
    })
    return true
  } catch (error) {
    if (isInTheWay(error) || error instanceof HistoryMoved) return false
    throw refusalOfDependents(error) ?? error
  }
}

/** Where the serving tables are. Only all of them together can be brought to another log's rows. */
const prepare = async (session: Session, store: EventStore, isAll: boolean): Promise<void> => {
  const doubt = doubtAbout(await loadCheckpoint(session), { logId: store.logId, head: await store.head() })
  if (doubt === undefined) return
  if (!isAll)
    throw new RebuildRefused(`The read models cannot be rebuilt one by one, because ${doubt}. Rebuild all of them.`)
  await session.transaction(transaction => startOver(transaction, store.logId))
}

const catchUp = async (rebuild: Rebuild, isAll: boolean): Promise<void> => {
  const { session, store } = rebuild
  for (let round = 0; round < catchUpRoundsMax; round++) {
    const live = (await loadCheckpoint(session))?.position ?? positionBeforeAll
    const target = isAll ? await store.head() : live
    const before = rebuild.events
    await foldTo(rebuild, target)
    if (rebuild.events - before <= lastStretchEventsMax && round > 0) return
  }
}

const run = async (rebuild: Rebuild, isAll: boolean, indexesAtOnce: boolean): Promise<void> => {
  const { session, store, tables, options } = rebuild
  await prepare(session, store, isAll)
  await makeShadows(session, tables, indexesAtOnce)
  await catchUp(rebuild, isAll)
  await finishShadows(session, tables, indexesAtOnce)
  await catchUp(rebuild, isAll)
  await forgetHistory(rebuild)
  for (let tries = 1; !(await swap(rebuild)); tries++) {
    options.logger?.warn(
      { tries },
      'rebuild: the swap waits for long queries on the read models, or for the shadow tables',
    )
    if (tries === swapTriesMax) {
      throw new RebuildRefused('Long queries kept the tables from being swapped. Try again later.')
    }
    await catchUp(rebuild, isAll)
    await forgetHistory(rebuild)
  }
}

/** Sessions of PGlite share one connection, which an advisory lock does not keep apart. */
const underWay = new WeakSet<Database>()

/** Runs when no other rebuild does; leaves no shadow tables behind when it fails. */
const alone = async (database: Database, session: Session, work: () => Promise<void>): Promise<void> => {
  const [answer] = underWay.has(database) ? [] : await session.query<{ leads: boolean }>(lead)
  if (answer?.leads !== true) throw new RebuildRefused('Another rebuild is running. Wait for its end.')
  underWay.add(database)
  try {
    await work()
  } catch (error) {
    await session.transaction(dropShadows).catch(() => {})
    throw error
  } finally {
    underWay.delete(database)
    await session.query(unlead).catch(() => [])
  }
}

/**
 * Makes the tables of these projections, and of those they read, anew from the log, while the old ones serve.
 * The runner may go on meanwhile. @throws RebuildRefused, what the store or the database throws, the signal's reason
 */
export const rebuild = async (
  database: Database,
  store: EventStore,
  names: readonly ProjectionName[] | 'all',
  options: RebuildOptions = {},
): Promise<Rebuilt> => {
  const startedMs = performance.now()
  const isAll = names === 'all'
  const chosen = isAll ? projections : withWhatTheyRead(names)
  const tables = chosen.flatMap(projection => projection.tables)
  const sessions = [await database.session()]
  const [session] = sessions as [Session]
  const messages = chosen.filter(({ name }) => name === 'message')
  const others = chosen.filter(({ name }) => name !== 'message')
  if (database.kind === 'postgres' && messages.length > 0) sessions.push(await database.session())
  const [, ahead] = sessions
  const rebuilding: Rebuild = {
    session,
    stages:
      ahead === undefined
        ? [{ session, projections: chosen }]
        : [
            { session: ahead, projections: messages },
            { session, projections: others },
          ],
    store,
    chosen,
    tables,
    read: readerFrom(store, positionBeforeAll),
    batchEvents: batchEventsOn[database.kind],
    options,
    position: positionBeforeAll,
    events: 0,
    historyBefore: null,
  }
  try {
    await alone(database, session, () => run(rebuilding, isAll, database.kind === 'pglite'))
    const seconds = (performance.now() - startedMs) / 1_000
    return { events: rebuilding.events, seconds, tables, position: rebuilding.position }
  } finally {
    for (const opened of sessions) await opened.release()
  }
}
