// Owns the folders and processes that the tests of the embedded store use: each test its own, gone after it.
// Never shares a folder between tests.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { type EmbeddedOptions, openEmbeddedStore } from '../../eventstore/embedded.ts'
import type { ImportableStore } from '../../eventstore/port.ts'

/** A new folder, removed after the test. */
export const newFolder = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'ledgerline-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Opens a store that is closed after the test, whatever happens. */
export const openStore = async (dataDir: string, options: Partial<EmbeddedOptions> = {}): Promise<ImportableStore> => {
  const store = await openEmbeddedStore({ dataDir, ...options })
  onTestFinished(() => store.close())
  return store
}

/** A process that owns the log of a folder and appends until it is killed; `acknowledged` grows by its answers. */
export const startWriter = async (dataDir: string) => {
  const script = fileURLToPath(new URL('embedded-writer.ts', import.meta.url))
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', script, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const acknowledged: string[] = []
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
  lines.on('line', line => acknowledged.push(line))
  await once(lines, 'line')
  return {
    pid: child.pid as number,
    acknowledged,
    /** Resolves when that many appends were acknowledged. */
    reached: async (count: number): Promise<void> => {
      while (acknowledged.length < count) await once(lines, 'line')
    },
    /** kill -9, and waits until it is gone and all it said was read. */
    kill: async (): Promise<void> => {
      const gone = once(child, 'exit')
      const read = once(lines, 'close')
      child.kill('SIGKILL')
      await Promise.all([gone, read])
    },
  }
}
