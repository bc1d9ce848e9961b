// Forks: uWebSockets.js aborts its process on misuse, and LMDB and PGlite belong to one process each.

import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    pool: 'forks',
    globalSetup: 'test/support/build.ts',
    include: ['test/**/*.test.ts'],
    // They only end what hangs: a slow machine is no fault.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
    maxWorkers: 2,
  },
})
