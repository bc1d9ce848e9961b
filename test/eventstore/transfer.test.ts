// Owns the proof that a log survives a move to another store event by event, and that a bad or partial file never passes.
// Runs over the embedded store; the commands run as processes of their own, as a person would run them.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text as readText } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Position } from '../../domain/ids.ts'
import { openEventStore } from '../../eventstore/open.ts'
import type { EventStore, RecordedEvent } from '../../eventstore/port.ts'
import { positionBeforeAll, positionOf } from '../../eventstore/port.ts'
import { exportLog, importLog } from '../../eventstore/transfer.ts'
import { BadExport, exportLines } from '../../eventstore/transfer-lines.ts'
import { failureOf, newEvent, newEvents, readStream, walkLog } from '../contract/fixture.ts'
import { silentLogger } from '../support/read-models.ts'
import { newFolder, openStore } from './embedded-folders.ts'

const quiet = { report: () => undefined, now: () => 0 }
const newStore = async () => openStore(await newFolder())

const exported = async (store: EventStore, options = quiet): Promise<string> => {
  let text = ''
  for await (const piece of exportLog(store, options)) text += piece
  return text
}

/** A file as a stream of bytes, cut anywhere. */
async function* bytesOf(text: string, pieceBytes = 1_000): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

const withoutPosition = ({ position, ...event }: RecordedEvent) => event

test('an import has the same events with the same ids, texts, revisions and order, under a new log id', async () => {
  const source = await newStore()
  await source.append(
    'account-ü👋',
    [newEvent({ text: '{ "a" :1e0,\n "b":"x\\ny" }', data: { a: 1, b: 'x\ny' } })],
    'none',
  )
  await source.append('group-"data":{}', [newEvent({ data: { data: { data: '"data":{}' } } }), ...newEvents(2)], 'none')
  const marked = newEvent({ type: 'Größer', command: { key: 'k "data":', fingerprint: 'f' } })
  await source.append('account-ü👋', [marked, ...newEvents(400)], 0)
  for (let round = 0; round < 300; round++) {
    await Promise.all(
      [0, 1, 2].map(n => source.append(`inbox-${n}`, newEvents(2), round === 0 ? 'none' : 2 * round - 1)),
    )
  }
  const target = await newStore()
  const file = await exported(source)
  expect(await importLog(target, bytesOf(file), quiet)).toBe(2_205)
  const events = await walkLog(target, 'start')
  expect(events.map(withoutPosition)).toEqual((await walkLog(source, 'start')).map(withoutPosition))
  expect(target.logId).not.toBe(source.logId)
  expect(await target.append('account-ü👋', [marked], 0)).toMatchObject({ revision: 1 })
  const [header, first] = file.split('\n').map(line => JSON.parse(line || 'null'))
  expect(header).toEqual({
    format: 'ledgerline-log-1',
    logId: source.logId,
    head: await source.head(),
    exportedAt: '1970-01-01T00:00:00.000Z',
  })
  expect(first).toMatchObject({ stream: 'account-ü👋', revision: 0, position: positionOf(1), type: 'Noted' })
})

test('an empty log can be moved too', async () => {
  const target = await newStore()
  expect(await importLog(target, bytesOf(await exported(await newStore())), quiet)).toBe(0)
  expect(await target.head()).toBe(positionBeforeAll)
})

