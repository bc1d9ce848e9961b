// Owns the proof that a command reaches the owner of a folder and nobody else does: what is told, what ends it on either side,
// and that a socket that was left behind is in nobody's way.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { askOwner, type Control, ControlError, openControl, type Work } from '../../eventstore/control.ts'
import { whenTrue } from '../support/test-node.ts'

let dataDir: string
let control: Control | undefined
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'ledgerline-control-'))
})
afterEach(async () => {
  await control?.close()
  control = undefined
  rmSync(dataDir, { recursive: true, force: true })
})

const silent = pino({ level: 'silent' })
const own = async (work: Work) => {
  control = await openControl(dataDir, { work }, silent)
}
const closed = (socket: Socket) => new Promise(resolve => socket.resume().once('close', resolve))
const never = new AbortController().signal
const ask = (asked: unknown = {}, told: object[] = [], signal: AbortSignal = never) =>
  askOwner({ dataDir, command: 'work', asked, tell: async value => void told.push(value), signal })

/** Work that goes on until it is interrupted. */
const endless = () => {
  const seen: { reason?: unknown; isWorking: boolean } = { isWorking: false }
  const work: Work = async (_asked, tell, signal) => {
    seen.isWorking = true
    await tell({ started: true })
    await once(signal, 'abort')
    seen.reason = signal.reason
    throw signal.reason
  }
  return { seen, work }
}

test('what is asked for comes there, what is told comes back, in order, and then what was done', async () => {
  await own(async (asked, tell) => {
    for (let number = 0; number < 1_000; number++) await tell({ number, text: 'ä\n👋' })
    return { asked }
  })
  const told: object[] = []
  expect(await ask({ names: ['a', '\n'] }, told)).toEqual({ asked: { names: ['a', '\n'] } })
  expect(told).toEqual(Array.from({ length: 1_000 }, (_, number) => ({ number, text: 'ä\n👋' })))
})

test('what fails there fails here, with what it says', async () => {
  await own(async () => {
    throw new Error('Not today.')
  })
  await expect(ask()).rejects.toThrow(new ControlError('Not today.'))
  const other = askOwner({ dataDir, command: 'nonsense', asked: {}, tell: async () => {}, signal: never })
  await expect(other).rejects.toThrow('does not know')
})

test('without an owner nothing is done', async () => {
  expect(await ask()).toBeUndefined()
  await own(async () => ({}))
  expect(await ask()).toEqual({})
  await control?.close()
  expect(await ask()).toBeUndefined()
})

test('a socket that a killed owner left is in nobody’s way', async () => {
  const script = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`
  const killed = spawn(process.execPath, ['-e', script, join(dataDir, 'control')])
  expect(await once(killed, 'exit')).toEqual([null, 'SIGKILL'])
  expect(statSync(join(dataDir, 'control')).isSocket()).toBe(true)
  expect(await ask()).toBeUndefined()
  await own(async () => ({ new: true }))
  expect(await ask()).toEqual({ new: true })
})

test('only the user of the folder may use it', async () => {
  const before = process.umask(0)
  await own(async () => ({})).finally(() => process.umask(before))
  expect(statSync(join(dataDir, 'control')).mode & 0o777).toBe(0o600)
})

test('a path that no socket can have is told on both sides', async () => {
  dataDir = join(dataDir, 'x'.repeat(100))
  mkdirSync(dataDir)
  await expect(own(async () => ({}))).rejects.toThrow(/more than the 107 bytes/)
  await expect(ask()).rejects.toThrow(/more than the 107 bytes/)
})

test('a path that is short enough from where both were started will do', async () => {
  const folder = process.cwd()
  dataDir = join(dataDir, 'x'.repeat(100))
  mkdirSync(dataDir)
  process.chdir(dataDir)
  try {
    await own(async () => ({}))
    expect(await ask()).toEqual({})
    await control?.close()
    control = undefined
  } finally {
    process.chdir(folder)
    dataDir = join(dataDir, '..')
  }
})

test('whoever asked and goes away interrupts it', async () => {
  const { seen, work } = endless()
  await own(work)
  const leaving = new AbortController()
  const asking = ask({}, [], leaving.signal)
  await whenTrue(() => seen.isWorking)
  leaving.abort(new Error('interrupted'))
  await expect(asking).rejects.toThrow('interrupted')
  await whenTrue(() => seen.reason !== undefined)
  expect(String(seen.reason)).toContain('whoever asked is gone')
})

test('an owner that ends interrupts it and waits for its end', async () => {
  const { seen, work } = endless()
  await own(work)
  const asking = ask()
  await whenTrue(() => seen.isWorking)
  const answer = expect(asking).rejects.toThrow('ended before it was done')
  await control?.close()
  expect(seen.reason).toBeInstanceOf(Error)
  await answer
})

test('a request has one line of bounded length, and nothing after it', async () => {
  const { seen, work } = endless()
  await own(work)
  const raw = (text: string) => {
    const socket = connect(join(dataDir, 'control'))
    socket.on('error', () => {}).write(text)
    return socket
  }
  await closed(raw('x'.repeat(300_000)))
  expect(seen.isWorking).toBe(false)
  const [answer] = await once(raw('{}\n'), 'data')
  expect(JSON.parse(String(answer))).toMatchObject({ failed: expect.stringContaining('does not know') })
  await closed(raw('{"command":"work"}\n{"command":"work"}\n'))
  await whenTrue(() => seen.reason !== undefined)
})

test('one who does not read is waited for, not buffered for', async () => {
  let told = 0
  await own(async (_asked, tell) => {
    for (; told < 500; told++) await tell({ text: 'x'.repeat(64_000) })
    return {}
  })
  const socket = connect(join(dataDir, 'control'))
  socket.write('{"command":"work"}\n')
  await whenTrue(() => told > 0)
  const reached = async (): Promise<number> => {
    const before = told
    for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve))
    return told === before ? told : reached()
  }
  expect(await reached()).toBeLessThan(50)
  socket.resume()
  await once(socket, 'close')
  expect(told).toBe(500)
})
