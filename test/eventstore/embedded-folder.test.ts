// Owns the proof that the embedded log's folder is safe: one owner, nothing lost by kill -9, damage and full disks reported.
// Damages only copies of what it wrote itself.

import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { cp, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { open } from 'lmdb'
import { expect, onTestFinished, test, vi } from 'vitest'
import { openEmbeddedStore } from '../../eventstore/embedded.ts'
import type { EventStore, RecordedEvent } from '../../eventstore/port.ts'
import { CorruptLog, positionOf, Unavailable } from '../../eventstore/port.ts'
import { failureOf, newEvent, newEvents, readStream, walkLog } from '../contract/fixture.ts'
import { newFolder, openStore, startWriter } from './embedded-folders.ts'

const dataFileOf = (dataDir: string) => join(dataDir, 'log', 'data.mdb')
const ownerFileOf = (dataDir: string) => join(dataDir, 'log', 'owner.json')

/** The message of the failure to open a folder, which must be of the given kind and leave the folder as it was. */
const refusalOf = async (dataDir: string, kind: typeof CorruptLog | typeof Unavailable): Promise<string> => {
  const before = await readdir(join(dataDir, 'log')).catch(() => undefined)
  const failure = await failureOf(() => openEmbeddedStore({ dataDir }))
  expect(failure).toBeInstanceOf(kind)
  expect(await readdir(join(dataDir, 'log')).catch(() => undefined)).toEqual(before)
  return (failure as Error).message
}

/** A closed log with some streams in it. */
const writtenFolder = async (): Promise<string> => {
  const dataDir = await newFolder()
  const store = await openEmbeddedStore({ dataDir })
  for (let number = 0; number < 200; number++) {
    await store.append(`account-${number % 20}`, newEvents(10), number < 20 ? 'none' : Math.floor(number / 20) * 10 - 1)
  }
  await store.append('account-marked', [newEvent({ data: { mark: 'find-me-here' } })], 'none')
  await store.close()
  return dataDir
}

test('an owner that has been killed and is not gone yet is waited for', async () => {
  const dataDir = await newFolder()
  const writer = await startWriter(dataDir)
  await writer.reached(1)
  const opening = openStore(dataDir)
  await writer.kill()
  expect((await walkLog(await opening, 'start')).length).toBeGreaterThanOrEqual(writer.acknowledged.length)
})

test('nobody else on the machine may look into the folder', async () => {
  const dataDir = await newFolder()
  await openStore(dataDir)
  expect((await stat(join(dataDir, 'log'))).mode & 0o777).toBe(0o700)
})

test('a second opening is refused with process, folder and what to do; after close the folder is free', async () => {
  const dataDir = await newFolder()
  const store = await openStore(dataDir)
  await store.append('account-a', newEvents(1), 'none')
  const message = await refusalOf(dataDir, Unavailable)
  expect(message).toContain(`in use by process ${process.pid}`)
  expect(message).toContain(join(dataDir, 'log'))
  expect(message).toContain('Stop that process first')
  await store.append('account-a', newEvents(1), 0)
  await store.close()
  expect(await walkLog(await openStore(dataDir), 'start')).toHaveLength(2)
})

test('kill -9 loses nothing that was acknowledged, tears no append, and leaves the folder usable', async () => {
  const dataDir = await newFolder()
  const writer = await startWriter(dataDir)
  expect(await refusalOf(dataDir, Unavailable)).toContain(`in use by process ${writer.pid}`)
  await writer.reached(2_000)
  await writer.kill()
  const store = await openStore(dataDir)
  const streams = new Map<string, readonly RecordedEvent[]>()
  for (let number = 0; number < 20; number++) {
    const name = `account-${number}`
    const events: RecordedEvent[] = []
    for (let from = 0, page = 1; page > 0; from += page) {
      const next = await store.read(name, { from, direction: 'forwards', limit: 1_000 })
      page = next.length
      events.push(...next)
    }
    expect(events.map(event => event.revision)).toEqual(events.map((_, index) => index))
    expect(events.length % 3).toBe(0)
    streams.set(name, events)
  }
  for (const line of writer.acknowledged) {
    const [name, revision, position] = line.split(' ')
    expect(streams.get(name ?? '')?.[Number(revision)]?.position).toBe(position)
  }
  const log = await walkLog(store, 'start')
  expect(log.map(event => event.position)).toEqual(log.map((_, index) => positionOf(index + 1)))
  expect(await store.head()).toBe(log.at(-1)?.position)
}, 30_000)

test('an owner that is gone is recognised, also when its process number was given again', async () => {
  const dataDir = await newFolder()
  const store = await openStore(dataDir)
  const owner = JSON.parse(await readFile(ownerFileOf(dataDir), 'utf8'))
  await store.close()
  for (const gone of [
    { ...owner, startedTicks: '1' },
    { ...owner, bootId: 'another start of the machine' },
    { ...owner, pid: 4_194_304 },
    {},
  ]) {
    await writeFile(ownerFileOf(dataDir), JSON.stringify(gone))
    await (await openEmbeddedStore({ dataDir })).close()
  }
  await writeFile(ownerFileOf(dataDir), '')
  await (await openEmbeddedStore({ dataDir })).close()
  expect(await readdir(join(dataDir, 'log'))).toEqual(['data.mdb', 'format.json', 'lock.mdb'])
})

test('a process that lost the folder to another one cannot write into its log any more', async () => {
  const dataDir = await newFolder()
  const first = await openStore(dataDir)
  await first.append('account-a', newEvents(1), 'none')
  await rm(ownerFileOf(dataDir))
  const second = await openStore(dataDir)
  await second.append('account-b', newEvents(2), 'none')
  const failure = await failureOf(() => first.append('account-a', newEvents(1), 0))
  expect(failure).toBeInstanceOf(Unavailable)
  expect(failure).toMatchObject({ message: expect.stringContaining('another process wrote to') })
  expect(await failureOf(() => first.head())).toBeInstanceOf(Unavailable)
  expect(await failureOf(() => first.append('account-a', newEvents(1), 0))).toBeInstanceOf(Unavailable)
  await second.append('account-a', newEvents(1), 0)
  expect((await walkLog(second, 'start')).map(event => event.stream)).toEqual([
    'account-a',
    'account-b',
    'account-b',
    'account-a',
  ])
})

test('a folder that cannot be made is refused with what to do', async () => {
  const dataDir = join(await newFolder(), 'a-file')
  await writeFile(dataDir, '')
  expect(await refusalOf(dataDir, Unavailable)).toMatch(/cannot be written.*Choose another DATA_DIR/)
})

test('a folder of a newer format is refused and left alone', async () => {
  const dataDir = await writtenFolder()
  const marker = join(dataDir, 'log', 'format.json')
  const { logId } = JSON.parse(await readFile(marker, 'utf8'))
  await writeFile(marker, JSON.stringify({ product: 'ledgerline', format: 2, logId }))
  expect(await refusalOf(dataDir, Unavailable)).toMatch(/format 2 by a newer version; this version knows 1/)
})

test('a missing, empty, foreign, swapped or cut off file is reported, never made anew', async () => {
  const dataDir = await writtenFolder()
  const file = dataFileOf(dataDir)
  const whole = await readFile(file)
  await rm(file)
  expect(await refusalOf(dataDir, CorruptLog)).toContain(`${file}: the file is missing or empty`)
  await writeFile(file, '')
  expect(await refusalOf(dataDir, CorruptLog)).toContain('missing or empty')
  await writeFile(file, 'these are not the events you are looking for'.repeat(1_000))
  expect(await refusalOf(dataDir, CorruptLog)).toContain('not the file of an event log')
  for (const bytes of [10, 5_000, whole.length / 2, whole.length - 1]) {
    await writeFile(file, whole)
    await truncate(file, Math.floor(bytes))
    expect(await refusalOf(dataDir, CorruptLog)).toMatch(/cut off|its beginning is damaged/)
  }
  const other = await writtenFolder()
  await cp(dataFileOf(other), file)
  expect(await refusalOf(dataDir, CorruptLog)).toMatch(/is that of log [0-9a-f]{32}, not of log [0-9a-f]{32}/)
  expect(await refusalOf(dataDir, CorruptLog)).toMatch(/restore this folder from a backup, or move it away/)
  await writeFile(file, whole)
  expect(await walkLog(await openStore(dataDir), 'start')).toHaveLength(2_001)
})

test('an LMDB file that holds something else is refused', async () => {
  const dataDir = await newFolder()
  const foreign = open({ path: join(dataDir, 'log') })
  await foreign.openDB({ name: 'shopping' }).put('milk', 1)
  await foreign.close()
  expect(await refusalOf(dataDir, CorruptLog)).toContain('it has a table shopping')
})

test('a changed byte in one of the newest events is found at opening', async () => {
  const dataDir = await writtenFolder()
  const file = dataFileOf(dataDir)
  const bytes = await readFile(file)
  for (let at = bytes.indexOf('find-me-here'); at >= 0; at = bytes.indexOf('find-me-here', at + 1)) bytes[at] = 0x46
  await writeFile(file, bytes)
  const failure = await failureOf(() => openEmbeddedStore({ dataDir }))
  expect(failure).toBeInstanceOf(CorruptLog)
  expect((failure as Error).message).toContain(`${file}: the record at position ${positionOf(2_001)} does not match`)
})

test('a changed byte in an older event stops only what reads that event', async () => {
  const dataDir = await newFolder()
  const before = await openEmbeddedStore({ dataDir })
  await before.append('account-marked', [newEvent({ data: { mark: 'find-me-here' } })], 'none')
  // So many more that the index of the first ones is on disk, and opening does not read them again.
  for (let number = 0; number < 30; number++) await before.append(`account-${number}`, newEvents(1_000), 'none')
  await before.close()
  const file = dataFileOf(dataDir)
  const bytes = await readFile(file)
  for (let at = bytes.indexOf('find-me-here'); at >= 0; at = bytes.indexOf('find-me-here', at + 1)) bytes[at] = 0x46
  await writeFile(file, bytes)
  const store = await openStore(dataDir)
  expect(await readStream(store, 'account-3')).toHaveLength(1_000)
  for (const read of [
    () => readStream(store, 'account-marked'),
    () => walkLog(store, 'start'),
    () => store.readAll({ from: positionOf(1), direction: 'backwards', limit: 1 }),
    async () => {
      for await (const _ of store.subscribe({ from: 'start', signal: new AbortController().signal })) break
    },
  ]) {
    const failure = await failureOf(read)
    expect(failure).toBeInstanceOf(CorruptLog)
    expect(failure).toMatchObject({ code: 'corrupt-log', message: expect.stringContaining(file) })
  }
})

test.each([
  ['says of the older transaction that it is the newer', 128, 0x80, 'older'],
  ['says of the newer transaction that it is older', 128, 'less', 'newer'],
  ['has more pages than there is room for', 124, 0x01, 'newer'],
  ['has a root of another kind', 28, 0x20, 'newer'],
] as const)(
  'a beginning that %s is refused, and not taken for the log as it was before',
  async (_what, at, change, which) => {
    const dataDir = await writtenFolder()
    const file = dataFileOf(dataDir)
    const bytes = await readFile(file)
    const [first, second] = [24, 4_096 + 24]
    const isFirstNewer = bytes.readBigUInt64LE(first + 128) > bytes.readBigUInt64LE(second + 128)
    const meta = isFirstNewer === (which === 'newer') ? first : second
    if (change === 'less') bytes.writeBigUInt64LE(bytes.readBigUInt64LE(meta + at) - 2n, meta + at)
    else bytes.writeUInt8(bytes.readUInt8(meta + at) ^ change, meta + at)
    await writeFile(file, bytes)
    expect(await refusalOf(dataDir, CorruptLog)).toContain('its beginning is damaged')
  },
)

test('damaged pages are found before LMDB reads them, whether the last owner closed or not', async () => {
  const dataDir = await writtenFolder()
  const file = dataFileOf(dataDir)
  const whole = await readFile(file)
  const pageBytes = 4_096
  const gone = JSON.stringify({ pid: 4_194_304, bootId: '', startedTicks: '', token: randomUUID() })
  let found = 0
  for (let page = 2; page < whole.length / pageBytes; page += 7) {
    const damaged = Buffer.from(whole)
    damaged.fill(0, page * pageBytes, (page + 1) * pageBytes)
    await writeFile(file, damaged)
    if (page % 2 === 0) await writeFile(ownerFileOf(dataDir), gone)
    const outcome = await openEmbeddedStore({ dataDir }).catch((error: unknown) => error)
    if (outcome instanceof CorruptLog) {
      expect(outcome.message).toContain(`page ${page} is damaged`)
      found++
    } else {
      // A page that is not in use: everything must still be there.
      const store = outcome as EventStore
      expect(await walkLog(store, 'start')).toHaveLength(2_001)
      await store.close()
    }
  }
  expect(found).toBeGreaterThan(10)
})

/** A file system of its own, small enough to fill. */
const smallDisk = async (mebibytes: number): Promise<string | undefined> => {
  const folder = await newFolder()
  await mkdir(join(folder, 'disk'))
  const disk = join(folder, 'disk')
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', disk], { stdio: 'ignore' })
  } catch {
    return undefined
  }
  // LMDB's binding writes its failures to the console as well.
  const silenced = vi.spyOn(console, 'error').mockImplementation(() => undefined)
  onTestFinished(() => {
    silenced.mockRestore()
    execFileSync('umount', ['-l', disk])
  })
  return disk
}

