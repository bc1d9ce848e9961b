// Owns the other process of the tests: opens the log in the folder it is given, appends for ever, and says what was acknowledged.
// Only for tests; ends by being killed.

import { randomUUID } from 'node:crypto'
import { openEmbeddedStore } from '../../eventstore/embedded.ts'

const store = await openEmbeddedStore({ dataDir: process.argv[2] as string })

/** One line for each acknowledged append: stream, last revision, last position. */
const write = async (stream: string): Promise<never> => {
  let expected: number | 'none' = 'none'
  for (;;) {
    const events = Array.from({ length: 3 }, (_, index) => {
      const data = { stream, index }
      return { id: randomUUID(), type: 'Written', data, text: JSON.stringify(data) }
    })
    const appended = await store.append(stream, events, expected)
    process.stdout.write(`${stream} ${appended.revision} ${appended.position}\n`)
    expected = appended.revision
  }
}

await Promise.all(Array.from({ length: 20 }, (_, number) => write(`account-${number}`)))
