// What /readyz waits for, in words that say which part stands where, why, and what to do, and that quote nobody's text.

import { pino } from 'pino'
import { expect, test } from 'vitest'
import type { Position } from '../domain/ids.ts'
import { CannotFold } from '../projections/projections.ts'
import { type ReadyParts, unreadyParts, watchFirstFold, whenNothingIsMissing } from '../service-start.ts'

const well: ReadyParts = {
  node: { behind: false },
  watch: { isAway: false },
  runner: { stuck: undefined },
  firstFold: () => undefined,
  followers: [],
}
const position = '00000000000000ff' as Position

test('a server on which everything goes on waits for nothing', () => {
  expect(unreadyParts({ ...well, followers: [{ name: 'notices', stuck: undefined }] })).toEqual([])
})

test('a projection that cannot fold an event is named with the event, its place and what to do', () => {
  const error = new CannotFold('message', new SyntaxError('Unexpected token: my secret'))
  const [said, ...more] = unreadyParts({
    ...well,
    runner: { stuck: { projection: 'message', position, type: 'MessageSent', error } },
  })
  expect(more).toEqual([])
  expect(said).toMatch(
    /^the read models: message cannot fold the MessageSent at 00000000000000ff \(SyntaxError\); .*start a version/,
  )
  expect(said).not.toContain('secret')
})

test('a refusal of the database is told by its code', () => {
  const error = new CannotFold('inbox', Object.assign(new Error('duplicate key'), { code: '23505' }))
  const stuck = { projection: 'inbox', position, type: 'ReadMarked', error } as const
  expect(unreadyParts({ ...well, runner: { stuck } })).toEqual([expect.stringContaining('(23505)')])
})

test('a follower that does not get past an event is named with its place', () => {
  const stuck = { position, error: new TypeError('x') }
  expect(unreadyParts({ ...well, followers: [{ name: 'notices', stuck }] })).toEqual([
    expect.stringMatching(/^the follower notices: it cannot get past 00000000000000ff \(TypeError\); /),
  ])
})

test('read models that have never been where the log was at the start are waited for, and later lag without that', () => {
  let at = '0000000000000001' as Position
  const firstFold = watchFirstFold({ position: () => at }, position)
  expect(unreadyParts({ ...well, firstFold })).toEqual([
    'the read models: they are at 0000000000000001, and the log was at 00000000000000ff at the start',
  ])
  at = position
  expect(unreadyParts({ ...well, firstFold })).toEqual([])
  at = '0000000000000000' as Position
  expect(unreadyParts({ ...well, firstFold })).toEqual([])
})

test('what is away is told beside it', () => {
  expect(unreadyParts({ ...well, node: { behind: true }, watch: { isAway: true } })).toHaveLength(2)
})

test('a server is called ready once it waits for nothing, and says before what it waits for', async () => {
  const lines: string[] = []
  const logger = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) })
  const waits = [['the read models'], ['the read models'], ['the event log'], []]
  await whenNothingIsMissing(() => waits.shift() ?? [], logger, new AbortController().signal)
  expect(waits).toEqual([])
  expect(lines).toMatchObject([{ msg: 'listening, and not ready yet', waitingFor: ['the read models'] }])
})

test('nobody waits for a server that is closed meanwhile', async () => {
  const logger = pino({ enabled: false })
  await whenNothingIsMissing(() => ['the event log'], logger, AbortSignal.abort())
})
