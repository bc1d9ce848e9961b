// The line between nodes on a real Postgres: who hears what, what happens while Postgres is away, and that nothing waits.
// What a line has sent it counts once Postgres has answered: others may have heard it before.

import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openSignalLine, type SignalLine, waitingSignalsMax } from '../../projections/signals.ts'
import { postgresBinaries, startPostgres, type TestPostgres } from '../support/postgres.ts'
import { silentLogger } from '../support/read-models.ts'

const startMsMax = 120_000

let postgres: TestPostgres
let url: string
let lines: SignalLine[] = []
beforeAll(async () => {
  if (postgresBinaries() === undefined) return
  postgres = await startPostgres()
  url = postgres.createDatabase('signals')
}, startMsMax)
afterAll(() => postgres?.stop(), startMsMax)
afterEach(async () => {
  for (const line of lines) await line.close()
  lines = []
})

/** A line with what it has heard, and a wait for more of it. */
const open = async (logger = silentLogger) => {
  const line = await openSignalLine(url, logger)
  lines.push(line)
  const heard: string[] = []
  let look = () => {}
  line.onText(text => {
    heard.push(text)
    look()
  })
  const whenHeard = (text: string) =>
    new Promise<void>(resolve => {
      look = () => {
        if (heard.includes(text)) resolve()
      }
      look()
    })
  return { line, heard, whenHeard }
}

const range = (count: number): string[] => Array.from({ length: count }, (_, index) => `number ${index}`)

// Only where Postgres is not installed: the embedded database has one node, and no line.
describe.skipIf(postgresBinaries() === undefined)('a line on Postgres', () => {
  test('brings each text to every other node, in order, and to none its own', async () => {
    const [one, two, three] = [await open(), await open(), await open()]
    const texts = range(500)
    for (const text of texts) one.line.send(text)
    two.line.send('of two')
    await Promise.all([two.whenHeard('number 499'), three.whenHeard('number 499'), one.whenHeard('of two')])
    await three.whenHeard('of two')
    expect(two.heard).toEqual(texts)
    expect(three.heard.filter(text => text !== 'of two')).toEqual(texts)
    expect(one.heard).toEqual(['of two'])
    await expect.poll(() => one.line.counters).toEqual({ sent: 500, heard: 1, dropped: 0 })
  })

  test('takes texts of any characters, as large as a notification and no larger', async () => {
    const [one, two] = [await open(), await open()]
    const [large, tooLarge, strange] = ['x'.repeat(7_800), 'x'.repeat(7_900), `"quoted" 'ü' \\ ${'🦊'.repeat(1_000)}`]
    for (const text of [large, tooLarge, strange, 'last']) one.line.send(text)
    await two.whenHeard('last')
    expect(two.heard).toEqual([large, strange, 'last'])
    await expect.poll(() => one.line.counters).toMatchObject({ sent: 3, dropped: 1 })
  })

  test('drops what is too much at once, and says how much', async () => {
    const [one, two] = [await open(), await open()]
    for (const text of range(waitingSignalsMax + 10)) one.line.send(text)
    await two.whenHeard(`number ${waitingSignalsMax - 1}`)
    one.line.send('last')
    await two.whenHeard('last')
    expect(two.heard).toEqual([...range(waitingSignalsMax), 'last'])
    await expect.poll(() => one.line.counters).toMatchObject({ sent: waitingSignalsMax + 1, dropped: 10 })
  })

  test('drops what is said while Postgres is away, and comes back by itself', { timeout: startMsMax }, async () => {
    let lost = () => {}
    const isLost = new Promise<void>(resolve => {
      lost = resolve
    })
    const logger = pino({ level: 'warn' }, { write: text => JSON.parse(text).msg.includes('until Postgres') && lost() })
    const [one, two] = [await open(logger), await open()]
    postgres.halt()
    await isLost
    expect(one.line.connected).toBe(false)
    one.line.send('to nobody')
    expect(one.line.counters.dropped).toBe(1)
    postgres.resume()
    await expect.poll(() => one.line.connected && two.line.connected, { timeout: startMsMax }).toBe(true)
    one.line.send('back')
    await two.whenHeard('back')
    expect(two.heard).toEqual(['back'])
  })

  test('to a Postgres that is away keeps nobody from starting', async () => {
    const line = await openSignalLine('postgres://nobody@127.0.0.1:1/none', silentLogger)
    lines.push(line)
    expect(line.connected).toBe(false)
    line.send('to nobody')
    expect(line.counters).toEqual({ sent: 0, heard: 0, dropped: 1 })
  })
})
