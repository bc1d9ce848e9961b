// Owns the proof that the chat in README.md works as pasted: its blocks are typed into real shells against a real server.
// Only the ports and the name of the file in /tmp are other ones. Runs on Postgres as well where TEST_DATABASE_URL names one.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { namedBlocks } from './support/readme.ts'
import { type ServerProcess, startServerProcess } from './support/server-process.ts'

interface Shell {
  /** Types the text and waits until all of it is done. Resolves with what it printed. */
  run(text: string): Promise<string>
  /** Types text that goes on until it is ended. */
  type(text: string): void
  /** Resolves with all that was printed, once it matches. */
  printed(pattern: RegExp): Promise<string>
  /** Ends the shell and whatever runs in it. */
  end(): Promise<void>
}

const openShell = (folder: string): Shell => {
  const environment = { PATH: `${dirname(process.execPath)}:${process.env.PATH}`, HOME: folder }
  const child: ChildProcess = spawn('bash', { cwd: folder, env: environment, detached: true })
  const exited = once(child, 'exit')
  let output = ''
  let heard = () => {}
  const hear = (chunk: Buffer) => {
    output += chunk
    heard()
  }
  child.stdout?.on('data', hear)
  child.stderr?.on('data', hear)
  const type = (text: string) => void child.stdin?.write(`${text}\n`)
  const printed = async (pattern: RegExp) => {
    while (!pattern.test(output)) {
      await new Promise<void>(resolve => {
        heard = resolve
      })
    }
    return output
  }
  return {
    type,
    printed,
    run: async text => {
      output = ''
      type(`${text}\necho "that was all"`)
      return (await printed(/that was all/)).replace('that was all\n', '')
    },
    end: async () => {
      process.kill(-(child.pid as number), 'SIGKILL')
      await exited
    },
  }
}

const hasCurl = () => {
  try {
    return execFileSync('curl', ['--version']).length > 0
  } catch {
    return false
  }
}

const blocks = namedBlocks().filter(({ name }) => /^(alice|bob)\b/.test(name))

const databases: readonly { readonly name: string; readonly environment: Readonly<Record<string, string>> }[] = [
  { name: 'embedded stores', environment: {} },
  ...(process.env.TEST_DATABASE_URL === undefined
    ? []
    : [{ name: 'postgres', environment: { DATABASE_URL: process.env.TEST_DATABASE_URL } }]),
]

// Without curl nobody can paste these commands either.
describe.skipIf(!hasCurl()).each(databases)('the chat in README.md, on $name,', ({ environment }) => {
  let folder: string
  let server: ServerProcess
  const shells: { bob?: Shell; alice?: Shell } = {}

  const block = (name: string): string => {
    const text = blocks.find(found => found.name === name)?.text
    if (text === undefined) throw new Error(`README.md has no block "${name}"`)
    return text
      .replaceAll('http://127.0.0.1:8080', server.httpUrl)
      .replaceAll('ws://127.0.0.1:8081/v1/realtime', server.realtimeUrl)
      .replaceAll('/tmp/ledgerline-bob', join(folder, 'bob'))
  }
  const shellOf = (name: 'alice' | 'bob'): Shell => {
    shells[name] ??= openShell(folder)
    return shells[name]
  }
  /** The replies among what was printed. */
  const replies = (printed: string): readonly Record<string, unknown>[] =>
    printed
      .split('\n')
      .filter(line => line.startsWith('{'))
      .map(line => JSON.parse(line))

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ledgerline-readme-'))
    server = await startServerProcess({ environment: { ...environment, DATA_DIR: join(folder, 'data') } })
  })

  afterAll(async () => {
    await Promise.all([shells.alice?.end(), shells.bob?.end(), server?.stop()])
    await rm(folder, { recursive: true, force: true })
  })

  test('is made of the blocks that are run here, in this order', () => {
    expect(blocks.map(({ name }) => name)).toEqual(['bob', 'alice', 'bob reads', 'bob listens', 'alice again'])
  })

  test('works', async () => {
    const [bob] = replies(await shellOf('bob').run(block('bob')))
    expect(bob).toEqual({ userId: expect.any(String), position: expect.any(String) })

    const [alice, sent, repeated, ...rest] = replies(await shellOf('alice').run(block('alice')))
    expect(alice).toEqual({ userId: expect.any(String), position: expect.any(String) })
    expect(sent).toEqual({ seq: 1, at: expect.any(String), position: expect.any(String) })
    expect(repeated).toEqual(sent)
    expect(rest).toEqual([])

    // A person is slower than the read models; this is not.
    await shellOf('bob').run(`call GET "/unread?after=${sent?.position}"`)
    const [before, page, after] = replies(await shellOf('bob').run(block('bob reads')))
    expect(before).toMatchObject({ total: 1 })
    expect(page).toMatchObject({ items: [{ seq: 1, from: alice?.userId, body: { text: 'Hello Bob' } }] })
    expect(after).toMatchObject({ total: 0 })

    shellOf('bob').type(block('bob listens'))
    expect(await shellOf('bob').printed(/^live$/m)).toMatch(/^#1 Hello Bob\nlive$/m)
    expect(replies(await shellOf('alice').run(block('alice again')))).toMatchObject([{ seq: 2 }])
    expect(await shellOf('bob').printed(/^#2 /m)).toMatch(/^live\n#2 Are you there\?$/m)
  })
})
