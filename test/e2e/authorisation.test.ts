// Owns the proof that everybody may do exactly what authorisation-table.ts says: over HTTP and as frames, for every operation
// there is. A refused call changes nothing, and no access looks like not being there.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { errorTable } from '../../api/errors.ts'
import type { Operation } from '../../api/operation.ts'
import { operations } from '../../api/operations.ts'
import { type Position, systemUserId } from '../../domain/ids.ts'
import { type ApiAnswer, CommandError, type Device, DeviceClosed } from '../support/device.ts'
import { type Arguments, requestOf } from '../support/operation-request.ts'
import { whenFollowed } from '../support/quiet.ts'
import { openRawSocket } from '../support/raw-socket.ts'
import { startTestService, type TestService } from '../support/service.ts'
import { isSignedIn, openTheatre, type Persona, personas, type Stage, type Theatre } from './authorisation-stage.ts'
import { access } from './authorisation-table.ts'
import { type AccessCase, noConversation, noGroup, type Outcome } from './authorisation-words.ts'

const slowMsMax = 600_000

let service: TestService
let theatre: Theatre

beforeAll(async () => {
  service = await startTestService()
  theatre = await openTheatre(service)
}, slowMsMax)
afterAll(() => service?.stop(), slowMsMax)

/** What was recorded after a position, besides what the server says by itself. */
const recordedAfter = async (position: string): Promise<string[]> => {
  const events = await service.store.readAll({ from: position as never, direction: 'forwards', limit: 1_000 })
  return events
    .filter(event => event.position > position && !event.stream.startsWith('follower-'))
    .filter(({ data }) => (data as { from?: string }).from !== systemUserId)
    .map(({ type }) => type)
}

const isSuccess = (outcome: Outcome): outcome is 'ok' | 'nothing' => outcome === 'ok' || outcome === 'nothing'

interface Answered {
  readonly code: string | undefined
  readonly body: unknown
}

type Ask = (operation: Operation, args: Arguments) => Promise<Answered>

const overHttp =
  (token: string | undefined): Ask =>
  async (operation, args) => {
    const { method, path, body } = requestOf(operation, args)
    const answer: ApiAnswer = await service.api(method, path, { token, body })
    const code = answer.status < 400 ? undefined : String(answer.body.code)
    const status = code === undefined ? operation.status : errorTable[code as keyof typeof errorTable].status
    expect(answer.status).toBe(status)
    return { code, body: answer.body }
  }

const asFrame =
  (device: Device): Ask =>
  async (operation, args) => {
    try {
      return { code: undefined, body: await device.command(operation.id, args) }
    } catch (error) {
      if (error instanceof CommandError) return { code: error.code, body: error.error }
      // Whoever signs out may be told goodbye before the reply.
      const isGoodbye = error instanceof DeviceClosed && error.closed.code === 4403 && operation.id === 'signOut'
      if (!isGoodbye) throw error
      return { code: undefined, body: { position: '' } }
    }
  }

const outside: readonly Persona[] = ['exMember', 'stranger', 'invited', 'applicant', 'blocked']

/** What one who stands outside of a group asks of it, asked of one that is not there. */
const elsewhere = (args: Arguments, persona: Persona): Arguments | undefined => {
  const isAbout = (field: string) => Object.hasOwn(args, field)
  if (!outside.includes(persona) || !(isAbout('groupId') || isAbout('conversationId'))) return undefined
  return {
    ...args,
    ...(isAbout('groupId') ? noGroup() : undefined),
    ...(isAbout('conversationId') ? noConversation() : undefined),
  }
}

/** One persona's call, held against the table. */
const holdTo = async (ask: Ask, operation: Operation, found: AccessCase, persona: Persona, stage: Stage) => {
  const outcome = found.outcomes[persona]
  const standIn = isSignedIn(persona) ? persona : 'member'
  const args = (await found.args?.(stage, standIn)) ?? {}
  const head = await service.store.head()
  const { code, body } = await ask(operation, args)
  expect(code ?? 'ok', JSON.stringify(body)).toBe(outcome === 'nothing' ? 'ok' : outcome)
  if (isSuccess(outcome)) expect(operation.reply.safeParse(body).error).toBeUndefined()
  // What follows from it is written later, and must not be taken for what the next call wrote.
  if (found.endsAccount === true && outcome === 'ok') {
    await whenFollowed(service.store, 'accounts', (body as { position: Position }).position)
  }
  if (outcome !== 'ok') expect(await recordedAfter(head)).toEqual(found.leaves ?? [])
  const isHidden = !isSuccess(outcome) && errorTable[outcome].status === 404
  const missing = isHidden ? (found.missing?.(stage) ?? elsewhere(args, persona)) : undefined
  if (missing !== undefined) expect((await ask(operation, missing)).body).toEqual(body)
}

