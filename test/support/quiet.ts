// Owns knowing that everything has followed from what was done: notices in the log, frames at the devices, rows in the read
// models. Waits for positions and events, never for time; every wait is bounded.

import type { MessageSent } from '../../domain/conversation/events.ts'
import type { FollowerAdvanced } from '../../domain/follower/events.ts'
import { type Position, streamOf } from '../../domain/ids.ts'
import type { EventStore } from '../../eventstore/port.ts'
import { noticeOf } from '../../followers/notices.ts'
import { type Api, type Device, expectOk } from './device.ts'
import type { Person, Reached } from './service.ts'

const noticesMsMax = 60_000
const readableMsMax = 60_000

/** Resolves when every group event after `from` has its message. @returns the position of the newest event then seen */
export const whenToldOf = async (store: EventStore, from: Position | 'start'): Promise<Position> => {
  const head = await store.head()
  if (from !== 'start' && head <= from) return from
  const untold = new Set<string>()
  for await (const events of store.subscribe({ from, signal: AbortSignal.timeout(noticesMsMax) })) {
    for (const event of events) {
      if (noticeOf(event) !== undefined) untold.add(event.id)
      if (event.type === 'MessageSent') untold.delete((event.data as MessageSent['data']).clientMessageId)
    }
    const position = events.at(-1)?.position
    if (position !== undefined && position >= head && untold.size === 0) return position
  }
  throw new Error(`no message tells of the events ${[...untold].join(', ')}`)
}

/** Resolves once the follower of that name has done what follows from the event at the position. */
export const whenFollowed = async (store: EventStore, name: string, position: Position): Promise<void> => {
  for await (const events of store.subscribe({ from: position, signal: AbortSignal.timeout(noticesMsMax) })) {
    const advances = events.filter(({ stream }) => stream === streamOf.follower(name))
    if (advances.some(({ data }) => (data as FollowerAdvanced['data']).position >= position)) return
  }
  throw new Error(`the follower ${name} is still before ${position}`)
}

/** Resolves once the read models have passed the position. Each asking waits on the server for as long as it lets us. */
export const whenReadable = async (api: Api, token: string, position: string): Promise<void> => {
  const untilMs = performance.now() + readableMsMax
  for (;;) {
    const answer = await api('GET', `/v1/users/me?after=${position}`, { token })
    if (answer.body.code !== 'projection.behind' || performance.now() > untilMs) return expectOk(answer)
  }
}

/** A user's devices, and a token to act with. */
export interface Quieted {
  readonly token: string
  readonly devices: readonly Device[]
}

/**
 * Resolves when each device has all frames of what was done so far, and the read models all rows.
 * Each user blocks, or no longer blocks, somebody: frames come in log order, so whoever has this one has all before it.
 * @returns the position that all have passed
 */
export const whenQuiet = async (
  service: Pick<Reached, 'store' | 'api'>,
  users: readonly Quieted[],
  nobody: Person,
  from: Position | 'start' = 'start',
): Promise<string> => {
  await whenToldOf(service.store, from)
  const positions = await Promise.all(
    users.map(async ({ token, devices }): Promise<string> => {
      const path = `/v1/blocklist/${nobody.userId}`
      const check = expectOk(await service.api('GET', `/v1/blocklist/check?ids=${nobody.userId}`, { token }))
      const method = check.items[0].blocked ? 'DELETE' : 'PUT'
      const { position } = expectOk(await service.api(method, path, { token }))
      await Promise.all(devices.map(device => device.whenPassed(position)))
      return position
    }),
  )
  const last = positions.toSorted().at(-1) ?? (await service.store.head())
  const [someone] = users
  if (someone !== undefined) await whenReadable(service.api, someone.token, last)
  for (const { devices } of users) {
    for (const device of devices) await device.waitFor(({ settled }) => settled, 'the answer about unread')
  }
  return last
}