test('any log comes back the same, however its lines are cut', async () => {
  const json = fc
    .object({ maxDepth: 2, withUnicodeString: true } as object)
    .map(value => JSON.parse(JSON.stringify(value)))
  const log = fc.array(fc.tuple(fc.nat({ max: 3 }), json, fc.boolean()), { minLength: 1, maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(log, fc.integer({ min: 1, max: 300 }), async (entries, pieceBytes) => {
      const [source, target] = [await newStore(), await newStore()]
      const counts = [0, 0, 0, 0]
      for (const [stream, data, isSpaced] of entries) {
        const text = isSpaced ? JSON.stringify(data, null, 1) : JSON.stringify(data)
        const count = counts[stream] ?? 0
        await source.append(`account-${stream}`, [newEvent({ data, text })], count === 0 ? 'none' : count - 1)
        counts[stream] = count + 1
      }
      await importLog(target, bytesOf(await exported(source), pieceBytes), quiet)
      expect(await walkLog(target, 'start')).toEqual(await walkLog(source, 'start'))
      await Promise.all([source.close(), target.close()])
    }),
    { numRuns: 15 },
  )
}, 30_000)

test('a log that is not empty is never written to', async () => {
  const [source, target] = [await newStore(), await newStore()]
  await source.append('account-a', newEvents(1), 'none')
  await target.append('account-b', newEvents(1), 'none')
  const failure = await failureOf(async () => importLog(target, bytesOf(await exported(source)), quiet))
  expect(failure).toMatchObject({ message: expect.stringContaining(`the log ${target.logId} is not empty`) })
  expect(await walkLog(target, 'start')).toHaveLength(1)
})

test('streams that keep only their last event begin again at revision 0 with that one', async () => {
  const [source, target] = [await newStore(), await newStore()]
  await source.append('snapshot-group-1', newEvents(5), 'none')
  await source.append('account-a', newEvents(1), 'none')
  await source.append('snapshot-group-1', newEvents(1), 4)
  await importLog(target, bytesOf(await exported(source)), quiet)
  const [newest] = await readStream(source, 'snapshot-group-1')
  expect(newest?.revision).toBe(5)
  expect(await readStream(target, 'snapshot-group-1')).toEqual([{ ...newest, revision: 0, position: positionOf(2) }])
})

test("a follower's cursor points to the same event in the new log", async () => {
  const [source, target] = [await newStore(), await newStore()]
  const cursorAt = (position: Position) =>
    newEvent({ type: 'FollowerAdvanced', data: { name: 'mail', position, at: 'now' } })
  await source.append('snapshot-a', newEvents(7), 'none')
  await source.append('account-a', newEvents(3), 'none')
  const [, second] = await readStream(source, 'account-a')
  await source.append('follower-mail', [cursorAt(second?.position ?? positionBeforeAll)], 'none')
  await source.append('follower-new', [cursorAt(positionBeforeAll)], 'none')
  await source.append('account-a', newEvents(1), 2)
  await importLog(target, bytesOf(await exported(source)), quiet)
  const [, secondMoved] = await readStream(target, 'account-a')
  expect(secondMoved?.position).not.toBe(second?.position)
  const [mail] = await readStream(target, 'follower-mail')
  expect(mail?.data).toEqual({ name: 'mail', position: secondMoved?.position, at: 'now' })
  expect(JSON.parse(mail?.text ?? '')).toEqual(mail?.data)
  const [fresh] = await readStream(target, 'follower-new')
  expect(fresh?.data).toMatchObject({ position: positionBeforeAll })
})

test('a cursor that moves on during an export comes with it, and stands behind all of it', async () => {
  const [source, target] = [await newStore(), await newStore()]
  const cursorAt = (position: Position) =>
    newEvent({ type: 'FollowerAdvanced', data: { name: 'mail', position, at: 'now' } })
  await source.append('account-a', newEvents(3), 'none')
  await source.append('follower-mail', [cursorAt(positionBeforeAll)], 'none')
  const pieces = exportLog(source, quiet)
  let file = (await pieces.next()).value ?? ''
  const { position } = await source.append('account-a', newEvents(2), 2)
  await source.append('follower-mail', [cursorAt(position)], 0)
  for await (const piece of pieces) file += piece
  await importLog(target, bytesOf(file), quiet)
  const accounts = await readStream(target, 'account-a')
  expect(accounts).toHaveLength(3)
  const [mail] = await readStream(target, 'follower-mail')
  expect(mail?.data).toEqual({ name: 'mail', position: accounts.at(-1)?.position, at: 'now' })
})

test('a bad line is refused with its number and what is wrong with it', async () => {
  const source = await newStore()
  await source.append('account-a', newEvents(3), 'none')
  const lines = (await exported(source)).trimEnd().split('\n')
  const changed = (number: number, change: (fields: Record<string, unknown>) => void): string => {
    const fields = JSON.parse(lines[number - 1] ?? '')
    change(fields)
    return lines.with(number - 1, JSON.stringify(fields)).join('\n')
  }
  const cut = (fields: Record<string, unknown>, ...names: string[]) => {
    for (const name of names) delete fields[name]
  }
  for (const [file, line, reason] of [
    ['not an export', 1, 'not JSON'],
    ['{"format":"other"}', 1, 'not an export of format ledgerline-log-1 but "other"'],
    ['[]', 1, 'not a JSON object'],
    [lines.slice(1).join('\n'), 1, 'not an export'],
    [lines.with(2, '{"stream":').join('\n'), 3, 'not JSON'],
    [lines.with(2, '').join('\n'), 3, 'not JSON'],
    [changed(3, fields => cut(fields, 'stream')), 3, 'needs a name'],
    [changed(3, fields => cut(fields, 'revision')), 3, 'revision is not a number'],
    [changed(3, fields => cut(fields, 'position')), 3, 'a position is 16'],
    [changed(3, fields => cut(fields, 'id')), 3, 'is not a UUID'],
    [changed(3, fields => cut(fields, 'type')), 3, 'is not a type'],
    [changed(3, fields => cut(fields, 'data')), 3, 'data is not an object'],
    [changed(3, fields => Object.assign(fields, { more: 1 })), 3, 'data is not an object'],
    [changed(3, fields => Object.assign(fields, { command: { key: 1 } })), 3, 'data is not an object'],
    [changed(3, fields => Object.assign(fields, { position: positionOf(1) })), 3, 'comes after the one at'],
    [changed(3, fields => Object.assign(fields, { revision: 7 })), 3, 'is at 0, not at 6'],
    [[...lines, lines[1]].join('\n'), 6, 'more after the end'],
    [lines.with(4, '{"end":true}').join('\n'), 5, 'does not say how many'],
    ['x'.repeat(3_000_000), 1, 'longer than'],
  ] as const) {
    const failure = await failureOf(async () => importLog(await newStore(), bytesOf(file, 50_000), quiet))
    expect(failure).toBeInstanceOf(BadExport)
    expect(failure).toMatchObject({ line, message: expect.stringContaining(reason) })
    expect((failure as Error).message).toMatch(/^line \d+: /)
  }
})

test('a file that ends too early, or has lost a line, is never a success', async () => {
  const source = await newStore()
  await source.append('account-a', newEvents(3), 'none')
  const lines = (await exported(source)).trimEnd().split('\n')
  for (const [file, reason] of [
    ['', 'the input is empty'],
    [lines.slice(0, 3).join('\n'), 'ends too early, after 2 events'],
    [lines.toSpliced(3, 1).join('\n'), 'has 2 of 3 events'],
  ] as const) {
    const failure = await failureOf(async () => importLog(await newStore(), bytesOf(file), quiet))
    expect(failure).toMatchObject({ message: expect.stringContaining(reason) })
  }
})

test('an import that failed is taken up again with the whole file, and not with another one', async () => {
  const source = await newStore()
  for (let round = 0; round < 5; round++) await source.append(`account-${round}`, newEvents(3), 'none')
  const cursorAt = (position: Position) =>
    newEvent({ type: 'FollowerAdvanced', data: { name: 'mail', position, at: 'now' } })
  const [, second] = await walkLog(source, 'start')
  await source.append('follower-mail', [cursorAt(second?.position ?? positionBeforeAll)], 'none')
  const file = await exported(source)
  // A cursor that moved on while the log was exported stands in the file twice: the log has only the newer one.
  const lines = file.trimEnd().split('\n')
  const moved = { ...JSON.parse(lines.at(-2) as string), revision: 1, position: positionOf(99), id: newEvent().id }
  const whole = [...lines.slice(0, -1), JSON.stringify(moved), '{"end":true,"events":17}\n']

  const folder = await newFolder()
  const target = await openStore(folder)
  expect(target.unfinishedImport).toBeUndefined()
  expect(await failureOf(() => importLog(target, bytesOf(whole.slice(0, -1).join('\n')), quiet))).toMatchObject({
    message: expect.stringContaining('ends too early, after 17 events'),
  })
  await target.close()
  expect(await failureOf(() => openEventStore({ dataDir: folder, logger: silentLogger }))).toMatchObject({
    code: 'unfinished-import',
    message: expect.stringContaining(`delete ${join(folder, 'log')}`),
  })

  const again = await openStore(folder)
  expect(again.unfinishedImport).toMatchObject({ logId: source.logId })
  await source.append('account-0', newEvents(1), 2)
  expect(await failureOf(async () => importLog(again, bytesOf(await exported(source)), quiet))).toMatchObject({
    message: expect.stringContaining('a part of another export'),
  })
  expect(await importLog(again, bytesOf(whole.join('\n')), quiet)).toBe(17)
  await again.close()
  const complete = await openEventStore({ dataDir: folder, logger: silentLogger })
  const events = await walkLog(complete, 'start')
  await complete.close()
  const facts = (await walkLog(source, 'start')).filter(({ stream }) => stream !== 'follower-mail').slice(0, 15)
  expect(events.slice(0, 15)).toEqual(facts)
  expect(events.slice(15)).toMatchObject([{ id: moved.id, revision: 1, data: { position: second?.position } }])
})

test('an import that failed before its first event is begun anew with any file', async () => {
  const [source, target] = [await newStore(), await newStore()]
  await source.append('account-a', newEvents(1), 'none')
  const file = await exported(source)
  await failureOf(() => importLog(target, bytesOf(`${file.split('\n')[0]}\nnothing`), quiet))
  expect(await importLog(target, bytesOf(file.replace(/"exportedAt":"[^"]*"/, '"exportedAt":"later"')), quiet)).toBe(1)
})

test('lines are cut at line feeds only, wherever the pieces of the input end', async () => {
  for (const pieceBytes of [1, 2, 3, 7, 100]) {
    const lines: { text: string; number: number }[] = []
    for await (const line of exportLines(bytesOf('ä\u2028b\n\n👋', pieceBytes))) lines.push(line)
    expect(lines).toEqual([
      { text: 'ä\u2028b', number: 1 },
      { text: '', number: 2 },
      { text: '👋', number: 3 },
    ])
  }
})

test('an export reads on only when what it gave was taken, and tells how far it is', async () => {
  const store = await newStore()
  for (let round = 0; round < 10; round++) await store.append(`account-${round}`, newEvents(300), 'none')
  let reads = 0
  const counting: EventStore = Object.create(store, {
    readAll: {
      value: (options: Parameters<EventStore['readAll']>[0]) => {
        reads++
        return store.readAll(options)
      },
    },
    head: { value: () => store.head() },
  })
  const reports: string[] = []
  let nowMs = 0
  const pieces = exportLog(counting, { report: line => reports.push(line), now: () => (nowMs += 600) })
  await pieces.next()
  expect(reads).toBe(0)
  await pieces.next()
  expect(reads).toBe(1)
  for await (const _ of pieces) expect(reads).toBeLessThanOrEqual(8)
  expect(reports.length).toBeGreaterThan(2)
  for (const line of reports) expect(line).toMatch(/^exported \d+ events, \d+ events\/s, \d{1,3} %$/)
  expect(reports.at(-1)).toMatch(/^exported 3000 events, \d+ events\/s, 100 %$/)
})

/** Runs the command in a process of its own. */
const runCommand = async (direction: string, dataDir: string, files: { input?: string; output?: string } = {}) => {
  const script = fileURLToPath(new URL('../../eventstore/transfer-command.ts', import.meta.url))
  const env = { ...process.env, DATA_DIR: dataDir, EVENTSTORE_URL: '' }
  const child = spawn(process.execPath, ['--import', 'tsx', script, direction], { env, stdio: 'pipe' })
  const exited = once(child, 'exit')
  child.stdin.on('error', () => undefined)
  if (files.input) createReadStream(files.input).pipe(child.stdin)
  else child.stdin.end()
  if (files.output) child.stdout.pipe(createWriteStream(files.output))
  else child.stdout.resume()
  const [errors, [exitCode]] = await Promise.all([readText(child.stderr), exited])
  return { exitCode, errors }
}

test('the commands move a log from one folder to another, with progress on stderr', async () => {
  const [from, to] = [await newFolder(), await newFolder()]
  const file = join(await newFolder(), 'log.ndjson')
  const source = await openStore(from)
  for (let round = 0; round < 10; round++) await source.append(`account-${round}`, newEvents(500), 'none')
  const events = await walkLog(source, 'start')
  await source.close()
  const exporting = await runCommand('export', from, { output: file })
  expect(exporting).toEqual({
    exitCode: 0,
    errors: expect.stringMatching(/exported 5000 events, \d+ events\/s, 100 %\n$/),
  })
  const importing = await runCommand('import', to, { input: file })
  expect(importing).toEqual({
    exitCode: 0,
    errors: expect.stringMatching(/imported 5000 events, \d+ events\/s, 100 %\n$/),
  })
  expect(await walkLog(await openStore(to), 'start')).toEqual(events)
}, 30_000)

test('what npm prints above the output of a script does not spoil an export', async () => {
  const source = await newStore()
  await source.append('account-1', newEvents(2), 'none')
  const banner = '\n> ledgerline@0.1.0 export\n> tsx eventstore/transfer-command.ts export\n\n'
  const target = await newStore()
  expect(await importLog(target, bytesOf(banner + (await exported(source))), quiet)).toBe(2)
  expect(await walkLog(target, 'start')).toEqual(await walkLog(source, 'start'))
  const [header] = (await exported(source)).split('\n')
  const failureOn = async (file: string) => {
    const store = await newStore()
    return failureOf(() => importLog(store, bytesOf(file), quiet))
  }
  expect(await failureOn(`${header}\n> late\n`)).toBeInstanceOf(BadExport)
  expect(await failureOn(banner)).toMatchObject({ message: 'the input is empty' })
})

test('the commands fail with a message and an exit code, and make no folder for a wrong DATA_DIR', async () => {
  const folder = await newFolder()
  const missing = join(folder, 'missing')
  expect(await runCommand('export', missing)).toEqual({
    exitCode: 1,
    errors: `export failed: there is no log in ${missing}; set DATA_DIR or EVENTSTORE_URL\n`,
  })
  expect((await runCommand('sideways', folder)).exitCode).toBe(2)
  const file = join(folder, 'bad.ndjson')
  await writeFile(file, 'hello\n')
  const importing = await runCommand('import', folder, { input: file })
  expect(importing).toMatchObject({
    exitCode: 1,
    errors: expect.stringMatching(/^import failed: line 1: this is not JSON/),
  })
  expect(await readFile(file, 'utf8')).toBe('hello\n')
}, 30_000)