const rows = operations.flatMap(operation =>
  (access[operation.id] ?? []).map(found => ({
    name: found.what === undefined ? operation.id : `${operation.id} ${found.what}`,
    operation,
    found,
  })),
)

/** A call that went well may have changed the stage for the next one. */
const changesStage = (operation: Operation, outcome: Outcome) => operation.method !== 'GET' && outcome === 'ok'

const stages = ({ everyoneInvites }: AccessCase, house: Theatre = theatre) => {
  let stage: Stage | undefined
  return {
    get: async () => {
      stage ??= await house.stage({ everyoneInvites: everyoneInvites === true })
      return stage
    },
    change: () => {
      stage = undefined
    },
  }
}

test('every operation has its rows, and every row an operation', () => {
  expect(Object.keys(access).toSorted()).toEqual(operations.map(({ id }) => id).toSorted())
})

describe('over HTTP', () => {
  test.each(rows)('$name', { timeout: slowMsMax }, async ({ operation, found }) => {
    const { endsAccount = false, freshSession = false } = found
    // Whoever is gone is gone: those people are for this row alone, and each ends nobody but themselves.
    const house = endsAccount ? await openTheatre(service) : theatre
    const { get, change } = stages(found, house)
    for (const persona of personas) {
      const stage = await get()
      const isFresh = freshSession && isSignedIn(persona)
      const token = isFresh ? (await house.freshSession(persona)).accessToken : house.tokenOf(persona)
      await holdTo(overHttp(token), operation, found, persona, stage)
      if (changesStage(operation, found.outcomes[persona]) && !endsAccount) change()
    }
    expect(service.failures).toEqual([])
  })
})

describe('as frames', () => {
  const connected = new Map<Persona, Promise<Device>>()
  const deviceOf = (persona: Persona, isFresh: boolean): Promise<Device> => {
    if (!isSignedIn(persona)) throw new Error(`${persona} has no device`)
    if (isFresh) return theatre.freshSession(persona).then(session => service.connect(session))
    const known = connected.get(persona) ?? service.connect(theatre.people[persona])
    connected.set(persona, known)
    return known
  }
  /** For what changes nothing. */
  let shared: Promise<Stage> | undefined
  const anyStage = () => {
    shared ??= theatre.stage()
    return shared
  }
  const ofFrames = rows.filter(({ operation }) => operation.frame)

  test.each(ofFrames)('$name', { timeout: slowMsMax }, async ({ operation, found }) => {
    const { get, change } = stages(found)
    for (const persona of personas.filter(isSignedIn)) {
      const stage = await get()
      const device = await deviceOf(persona, found.freshSession === true)
      await holdTo(asFrame(device), operation, found, persona, stage)
      if (changesStage(operation, found.outcomes[persona])) change()
    }
    expect(service.failures).toEqual([])
  })

  const notOfFrames = rows.filter(({ operation }) => !operation.frame)
  test.each(notOfFrames)('$name is none', { timeout: slowMsMax }, async ({ operation, found }) => {
    const stage = await anyStage()
    const device = await deviceOf('owner', false)
    const head = await service.store.head()
    const { code } = await asFrame(device)(operation, (await found.args?.(stage, 'owner')) ?? {})
    expect(code).toBe('operation.not-found')
    expect(await recordedAfter(head)).toEqual([])
  })

  test.each(ofFrames)('$name is refused before a hello', async ({ operation, found }) => {
    const args = (await found.args?.(await anyStage(), 'member')) ?? {}
    const { hostname, port, pathname } = new URL(service.realtimeUrl)
    const socket = await openRawSocket({ host: hostname, port: Number(port), path: pathname })
    const head = await service.store.head()
    socket.sendJson({ op: operation.id, id: '1', args })
    expect(await socket.closed).toEqual({ code: 4400, reason: 'frame.invalid' })
    expect(await recordedAfter(head)).toEqual([])
  })

  test('an admin key opens no socket', async () => {
    const refused = service.connect({ accessToken: theatre.tokenOf('backend') ?? '' })
    await expect(refused).rejects.toMatchObject({ closed: { code: 4403 } })
  })

  test('an ended device gets no further than its hello', async () => {
    const refused = service.connect(theatre.ended)
    await expect(refused).rejects.toBeInstanceOf(DeviceClosed)
    await expect(refused).rejects.toMatchObject({ closed: { code: 4403, reason: 'session.ended' } })
  })
})