/** Writes on when hardly any room is left, so that a disk of a few mebibytes shows what a write to a full one does. */
const untilItIsFull = { freeBytesMin: 0 }

test('with little room left on the disk nothing is written, and writing goes on when there is room again', async context => {
  const dataDir = await smallDisk(48)
  if (!dataDir) return context.skip('mounting a file system needs privileges')
  const store = await openStore(dataDir)
  await store.append('account-a', newEvents(1), 'none')
  await writeFile(join(dataDir, 'ballast'), Buffer.alloc(20_000_000))
  expect(await failureOf(() => store.append('account-a', newEvents(1), 0))).toMatchObject({
    code: 'unavailable',
    message: expect.stringMatching(/is full: make room/),
  })
  expect(await store.head()).toBe(positionOf(1))
  await rm(join(dataDir, 'ballast'))
  expect(await store.append('account-a', newEvents(1), 0)).toEqual({ revision: 1, position: positionOf(2) })
})

test('a full disk refuses appends as unavailable, writes none of them by half, and goes on when there is room', async context => {
  const dataDir = await smallDisk(8)
  if (!dataDir) return context.skip('mounting a file system needs privileges')
  const store = await openStore(dataDir, untilItIsFull)
  await writeFile(join(dataDir, 'ballast'), Buffer.alloc(3_000_000))
  const filler = () => newEvent({ data: { letters: 'x'.repeat(30_000) } })
  let revision: number | 'none' = 'none'
  let failure: unknown
  while (failure === undefined) {
    try {
      revision = (await store.append('account-full', [filler(), filler()], revision)).revision
    } catch (error) {
      failure = error
    }
  }
  expect(failure).toBeInstanceOf(Unavailable)
  expect(failure).toMatchObject({ message: expect.stringMatching(/could not write: .* \d MiB free in /) })
  const several = await Promise.allSettled([
    store.append('account-a', [filler(), filler(), filler()], 'none'),
    store.append('account-full', [filler()], revision),
    store.append('account-full', newEvents(1), 'none'),
  ])
  for (const outcome of several) expect(outcome).toMatchObject({ reason: { code: 'unavailable' } })
  const written = Number(revision) + 1
  expect(await store.head()).toBe(positionOf(written))
  expect(await readStream(store, 'account-a')).toEqual([])
  await rm(join(dataDir, 'ballast'))
  const head = await store.head()
  const appended = await store.append('account-full', [filler()], revision)
  expect(appended).toEqual({ revision: written, position: positionOf(written + 1) })
  expect(await store.append('account-a', [filler()], 'none')).toEqual({
    revision: 0,
    position: positionOf(written + 2),
  })
  expect((await walkLog(store, head)).map(event => event.stream)).toEqual(['account-full', 'account-full', 'account-a'])
})

