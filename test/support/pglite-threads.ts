// Owns the threads of embedded databases that were started in this process, so that a test can end one as a crash would.
// Import it before what starts them.

import type { Worker } from 'node:worker_threads'
import { vi } from 'vitest'

const started: Worker[] = []

vi.doMock('node:worker_threads', async importOriginal => {
  const real = await importOriginal<typeof import('node:worker_threads')>()
  const Remembered = new Proxy(real.Worker, {
    construct: (target, given: ConstructorParameters<typeof Worker>) => {
      const worker = new target(...given)
      started.push(worker)
      return worker
    },
  })
  return { ...real, default: real, Worker: Remembered }
})

/** How many were started so far. */
export const threadsStarted = (): number => started.length

/** Ends the newest at once, whatever it is doing. */
export const crashThread = async (): Promise<void> => {
  await started.at(-1)?.terminate()
}