test('a log cannot be made on a full disk, and can be made as soon as there is room', async context => {
  const disk = await smallDisk(1)
  if (!disk) return context.skip('mounting a file system needs privileges')
  for (const freeBytes of [0, 4_096, 12_288, 20_480, 32_768, 65_536, 126_976]) {
    const dataDir = join(disk, `free-${freeBytes}`)
    await mkdir(join(dataDir, 'log'), { recursive: true })
    const ballast = join(disk, 'ballast')
    await writeFile(ballast, Buffer.alloc(2_000_000)).catch(() => undefined)
    const { size } = await stat(ballast)
    await truncate(ballast, size - (size % 4_096) - freeBytes)
    expect(await failureOf(() => openEmbeddedStore({ dataDir }))).toBeInstanceOf(Unavailable)
    await rm(ballast)
    const store = await openStore(dataDir, untilItIsFull)
    expect(await store.append('account-a', newEvents(1), 'none')).toEqual({ revision: 0, position: positionOf(1) })
    await store.close()
  }
})

test('subscriptions live through a failed commit and hear only what was written', async context => {
  const dataDir = await smallDisk(4)
  if (!dataDir) return context.skip('mounting a file system needs privileges')
  const store = await openStore(dataDir, untilItIsFull)
  const controller = new AbortController()
  const iterator = store.subscribe({ from: 'start', signal: controller.signal })[Symbol.asyncIterator]()
  const first = iterator.next()
  await store.append('account-a', newEvents(1), 'none')
  expect((await first).value).toHaveLength(1)
  const second = iterator.next()
  await writeFile(join(dataDir, 'ballast'), Buffer.alloc(16_000_000)).catch(() => undefined)
  const large = newEvent({ data: { letters: 'x'.repeat(900_000) } })
  expect(await failureOf(() => store.append('account-b', [large], 'none'))).toBeInstanceOf(Unavailable)
  await rm(join(dataDir, 'ballast'))
  await store.append('account-b', newEvents(1), 'none')
  expect((await second).value).toMatchObject([{ stream: 'account-b', revision: 0, position: positionOf(2) }])
  controller.abort()
})
